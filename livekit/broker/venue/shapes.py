"""The JSON objects of Alpaca's trading API: one function for each kind of row."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from livekit.broker.venue.engine.account import AccountView, PositionView
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.identity import server_id
from livekit.broker.venue.engine.records import Activity, EquityPoint, Order
from livekit.broker.venue.wire import ENCODER, amount, cents, stamp
from livekit.sessions import (
    EXCHANGE_ZONE,
    close_instant,
    exchange_time,
    next_session,
    open_instant,
    session_of,
    session_on_or_after,
)

__all__ = [
    "account_json",
    "activity_json",
    "asset_json",
    "calendar_json",
    "clock_json",
    "history_json",
    "order_text",
    "position_text",
]

EXCHANGE = "NYSE"
ZERO = Decimal(0)
SETTLEMENT = ((date(2024, 5, 28), 1), (date(2017, 9, 5), 2), (date.min, 3))


def order_text(order: Order, asset: str, legs: list[Order] | None = None) -> str:
    """An order in the asset of this id as JSON; ``legs`` only in nested answers, else null.

    It is written directly, because nearly every answer of the venue is an order. Ids, names and
    numbers hold nothing that JSON would escape: the venue takes or makes no others.
    """
    nested = ",".join([order_text(leg, asset) for leg in legs]) if legs else ""
    kind, at = order.type, order.filled_at if order.status == "filled" else None
    return (
        f'{{"id":"{order.order_id}","client_order_id":"{order.client_order_id}",'
        f'"created_at":{_at(order.created_at)},"updated_at":{_at(order.updated_at)},'
        f'"submitted_at":{_at(order.submitted_at)},"filled_at":{_at(at)},'
        f'"expired_at":{_at(order.expired_at)},"expires_at":{_at(order.expires_at)},'
        f'"canceled_at":{_at(order.canceled_at)},"failed_at":{_at(order.failed_at)},'
        f'"replaced_at":{_at(order.replaced_at)},"replaced_by":{_name(order.replaced_by)},'
        f'"replaces":{_name(order.replaces)},"asset_id":"{asset}","symbol":"{order.ticker}",'
        f'"asset_class":"us_equity","notional":null,"qty":"{order.qty}",'
        f'"filled_qty":"{order.filled_qty}",'
        f'"filled_avg_price":{_number(order.filled_average_price, 6)},'
        f'"order_class":"{"" if order.order_class == "simple" else order.order_class}",'
        f'"order_type":"{kind}","type":"{kind}","side":"{order.side}",'
        f'"position_intent":"{"buy_to_open" if order.side == "buy" else "sell_to_close"}",'
        f'"time_in_force":"{order.time_in_force}","limit_price":{_number(order.limit_price)},'
        f'"stop_price":{_number(order.stop_price)},"status":"{order.status}",'
        f'"extended_hours":{"true" if order.extended_hours else "false"},'
        f'"legs":{f"[{nested}]" if nested else "null"},'
        f'"trail_percent":{_number(order.trail_percent)},'
        f'"trail_price":{_number(order.trail_usd)},"hwm":{_number(order.high_water)},'
        f'"subtag":null,"source":null}}'
    )


def _at(instant: datetime | None) -> str:
    return "null" if instant is None else f'"{stamp(instant)}"'


def _name(text: str | None) -> str:
    return "null" if text is None else f'"{text}"'


def _number(value: Decimal | None, digits: int = 9) -> str:
    return "null" if value is None else f'"{amount(value, digits)}"'


def position_text(view: PositionView, asset: str) -> str:
    """A position in the asset of this id as JSON, negative when short.

    The ``*_plpc`` and ``change_today`` fields are fractions of one. The intraday figures compare
    with the last close for all shares, also those bought today.
    """
    held = view.position
    return _position_text(
        asset, held.ticker, held.qty, held.cost_usd, view.available, view.price, view.last_close
    )


@lru_cache(maxsize=1024)
def _position_text(
    asset: str,
    ticker: str,
    qty: int,
    cost: Decimal,
    available: int,
    price: Decimal | None,
    last: Decimal | None,
) -> str:
    """Positions are read far more often than they or their prices change."""
    value = None if price is None else qty * price
    profit = None if value is None else value - cost
    today = None if price is None or last is None else qty * (price - last)
    before = None if last is None else qty * last
    fields = {
        "asset_id": asset,
        "symbol": ticker,
        "exchange": EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": str(qty),
        "qty_available": str(available if qty > 0 else qty),
        "avg_entry_price": amount(cost / qty, 6),
        "side": "long" if qty > 0 else "short",
        "market_value": amount(value, 6),
        "cost_basis": amount(cost, 6),
        "unrealized_pl": amount(profit, 6),
        "unrealized_plpc": amount(_share(profit, cost)),
        "unrealized_intraday_pl": amount(today, 6),
        "unrealized_intraday_plpc": amount(_share(today, before)),
        "current_price": amount(price),
        "lastday_price": amount(last),
        "change_today": amount(_share(today, before)),
    }
    return ENCODER.encode(fields)


def _share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if part is None or not whole else part / abs(whole)


def account_json(engine: Engine, view: AccountView) -> dict[str, Any]:
    """The account; money as strings, in cents."""
    seed, state = engine.settings.seed, engine.state
    account_id = server_id(seed, "account")
    nets = 1 if engine.settings.cash_nets_open_buys else 0
    last_value = view.last_long_market_value_usd
    return {
        "id": account_id,
        "account_number": f"SIM{account_id.replace('-', '')[:9].upper()}",
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": cents(view.cash_usd - nets * view.open_buys_usd),
        "portfolio_value": cents(view.equity_usd),
        "equity": cents(view.equity_usd),
        "last_equity": cents(view.last_equity_usd),
        "buying_power": cents(view.buying_power_usd),
        "regt_buying_power": cents(view.regt_buying_power_usd),
        "non_marginable_buying_power": cents(view.non_marginable_buying_power_usd),
        "long_market_value": cents(view.long_market_value_usd),
        "short_market_value": cents(view.short_market_value_usd),
        "position_market_value": cents(view.long_market_value_usd + view.short_market_value_usd),
        "initial_margin": cents(view.initial_margin_usd),
        "maintenance_margin": cents(view.maintenance_margin_usd),
        "last_maintenance_margin": cents(last_value / 4),
        "sma": "0",
        "multiplier": "4",
        "accrued_fees": "0",
        "pending_reg_taf_fees": "0",
        "balance_asof": exchange_time(state.clock).date().isoformat(),
        "created_at": stamp(state.created_at),
        "trading_blocked": state.blocked,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "shorting_enabled": False,
    }


def activity_json(activity: Activity, account_id: str) -> dict[str, Any]:
    """A FILL row, or a row without a trade (SPLIT, CIL, NC, MA)."""
    common = {
        "id": activity.activity_id,
        "account_id": account_id,
        "activity_type": activity.kind,
        "symbol": activity.ticker,
        "qty": amount(activity.qty),
    }
    if activity.kind != "FILL":
        return common | {
            "date": exchange_time(activity.at).date().isoformat(),
            "net_amount": cents(activity.net_usd),
            "description": "",
            "status": "executed",
        }
    return common | {
        "transaction_time": stamp(activity.at),
        "type": "fill" if not activity.leaves_qty else "partial_fill",
        "price": amount(activity.price),
        "side": activity.side,
        "leaves_qty": str(activity.leaves_qty),
        "cum_qty": str(activity.cumulative_qty),
        "order_id": activity.order_id,
        "order_status": activity.order_status,
    }


def clock_json(now: datetime) -> dict[str, Any]:
    """The exchange's clock, in New York time."""
    session = session_on_or_after(exchange_time(now).date())
    opens, closes = open_instant(session), close_instant(session)
    is_open = opens <= now < closes
    next_open = opens if now < opens else open_instant(next_session(session))
    return {
        "timestamp": local(now),
        "is_open": is_open,
        "next_open": local(next_open),
        "next_close": local(close_instant(session_of(now))),
    }


