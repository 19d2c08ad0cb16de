"""Latest trades and quotes, and corporate actions, as of the venue's clock.

The path has no spread: bid, ask and last trade are one price.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np

from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import clean_ratio
from livekit.broker.venue.engine.identity import server_id
from livekit.broker.venue.engine.market import TradeStamp
from livekit.broker.venue.wire import (
    Answer,
    Request,
    data_refusal,
    feed_of,
    json_answer,
    stamp,
    symbols_of,
)
from livekit.sessions import exchange_time

__all__ = ["ROUTES"]

Row = dict[str, Any]

ACTIONS_DEFAULT, ACTIONS_MOST = 100, 1000
ANNOUNCED_AHEAD = timedelta(days=14)
FORWARD, REVERSE = "forward_splits", "reverse_splits"


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
        raise data_refusal(f"no {kind} found for {symbol}", status=404)
    return json_answer({"symbol": symbol, kind: found[symbol]})


def _latest(engine: Engine, request: Request) -> Iterator[tuple[str, TradeStamp]]:
    feed_of(request)
    for symbol in symbols_of(request):
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
    tickers = symbols_of(request) if request.text("symbols") else list(engine.market.history)
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
    ("GET", "/v2/stocks/trades/latest", latest_trades),
    ("GET", "/v2/stocks/{symbol}/trades/latest", latest_trades),
    ("GET", "/v2/stocks/quotes/latest", latest_quotes),
    ("GET", "/v2/stocks/{symbol}/quotes/latest", latest_quotes),
    ("GET", "/v1/corporate-actions", corporate_actions),
)
