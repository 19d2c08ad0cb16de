"""The five-factor score of an earnings gap, as the reports compute it.

Each factor earns one to five points; the score is 20 × the weighted points, 20 at least.

==========================  ======  ==========================================================
factor                      weight  points
==========================  ======  ==========================================================
gap at the reference price    25 %  below 0: 1 · [0, 2): 2 · [2, 5): 3 · [5, 10): 3 · from 10: 2
20-session trend              30 %  below −10: 1 · [−10, 0): 2 · [0, 10): 3 · [10, 20]: 4 ·
                                    above 20: 5
20-/60-session volume         20 %  below 90: 2 · [90, 100): 3 · [100, 110): 4 · [110, 120]: 5 ·
                                    above 120: 1
close / 200-session average   15 %  below 90: 1 · [90, 100): 2 · [100, 105): 3 · [105, 110]: 4 ·
                                    above 110: 5
close / 50-session average    10 %  as for 200
==========================  ======  ==========================================================

All figures are percents. A bound belongs to the interval above it, except the last bound of the
trend, the volume and the averages, which the rule words as "more than". A figure is rounded to
1e-9 before it is compared, so that a binary fraction on a bound does not fall to the wrong side.

Only the gap looks at the session itself; everything else uses bars up to the previous session.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from livekit.model import DailyBars, FloatArray, Grade
from livekit.sessions import previous_session
from livekit.strategy.rules import snap_split_ratio

__all__ = [
    "HISTORY_SESSIONS",
    "FactorPoints",
    "Factors",
    "ScoredStock",
    "Unscored",
    "average_points",
    "gap_points",
    "grade_of",
    "measure",
    "opening_gap_pct",
    "previous_close",
    "reference_price_usd",
    "score_stock",
    "total_score",
    "trend_points",
    "volume_points",
]

TREND_SESSIONS = 20
SHORT_VOLUME_SESSIONS = 20
LONG_VOLUME_SESSIONS = 60
LONG_AVERAGE_SESSIONS = 200
SHORT_AVERAGE_SESSIONS = 50
HISTORY_SESSIONS = LONG_AVERAGE_SESSIONS  # the longest look-back of any factor

_FIGURE_DECIMALS = 9
_GRADE_FLOORS: tuple[tuple[float, Grade], ...] = ((85.0, "A"), (70.0, "B"), (55.0, "C"))


@dataclass(frozen=True, slots=True)
class Factors:
    """The five measured figures, in percent.

    ``gap_pct`` and ``trend_pct`` are changes (0 = none); the others are ratios (100 = equal).
    """

    gap_pct: float
    trend_pct: float
    volume_ratio_pct: float
    ma200_ratio_pct: float
    ma50_ratio_pct: float


@dataclass(frozen=True, slots=True)
class FactorPoints:
    """Points of each factor, one to five."""

    gap: int
    trend: int
    volume: int
    ma200: int
    ma50: int


@dataclass(frozen=True, slots=True)
class ScoredStock:
    """One stock with everything that a report prints of it; ``price`` is the reference price."""

    ticker: str
    company_name: str
    grade: Grade
    score: float
    price: Decimal
    factors: Factors
    points: FactorPoints


@dataclass(frozen=True, slots=True)
class Unscored:
    """A stock that is left out because a figure cannot be measured, and why."""

    ticker: str
    reason: str


def gap_points(gap_pct: float) -> int:
    """Points for the gap between the previous close and the reference price."""
    return (1, 2, 3, 3, 2)[bisect_right((0.0, 2.0, 5.0, 10.0), _figure(gap_pct))]


def trend_points(trend_pct: float) -> int:
    """Points for the price change over the 20 sessions before."""
    return 5 if _figure(trend_pct) > 20.0 else _points_up_to_four((-10.0, 0.0, 10.0), trend_pct)


def volume_points(ratio_pct: float) -> int:
    """Points for the mean volume of 20 sessions relative to that of 60."""
    step = bisect_right((90.0, 100.0, 110.0), _figure(ratio_pct))
    return 1 if _figure(ratio_pct) > 120.0 else 2 + step


def average_points(ratio_pct: float) -> int:
    """Points for the close relative to its moving average (200 or 50 sessions)."""
    return 5 if _figure(ratio_pct) > 110.0 else _points_up_to_four((90.0, 100.0, 105.0), ratio_pct)


def _points_up_to_four(bounds: tuple[float, float, float], value: float) -> int:
    return 1 + bisect_right(bounds, _figure(value))


def _figure(value: float) -> float:
    return round(value, _FIGURE_DECIMALS)


def total_score(points: FactorPoints) -> float:
    """20 × weighted points: 0.25 gap, 0.30 trend, 0.20 volume, 0.15 and 0.10 averages."""
    return float(
        5 * points.gap + 6 * points.trend + 4 * points.volume + 3 * points.ma200 + 2 * points.ma50
    )


def grade_of(score: float) -> Grade:
    """A from 85, B from 70, C from 55, D below."""
    return next((grade for floor, grade in _GRADE_FLOORS if score >= floor), "D")


def reference_price_usd(price: float) -> Decimal:
    """``price`` as a report prints it: whole cents, or 0.0001 below one dollar, half to even."""
    step = Decimal("0.01") if price >= 1.0 else Decimal("0.0001")
    return Decimal(repr(float(price))).quantize(step, rounding=ROUND_HALF_EVEN)


def previous_close(bars: DailyBars, index: int) -> float:
    """Close before the bar at ``index``, USD on the price basis of that bar.

    The close is lowered by the dividend and divided by the split ratio whose ex-date the bar is.
    Both are announced beforehand, so nothing of the session's own trading enters; `adj_close`
    would give the same but for the rounding of its factors.
    """
    return float((bars.close[index - 1] - bars.dividend_usd[index]) / bars.split_ratio[index])


def opening_gap_pct(bars: DailyBars, index: int) -> float:
    """Open of the bar at ``index`` against the adjusted close before it, in percent."""
    return _change_pct(float(bars.open[index]), previous_close(bars, index))


def score_stock(
    bars: DailyBars, session: date, reference_price: float, *, company_name: str
) -> ScoredStock | Unscored:
    """Score one stock for ``session`` at ``reference_price`` (USD, as traded on ``session``).

    Args:
        bars: At least 200 bars up to the previous session. Of a bar on ``session`` only dividend
            and split ratio are used; later bars are not looked at.
        session: The session the report is for.
        reference_price: The price that the gap is measured at.
        company_name: Printed with the ticker.

    Returns:
        The scored stock, or `Unscored` when the ticker has no bar on the previous session or too
        short a history. Nothing is estimated.
    """
    history = bars.until(previous_session(session))
    reason = _missing(history, session)
    if reason:
        return Unscored(bars.ticker, reason)
    today = bars.index_of(session)
    close = previous_close(bars, today) if today >= 0 else float(history.close[-1])
    factors = measure(history, _change_pct(reference_price, close))
    points = FactorPoints(
        gap=gap_points(factors.gap_pct),
        trend=trend_points(factors.trend_pct),
        volume=volume_points(factors.volume_ratio_pct),
        ma200=average_points(factors.ma200_ratio_pct),
        ma50=average_points(factors.ma50_ratio_pct),
    )
    score = total_score(points)
    price = reference_price_usd(reference_price)
    return ScoredStock(bars.ticker, company_name, grade_of(score), score, price, factors, points)


def _missing(history: DailyBars, session: date) -> str | None:
    previous = previous_session(session)
    if history.index_of(previous) < 0:
        return f"no bar on {previous}"
    if len(history) < HISTORY_SESSIONS:
        return f"{len(history)} bars up to {previous}, {HISTORY_SESSIONS} needed"
    if not float(np.mean(history.volume[-LONG_VOLUME_SESSIONS:])) > 0.0:
        return f"no volume in the {LONG_VOLUME_SESSIONS} sessions up to {previous}"
    return None


def measure(history: DailyBars, gap_pct: float) -> Factors:
    """The five figures at the last bar of ``history`` (200 bars or more)."""
    closes, volumes = history.adj_close, _split_adjusted_volume(history)
    last = float(closes[-1])
    return Factors(
        gap_pct=gap_pct,
        trend_pct=_change_pct(last, float(closes[-1 - TREND_SESSIONS])),
        volume_ratio_pct=100.0
        * float(np.mean(volumes[-SHORT_VOLUME_SESSIONS:]))
        / float(np.mean(volumes[-LONG_VOLUME_SESSIONS:])),
        ma200_ratio_pct=100.0 * last / float(np.mean(closes[-LONG_AVERAGE_SESSIONS:])),
        ma50_ratio_pct=100.0 * last / float(np.mean(closes[-SHORT_AVERAGE_SESSIONS:])),
    )


def _split_adjusted_volume(history: DailyBars) -> FloatArray:
    """Volume in shares of the last bar. A spin-off's ratio changes no number of shares."""
    volumes = history.volume.copy()
    for index in np.flatnonzero(history.split_ratio != 1.0):
        ratio = snap_split_ratio(float(history.split_ratio[index]))
        if not np.isnan(ratio):
            volumes[:index] *= ratio
    return volumes


def _change_pct(now: float, before: float) -> float:
    return 100.0 * (now / before - 1.0)
