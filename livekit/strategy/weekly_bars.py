"""Weekly bars and the indicators over them; week ends belong to the calendar.

A week is an ISO week of the exchange calendar. It starts at its first session and ends at its
last, traded or not, so a week cut short by a holiday ends a day early and no bar of a ticker can
move that. A ticker has a weekly bar for each week in which it has a daily bar.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from livekit.errors import UnknownParameter
from livekit.model import DailyBars, FloatArray, SessionArray, WeeklyBars
from livekit.sessions import week_end, week_start
from livekit.strategy.position_rules import completed_weeks
from livekit.strategy.rules import is_below

__all__ = [
    "aggregate_daily_to_weekly",
    "compute_weekly_ema",
    "compute_weekly_nweek_low",
    "count_completed_weeks",
    "indicator",
    "is_trend_broken",
    "is_week_end_by_date",
    "is_week_end_by_index",
    "weeks_started_after",
]

_MONDAY_OF_EPOCH = -3  # 1970-01-01, day 0, is a Thursday
_EPOCH = date(1970, 1, 1)
_DAY = np.dtype("datetime64[D]")


# ---------------------------------------------------------------------------------- aggregation


def aggregate_daily_to_weekly(bars: DailyBars, *, cut_at: date | None = None) -> WeeklyBars:
    """Weekly bars of one ticker: first open, highest high, lowest low, last close, adjusted.

    Adjusted is raw × adj_close / close. The last week may be unfinished.

    Args:
        bars: daily bars, oldest first.
        cut_at: first day the bars were asked for. If that day falls inside a week, a bar of that
            same week may lack its first days through no doing of the ticker, so the week is
            dropped. A ticker that merely starts trading in mid-week keeps its first week.

    Raises:
        NotASession: a bar lies outside the exchange calendar.
    """
    mondays = _mondays(bars.sessions)
    if cut_at is not None and _is_cut(bars, cut_at):
        start = int(np.searchsorted(mondays, _monday_of(cut_at), side="right"))
        bars, mondays = bars.sliced(start, len(bars)), mondays[start:]
    return _weekly(bars, mondays)


def _weekly(bars: DailyBars, mondays: npt.NDArray[np.int64]) -> WeeklyBars:
    starts = np.flatnonzero(np.diff(mondays, prepend=np.iinfo(np.int64).min))
    ends = np.append(starts[1:], len(mondays)) - 1 if len(starts) else starts
    factor = bars.adj_close / bars.close
    bounds = [_week_bounds(monday) for monday in mondays[starts].tolist()]
    first, last = np.array(bounds, dtype=np.int64).reshape(-1, 2).T
    return WeeklyBars(
        first_session=first.astype(_DAY),
        last_session=last.astype(_DAY),
        last_bar=bars.sessions[ends],
        open=(bars.open * factor)[starts],
        high=_by_week(np.maximum, bars.high * factor, starts),
        low=_by_week(np.minimum, bars.low * factor, starts),
        close=bars.adj_close[ends],
    )


def _by_week(extreme: np.ufunc, values: FloatArray, starts: npt.NDArray[np.int64]) -> FloatArray:
    if not len(starts):
        return np.empty(0)
    found: FloatArray = extreme.reduceat(values, starts)
    return found


def _mondays(sessions: SessionArray) -> npt.NDArray[np.int64]:
    days = sessions.astype(_DAY).astype(np.int64)
    return days - (days - _MONDAY_OF_EPOCH) % 7


def _monday_of(day: date) -> int:
    return (day - _EPOCH).days - day.weekday()


def _is_cut(bars: DailyBars, first_asked: date) -> bool:
    inside_a_week = week_start(first_asked) < first_asked
    return inside_a_week and len(bars) > 0 and bool(bars.sessions[0] >= np.datetime64(first_asked))


@cache
def _week_bounds(monday: int) -> tuple[int, int]:
    day = _EPOCH + timedelta(days=monday)
    return (week_start(day) - _EPOCH).days, (week_end(day) - _EPOCH).days


# ----------------------------------------------------------------------------------- indicators


def indicator(weekly: WeeklyBars, trailing_stop: str, period: int) -> FloatArray:
    """The trailing stop's line, one value a week, nan while undefined.

    ``trailing_stop`` is ``weekly_ema`` (of closes) or ``weekly_nweek_low`` (of lows); anything else
    raises `UnknownParameter`, as does a period below 1.
    """
    if period < 1:
        raise UnknownParameter("trailing_period", [f"{period} is below 1"])
    if trailing_stop == "weekly_ema":
        return compute_weekly_ema(weekly.close, period)
    if trailing_stop == "weekly_nweek_low":
        return compute_weekly_nweek_low(weekly.low, period)
    raise UnknownParameter(
        "trailing_stop", [f"{trailing_stop!r} is neither weekly_ema nor weekly_nweek_low"]
    )


def compute_weekly_ema(closes: FloatArray, period: int) -> FloatArray:
    """Exponential moving average: the mean of the first n closes, then k = 2 / (n + 1).

    Undefined (nan) before week n. The seed is that of TA-Lib's EMA; `pandas.ewm` starts from the
    first value instead and differs for some hundred weeks.
    """
    line = np.full(len(closes), np.nan)
    if len(closes) < period:
        return line
    weight = 2.0 / (period + 1.0)
    total = 0.0
    for week in range(period):  # in order: a compiled caller must add up to the same last digit
        total += closes[week]
    average = total / period
    line[period - 1] = average
    for week in range(period, len(closes)):
        average += weight * (closes[week] - average)
        line[week] = average
    return line


def compute_weekly_nweek_low(lows: FloatArray, period: int) -> FloatArray:
    """Lowest low of the n weeks before each week, that week excluded; nan in the first n weeks."""
    line = np.full(len(lows), np.nan)
    for week in range(period, len(lows)):
        line[week] = lows[week - period : week].min()
    return line


# ------------------------------------------------------------------------------------ week rules


def is_week_end_by_date(day: date) -> bool:
    """Whether ``day`` is the last session of its ISO week; False on days without a session."""
    return week_end(day) == day


def is_week_end_by_index(sessions: SessionArray, index: int) -> bool:
    """Whether the bar at ``index`` is of the last session of its week.

    The bars after it are not looked at: whether the next one belongs to another week says when
    the ticker traded, not when the week ended.
    """
    return is_week_end_by_date(sessions[index].astype(_DAY).item())


def weeks_started_after(first_sessions: SessionArray, entry_session: date, week: int) -> int:
    """Weeks up to and including number ``week`` whose first session is after the entry session."""
    before = int(np.searchsorted(first_sessions, np.datetime64(entry_session, "D"), side="right"))
    return completed_weeks(week, before)


def count_completed_weeks(weekly: WeeklyBars, entry_session: date, current: date) -> int:
    """Weeks with a bar that started after the entry session and ended up to ``current``."""
    return weeks_started_after(weekly.first_session, entry_session, _last_ended(weekly, current))


def is_trend_broken(weekly: WeeklyBars, line: FloatArray, current: date) -> bool:
    """Whether the last week that ended up to ``current`` closed below its indicator ``line``.

    False when no week has ended or the indicator is undefined. A week that is still running is
    never looked at.
    """
    week = _last_ended(weekly, current)
    return week >= 0 and is_below(float(weekly.close[week]), float(line[week]))


def _last_ended(weekly: WeeklyBars, current: date) -> int:
    stamp = np.datetime64(current, "D")
    return int(np.searchsorted(weekly.last_session, stamp, side="right")) - 1
