"""Figures of a simulation: pure functions of trades and of the daily curve.

A figure that cannot be computed (no losers, one trade, no variance) is None, which reads "not
available"; none is ever infinite. Percents are percents, money is USD. Each function names where
its formula comes from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import numpy.typing as npt

from livekit.model import ClosedTrade, FloatArray

__all__ = [
    "SESSIONS_A_YEAR",
    "Correlation",
    "Curve",
    "Drawdown",
    "Metrics",
    "WelchTest",
    "average",
    "cagr_pct",
    "daily_returns",
    "daily_sharpe",
    "daily_sortino",
    "deepest_by_pct",
    "deepest_by_usd",
    "grade_test",
    "measure",
    "median",
    "pearson",
    "profit_factor",
    "score_correlation",
    "trade_sharpe",
    "welch",
    "win_rate_pct",
]

SESSIONS_A_YEAR = 252  # the convention of the US equity market
_DAYS_A_YEAR = 365.25
_FLAT = 1e-12  # a spread this far below the values themselves is float noise around a constant


@dataclass(frozen=True, slots=True)
class Curve:
    """The daily curve at each session's close; all arrays have one length.

    ``pnl_usd`` is realised and unrealised profit since the start, ``invested_usd`` what the open
    positions cost.
    """

    sessions: tuple[date, ...]
    pnl_usd: FloatArray
    invested_usd: FloatArray
    open_positions: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall of the equity from a running peak; ``recovered`` is None while it lies below."""

    usd: float
    pct: float
    peak: date
    trough: date
    recovered: date | None


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r of n pairs, with the two-sided p value of r = 0."""

    r: float
    p_value: float
    n: int


@dataclass(frozen=True, slots=True)
class WelchTest:
    """Difference of two means (first less second) without assuming equal variances."""

    difference: float
    t: float
    degrees: float
    p_value: float
    n_first: int
    n_second: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is said of a result in numbers; None is "not available".

    ``drawdown_usd`` is the deepest fall in dollars, ``drawdown_pct`` the deepest in percent of the
    running peak; they need not be the same. ``exposure_time_pct`` counts sessions that close with
    a position, ``exposure_capital_pct`` is the mean cost of the open positions in percent of the
    capital. ``capital_requirement_usd`` is the most that open positions cost at a close.
    """

    capital_usd: float
    trades: int
    total_pnl_usd: float
    win_rate_pct: float | None
    profit_factor: float | None
    expectancy_usd: float | None
    average_return_pct: float | None
    median_return_pct: float | None
    average_hold_days: float | None
    trade_sharpe: float | None
    daily_sharpe: float | None
    daily_sortino: float | None
    drawdown_usd: Drawdown | None
    drawdown_pct: Drawdown | None
    exposure_time_pct: float | None
    exposure_capital_pct: float | None
    cagr_pct: float | None
    peak_positions: int
    capital_requirement_usd: float
    score_return: Correlation | None
    grades_ab_against_cd: WelchTest | None

    def figures(self) -> Mapping[str, float | None]:
        """The plain numbers by name, as a manifest or a table takes them."""
        plain: dict[str, float | None] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or isinstance(value, (int, float)):
                plain[field.name] = value
        plain["drawdown_usd"] = None if self.drawdown_usd is None else self.drawdown_usd.usd
        plain["drawdown_pct"] = None if self.drawdown_pct is None else self.drawdown_pct.pct
        plain["score_return"] = None if self.score_return is None else self.score_return.r
        welch_test = self.grades_ab_against_cd
        plain["grades_ab_against_cd"] = None if welch_test is None else welch_test.difference
        return plain


