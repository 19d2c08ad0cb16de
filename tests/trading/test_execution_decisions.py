"""The executor, one decision at a time: which plans are carried out, which sells go, and when."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from livekit.config import LiveConfig
from livekit.errors import BooksDiffer, KillSwitchOn, PlanRefused, UsageError
from livekit.model import Plan
from livekit.sessions import close_instant
from livekit.trading.executor import (
    ALL,
    PLACE,
    POLL,
    Execution,
    _pair_may_go,
    _poll_exits,
    _send_exits,
    accept_plan,
    execute_plan,
    execution_parts,
)
from livekit.trading.protector import CoverWatch
from tests.trading.quiet_broker import (
    CUTOFF,
    MONDAY,
    OPEN,
    TUESDAY,
    Quiet,
    planned,
    quiet_desk,
    venue_order,
)

CONFIG = LiveConfig()
BUY_ABC = planned(config=CONFIG, buys=[("ABC", 200, 50.0, None)])
SECOND = timedelta(seconds=1)


def elapsed_s(q: Quiet) -> float:
    return (q.clock.now() - OPEN).total_seconds()


# ------------------------------------------------------------------------------- accepting a plan


@pytest.mark.parametrize("status", ["open", "frozen"])
def test_a_plan_is_taken_from_the_database_with_its_row_and_status(status: str) -> None:
    with quiet_desk() as q:
        stored = q.store(replace(BUY_ABC, status=status))
        accepted = accept_plan(q.desk, replace(BUY_ABC, status="open", plan_id=None))
        assert (accepted.plan_id, accepted.status) == (stored.plan_id, status)
        assert accepted.orders == BUY_ABC.orders


@pytest.mark.parametrize("status", ["done", "superseded", "blocked", "expired"])
def test_a_plan_in_any_other_status_is_refused_by_its_hash(status: str) -> None:
    with quiet_desk() as q:
        q.store(replace(BUY_ABC, status=status))
        with pytest.raises(PlanRefused, match=f"{BUY_ABC.sha256[:12]} .*{status}"):
            accept_plan(q.desk, BUY_ABC)


def test_a_plan_is_accepted_until_half_an_hour_before_the_close() -> None:
    last = close_instant(TUESDAY) - timedelta(minutes=30)
    with quiet_desk(last - SECOND) as q:
        q.store(BUY_ABC)
        accept_plan(q.desk, BUY_ABC)
        q.clock.sleep(1.0)
        with pytest.raises(PlanRefused, match=BUY_ABC.sha256[:12]):
            accept_plan(q.desk, BUY_ABC)


def test_unknown_foreign_and_old_plans_are_refused_by_their_hash() -> None:
    foreign = planned(config=replace(CONFIG, primary_trailing_period=9))
    old = replace(BUY_ABC, session=MONDAY)
    with quiet_desk() as q:
        for plan in (BUY_ABC, foreign, old):
            if plan is not BUY_ABC:
                q.store(plan)
            with pytest.raises(PlanRefused, match=plan.sha256[:12]):
                accept_plan(q.desk, plan)


@pytest.mark.parametrize(
    ("tolerance_pct", "shares", "is_accepted"),
    [(10.0, 220, True), (10.0, 221, False), (0.0, 200, True), (0.0, 201, False), (10.0, 1, True)],
)
def test_a_buy_may_exceed_the_position_size_by_the_tolerance_and_no_share_more(
    tolerance_pct: float, shares: int, *, is_accepted: bool
) -> None:
    """At 50 USD, 10,000 USD are 200 shares and 11,000 USD 220."""
    plan = planned(config=CONFIG, buys=[("ABC", shares, 50.0, None)])
    with quiet_desk(order_size_tolerance_pct=tolerance_pct) as q:
        q.store(plan)
        if is_accepted:
            assert accept_plan(q.desk, plan).orders[0].quantity == shares
        else:
            with pytest.raises(PlanRefused, match=plan.sha256[:12]):
                accept_plan(q.desk, plan)


@pytest.mark.parametrize("missing", ["reference_price", "stop_price", "candidate"])
def test_a_buy_without_price_stop_or_candidate_is_refused(missing: str) -> None:
    with quiet_desk() as q:
        q.store(BUY_ABC)
        bare = replace(BUY_ABC.orders[0], **{missing: None})
        with pytest.raises(PlanRefused, match=BUY_ABC.sha256[:12]):
            accept_plan(q.desk, replace(BUY_ABC, orders=(bare,)))


def test_an_exit_needs_neither_a_price_nor_a_bound() -> None:
    plan = planned(config=CONFIG, sells=[("ABC", 1_000_000, "trend_break", None)])
    with quiet_desk() as q:
        q.store(plan)
        assert accept_plan(q.desk, plan).orders[0].quantity == 1_000_000


def test_auction_entries_make_two_parts_of_an_execution() -> None:
    assert execution_parts(replace(CONFIG, entry_tif="opg")) == ("place", "poll")
    assert execution_parts(CONFIG) == ("all",)


@pytest.mark.parametrize(
    ("venue", "tif", "part", "skips", "words"),
    [
        ("alpaca-paper", "day", ALL, True, "real venue"),
        ("simulated", "day", "both", False, "no part"),
        ("simulated", "opg", ALL, False, "--phase place"),
    ],
)
def test_what_cannot_be_executed_is_refused_before_the_broker_is_asked(
    venue: str, tif: Any, part: str, *, skips: bool, words: str
) -> None:
    with quiet_desk(venue=venue, entry_tif=tif) as q:
        with pytest.raises(UsageError, match=words):
            execute_plan(q.desk, BUY_ABC, part=part, skip_time_check=skips)
        assert q.broker.said == []


@pytest.mark.parametrize(
    ("venue", "tif", "part", "skips"),
    [
        ("alpaca-paper", "day", ALL, False),
        ("simulated", "day", ALL, True),
        ("simulated", "opg", PLACE, False),
        ("simulated", "opg", POLL, False),
        ("simulated", "day", PLACE, False),
    ],
)
def test_everything_else_is_executed_and_stopped_by_the_kill_switch(
    venue: str, tif: Any, part: str, *, skips: bool
) -> None:
    with quiet_desk(venue=venue, entry_tif=tif) as q:
        q.hold("ABC")
        q.kill()
        with pytest.raises(KillSwitchOn):
            execute_plan(q.desk, BUY_ABC, part=part, **({"skip_time_check": True} if skips else {}))
        assert [item["ticker"] for item in q.broker.placed] == ["ABC"]  # its stop went all the same


def test_an_execution_tells_what_it_repaired_and_freezes_its_plan() -> None:
    plan = planned(config=CONFIG, sells=[("XYZ", 1, "trend_break", None)])
    with quiet_desk() as q:
        q.hold("ABC")
        stored = q.store(plan)
        run = execute_plan(q.desk, stored)
        assert run.repaired == ["ABC 100 shares, stop due 45"]
        assert [(item.ticker, item.state) for item in run.exits] == [("XYZ", "closed")]
        assert run.look is not None
        assert run.look.changes_sent == 1  # it saw the stop that was placed
        kept = q.db.get_plan_by_sha(plan.sha256)
        assert kept is not None
        assert kept.status == "frozen"


def books_differ(q: Quiet) -> None:
    """Somebody else has a buy of XYZ at the broker."""
    q.broker.show(venue_order("stranger", "XYZ", "buy"))


def test_while_the_books_differ_nothing_new_goes_and_what_works_is_followed_to_its_end() -> None:
    with quiet_desk() as q:
        stored = q.store(planned(config=CONFIG, buys=[("DEF", 100, 50.0, None)]))
        q.approve(stored, "entry:DEF", 100)
        q.price("DEF", "50")
        q.at_venue(q.row("ABC"), stop_price=None)
        books_differ(q)
        with pytest.raises(BooksDiffer):
            execute_plan(q.desk, stored)
        assert q.broker.placed == []
        assert (q.broker.orders["v-ABC-entry"].status, q.clock.now()) == ("canceled", CUTOFF)
        kept = q.db.get_plan_by_sha(stored.sha256)
        assert kept is not None
        assert kept.status == "open"


def test_a_working_sell_is_followed_too_while_the_books_differ() -> None:
    with quiet_desk(OPEN - 600 * SECOND) as q:
        q.hold("ABC")
        q.at_venue(q.row("ABC", "exit"), stop_price=None)
        books_differ(q)
        with pytest.raises(BooksDiffer):
            execute_plan(q.desk, q.store(BUY_ABC))
        assert q.clock.now() == OPEN + 60 * SECOND


@pytest.mark.parametrize(
    ("part", "intent", "status"),
    [(PLACE, "exit", "new"), (ALL, "exit", "filled"), (ALL, "stop", "new")],
)
def test_where_nothing_works_or_polling_comes_later_a_difference_is_told_at_once(
    part: str, intent: str, status: str
) -> None:
    with quiet_desk(OPEN - 600 * SECOND) as q:
        q.at_venue(q.row("ABC", intent, status=status), stop_price=None)
        books_differ(q)
        with pytest.raises(BooksDiffer):
            execute_plan(q.desk, q.store(BUY_ABC), part=part)
        assert q.clock.now() == OPEN - 600 * SECOND


def test_polling_an_auction_sends_nothing_that_was_not_placed() -> None:
    with quiet_desk(OPEN - 600 * SECOND, entry_tif="opg") as q:
        stored = q.store(BUY_ABC)
        q.approve(stored, "entry:ABC", 200)
        q.price("ABC", "50")
        run = execute_plan(q.desk, stored, part=POLL)
        assert [(item.ticker, item.state) for item in run.entries] == [("ABC", "auction_missed")]
        assert q.broker.placed == []


@pytest.mark.parametrize(("tif", "sells"), [("opg", ["ABC"]), ("day", [])])
def test_polling_sells_what_was_not_placed_only_where_an_auction_has_parts(
    tif: Any, sells: list[str]
) -> None:
    plan = planned(config=CONFIG, sells=[("ABC", 100, "trend_break", None)])
    with quiet_desk(entry_tif=tif) as q:
        q.hold("ABC")
        q.at_venue(q.row("ABC", "stop", stop_price=Decimal(45)))
        execute_plan(q.desk, q.store(plan), part=POLL)
        assert [item["ticker"] for item in q.broker.placed] == sells


@pytest.mark.parametrize(("tif", "buys"), [("day", []), ("opg", ["ABC"])])
def test_placing_before_the_open_sends_no_buy_but_that_of_an_auction(
    tif: Any, buys: list[str]
) -> None:
    with quiet_desk(OPEN - 600 * SECOND, entry_tif=tif) as q:
        stored = q.store(BUY_ABC)
        q.approve(stored, "entry:ABC", 200)
        q.price("ABC", "50")
        run = execute_plan(q.desk, stored, part=PLACE)
        assert [(item.ticker, item.state) for item in run.entries] == [
            (buy, "sent") for buy in buys
        ]
        assert [item["ticker"] for item in q.broker.placed] == buys
        assert q.clock.now() == OPEN - 600 * SECOND


def test_a_plan_without_orders_is_not_taken_for_begun() -> None:
    empty = planned(config=CONFIG)
    with quiet_desk() as q:
        execute_plan(q.desk, q.store(empty))
        kept = q.db.get_plan_by_sha(empty.sha256)
        assert kept is not None
        assert kept.status == "open"


# ------------------------------------------------------------------------------------- the sells

PAIR = planned(
    config=CONFIG,
    sells=[("OLD", 1, "rotated_out", "NEW")],
    buys=[("ABC", 1, 50.0, None), ("NEW", 1, 50.0, "OLD")],
)


def may_go(q: Quiet, plan: Plan) -> bool:
    return _pair_may_go(q.desk, plan, plan.orders[0])


def test_a_rotations_sell_goes_when_one_share_of_its_buy_may_go() -> None:
    with quiet_desk(CUTOFF - SECOND, approval="required") as q:
        plan = q.store(PAIR)
        assert not may_go(q, plan)
        q.approve(plan, "entry:ABC", 1)
        assert not may_go(q, plan)
        q.approve(plan, "rotation:OLD>NEW", 1)
        assert may_go(q, plan)
        q.clock.sleep(1.0)
        assert not may_go(q, plan)  # the cut-off


def test_a_rotations_sell_stays_under_the_kill_switch_and_in_an_auction_and_without_its_buy() -> (
    None
):
    with quiet_desk(approval="required") as q:
        plan = q.store(PAIR)
        q.approve(plan, "rotation:OLD>NEW", 1)
        sell, abc, _ = plan.orders
        assert not may_go(q, replace(plan, orders=(sell, abc)))
        other_sell = replace(sell, ticker="NEW", pair=None)
        assert not may_go(q, replace(plan, orders=(sell, other_sell)))
        q.kill()
        assert not may_go(q, plan)
    with quiet_desk(approval="required", entry_tif="opg") as q:
        plan = q.store(PAIR)
        q.approve(plan, "rotation:OLD>NEW", 1)
        assert not may_go(q, plan)


def test_a_pair_whose_halves_are_two_items_goes_only_when_both_are_approved() -> None:
    """No plan of ours looks like that; a sell must not go by the approval of its half alone."""
    with quiet_desk(approval="required") as q:
        plan = q.store(PAIR)
        sell, abc, buy = plan.orders
        plan = replace(plan, orders=(sell, abc, replace(buy, reason="entry", pair=None)))
        q.approve(plan, "rotation:OLD>NEW", 1)
        assert not may_go(q, plan)
        q.approve(plan, "entry:NEW", 1)
        assert may_go(q, plan)
        q.approve(plan, "rotation:OLD>NEW", 0, "reject")
        assert not may_go(q, plan)


def test_every_sell_of_a_plan_has_its_fate_and_cover_is_looked_after_when_one_stays() -> None:
    plan = planned(
        config=CONFIG,
        sells=[
            ("OLD", 300, "rotated_out", "NEW"),
            ("WEAK", 5, "trend_break", None),
            ("ONE", 1, "trend_break", None),
            ("GONE", 5, "trend_break", None),
            ("BAD", 5, "trend_break", None),
        ],
        buys=[("NEW", 1, 50.0, "OLD"), ("ABC", 1, 50.0, None)],
    )
    old, weak, one, gone, bad, new, abc = plan.orders
    mixed = replace(plan, orders=(abc, bad, old, weak, one, gone, new))
    with quiet_desk(approval="required", approval_exempt_exits=False) as q:
        q.store(plan)
        q.hold("WEAK")
        q.approve(plan, "exit:ONE", 1)
        q.approve(plan, "exit:GONE", 5)
        run = Execution(mixed, avoided=frozenset({"BAD"}))
        _send_exits(q.desk, run)
        assert [(item.ticker, item.state) for item in run.exits] == [
            ("BAD", "books_differ"),
            ("OLD", "withheld"),
            ("WEAK", "not_approved"),
            ("ONE", "closed"),
            ("GONE", "closed"),
        ]
        assert run.repaired == ["WEAK 100 shares, stop due 45"]


def test_when_every_sell_is_out_nothing_is_asked_of_the_broker() -> None:
    plan = planned(config=CONFIG, sells=[("ABC", 100, "trend_break", None)])
    with quiet_desk() as q:
        q.hold("ABC")
        q.row("ABC", "exit")
        run = Execution(plan)
        _send_exits(q.desk, run)
        assert [(item.ticker, item.state) for item in run.exits] == [("ABC", "sent")]
        assert (q.broker.said, run.repaired) == ([], [])


def uncovered(q: Quiet) -> None:
    """100 DEF without a stop, whose repair falls into the time of the polling."""
    q.hold("DEF")


DEF_REPAIRED = "DEF 100 shares, stop due 45"


def test_a_sell_that_never_fills_is_watched_for_a_minute_from_the_open() -> None:
    with quiet_desk(OPEN - timedelta(minutes=10)) as q:
        q.at_venue(q.row("ABC", "exit"), stop_price=None)
        uncovered(q)
        run, watch = Execution(BUY_ABC), CoverWatch(q.desk)
        _poll_exits(q.desk, run, watch)
        assert (len(run.warnings), elapsed_s(q)) == (1, 60.0)
        assert watch.repaired == [DEF_REPAIRED]


def test_polling_the_sells_ends_with_the_look_that_shows_them_filled() -> None:
    """Filled six seconds after the open, while a buy works and an older sell is long done."""
    with quiet_desk() as q:
        exit_row = q.row("ABC", "exit")
        q.at_venue(exit_row, stop_price=None)
        q.at_venue(q.row("GHI", "entry"), stop_price=None)
        q.row("JKL", "exit", status="filled")
        uncovered(q)

        def fills_at_six_seconds(name: str) -> None:
            if elapsed_s(q) >= 6.0:
                q.at_venue(exit_row, status="filled", filled_quantity=Decimal(100))

        q.broker.before = fills_at_six_seconds
        run, watch = Execution(BUY_ABC), CoverWatch(q.desk)
        _poll_exits(q.desk, run, watch)
        assert (run.warnings, elapsed_s(q)) == ([], 6.0)
        assert watch.repaired == [DEF_REPAIRED]


def test_without_a_working_sell_polling_waits_for_the_open_and_looks_at_nothing() -> None:
    with quiet_desk(OPEN - timedelta(minutes=10)) as q:
        q.row("GHI", "entry")
        q.row("JKL", "exit", status="filled")
        run = Execution(BUY_ABC)
        _poll_exits(q.desk, run, CoverWatch(q.desk))
        assert (q.broker.said, run.warnings, elapsed_s(q)) == ([], [], 0.0)
