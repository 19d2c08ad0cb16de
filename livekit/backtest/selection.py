"""How much of a sweep's winner is luck: deflated Sharpe ratio, SPA, StepM and PBO.

The best of many trials looks good even if none is. The deflated Sharpe ratio asks whether the
winner's Sharpe ratio exceeds what the best of N worthless trials would show; Hansen's SPA and the
StepM of Romano and Wolf ask whether any trial beats a benchmark, on resampled daily returns; the
probability of backtest overfitting asks how often the winner of one half is mediocre in the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from livekit.model import FloatArray

__all__ = [
    "DeflatedSharpe",
    "Overfitting",
    "Superiority",
    "deflated_sharpe",
    "expected_best_sharpe",
    "overfitting",
    "probabilistic_sharpe",
    "superiority",
]

_EULER = 0.5772156649015329
_SMALLEST_SAMPLE = 30  # sessions; below, a resampled year means nothing
_BLOCKS = 16  # as in the paper: 12,870 ways to halve
_SPLITS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """The winner against the best of N trials without any edge; Sharpe ratios are per session.

    ``trials`` is the number of trials with a Sharpe ratio, all counted as independent: correlated
    trials count less, so ``probability`` errs to the low side.
    """

    sharpe: float
    expected_best: float
    probability: float
    trials: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Superiority:
    """Whether any trial beats the benchmark's daily returns after looking at all of them.

    ``spa_p_value`` is Hansen's consistent p value; ``superior`` are the keys that StepM keeps at
    ``size``; ``compared`` is how many trials differ from the benchmark at all.
    """

    spa_p_value: float
    superior: tuple[str, ...]
    size: float
    compared: int


@dataclass(frozen=True, slots=True)
class Overfitting:
    """The share of ``splits`` in which the in-sample winner is no better than the median trial.

    ``trials`` counts those with different returns: equal ones count once.
    """

    probability: float
    splits: int
    trials: int


def probabilistic_sharpe(
    sharpe: float, against: float, sessions: int, skewness: float, kurtosis: float
) -> float | None:
    """Probability that the true Sharpe ratio exceeds ``against`` (Bailey & López de Prado 2012).

    Φ((SR − SR0) √(n − 1) / √(1 − g3 SR + (g4 − 1)/4 SR²)); ratios per session, g4 = 3 if normal.
    """
    spread = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if sessions < 2 or spread <= 0.0:
        return None
    return _normal_cdf((sharpe - against) * math.sqrt(sessions - 1) / math.sqrt(spread))


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Expected best Sharpe ratio of N trials without edge (Bailey & López de Prado 2014).

    √V [(1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))], V the variance of the trials' ratios, γ Euler's
    constant. One trial has nothing to be best of: 0.
    """
    if trials < 2:
        return 0.0
    upper, far = _normal_quantile(1.0 - 1.0 / trials), _normal_quantile(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - _EULER) * upper + _EULER * far)


def deflated_sharpe(returns: FloatArray, all_sharpes: FloatArray) -> DeflatedSharpe | None:
    """Deflate the winner of a sweep.

    Args:
        returns: the winner's daily returns.
        all_sharpes: Sharpe ratios per session of all trials, nan where there is none.

    Returns:
        None when the winner's returns do not vary.
    """
    sharpes = all_sharpes[np.isfinite(all_sharpes)]
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    if spread <= 0.0:
        return None
    sharpe = float(returns.mean()) / spread
    scaled = (returns - returns.mean()) / returns.std()
    variance = float(sharpes.var(ddof=1)) if len(sharpes) > 1 else 0.0
    best = expected_best_sharpe(len(sharpes), variance)
    skewness, kurtosis = float((scaled**3).mean()), float((scaled**4).mean())
    probability = probabilistic_sharpe(sharpe, best, len(returns), skewness, kurtosis)
    if probability is None:
        return None
    return DeflatedSharpe(sharpe, best, probability, len(sharpes), len(returns))


