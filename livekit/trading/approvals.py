"""Approvals: who allowed which order of which plan, and up to how many shares.

An approval names the plan's hash, so a changed plan has none. A rotation is one item: its sell and
its buy are allowed together or not at all. Trend exits need no approval. Under ``approval: auto``
the policy approves everything and is recorded as such.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from livekit.errors import PlanRefused
from livekit.model import ENTRY, ROTATED_OUT, Plan, PlannedOrder
from livekit.trading.desk import Desk

__all__ = ["approval_item", "approve_by_policy", "approved_quantity", "decide"]

POLICY = "policy:auto"


def approval_item(order: PlannedOrder) -> str:
    """The name under which an order is approved; both orders of a rotation share one."""
    if order.reason == "rotation":
        return f"rotation:{order.pair}>{order.ticker}"
    if order.reason == ROTATED_OUT:
        return f"rotation:{order.ticker}>{order.pair}"
    return f"{order.intent}:{order.ticker}"


def needs_approval(order: PlannedOrder) -> bool:
    """Entries and rotations need one; other exits do not."""
    return order.intent == ENTRY or order.reason == ROTATED_OUT


def approve_by_policy(desk: Desk, plan: Plan) -> None:
    """Record the policy's approval of every order of the plan, when the policy is ``auto``."""
    if desk.config.approval != "auto":
        return
    for order in plan.orders:
        if order.intent == ENTRY:
            desk.db.add_approval(
                plan_sha256=plan.sha256,
                item=approval_item(order),
                decision="approve",
                max_quantity=order.quantity,
                who=POLICY,
                reason="approval: auto",
                at=desk.clock.now(),
            )


def decide(
    desk: Desk,
    plan: Plan,
    item: str,
    decision: Literal["approve", "reject"],
    *,
    max_quantity: int,
    who: str,
    reason: str = "",
) -> None:
    """Record a person's decision on one item.

    Raises `PlanRefused` when the plan has no such item, the quantity is above the planned one, or
    the cut-off has passed.
    """
    planned = {approval_item(order): order for order in plan.orders if order.intent == ENTRY}
    if item not in planned:
        raise PlanRefused(plan.sha256[:12], f"it has no item {item!r}")
    if not 0 <= max_quantity <= planned[item].quantity:
        raise PlanRefused(plan.sha256[:12], f"{max_quantity} shares is above the planned quantity")
    _require_before(plan, desk.clock.now())
    desk.db.add_approval(
        plan_sha256=plan.sha256,
        item=item,
        decision=decision,
        max_quantity=max_quantity,
        who=who,
        reason=reason,
        at=desk.clock.now(),
    )


def _require_before(plan: Plan, now: datetime) -> None:
    if now >= plan.expires_at:
        raise PlanRefused(plan.sha256[:12], f"the cut-off {plan.expires_at.isoformat()} has passed")


def approved_quantity(desk: Desk, plan: Plan, order: PlannedOrder) -> int:
    """Shares that may be traded for an order; 0 without an approval that is still valid."""
    if not needs_approval(order):
        return order.quantity
    for approval in desk.db.get_approvals(plan.sha256):
        if approval.item == approval_item(order):
            allowed = approval.max_quantity if order.intent == ENTRY else order.quantity
            return min(allowed, order.quantity) if approval.decision == "approve" else 0
    return 0
