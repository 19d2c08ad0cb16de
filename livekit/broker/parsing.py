"""From the venue's JSON to the package's values.

Tolerant where the venue may say something new: additional keys and unknown statuses, classes or
types pass as text. Strict where a wrong reading costs money: a number, an instant or an id that
is absent or malformed raises `UnreadableError`, which names the field and never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple, TypeVar, cast

from livekit.model import (
    Account,
    Asset,
    Side,
    Split,
    TradePrint,
    VenueCashEntry,
    VenueClock,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from livekit.sessions import EXCHANGE_ZONE

__all__ = [
    "CalendarDay",
    "UnreadableError",
    "VenueBar",
    "account",
    "asset",
    "bars",
    "calendar",
    "cash_entries",
    "clock",
    "fills",
    "mapping",
    "order",
    "orders",
    "page_token",
    "positions",
    "splits",
    "trades",
]

T = TypeVar("T")
Raw = Mapping[str, Any]

_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)


class UnreadableError(ValueError):
    """An answer is not what it should be; the text names what and where."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


class VenueBar(NamedTuple):
    """A daily bar; prices in USD on the basis that was asked for, volume in shares."""

    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float


class CalendarDay(NamedTuple):
    """A session of the venue's calendar; opening and closing instants in UTC."""

    session: date
    open: datetime
    close: datetime


# ----------------------------------------------------------------------------------- the answers


def account(raw: object) -> Account:
    """The answer of ``/account``; any of the venue's blocks counts as ``trading_blocked``."""
    row = mapping(raw, "account")
    blocks = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
    return Account(
        account_number=_text(row, "account_number", default=_text(row, "id")),
        status=_text(row, "status"),
        cash=_decimal(row, "cash"),
        equity=_decimal(row, "equity"),
        buying_power=_decimal(row, "buying_power"),
        trading_blocked=any(_flag(row, name) for name in blocks),
    )


def asset(raw: object) -> Asset:
    """The answer of ``/assets/{ticker}``."""
    row = mapping(raw, "asset")
    return Asset(
        ticker=_text(row, "symbol"),
        asset_id=_text(row, "id"),
        tradable=_flag(row, "tradable"),
        status=_text(row, "status"),
    )


def positions(raw: object) -> tuple[VenuePosition, ...]:
    """The answer of ``/positions``."""
    return _each(raw, "positions", _position)


def clock(raw: object) -> VenueClock:
    """The answer of ``/clock``."""
    row = mapping(raw, "clock")
    if type(row.get("is_open")) is not bool:
        raise UnreadableError("clock.is_open", "is not true or false")
    return VenueClock(
        timestamp=_instant(row, "timestamp"),
        is_open=row["is_open"],
        next_open=_instant(row, "next_open"),
        next_close=_instant(row, "next_close"),
    )


def calendar(raw: object) -> tuple[CalendarDay, ...]:
    """The answer of ``/calendar``, whose times of day are New York's."""
    return _each(raw, "calendar", _calendar_day)


def orders(raw: object) -> tuple[VenueOrder, ...]:
    """The answer of ``/orders``."""
    return _each(raw, "orders", order)


def order(raw: object) -> VenueOrder:
    """One order with its legs.

    An order by notional has no quantity of its own and is shown with what it has filled.
    """
    row = mapping(raw, "order")
    filled = _decimal(row, "filled_qty")
    quantity = _optional_decimal(row, "qty")
    return VenueOrder(
        order_id=_text(row, "id"),
        client_order_id=_text(row, "client_order_id", default=""),
        ticker=_text(row, "symbol", default=""),
        side=_side(row),
        order_type=_text(row, "type", default=_text(row, "order_type", default="")),
        order_class=_text(row, "order_class", default="") or "simple",
        time_in_force=_text(row, "time_in_force", default=""),
        status=_text(row, "status"),
        quantity=filled if quantity is None else quantity,
        filled_quantity=filled,
        filled_average_price=_optional_decimal(row, "filled_avg_price"),
        stop_price=_optional_decimal(row, "stop_price"),
        limit_price=_optional_decimal(row, "limit_price"),
        submitted_at=_optional_instant(row, "submitted_at"),
        created_at=_optional_instant(row, "created_at"),
        expires_at=_optional_instant(row, "expires_at"),
        replaced_by=_text(row, "replaced_by", default="") or None,
        replaces=_text(row, "replaces", default="") or None,
        legs=() if row.get("legs") is None else orders(row["legs"]),
    )


