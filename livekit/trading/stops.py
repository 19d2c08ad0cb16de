"""One stop at a time: placed where it can rest, and taken down until a read confirms it."""

from __future__ import annotations

from http import HTTPStatus

from livekit.errors import OrderRefused, OutcomeUnknown, VenueError, VenueUnavailable
from livekit.model import EXIT, PROTECTIVE_STOP, STOP, Order, Position, TradePrint, VenueOrder
from livekit.sessions import exchange_time
from livekit.trading.desk import Desk
from livekit.trading.lease import require_lease
from livekit.trading.orders import LOCALLY_TERMINAL, Sent, new_order, send, sync_order

__all__ = ["cancel_and_confirm", "ended", "place_stop", "read_order", "request_cancel"]

CONFIRM_POLL_S = 1.0
CONFIRM_LIMIT_S = 10.0


def place_stop(desk: Desk, position: Position, shares: int) -> Sent:
    """Place a simple GTC stop for ``shares``; sell at market when the market is at or below it.

    Where an order that goes only at the open still ties up a part, the free part gets its stop now.
    """
    market = _trade_of_today(desk, position.ticker)
    if market is not None and position.stop_price >= market.price:
        return _sell_at_market(desk, position, shares)
    sent = _send_stop(desk, position, shares)
    if sent.outcome == "refused" and "stop price must be" in sent.message:
        return _sell_at_market(desk, position, shares)
    if sent.outcome == "refused" and sent.status_code == HTTPStatus.FORBIDDEN:
        free = _free_shares(desk, position.ticker)
        if 0 < free < shares:
            _send_stop(desk, position, free)
    return sent


def _send_stop(desk: Desk, position: Position, shares: int) -> Sent:
    order = new_order(
        desk,
        position.ticker,
        STOP,
        "sell",
        shares,
        order_type="stop",
        time_in_force="gtc",
        stop_price=position.stop_price,
        position_id=position.position_id,
        reason=PROTECTIVE_STOP,
    )
    return send(desk, order, lambda: _submit_stop(desk, order), protective=True, patient=False)


def _free_shares(desk: Desk, ticker: str) -> int:
    """Shares that no order at the venue ties up."""
    shown = (item for item in desk.client.get_positions() if item.ticker == ticker)
    return max(0, sum(int(item.quantity_available) for item in shown))


def _trade_of_today(desk: Desk, ticker: str) -> TradePrint | None:
    """The latest trade if it can be had at once; an older one may be of before a gap or a split.

    Without it the venue is the judge: it refuses a stop at or above its market.
    """
    try:
        found = desk.client.latest_trades([ticker], patient=False).get(ticker)
    except VenueError:
        return None
    today = exchange_time(desk.clock.now()).date()
    return found if found is not None and exchange_time(found.at).date() == today else None


def _submit_stop(desk: Desk, order: Order) -> VenueOrder:
    return desk.client.place_order(
        order.ticker,
        order.quantity,
        order.side,
        client_order_id=order.client_order_id,
        order_type="stop",
        time_in_force="gtc",
        stop_price=order.stop_price,
    )


def _sell_at_market(desk: Desk, position: Position, shares: int) -> Sent:
    order = new_order(
        desk,
        position.ticker,
        EXIT,
        "sell",
        shares,
        position_id=position.position_id,
        reason=PROTECTIVE_STOP,
    )
    return send(
        desk,
        order,
        lambda: desk.client.place_order(
            order.ticker, order.quantity, "sell", client_order_id=order.client_order_id
        ),
        protective=True,
        patient=False,
    )


def cancel_and_confirm(desk: Desk, order_id: str) -> VenueOrder | None:
    """Ask for a cancel and read the order until it is terminal; None if it is not in ten seconds.

    The state comes from reading the order, never from the answer to the cancel.
    """
    request_cancel(desk, order_id)
    started = desk.clock.now()
    while True:
        order = ended(desk, order_id)
        if order is not None:
            return order
        now = desk.clock.now()
        started = min(started, now)
        if (now - started).total_seconds() >= CONFIRM_LIMIT_S:
            return None
        desk.clock.sleep(CONFIRM_POLL_S)


def request_cancel(desk: Desk, order_id: str) -> bool:
    """Ask for a cancel; False when it is not taken. A read tells what became of the order."""
    require_lease(desk)
    row = desk.db.get_order_by_alpaca_id(order_id)
    if row is not None and row.status not in LOCALLY_TERMINAL:
        desk.db.update_order_status(row.client_order_id, "pending_cancel", at=desk.clock.now())
    try:
        desk.client.cancel_order(order_id)
    except (OrderRefused, VenueUnavailable):
        return False
    except OutcomeUnknown:
        pass
    return True


def read_order(desk: Desk, order_id: str) -> VenueOrder | None:
    """An order as it is now; None when the venue does not know it or does not answer."""
    try:
        return desk.client.get_order(order_id, patient=False)
    except VenueUnavailable:
        return None


def ended(desk: Desk, order_id: str) -> VenueOrder | None:
    """The order as it ended, its row brought up to date; None while it lives or cannot be read.

    An order that shows no sign of its cancel is asked to go again: the request may be lost.
    """
    order = read_order(desk, order_id)
    if order is None:
        return None
    if order.is_terminal:
        sync_order(desk, order)
        return order
    if order.status != "pending_cancel":
        request_cancel(desk, order_id)
    return None
