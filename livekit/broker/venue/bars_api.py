"""``GET /v2/stocks/bars``: daily bars as of the venue's clock, adjusted, filtered and paged.

Only daily bars are held; the consolidated and the IEX feed carry the same ones.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from livekit.broker.venue.adjusting import ADJUSTMENTS
from livekit.broker.venue.bar_text import bar_texts, midnight
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.wire import Answer, Request, data_refusal, feed_of, symbols_of
from livekit.model import DailyBars
from livekit.sessions import exchange_time

__all__ = ["ROUTES"]

DAILY = frozenset({"1Day", "1D", "24Hour", "24H"})
BARS_DEFAULT, BARS_MOST = 1000, 10_000
SIP_DELAY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a page is cut from: sessions ``first`` to ``last``, in this order, after ``token``."""

    adjustment: str
    first: date
    last: date
    newest_first: bool
    after: tuple[str, date] | None

    def span(self, bars: DailyBars) -> range:
        """Positions of the wanted bars, ascending."""
        first, last = self.first, self.last
        if self.after is not None and self.after[0] == bars.ticker:
            day = timedelta(days=1)
            if self.newest_first:
                last = min(last, self.after[1] - day)
            else:
                first = max(first, self.after[1] + day)
        start = int(np.searchsorted(bars.sessions, np.datetime64(first, "D")))
        stop = int(np.searchsorted(bars.sessions, np.datetime64(last, "D"), side="right"))
        return range(start, max(start, stop))


def list_bars(engine: Engine, request: Request) -> Answer:
    """Bars by symbol, then time; the limit counts bars over all symbols."""
    if request.text("timeframe") not in DAILY:
        raise data_refusal(f"invalid timeframe: {request.text('timeframe')}: daily bars are held")
    limit = request.whole("limit", BARS_DEFAULT, low=1, high=BARS_MOST)
    symbols, wanted = symbols_of(request), _wanted(engine, request)
    found, token = _page(engine, symbols, wanted, limit)
    if "symbol" in request.captured:
        (symbol,) = symbols
        rows = ",".join(found.get(symbol, []))
        body = f'{{"symbol":"{symbol}","bars":[{rows}],"next_page_token":{json.dumps(token)}}}'
    else:
        groups = ",".join(f'"{name}":[{",".join(rows)}]' for name, rows in found.items())
        body = f'{{"bars":{{{groups}}},"next_page_token":{json.dumps(token)}}}'
    return Answer(200, body.encode())


def _page(
    engine: Engine, symbols: list[str], wanted: _Wanted, limit: int
) -> tuple[dict[str, list[str]], str | None]:
    found: dict[str, list[str]] = {}
    last: tuple[str, date] | None = None
    for symbol in symbols:
        if wanted.after and symbol < wanted.after[0]:
            continue
        if not engine.market.is_listed(symbol, engine.now):
            continue
        bars = engine.market.visible(symbol, engine.now)
        span = wanted.span(bars)
        if span and limit == 0 and last is not None:
            return found, _write_token(*last)
        chosen = span[max(0, len(span) - limit) :] if wanted.newest_first else span[:limit]
        if not chosen:
            continue
        found[symbol] = _rows(engine, bars, chosen, wanted)
        limit -= len(chosen)
        last = symbol, bars.sessions[chosen[0 if wanted.newest_first else -1]].astype(object)
        if len(chosen) < len(span):
            return found, _write_token(*last)
    return found, None


def _rows(engine: Engine, bars: DailyBars, chosen: range, wanted: _Wanted) -> list[str]:
    phase = engine.market.phase(engine.now)
    unfinished = phase.is_open and bars.index_of(phase.day) >= 0
    texts = bar_texts(engine.market.history)
    rows = texts.rows(bars, wanted.adjustment, chosen, len(bars) - int(unfinished))
    return rows[::-1] if wanted.newest_first else rows


def _wanted(engine: Engine, request: Request) -> _Wanted:
    delayed = feed_of(request) == "sip" and engine.settings.data_plan == "basic"
    recent = engine.now - SIP_DELAY
    start, end = request.instant("start"), request.instant("end")
    if end is None:
        end = recent if delayed else engine.now
    elif delayed and end > recent:
        raise data_refusal("subscription does not permit querying recent SIP data", status=403)
    first = exchange_time(engine.now).date() if start is None else _first_day(start)
    return _Wanted(
        adjustment=request.choice("adjustment", ADJUSTMENTS, "raw"),
        first=first,
        last=exchange_time(end).date(),
        newest_first=request.choice("sort", ("asc", "desc"), "asc") == "desc",
        after=_read_token(request.text("page_token")),
    )


def _first_day(start: datetime) -> date:
    """The first day whose bar is not stamped before ``start``."""
    day = exchange_time(start).date()
    return day if midnight(day) >= start else day + timedelta(days=1)


def _write_token(symbol: str, day: date) -> str:
    return base64.urlsafe_b64encode(f"{symbol}|D|{day.isoformat()}".encode()).decode()


def _read_token(token: str) -> tuple[str, date] | None:
    if not token:
        return None
    try:
        symbol, kind, day = base64.urlsafe_b64decode(token.encode()).decode().split("|")
        if kind == "D":
            return symbol, date.fromisoformat(day)
    except (ValueError, binascii.Error):
        raise _bad_token() from None
    raise _bad_token()


def _bad_token() -> Refusal:
    return data_refusal("invalid page token")


ROUTES = (
    ("GET", "/v2/stocks/bars", list_bars),
    ("GET", "/v2/stocks/{symbol}/bars", list_bars),
)
