"""``PATCH`` of an order: which orders may be replaced, and what the successor asks for.

A replacement is a new order. It may take a while: until then the old one is ``pending_replace`` and
can still fill or end, and then the new one is rejected. Alpaca documents it for simple orders,
brackets and OCO, not yet for OTO; that the woken leg of an OTO order can be replaced is a setting.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from livekit.broker.venue.engine.account import available
from livekit.broker.venue.engine.admission import (
    insufficient_qty,
    require_buying_power,
    require_stop_beyond_market,
    require_unspent,
    reserve_price,
)
from livekit.broker.venue.engine.lifecycle import Lifecycle
from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.order_request import OrderRequest, parse_order
from livekit.broker.venue.engine.records import Order
from livekit.broker.venue.engine.refusals import unprocessable
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState

__all__ = ["give_up", "replacement", "succeed", "take_over"]

ZERO = Decimal(0)

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
    require_unspent(state, settings, request.client_order_id)
    if request.qty <= order.filled_qty:
        raise unprocessable("qty must be > filled_qty")
    if not _differs(order, request):
        raise unprocessable("order parameters are not changed")
    price = market.mark(order.ticker, state.clock)
    if price is not None and order.type != "trailing_stop":
        require_stop_beyond_market(request, price)
    _require_means(state, market, order, request, price)
    return request


def _require_means(
    state: VenueState, market: Market, order: Order, request: OrderRequest, price: Decimal | None
) -> None:
    """Refuse a successor that wants more shares or buying power than there are."""
    grows = request.qty - order.qty
    if order.side == "sell":
        free = available(state, order.ticker)
        if grows > free:
            raise insufficient_qty(state, order.ticker, request.qty, free + order.remaining)
        return
    cost = (request.qty - order.filled_qty) * reserve_price(request, price)
    held = order.remaining * order.reserve_price
    if cost > held:
        require_buying_power(state, market, cost - held)


def succeed(orders: Lifecycle, old: Order, request: OrderRequest) -> Order:
    """Take the successor of ``old`` in, at once or after the delay of the settings."""
    state, delay_s = orders.state, orders.settings.replace_delay_s
    number, client_id = orders.next_name(request)
    new = orders.new_order(request, client_id, number)
    new.replaces = old.order_id
    new.order_class, new.parent_id = old.order_class, old.parent_id
    if old.side == "buy":
        new.reserve_price = reserve_price(request, orders.market.mark(old.ticker, state.clock))
    if not delay_s:
        take_over(orders, old, new, waited=False)
        return new
    new.status, new.resume_at = "pending_new", state.clock + timedelta(seconds=delay_s)
    new.reserve_price = max(ZERO, new.reserve_price - old.reserve_price)
    old.status = "pending_replace"
    state.log("replace_requested", old)
    state.add(new)
    state.log("accepted", new)
    return new


def take_over(orders: Lifecycle, old: Order, new: Order, *, waited: bool = True) -> None:
    """``new`` takes the place of ``old``, unless that has ended meanwhile.

    What ``old`` has filled counts towards the quantity asked for.
    """
    state = orders.state
    new.resume_at = None
    if old.is_terminal or old.filled_qty >= new.qty:
        orders.reject(new)
        give_up(orders, old)
        return
    for leg in state.legs.pop(old.order_id, ()):
        leg.parent_id = new.order_id
        state.legs.setdefault(new.order_id, []).append(leg)
        state.touch(leg)
    new.qty -= old.filled_qty
    if waited and old.side == "buy":
        new.reserve_price = reserve_price(new, orders.market.mark(old.ticker, state.clock))
    new.status = "new"
    orders.mark_replaced(old, new)
    if not waited:
        state.add(new)
    state.log("new" if waited else "accepted", new)


def give_up(orders: Lifecycle, old: Order) -> None:
    """``old`` goes on as if its replacement had never been asked for."""
    if old.status == "pending_replace":
        old.status = old.working_status
        orders.state.log("new", old)


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
