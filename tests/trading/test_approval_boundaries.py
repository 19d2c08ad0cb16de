"""Approvals at their boundaries: which item, how many shares, until which second, by which look."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from livekit.config import LiveConfig
from livekit.errors import DecisionRefused, KillSwitchOn
from livekit.model import Plan
from livekit.trading.approvals import (
    ReviewItem,
    approval_item,
    approve_by_policy,
    approved_quantity,
    await_approval,
    decide,
    latest_decision,
    needs_approval,
    review_items,
    sent_items,
    why_closed,
)
from tests.trading.quiet_broker import CUTOFF, MONDAY, OPEN, Quiet, planned, quiet_desk

CONFIG = LiveConfig(approval="required")
STRICT = LiveConfig(approval="required", approval_exempt_exits=False)

# OLD (300 shares) leaves for NEW (200), WEAK (150) leaves by its trend, ABC (200) is bought.
PLAN = planned(
    config=CONFIG,
    sells=[("OLD", 300, "rotated_out", "NEW"), ("WEAK", 150, "trend_break", None)],
    buys=[("NEW", 200, 50.0, "OLD"), ("ABC", 200, 50.0, None)],
)
OLD, WEAK, NEW, ABC = PLAN.orders
SECOND = timedelta(seconds=1)


def approve(q: Quiet, item: str, shares: Any, **more: Any) -> None:
    decide(q.desk, PLAN, item, "approve", max_quantity=shares, who="ann", **more)


def reject(q: Quiet, item: str, shares: int = 0, **more: Any) -> None:
    decide(q.desk, PLAN, item, "reject", max_quantity=shares, who="ann", **more)


def test_a_rotation_is_one_item_and_every_other_order_one_of_its_own() -> None:
    names = [approval_item(order) for order in PLAN.orders]
    assert names == ["rotation:OLD>NEW", "exit:WEAK", "rotation:OLD>NEW", "entry:ABC"]


def test_entries_and_rotations_need_approval_and_other_exits_where_they_are_not_exempt() -> None:
    assert [needs_approval(order, CONFIG) for order in PLAN.orders] == [True, False, True, True]
    assert [needs_approval(order, STRICT) for order in PLAN.orders] == [True] * 4


def test_the_shares_of_an_item_are_those_of_its_buy_and_else_of_its_exit() -> None:
    assert review_items(PLAN, CONFIG) == (
        ReviewItem("rotation:OLD>NEW", (OLD, NEW), 200, needs_approval=True),
        ReviewItem("exit:WEAK", (WEAK,), 150, needs_approval=False),
        ReviewItem("entry:ABC", (ABC,), 200, needs_approval=True),
    )


def test_the_policy_approves_what_needs_it_in_full_and_only_where_it_may() -> None:
    with quiet_desk(approval="auto") as q:
        q.store(PLAN)
        approve_by_policy(q.desk, PLAN)
        found = {item.item: item for item in q.db.get_approvals(PLAN.sha256)}
        assert {name: item.max_quantity for name, item in found.items()} == {
            "rotation:OLD>NEW": 200,
            "entry:ABC": 200,
        }
        record = found["entry:ABC"]
        assert (record.decision, record.who, record.at) == ("approve", "policy:auto", OPEN)
        assert record.reason == "approval: auto"
    with quiet_desk(approval="required") as q:
        q.store(PLAN)
        approve_by_policy(q.desk, PLAN)
        assert q.db.get_approvals(PLAN.sha256) == []


@pytest.mark.parametrize("shares", [1, 200])
def test_one_share_up_to_all_planned_ones_may_be_approved(shares: int) -> None:
    with quiet_desk(approval="required") as q:
        q.store(PLAN)
        approve(q, "entry:ABC", shares)
        (record,) = q.db.get_approvals(PLAN.sha256)
        assert (record.item, record.decision, record.max_quantity) == (
            "entry:ABC",
            "approve",
            shares,
        )
        assert (record.who, record.reason) == ("ann", "")


@pytest.mark.parametrize("shares", [0, -1, 201, 1.0, True, "1"])
def test_any_other_number_of_shares_is_refused(shares: Any) -> None:
    with quiet_desk(approval="required") as q:
        q.store(PLAN)
        with pytest.raises(DecisionRefused):
            approve(q, "entry:ABC", shares)
        assert q.db.get_approvals(PLAN.sha256) == []


def test_a_rejection_names_no_shares() -> None:
    with quiet_desk(approval="required") as q:
        q.store(PLAN)
        with pytest.raises(DecisionRefused):
            reject(q, "entry:ABC", shares=1)
        reject(q, "entry:ABC")
        assert [item.decision for item in q.db.get_approvals(PLAN.sha256)] == ["reject"]


def test_a_reason_may_have_five_hundred_characters() -> None:
    with quiet_desk(approval="required") as q:
        q.store(PLAN)
        with pytest.raises(DecisionRefused, match="500"):
            reject(q, "entry:ABC", reason="x" * 501)
        reject(q, "entry:ABC", reason="x" * 500)
        assert len(q.db.get_approvals(PLAN.sha256)[0].reason) == 500


@pytest.mark.parametrize("item", ["exit:WEAK", "entry:XYZ"])
def test_what_needs_no_approval_or_is_not_in_the_plan_cannot_be_decided(item: str) -> None:
    with quiet_desk(approval="required") as q:
        q.store(PLAN)
        with pytest.raises(DecisionRefused):
            approve(q, item, 150)
        assert q.db.get_approvals(PLAN.sha256) == []


def test_under_the_kill_switch_one_may_reject_and_not_approve() -> None:
    with quiet_desk(approval="required") as q:
        q.store(PLAN)
        q.kill()
        with pytest.raises(KillSwitchOn):
            approve(q, "entry:ABC", 1)
        reject(q, "entry:ABC")
        assert [item.decision for item in q.db.get_approvals(PLAN.sha256)] == ["reject"]


def test_of_a_blocked_plan_one_may_reject_and_not_approve() -> None:
    with quiet_desk(approval="required") as q:
        q.store(replace(PLAN, status="blocked"))
        with pytest.raises(DecisionRefused):
            approve(q, "entry:ABC", 1)
        reject(q, "entry:ABC")
        assert [item.decision for item in q.db.get_approvals(PLAN.sha256)] == ["reject"]


def test_a_decision_is_refused_once_its_order_may_be_with_the_broker() -> None:
    """Yesterday's order of ABC stands in nobody's way, today's that was refused neither."""
    with quiet_desk(OPEN - SECOND, approval="required") as q:
        q.store(PLAN)
        q.row("ABC", client_order_id="20200106_ABC_entry_buy", trade_date=MONDAY)
        q.row("ABC", alpaca_order_id=None, outcome="refused", status="refused")
        q.row("NEW", alpaca_order_id=None, outcome="unknown", status="unknown")
        assert sent_items(q.desk, PLAN) == {"rotation:OLD>NEW"}
        approve(q, "entry:ABC", 1)
        with pytest.raises(DecisionRefused):
            approve(q, "rotation:OLD>NEW", 1)


