"""What was planned, and how much evidence is still missing. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np

from livekit.comparison.inference import bounds_path, half_width

__all__ = ["Forecast", "SwitchChances", "VerdictPlan", "forecast", "switch_chances"]

_DAYS_A_SESSION = 365.25 / 252
_MOST_SESSIONS = 1_000_000
_WORLDS = 2_000


@dataclass(frozen=True, slots=True)
class VerdictPlan:
    """Everything about the decision that is fixed before the first session.

    ``base_usd`` is the stated base of every percentage and ``planned_sessions`` the horizon.
    ``drawdown_margin_pct`` is how much deeper, in points of equity, the shadow may fall and still
    count as neutral: the margin at which equal books of the published data's volatility (1.1 % a
    day, correlation 0.95) pass in at least 80 % of years. ``expected_sd_bps`` is the daily
    standard deviation of the difference in those data, in basis points of the base; it serves
    forecasts before there is a record. ``prior_sd_bps`` is the spread of the true mean difference
    between years of those data (2.7 by years, 2.4 by half-years) and ``switching_cost_pct`` what a
    switch costs, every position sold once at the modelled slippage; both are reported only.
    """

    base_usd: float
    planned_sessions: int = 252
    first_look_days: int = 90
    first_look_trades: int = 100
    fewest_sessions: int = 60
    fewest_effective_sessions: int = 40
    fewest_clusters: int = 12
    factor_margin: float = 0.10
    profit_pct: float = 3.0
    drawdown_margin_pct: float = 5.0
    alpha: float = 0.05
    beta: float = 0.20
    draws: int = 10_000
    seed: int = 1
    expected_sd_bps: float = 39.0
    prior_sd_bps: float = 2.5
    switching_cost_pct: float = 0.5

    @property
    def worthwhile(self) -> float:
        """Smallest difference worth a switch, as a fraction of the base a session."""
        return self.profit_pct / 100 / self.planned_sessions

    def date_after(self, first: date, sessions: int) -> date:
        """About when a record from ``first`` on has so many sessions."""
        return first + timedelta(days=round(sessions * _DAYS_A_SESSION))


@dataclass(frozen=True, slots=True)
class Forecast:
    """When enough evidence can be expected, if the record goes on as it has.

    ``one_look_sessions`` would suffice for a single look, ``daily_sessions`` for a bound that is
    looked at every day; None beyond any horizon. ``trades`` is what the fewer book has closed by
    ``expected``.
    """

    sessions: int
    one_look_sessions: int | None
    daily_sessions: int | None
    expected: date | None
    trades: int | None

    def text(self) -> str:
        """The forecast as one sentence."""
        if self.daily_sessions is None or self.expected is None:
            return "no record of any length can be expected to show the smallest worthwhile gain"
        return (
            f"{self.daily_sessions} sessions would show the smallest worthwhile gain under daily "
            f"looks ({self.one_look_sessions} in a single look); {self.sessions} are there. At the "
            f"present rate that is {self.expected:%B %Y}, with about {self.trades} closed trades"
        )


def forecast(
    plan: VerdictPlan, *, sigma: float, first: date, sessions: int, closed_trades: int
) -> Forecast:
    """Sessions needed to find the smallest worthwhile difference with power 1 − β.

    Args:
        plan: the registered plan.
        sigma: long-run standard deviation of the difference, a fraction of the base a session.
        first: first session of the record.
        sessions: sessions so far.
        closed_trades: closed trades so far in the book that has fewer.
    """
    normal = NormalDist()
    power = normal.inv_cdf(1 - plan.beta)
    looks = normal.inv_cdf(1 - plan.alpha) + power
    one_look = math.ceil((looks * sigma / plan.worthwhile) ** 2)
    daily = _first_sufficient(plan, sigma, power)
    rate = closed_trades / sessions if sessions else 0.0
    return Forecast(
        sessions=sessions,
        one_look_sessions=one_look if one_look <= _MOST_SESSIONS else None,
        daily_sessions=daily,
        expected=None if daily is None else plan.date_after(first, daily),
        trades=None if daily is None else round(rate * daily),
    )


def _first_sufficient(plan: VerdictPlan, sigma: float, power: float) -> int | None:
    n = np.unique(np.geomspace(2, _MOST_SESSIONS, 20_000).astype(np.int64)).astype(np.float64)
    width = half_width(n, sigma, plan.alpha, plan.planned_sessions) + power * sigma / np.sqrt(n)
    enough = np.flatnonzero(width <= plan.worthwhile)
    return int(n[enough[0]]) if len(enough) else None


@dataclass(frozen=True, slots=True)
class SwitchChances:
    """The chance of SWITCH within the horizon at no, the smallest worthwhile and twice that gain.

    Upper bounds: the gain on the base and the bound on the difference are asked for, the profit
    factor and the drawdown are not.
    """

    at_none: float
    at_worthwhile: float
    at_twice: float


def switch_chances(plan: VerdictPlan, *, worlds: int = _WORLDS) -> SwitchChances:
    """Simulate records with normal daily differences of the expected spread, looked at daily."""
    chance = np.random.Generator(np.random.PCG64(plan.seed))
    noise = chance.normal(0.0, plan.expected_sd_bps / 1e4, (worlds, plan.planned_sessions))
    shares = [_share_switching(plan, noise + gain * plan.worthwhile) for gain in (0, 1, 2)]
    return SwitchChances(*shares)


def _share_switching(
    plan: VerdictPlan, d: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> float:
    lower, _ = bounds_path(d, plan.alpha, plan.planned_sessions)
    looks = np.arange(1, d.shape[1] + 1) >= plan.fewest_sessions
    gained = np.cumsum(d, axis=1) >= plan.profit_pct / 100
    return float(np.mean(np.any((lower > 0) & gained & looks, axis=1)))
