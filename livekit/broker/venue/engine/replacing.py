"""``PATCH`` of an order: which orders may be replaced, and what the successor asks for.

A replacement is a new order. Alpaca documents it for simple orders and brackets, not yet for OTO;
here it is refused for members of a group.
"""

from __future__ import annotations

from typing import Any

from livekit.broker.venue.engine.account import available
from livekit.broker.venue.engine.admission import insufficient_qty, require_stop_beyond_market
from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.order_request import OrderRequest, parse_order
from livekit.broker.venue.engine.records import Order
from livekit.broker.venue.engine.refusals import invalid, unprocessable
from livekit.broker.venue.engine.state import VenueState

__all__ = ["replacement"]

REPLACEABLE = frozenset({"new", "partially_filled"})
FIELDS = ("qty", "time_in_force", "limit_price", "stop_price", "client_order_id")


def replacement(
    state: VenueState, market: Market, order: Order, body: dict[str, Any]
) -> OrderRequest:
    """What replaces ``order``; raises `Refusal` when it may not be replaced so."""
    _require_replaceable(order)
    given = {name: body[name] for name in FIELDS if body.get(name) is not None}
    request = parse_order(_current(order) | given)
    if request.client_order_id in state.by_client_id:
        raise invalid("client_order_id must be unique")
    if request.qty <= order.filled_qty:
        raise unprocessable("qty must be > filled_qty")
    if not _differs(order, request):
        raise unprocessable("order parameters are not changed")
    price = market.mark(order.ticker, state.clock)
    if price is not None:
        require_stop_beyond_market(request, price)
    grows = request.qty - order.qty
    free = available(state, order.ticker)
    if order.side == "sell" and grows > free:
        raise insufficient_qty(state, order.ticker, request.qty, free + order.remaining)
    return request


def _require_replaceable(order: Order) -> None:
    if order.status == "replaced":
        raise unprocessable("order already replaced")
    if order.is_terminal:
        raise unprocessable("unable to replace order, order is not open")
    if order.status not in REPLACEABLE:
        raise unprocessable(f"cannot replace order in {order.status} status")
    if order.order_class != "simple":
        raise unprocessable(f"replace is not supported for {order.order_class} orders")


def _current(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.ticker,
        "qty": order.qty,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "extended_hours": order.extended_hours,
    }


def _differs(order: Order, request: OrderRequest) -> bool:
    before = (order.qty, order.time_in_force, order.limit_price, order.stop_price)
    return before != (
        request.qty,
        request.time_in_force,
        request.limit_price,
        request.stop_price,
    )
