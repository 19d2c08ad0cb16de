"""The difference of two Sharpe ratios with an interval (Ledoit & Wolf 2008). Pure.

Sessions of both books are drawn together in blocks, and each draw is studentised by its own
standard error, so that fat tails, dependence over time and the correlation of the books count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from livekit.backtest.metrics import SESSIONS_A_YEAR
from livekit.comparison.inference import long_run_variance
from livekit.model import FloatArray

__all__ = ["FEWEST_BLOCKS", "SharpeDifference", "sharpe_difference"]

FEWEST_BLOCKS = 10
_AT_ONCE = 200_000  # drawn blocks
_SHADOW_LESS_PRIMARY = np.array([-1.0, 1.0, -1.0, 1.0])
_PARAMETERS = 4  # means and second moments: the small-sample factor of the paper, n/(n − 4)


@dataclass(frozen=True, slots=True)
class SharpeDifference:
    """Shadow's less primary's Sharpe ratio, annual, with an interval symmetric around it."""

    value: float
    low: float
    high: float
    block: int


def sharpe_difference(
    primary: FloatArray,
    shadow: FloatArray,
    *,
    block: int,
    draws: int,
    alpha: float,
    seed: int,
) -> SharpeDifference | None:
    """The difference with its studentised circular block bootstrap interval.

    The interval is Δ̂ ± q s(Δ̂), q the 1 − 2α quantile of |Δ* − Δ̂| / s(Δ*). The standard error
    comes from the delta method on the four moments; it is a Bartlett sum over block − 1 lags for
    the record and the variance of the sums of blocks for a draw, which is the same quantity there
    (Götze & Künsch 1996). The block is given rather than calibrated as in the paper.

    Args:
        primary: returns a session.
        shadow: returns of the same sessions.
        block: sessions in a block.
        draws: resampled records.
        alpha: level of each side.
        seed: of the draws.

    Returns:
        None when a book does not vary, when they do not differ, or for fewer than ten blocks.
    """
    n, count = len(primary), len(primary) // block
    if count < FEWEST_BLOCKS or not min(primary.std(), shadow.std()) > 0:
        return None
    moments = np.column_stack((primary, shadow, primary**2, shadow**2))
    value, gradient = _difference(moments.mean(axis=0))
    influence = (moments - moments.mean(axis=0)) @ gradient
    error = math.sqrt(long_run_variance(influence, block - 1) / (n - _PARAMETERS))
    if not error > 0:
        return None
    chance = np.random.Generator(np.random.PCG64(seed))
    starts, sums = chance.integers(0, n, size=(draws, count)), _block_sums(moments, block)
    parts = np.array_split(starts, 1 + starts.size // _AT_ONCE)
    drawn = np.concatenate([_studentised(sums[part], block, float(value)) for part in parts])
    reach = float(np.quantile(drawn[np.isfinite(drawn)], 1 - 2 * alpha)) * error
    year = math.sqrt(SESSIONS_A_YEAR)
    return SharpeDifference(
        year * float(value), year * (float(value) - reach), year * (float(value) + reach), block
    )


def _difference(moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shadow's less primary's ratio and its gradient, for moments along the last axis.

    With μ the mean, γ the second moment and v = γ − μ², the ratio μ/√v has the derivatives
    γ/v^1.5 by μ and −μ/(2 v^1.5) by γ.
    """
    mean, second = moments[..., :2], moments[..., 2:]
    variance = np.maximum(second - mean**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / np.sqrt(variance)
        slopes = np.concatenate((second, -mean / 2), axis=-1) / np.tile(variance**1.5, 2)
    return ratio[..., 1] - ratio[..., 0], slopes * _SHADOW_LESS_PRIMARY


def _block_sums(moments: FloatArray, block: int) -> FloatArray:
    """Sums over ``block`` sessions from each one on, the first session following the last."""
    around = np.concatenate((np.zeros((1, 4)), np.cumsum(np.tile(moments, (2, 1)), axis=0)))
    sums: FloatArray = around[block : block + len(moments)] - around[: len(moments)]
    return sums


def _studentised(sums: FloatArray, block: int, value: float) -> FloatArray:
    """|Δ* − Δ̂| / s(Δ*) of each draw, from its blocks' sums of shape ``(draws, blocks, 4)``."""
    means = sums.mean(axis=1) / block
    found, gradients = _difference(means)
    parts = np.einsum("dbm,dm->db", sums - block * means[:, None, :], gradients)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(np.mean(parts**2, axis=1) / block / (block * sums.shape[1]))
        studentised: FloatArray = np.abs(found - value) / errors
    return studentised
