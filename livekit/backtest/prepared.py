"""Bars and candidates laid out for passes over sessions: once, then read by any configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from livekit.backtest import pass_arrays as at
from livekit.backtest.engine import Engine
from livekit.backtest.pass_arrays import CountArray, IntArray, Prices, Reports
from livekit.config import LiveConfig
from livekit.errors import BadInput, NotASession
from livekit.model import Candidate, DailyBars, FloatArray, SessionArray, WeeklyBars
from livekit.sessions import next_session, session_on_or_after, sessions_between
from livekit.strategy.decisions import order_candidates, weekly_view
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly

__all__ = [
    "PreparedCandidates",
    "PreparedMarket",
    "candidates_by_session",
    "prepare_candidates",
    "prepare_market",
    "span_of",
]


@dataclass(frozen=True)
class PreparedMarket:
    """Bars and weeks of some tickers on one calendar, see `Prices` for the arrays.

    Lines of trailing stops are made at first use and kept.
    """

    sessions: tuple[date, ...]
    tickers: tuple[str, ...]
    bars: FloatArray
    counts: CountArray
    first_week: IntArray
    week_close: FloatArray
    week_low: FloatArray
    _lines: dict[tuple[str, int], FloatArray] = field(
        default_factory=dict, compare=False, repr=False
    )

    def prices(self, strategy: str, engine: Engine) -> Prices:
        """The market as a pass reads it under the trailing stop of ``strategy``."""
        key = LiveConfig().trailing(strategy)
        if key not in self._lines:
            line = engine.fill_lines(
                self.first_week, self.week_close, self.week_low, key[0] == "weekly_ema", key[1]
            )
            self._lines[key] = np.column_stack((self.week_close, line))
        return Prices(self.bars, self.counts, self._lines[key])


@dataclass(frozen=True)
class PreparedCandidates:
    """Candidates in the order of their sessions and, within one, best first.

    ``sessions`` are theirs, ``reports`` the same as arrays; ``outside`` have no session in the
    calendar of the market.
    """

    candidates: tuple[Candidate, ...]
    sessions: tuple[date, ...]
    reports: Reports
    outside: tuple[tuple[date, Candidate], ...]


# ---------------------------------------------------------------------------------------- market


def span_of(prices: Mapping[str, DailyBars]) -> tuple[date, date]:
    """First and last session with a bar; raises `BadInput` without any."""
    traded = [bars.sessions for bars in prices.values() if len(bars)]
    if not traded:
        raise BadInput("prices", "there are no bars to simulate on")
    first = min(sessions[0] for sessions in traded)
    last = max(sessions[-1] for sessions in traded)
    return first.item(), last.item()


def prepare_market(
    prices: Mapping[str, DailyBars],
    tickers: Iterable[str],
    *,
    first: date | None = None,
) -> PreparedMarket:
    """Lay out the bars of ``tickers``; those without bars are left out.

    Args:
        prices: bars by ticker. The first of them all counts as the day they were asked from: a
            week it cuts is dropped.
        tickers: the tickers that may be traded.
        first: where the calendar starts, if before the first bar.

    Raises:
        BadInput: there are no bars.
        NotASession: a bar lies on no session.
    """
    start, end = span_of(prices)
    sessions = sessions_between(min(first or start, start), end)
    stamps = np.array(sessions, dtype="datetime64[D]")
    known = tuple(sorted({one for one in tickers if one in prices and len(prices[one])}))
    bars = np.full((len(known), len(sessions), 5), np.nan)
    counts = np.zeros((len(known), len(sessions), 4), dtype=np.int32)
    counts[:, :, at.DAY] = stamps.astype(np.int64)
    weekly: list[WeeklyBars] = []
    first_week = [0]
    for number, ticker in enumerate(known):
        weekly.append(aggregate_daily_to_weekly(prices[ticker], cut_at=start))
        places = _places(stamps, prices[ticker])
        bars[number, places] = _columns(prices[ticker])
        for column, values in _week_counts(stamps, places, prices[ticker], weekly[-1]):
            counts[number, :, column] = first_week[-1] + values
        first_week.append(first_week[-1] + len(weekly[-1]))
    return PreparedMarket(
        sessions=sessions,
        tickers=known,
        bars=bars,
        counts=counts,
        first_week=np.array(first_week, dtype=np.int64),
        week_close=np.concatenate([one.close for one in weekly]) if weekly else np.empty(0),
        week_low=np.concatenate([one.low for one in weekly]) if weekly else np.empty(0),
    )


def _places(stamps: SessionArray, bars: DailyBars) -> IntArray:
    places = np.searchsorted(stamps, bars.sessions)
    strangers = stamps[np.minimum(places, len(stamps) - 1)] != bars.sessions
    if strangers.any():
        raise NotASession(f"{bars.ticker} has a bar on {bars.sessions[strangers][0]}")
    return places.astype(np.int64)


def _columns(bars: DailyBars) -> FloatArray:
    factor = bars.adj_close / bars.close
    growth = np.ones(len(bars))
    growth[1:] = factor[1:] / factor[:-1]
    return np.column_stack((bars.open, bars.low, bars.close, bars.split_ratio, growth))


def _week_counts(
    stamps: SessionArray, places: IntArray, bars: DailyBars, weekly: WeeklyBars
) -> Iterator[tuple[int, IntArray]]:
    due = np.zeros(len(stamps), dtype=np.int64)
    due[places] = weekly_view(bars.sessions, weekly, np.empty(0)).weeks_due
    yield at.WEEKS_DUE, due
    yield at.WEEKS_ENDED_BEFORE, np.searchsorted(weekly.last_session, stamps, side="left")
    yield at.WEEKS_STARTED, np.searchsorted(weekly.first_session, stamps, side="right")


# ------------------------------------------------------------------------------------ candidates


def candidates_by_session(
    candidates: Iterable[Candidate], *, next_open: bool = False
) -> dict[date, list[Candidate]]:
    """Candidates by the session they belong to: that of their report, or the next after it.

    With ``next_open`` they are traded a session later than that.
    """
    due: dict[date, list[Candidate]] = {}
    for candidate in candidates:
        session = session_on_or_after(candidate.report_date)
        due.setdefault(next_session(session) if next_open else session, []).append(candidate)
    return due


def prepare_candidates(
    market: PreparedMarket,
    candidates: Iterable[Candidate],
    min_grade: str,
    *,
    next_open: bool = False,
) -> PreparedCandidates:
    """Merge, filter and order the candidates of each session of the market's calendar."""
    due = candidates_by_session(candidates, next_open=next_open)
    ordered = {session: order_candidates(due[session], min_grade) for session in sorted(due)}
    inside = [ordered.get(session, ()) for session in market.sessions]
    kept = tuple(candidate for group in inside for candidate in group)
    numbers = {ticker: number for number, ticker in enumerate(market.tickers)}
    scores = [np.nan if one.score is None else one.score for one in kept]
    counts = [len(group) for group in inside]
    return PreparedCandidates(
        candidates=kept,
        sessions=tuple(np.repeat(np.array(market.sessions, dtype=object), counts)),
        reports=Reports(
            first=np.concatenate(([0], np.cumsum(counts, dtype=np.int64))),
            ticker=np.array([numbers.get(one.ticker, -1) for one in kept], dtype=np.int64),
            score=np.array(scores, dtype=np.float64),
        ),
        outside=_outside(ordered, market.sessions),
    )


def _outside(
    ordered: Mapping[date, Sequence[Candidate]], sessions: Sequence[date]
) -> tuple[tuple[date, Candidate], ...]:
    known = set(sessions)
    return tuple(
        (session, candidate)
        for session, group in ordered.items()
        if session not in known
        for candidate in group
    )