def superiority(
    benchmark: FloatArray,
    returns: FloatArray,
    keys: tuple[str, ...],
    *,
    size: float = 0.05,
    draws: int = 1000,
    seed: int = 1,
) -> Superiority | None:
    """SPA (Hansen 2005) and StepM (Romano & Wolf 2005) by the stationary bootstrap.

    The mean block is that of Politis & White 2004 for the benchmark's differences, averaged.

    Args:
        benchmark: [n] daily returns to beat.
        returns: [n, k] daily returns of the trials.
        keys: names of the k trials.
        size: error level of StepM over all trials together.
        draws: bootstrap replications.
        seed: of the bootstrap; the same seed gives the same answer.

    Returns:
        None with fewer than 30 sessions or no trial that differs from the benchmark.
    """
    # arch brings statsmodels, seconds at import; only who asks for the test pays for it.
    from arch.bootstrap import SPA, StepM, optimal_block_length  # noqa: PLC0415

    differs = (returns - benchmark[:, None]).std(axis=0) > 0.0
    if len(benchmark) < _SMALLEST_SAMPLE or not differs.any():
        return None
    models, names = (
        -returns[:, differs],
        [key for key, one in zip(keys, differs, strict=True) if one],
    )
    excess = returns[:, differs] - benchmark[:, None]
    block = max(1, round(float(optimal_block_length(excess)["stationary"].mean())))
    settings = {"block_size": block, "reps": draws, "seed": seed}
    spa = SPA(-benchmark, models, **settings)
    spa.compute()
    steps = StepM(-benchmark, models, size=size, **settings)
    steps.compute()
    superior = tuple(names[int(number)] for number in steps.superior_models)
    return Superiority(float(spa.pvalues["consistent"]), superior, size, len(names))


def overfitting(returns: FloatArray, *, blocks: int = _BLOCKS) -> Overfitting | None:
    """PBO by combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado & Zhu).

    The sessions are cut into ``blocks`` of about equal length. Every half of them chooses the trial
    with the best Sharpe ratio, which is then ranked by its ratio on the other half; a trial that
    does not vary on a half has the ratio 0 there.

    Args:
        returns: [n, k] daily returns of the trials, cash where a book has ended.
        blocks: an even number.

    Returns:
        None for fewer than two different trials or two sessions a block.
    """
    different = np.unique(returns, axis=1)
    if different.shape[1] < 2 or len(returns) < 2 * blocks:
        return None
    starts = [len(returns) * number // blocks for number in range(blocks)]
    sums = np.add.reduceat(different, starts)
    squares = np.add.reduceat(different**2, starts)
    lengths = np.diff([*starts, len(returns)]).astype(np.float64)
    below = splits = 0
    for chosen in _halves(blocks):
        inside, outside = (
            _ratios(half @ sums, half @ squares, half @ lengths) for half in (chosen, 1 - chosen)
        )
        winners = outside[np.arange(len(chosen)), inside.argmax(axis=1)]
        below += int(np.sum(winners <= np.median(outside, axis=1)))
        splits += len(chosen)
    return Overfitting(below / splits, splits, different.shape[1])


def _halves(blocks: int) -> Iterator[FloatArray]:
    """Every choice of half the blocks as rows of 0 and 1, some at a time."""
    choices = combinations(range(blocks), blocks // 2)
    while some := list(islice(choices, _SPLITS_AT_ONCE)):
        rows = np.zeros((len(some), blocks))
        np.put_along_axis(rows, np.array(some), 1.0, axis=1)
        yield rows


def _ratios(sums: FloatArray, squares: FloatArray, counts: FloatArray) -> FloatArray:
    mean = sums / counts[:, None]
    variance = squares / counts[:, None] - mean**2
    varies = variance > 1e-12 * squares / counts[:, None]
    ratios: FloatArray = np.where(varies, mean / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    return ratios


def _normal_cdf(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2.0))


def _normal_quantile(probability: float) -> float:
    from scipy.special import ndtri  # noqa: PLC0415 - a live run loads no scipy

    return float(ndtri(probability))
