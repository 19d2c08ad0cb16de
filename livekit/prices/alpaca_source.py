"""Daily bars from the broker's market data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from livekit.broker import AlpacaClient
from livekit.broker.parsing import VenueBar
from livekit.clock import Clock
from livekit.model import DailyBars, FloatArray, SessionArray, Split
from livekit.sessions import close_instant, sessions_between

__all__ = ["AlpacaPriceSource"]


class AlpacaPriceSource:
    """A `livekit.prices.source.PriceSource` over the broker's bars.

    Every question reads the raw and the fully adjusted series afresh, two requests for each 200
    tickers (pages permitting), and the splits: adjusted history changes with each split and
    dividend, so old and new rows are never mixed. ``adj_close`` is the close of the adjusted
    series. Dividends are contained in it and not listed: ``dividend_usd`` is zero throughout.

    The bar of a session that has not closed by ``clock`` is dropped. A ticker is absent when its
    two series do not cover the same sessions, or when a bar cannot be one (a price at or below
    zero, a low above its high, a day that is no session): nothing may be decided on it.
    """

    def __init__(self, client: AlpacaClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """Bars of ``tickers`` from ``first`` to ``last``, both included, oldest first.

        A ticker without usable bars is absent. Raises `livekit.errors.VenueUnavailable` when the
        broker does not answer.
        """
        days = _Days.between(first, last, self._clock.now())
        raw = self._client.daily_bars(tickers, first, last, adjustment="raw")
        adjusted = self._client.daily_bars(tickers, first, last, adjustment="all")
        splits = self._client.splits(tickers, first, last)
        found = {
            ticker: _combined(
                ticker,
                days.finished(bars),
                days.finished(adjusted.get(ticker, ())),
                [split for split in splits if split.ticker == ticker],
            )
            for ticker, bars in raw.items()
        }
        return {ticker: bars for ticker, bars in found.items() if bars is not None}


@dataclass(frozen=True, slots=True)
class _Days:
    sessions: frozenset[date]
    unfinished: frozenset[date]

    @classmethod
    def between(cls, first: date, last: date, now: datetime) -> _Days:
        sessions = sessions_between(first, last)
        return cls(frozenset(sessions), frozenset(s for s in sessions if close_instant(s) > now))

    def finished(self, bars: Sequence[VenueBar]) -> list[VenueBar] | None:
        """The bars of closed sessions; None if one of them cannot be a bar."""
        kept = [bar for bar in bars if bar.session not in self.unfinished]
        return kept if all(bar.session in self.sessions and _is_bar(bar) for bar in kept) else None


def _combined(
    ticker: str,
    raw: list[VenueBar] | None,
    adjusted: list[VenueBar] | None,
    splits: list[Split],
) -> DailyBars | None:
    if not raw or not adjusted:
        return None
    sessions = [bar.session for bar in raw]
    if sessions != [bar.session for bar in adjusted]:
        return None
    days = np.array(sessions, dtype="datetime64[D]")
    return DailyBars(
        ticker=ticker,
        sessions=days,
        open=_column([bar.open for bar in raw]),
        high=_column([bar.high for bar in raw]),
        low=_column([bar.low for bar in raw]),
        close=_column([bar.close for bar in raw]),
        adj_close=_column([bar.close for bar in adjusted]),
        volume=_column([bar.volume for bar in raw]),
        dividend_usd=np.zeros(len(raw)),
        split_ratio=_ratios(days, splits),
    )


def _is_bar(bar: VenueBar) -> bool:
    return (
        bar.low > 0
        and bar.low <= bar.open <= bar.high
        and bar.low <= bar.close <= bar.high
        and bar.volume >= 0
    )


def _column(values: list[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def _ratios(days: SessionArray, splits: Sequence[Split]) -> FloatArray:
    """Ratio by bar; a split on a day without a bar takes effect at the ticker's next one."""
    ratios = np.ones(len(days))
    for split in splits:
        index = int(np.searchsorted(days, np.datetime64(split.ex_session, "D")))
        if index < len(days):
            ratios[index] *= split.ratio
    return ratios
