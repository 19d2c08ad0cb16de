"""Every figure that the decision reads, computed once from a record of twins. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from livekit.backtest.metrics import daily_sharpe, profit_factor
from livekit.comparison.forecast import VerdictPlan
from livekit.comparison.inference import (
    Bounds,
    block_length,
    confidence_bounds,
    corrected_variance,
    effective_sessions,
    minimum_track_record,
)
from livekit.comparison.resampling import (
    FactorRatio,
    clusters_by_entry_week,
    drawdown_differences,
    factor_ratio,
    maximum_drawdown,
    mean_interval,
    shortfall,
    shortfall_interval,
    stationary_indices,
)
from livekit.comparison.sharpe import FEWEST_BLOCKS, SharpeDifference, sharpe_difference
from livekit.comparison.twins import MarkedTrade, TwinBook, TwinRecord
from livekit.model import FloatArray

__all__ = ["BookFigures", "Figures", "Resampled", "measure_record", "resample_record"]

_QUOTED_BLOCKS = (1.0, 2.0, 4.0)
_SENSITIVITY_BLOCKS = (0.5, 2.0)
_DRAWDOWN_QUANTILE = 0.90
_FEWEST_RESAMPLED = 2


@dataclass(frozen=True, slots=True)
class BookFigures:
    """One book; what is not defined is None.

    Drawdown and shortfall (5 %, a session) are percents of the equity.
    """

    strategy: str
    profit_usd: float
    closed: int
    profit_factor: float | None
    factor_without_best: float | None
    factor_without_two: float | None
    drawdown_pct: float
    sharpe: float | None
    shortfall_pct: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The record without resampling; ``mean`` and bounds are fractions of the base a session."""

    sessions: int
    days: int
    primary: BookFigures
    shadow: BookFigures
    pairs: int
    divergent: int
    clusters: int
    difference: float
    mean: float
    sigma: float | None
    effective_sessions: float | None
    bounds: Bounds | None
    track_record: float | None
    difference_without_best: float
    difference_without_two: float

    @property
    def fewer_closed(self) -> int:
        """Closed trades of the book that has fewer."""
        return min(self.primary.closed, self.shadow.closed)

    @property
    def factor_difference(self) -> float | None:
        """Profit factor of the shadow less that of the primary; None if one has none."""
        ours, theirs = self.shadow.profit_factor, self.primary.profit_factor
        return None if ours is None or theirs is None else ours - theirs


@dataclass(frozen=True, slots=True)
class Resampled:
    """What resampling says; None where the record does not carry it.

    ``interval`` is the widest of three block lengths, for the total difference as a fraction of
    the base, and ``half_block`` and ``double_block`` the same at one block length each.
    ``drawdown_points`` is the 90 % point of the drawdown difference in points of equity.
    ``shortfall`` is the widest interval of the difference of expected shortfalls, a fraction of
    the equity, and ``sharpe`` the widest of the Sharpe difference; both at three block lengths.
    """

    block: float
    interval: tuple[float, float]
    half_block: tuple[float, float]
    double_block: tuple[float, float]
    drawdown_points: float
    factor: FactorRatio | None
    shortfall: tuple[float, float]
    sharpe: SharpeDifference | None


def measure_record(record: TwinRecord, plan: VerdictPlan) -> Figures:
    """All figures that need no resampling; the record has at least one session."""
    d = record.difference
    sigma = math.sqrt(corrected_variance(d)) if len(d) > 1 else 0.0
    ranked = sorted((trade.profit_usd for trade in record.shadow.trades), reverse=True)
    total = float(d.sum())
    weeks = {
        trade.entry_session.isocalendar()[:2]
        for trade in (*record.primary.trades, *record.shadow.trades)
    }
    return Figures(
        sessions=len(d),
        days=(record.sessions[-1] - record.sessions[0]).days,
        primary=_book(record, record.primary, plan),
        shadow=_book(record, record.shadow, plan),
        pairs=len(record.pairs),
        divergent=sum(pair.is_divergent for pair in record.pairs),
        clusters=len(weeks),
        difference=total,
        mean=float(d.mean()),
        sigma=sigma or None,
        effective_sessions=effective_sessions(d),
        bounds=confidence_bounds(d, plan.alpha, plan.planned_sessions),
        track_record=_track_record(d, plan.alpha),
        difference_without_best=total - sum(ranked[:1]) / plan.base_usd,
        difference_without_two=total - sum(ranked[:2]) / plan.base_usd,
    )


