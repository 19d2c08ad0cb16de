"""What a person does from the terminal: look at the doctor and the plan, approve, kill, re-arm."""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from livekit.config import Profile
from livekit.errors import DecisionRefused
from livekit.model import Plan, PlannedOrder
from livekit.state.records import Decision
from livekit.trading.approvals import (
    ReviewItem,
    approved_quantity,
    decide,
    review_items,
    why_too_late,
)
from livekit.trading.desk import Desk
from livekit.trading.doctor import Diagnosis, diagnose
from livekit.trading.opening import open_desk, sole_writer
from livekit.trading.phases import current_plan
from livekit.trading.switch import kill, rearm

__all__ = [
    "PlanLine",
    "decide_item",
    "diagnose_profile",
    "operator_name",
    "plan_lines",
    "switch_off",
    "switch_on",
]


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One order of a plan with the name to approve it by and what is allowed so far.

    ``too_late`` says why it cannot be approved any more though others can, else it is empty.
    """

    item: str
    order: PlannedOrder
    allowed: int
    needs_approval: bool
    too_late: str


def operator_name() -> str:
    """The person at the terminal, as decisions are recorded under."""
    return getpass.getuser()


def diagnose_profile(profile: Profile) -> Diagnosis:
    """Check every invariant of a profile against its venue, reading only."""
    with open_desk(profile, who=operator_name()) as desk:
        return diagnose(desk)


def plan_lines(profile: Profile) -> tuple[Plan, tuple[PlanLine, ...]]:
    """The primary's plan of the session that trades now; raises `PlanRefused` without one."""
    with open_desk(profile, who=operator_name()) as desk:
        plan = current_plan(desk, desk.order_session())
        items = review_items(plan, desk.config)
        lines = (_line(desk, plan, item, order) for item in items for order in item.orders)
        return plan, tuple(lines)


def _line(desk: Desk, plan: Plan, item: ReviewItem, order: PlannedOrder) -> PlanLine:
    allowed = approved_quantity(desk, plan, order)
    late = why_too_late(desk, plan, item)
    return PlanLine(item.name, order, allowed, item.needs_approval, late)


def decide_item(
    profile: Profile,
    item: str,
    decision: Decision,
    *,
    quantity: int | None = None,
    reason: str = "",
) -> None:
    """Record a decision on one item of the present plan; by default its whole quantity.

    Raises what `livekit.trading.approvals.decide` raises.
    """
    with open_desk(profile, who=operator_name()) as desk:
        plan = current_plan(desk, desk.order_session())
        known = {found.name: found.shares for found in review_items(plan, desk.config)}
        if item not in known:
            raise DecisionRefused(item, f"plan {plan.sha256[:12]} has no such item")
        whole = known[item] if quantity is None else quantity
        limit = 0 if decision == "reject" else whole
        decide(desk, plan, item, decision, max_quantity=limit, who=operator_name(), reason=reason)


def switch_on(profile: Profile, reason: str) -> None:
    """Switch the kill switch on; cover is kept meanwhile."""
    with open_desk(profile, who=operator_name()) as desk:
        kill(desk, reason, operator_name())


def switch_off(profile: Profile, reason: str) -> None:
    """Switch it off after a clean reconciliation; raises `BooksDiffer` otherwise."""
    with sole_writer(profile), open_desk(profile, who=operator_name()) as desk:
        rearm(desk, reason, operator_name())
