"""The trailing stop of one position, checked live by the functions the simulations call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from livekit.config import LiveConfig
from livekit.errors import VenueUnavailable
from livekit.model import Candidate, DailyBars, Holding
from livekit.prices.source import PriceSource
from livekit.strategy.decisions import WeekEvaluation, deferral, evaluate_view, weekly_view
from livekit.strategy.weekly_bars import (
    aggregate_daily_to_weekly,
    indicator,
    is_week_end_by_date,
)

__all__ = ["TrailingStopChecker", "TrailingStopResult"]


@dataclass(frozen=True, slots=True)
class TrailingStopResult:
    """What the last finished week says of a position; prices in adjusted USD, None = undefined.

    ``is_week_end`` is whether the day asked about is the calendar's week end. ``evaluated_week``
    is the end of the week that the other fields speak of, None if no week of the position could be
    evaluated yet. ``deferred_reason`` says why a newer week that is due could not be: then
    ``should_exit`` is no decision to hold.
    """

    ticker: str
    is_week_end: bool
    completed_weeks: int
    transition_met: bool
    trend_broken: bool
    should_exit: bool
    indicator_value: float | None
    last_close: float | None
    evaluated_week: date | None = None
    deferred_reason: str | None = None


class TrailingStopChecker:
    """Asks a price source for the look-back and evaluates the last week that is due."""

    def __init__(self, prices: PriceSource, config: LiveConfig | None = None) -> None:
        self._prices = prices
        self._config = config or LiveConfig()

    def check_position(
        self,
        ticker: str,
        entry_date: date,
        as_of_date: date,
        trailing_stop: str,
        trailing_period: int,
    ) -> TrailingStopResult:
        """Check a position entered on ``entry_date`` with the bars up to ``as_of_date``.

        The answer is the same on every day until the next week is due, whatever the bars of the
        running week say; a caller acts once on each ``evaluated_week``.

        Raises:
            UnknownParameter: ``trailing_stop`` or the period is not known.
        """
        first = as_of_date - timedelta(days=self._config.fmp_lookback_days)
        holding = _position(ticker, entry_date)
        try:
            bars = self._prices.daily_bars([ticker], first, as_of_date).get(ticker)
        except VenueUnavailable as outage:
            return _result(ticker, as_of_date, None, f"{ticker}: {outage}")
        waiting = deferral(holding, bars, as_of_date)
        evaluation = None
        if bars is not None:
            evaluation = self._last_week(
                holding, bars.until(as_of_date), first, trailing_stop, trailing_period
            )
        return _result(ticker, as_of_date, evaluation, waiting.reason if waiting else None)

    def _last_week(
        self,
        holding: Holding,
        bars: DailyBars,
        first: date,
        trailing_stop: str,
        period: int,
    ) -> WeekEvaluation | None:
        weekly = aggregate_daily_to_weekly(bars, cut_at=first)
        line = indicator(weekly, trailing_stop, period)
        view = weekly_view(bars.sessions, weekly, line)
        weeks = evaluate_view(holding, view, len(bars) - 1, self._config.trailing_transition_weeks)
        return weeks[-1] if weeks else None


def _position(ticker: str, entry_date: date) -> Holding:
    """A position of which nothing but ticker and entry session matters to the trailing stop."""
    candidate = Candidate(ticker, entry_date, grade="", score=None)
    return Holding(candidate, entry_date, entry_price=0.0, shares=0, stop_price=0.0, last_close=0.0)


def _result(
    ticker: str, as_of: date, week: WeekEvaluation | None, deferred: str | None
) -> TrailingStopResult:
    line = None if week is None or week.indicator != week.indicator else week.indicator
    return TrailingStopResult(
        ticker=ticker,
        is_week_end=is_week_end_by_date(as_of),
        completed_weeks=week.completed_weeks if week else 0,
        transition_met=bool(week and week.transition_met),
        trend_broken=bool(week and week.broken),
        should_exit=bool(week and week.exits),
        indicator_value=line,
        last_close=week.close if week else None,
        evaluated_week=week.week_end if week else None,
        deferred_reason=deferred,
    )
