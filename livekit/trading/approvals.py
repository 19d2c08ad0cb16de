"""Approvals: who allowed which order of which plan, and up to how many shares.

An approval names the plan's hash, so a changed plan has none. A rotation is one item: its sell and
its buy are allowed together or not at all. Other exits need no approval unless the configuration
wants one. Under ``approval: auto`` the policy approves everything and is recorded as such.

A decision is one short transaction that needs no lease. The latest one stands; it is refused once
it could change nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from livekit.config import LiveConfig
from livekit.errors import DecisionRefused, KillSwitchOn
from livekit.model import ENTRY, ROTATED_OUT, Plan, PlannedOrder
from livekit.sessions import open_instant
from livekit.state import Approval
from livekit.state.records import Decision
from livekit.trading.desk import Desk

__all__ = [
    "AUCTION",
    "ReviewItem",
    "approval_item",
    "approve_by_policy",
    "approved_quantity",
    "await_approval",
    "decide",
    "latest_decision",
    "needs_approval",
    "review_items",
    "sent_items",
    "why_closed",
    "why_too_late",
]

AUCTION = "opg"  # entry_tif of buys in the opening auction
POLICY = "policy:auto"
LONGEST_REASON = 500  # characters
DECIDABLE = ("open", "frozen")
_MAYBE_OUT = ("intended", "confirmed", "unknown")  # outcomes of an order that may exist


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """What is decided as one: a single order, or the sell and the buy of a rotation.

    ``shares`` is the most that may be allowed: the buy's quantity, else the exit's.
    """

    name: str
    orders: tuple[PlannedOrder, ...]
    shares: int
    needs_approval: bool


def approval_item(order: PlannedOrder) -> str:
    """The name under which an order is approved; both orders of a rotation share one."""
    if order.reason == "rotation":
        return f"rotation:{order.pair}>{order.ticker}"
    if order.reason == ROTATED_OUT:
        return f"rotation:{order.ticker}>{order.pair}"
    return f"{order.intent}:{order.ticker}"


def needs_approval(order: PlannedOrder, config: LiveConfig) -> bool:
    """Entries and rotations need one; other exits only where they are not exempt."""
    exempt = config.approval_exempt_exits
    return order.intent == ENTRY or order.reason == ROTATED_OUT or not exempt


def review_items(plan: Plan, config: LiveConfig) -> tuple[ReviewItem, ...]:
    """The plan's items in the order of their first orders."""
    grouped: dict[str, list[PlannedOrder]] = {}
    for order in plan.orders:
        grouped.setdefault(approval_item(order), []).append(order)
    return tuple(_item(name, tuple(orders), config) for name, orders in grouped.items())


def _item(name: str, orders: tuple[PlannedOrder, ...], config: LiveConfig) -> ReviewItem:
    buys = [order.quantity for order in orders if order.intent == ENTRY]
    needed = any(needs_approval(order, config) for order in orders)
    return ReviewItem(name, orders, buys[0] if buys else orders[0].quantity, needed)


def approve_by_policy(desk: Desk, plan: Plan) -> None:
    """Record the policy's approval of every item of the plan, when the policy is ``auto``."""
    if desk.config.approval != "auto":
        return
    for item in review_items(plan, desk.config):
        if item.needs_approval:
            desk.db.add_approval(
                plan_sha256=plan.sha256,
                item=item.name,
                decision="approve",
                max_quantity=item.shares,
                who=POLICY,
                reason="approval: auto",
                at=desk.clock.now(),
            )


def latest_decision(desk: Desk, plan: Plan, item: str) -> Approval | None:
    """The decision that stands on an item of the plan."""
    decisions = desk.db.get_approvals(plan.sha256)
    return next((found for found in decisions if found.item == item), None)


def decide(
    desk: Desk,
    plan: Plan,
    item: str,
    decision: Decision,
    *,
    max_quantity: int,
    who: str,
    reason: str = "",
    seen: int | None = None,
) -> None:
    """Record a person's decision on one item, in a transaction of its own.

    Args:
        desk: Books and clock; nothing is asked of the broker.
        plan: The plan that the person saw; its hash must be that of the current one.
        item: Name of the item, see `review_items`.
        decision: Approve or reject.
        max_quantity: Shares allowed: 1 up to the planned ones, 0 for a rejection.
        who: The person.
        reason: Why, at most 500 characters; kept in the record.
        seen: Id of the decision that the person saw on the item, 0 for none; None compares nothing.

    Raises:
        DecisionRefused: The plan is another one or has no such item, the quantity or reason does
            not fit, the cut-off has passed, the order is with the broker, a rotation is approved
            too late, or somebody else has decided since ``seen``.
        KillSwitchOn: Nothing can be approved while the kill switch is on.
    """
    known = {found.name: found for found in review_items(plan, desk.config)}
    if item not in known:
        raise DecisionRefused(item, f"plan {plan.sha256[:12]} has no such item")
    _require_fitting(known[item], decision, max_quantity, reason)
    with desk.db.transaction():
        _require_open(desk, plan, known[item], decision)
        _require_unchanged(desk, plan, item, seen)
        desk.db.add_approval(
            plan_sha256=plan.sha256,
            item=item,
            decision=decision,
            max_quantity=max_quantity,
            who=who,
            reason=reason,
            at=desk.clock.now(),
        )


