"""Half an hour before the close: what keeps cover alive until the next session.

Exits that will not fill any more are withdrawn so that their stop can rest overnight, stops that
are about to age out are placed anew, and the stop leg of a group becomes a simple stop where the
next session is a split: a venue adjusts simple orders only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from livekit.errors import VenueError
from livekit.model import EXIT, STOP, Position, VenueOrder
from livekit.sessions import exchange_time, next_session
from livekit.trading.desk import Desk
from livekit.trading.protector import cancel_and_confirm
from livekit.trading.venue_look import open_orders

__all__ = ["Upkeep", "keep_up"]

RENEW_BEFORE = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Tickers whose exit was withdrawn, and whose stop was taken down to be placed anew."""

    withdrawn: tuple[str, ...]
    renewed: tuple[str, ...]


def keep_up(desk: Desk, session: date) -> Upkeep:
    """Take down what must not stand overnight; the audit of cover that follows covers anew."""
    withdrawn = _withdraw_unfilled_exits(desk)
    positions = {item.ticker: item for item in desk.db.get_open_positions()}
    splitting = _splitting(desk, positions, next_session(session))
    due = [
        order
        for order in open_orders(desk)
        if order.ticker in positions and order.is_live_cover and order.stop_price is not None
        if _ages(desk, order) or (order.ticker in splitting and _is_leg(desk, order))
    ]
    return Upkeep(withdrawn, _taken_down(desk, due))


def _withdraw_unfilled_exits(desk: Desk) -> tuple[str, ...]:
    """A day order dies at the close; the pending exit stays and is sent at the next open."""
    working = [
        order
        for order in desk.db.get_orders(intent=EXIT, working_only=True)
        if order.alpaca_order_id is not None
    ]
    return tuple(
        order.ticker
        for order in working
        if cancel_and_confirm(desk, str(order.alpaca_order_id)) is not None
    )


def _splitting(desk: Desk, positions: dict[str, Position], session: date) -> frozenset[str]:
    if not positions:
        return frozenset()
    try:
        announced = desk.client.splits(sorted(positions), session, session)
    except VenueError as error:
        text = f"splits of {session} cannot be read, legs stay as they are: {error}"
        desk.db.add_alert("announcements_unread", text, at=desk.clock.now())
        return frozenset()
    return frozenset(split.ticker for split in announced)


def _ages(desk: Desk, order: VenueOrder) -> bool:
    if order.expires_at is None:
        return False
    today = exchange_time(desk.clock.now()).date()
    return exchange_time(order.expires_at).date() - today <= RENEW_BEFORE


def _is_leg(desk: Desk, order: VenueOrder) -> bool:
    row = desk.db.get_order_by_alpaca_id(order.order_id)
    return row is not None and row.intent == STOP and row.parent_client_order_id is not None


def _taken_down(desk: Desk, orders: Iterable[VenueOrder]) -> tuple[str, ...]:
    return tuple(
        order.ticker for order in orders if cancel_and_confirm(desk, order.order_id) is not None
    )
