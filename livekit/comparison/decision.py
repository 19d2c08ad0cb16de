"""SWITCH, KEEP, CONTINUE or INVALID: the decision about the two twins. Pure.

The design's four criteria are bounds of practical relevance; beside them stand bounds of evidence.
SWITCH asks for all of both. The first state whose condition holds is the verdict, in the order
INVALID, too early, SWITCH, KEEP, CONTINUE. The program never carries a switch out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from livekit.comparison.figures import Figures, Resampled, measure_record, resample_record
from livekit.comparison.forecast import Forecast, VerdictPlan, forecast
from livekit.comparison.prior import Outlook, outlook
from livekit.comparison.reported import Estimate, Interval, estimates
from livekit.comparison.twins import TwinRecord

__all__ = ["PROFIT", "Criterion", "Interval", "Sensitivity", "Verdict", "decide", "invalid_verdict"]

State = Literal["SWITCH", "KEEP", "CONTINUE", "INVALID"]
Standing = Literal["met", "not met", "not available"]
Role = Literal["criterion", "evidence", "sample"]

PROFIT = "P&L"  # short name of the criterion on the difference of profit

MET: Standing = "met"
NOT_MET: Standing = "not met"
NOT_AVAILABLE: Standing = "not available"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition of the decision: its value, its interval where it has one, its standing.

    ``unit`` follows the numbers; ``interval`` may be of another quantity, which its method names.
    ``role`` says whether it is one of the design's criteria, evidence, or the size of the sample;
    ``short`` is its name within a sentence.
    """

    name: str
    value: float | None
    needed: str
    unit: str
    standing: Standing
    role: Role
    short: str
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The difference in percent of the base under another choice, with its interval."""

    name: str
    value: float
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state with its reasons; figures are absent when it is INVALID.

    ``estimates`` and ``outlook`` are reported and decide nothing.
    """

    state: State
    reasons: tuple[str, ...]
    criteria: tuple[Criterion, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    outlook: Outlook | None = None
    forecast: Forecast | None = None
    figures: Figures | None = None
    first: date | None = None
    last: date | None = None

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return f"{self.state}: {'; '.join(self.reasons)}."

    @property
    def ends_registration(self) -> bool:
        """Whether the question is answered: SWITCH and KEEP are final."""
        return self.state in ("SWITCH", "KEEP")


def invalid_verdict(reasons: Sequence[str]) -> Verdict:
    """A verdict without a number: the record cannot carry one."""
    return Verdict("INVALID", tuple(reasons))


def decide(record: TwinRecord | None, plan: VerdictPlan, invalid: Sequence[str] = ()) -> Verdict:
    """Decide on a record of twins.

    Args:
        record: both books from registration to the session of the decision; None without one.
        plan: what was registered.
        invalid: whatever else makes the record unusable, each a reason in words.
    """
    if record is None or not record.sessions:
        return invalid_verdict([*invalid, "there is no session to decide on"])
    reasons = (*invalid, *_unusable(record, plan))
    if reasons:
        return invalid_verdict(reasons)
    figures = measure_record(record, plan)
    resampled = resample_record(record, plan)
    criteria = _criteria(figures, resampled, plan)
    state, because = _state(figures, criteria, plan)
    return Verdict(
        state=state,
        reasons=tuple(because),
        criteria=criteria,
        sensitivities=_sensitivities(figures, resampled),
        estimates=estimates(record, figures, resampled, plan),
        outlook=_outlook(figures, plan),
        forecast=_forecast(record, figures, plan) if state == "CONTINUE" else None,
        figures=figures,
        first=record.sessions[0],
        last=record.sessions[-1],
    )


def _unusable(record: TwinRecord, plan: VerdictPlan) -> list[str]:
    problems = list(record.problems())
    if record.base_usd != plan.base_usd:
        problems.append(f"base is {record.base_usd} USD, registered {plan.base_usd} USD")
    if problems:
        return problems
    books = (record.primary, record.shadow)
    for book in books:
        if not all(math.isfinite(mark) for mark in book.profit_usd.tolist()):
            problems.append(f"{book.strategy} has a session without a mark")
        elif not bool((record.base_usd + book.profit_usd > 0).all()):
            problems.append(f"{book.strategy} has lost its whole base")
    return problems


# -------------------------------------------------------------------------------------- criteria


def _criteria(
    figures: Figures, resampled: Resampled | None, plan: VerdictPlan
) -> tuple[Criterion, ...]:
    return (
        _look(figures, plan),
        _factor(figures, resampled, plan),
        _drawdown(figures, resampled, plan),
        _profit(figures, resampled, plan),
        _daily_bound(figures, plan),
        _track_record(figures),
        _without_best(figures),
        *_samples(figures, plan),
    )


def _standing(value: float | None, *, holds: bool) -> Standing:
    if value is None:
        return NOT_AVAILABLE
    return MET if holds else NOT_MET


def _look(figures: Figures, plan: VerdictPlan) -> Criterion:
    due = figures.days >= plan.first_look_days or figures.fewer_closed >= plan.first_look_trades
    return Criterion(
        f"first look ({figures.fewer_closed} closed trades in the book with fewer)",
        figures.days,
        f"≥ {plan.first_look_days} days or ≥ {plan.first_look_trades} trades",
        "days",
        _standing(figures.days, holds=due),
        "criterion",
        "first look",
    )


def _factor(figures: Figures, resampled: Resampled | None, plan: VerdictPlan) -> Criterion:
    value = figures.factor_difference
    ratio = resampled.factor if resampled else None
    return Criterion(
        "profit factor, shadow − primary",
        value,
        f"≥ +{plan.factor_margin:.2f}",
        "",
        _standing(value, holds=value is not None and value >= plan.factor_margin),
        "criterion",
        "profit factor",
        Interval(
            math.exp(ratio.low), math.exp(ratio.high), "ratio of both, 90 %, by weeks of entry"
        )
        if ratio
        else None,
    )


def _drawdown(figures: Figures, resampled: Resampled | None, plan: VerdictPlan) -> Criterion:
    value = figures.shadow.drawdown_pct - figures.primary.drawdown_pct
    bound = resampled.drawdown_points if resampled else None
    return Criterion(
        "maximum drawdown, shadow − primary",
        value,
        f"90 % point ≤ {plan.drawdown_margin_pct:g} points",
        "points",
        _standing(bound, holds=bound is not None and bound <= plan.drawdown_margin_pct),
        "criterion",
        "drawdown",
        None if bound is None else Interval(-math.inf, bound, "90 % point, resampled sessions"),
    )


def _profit(figures: Figures, resampled: Resampled | None, plan: VerdictPlan) -> Criterion:
    value = 100 * figures.difference
    return Criterion(
        "P&L, shadow − primary, of the base",
        value,
        f"≥ +{plan.profit_pct:g} %",
        "%",
        _standing(value, holds=value >= plan.profit_pct),
        "criterion",
        PROFIT,
        _percent(resampled.interval, "90 %, resampled sessions, widest block")
        if resampled
        else None,
    )


def _percent(ends: tuple[float, float], method: str) -> Interval:
    return Interval(100 * ends[0], 100 * ends[1], method)


def _daily_bound(figures: Figures, plan: VerdictPlan) -> Criterion:
    bounds = figures.bounds
    return Criterion(
        "mean difference a session, bound for daily looks",
        1e4 * figures.mean,
        "lower bound > 0",
        "bps",
        _standing(figures.mean if bounds else None, holds=bounds is not None and bounds.lower > 0),
        "evidence",
        "bound for daily looks",
        Interval(1e4 * bounds.lower, 1e4 * bounds.upper, f"{1 - plan.alpha:.0%} each side, always")
        if bounds
        else None,
    )


def _track_record(figures: Figures) -> Criterion:
    needed = figures.track_record
    text = "a mean above 0" if needed is None else f"≥ {math.ceil(needed)}"
    return Criterion(
        "sessions, against the minimum track record",
        figures.sessions,
        text,
        "sessions",
        _standing(needed, holds=needed is not None and figures.sessions >= needed),
        "evidence",
        "minimum track record",
    )


def _without_best(figures: Figures) -> Criterion:
    value = 100 * figures.difference_without_best
    return Criterion(
        "P&L difference without the shadow's best trade",
        value,
        "> 0 %",
        "%",
        _standing(value, holds=value > 0),
        "evidence",
        "gain without the best trade",
    )


def _samples(figures: Figures, plan: VerdictPlan) -> tuple[Criterion, ...]:
    counts: tuple[tuple[str, float | None, int, str], ...] = (
        ("sessions", figures.sessions, plan.fewest_sessions, "sessions"),
        (
            "effective sessions",
            figures.effective_sessions,
            plan.fewest_effective_sessions,
            "sessions",
        ),
        ("weeks with entries", figures.clusters, plan.fewest_clusters, "weeks"),
    )
    return tuple(
        Criterion(
            name,
            value,
            f"≥ {least}",
            unit,
            _standing(value, holds=value is not None and value >= least),
            "sample",
            name,
        )
        for name, value, least, unit in counts
    )


# ----------------------------------------------------------------------------------------- state


def _state(
    figures: Figures, criteria: Sequence[Criterion], plan: VerdictPlan
) -> tuple[State, list[str]]:
    look, *others = criteria
    early = [_shortfall(one) for one in (look, *others) if one is look or one.role == "sample"]
    missing = [text for text in early if text]
    if missing:
        return "CONTINUE", [f"too early: {missing[0]}", *missing[1:]]
    open_ones = [one for one in others if one.standing != MET]
    if not open_ones:
        return "SWITCH", [_advantage(figures)]
    upper = figures.bounds.upper if figures.bounds else None
    if upper is not None and upper < plan.worthwhile:
        return "KEEP", [_no_advantage(figures, upper, plan)]
    names = ", ".join(one.short for one in open_ones)
    if figures.sessions >= plan.planned_sessions:
        return "KEEP", [f"the planned {plan.planned_sessions} sessions are over, not met: {names}"]
    return "CONTINUE", [f"not met yet: {names}"]


def _advantage(figures: Figures) -> str:
    return (
        f"{figures.shadow.strategy} is ahead of {figures.primary.strategy} by "
        f"{100 * figures.difference:.1f} % of the base, and every criterion and bound holds"
    )


def _no_advantage(figures: Figures, upper: float, plan: VerdictPlan) -> str:
    return (
        f"{figures.shadow.strategy} is not better by what makes a switch worthwhile: at most "
        f"{1e4 * upper:.2f} of {1e4 * plan.worthwhile:.2f} bps a session"
    )


def _shortfall(criterion: Criterion) -> str:
    if criterion.standing == MET:
        return ""
    value = "none" if criterion.value is None else f"{criterion.value:.0f}"
    unit = "" if criterion.unit in criterion.short else f" {criterion.unit}"
    return f"{criterion.short} at {value}{unit}, needed {criterion.needed}"


def _sensitivities(figures: Figures, resampled: Resampled | None) -> tuple[Sensitivity, ...]:
    found = [
        Sensitivity("without the shadow's best trade", 100 * figures.difference_without_best),
        Sensitivity("without its best two trades", 100 * figures.difference_without_two),
    ]
    if resampled is not None:
        value = 100 * figures.difference
        found += [
            Sensitivity(f"block length × {text}", value, _percent(ends, f"90 %, × {text}"))
            for text, ends in (("½", resampled.half_block), ("2", resampled.double_block))
        ]
    return tuple(found)


def _outlook(figures: Figures, plan: VerdictPlan) -> Outlook | None:
    """None before the spread of the record can be told."""
    if figures.sigma is None or figures.sessions < plan.fewest_sessions:
        return None
    return outlook(figures.mean, figures.sigma, figures.sessions, plan)


def _forecast(record: TwinRecord, figures: Figures, plan: VerdictPlan) -> Forecast:
    """From the record's own spread once it can be told, else from the planned one."""
    enough = figures.sessions >= plan.fewest_sessions and figures.sigma is not None
    return forecast(
        plan,
        sigma=figures.sigma if enough and figures.sigma else plan.expected_sd_bps / 1e4,
        first=record.sessions[0],
        sessions=figures.sessions,
        closed_trades=figures.fewer_closed,
    )
