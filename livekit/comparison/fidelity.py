"""Fidelity: does the executed book do what the primary twin did? Pure.

Judged per trade, by resampling the weeks of entry, and in total, to the cent. It is due on the day
of the first look, whatever the decision about the shadow says.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np

from livekit.comparison.attribution import Attribution, Part, TradeAttribution
from livekit.comparison.forecast import VerdictPlan
from livekit.model import FloatArray

__all__ = ["TOLERANCE_PCT", "Fidelity", "judge_fidelity"]

TOLERANCE_PCT = 0.5  # of what a trade invests: the slippage that the backtest assumes for an exit
_FEWEST_WEEKS = 5

State = Literal["FAITHFUL", "DEVIATES", "UNDECIDED", "CONTINUE"]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The verdict on the execution.

    ``mean_pct`` is the mean difference of a trade, live − twin, in percent of what it invests, with
    its 90 % interval; None where there are too few weeks of entries. ``missed`` and ``extra`` count
    trades that one book alone made. ``causes`` are the parts of the total, largest first.
    """

    state: State
    because: str
    trades: int
    missed: int
    extra: int
    live_usd: Decimal
    twin_usd: Decimal
    difference_usd: Decimal
    rest_usd: Decimal
    mean_pct: float | None
    low_pct: float | None
    high_pct: float | None
    causes: tuple[Part, ...]


def judge_fidelity(attribution: Attribution, plan: VerdictPlan, days: int) -> Fidelity:
    """Judge an attribution against the primary twin, ``days`` after registration."""
    differences = [_difference_pct(trade) for trade in attribution.trades]
    interval = _interval(attribution.trades, differences, plan)
    state, because = _state(attribution, plan, days, interval)
    causes = sorted((p for p in attribution.totals if p.usd), key=lambda p: -abs(p.usd))
    return Fidelity(
        state=state,
        because=because,
        trades=len(attribution.trades),
        missed=sum(trade.live is None for trade in attribution.trades),
        extra=sum(trade.backtest is None for trade in attribution.trades),
        live_usd=attribution.live_usd,
        twin_usd=attribution.backtest_usd,
        difference_usd=attribution.difference_usd,
        rest_usd=attribution.rest_usd,
        mean_pct=float(np.mean(differences)) if differences else None,
        low_pct=interval[0] if interval else None,
        high_pct=interval[1] if interval else None,
        causes=tuple(causes),
    )


def _difference_pct(trade: TradeAttribution) -> float:
    book = trade.backtest or trade.live
    invested = book.entry_price * book.shares if book else Decimal(1)
    return float(100 * trade.difference_usd / invested)


def _interval(
    trades: tuple[TradeAttribution, ...], differences: list[float], plan: VerdictPlan
) -> tuple[float, float] | None:
    """90 % of the mean over resampled weeks of entry; None for fewer than five weeks."""
    weeks = sorted({trade.entry_session.isocalendar()[:2] for trade in trades})
    if len(weeks) < _FEWEST_WEEKS:
        return None
    at = {week: number for number, week in enumerate(weeks)}
    sums: FloatArray = np.zeros((2, len(weeks)))
    for trade, difference in zip(trades, differences, strict=True):
        week = at[trade.entry_session.isocalendar()[:2]]
        sums[:, week] += (difference, 1.0)
    chance = np.random.Generator(np.random.PCG64(plan.seed))
    drawn = chance.integers(0, len(weeks), size=(plan.draws, len(weeks)))
    means = sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1)
    low, high = np.quantile(means, (plan.alpha, 1 - plan.alpha))
    return float(low), float(high)


def _state(
    attribution: Attribution,
    plan: VerdictPlan,
    days: int,
    interval: tuple[float, float] | None,
) -> tuple[State, str]:
    if attribution.breaks:
        names = ", ".join(trade.ticker for trade in attribution.breaks)
        return "DEVIATES", f"no cause is known for a part of the difference in {names}"
    if days < plan.first_look_days:
        return "CONTINUE", f"due after {plan.first_look_days} days, {days} have passed"
    if interval is None:
        return "UNDECIDED", f"fewer than {_FEWEST_WEEKS} weeks with entries"
    low, high = interval
    span = f"{low:+.2f} to {high:+.2f} % of what a trade invests"
    if low >= -TOLERANCE_PCT and high <= TOLERANCE_PCT:
        return "FAITHFUL", f"the mean difference is {span}, within ±{TOLERANCE_PCT} %"
    if low > TOLERANCE_PCT or high < -TOLERANCE_PCT:
        return "DEVIATES", f"the mean difference is {span}, beyond ±{TOLERANCE_PCT} %"
    return "UNDECIDED", f"the mean difference is {span}, which reaches beyond ±{TOLERANCE_PCT} %"