@pytest.mark.parametrize("outcome", ["intended", "confirmed", "unknown"])
def test_an_order_that_may_exist_counts_as_sent(outcome: Any) -> None:
    with quiet_desk(approval="required") as q:
        q.row("ABC", alpaca_order_id=None, outcome=outcome, status="intended")
        assert sent_items(q.desk, PLAN) == {"entry:ABC"}


def test_a_decision_on_what_somebody_else_has_decided_meanwhile_is_refused() -> None:
    with quiet_desk(OPEN - SECOND, approval="required") as q:
        q.store(PLAN)
        assert latest_decision(q.desk, PLAN, "entry:ABC") is None
        reject(q, "entry:ABC", seen=0)
        first = latest_decision(q.desk, PLAN, "entry:ABC")
        assert first is not None
        assert latest_decision(q.desk, PLAN, "rotation:OLD>NEW") is None
        with pytest.raises(DecisionRefused, match="ann: reject"):
            approve(q, "entry:ABC", 1, seen=0)
        approve(q, "entry:ABC", 1, seen=first.approval_id)
        approve(q, "entry:ABC", 2)  # compares nothing
        with pytest.raises(DecisionRefused):
            approve(q, "rotation:OLD>NEW", 1, seen=first.approval_id)
        assert approved_quantity(q.desk, PLAN, ABC) == 2


ROTATION, ENTRY = "rotation:OLD>NEW", "entry:ABC"


def approvable(q: Quiet) -> set[str]:
    """Which of the two items somebody can approve now."""
    found = set()
    for item in (ROTATION, ENTRY):
        try:
            approve(q, item, 1)
        except DecisionRefused:
            continue
        found.add(item)
    return found


@pytest.mark.parametrize(
    ("tif", "status", "before_open_s", "items"),
    [
        ("day", "open", 1, {ROTATION, ENTRY}),
        ("day", "open", 0, {ENTRY}),
        ("day", "frozen", 600, {ENTRY}),
        ("opg", "open", 1, {ENTRY}),
        ("opg", "open", 0, set()),
        ("opg", "frozen", 600, set()),
    ],
)
def test_what_goes_before_the_open_is_approved_before_the_execution_begins(
    tif: Any, status: str, before_open_s: int, items: set[str]
) -> None:
    """A rotation's sell, and every auction order; an auction knows no rotation at all."""
    with quiet_desk(OPEN - before_open_s * SECOND, approval="required", entry_tif=tif) as q:
        q.store(replace(PLAN, status=status))
        assert approvable(q) == items


