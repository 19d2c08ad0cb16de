"""The market-data endpoints: daily bars, latest trades and quotes, corporate actions.

Everything is as of the venue's clock. Only daily bars are held; consolidated and IEX feed carry the
same ones. The path has no spread: bid, ask and last trade are one price.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from livekit.broker.venue.adjusting import ADJUSTMENTS, adjusted
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import clean_ratio
from livekit.broker.venue.engine.identity import server_id
from livekit.broker.venue.engine.market import TradeStamp
from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.wire import Answer, Request, json_answer, stamp
from livekit.model import DailyBars
from livekit.sessions import EXCHANGE_ZONE, exchange_time

__all__ = ["ROUTES"]

Row = dict[str, Any]

SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}(\.[A-Z]{1,3})?")
FEEDS = ("sip", "iex", "delayed_sip", "otc", "boats", "overnight")
BARS_DEFAULT, BARS_MOST = 1000, 10_000
ACTIONS_DEFAULT, ACTIONS_MOST = 100, 1000
SIP_DELAY = timedelta(minutes=15)
ANNOUNCED_AHEAD = timedelta(days=14)
FORWARD, REVERSE = "forward_splits", "reverse_splits"


def _refuse(status: int, message: str) -> Refusal:
    return Refusal(status, None, message)


def _symbols(request: Request) -> list[str]:
    given = request.captured.get("symbol") or request.text("symbols")
    symbols = sorted({symbol for symbol in given.split(",") if symbol})
    if not symbols:
        raise _refuse(400, "symbols is required")
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            raise _refuse(400, f"invalid symbol: {symbol}")
    return symbols


# ------------------------------------------------------------------------------------------ bars


def list_bars(engine: Engine, request: Request) -> Answer:
    """``GET /v2/stocks/bars``: by symbol, then time; the limit counts bars over all symbols."""
    if request.text("timeframe") not in ("1Day", "1D", "24Hour", "24H"):
        raise _refuse(400, f"invalid timeframe: {request.text('timeframe')}: daily bars are held")
    limit = request.whole("limit", BARS_DEFAULT, low=1, high=BARS_MOST)
    rows = list(islice(_bar_rows(engine, request, _symbols(request)), limit + 1))
    token = _write_token(rows[limit - 1]) if len(rows) > limit else None
    found: dict[str, list[Row]] = {}
    for symbol, row in rows[:limit]:
        found.setdefault(symbol, []).append(row)
    if "symbol" in request.captured:
        symbol = request.captured["symbol"]
        bars = {"symbol": symbol, "bars": found.get(symbol, [])}
        return json_answer(bars | {"next_page_token": token})
    return json_answer({"bars": found, "next_page_token": token})


def _bar_rows(engine: Engine, request: Request, symbols: list[str]) -> Iterator[tuple[str, Row]]:
    adjustment = request.choice("adjustment", ADJUSTMENTS, "raw")
    newest_first = request.choice("sort", ("asc", "desc"), "asc") == "desc"
    first, last = _window(engine, request)
    last_symbol, last_row = _read_token(request.text("page_token"))
    for symbol in symbols:
        if symbol < last_symbol or symbol not in engine.market.history:
            continue
        bars = adjusted(engine.market.visible(symbol, engine.now), adjustment)
        rows = [row for row in _rows_of(bars) if first <= row["t"] <= last]
        for row in reversed(rows) if newest_first else rows:
            seen = symbol == last_symbol and (
                row["t"] >= last_row if newest_first else row["t"] <= last_row
            )
            if not seen:
                yield symbol, row


def _window(engine: Engine, request: Request) -> tuple[str, str]:
    """First and last bar stamp asked for; stamps of midnights sort like their instants."""
    feed = request.choice("feed", FEEDS, "sip")
    delayed = feed == "sip" and engine.settings.data_plan == "basic"
    recent = engine.now - SIP_DELAY
    start, end = request.instant("start"), request.instant("end")
    if end is None:
        end = recent if delayed else engine.now
    elif delayed and end > recent:
        raise _refuse(403, "subscription does not permit querying recent SIP data")
    if start is None:
        start = _midnight(exchange_time(engine.now).date())
    return _second(start, up=True), _second(end, up=False)


def _second(instant: datetime, *, up: bool) -> str:
    whole = instant.replace(microsecond=0)
    if up and whole < instant:
        whole += timedelta(seconds=1)
    return str(stamp(whole))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


@lru_cache(maxsize=20_000)
def _bar_stamp(day: date) -> str:
    return str(stamp(_midnight(day)))


def _rows_of(bars: DailyBars) -> list[Row]:
    """Bars as objects. Trade count and mean price are made up: volume / 100 and typical price."""
    days = bars.sessions.astype(object).tolist()
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    values = zip(days, *(column.tolist() for column in columns), strict=True)
    return [
        {
            "t": _bar_stamp(day),
            "o": opened,
            "h": high,
            "l": low,
            "c": close,
            "v": int(volume),
            "n": int(volume / 100),
            "vw": (high + low + close) / 3,
        }
        for day, opened, high, low, close, volume in values
    ]


def _write_token(last: tuple[str, Row]) -> str:
    symbol, row = last
    return base64.urlsafe_b64encode(f"{symbol}|D|{row['t']}".encode()).decode()


def _read_token(token: str) -> tuple[str, str]:
    if not token:
        return "", ""
    try:
        symbol, kind, row = base64.urlsafe_b64decode(token.encode()).decode().split("|")
    except (ValueError, binascii.Error):
        raise _refuse(400, "invalid page token") from None
    if kind != "D":
        raise _refuse(400, "invalid page token")
    return symbol, row


# ---------------------------------------------------------------------------------- latest trade


def latest_trades(engine: Engine, request: Request) -> Answer:
    """``GET /v2/stocks/trades/latest``; a ticker that never traded is absent."""
    found = {symbol: _trade_json(trade) for symbol, trade in _latest(engine, request)}
    return _latest_answer(request, "trade", found)


def latest_quotes(engine: Engine, request: Request) -> Answer:
    """``GET /v2/stocks/quotes/latest``: bid and ask at the last trade."""
    found = {symbol: _quote_json(trade) for symbol, trade in _latest(engine, request)}
    return _latest_answer(request, "quote", found)


def _latest_answer(request: Request, kind: str, found: dict[str, Row]) -> Answer:
    symbol = request.captured.get("symbol")
    if symbol is None:
        return json_answer({f"{kind}s": found})
    if symbol not in found:
        raise _refuse(404, f"no {kind} found for {symbol}")
    return json_answer({"symbol": symbol, kind: found[symbol]})


def _latest(engine: Engine, request: Request) -> Iterator[tuple[str, TradeStamp]]:
    request.choice("feed", FEEDS, "sip")
    for symbol in _symbols(request):
        if symbol in engine.market.history:
            trade = engine.market.last_trade(symbol, engine.now)
            if trade is not None:
                yield symbol, trade


def _trade_json(trade: TradeStamp) -> Row:
    base: Row = {"t": stamp(trade.at), "x": "V", "p": trade.price, "s": 100}
    return base | {"c": ["@"], "i": 1, "z": "A"}


def _quote_json(trade: TradeStamp) -> Row:
    ask: Row = {"t": stamp(trade.at), "ax": "V", "ap": trade.price, "as": 1}
    return ask | {"bx": "V", "bp": trade.price, "bs": 1, "c": ["R"], "z": "A"}


# ----------------------------------------------------------------------------- corporate actions


def corporate_actions(engine: Engine, request: Request) -> Answer:
    """``GET /v1/corporate-actions``: splits, announced two weeks before their ex-date."""
    today = exchange_time(engine.now).date()
    first, last = request.day("start") or today, request.day("end") or today
    last = min(last, today + ANNOUNCED_AHEAD)
    wanted = set(request.words("types")) or {"forward_split", "reverse_split"}
    limit = request.whole("limit", ACTIONS_DEFAULT, low=1, high=ACTIONS_MOST)
    skip = request.whole("page_token", 0, low=0, high=10**8)
    tickers = _symbols(request) if request.text("symbols") else list(engine.market.history)
    found = [
        (kind, row)
        for ticker in tickers
        if ticker in engine.market.history
        for kind, row in _splits(engine, ticker, first, last)
        if kind.removesuffix("s") in wanted
    ]
    newest_first = request.choice("sort", ("asc", "desc"), "asc") == "desc"
    found.sort(key=lambda item: (item[1]["ex_date"], item[1]["symbol"]), reverse=newest_first)
    page = found[skip : skip + limit]
    groups: dict[str, list[Row]] = {}
    for kind, row in page:
        groups.setdefault(kind, []).append(row)
    more = str(skip + limit) if len(found) > skip + limit else None
    return json_answer({"corporate_actions": groups, "next_page_token": more})


def _splits(engine: Engine, ticker: str, first: date, last: date) -> Iterator[tuple[str, Row]]:
    bars = engine.market.history.bars(ticker)
    for row in np.flatnonzero(bars.split_ratio != 1.0):
        day: date = bars.sessions[row].astype(object)
        ratio = clean_ratio(float(bars.split_ratio[row]))
        if ratio is None or not first <= day <= last:
            continue
        cusip = server_id(0, ticker, "cusip").replace("-", "")[:9].upper()
        forward = ratio > 1
        ids = {"cusip": cusip} if forward else {"old_cusip": cusip, "new_cusip": cusip}
        yield (
            FORWARD if forward else REVERSE,
            {"id": server_id(0, ticker, day), "symbol": ticker}
            | ids
            | {"new_rate": ratio.numerator, "old_rate": ratio.denominator}
            | {name: day.isoformat() for name in ("process_date", "ex_date", "payable_date")},
        )


ROUTES = (
    ("GET", "/v2/stocks/bars", list_bars),
    ("GET", "/v2/stocks/{symbol}/bars", list_bars),
    ("GET", "/v2/stocks/trades/latest", latest_trades),
    ("GET", "/v2/stocks/{symbol}/trades/latest", latest_trades),
    ("GET", "/v2/stocks/quotes/latest", latest_quotes),
    ("GET", "/v2/stocks/{symbol}/quotes/latest", latest_quotes),
    ("GET", "/v1/corporate-actions", corporate_actions),
)