def _require_fitting(item: ReviewItem, decision: Decision, shares: int, reason: str) -> None:
    if not item.needs_approval:
        raise DecisionRefused(item.name, "it needs no approval, and is sent in any case")
    least, most = (1, item.shares) if decision == "approve" else (0, 0)
    if type(shares) is not int or not least <= shares <= most:
        raise DecisionRefused(
            item.name, f"{shares!r} shares is not a number from {least} to {most}"
        )
    if len(reason) > LONGEST_REASON:
        raise DecisionRefused(item.name, f"its reason is longer than {LONGEST_REASON} characters")


def _require_open(desk: Desk, plan: Plan, item: ReviewItem, decision: Decision) -> None:
    if why := why_closed(desk, plan):
        raise DecisionRefused(item.name, why)
    if item.name in sent_items(desk, plan):
        raise DecisionRefused(item.name, "its order is with the broker, or on its way")
    if decision == "approve":
        if late := why_too_late(desk, plan, item):
            raise DecisionRefused(item.name, late)
        _require_sendable(desk, plan, item)


def _require_sendable(desk: Desk, plan: Plan, item: ReviewItem) -> None:
    """What the executor would refuse whole is not approved in part."""
    if desk.db.is_kill_switch_on():
        raise KillSwitchOn(desk.db.kill_switch_reason())
    stored = desk.db.get_plan(plan.strategy, plan.session)
    if stored is not None and stored.status == "blocked":
        raise DecisionRefused(item.name, "the plan is blocked; run the signals phase again")


def why_closed(desk: Desk, plan: Plan) -> str:
    """Why nothing of the plan can be decided any more; empty while it can."""
    stored = desk.db.get_plan(plan.strategy, plan.session)
    if stored is None or stored.sha256 != plan.sha256:
        now = "there is none" if stored is None else f"plan {stored.sha256[:12]} has replaced it"
        return f"plan {plan.sha256[:12]} is not the current one: {now}"
    if _has_passed(plan, desk.clock.now()):
        return f"the cut-off {plan.expires_at.isoformat()} has passed"
    if stored.status not in (*DECIDABLE, "blocked"):
        return f"the plan is {stored.status}"
    return ""


def why_too_late(desk: Desk, plan: Plan, item: ReviewItem) -> str:
    """Why the item cannot be approved any more while others still can; empty if it can.

    The sell of a rotation and the buys of an auction go when the execution begins, before the
    open; both are looked at then and never again.
    """
    is_auction = desk.config.entry_tif == AUCTION
    is_rotation = any(order.pair is not None for order in item.orders)
    if is_rotation and is_auction:
        return "a rotation's sell must fill before its buy goes, so auction orders know none"
    if not is_rotation and not (is_auction and item.orders[0].intent == ENTRY):
        return ""
    goes = "its sell" if is_rotation else "an auction order"
    opens = open_instant(plan.session)
    if desk.clock.now() >= opens:
        return f"it comes too late: {goes} goes before the open at {opens.isoformat()}"
    stored = desk.db.get_plan(plan.strategy, plan.session)
    if stored is not None and stored.status == "frozen":
        return f"it comes too late: {goes} goes when the execution begins, and that has begun"
    return ""


def _has_passed(plan: Plan, now: datetime) -> bool:
    return now >= plan.expires_at


def sent_items(desk: Desk, plan: Plan) -> frozenset[str]:
    """Names of the items of which an order is with the broker, or may be."""
    orders = desk.db.get_orders(trade_date=plan.session)
    out = {(order.ticker, order.intent) for order in orders if order.outcome in _MAYBE_OUT}
    planned = (order for order in plan.orders if (order.ticker, order.intent) in out)
    return frozenset(approval_item(order) for order in planned)


def _require_unchanged(desk: Desk, plan: Plan, item: str, seen: int | None) -> None:
    found = latest_decision(desk, plan, item)
    if seen is None or (found.approval_id if found else 0) == seen:
        return
    told = "nothing is decided any more" if found is None else f"{found.who}: {found.decision}"
    raise DecisionRefused(item, f"it was decided meanwhile, {told}")


def approved_quantity(desk: Desk, plan: Plan, order: PlannedOrder) -> int:
    """Shares that may be traded for an order; 0 without an approval that is still valid."""
    if not needs_approval(order, desk.config):
        return order.quantity
    found = latest_decision(desk, plan, approval_item(order))
    if found is None or found.decision != "approve":
        return 0
    return min(found.max_quantity, order.quantity) if order.intent == ENTRY else order.quantity


def await_approval(
    desk: Desk, plan: Plan, orders: Sequence[PlannedOrder], *, meanwhile: Callable[[], None]
) -> tuple[PlannedOrder, ...]:
    """Wait for a person until the cut-off: the first of ``orders`` that are approved.

    ``meanwhile`` is called between two looks, and lets time pass. Returns nothing once every order
    is decided, at the cut-off, or when the kill switch goes on.
    """
    while orders and not why_closed(desk, plan) and not desk.db.is_kill_switch_on():
        if approved := tuple(item for item in orders if approved_quantity(desk, plan, item) > 0):
            return approved
        decided = {found.item for found in desk.db.get_approvals(plan.sha256)}
        orders = [item for item in orders if approval_item(item) not in decided]
        if orders:
            meanwhile()
    return ()
