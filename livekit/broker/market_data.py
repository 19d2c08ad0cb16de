"""Bars, latest trades and splits, asked for in batches and page by page.

alpaca-py's own paging follows a page token for ever and fails on ``"bars": null``, so only its
requests are used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TypeVar

from alpaca.common.rest import RESTClient

from livekit.broker import parsing
from livekit.broker.order_request import is_ticker
from livekit.broker.outcomes import Outcomes
from livekit.broker.parsing import VenueBar
from livekit.errors import UnknownParameter, VenueUnavailable
from livekit.model import Split, TradePrint
from livekit.sessions import EXCHANGE_ZONE

__all__ = ["ADJUSTMENTS", "MarketData"]

T = TypeVar("T")

ADJUSTMENTS = ("raw", "split", "dividend", "all")
FEEDS = ("iex", "sip")
TICKERS_A_REQUEST = 200
BARS_A_PAGE = 10_000
ACTIONS_A_PAGE = 1_000


class MarketData:
    """Market data of one feed. Tickers that the venue does not know are absent from answers."""

    def __init__(
        self, stocks: RESTClient, actions: RESTClient, outcomes: Outcomes, feed: str
    ) -> None:
        if feed not in FEEDS:
            raise UnknownParameter("data_feed", [f"{feed!r} is none of {', '.join(FEEDS)}"])
        self._stocks = stocks
        self._actions = actions
        self._outcomes = outcomes
        self._feed = feed

    def latest_trades(
        self, tickers: Sequence[str], *, patient: bool = True
    ) -> dict[str, TradePrint]:
        """The latest trade by ticker."""
        query = {"feed": self._feed}
        ask = _Question("latest trades", "/stocks/trades/latest", query, patient=patient)
        pages = self._pages(self._stocks, ask, tickers, parsing.trades)
        return {trade.ticker: trade for page in pages for trade in page}

    def daily_bars(
        self, tickers: Sequence[str], first: date, last: date, *, adjustment: str
    ) -> dict[str, tuple[VenueBar, ...]]:
        """Daily bars by ticker, oldest first, each bar once.

        A session of which two different bars are told has both, so that whoever reads them can see
        it. A daily bar is stamped with midnight in New York, so both bounds are midnights.
        """
        if adjustment not in ADJUSTMENTS:
            raise UnknownParameter("adjustment", [f"{adjustment!r} is unknown"])
        query = {
            "timeframe": "1Day",
            "start": _midnight(first),
            "end": _midnight(last),
            "adjustment": adjustment,
            "feed": self._feed,
            "limit": str(BARS_A_PAGE),
        }
        found: dict[str, set[VenueBar]] = {}
        ask = _Question("daily bars", "/stocks/bars", query)
        for page in self._pages(self._stocks, ask, tickers, parsing.bars):
            for ticker, bars in page.items():
                kept = (bar for bar in bars if first <= bar.session <= last)
                found.setdefault(ticker, set()).update(kept)
        return {
            ticker: tuple(sorted(bars, key=lambda bar: bar.session))
            for ticker, bars in found.items()
            if bars
        }

    def splits(
        self, tickers: Sequence[str], first: date, last: date, *, patient: bool = True
    ) -> tuple[Split, ...]:
        """Forward and reverse splits by ex-date, oldest first."""
        query = {
            "types": "forward_split,reverse_split",
            "start": first.isoformat(),
            "end": last.isoformat(),
            "limit": str(ACTIONS_A_PAGE),
        }
        ask = _Question("splits", "/corporate-actions", query, patient=patient)
        pages = self._pages(self._actions, ask, tickers, parsing.splits)
        found = {split for page in pages for split in page if first <= split.ex_session <= last}
        return tuple(sorted(found, key=lambda split: (split.ex_session, split.ticker)))

    def _pages(
        self,
        client: RESTClient,
        ask: _Question,
        tickers: Sequence[str],
        parse: Callable[[object], T],
    ) -> Iterator[T]:
        """All pages for all tickers; a ticker that the venue refuses is left out and asked no more.

        One unknown symbol makes the venue refuse the whole batch, before its first page.
        """
        for batch in _batches(tickers):
            left = list(batch)
            while left:
                try:
                    yield from list(self._batch_pages(client, ask, left, parse))
                except VenueUnavailable as error:
                    if (stranger := _stranger(error, left)) is None:
                        raise
                    left.remove(stranger)
                else:
                    break

    def _batch_pages(
        self,
        client: RESTClient,
        ask: _Question,
        tickers: Sequence[str],
        parse: Callable[[object], T],
    ) -> Iterator[T]:
        query = {**ask.query, "symbols": ",".join(tickers)}
        seen: set[str] = set()
        while True:
            page, token = self._outcomes.read(
                ask.what,
                lambda: client.get(ask.path, dict(query)),
                lambda raw: (parse(raw), parsing.page_token(raw)),
                patient=ask.patient,
            )
            yield page
            if token is None:
                return
            if token in seen:
                raise VenueUnavailable(ask.what, "the venue repeats a page")
            seen.add(token)
            query["page_token"] = token


@dataclass(frozen=True, slots=True)
class _Question:
    what: str
    path: str
    query: Mapping[str, str]
    patient: bool = True


def _batches(tickers: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Distinct tickers that are written like tickers, at most `TICKERS_A_REQUEST` at a time."""
    known = sorted({ticker for ticker in tickers if is_ticker(ticker)})
    for start in range(0, len(known), TICKERS_A_REQUEST):
        yield tuple(known[start : start + TICKERS_A_REQUEST])


def _stranger(error: VenueUnavailable, tickers: Sequence[str]) -> str | None:
    named = re.search(r"HTTP 400.*invalid symbol: ([A-Z0-9.]+)", str(error))
    return named[1] if named and named[1] in tickers else None


def _midnight(day: date) -> str:
    instant = datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(UTC)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
