from dataclasses import replace

import pytest
from state_examples import (
    AFTER_CLOSE,
    AT_OPEN,
    BEFORE_OPEN,
    FRIDAY,
    THURSDAY,
    candidate,
    plan,
)

from livekit.errors import PlanRefused, RecordRefused
from livekit.state import StateDB

# ------------------------------------------------------------------------------------ candidates


def test_candidates_come_back_in_rank_order(db: StateDB) -> None:
    found = (
        candidate("NVDA", score=87.5),
        candidate("AAPL", score=80.0),
        candidate("ZM", score=None, price=None, gap_size=None, company_name=None),
    )
    db.save_candidates(THURSDAY, found, at=BEFORE_OPEN)
    assert db.get_candidates(THURSDAY) == found


def test_no_candidates_is_not_the_same_as_none_stored(db: StateDB) -> None:
    assert db.get_candidates(THURSDAY) is None
    db.save_candidates(THURSDAY, (), at=BEFORE_OPEN)
    assert db.get_candidates(THURSDAY) == ()
    assert db.get_candidates(FRIDAY) is None


def test_stored_candidates_never_change(db: StateDB) -> None:
    found = (candidate("NVDA"), candidate("AAPL"))
    db.save_candidates(THURSDAY, found, at=BEFORE_OPEN)
    db.save_candidates(THURSDAY, list(found), at=AT_OPEN)
    for other in (found[::-1], found[:1], (), (replace(found[0], score=1.0), found[1])):
        with pytest.raises(RecordRefused, match="2020-01-30"):
            db.save_candidates(THURSDAY, other, at=AT_OPEN)
    assert db.get_candidates(THURSDAY) == found


def test_a_session_has_each_ticker_once(db: StateDB) -> None:
    with pytest.raises(RecordRefused):
        db.save_candidates(THURSDAY, (candidate(), candidate(score=1.0)), at=BEFORE_OPEN)
    assert db.get_candidates(THURSDAY) is None


# ----------------------------------------------------------------------------------------- plans


def test_a_plan_is_found_by_session_and_by_hash(db: StateDB) -> None:
    stored = db.save_plan(plan(), at=BEFORE_OPEN)
    assert (stored.status, stored.body, stored.created_at) == ("open", plan().body, BEFORE_OPEN)
    assert stored.expires_at == plan().expires_at
    assert db.get_plan("ema_p10", THURSDAY) == stored
    assert db.get_plan_by_sha("a" * 64) == stored
    assert db.get_plan("ema_p10", FRIDAY) is None
    assert db.get_plan("nwl_p4", THURSDAY) is None
    assert db.get_plan_by_sha("b" * 64) is None


def test_the_same_open_plan_is_stored_once(db: StateDB) -> None:
    first = db.save_plan(plan(), at=BEFORE_OPEN)
    assert db.save_plan(plan(), at=AT_OPEN) == first


def approve(db: StateDB, sha256: str = "a" * 64, **changes: object) -> int:
    values: dict[str, object] = {
        "plan_sha256": sha256,
        "item": "NVDA:entry",
        "decision": "approve",
        "max_quantity": 40,
        "who": "operator",
        "reason": "looks right",
        "at": BEFORE_OPEN,
    }
    return db.add_approval(**(values | changes))


def test_a_new_plan_supersedes_the_open_one_and_voids_its_approvals(db: StateDB) -> None:
    first = db.save_plan(plan(), at=BEFORE_OPEN)
    approve(db)
    second = db.save_plan(plan('{"orders":[1]}', "b" * 64), at=AT_OPEN)
    assert db.get_plan("ema_p10", THURSDAY) == second
    assert db.get_plan_by_sha("a" * 64) == replace(first, status="superseded")
    assert db.get_approvals("a" * 64) == []


def test_going_back_to_an_earlier_plan_does_not_revive_its_approvals(db: StateDB) -> None:
    db.save_plan(plan(), at=BEFORE_OPEN)
    approve(db)
    db.save_plan(plan('{"orders":[1]}', "b" * 64), at=BEFORE_OPEN)
    again = db.save_plan(plan(), at=AT_OPEN)
    assert db.get_plan_by_sha("a" * 64) == again
    assert db.get_approvals("a" * 64) == []