def _book(record: TwinRecord, book: TwinBook, plan: VerdictPlan) -> BookFigures:
    returns = record.returns(book)
    ranked = np.sort([trade.profit_usd for trade in book.trades])
    enough = len(returns) >= plan.fewest_sessions
    return BookFigures(
        strategy=book.strategy,
        profit_usd=float(book.profit_usd[-1]),
        closed=len(book.closed),
        profit_factor=profit_factor(ranked),
        factor_without_best=profit_factor(ranked[:-1]),
        factor_without_two=profit_factor(ranked[:-2]),
        drawdown_pct=100 * float(maximum_drawdown(returns)),
        sharpe=daily_sharpe(returns),
        shortfall_pct=100 * float(shortfall(returns)) if enough else None,
    )


def _track_record(d: FloatArray, alpha: float) -> float | None:
    """Sessions that would show a mean above 0 at this ratio and shape; None if it is not above."""
    spread = float(d.std(ddof=1)) if len(d) > 1 else 0.0
    if not spread > 0:
        return None
    z = (d - d.mean()) / float(d.std())
    return minimum_track_record(
        float(d.mean()) / spread, float((z**3).mean()), float((z**4).mean()), alpha
    )


# ------------------------------------------------------------------------------------ resampling


def resample_record(record: TwinRecord, plan: VerdictPlan) -> Resampled | None:
    """Intervals by resampling; None for one session or two books that never differ."""
    d = record.difference
    if len(d) < _FEWEST_RESAMPLED or not float(d.std()) > 0:
        return None
    block = block_length(d)
    drawn = {
        factor: stationary_indices(len(d), plan.draws, max(1.0, factor * block), plan.seed)
        for factor in sorted({*_QUOTED_BLOCKS, *_SENSITIVITY_BLOCKS})
    }
    totals = {
        factor: _total(mean_interval(d, indices, plan.alpha), len(d))
        for factor, indices in drawn.items()
    }
    books = record.returns(record.primary), record.returns(record.shadow)
    deeper = drawdown_differences(*books, drawn[1.0])
    half, double = (totals[factor] for factor in _SENSITIVITY_BLOCKS)
    return Resampled(
        block=block,
        interval=_widest(totals[factor] for factor in _QUOTED_BLOCKS),
        half_block=half,
        double_block=double,
        drawdown_points=100 * float(np.quantile(deeper, _DRAWDOWN_QUANTILE)),
        factor=_factor(record, plan),
        shortfall=_widest(
            shortfall_interval(*books, drawn[factor], plan.alpha) for factor in _QUOTED_BLOCKS
        ),
        sharpe=_sharpe(*books, block, plan),
    )


def _widest(intervals: Iterable[tuple[float, float]]) -> tuple[float, float]:
    return max(intervals, key=lambda ends: ends[1] - ends[0])


def _sharpe(
    primary: FloatArray, shadow: FloatArray, block: float, plan: VerdictPlan
) -> SharpeDifference | None:
    """The widest interval of three block lengths, none so long that fewer than ten blocks fit."""
    longest = max(1, len(primary) // FEWEST_BLOCKS)
    found = [
        sharpe_difference(
            primary,
            shadow,
            block=min(longest, max(1, round(factor * block))),
            draws=plan.draws,
            alpha=plan.alpha,
            seed=plan.seed,
        )
        for factor in _QUOTED_BLOCKS
    ]
    return max((one for one in found if one), key=lambda one: one.high - one.low, default=None)


def _total(mean: tuple[float, float], sessions: int) -> tuple[float, float]:
    return mean[0] * sessions, mean[1] * sessions


def _factor(record: TwinRecord, plan: VerdictPlan) -> FactorRatio | None:
    clusters = clusters_by_entry_week(
        _profits(record.primary.trades), _profits(record.shadow.trades)
    )
    return factor_ratio(clusters, plan.draws, plan.alpha, plan.seed)


def _profits(trades: Sequence[MarkedTrade]) -> list[tuple[date, float]]:
    return [(trade.entry_session, trade.profit_usd) for trade in trades]
