"""An order as the client asks for it, read from JSON and checked as far as it stands alone."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from livekit.broker.venue.engine.records import plain, tick_of
from livekit.broker.venue.engine.refusals import forbidden, invalid, unprocessable

__all__ = ["OrderRequest", "check_tick", "parse_order", "price_field", "refused_symbol"]

SIDES = ("buy", "sell")
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc")
AUCTIONS_AND_IMMEDIATE = ("opg", "cls", "ioc", "fok")
INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
CLASSES = ("simple", "oto", "bracket", "oco")
CLIENT_ID_LENGTH = 128
CLIENT_ID = re.compile(r"[A-Za-z0-9._-]+")
MOST_DECIMALS = 40
LARGEST_AMOUNT = Decimal(10) ** 12


class OrderRequest(NamedTuple):
    """A request that is well formed; whether it fits the market and the account is open.

    For an OTO order one of ``stop_loss_price`` (with an optional ``stop_loss_limit``) and
    ``take_profit_price`` is set, for a bracket and an OCO order both.
    """

    symbol: str
    qty: int
    side: str
    type: str
    time_in_force: str
    order_class: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    client_order_id: str | None
    stop_loss_price: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    take_profit_price: Decimal | None = None
    extended_hours: bool = False
    trail_usd: Decimal | None = None
    trail_percent: Decimal | None = None
    position_intent: str | None = None


def parse_order(body: dict[str, Any]) -> OrderRequest:
    """Read the body of ``POST /v2/orders``; raises `Refusal` as Alpaca would."""
    client_id = _client_id(body.get("client_order_id"))
    side = _choice(body, "side", SIDES)
    kind = _choice(body, "type", TYPES)
    order_class = _order_class(body)
    if order_class == "oco":
        body = _as_exit(body, side, kind)
    limit, stop = price_field(body, "limit_price"), price_field(body, "stop_price")
    _check_prices_present(kind, limit, stop)
    tif = _time_in_force(body, order_class, kind)
    extended = _extended_hours(body, order_class, kind, tif)
    trail_usd, trail_percent = _trails(body, kind)
    request = OrderRequest(
        symbol=_text(body, "symbol"),
        qty=_quantity(body, order_class, tif),
        side=side,
        type=kind,
        time_in_force=tif,
        order_class=order_class,
        limit_price=limit,
        stop_price=stop,
        client_order_id=client_id,
        extended_hours=extended,
        trail_usd=trail_usd,
        trail_percent=trail_percent,
        position_intent=_choice(body, "position_intent", INTENTS)
        if body.get("position_intent")
        else None,
    )
    return request if order_class == "simple" else _with_legs(request, body)


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"{name} is required")
    return value


def _client_id(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not CLIENT_ID.fullmatch(value):
        raise invalid("invalid client_order_id")
    if len(value) > CLIENT_ID_LENGTH:
        raise invalid(f"client_order_id must be no more than {CLIENT_ID_LENGTH} characters")
    return value


def _choice(body: dict[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = body.get(name)
    if value not in choices:
        raise invalid(f"invalid {name}")
    return str(value)


def price_field(body: dict[str, Any], name: str, *, label: str | None = None) -> Decimal | None:
    """A price of the body, on its tick, or None; raises `Refusal` otherwise."""
    given = body.get(name)
    if given is None:
        return None
    value = _decimal(given, label or name)
    if value <= 0:
        raise invalid(f"{label or name} must be > 0")
    check_tick(value, label or name)
    return value


def check_tick(price: Decimal, name: str) -> None:
    """Refuse a price finer than its tick."""
    if price % tick_of(price):
        raise unprocessable(
            f"invalid {name} {price:f}. "
            "sub-penny increment does not fulfill minimum pricing criteria"
        )


def _optional(value: Any, name: str) -> Decimal | None:
    return None if value is None else _decimal(value, name)


def _decimal(value: Any, name: str) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise InvalidOperation
        number = Decimal(value)
    except InvalidOperation:
        raise invalid(f"invalid {name}") from None
    if not number.is_finite() or abs(number) > LARGEST_AMOUNT:
        raise invalid(f"invalid {name}")
    if not isinstance(value, int) and -number.as_tuple().exponent > MOST_DECIMALS:  # type: ignore[operator]
        raise invalid(f"invalid {name}")
    return number


def _check_prices_present(kind: str, limit: Decimal | None, stop: Decimal | None) -> None:
    if kind in ("market", "trailing_stop") and (limit is not None or stop is not None):
        raise invalid(f"{kind.replace('_', ' ')} orders require no stop or limit price")
    if kind == "limit" and limit is None:
        raise invalid("limit orders require a limit price")
    if kind == "stop" and stop is None:
        raise invalid("stop orders require a stop price")
    if kind == "stop_limit" and (limit is None or stop is None):
        raise invalid("stop limit orders require both stop and limit price")
    if kind == "limit" and stop is not None:
        raise invalid("limit orders require no stop price")
    if kind == "stop" and limit is not None:
        raise invalid("stop orders require no limit price")


def _order_class(body: dict[str, Any]) -> str:
    value = body.get("order_class") or "simple"
    if value in ("bracket", "oco"):
        if not _has(body, "take_profit", "limit_price"):
            raise invalid(f"{value} orders require take_profit.limit_price")
        if not _has(body, "stop_loss", "stop_price"):
            raise invalid(f"{value} orders require stop_loss.stop_price")
    if value not in CLASSES:
        raise invalid("invalid order_class")
    return str(value)


def _has(body: dict[str, Any], leg: str, price: str) -> bool:
    part = body.get(leg)
    return isinstance(part, dict) and part.get(price) is not None


def _as_exit(body: dict[str, Any], side: str, kind: str) -> dict[str, Any]:
    """An OCO order as the limit order that it is: its take-profit."""
    if kind != "limit":
        raise invalid("oco orders must be limit orders")
    if side != "sell":
        raise unprocessable("oco orders must be exit orders")
    return body | {"limit_price": body["take_profit"]["limit_price"]}


def _trails(body: dict[str, Any], kind: str) -> tuple[Decimal | None, Decimal | None]:
    """Distance of a trailing stop, in USD or percent."""
    if kind != "trailing_stop":
        return None, None
    usd, percent = _optional(body.get("trail_price"), "trail_price"), None
    if usd is None:
        percent = _optional(body.get("trail_percent"), "trail_percent")
    elif body.get("trail_percent") is not None:
        raise invalid("only one of trail_price or trail_percent is accepted")
    distance = usd if percent is None else percent
    if distance is None:
        raise invalid("trailing stop orders require trail_price or trail_percent")
    if distance <= 0 or (percent is not None and percent >= 100):
        raise invalid("trail must be > 0")
    return usd, percent


def _time_in_force(body: dict[str, Any], order_class: str, kind: str) -> str:
    value = body.get("time_in_force")
    if value in TIMES_IN_FORCE:
        return str(value)
    if order_class == "simple" and value in AUCTIONS_AND_IMMEDIATE:
        if kind not in ("market", "limit"):
            raise invalid(f"{value} orders must be market or limit orders")
        return str(value)
    if order_class != "simple":
        raise invalid(f'{order_class} orders support only "day" or "gtc" time_in_force')
    raise invalid("invalid time_in_force")


def _extended_hours(body: dict[str, Any], order_class: str, kind: str, tif: str) -> bool:
    value = body.get("extended_hours", False)
    if value not in (True, False, None):
        raise invalid("invalid extended_hours")
    if value and order_class != "simple":
        raise forbidden(f"{order_class} orders do not support extended hours trading")
    if value and (kind != "limit" or tif not in TIMES_IN_FORCE):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")
    return bool(value)


def _quantity(body: dict[str, Any], order_class: str, tif: str) -> int:
    qty = _optional(body.get("qty"), "qty")
    notional = _optional(body.get("notional"), "notional")
    if qty is None and notional is None:
        raise invalid("qty or notional is required")
    if qty is not None and notional is not None:
        raise invalid("only one of qty or notional is accepted")
    if qty is not None and qty <= 0:
        raise invalid("qty must be > 0")
    if notional is not None and notional < 1:
        raise invalid("notional must be >= 1.00")
    if qty is not None and qty == int(qty):
        return int(qty)
    if order_class != "simple":
        raise unprocessable("fractional orders must be simple orders")
    if tif != "day":
        raise unprocessable("fractional orders must be DAY orders")
    raise forbidden(f'asset "{_text(body, "symbol")}" is not fractionable')


def _with_legs(request: OrderRequest, body: dict[str, Any]) -> OrderRequest:
    if request.type not in ("market", "limit"):
        raise invalid(f"{request.order_class} orders require market or limit entry orders")
    stop_loss, take_profit = body.get("stop_loss"), body.get("take_profit")
    if request.order_class != "oto":
        both = _with_stop_loss(_with_take_profit(request, take_profit), stop_loss)
        return _in_order(both)
    if isinstance(take_profit, dict) and stop_loss is None:
        return _with_take_profit(request, take_profit)
    if take_profit is not None:
        raise invalid("oto orders require exactly one of take_profit or stop_loss")
    return _with_stop_loss(request, stop_loss)


def _with_take_profit(request: OrderRequest, leg: Any) -> OrderRequest:
    leg = leg if isinstance(leg, dict) else {}
    price = price_field(leg, "limit_price", label="take_profit.limit_price")
    if price is None:
        raise invalid(f"{request.order_class} orders require take_profit.limit_price")
    return request._replace(take_profit_price=price)


def _with_stop_loss(request: OrderRequest, leg: Any) -> OrderRequest:
    leg = leg if isinstance(leg, dict) else {}
    stop = price_field(leg, "stop_price", label="stop_loss.stop_price")
    if stop is None:
        raise invalid(f"{request.order_class} orders require stop_loss.stop_price")
    limit = price_field(leg, "limit_price", label="stop_loss.limit_price")
    return request._replace(stop_loss_price=stop, stop_loss_limit=limit)


def _in_order(request: OrderRequest) -> OrderRequest:
    """Refuse a group whose profit lies on the wrong side of its loss."""
    profit, loss = request.take_profit_price, request.stop_loss_price
    assert profit is not None and loss is not None  # noqa: S101, PT018 - both were read
    rising = request.side == "buy" or request.order_class == "oco"
    if (profit <= loss) if rising else (profit >= loss):
        side = "<=" if rising else ">="
        limit = plain(profit)
        raise unprocessable(
            f"stop_loss.stop_price must be {side} base_price {'-' if rising else '+'} 0.01",
            base_price=limit,
        )
    return request


def refused_symbol(body: dict[str, Any]) -> tuple[str, str | None]:
    """Ticker and client id of a request that may be malformed, for the log."""
    symbol, client_id = body.get("symbol"), body.get("client_order_id")
    ticker = symbol if isinstance(symbol, str) else ""
    return ticker[:CLIENT_ID_LENGTH], client_id if isinstance(client_id, str) else None
