"""Resampling two books together: the same sessions, or the same clusters of trades, for both.

Everything is drawn from a generator with the given seed, so equal input gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from livekit.model import FloatArray

__all__ = [
    "Clusters",
    "FactorRatio",
    "IntArray",
    "clusters_by_entry_week",
    "drawdown_differences",
    "factor_ratio",
    "maximum_drawdown",
    "mean_interval",
    "shortfall",
    "shortfall_interval",
    "stationary_indices",
    "sum_interval",
]

IntArray = npt.NDArray[np.int32]

_FEWEST_CLUSTERS = 2
_MOST_UNDEFINED = 0.05
_AT_ONCE = 200_000  # resampled values


# -------------------------------------------------------------------------------------- sessions


def stationary_indices(n: int, draws: int, block: float, seed: int) -> IntArray:
    """Indices of resampled sessions, shape ``(draws, n)`` (Politis & Romano 1994).

    Each draw starts anywhere; with probability 1/``block`` a new block starts, else the next
    session follows, the first after the last.
    """
    chance = np.random.Generator(np.random.PCG64(seed))
    starts = chance.integers(0, n, size=(n, draws), dtype=np.int32)
    fresh = chance.random((n, draws), dtype=np.float32) < 1.0 / block
    indices = np.empty((n, draws), dtype=np.int32)
    indices[0] = starts[0]
    for step in range(1, n):
        following = indices[step - 1] + 1
        following[following == n] = 0
        indices[step] = np.where(fresh[step], starts[step], following)
    return indices.T


def mean_interval(d: FloatArray, indices: IntArray, alpha: float) -> tuple[float, float]:
    """The α and 1 − α quantiles of the resampled mean."""
    means = np.concatenate([d[part].mean(axis=1) for part in _parts(indices)])
    low, high = np.quantile(means, (alpha, 1 - alpha))
    return float(low), float(high)


def _parts(indices: IntArray) -> Iterator[IntArray]:
    """Some draws at a time, so that years of sessions stay within the cache."""
    step = max(1, _AT_ONCE // indices.shape[1])
    for start in range(0, len(indices), step):
        yield indices[start : start + step]


def maximum_drawdown(returns: FloatArray) -> FloatArray:
    """Deepest fall below the running peak as a fraction of it, along the last axis.

    The path starts at 1 and is multiplied by 1 + return a session.
    """
    path = np.cumprod(1 + returns, axis=-1)
    peak = np.maximum(np.maximum.accumulate(path, axis=-1), 1.0)
    deepest: FloatArray = np.max(1 - path / peak, axis=-1, initial=0.0)
    return deepest


def drawdown_differences(primary: FloatArray, shadow: FloatArray, indices: IntArray) -> FloatArray:
    """Shadow's less primary's maximum drawdown on each draw of the rows of both returns."""
    return np.concatenate(
        [
            maximum_drawdown(shadow[part]) - maximum_drawdown(primary[part])
            for part in _parts(indices)
        ]
    )


def shortfall(returns: FloatArray) -> FloatArray:
    """Expected shortfall at 5 %: mean of the worst twentieth of returns along the last axis."""
    count = max(1, returns.shape[-1] // 20)
    worst: FloatArray = np.partition(returns, count - 1, axis=-1)[..., :count].mean(axis=-1)
    return worst


def shortfall_interval(
    primary: FloatArray, shadow: FloatArray, indices: IntArray, alpha: float
) -> tuple[float, float]:
    """The α and 1 − α quantiles of shadow's less primary's resampled expected shortfall."""
    found = [shortfall(shadow[part]) - shortfall(primary[part]) for part in _parts(indices)]
    low, high = np.quantile(np.concatenate(found), (alpha, 1 - alpha))
    return float(low), float(high)


# -------------------------------------------------------------------------------------- clusters


@dataclass(frozen=True, slots=True)
class Clusters:
    """Gross profit and gross loss (both ≥ 0, USD) of each cluster, for both books.

    Four arrays of one length m. A cluster is a week of entries; where one book entered nothing its
    sums are 0.
    """

    primary_win: FloatArray
    primary_loss: FloatArray
    shadow_win: FloatArray
    shadow_loss: FloatArray

    def __len__(self) -> int:
        return len(self.primary_win)


def clusters_by_entry_week(
    primary: Sequence[tuple[date, float]], shadow: Sequence[tuple[date, float]]
) -> Clusters:
    """Clusters of (entry session, profit in USD) by the ISO week of entry, oldest first."""
    weeks = sorted({day.isocalendar()[:2] for day, _ in (*primary, *shadow)})
    at = {week: number for number, week in enumerate(weeks)}
    sums = np.zeros((4, len(weeks)))
    for row, trades in ((0, primary), (2, shadow)):
        for day, profit in trades:
            sums[row + (profit < 0), at[day.isocalendar()[:2]]] += abs(profit)
    return Clusters(*sums)


def sum_interval(
    sums: FloatArray, draws: int, alpha: float, seed: int
) -> tuple[float, float] | None:
    """The α and 1 − α quantiles of the total of resampled clusters; None for fewer than two."""
    if len(sums) < _FEWEST_CLUSTERS:
        return None
    chance = np.random.Generator(np.random.PCG64(seed))
    drawn = chance.integers(0, len(sums), size=(draws, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1), (alpha, 1 - alpha))
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class FactorRatio:
    """log(PF shadow / PF primary) with a studentised interval of both its sides."""

    log_ratio: float
    low: float
    high: float


def factor_ratio(clusters: Clusters, draws: int, alpha: float, seed: int) -> FactorRatio | None:
    """Log ratio of the profit factors, resampled by clusters and studentised.

    The standard error is that of the delete-none delta method; the interval is
    [θ̂ − q_{1−α} se, θ̂ − q_α se] with q the quantiles of (θ* − θ̂)/se*. None when a book has no
    loser or no winner, when there are fewer than two clusters or no spread, or when more than 5 %
    of the draws have no loser.
    """
    sums = np.array(
        (clusters.shadow_win, clusters.shadow_loss, clusters.primary_win, clusters.primary_loss)
    )
    if len(clusters) < _FEWEST_CLUSTERS or not (sums.sum(axis=1) > 0).all():
        return None
    ratio, error = (float(part[0]) for part in _log_ratios(sums[:, None, :]))
    if not error > 0:
        return None
    chance = np.random.Generator(np.random.PCG64(seed))
    drawn = chance.integers(0, len(clusters), size=(draws, len(clusters)))
    ratios, errors = _log_ratios(sums[:, drawn])
    with np.errstate(invalid="ignore", divide="ignore"):
        studentised = (ratios - ratio) / errors
    defined = studentised[np.isfinite(studentised)]
    if len(defined) < (1 - _MOST_UNDEFINED) * draws:
        return None
    low, high = np.quantile(defined, (alpha, 1 - alpha))
    return FactorRatio(ratio, ratio - float(high) * error, ratio - float(low) * error)


def _log_ratios(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """θ̂ and its standard error for sums of shape ``(4, draws, m)``: shadow, then primary."""
    means = sums.mean(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(means)
        scaled = sums / means[:, :, None]
        ratio = logs[0] - logs[1] - logs[2] + logs[3]
        influence = scaled[0] - scaled[1] - scaled[2] + scaled[3]
        error = influence.std(axis=1, ddof=1) / np.sqrt(sums.shape[2])
    return ratio, error