def local(instant: datetime) -> str:
    """An instant in New York time with its offset."""
    return instant.astimezone(EXCHANGE_ZONE).isoformat()


def calendar_json(session: date) -> dict[str, str]:
    """One session; times of day in New York without a zone."""
    opens, closes = exchange_time(open_instant(session)), exchange_time(close_instant(session))
    return {
        "date": session.isoformat(),
        "open": opens.strftime("%H:%M"),
        "close": closes.strftime("%H:%M"),
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": _settlement(session).isoformat(),
    }


def _settlement(session: date) -> date:
    """T+3 before 2017-09-05, then T+2, T+1 from 2024-05-28."""
    days = next(days for since, days in SETTLEMENT if session >= since)
    for _ in range(days):
        session = next_session(session)
    return session


def asset_json(ticker: str, asset: str, *, active: bool) -> dict[str, Any]:
    """A listed or delisted stock: whole shares only, long only."""
    return {
        "id": asset,
        "class": "us_equity",
        "exchange": EXCHANGE,
        "symbol": ticker,
        "name": f"{ticker} (simulated)",
        "status": "active" if active else "inactive",
        "tradable": active,
        "marginable": active,
        "shortable": False,
        "easy_to_borrow": False,
        "borrow_status": "not_available",
        "fractionable": False,
        "margin_requirement_long": "25",
        "margin_requirement_short": "100",
        "maintenance_margin_requirement": 25,
        "attributes": [],
    }


def history_json(points: list[EquityPoint], base: Decimal) -> dict[str, Any]:
    """Equity at each close against ``base`` (USD), stamped 00:00 UTC of its session."""
    profits = [point.equity_usd - base for point in points]
    return {
        "timestamp": [_epoch(point.session) for point in points],
        "equity": [float(round(point.equity_usd, 2)) for point in points],
        "profit_loss": [float(round(profit, 2)) for profit in profits],
        "profit_loss_pct": [float(round(profit / base, 9)) for profit in profits],
        "base_value": float(round(base, 2)),
        "timeframe": "1D",
        "cashflow": {},
    }


def _epoch(session: date) -> int:
    return (session - date(1970, 1, 1)) // timedelta(days=1) * 86_400