def test_a_rotation_may_be_rejected_however_late_it_is() -> None:
    with quiet_desk(approval="required", entry_tif="opg") as q:
        q.store(PLAN)
        reject(q, ROTATION)
        reject(q, ENTRY)
        assert len(q.db.get_approvals(PLAN.sha256)) == 2


def test_a_plan_can_be_decided_up_to_the_second_before_its_cutoff() -> None:
    with quiet_desk(CUTOFF - SECOND, approval="required") as q:
        q.store(PLAN)
        assert why_closed(q.desk, PLAN) == ""
        q.clock.sleep(1.0)
        assert why_closed(q.desk, PLAN) != ""
        with pytest.raises(DecisionRefused):
            reject(q, "entry:ABC")


@pytest.mark.parametrize(
    ("status", "is_open"),
    [("open", True), ("frozen", True), ("blocked", True), ("done", False), ("expired", False)],
)
def test_what_is_done_or_expired_is_decided_no_more(status: str, is_open: bool) -> None:
    with quiet_desk(approval="required") as q:
        q.store(replace(PLAN, status=status))
        assert (why_closed(q.desk, PLAN) == "") == is_open


def test_a_plan_that_another_has_replaced_names_its_successor() -> None:
    other = planned(config=CONFIG, buys=[("XYZ", 10, 50.0, None)])
    with quiet_desk(approval="required") as q:
        assert why_closed(q.desk, PLAN) != ""  # nothing is stored
        q.store(PLAN)
        q.store(other)
        assert why_closed(q.desk, other) == ""
        assert other.sha256[:12] in why_closed(q.desk, PLAN)
        with pytest.raises(DecisionRefused):
            reject(q, "entry:ABC")


def test_shares_that_may_be_traded_follow_the_latest_decision() -> None:
    """An approval of 120 halves neither the sell of a rotation nor an exit without approval."""
    with quiet_desk(approval="required") as q:
        plan = q.store(PLAN)

        def allowed() -> list[int]:
            return [approved_quantity(q.desk, plan, order) for order in (OLD, WEAK, NEW, ABC)]

        assert allowed() == [0, 150, 0, 0]
        q.approve(plan, "rotation:OLD>NEW", 120)
        q.approve(plan, "entry:ABC", 999)  # more than planned
        assert allowed() == [300, 150, 120, 200]
        q.approve(plan, "entry:ABC", 0, "reject")
        assert allowed() == [300, 150, 120, 0]


def looks(q: Quiet, plan: Plan, events: dict[int, Any]) -> tuple[list[str], int]:
    """What the wait for ABC and NEW gives, and after how many looks; events by number of look."""
    count = [0]

    def meanwhile() -> None:
        count[0] += 1
        assert count[0] < 20, "it waits for ever"
        events.get(count[0], lambda: None)()
        q.clock.sleep(30.0)

    found = await_approval(q.desk, plan, [ABC, NEW], meanwhile=meanwhile)
    return [order.ticker for order in found], count[0]


def test_the_wait_ends_with_the_first_orders_of_which_a_share_is_approved() -> None:
    with quiet_desk(approval="required") as q:
        plan = q.store(PLAN)
        events = {2: lambda: q.approve(plan, "entry:ABC", 1)}
        assert looks(q, plan, events) == (["ABC"], 2)


def test_the_wait_ends_when_every_order_is_decided() -> None:
    with quiet_desk(approval="required") as q:
        plan = q.store(PLAN)
        events = {
            1: lambda: q.approve(plan, "entry:ABC", 0, "reject"),
            3: lambda: q.approve(plan, "rotation:OLD>NEW", 0, "reject"),
        }
        assert looks(q, plan, events) == ([], 3)


def test_the_wait_ends_at_the_cutoff_and_when_the_kill_switch_goes_on() -> None:
    with quiet_desk(CUTOFF - timedelta(seconds=120), approval="required") as q:
        plan = q.store(PLAN)
        assert looks(q, plan, {}) == ([], 4)  # 4 × 30 s
    with quiet_desk(approval="required") as q:
        plan = q.store(PLAN)
        assert looks(q, plan, {2: q.kill}) == ([], 2)
        q.approve(plan, "entry:ABC", 1)
        assert looks(q, plan, {}) == ([], 0)
