"""The trading endpoints (``/v2``): filters, paging and defaults as Alpaca documents them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from livekit.broker.venue import shapes
from livekit.broker.venue.engine.account import PositionView, account_view, position_view
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.identity import server_id
from livekit.broker.venue.engine.records import Activity, Order
from livekit.broker.venue.engine.refusals import Refusal, invalid, not_found
from livekit.broker.venue.engine.state import VenueState
from livekit.broker.venue.wire import Answer, Request, json_answer, refusal_body
from livekit.sessions import FIRST_DAY, LAST_DAY, exchange_time, sessions_between

__all__ = ["ROUTES"]

ORDERS_DEFAULT, ORDERS_MOST = 50, 500
ACTIVITIES_MOST = 100
OTHER_ACTIVITIES = {"SPLIT", "CIL", "NC", "MA"}
HISTORY_DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}


# ---------------------------------------------------------------------------------------- orders


def submit_order(engine: Engine, request: Request) -> Answer:
    """``POST /v2/orders``: the order as it was accepted, before it meets the market."""
    order = engine.submit(request.json())
    return _order_answer(engine, order, _legs(engine, order))


def _order_answer(engine: Engine, order: Order, legs: list[Order] | None = None) -> Answer:
    return Answer(200, _order_text(engine, order, legs).encode())


def _order_text(engine: Engine, order: Order, legs: list[Order] | None = None) -> str:
    return shapes.order_text(order, engine.market.asset_id(order.ticker), legs)


def _legs(engine: Engine, order: Order) -> list[Order]:
    return engine.state.legs.get(order.order_id, [])


def list_orders(engine: Engine, request: Request) -> Answer:
    """``GET /v2/orders``.

    ``held`` is not an open status; nested, a group is listed by its parent's status alone.
    """
    nested = request.flag("nested")
    status = request.choice("status", ("open", "closed", "all"), "open")
    newest_first = request.choice("direction", ("asc", "desc"), "desc") == "desc"
    limit = request.whole("limit", ORDERS_DEFAULT, low=1, high=ORDERS_MOST)
    wanted = _wanted_orders(engine, request, status)
    chosen = (
        order
        for order in _listed(engine.state, status, newest_first=newest_first)
        if wanted(order) and not (nested and order.parent_id is not None)
    )
    texts = [
        _order_text(engine, order, _legs(engine, order) if nested else None)
        for order in islice(chosen, limit)
    ]
    return Answer(200, f"[{','.join(texts)}]".encode())


def _listed(state: VenueState, status: str, *, newest_first: bool) -> Iterable[Order]:
    """The orders among which a status is looked for, by submission."""
    if status != "open":
        listed = state.by_submission.values()
        return reversed(listed) if newest_first else listed
    return sorted(
        state.working_orders(),
        key=lambda order: (order.submitted_at, order.number),
        reverse=newest_first,
    )


def _wanted_orders(engine: Engine, request: Request, status: str) -> Callable[[Order], bool]:
    """The filters of a list of orders as one question to an order."""
    after, until = request.instant("after"), request.instant("until")
    low, high = _number_of(engine, request, "after_order_id"), None
    if request.text("before_order_id"):
        high = _number_of(engine, request, "before_order_id")
    _check_bounds([after or until, low, high])
    equities = request.text("asset_class", "us_equity") in ("us_equity", "all")
    symbols, side = set(request.words("symbols")), request.text("side")

    def wanted(order: Order) -> bool:
        return (
            equities
            and (status != "open" or order.status != "held")
            and (status != "closed" or order.is_terminal)
            and (not symbols or order.ticker in symbols)
            and (not side or order.side == side)
            and (after is None or order.submitted_at > after)
            and (until is None or order.submitted_at < until)
            and (low is None or order.number > low)
            and (high is None or order.number < high)
        )

    return wanted


def _check_bounds(bounds: list[object]) -> None:
    if sum(bound is not None for bound in bounds) > 1:
        raise invalid("before_order_id and after_order_id exclude each other and after and until")


def _number_of(engine: Engine, request: Request, name: str) -> int | None:
    order_id = request.text(name)
    return _order(engine, order_id).number if order_id else None


def _order(engine: Engine, order_id: str) -> Order:
    order = engine.state.orders.get(order_id)
    if order is None:
        raise not_found(f"order not found for {order_id}")
    return order


def get_order(engine: Engine, request: Request) -> Answer:
    """``GET /v2/orders/{id}``; legs only when ``nested``."""
    order = _order(engine, request.captured["id"])
    legs = _legs(engine, order) if request.flag("nested") else None
    return _order_answer(engine, order, legs)


def get_order_by_client_id(engine: Engine, request: Request) -> Answer:
    """``GET /v2/orders:by_client_order_id``, in any status."""
    client_id = request.text("client_order_id")
    order = engine.state.by_client_id.get(client_id)
    if order is None:
        raise not_found(f"order not found for {client_id}")
    return _order_answer(engine, order)


def replace_order(engine: Engine, request: Request) -> Answer:
    """``PATCH /v2/orders/{id}``: a new order that replaces the old one."""
    order = _order(engine, request.captured["id"])
    return _order_answer(engine, engine.replace(order, request.json()))


def cancel_order(engine: Engine, request: Request) -> Answer:
    """``DELETE /v2/orders/{id}``: 204 means requested, not done."""
    engine.cancel(_order(engine, request.captured["id"]))
    return Answer(204)


def cancel_all_orders(engine: Engine, _request: Request) -> Answer:
    """``DELETE /v2/orders``: every order that is open, and what became of each."""
    outcomes = []
    for order in engine.state.working_orders():
        if order.is_terminal or order.status == "held":
            continue
        outcomes.append(_cancel_outcome(engine, order))
    return json_answer(outcomes, 207)


def _cancel_outcome(engine: Engine, order: Order) -> dict[str, Any]:
    try:
        engine.cancel(order)
    except Refusal as refusal:
        return {"id": order.order_id, "status": refusal.status, "body": refusal_body(refusal)}
    return {"id": order.order_id, "status": 200}


# ------------------------------------------------------------------------------------- positions


def list_positions(engine: Engine, _request: Request) -> Answer:
    """``GET /v2/positions``."""
    views = (
        position_view(engine.state, engine.market, ticker)
        for ticker in sorted(engine.state.positions)
    )
    texts = [_position_text(engine, view) for view in views if view is not None]
    return Answer(200, f"[{','.join(texts)}]".encode())


def _position_text(engine: Engine, view: PositionView) -> str:
    return shapes.position_text(view, engine.market.asset_id(view.position.ticker))


def get_position(engine: Engine, request: Request) -> Answer:
    """``GET /v2/positions/{symbol or asset id}``; 404 when flat."""
    ticker = _ticker(engine, request.captured["id"])
    view = position_view(engine.state, engine.market, ticker)
    if view is None:
        raise not_found("position does not exist")
    return Answer(200, _position_text(engine, view).encode())


def _ticker(engine: Engine, name: str) -> str:
    ticker = engine.market.ticker_of(name, engine.now)
    if ticker is None:
        raise not_found(f"symbol not found: {name}")
    return ticker


def close_position(engine: Engine, request: Request) -> Answer:
    """``DELETE /v2/positions/{symbol}``: a market order; it cancels no other order."""
    ticker = _ticker(engine, request.captured["id"])
    held = engine.state.held(ticker)
    if not held:
        raise not_found("position does not exist")
    if request.text("qty") and request.text("percentage"):
        raise invalid("only one of qty or percentage is accepted")
    quantity: Decimal | str = Decimal(abs(held))
    if request.text("qty"):
        quantity = request.text("qty")
    elif request.text("percentage"):
        quantity = _percentage(request.text("percentage"), abs(held))
    return _order_answer(engine, _close(engine, ticker, quantity))


def _close(engine: Engine, ticker: str, quantity: Decimal | str) -> Order:
    """Send the closing order; its refusal names no related orders."""
    side = "sell" if engine.state.held(ticker) > 0 else "buy"
    try:
        return engine.submit(
            {
                "symbol": ticker,
                "qty": quantity,
                "side": side,
                "type": "market",
                "time_in_force": "day",
            }
        )
    except Refusal as refusal:
        refusal.extras.pop("related_orders", None)
        raise


def _percentage(text: str, held: int) -> Decimal:
    try:
        percent = Decimal(text)
    except ArithmeticError:
        raise invalid("invalid percentage") from None
    if not 0 < percent <= 100:
        raise invalid("percentage must be between 0 and 100")
    return percent * held / 100


def close_all_positions(engine: Engine, request: Request) -> Answer:
    """``DELETE /v2/positions``: every position at market, optionally after cancelling orders."""
    if request.flag("cancel_orders"):
        cancel_all_orders(engine, request)
    tickers = sorted(ticker for ticker in engine.state.positions if engine.state.held(ticker))
    return json_answer([_close_outcome(engine, ticker) for ticker in tickers], 207)


def _close_outcome(engine: Engine, ticker: str) -> dict[str, Any]:
    try:
        order = _close(engine, ticker, Decimal(abs(engine.state.held(ticker))))
    except Refusal as refusal:
        return {"symbol": ticker, "status": refusal.status, "body": refusal_body(refusal)}
    return {"symbol": ticker, "status": 200, "body": json.loads(_order_text(engine, order))}


# --------------------------------------------------------------------------------------- account


def get_account(engine: Engine, _request: Request) -> Answer:
    """``GET /v2/account``."""
    return json_answer(shapes.account_json(engine, account_view(engine.state, engine.market)))


def list_activities(engine: Engine, request: Request) -> Answer:
    """``GET /v2/account/activities[/{type}]``: pages follow the id of the last row."""
    kinds = set(request.captured.get("kind", "").split(",")) - {""} or set(
        request.words("activity_types")
    )
    if kinds and request.text("category"):
        raise invalid("activity_types and category exclude each other")
    kinds |= _category(request)
    size = request.whole("page_size", ACTIVITIES_MOST, low=1, high=ACTIVITIES_MOST)
    newest_first = request.choice("direction", ("asc", "desc"), "desc") == "desc"
    rows = _from_token(engine, request.text("page_token"), newest_first=newest_first)
    wanted = _wanted(request, kinds)
    most = None if request.text("date") else size
    account = server_id(engine.settings.seed, "account")
    page = islice((row for row in rows if wanted(row)), most)
    return json_answer([shapes.activity_json(row, account) for row in page])


def _category(request: Request) -> set[str]:
    category = request.choice("category", ("", "trade_activity", "non_trade_activity"), "")
    return {"": set(), "trade_activity": {"FILL"}, "non_trade_activity": OTHER_ACTIVITIES}[category]


def _wanted(request: Request, kinds: set[str]) -> Callable[[Activity], bool]:
    """The filters of a list of activities as one question to an activity."""
    after, until = request.instant("after"), request.instant("until", day_end=True)
    day, order_id = request.day("date"), request.text("order_id")

    def wanted(row: Activity) -> bool:
        return (
            (not kinds or row.kind in kinds)
            and (after is None or row.at > after)
            and (until is None or row.at <= until)
            and (day is None or exchange_time(row.at).date() == day)
            and (not order_id or row.order_id == order_id)
        )

    return wanted


def _from_token(engine: Engine, token: str, *, newest_first: bool) -> Iterator[Activity]:
    """The activities that follow the row of this id; all of them without one."""
    rows = engine.state.activities
    number = engine.state.activity_numbers.get(token) if token else None
    if token and number is None:
        raise invalid("invalid page_token")
    if newest_first:
        return islice(reversed(rows), 0 if number is None else len(rows) - number + 1, None)
    return islice(rows, number or 0, None)


def portfolio_history(engine: Engine, request: Request) -> Answer:
    """``GET /v2/account/portfolio/history`` in daily points (equity at each close)."""
    request.choice("timeframe", ("1D", "1Min", "5Min", "15Min", "1H"), "1D")
    if all(request.text(name) for name in ("start", "end", "period")):
        raise invalid("only two of start, end and period are accepted")
    period = request.text("period", "1M")
    count, unit = period[:-1], period[-1:]
    if unit not in HISTORY_DAYS or not count.isascii() or not count.isdigit() or len(count) > 4:
        raise invalid("invalid period")
    today = exchange_time(engine.now).date()
    first = request.day("start") or today - timedelta(days=int(count) * HISTORY_DAYS[unit])
    last = request.day("end") or today
    before = [point for point in engine.state.closes if point.session < first]
    points = [point for point in engine.state.closes if first <= point.session <= last]
    base = before[-1].equity_usd if before else engine.state.opening_cash_usd
    return json_answer(shapes.history_json(points, base))


def account_configurations(_engine: Engine, _request: Request) -> Answer:
    """``GET /v2/account/configurations``: long only, whole shares."""
    return json_answer(
        {
            "fractional_trading": False,
            "max_margin_multiplier": "4",
            "no_shorting": True,
            "suspend_trade": False,
            "trade_confirm_email": "none",
            "ptp_no_exception_entry": False,
        }
    )


# ------------------------------------------------------------------------------ clock and assets


def get_clock(engine: Engine, _request: Request) -> Answer:
    """``GET /v2/clock``."""
    return json_answer(shapes.clock_json(engine.now))


def get_calendar(_engine: Engine, request: Request) -> Answer:
    """``GET /v2/calendar``: sessions from ``start`` to ``end``, both included."""
    first = max(FIRST_DAY, request.day("start") or FIRST_DAY)
    last = min(LAST_DAY - timedelta(days=10), request.day("end") or date.max)
    sessions = sessions_between(first, last) if first <= last else ()
    return json_answer([shapes.calendar_json(session) for session in sessions])


def list_assets(engine: Engine, request: Request) -> Answer:
    """``GET /v2/assets``: the tickers that have begun to trade, inactive ones too."""
    status = request.choice("status", ("active", "inactive", "all"), "all")
    wanted = request.text("asset_class", "us_equity") == "us_equity"
    wanted &= request.text("exchange", shapes.EXCHANGE) == shapes.EXCHANGE
    market, now = engine.market, engine.now
    listed = [ticker for ticker in market.history if market.is_listed(ticker, now)]
    rows = [_asset_json(engine, ticker) for ticker in listed if wanted]
    return json_answer([row for row in rows if status in ("all", row["status"])])


def _asset_json(engine: Engine, ticker: str) -> dict[str, Any]:
    market = engine.market
    active = market.is_active(ticker, engine.now)
    return shapes.asset_json(ticker, market.asset_id(ticker), active=active)


def get_asset(engine: Engine, request: Request) -> Answer:
    """``GET /v2/assets/{symbol, id or CUSIP}``."""
    return json_answer(_asset_json(engine, _ticker(engine, request.captured["id"])))


ROUTES = (
    ("POST", "/v2/orders", submit_order),
    ("GET", "/v2/orders", list_orders),
    ("DELETE", "/v2/orders", cancel_all_orders),
    ("GET", "/v2/orders:by_client_order_id", get_order_by_client_id),
    ("GET", "/v2/orders/{id}", get_order),
    ("PATCH", "/v2/orders/{id}", replace_order),
    ("DELETE", "/v2/orders/{id}", cancel_order),
    ("GET", "/v2/positions", list_positions),
    ("DELETE", "/v2/positions", close_all_positions),
    ("GET", "/v2/positions/{id}", get_position),
    ("DELETE", "/v2/positions/{id}", close_position),
    ("GET", "/v2/account", get_account),
    ("GET", "/v2/account/configurations", account_configurations),
    ("GET", "/v2/account/activities", list_activities),
    ("GET", "/v2/account/activities/{kind}", list_activities),
    ("GET", "/v2/account/portfolio/history", portfolio_history),
    ("GET", "/v2/clock", get_clock),
    ("GET", "/v2/calendar", get_calendar),
    ("GET", "/v2/assets", list_assets),
    ("GET", "/v2/assets/{id}", get_asset),
)