def fills(raw: object) -> tuple[VenueFill, ...]:
    """The answer of ``/account/activities/FILL``."""
    return _each(raw, "activities", _fill)


def cash_entries(raw: object) -> tuple[VenueCashEntry, ...]:
    """The answer of ``/account/activities`` for what is no trade; a split's amount is 0."""
    return _each(raw, "activities", _cash_entry)


def trades(raw: object) -> tuple[TradePrint, ...]:
    """The answer of ``/stocks/trades/latest``; tickers without a trade are absent."""
    by_ticker = mapping(_field(mapping(raw, "latest trades"), "trades", default={}), "trades")
    return tuple(_trade(ticker, row) for ticker, row in by_ticker.items() if row is not None)


def bars(raw: object) -> dict[str, tuple[VenueBar, ...]]:
    """One page of ``/stocks/bars``; ``"bars": null`` is an empty page."""
    by_ticker = mapping(_field(mapping(raw, "bars"), "bars", default={}), "bars")
    return {ticker: _each(rows, f"bars.{ticker}", _bar) for ticker, rows in by_ticker.items()}


def splits(raw: object) -> tuple[Split, ...]:
    """One page of ``/corporate-actions``: forward and reverse splits, others are passed over."""
    actions = mapping(
        _field(mapping(raw, "corporate actions"), "corporate_actions", default={}),
        "corporate_actions",
    )
    kinds = ("forward_splits", "reverse_splits")
    return tuple(
        split for kind in kinds for split in _each(_field(actions, kind, default=[]), kind, _split)
    )


def page_token(raw: object) -> str | None:
    """The token of the next page, None on the last one."""
    return _text(mapping(raw, "page"), "next_page_token", default="") or None


# ------------------------------------------------------------------------------------ their rows


def _position(raw: object) -> VenuePosition:
    row = mapping(raw, "position")
    return VenuePosition(
        ticker=_text(row, "symbol"),
        quantity=_decimal(row, "qty"),
        quantity_available=_decimal(row, "qty_available"),
        average_entry_price=_decimal(row, "avg_entry_price"),
        current_price=_optional_decimal(row, "current_price"),
        asset_id=_text(row, "asset_id", default=""),
    )


def _calendar_day(raw: object) -> CalendarDay:
    row = mapping(raw, "calendar day")
    session = _date(row, "date")
    return CalendarDay(session, _exchange_instant(row, "open"), _exchange_instant(row, "close"))


def _exchange_instant(row: Raw, name: str) -> datetime:
    try:
        at = time.fromisoformat(_text(row, name))
    except ValueError:
        raise UnreadableError(name, f"{row[name]!r} is not a time of day") from None
    return datetime.combine(_date(row, "date"), at, EXCHANGE_ZONE).astimezone(UTC)


def _fill(raw: object) -> VenueFill:
    row = mapping(raw, "fill")
    return VenueFill(
        activity_id=_text(row, "id"),
        order_id=_text(row, "order_id"),
        ticker=_text(row, "symbol"),
        side=_side(row),
        quantity=_decimal(row, "qty"),
        price=_decimal(row, "price"),
        at=_instant(row, "transaction_time"),
    )


def _cash_entry(raw: object) -> VenueCashEntry:
    row = mapping(raw, "activity")
    return VenueCashEntry(
        activity_id=_text(row, "id"),
        kind=_text(row, "activity_type"),
        ticker=_text(row, "symbol", default="") or None,
        amount=_optional_decimal(row, "net_amount") or Decimal(0),
    )


