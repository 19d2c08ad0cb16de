"""Whether a well-formed order fits the market and the account now: the refusals of the exchange."""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal

from livekit.broker.venue.engine.account import account_view, available, held_for_orders, holders
from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.order_request import OrderRequest
from livekit.broker.venue.engine.records import CENT, Order, collared, plain
from livekit.broker.venue.engine.refusals import Refusal, forbidden, invalid, unprocessable
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState, position_intent
from livekit.broker.venue.engine.timing import CLS_CUTOFF, OPG_CUTOFF
from livekit.sessions import (
    EXCHANGE_ZONE,
    close_instant,
    exchange_time,
    is_session,
    open_instant,
)

EVENING = time(19)
SMALLEST_COST_USD = Decimal(1)

__all__ = [
    "admit",
    "insufficient_qty",
    "require_buying_power",
    "require_stop_beyond_market",
    "require_unspent",
    "reserve_price",
]


def reserve_price(request: OrderRequest | Order, price: Decimal | None) -> Decimal:
    """What a buy is charged against buying power per share, USD."""
    reference = request.limit_price
    if reference is None:
        reference = collared(request.stop_price or price or Decimal(0))
    return reference


def admit(
    state: VenueState, market: Market, settings: VenueSettings, request: OrderRequest
) -> Decimal | None:
    """Refuse what Alpaca would refuse; returns the market price (None if never traded).

    The client id is looked at first, so that a repeated request learns that its order exists
    however the market has moved since.
    """
    require_unspent(state, settings, request.client_order_id)
    if state.blocked:
        raise forbidden("account is not authorized to trade")
    if not market.is_listed(request.symbol, state.clock):
        raise unprocessable(f'asset "{request.symbol}" not found')
    if not market.is_active(request.symbol, state.clock):
        raise unprocessable(f'asset "{request.symbol}" is not active')
    _check_intent(state, request)
    _check_window(request, state.clock)
    if request.order_class == "bracket" and state.held(request.symbol):
        raise unprocessable("bracket orders must be entry orders")
    price = market.mark(request.symbol, state.clock)
    if price is not None:
        require_stop_beyond_market(request, price)
        if request.order_class != "simple":
            _check_legs(request, price)
    if request.order_class == "simple" and request.type != "trailing_stop":
        _check_wash_trade(state, settings, request)
    if request.side == "sell":
        _check_shares(state, request)
    else:
        _check_buying_power(state, market, request, price)
    return price


def require_unspent(state: VenueState, settings: VenueSettings, client_id: str | None) -> None:
    """Refuse a client id that an order had before, whatever became of it."""
    known = state.by_client_id.get(client_id) if client_id else None
    if known is None or (settings.spent_ids_reusable and known.status in ("expired", "rejected")):
        return
    raise invalid("client_order_id must be unique")


def _check_intent(state: VenueState, request: OrderRequest) -> None:
    if request.position_intent is None:
        return
    inferred = position_intent(state, request.symbol, request.side)
    if request.position_intent != inferred:
        raise unprocessable(
            f"position intent mismatch, inferred: {inferred}, specified: {request.position_intent}"
        )


def require_stop_beyond_market(request: OrderRequest, price: Decimal) -> None:
    """Refuse a sell stop at or above the market price, and a buy stop at or below it."""
    stop = request.stop_price
    if stop is None:
        return
    facts = {"market_price": plain(price), "stop_price": plain(stop)}
    if request.side == "sell" and stop >= price:
        raise unprocessable("stop price must be less than current price", **facts)
    if request.side == "buy" and stop <= price:
        raise unprocessable("stop price must be greater than current price", **facts)


