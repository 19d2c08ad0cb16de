"""Checks of a backtest itself: does it look ahead, and is the look-back long enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from livekit.backtest.prepared import span_of
from livekit.backtest.results import BacktestResult
from livekit.backtest.simulator import Simulator
from livekit.config import LiveConfig
from livekit.errors import UnknownParameter
from livekit.model import END_OF_DATA, Candidate, ClosedTrade, DailyBars
from livekit.sessions import sessions_between
from livekit.strategy.rules import is_below
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator

__all__ = ["LookAhead", "WarmUp", "check_look_ahead", "check_warm_up"]


# ------------------------------------------------------------------------------------ look-ahead


@dataclass(frozen=True, slots=True)
class LookAhead:
    """Runs on data cut at some sessions against the run on all data.

    ``differences`` says, cut by cut, what of the sessions up to it came out otherwise.
    """

    cuts: tuple[date, ...]
    compared_trades: int
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing depends on what comes after it."""
        return not self.differences


def check_look_ahead(
    simulator: Simulator,
    prices: Mapping[str, DailyBars],
    candidates: Iterable[Candidate],
    *,
    cuts: int = 5,
) -> LookAhead:
    """Whether results up to a session change when the data after it are removed.

    Candidates are taken as given: how they were labelled is not looked into.

    Args:
        simulator: configured as in the backtest that is checked.
        prices: bars by ticker.
        candidates: all reported candidates.
        cuts: number of sessions to cut at, evenly spread over the data.

    Raises:
        UnknownParameter: prices are adjusted for everything, so that later data do change earlier
            rows and the check means nothing.
    """
    if simulator.adjustment == "all":
        raise UnknownParameter("look-ahead", ["adjustment 'all' changes earlier rows by design"])
    reported = tuple(candidates)
    whole = simulator.run(prices, reported)
    sessions = sessions_between(*span_of(prices))
    days = tuple(sessions[len(sessions) * (k + 1) // (cuts + 1)] for k in range(cuts))
    compared, differences = 0, []
    for day in days:
        known = {ticker: bars.until(day) for ticker, bars in prices.items()}
        part = simulator.run({t: bars for t, bars in known.items() if len(bars)}, reported)
        compared += len(_closed_by(part, day))
        differences += [f"cut at {day}: {what}" for what in _differences(whole, part, day)]
    return LookAhead(days, compared, tuple(differences))


def _differences(whole: BacktestResult, part: BacktestResult, day: date) -> list[str]:
    found = []
    ours, theirs = _closed_by(whole, day), _closed_by(part, day)
    if ours != theirs:
        odd = sorted({one.ticker for one in set(ours) ^ set(theirs)})
        found.append(f"trades of {', '.join(odd)} differ")
    ends = part.curve[-1].session if part.curve else day
    skips = [[one for one in run.skips if one.session <= ends] for run in (whole, part)]
    if skips[0] != skips[1]:
        found.append("skipped candidates differ")
    if _marks_by(whole, ends) != _marks_by(part, ends):
        found.append("the equity differs")
    return found


def _closed_by(result: BacktestResult, day: date) -> tuple[ClosedTrade, ...]:
    return tuple(
        trade
        for trade in result.closed
        if trade.exit_session <= day and trade.exit_reason != END_OF_DATA
    )


def _marks_by(result: BacktestResult, day: date) -> list[tuple[object, ...]]:
    """Profit and positions; the capital that single trades required is known only at the end."""
    return [
        (one.session, one.realised_usd, one.unrealised_usd, one.open_positions, one.invested_usd)
        for one in result.curve
        if one.session <= day
    ]


# --------------------------------------------------------------------------------------- warm-up


@dataclass(frozen=True, slots=True)
class WarmUp:
    """An indicator on a look-back against the same on all history.

    Errors are percents of the full line. ``verdicts_changed`` counts samples in which the close
    lies on the other side of the line. ``undefined`` samples have a full line and none on the
    look-back.
    """

    lookback_days: int
    samples: int
    largest_error_pct: float | None
    mean_error_pct: float | None
    worst: tuple[str, date] | None
    verdicts_changed: int
    undefined: int


def check_warm_up(
    prices: Mapping[str, DailyBars],
    strategy: str,
    *,
    lookback_days: int = 400,
    samples_a_ticker: int = 6,
) -> WarmUp:
    """How far the line of ``strategy`` on ``lookback_days`` lies from that on all history.

    Args:
        prices: bars by ticker; those with less history than the look-back are left out.
        strategy: ``ema_pN`` or ``nwl_pN``.
        lookback_days: calendar days that a live run asks for.
        samples_a_ticker: sessions to compare at, evenly spread.
    """
    kind = LiveConfig().trailing(strategy)
    first, _ = span_of(prices)
    taken = [
        _sample(bars, day, kind, first, lookback_days)
        for bars in prices.values()
        for day in _sample_days(bars, lookback_days, samples_a_ticker)
    ]
    samples = [one for one in taken if not math.isnan(one.full)]
    known = [one for one in samples if not math.isnan(one.short)]
    errors = [one.error_pct for one in known]
    worst = max(known, key=lambda one: one.error_pct, default=None)
    return WarmUp(
        lookback_days=lookback_days,
        samples=len(samples),
        largest_error_pct=max(errors, default=None),
        mean_error_pct=float(np.mean(errors)) if errors else None,
        worst=None if worst is None else (worst.ticker, worst.day),
        verdicts_changed=sum(one.verdict_changes for one in known),
        undefined=len(samples) - len(known),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """The line of a week on all history and on the look-back, and its close, all adjusted."""

    ticker: str
    day: date
    full: float
    short: float
    close: float

    @property
    def error_pct(self) -> float:
        return abs(self.short / self.full - 1.0) * 100.0

    @property
    def verdict_changes(self) -> bool:
        return is_below(self.close, self.full) != is_below(self.close, self.short)


def _sample_days(bars: DailyBars, lookback_days: int, samples: int) -> Sequence[date]:
    if not len(bars):
        return ()
    enough = bars.sessions[0] + np.timedelta64(lookback_days, "D")
    begin = int(np.searchsorted(bars.sessions, enough, side="right"))
    if begin >= len(bars):
        return ()
    places = np.unique(np.linspace(begin, len(bars) - 1, samples).round().astype(int))
    days: list[date] = bars.sessions[places].tolist()
    return days


def _sample(
    bars: DailyBars, day: date, kind: tuple[str, int], first: date, lookback_days: int
) -> _Sample:
    known, cut = bars.until(day), day - timedelta(days=lookback_days)
    start = int(np.searchsorted(known.sessions, np.datetime64(cut, "D")))
    full = aggregate_daily_to_weekly(known, cut_at=first)
    short = aggregate_daily_to_weekly(known.sliced(start, len(known)), cut_at=cut)
    if not len(full) or not len(short):
        return _Sample(bars.ticker, day, math.nan, math.nan, math.nan)
    lines = [float(indicator(weekly, *kind)[-1]) for weekly in (full, short)]
    return _Sample(bars.ticker, day, lines[0], lines[1], float(full.close[-1]))
