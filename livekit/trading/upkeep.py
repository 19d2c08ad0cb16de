"""Half an hour before the close: what keeps cover alive until the next session.

Exits that will not fill any more are withdrawn so that their stop can rest overnight, stops that
are about to age out are placed anew, and the stop leg of a group becomes a simple stop where the
next session is a split, or may be one: a venue adjusts simple orders only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from livekit.errors import VenueError
from livekit.model import EXIT, STOP, Position, VenueOrder
from livekit.sessions import exchange_time, next_session
from livekit.trading.cover import CoverGap
from livekit.trading.desk import Desk
from livekit.trading.protector import cancel_and_confirm, cover
from livekit.trading.splits import ANNOUNCEMENTS_UNREAD
from livekit.trading.venue_look import open_orders

__all__ = ["Upkeep", "keep_up"]

RENEW_BEFORE = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Tickers whose exit was withdrawn, and whose stop was placed anew."""

    withdrawn: tuple[str, ...]
    renewed: tuple[str, ...]


def keep_up(desk: Desk, session: date) -> Upkeep:
    """Replace what must not stand overnight; the audit of cover that follows sees to the rest."""
    withdrawn = _withdraw_unfilled_exits(desk)
    positions = {item.ticker: item for item in desk.db.get_open_positions()}
    splitting = _splitting(desk, positions, next_session(session))
    due = [
        order
        for order in open_orders(desk)
        if order.ticker in positions and order.is_live_cover and order.stop_price is not None
        if _ages(desk, order) or (order.ticker in splitting and _is_leg(desk, order))
    ]
    return Upkeep(withdrawn, _placed_anew(desk, due, positions))


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
        text = f"splits of {session} cannot be read, every leg becomes a simple stop: {error}"
        desk.db.add_alert(ANNOUNCEMENTS_UNREAD, text, at=desk.clock.now())
        return frozenset(positions)
    return frozenset(split.ticker for split in announced)


def _ages(desk: Desk, order: VenueOrder) -> bool:
    if order.expires_at is None:
        return False
    today = exchange_time(desk.clock.now()).date()
    return exchange_time(order.expires_at).date() - today <= RENEW_BEFORE


def _is_leg(desk: Desk, order: VenueOrder) -> bool:
    row = desk.db.get_order_by_alpaca_id(order.order_id)
    return row is not None and row.intent == STOP and row.parent_client_order_id is not None


def _placed_anew(
    desk: Desk, orders: Iterable[VenueOrder], positions: Mapping[str, Position]
) -> tuple[str, ...]:
    """Take the stops down one after the other, each with its successor at once."""
    renewed = []
    for order in orders:
        position = positions[order.ticker]
        if cancel_and_confirm(desk, order.order_id) is None:
            continue
        if cover(desk, CoverGap(position, int(order.remaining), position.stop_price)):
            renewed.append(order.ticker)
    return tuple(renewed)
