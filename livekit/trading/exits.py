"""Leaving a position: a small state machine that can be resumed at every step.

cancel of the stop requested → cancel confirmed by a read → sell what the venue says is held →
closed. Each state is a committed row, so a new start finds where it was. A stop that turns out to
be filled ends the exit; a cancel that is not confirmed in time leaves the stop in force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from livekit.errors import BooksDiffer, VenueError
from livekit.model import EXIT, Order, PlannedOrder, Position, VenueOrder
from livekit.trading.books import book_new_fills, orders_left_alone
from livekit.trading.desk import Desk
from livekit.trading.orders import new_order, send
from livekit.trading.protector import protect
from livekit.trading.stops import cancel_and_confirm
from livekit.trading.venue_look import open_orders

__all__ = ["EXIT_FAILED", "STOP_IN_FORCE", "ExitReport", "send_exit"]

STOP_IN_FORCE = "stop_in_force"
EXIT_FAILED = frozenset({STOP_IN_FORCE, "nothing_to_sell", "refused", "unknown"})
RELEASE_POLL_S = 1.0
RELEASE_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class ExitReport:
    """What became of one planned exit when it was sent."""

    ticker: str
    state: str
    detail: str = ""


def send_exit(desk: Desk, planned: PlannedOrder, *, is_approved: Callable[[], bool]) -> ExitReport:
    """Free the shares of a position from its stop and sell them at market.

    ``is_approved`` is asked once more when the sale's intent is committed. An error on the way
    restores the cover before it is raised.
    """
    try:
        return _leave(desk, planned, is_approved)
    except (BooksDiffer, VenueError):
        protect(desk)
        raise


def _leave(desk: Desk, planned: PlannedOrder, is_approved: Callable[[], bool]) -> ExitReport:
    position = _open_position(desk, planned.ticker)
    if position is None:
        return ExitReport(planned.ticker, "closed", "no open position")
    if working := _working_exit(desk, position):
        return ExitReport(planned.ticker, "sent", f"{working.client_order_id} {working.status}")
    ended = _free_shares(desk, position)
    if ended is None:
        return ExitReport(planned.ticker, STOP_IN_FORCE, "its cancel is not confirmed")
    if not _ended_unfilled(position, ended):
        book_new_fills(desk)
    position = _open_position(desk, planned.ticker)
    if position is None:
        return ExitReport(planned.ticker, "closed", "its stop had filled")
    return _sell(desk, position, planned.reason, is_approved)


def _open_position(desk: Desk, ticker: str) -> Position | None:
    return next((item for item in desk.db.get_open_positions() if item.ticker == ticker), None)


def _working_exit(desk: Desk, position: Position) -> Order | None:
    working = desk.db.get_orders(ticker=position.ticker, intent=EXIT, working_only=True)
    return next((order for order in working if order.alpaca_order_id is not None), None)


def _free_shares(desk: Desk, position: Position) -> list[VenueOrder] | None:
    """Cancel every live sell on the ticker, the position's stop first; None while one is left."""
    confirmed = [cancel_and_confirm(desk, order_id) for order_id in _stops_of(desk, position)]
    ended = [order for order in confirmed if order is not None]
    return ended if len(ended) == len(confirmed) else None


def _ended_unfilled(position: Position, ended: list[VenueOrder]) -> bool:
    """Whether the position's stop is among the orders that ended and none of them sold a share."""
    stopped = any(order.order_id == position.stop_order_id for order in ended)
    return stopped and not any(order.filled_quantity for order in ended)


def _stops_of(desk: Desk, position: Position) -> list[str]:
    alone = orders_left_alone(desk)
    shown = [order for order in open_orders(desk) if _is_stop_of(order, position)]
    ids = [order.order_id for order in shown if order.order_id not in alone]
    known = position.stop_order_id
    if known is not None and known not in ids:
        order = desk.client.get_order(known)
        if order is not None and not order.is_terminal:
            ids.insert(0, known)
    return ids


def _is_stop_of(order: VenueOrder, position: Position) -> bool:
    return order.ticker == position.ticker and order.side == "sell"


def _sellable(desk: Desk, position: Position) -> int:
    """Shares free to be sold; a broker may release them seconds after their stop has ended."""
    started = desk.clock.now()
    while True:
        held = {item.ticker: item for item in desk.client.get_positions()}.get(position.ticker)
        if held is None:
            return 0
        wanted = min(position.shares_now, int(held.quantity))
        free = min(wanted, int(held.quantity_available))
        waited_s = abs((desk.clock.now() - started).total_seconds())
        if free >= wanted or waited_s >= RELEASE_LIMIT_S:
            return free
        desk.clock.sleep(RELEASE_POLL_S)


def _sell(
    desk: Desk, position: Position, reason: str, is_approved: Callable[[], bool]
) -> ExitReport:
    shares = _sellable(desk, position)
    if shares < 1:
        return ExitReport(position.ticker, "nothing_to_sell", "the venue shows no free shares")
    order = new_order(
        desk, position.ticker, EXIT, "sell", shares, position_id=position.position_id, reason=reason
    )
    sent = send(
        desk,
        order,
        lambda: desk.client.place_order(
            order.ticker, order.quantity, "sell", client_order_id=order.client_order_id
        ),
        protective=True,
        approved=lambda: order.quantity if is_approved() else 0,
    )
    return ExitReport(position.ticker, "sent" if sent.venue else sent.outcome, sent.message)
