"""Trailing stops of positions: which weeks are due, what each says, what must wait.

A week of a position is evaluated once, when the ticker has a bar on the week's last session or,
failing that, on its next session with one; always on the week's own last close. A week that is
due while the ticker has no such bar yet is deferred, which is never the same as "hold".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from livekit.config import LiveConfig
from livekit.model import DailyBars, FloatArray, Holding, SessionArray, WeeklyBars
from livekit.sessions import week_end
from livekit.strategy.position_rules import is_transition_over
from livekit.strategy.rules import is_below
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator, weeks_started_after

__all__ = [
    "Deferral",
    "WeekEvaluation",
    "WeeklyView",
    "deferral",
    "evaluate_view",
    "evaluate_weeks",
    "weekly_view",
]

_DAY = np.dtype("datetime64[D]")


@dataclass(frozen=True, slots=True)
class WeekEvaluation:
    """What one week says about one position; ``close`` and ``indicator`` are adjusted USD.

    ``week_end`` is the calendar's, ``evaluated_on`` the session whose bar made the week due.
    ``completed_weeks`` started after the entry session and have a bar. ``broken`` is the close
    below the indicator; the position leaves only if ``transition_met`` as well.
    """

    week_end: date
    evaluated_on: date
    close: float
    indicator: float
    completed_weeks: int
    transition_met: bool
    broken: bool
    ticker: str = ""

    @property
    def exits(self) -> bool:
        """Whether the position gets a pending exit."""
        return self.transition_met and self.broken


@dataclass(frozen=True, slots=True)
class Deferral:
    """A week that is due and cannot be evaluated yet: the ticker has no bar to close it."""

    ticker: str
    week_end: date
    last_bar: date | None

    @property
    def reason(self) -> str:
        """One sentence for the operator."""
        seen = f"last bar {self.last_bar}" if self.last_bar else "no bars at all"
        return f"{self.ticker}: week ending {self.week_end} is due, {seen}"


@dataclass(frozen=True, slots=True)
class WeeklyView:
    """A ticker's weeks prepared for one trailing stop; build once, read up to any session.

    Week i is evaluated on the session of daily bar ``due_bar[i]`` (the number of bars, if that bar
    does not exist yet), and ``weeks_due[b]`` weeks are due once bar b exists. What is due up to a
    session does not depend on later bars.
    """

    sessions: SessionArray
    weekly: WeeklyBars
    line: FloatArray
    due_bar: npt.NDArray[np.int64]
    weeks_due: npt.NDArray[np.int64]


def weekly_view(sessions: SessionArray, weekly: WeeklyBars, line: FloatArray) -> WeeklyView:
    """Prepare weekly bars and an indicator made from daily bars of ``sessions``."""
    due_bar = np.searchsorted(sessions, weekly.last_session, side="left").astype(np.int64)
    weeks_due = np.searchsorted(due_bar, np.arange(len(sessions)), side="right").astype(np.int64)
    return WeeklyView(sessions, weekly, line, due_bar, weeks_due)


def evaluate_weeks(
    holding: Holding,
    bars: DailyBars,
    through: date,
    *,
    strategy: str,
    config: LiveConfig,
    cut_at: date | None = None,
) -> tuple[WeekEvaluation, ...]:
    """Weeks of ``holding`` that are due by ``through`` and not evaluated yet, oldest first.

    Args:
        holding: the position; weeks up to its ``evaluated_week`` are done.
        bars: daily bars of its ticker; those after ``through`` are not read.
        through: last session whose close is known.
        strategy: ``ema_pN`` or ``nwl_pN``.
        config: ``trailing_transition_weeks`` is read.
        cut_at: first day ``bars`` were asked for, see `aggregate_daily_to_weekly`.
    """
    known = bars.until(through)
    weekly = aggregate_daily_to_weekly(known, cut_at=cut_at)
    line = indicator(weekly, *config.trailing(strategy))
    view = weekly_view(known.sessions, weekly, line)
    return evaluate_view(holding, view, len(known) - 1, config.trailing_transition_weeks)


def evaluate_view(
    holding: Holding, view: WeeklyView, bar: int, transition_weeks: int
) -> tuple[WeekEvaluation, ...]:
    """As `evaluate_weeks`, on a prepared view and with the bars up to number ``bar`` known."""
    due = int(view.weeks_due[bar]) if bar >= 0 else 0
    first = _first_open_week(holding, view.weekly, due)
    return tuple(_evaluate(holding, view, week, transition_weeks) for week in range(first, due))


def _first_open_week(holding: Holding, weekly: WeeklyBars, due: int) -> int:
    """The first week that may still need evaluation, looking back from the last one due."""
    done = holding.evaluated_week or holding.entry_session - timedelta(days=1)
    stamp = np.datetime64(done, "D")
    week = due
    while week > 0 and weekly.last_session[week - 1] > stamp:
        week -= 1
    return week


def _evaluate(
    holding: Holding, view: WeeklyView, week: int, transition_weeks: int
) -> WeekEvaluation:
    weekly = view.weekly
    completed = weeks_started_after(weekly.first_session, holding.entry_session, week)
    close, line = float(weekly.close[week]), float(view.line[week])
    return WeekEvaluation(
        week_end=weekly.last_session[week].item(),
        evaluated_on=view.sessions[view.due_bar[week]].item(),
        close=close,
        indicator=line,
        completed_weeks=completed,
        transition_met=is_transition_over(completed, transition_weeks),
        broken=is_below(close, line),
        ticker=holding.ticker,
    )


def deferral(holding: Holding, bars: DailyBars | None, through: date) -> Deferral | None:
    """The week of ``holding`` that is due by ``through`` but lacks the bar that closes it.

    None when nothing is due, everything that is due can be evaluated, or the position has a pending
    exit and leaves whatever the week says.
    """
    if holding.pending_reason is not None:
        return None
    due = _last_week_end(through)
    done = holding.evaluated_week
    if due < holding.entry_session or (done is not None and due <= done):
        return None
    known = bars.until(through) if bars is not None else None
    last = known.sessions[-1].astype(_DAY).item() if known is not None and len(known) else None
    return None if last is not None and last >= due else Deferral(holding.ticker, due, last)


def _last_week_end(through: date) -> date:
    """The last week end up to ``through``, whose own week may still be running."""
    end = week_end(through)
    return end if end <= through else week_end(through - timedelta(days=7))