def _check_window(request: OrderRequest, now: datetime) -> None:
    """Auction orders are refused from shortly before their auction until 19:00 New York."""
    if request.time_in_force not in ("opg", "cls"):
        return
    local = exchange_time(now)
    if not is_session(local.date()):
        return
    evening = datetime.combine(local.date(), EVENING, tzinfo=EXCHANGE_ZONE)
    ends = close_instant(local.date()) - CLS_CUTOFF
    text = "cls orders must be submitted after 7:00pm and before 3:55pm"
    if request.time_in_force == "opg":
        ends = open_instant(local.date()) - OPG_CUTOFF
        text = "opg orders must be submitted after 7:00pm and before 9:28am"
    if ends <= now < evening:
        raise forbidden(text)


def _check_legs(request: OrderRequest, price: Decimal) -> None:
    if request.order_class == "oco":
        _check_leg("stop_loss.stop_price", request.stop_loss_price, below=price)
        return
    base = price if request.limit_price is None else request.limit_price
    down, up = min(base, price), max(base, price)
    if request.side == "buy":
        _check_leg("stop_loss.stop_price", request.stop_loss_price, below=down)
        _check_leg("take_profit.limit_price", request.take_profit_price, above=up)
    else:
        _check_leg("stop_loss.stop_price", request.stop_loss_price, above=up)
        _check_leg("take_profit.limit_price", request.take_profit_price, below=down)


def _check_leg(
    name: str,
    leg: Decimal | None,
    *,
    below: Decimal | None = None,
    above: Decimal | None = None,
) -> None:
    if leg is None:
        return
    if below is not None and leg > below - CENT:
        raise unprocessable(f"{name} must be <= base_price - 0.01", base_price=plain(below))
    if above is not None and leg < above + CENT:
        raise unprocessable(f"{name} must be >= base_price + 0.01", base_price=plain(above))


def _check_wash_trade(state: VenueState, settings: VenueSettings, request: OrderRequest) -> None:
    for order in state.working_on(request.symbol):
        if order.side == request.side:
            continue
        if order.parent_id is not None and not settings.resting_leg_blocks_opposite:
            continue
        reason = _wash_reason(order, request)
        if reason:
            raise forbidden(
                "potential wash trade detected. use complex orders",
                existing_order_id=order.order_id,
                reject_reason=reason,
            )


def _wash_reason(order: Order, request: OrderRequest) -> str | None:
    if "limit" not in order.type or "limit" not in request.type:
        kind = request.type if "limit" in order.type else order.type
        return f"opposite side {kind} order exists"
    prices = (order.limit_price, request.limit_price)
    buy, sell = prices if order.side == "buy" else prices[::-1]
    crossing = buy is not None and sell is not None and buy >= sell
    return "opposite side limit order exists" if crossing else None


def _check_shares(state: VenueState, request: OrderRequest) -> None:
    if state.held(request.symbol) <= 0:
        raise forbidden("account is not allowed to short")
    free = available(state, request.symbol)
    if request.qty > free:
        raise insufficient_qty(state, request.symbol, request.qty, free)


def insufficient_qty(state: VenueState, symbol: str, requested: int, free: int) -> Refusal:
    """The refusal of a sell beyond the shares that no order holds."""
    return forbidden(
        f"insufficient qty available for order (requested: {requested}, available: {free})",
        available=str(free),
        existing_qty=str(state.held(symbol)),
        held_for_orders=str(held_for_orders(state, symbol)),
        symbol=symbol,
        related_orders=[order.order_id for order in holders(state, symbol)],
    )


def _check_buying_power(
    state: VenueState, market: Market, request: OrderRequest, price: Decimal | None
) -> None:
    cost = request.qty * reserve_price(request, price)
    if 0 < cost < SMALLEST_COST_USD:
        raise forbidden(f"cost basis must be >= minimal amount of order {SMALLEST_COST_USD}")
    require_buying_power(state, market, cost)


def require_buying_power(state: VenueState, market: Market, cost: Decimal) -> None:
    """Refuse what costs more than may still be bought, USD."""
    power = account_view(state, market).buying_power_usd
    if cost > power:
        raise forbidden(
            "insufficient buying power",
            buying_power=f"{power:.2f}",
            cost_basis=f"{cost:.2f}",
        )