def measure(trades: Sequence[ClosedTrade], curve: Curve, capital_usd: float) -> Metrics:
    """All figures of ``trades`` and their ``curve`` on a stated capital.

    Args:
        trades: closed trades, those marked out at the end of the data included.
        curve: the daily curve of the same simulation.
        capital_usd: what the percentages of the equity refer to at the start; above 0.
    """
    pnl = np.array([trade.pnl_usd for trade in trades], dtype=np.float64)
    returns = np.array([trade.return_pct for trade in trades], dtype=np.float64)
    daily = daily_returns(curve.pnl_usd, capital_usd)
    equity = np.concatenate(([capital_usd], capital_usd + curve.pnl_usd))
    days = (*curve.sessions[:1], *curve.sessions)
    invested, held = curve.invested_usd, curve.open_positions
    return Metrics(
        capital_usd=capital_usd,
        trades=len(pnl),
        total_pnl_usd=round(float(pnl.sum()), 2),
        win_rate_pct=win_rate_pct(pnl),
        profit_factor=profit_factor(pnl),
        expectancy_usd=average(pnl),
        average_return_pct=average(returns),
        median_return_pct=median(returns),
        average_hold_days=average(np.array([trade.hold_days for trade in trades], dtype=float)),
        trade_sharpe=trade_sharpe(returns),
        daily_sharpe=daily_sharpe(daily),
        daily_sortino=daily_sortino(daily),
        drawdown_usd=deepest_by_usd(days, equity),
        drawdown_pct=deepest_by_pct(days, equity),
        exposure_time_pct=average(np.where(held > 0, 100.0, 0.0)),
        exposure_capital_pct=average(100.0 * invested / capital_usd),
        cagr_pct=cagr_pct(capital_usd, float(equity[-1]), _span_days(curve.sessions)),
        peak_positions=int(held.max(initial=0)),
        capital_requirement_usd=float(invested.max(initial=0.0)),
        score_return=score_correlation(trades),
        grades_ab_against_cd=grade_test(trades),
    )


def _span_days(sessions: Sequence[date]) -> int:
    return (sessions[-1] - sessions[0]).days if sessions else 0


# --------------------------------------------------------------------------------------- trades


def average(values: FloatArray) -> float | None:
    """Arithmetic mean; of profits it is the expectancy a trade (Tharp 1998, in USD)."""
    return float(values.mean()) if len(values) else None


def median(values: FloatArray) -> float | None:
    """The middle value, or the mean of the two in the middle."""
    return float(np.median(values)) if len(values) else None


def win_rate_pct(pnl_usd: FloatArray) -> float | None:
    """Share of trades with a profit above 0; a trade of exactly 0 is no win."""
    return average(np.where(pnl_usd > 0.0, 100.0, 0.0))


def profit_factor(pnl_usd: FloatArray) -> float | None:
    """Gross profit over gross loss (Schwager 1984); not available without a losing trade."""
    loss = -float(pnl_usd[pnl_usd < 0.0].sum())
    return float(pnl_usd[pnl_usd > 0.0].sum()) / loss if loss > 0.0 else None


def trade_sharpe(returns_pct: FloatArray) -> float | None:
    """Mean over standard deviation (n − 1) of the trades' returns (Sharpe 1994, rate 0).

    Per trade and not annualised: trades overlap and differ in length.
    """
    return _ratio(returns_pct)


def _ratio(values: FloatArray) -> float | None:
    if len(values) < 2:
        return None
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    return mean / spread if spread > _FLAT * float(np.abs(values).max()) else None


# ---------------------------------------------------------------------------------------- equity


def daily_returns(pnl_usd: FloatArray, capital_usd: float) -> FloatArray:
    """Change of the equity against the session before, as a fraction; the first against capital.

    From the session on which nothing is left of the capital there is no return to speak of; the
    series ends there.
    """
    equity = np.concatenate(([capital_usd], capital_usd + pnl_usd))
    ruined = np.flatnonzero(equity <= 0.0)
    equity = equity[: ruined[0] + 1] if len(ruined) else equity
    returns: FloatArray = equity[1:] / equity[:-1] - 1.0
    return returns


def daily_sharpe(returns: FloatArray) -> float | None:
    """Mean over standard deviation (n − 1) of daily returns × √252 (Sharpe 1994, rate 0)."""
    ratio = _ratio(returns)
    return None if ratio is None else math.sqrt(SESSIONS_A_YEAR) * ratio


def daily_sortino(returns: FloatArray) -> float | None:
    """Mean over downside deviation of daily returns × √252 (Sortino & Price 1994, target 0).

    The downside deviation is the root of the mean of min(r, 0)² over all sessions, not only the
    losing ones.
    """
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return math.sqrt(SESSIONS_A_YEAR) * float(returns.mean()) / downside if downside > 0 else None


