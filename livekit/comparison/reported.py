"""What is reported about the two books with intervals and decides nothing. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from livekit.comparison.figures import Figures, Resampled
from livekit.comparison.forecast import VerdictPlan
from livekit.comparison.resampling import sum_interval
from livekit.comparison.twins import MarkedTrade, TwinBook, TwinRecord
from livekit.model import FloatArray

__all__ = ["Estimate", "Interval", "estimates"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Two ends in the unit of the value, and how they were found."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of both books and their difference, shadow − primary, with its interval.

    None where it is not available. The interval is of the difference unless its method says
    otherwise.
    """

    name: str
    unit: str
    primary: float | None
    shadow: float | None
    difference: float | None
    interval: Interval | None


def estimates(
    record: TwinRecord, figures: Figures, resampled: Resampled | None, plan: VerdictPlan
) -> tuple[Estimate, ...]:
    """Mean, total, profit factor, Sharpe ratio, shortfall, turnover and costs of both books."""
    level = f"{100 * (1 - 2 * plan.alpha):g} %"
    return (
        *_differences(figures, resampled, plan, level),
        _factor(figures, resampled, level),
        _sharpe(figures, resampled, level),
        _shortfall(figures, resampled, level),
        _by_weeks("bought", record, plan, level, lambda one: one.entry_price * one.shares),
        _by_weeks("exit costs", record, plan, level, lambda one: one.exit_cost_usd),
    )


def _differences(
    figures: Figures, resampled: Resampled | None, plan: VerdictPlan, level: str
) -> tuple[Estimate, ...]:
    """Mean a session in basis points, and the total in percent of the base."""
    books = figures.primary.profit_usd / plan.base_usd, figures.shadow.profit_usd / plan.base_usd
    found = []
    for name, unit, scale in (
        ("mean a session, of the base", "bps", 1e4 / figures.sessions),
        ("P&L, of the base", "%", 1e2),
    ):
        interval = None
        if resampled is not None:
            low, high = (scale * end for end in resampled.interval)
            interval = Interval(low, high, f"{level}, resampled sessions, widest block")
        primary, shadow = (scale * value for value in books)
        found.append(Estimate(name, unit, primary, shadow, scale * figures.difference, interval))
    return tuple(found)


def _factor(figures: Figures, resampled: Resampled | None, level: str) -> Estimate:
    primary, shadow = (
        math.log(book.profit_factor) if book.profit_factor else None
        for book in (figures.primary, figures.shadow)
    )
    ratio = resampled.factor if resampled else None
    return Estimate(
        "log profit factor",
        "",
        primary,
        shadow,
        None if primary is None or shadow is None else shadow - primary,
        Interval(ratio.low, ratio.high, f"{level}, weeks of entry, studentised") if ratio else None,
    )


def _sharpe(figures: Figures, resampled: Resampled | None, level: str) -> Estimate:
    name, books = "Sharpe ratio, year", (figures.primary.sharpe, figures.shadow.sharpe)
    found = resampled.sharpe if resampled else None
    if found is None:
        return Estimate(name, "", *books, None, None)
    method = f"{level}, Ledoit & Wolf, blocks of {found.block}, widest of three"
    return Estimate(name, "", *books, found.value, Interval(found.low, found.high, method))


def _shortfall(figures: Figures, resampled: Resampled | None, level: str) -> Estimate:
    primary, shadow = figures.primary.shortfall_pct, figures.shadow.shortfall_pct
    name = "expected shortfall 5 %, a session"
    if primary is None or shadow is None or resampled is None:
        return Estimate(name, "%", primary, shadow, None, None)
    low, high = (100 * end for end in resampled.shortfall)
    interval = Interval(low, high, f"{level}, resampled sessions, widest block")
    return Estimate(name, "%", primary, shadow, shadow - primary, interval)


def _by_weeks(
    what: str,
    record: TwinRecord,
    plan: VerdictPlan,
    level: str,
    amount_usd: Callable[[MarkedTrade], float],
) -> Estimate:
    """A sum over trades in percent of the base; the interval resamples weeks of entry."""
    books = (record.primary, record.shadow)
    weeks = sorted({_week(trade) for book in books for trade in book.trades})
    primary, shadow = (_sums(book, weeks, amount_usd, plan) for book in books)
    ends = sum_interval(shadow - primary, plan.draws, plan.alpha, plan.seed)
    return Estimate(
        f"{what}, of the base",
        "%",
        float(primary.sum()),
        float(shadow.sum()),
        float((shadow - primary).sum()),
        Interval(*ends, f"{level}, weeks of entry") if ends else None,
    )


def _week(trade: MarkedTrade) -> tuple[int, int]:
    return trade.entry_session.isocalendar()[:2]


def _sums(
    book: TwinBook,
    weeks: list[tuple[int, int]],
    amount_usd: Callable[[MarkedTrade], float],
    plan: VerdictPlan,
) -> FloatArray:
    at = {week: number for number, week in enumerate(weeks)}
    sums = np.zeros(len(weeks))
    for trade in book.trades:
        sums[at[_week(trade)]] += 100 * amount_usd(trade) / plan.base_usd
    return sums
