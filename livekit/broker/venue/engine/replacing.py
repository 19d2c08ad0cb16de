"""``PATCH`` of an order: which orders may be replaced, and what the successor asks for.

A replacement is a new order. Alpaca documents it for simple orders, brackets and OCO, not yet for
OTO; that the woken leg of an OTO order can be replaced is a setting.
"""

from __future__ import annotations

from typing import Any

from livekit.broker.venue.engine.account import available
from livekit.broker.venue.engine.admission import insufficient_qty, require_stop_beyond_market
from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.order_request import OrderRequest, parse_order
from livekit.broker.venue.engine.records import Order
from livekit.broker.venue.engine.refusals import invalid, unprocessable
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState

__all__ = ["replacement"]

REPLACEABLE = frozenset({"new", "partially_filled"})
FIELDS = ("qty", "time_in_force", "limit_price", "stop_price", "client_order_id")
TRAILING = ("trail_price", "trail_percent")


def replacement(
    state: VenueState,
    market: Market,
    settings: VenueSettings,
    order: Order,
    body: dict[str, Any],
) -> OrderRequest:
    """What replaces ``order``; raises `Refusal` when it may not be replaced so."""
    _require_replaceable(order, settings)
    given = {name: body[name] for name in FIELDS if body.get(name) is not None}
    if body.get("trail") is not None and order.type == "trailing_stop":
        given[TRAILING[order.trail_usd is None]] = body["trail"]
    request = parse_order(_current(order) | given)
    if request.client_order_id in state.by_client_id:
        raise invalid("client_order_id must be unique")
    if request.qty <= order.filled_qty:
        raise unprocessable("qty must be > filled_qty")
    if not _differs(order, request):
        raise unprocessable("order parameters are not changed")
    price = market.mark(order.ticker, state.clock)
    if price is not None and order.type != "trailing_stop":
        require_stop_beyond_market(request, price)
    grows = request.qty - order.qty
    free = available(state, order.ticker)
    if order.side == "sell" and grows > free:
        raise insufficient_qty(state, order.ticker, request.qty, free + order.remaining)
    return request


def _require_replaceable(order: Order, settings: VenueSettings) -> None:
    if order.status == "replaced":
        raise unprocessable("order already replaced")
    if order.is_terminal:
        raise unprocessable("unable to replace order, order is not open")
    if order.status not in REPLACEABLE:
        raise unprocessable(f"cannot replace order in {order.status} status")
    is_leg = order.parent_id is not None
    if order.order_class == "oto" and not (is_leg and settings.activated_leg_replaceable):
        raise unprocessable(f"replace is not supported for {order.order_class} orders")


def _current(order: Order) -> dict[str, Any]:
    trailing = order.type == "trailing_stop"
    return {
        "trail_price": order.trail_usd,
        "trail_percent": order.trail_percent,
        "symbol": order.ticker,
        "qty": order.qty,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "limit_price": order.limit_price,
        "stop_price": None if trailing else order.stop_price,
        "extended_hours": order.extended_hours,
    }


def _differs(order: Order, request: OrderRequest) -> bool:
    trailing = order.type == "trailing_stop"
    before = (
        order.qty,
        order.time_in_force,
        order.limit_price,
        None if trailing else order.stop_price,
        order.trail_usd,
        order.trail_percent,
    )
    return before != (
        request.qty,
        request.time_in_force,
        request.limit_price,
        request.stop_price,
        request.trail_usd,
        request.trail_percent,
    )