@pytest.mark.parametrize("bound", ["frozen", "done"])
def test_a_plan_that_is_being_executed_is_not_replaced(db: StateDB, bound: str) -> None:
    stored = db.save_plan(plan(), at=BEFORE_OPEN)
    db.set_plan_status(stored.plan_id, bound)
    with pytest.raises(PlanRefused, match=bound):
        db.save_plan(plan('{"orders":[1]}', "b" * 64), at=AT_OPEN)
    assert db.save_plan(plan(), at=AT_OPEN) == replace(stored, status=bound)


def test_a_blocked_plan_is_replaced_by_the_same_one_once_it_may_run(db: StateDB) -> None:
    blocked = db.save_plan(plan(status="blocked"), at=BEFORE_OPEN)
    assert db.save_plan(plan(status="blocked"), at=BEFORE_OPEN) == blocked
    opened = db.save_plan(plan(), at=AT_OPEN)
    assert (opened.status, opened.plan_id > blocked.plan_id) == ("open", True)


def test_plans_of_other_strategies_and_sessions_live_side_by_side(db: StateDB) -> None:
    for strategy in ("ema_p10", "nwl_p4"):
        for session in (THURSDAY, FRIDAY):
            db.save_plan(plan(strategy=strategy, session=session), at=BEFORE_OPEN)
    assert db.get_plan("nwl_p4", FRIDAY) is not None


def test_a_plan_has_known_statuses_only(db: StateDB) -> None:
    stored = db.save_plan(plan(), at=BEFORE_OPEN)
    with pytest.raises(RecordRefused):
        db.set_plan_status(stored.plan_id, "approved")
    with pytest.raises(RecordRefused):
        db.set_plan_status(stored.plan_id + 1, "frozen")
    assert db.get_plan("ema_p10", THURSDAY) == stored


# ------------------------------------------------------------------------------------- approvals


def test_two_clicks_are_one_approval(db: StateDB) -> None:
    db.save_plan(plan(), at=BEFORE_OPEN)
    first = approve(db)
    assert approve(db, at=AT_OPEN) == first
    [found] = db.get_approvals("a" * 64)
    assert (found.approval_id, found.item, found.decision) == (first, "NVDA:entry", "approve")
    assert (found.max_quantity, found.who, found.reason) == (40, "operator", "looks right")
    assert found.at == BEFORE_OPEN


def test_the_newest_decision_on_an_item_stands(db: StateDB) -> None:
    db.save_plan(plan(), at=BEFORE_OPEN)
    first = approve(db)
    approve(db, decision="reject", at=AT_OPEN)
    approve(db, item="AAPL:entry")
    assert [(a.item, a.decision) for a in db.get_approvals("a" * 64)] == [
        ("AAPL:entry", "approve"),
        ("NVDA:entry", "reject"),
    ]
    third = approve(db, at=AFTER_CLOSE)
    assert third > first
    assert [a.decision for a in db.get_approvals("a" * 64)] == ["approve", "approve"]


def test_another_quantity_or_another_person_is_another_decision(db: StateDB) -> None:
    db.save_plan(plan(), at=BEFORE_OPEN)
    ids = [approve(db), approve(db, max_quantity=20), approve(db, max_quantity=20, who="second")]
    assert len(set(ids)) == 3
    [found] = db.get_approvals("a" * 64)
    assert (found.max_quantity, found.who) == (20, "second")


def test_only_the_current_plan_can_be_approved(db: StateDB) -> None:
    with pytest.raises(PlanRefused):
        approve(db)
    db.save_plan(plan(), at=BEFORE_OPEN)
    db.save_plan(plan('{"orders":[1]}', "b" * 64), at=BEFORE_OPEN)
    with pytest.raises(PlanRefused):
        approve(db)


@pytest.mark.parametrize("impossible", [{"decision": "maybe"}, {"max_quantity": -1}])
def test_an_impossible_approval_is_refused(db: StateDB, impossible: dict[str, object]) -> None:
    db.save_plan(plan(), at=BEFORE_OPEN)
    with pytest.raises(RecordRefused):
        approve(db, **impossible)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM approvals",
        "UPDATE approvals SET max_quantity = 400",
        "UPDATE approvals SET decision = 'reject'",
        "UPDATE approvals SET plan_sha256 = 'b'",
        "UPDATE approvals SET who = 'nobody'",
    ],
)
def test_approvals_are_append_only(db: StateDB, statement: str) -> None:
    db.save_plan(plan(), at=BEFORE_OPEN)
    approve(db)
    with pytest.raises(RecordRefused, match="append-only"), db.transaction():
        db._connection.exec_driver_sql(statement)
    assert len(db.get_approvals("a" * 64)) == 1
