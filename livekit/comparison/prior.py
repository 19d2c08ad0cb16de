"""What the record adds to what was believed before it, and what either mistake would cost. Pure.

Reported and never a gate: the mean difference a session is taken as normal around 0 before the
record, with the spread that walk-forward folds of the backtest showed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from livekit.comparison.forecast import VerdictPlan
from livekit.comparison.inference import corrected_variance
from livekit.model import FloatArray

__all__ = ["Outlook", "fold_spread", "outlook"]

_NORMAL = NormalDist()
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Outlook:
    """The mean difference a session after the record, in basis points of the base.

    ``better`` is the probability that the shadow gains more than a switch costs. The expected
    regrets are percents of the base over one planned horizon: of switching, what is lost where
    the shadow does not earn its cost; of waiting, what is forgone where it does.
    """

    prior_sd_bps: float
    mean_bps: float
    sd_bps: float
    cost_bps: float
    better: float
    regret_switching_pct: float
    regret_waiting_pct: float


def outlook(mean: float, sigma: float, sessions: int, plan: VerdictPlan) -> Outlook:
    """The posterior of a normal mean with a normal prior around 0, and its two unit losses.

    Posterior variance (1/τ² + n/σ²)⁻¹, mean d̄ τ²/(τ² + σ²/n). The expected regrets are
    E max(c − d, 0) and E max(d − c, 0) with the cost of switching c spread over the horizon
    (Raiffa & Schlaifer 1961, the unit normal loss).

    Args:
        mean: mean difference a session, a fraction of the base.
        sigma: its long-run standard deviation, above 0.
        sessions: sessions of the record.
        plan: prior, cost and horizon.
    """
    before, noise = (plan.prior_sd_bps / 1e4) ** 2, sigma**2 / sessions
    after = mean * before / (before + noise)
    spread = math.sqrt(1 / (1 / before + 1 / noise))
    cost = plan.switching_cost_pct / 100 / plan.planned_sessions
    z = (after - cost) / spread
    gained = spread * (_NORMAL.pdf(z) + z * _NORMAL.cdf(z))
    lost = spread * (_NORMAL.pdf(z) - z * _NORMAL.cdf(-z))
    return Outlook(
        prior_sd_bps=plan.prior_sd_bps,
        mean_bps=1e4 * after,
        sd_bps=1e4 * spread,
        cost_bps=1e4 * cost,
        better=_NORMAL.cdf(z),
        regret_switching_pct=100 * lost * plan.planned_sessions,
        regret_waiting_pct=100 * gained * plan.planned_sessions,
    )


def fold_spread(folds: Sequence[FloatArray]) -> float | None:
    """Spread τ of the true mean difference between folds, by the method of moments.

    τ² is the mean square of the folds' means less what their own noise explains; the prior is
    around 0, so the overall mean is not taken off. None for fewer than two folds of two sessions
    that vary, 0 when noise explains everything.

    Args:
        folds: differences a session, one series for each test window of a walk-forward.
    """
    known = [one for one in folds if len(one) >= _FEWEST and float(one.std()) > 0]
    if len(known) < _FEWEST:
        return None
    squares = np.array([float(one.mean()) ** 2 for one in known])
    noise = np.array([corrected_variance(one) / len(one) for one in known])
    return math.sqrt(max(0.0, float(squares.mean() - noise.mean())))