def deepest_by_usd(days: Sequence[date], equity_usd: FloatArray) -> Drawdown | None:
    """The largest fall in dollars below the running peak; None if the equity never falls.

    Running peak as in Magdon-Ismail, Atiya, Pratap & Abu-Mostafa 2004.
    """
    return _deepest(days, equity_usd, np.maximum.accumulate(equity_usd) - equity_usd)


def deepest_by_pct(days: Sequence[date], equity_usd: FloatArray) -> Drawdown | None:
    """The largest fall in percent of the running peak: max of 1 − E(s) / max E(u), u ≤ s."""
    return _deepest(days, equity_usd, 1.0 - equity_usd / np.maximum.accumulate(equity_usd))


def _deepest(days: Sequence[date], equity: FloatArray, depth: FloatArray) -> Drawdown | None:
    if not len(days) or not depth.max(initial=0.0) > 0.0:
        return None
    trough = int(np.argmax(depth))
    peak = int(np.argmax(equity[: trough + 1]))
    back = np.flatnonzero(equity[trough:] >= equity[peak])
    fall_usd = float(equity[peak] - equity[trough])
    return Drawdown(
        usd=fall_usd,
        pct=100.0 * fall_usd / float(equity[peak]),
        peak=days[peak],
        trough=days[trough],
        recovered=days[trough + int(back[0])] if len(back) else None,
    )


def cagr_pct(start_usd: float, end_usd: float, days: int) -> float | None:
    """Compound annual growth: (end / start) ^ (365.25 / days) − 1 (CFA Institute, GIPS 2020).

    Not available without a span of days or when nothing is left.
    """
    if days <= 0 or start_usd <= 0.0 or end_usd <= 0.0:
        return None
    try:
        return 100.0 * (math.pow(end_usd / start_usd, _DAYS_A_YEAR / days) - 1.0)
    except OverflowError:  # a few days compounded over a year
        return None


# ----------------------------------------------------------------------------------------- tests


def score_correlation(trades: Sequence[ClosedTrade]) -> Correlation | None:
    """Pearson's correlation of score and return over the trades with a score."""
    pairs = [
        (trade.candidate.score, trade.return_pct)
        for trade in trades
        if trade.candidate.score is not None
    ]
    scores, returns = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return pearson(scores, returns)


def pearson(x: FloatArray, y: FloatArray) -> Correlation | None:
    """Product-moment correlation (Pearson 1895) and its t test on n − 2 degrees of freedom.

    Not available for fewer than three pairs or when one side does not vary.
    """
    n = len(x)
    if n < 3 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    r = float((dx @ dy) / math.sqrt(float((dx @ dx) * (dy @ dy))))
    r = max(-1.0, min(1.0, r))
    left = 1.0 - r * r
    p_value = _two_sided(r * math.sqrt((n - 2) / left), n - 2) if left > 0.0 else 0.0
    return Correlation(r, p_value, n)


def grade_test(trades: Sequence[ClosedTrade]) -> WelchTest | None:
    """Welch's test of the returns of grades A and B against those of C, D and ungraded."""
    good = [trade.return_pct for trade in trades if trade.candidate.grade in ("A", "B")]
    rest = [trade.return_pct for trade in trades if trade.candidate.grade not in ("A", "B")]
    return welch(np.array(good, dtype=np.float64), np.array(rest, dtype=np.float64))


def welch(first: FloatArray, second: FloatArray) -> WelchTest | None:
    """Welch's t test (Welch 1947), degrees of freedom by Satterthwaite 1946, two-sided.

    Not available when a group has fewer than two members or neither varies.
    """
    n, m = len(first), len(second)
    if n < 2 or m < 2:
        return None
    share_first, share_second = first.var(ddof=1) / n, second.var(ddof=1) / m
    variance = float(share_first + share_second)
    if variance <= 0.0:
        return None
    degrees = variance**2 / float(share_first**2 / (n - 1) + share_second**2 / (m - 1))
    difference = float(first.mean() - second.mean())
    t = difference / math.sqrt(variance)
    return WelchTest(difference, t, degrees, _two_sided(t, degrees), n, m)


def _two_sided(t: float, degrees: float) -> float:
    # scipy costs every process 0.1 s at import; a live run loads this module and needs none of it.
    from scipy.special import stdtr  # noqa: PLC0415

    return float(2.0 * stdtr(degrees, -abs(t)))
