"""A supplier's raw and adjusted series, splits and dividends put together as daily bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from livekit.broker.parsing import VenueBar
from livekit.model import DailyBars, FloatArray, SessionArray, Split
from livekit.sessions import close_instant, sessions_between

__all__ = ["Days", "combined"]


@dataclass(frozen=True, slots=True)
class Days:
    """The sessions that were asked for, and those among them that have not closed."""

    sessions: frozenset[date]
    unfinished: frozenset[date]

    @classmethod
    def between(cls, first: date, last: date, now: datetime) -> Days:
        """The sessions from ``first`` to ``last``, both included, as of ``now``."""
        sessions = sessions_between(first, last)
        return cls(frozenset(sessions), frozenset(s for s in sessions if close_instant(s) > now))

    def finished(self, bars: Sequence[VenueBar]) -> list[VenueBar] | None:
        """The bars of closed sessions; None if one of them cannot be a bar."""
        kept = [bar for bar in bars if bar.session not in self.unfinished]
        return kept if all(bar.session in self.sessions and _is_bar(bar) for bar in kept) else None


def combined(
    ticker: str,
    raw: Sequence[VenueBar] | None,
    adjusted: Sequence[float] | None,
    adjusted_sessions: Sequence[date],
    splits: Sequence[Split],
    dividends: Mapping[date, float] | None = None,
) -> DailyBars | None:
    """Daily bars with ``adj_close`` from a second series of the same moment.

    Args:
        ticker: whose bars these are.
        raw: bars as traded, oldest first; None if they cannot be used.
        adjusted: closes adjusted for splits and dividends; None if they cannot be used.
        adjusted_sessions: the sessions of ``adjusted``.
        splits: of this ticker.
        dividends: USD a share by ex-date.

    Returns:
        None when a series is missing or the two do not cover the same sessions: nothing may be
        decided on them.
    """
    if not raw or not adjusted:
        return None
    sessions = [bar.session for bar in raw]
    if sessions != list(adjusted_sessions) or sessions != sorted(set(sessions)):
        return None
    days = np.array(sessions, dtype="datetime64[D]")
    return DailyBars(
        ticker=ticker,
        sessions=days,
        open=_column([bar.open for bar in raw]),
        high=_column([bar.high for bar in raw]),
        low=_column([bar.low for bar in raw]),
        close=_column([bar.close for bar in raw]),
        adj_close=_column(adjusted),
        volume=_column([bar.volume for bar in raw]),
        dividend_usd=_dividends(days, dividends or {}),
        split_ratio=_ratios(days, splits),
    )


def _is_bar(bar: VenueBar) -> bool:
    return (
        bar.low > 0
        and bar.low <= bar.open <= bar.high
        and bar.low <= bar.close <= bar.high
        and bar.volume >= 0
    )


def _column(values: Sequence[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def _ratios(days: SessionArray, splits: Sequence[Split]) -> FloatArray:
    """Ratio by bar; a split on a day without a bar takes effect at the ticker's next one."""
    ratios = np.ones(len(days))
    for split in splits:
        index = int(np.searchsorted(days, np.datetime64(split.ex_session, "D")))
        if index < len(days):
            ratios[index] *= split.ratio
    return ratios


def _dividends(days: SessionArray, paid: Mapping[date, float]) -> FloatArray:
    """Dividend by bar, as with splits; one from before the first bar is not of these bars."""
    amounts = np.zeros(len(days))
    for ex_date, amount in paid.items():
        index = int(np.searchsorted(days, np.datetime64(ex_date, "D")))
        if index < len(days) and np.datetime64(ex_date, "D") >= days[0]:
            amounts[index] += amount
    return amounts