def _trade(ticker: str, raw: object) -> TradePrint:
    row = mapping(raw, f"trades.{ticker}")
    return TradePrint(ticker=ticker, price=_decimal(row, "p"), at=_instant(row, "t"))


def _bar(raw: object) -> VenueBar:
    row = mapping(raw, "bar")
    return VenueBar(
        _session_of(_text(row, "t")),
        _float(row, "o"),
        _float(row, "h"),
        _float(row, "l"),
        _float(row, "c"),
        _float(row, "v"),
    )


def _split(raw: object) -> Split:
    row = mapping(raw, "split")
    new, old = _decimal(row, "new_rate"), _decimal(row, "old_rate")
    if new <= 0 or old <= 0:
        raise UnreadableError("split", f"rates {new} for {old}")
    return Split(_text(row, "symbol"), _date(row, "ex_date"), float(new) / float(old))


def _side(row: Raw) -> Side:
    """``sell_short`` is a sale; a side never heard of passes as text and counts as neither."""
    side = _text(row, "side", default="")
    return cast("Side", {"sell_short": "sell", "buy_to_cover": "buy"}.get(side, side))


# ------------------------------------------------------------------------------------ their parts


def mapping(raw: object, where: str) -> Raw:
    """``raw`` if it is a JSON object; raises `UnreadableError` otherwise."""
    if not isinstance(raw, dict):
        raise UnreadableError(where, "is not an object")
    return raw


def _each(raw: object, where: str, parse: Callable[[object], T]) -> tuple[T, ...]:
    if not isinstance(raw, list):
        raise UnreadableError(where, "is not a list")
    return tuple(parse(row) for row in raw)


def _field(row: Raw, name: str, *, default: object) -> object:
    value = row.get(name)
    return default if value is None else value


def _text(row: Raw, name: str, *, default: str | None = None) -> str:
    value = row.get(name)
    if isinstance(value, str) and (value or default is not None):
        return value
    if value is not None or default is None:
        raise UnreadableError(name, "is not a text" if value else "is absent")
    return default


def _flag(row: Raw, name: str) -> bool:
    value = row.get(name, False)
    if value is not None and type(value) is not bool:
        raise UnreadableError(name, "is not true or false")
    return bool(value)


def _decimal(row: Raw, name: str) -> Decimal:
    value = _optional_decimal(row, name)
    if value is None:
        raise UnreadableError(name, "is absent")
    return value


def _optional_decimal(row: Raw, name: str) -> Decimal | None:
    value = row.get(name)
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    number = _number(text)
    if number is None:
        raise UnreadableError(name, f"{text[:40]!r} is not a number")
    return number


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _float(row: Raw, name: str) -> float:
    """A JSON number as a float; bars come by the hundred thousand, so no `Decimal` between."""
    value = row.get(name)
    if type(value) is float and isfinite(value):
        return value
    if type(value) is int and abs(value) < 10**18:
        return float(value)
    raise UnreadableError(name, "is not a finite number")


@lru_cache(maxsize=4096)
def _session_of(stamp: str) -> date:
    return _instant({"t": stamp}, "t").astimezone(EXCHANGE_ZONE).date()


def _instant(row: Raw, name: str) -> datetime:
    value = _optional_instant(row, name)
    if value is None:
        raise UnreadableError(name, "is absent")
    return value


def _optional_instant(row: Raw, name: str) -> datetime | None:
    text = _text(row, name, default="")
    if not text:
        return None
    instant = _moment(text)
    if instant is None:
        raise UnreadableError(name, f"{text[:40]!r} is not an instant with a time zone")
    return instant


@lru_cache(maxsize=4096)
def _moment(text: str) -> datetime | None:
    try:
        stamp = datetime.fromisoformat(text)
        return stamp.astimezone(UTC) if stamp.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _date(row: Raw, name: str) -> date:
    text = _text(row, name)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UnreadableError(name, f"{text[:40]!r} is not a date") from None
