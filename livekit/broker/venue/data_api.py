"""Latest trades and quotes, as of the venue's clock.

The path has no spread: bid, ask and last trade are one price.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from livekit.broker.venue.engine.engine import Engine
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

__all__ = ["ROUTES"]

Row = dict[str, Any]


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
        if engine.market.is_listed(symbol, engine.now):
            trade = engine.market.last_trade(symbol, engine.now)
            if trade is not None:
                yield symbol, trade


def _trade_json(trade: TradeStamp) -> Row:
    base: Row = {"t": stamp(trade.at), "x": "V", "p": trade.price, "s": 100}
    return base | {"c": ["@"], "i": 1, "z": "A"}


def _quote_json(trade: TradeStamp) -> Row:
    ask: Row = {"t": stamp(trade.at), "ax": "V", "ap": trade.price, "as": 1}
    return ask | {"bx": "V", "bp": trade.price, "bs": 1, "c": ["R"], "z": "A"}


ROUTES = (
    ("GET", "/v2/stocks/trades/latest", latest_trades),
    ("GET", "/v2/stocks/{symbol}/trades/latest", latest_trades),
    ("GET", "/v2/stocks/quotes/latest", latest_quotes),
    ("GET", "/v2/stocks/{symbol}/quotes/latest", latest_quotes),
)
