"""The review's controls without a browser: what a click records, and what it refuses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from livekit.clock import sleep_until
from livekit.errors import DecisionRefused, KillSwitchOn, LivekitError
from livekit.model import TREND_BREAK, Candidate, Plan
from livekit.state import StateDB
from livekit.trading.approvals import decide, review_items
from livekit.trading.desk import Desk
from livekit.trading.phases import run_executor
from livekit.trading.plans import plan_from_body
from livekit.workbench.operator import operator_name
from livekit.workbench.review.board import board_table, read_board, time_left_text
from livekit.workbench.review.desk import Reviewer
from livekit.workbench.tables import to_text
from livekit.workbench.widgets import ReviewPanel
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)
EVIL = "<img src=x onerror=alert(1)> & Sons"


@pytest.fixture
def morning(tmp_path: Path) -> Iterator[World]:
    """Monday's plan waits for a person: 200 ABC at 50, 250 DEF at 40."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, approval="required") as w:
        found = [stock("ABC", 80.0, "50", "ABC Company"), stock("DEF", 70.0, "40", EVIL)]
        w.db.save_candidates(MONDAY, found, at=w.desk.clock.now())
        assert w.phase(MONDAY, "signals").exit_code == 0
        yield w


def stock(ticker: str, score: float, price: str, company: str) -> Candidate:
    return Candidate(ticker, MONDAY, "B", score, Decimal(price), 3.0, company)


class Tab:
    """One open tab: a panel with a connection of its own to the same database."""

    def __init__(self, w: World, plan: Plan | None = None) -> None:
        @contextmanager
        def open_books() -> Iterator[Desk]:
            with StateDB(w.profile.state_db) as db:
                yield replace(w.desk, db=db)

        self.panel = ReviewPanel(Reviewer(plan or w.phase_plan(MONDAY), open_books))

    def click(self, verb: str, item: str, *, shares: str = "", reason: str = "") -> str:
        """Fill in the fields, press the button; what the tab then complains about."""
        controls = self.panel._controls[item]
        if shares:
            controls.shares.value = shares
        controls.reason.value = reason
        getattr(controls, verb).click()
        return text_of(self.panel.message.value)

    def approve_all(self, reason: str = "") -> str:
        self.panel._reason.value = reason
        self.panel._approve_all.click()
        return text_of(self.panel.message.value)

    def decision(self, item: str) -> str:
        return text_of(self.panel._controls[item].decision.value)

    def is_locked(self, item: str) -> bool:
        controls = self.panel._controls[item]
        return controls.approve.disabled and controls.reject.disabled


def text_of(markup: str) -> str:
    return re.sub(r"<[^>]*>", "", markup)


def allowed(w: World) -> dict[str, tuple[str, int, str]]:
    found = w.db.get_approvals(w.phase_plan(MONDAY).sha256)
    return {item.item: (item.decision, item.max_quantity, item.reason) for item in found}


# ------------------------------------------------------------------------------------- good use


def test_a_click_is_in_the_database_at_once_and_a_new_tab_shows_it(morning: World) -> None:
    tab = Tab(morning)
    assert tab.click("approve", "entry:ABC", shares="150", reason="half  is\nenough") == ""
    assert tab.click("reject", "entry:DEF", reason="thin") == ""
    assert allowed(morning) == {
        "entry:ABC": ("approve", 150, "half is enough"),
        "entry:DEF": ("reject", 0, "thin"),
    }
    again = Tab(morning)
    who = operator_name()
    assert again.decision("entry:ABC").startswith(f"approved up to 150 by {who}, 2020-01-06 08:50")
    assert again.decision("entry:DEF").startswith(f"rejected by {who}")
    assert morning.phase(MONDAY, "execution").exit_code == 0
    assert (morning.held("ABC"), morning.held("DEF")) == (150, 0)


def test_approve_all_leaves_decisions_that_stand(morning: World) -> None:
    tab = Tab(morning)
    tab.click("reject", "entry:ABC")
    assert tab.approve_all(reason="the rest") == ""
    assert allowed(morning) == {
        "entry:ABC": ("reject", 0, ""),
        "entry:DEF": ("approve", 250, "the rest"),
    }
    assert tab.panel._approve_all.disabled


def test_a_person_may_take_a_decision_back_until_the_order_is_sent(morning: World) -> None:
    tab = Tab(morning)
    tab.click("reject", "entry:DEF")  # everything decided: the execution ends at the open
    tab.click("approve", "entry:ABC")
    assert tab.click("approve", "entry:ABC", shares="10") == ""
    assert allowed(morning)["entry:ABC"][1] == 10
    morning.phase(MONDAY, "execution")
    assert "its order is with the broker" in tab.click("reject", "entry:ABC")
    assert allowed(morning)["entry:ABC"][0] == "approve"
    assert tab.is_locked("entry:ABC")


def test_the_table_beside_the_controls_says_what_they_say(morning: World) -> None:
    plan = morning.phase_plan(MONDAY)
    Tab(morning).click("approve", "entry:ABC", shares="150", reason="half")
    board = read_board(morning.desk, plan)
    lines = to_text(board_table(board)).splitlines()
    assert lines[0] == f"Review of plan {plan.sha256[:12]}, 2020-01-06"
    assert re.split(r" {2,}", lines[2]) == [
        *("entry:ABC", "buy 200 ABC", "150 of 200"),
        *(f"approved up to 150 by {operator_name()}, 2020-01-06 08:50:00 New York", "half"),
    ]
    assert "no decision yet" in lines[3]
    assert time_left_text(board) == (
        "Decisions until 2020-01-06 09:35:00 New York: 45 min 00 s left."
    )


def test_a_company_named_like_markup_is_text_in_every_widget(morning: World) -> None:
    tab = Tab(morning)
    values = [
        box.value for box in boxes(tab.panel.box) if isinstance(getattr(box, "value", 0), str)
    ]
    assert any("&lt;img src=x onerror=alert(1)&gt; &amp; Sons" in value for value in values)
    assert not any("<img" in value for value in values)
    tab.click("reject", "entry:DEF", reason="<script>alert(2)</script>")
    assert not any("<script" in str(getattr(box, "value", "")) for box in boxes(tab.panel.message))


def boxes(widget: object) -> Iterator[object]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from boxes(child)


def test_a_tab_that_is_left_open_follows_what_others_decide(
    morning: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livekit.workbench.widgets.REFRESH_S", 0.01)
    monkeypatch.setattr("livekit.workbench.widgets.display", lambda _: None)
    monkeypatch.setattr("livekit.workbench.widgets.show_board", lambda *_, **__: None)

    async def watch() -> str:
        tab = Tab(morning)
        tab.panel.show()
        Tab(morning).click("reject", "entry:ABC")
        while "rejected" not in tab.decision("entry:ABC"):
            await asyncio.sleep(0.01)
        sleep_until(morning.desk.clock, morning.phase_plan(MONDAY).expires_at)
        while not tab.is_locked("entry:DEF"):
            await asyncio.sleep(0.01)
        return text_of(tab.panel._time_left.value)

    assert asyncio.run(asyncio.wait_for(watch(), 30)).startswith("Closed: the cut-off")


class LateHand:
    """A clock on which somebody decides at a given instant while the executor waits."""

    def __init__(self, w: World, at: datetime, act: Callable[[], object]) -> None:
        self._clock, self._at, self._act = w.desk.clock, at, act

    def now(self) -> datetime:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
        if self.now() >= self._at:
            act, self._act = self._act, bool
            act()


def test_what_is_approved_after_the_open_is_bought_until_the_cut_off(morning: World) -> None:
    """DEF is approved at 09:30, ABC at 09:33; the executor has waited for it since the open."""
    tab = Tab(morning)
    tab.click("approve", "entry:DEF", shares="50")
    at = datetime(2020, 1, 6, 14, 33, tzinfo=UTC)
    hand = LateHand(morning, at, lambda: tab.click("approve", "entry:ABC", shares="20"))
    outcome = run_executor(replace(morning.desk, clock=hand), morning.phase_plan(MONDAY))
    assert outcome.exit_code == 0
    assert (morning.held("ABC"), morning.held("DEF")) == (20, 50)
    assert morning.desk.clock.now() < datetime(2020, 1, 6, 14, 34, tzinfo=UTC)
    assert morning.live_sells("ABC") == 20


def test_nobody_is_waited_for_once_everything_is_decided_or_the_cut_off_is_there(
    morning: World,
) -> None:
    tab = Tab(morning)
    tab.click("reject", "entry:DEF")
    at = datetime(2020, 1, 6, 14, 31, tzinfo=UTC)
    hand = LateHand(morning, at, lambda: tab.click("reject", "entry:ABC"))
    run_executor(replace(morning.desk, clock=hand), morning.phase_plan(MONDAY))
    assert morning.desk.clock.now() == at
    assert morning.bought("ABC") == []


# -------------------------------------------------------------------------------------- bad use


def test_a_number_of_shares_outside_the_plan_is_refused_in_the_cell(morning: World) -> None:
    tab = Tab(morning)
    for shares in ("0", "-5", "201", "abc", "1.5", "1e2", "²", "9" * 13, "nan", " "):
        told = tab.click("approve", "entry:ABC", shares=shares)
        assert told.startswith("decision on entry:ABC refused"), shares
        assert "from 1 to 200" in told, shares
    assert allowed(morning) == {}
    assert tab.decision("entry:ABC") == "no decision yet"


def test_no_face_gets_a_wrong_quantity_past_the_state_machine(morning: World) -> None:
    plan = morning.phase_plan(MONDAY)
    wrong: tuple[Any, ...] = (True, 1.0, "5", 0, -1, 201, None)
    for shares in wrong:
        with pytest.raises(DecisionRefused, match="from 1 to 200"):
            decide(morning.desk, plan, "entry:ABC", "approve", max_quantity=shares, who="trader")
    with pytest.raises(DecisionRefused, match="from 0 to 0"):
        decide(morning.desk, plan, "entry:ABC", "reject", max_quantity=5, who="trader")


def test_a_reason_without_end_is_refused(morning: World) -> None:
    assert "longer than 500" in Tab(morning).click("reject", "entry:ABC", reason="x" * 501)
    assert allowed(morning) == {}


def test_two_tabs_never_overwrite_each_other_unseen(morning: World) -> None:
    """The second tab still shows no decision; its click is refused once, then stands."""
    first, second = Tab(morning), Tab(morning)
    first.click("reject", "entry:ABC", reason="no")
    told = second.click("approve", "entry:ABC")
    assert f"it was decided meanwhile, {operator_name()}: reject" in told
    assert allowed(morning)["entry:ABC"][0] == "reject"
    assert second.decision("entry:ABC").startswith("rejected")
    assert second.click("approve", "entry:ABC") == ""
    assert allowed(morning)["entry:ABC"][:2] == ("approve", 200)


def test_of_many_clicks_at_the_same_instant_one_decides(morning: World) -> None:
    plan, start = morning.phase_plan(MONDAY), Barrier(8)

    def click(number: int) -> bool:
        with StateDB(morning.profile.state_db) as db:
            start.wait()
            try:
                decide(
                    replace(morning.desk, db=db),
                    plan,
                    "entry:ABC",
                    "approve",
                    max_quantity=10 + number,
                    who=f"tab {number}",
                    seen=0,
                )
            except DecisionRefused:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(click, range(8)))
    assert won.count(True) == 1
    assert allowed(morning)["entry:ABC"][1] == 10 + won.index(True)


def test_nothing_is_approved_while_the_kill_switch_is_on_but_may_be_rejected(
    morning: World,
) -> None:
    tab = Tab(morning)
    morning.db.set_kill_switch(True, reason="drill", who="trader", at=morning.desk.clock.now())
    assert tab.click("approve", "entry:ABC").startswith("kill switch is on: drill")
    assert "kill switch is on" in text_of(tab.panel._summary.value)
    assert tab.click("reject", "entry:DEF") == ""
    assert allowed(morning) == {"entry:DEF": ("reject", 0, "")}


def test_a_plan_that_the_switch_has_blocked_is_made_anew_before_it_is_approved(
    morning: World,
) -> None:
    plan = morning.phase_plan(MONDAY)
    morning.db.set_plan_status(plan.plan_id or 0, "blocked")
    assert "run the signals phase again" in Tab(morning).click("approve", "entry:ABC")


def test_a_replaced_plan_takes_no_decision_any_more(morning: World) -> None:
    """Another plan of the same session has another hash; the tab shows the old one."""
    old = morning.phase_plan(MONDAY)
    tab = Tab(morning)
    newer = plan_from_body(old.body.replace('"quantity":200', '"quantity":199'))
    morning.db.save_plan(newer, at=morning.desk.clock.now())
    told = tab.click("approve", "entry:ABC")
    assert f"plan {old.sha256[:12]} is not the current one" in told
    assert morning.db.get_approvals(newer.sha256) == []
    assert tab.is_locked("entry:ABC")
    assert tab.is_locked("entry:DEF")


def test_at_the_cut_off_the_controls_close_and_say_why(morning: World) -> None:
    tab = Tab(morning)
    sleep_until(morning.desk.clock, morning.phase_plan(MONDAY).expires_at)  # 09:35
    assert "the cut-off 2020-01-06T14:35:00+00:00 has passed" in tab.click("approve", "entry:ABC")
    assert allowed(morning) == {}
    assert tab.is_locked("entry:ABC")
    assert text_of(tab.panel._time_left.value).startswith("Closed: the cut-off")


def test_a_plan_of_yesterday_can_be_looked_at_only(morning: World) -> None:
    yesterday = morning.phase_plan(MONDAY)
    morning.trade(MONDAY)
    morning.go_to(TUESDAY, "signals")
    tab = Tab(morning, yesterday)
    assert tab.is_locked("entry:ABC")
    assert "has passed" in tab.click("approve", "entry:ABC")


def test_an_item_that_is_not_in_the_plan_is_refused(morning: World) -> None:
    plan = morning.phase_plan(MONDAY)
    with pytest.raises(DecisionRefused, match="no such item"):
        decide(morning.desk, plan, "entry:ZZZ", "approve", max_quantity=1, who="trader")


def test_an_error_that_nobody_foresaw_is_shown_in_the_cell(morning: World) -> None:
    tab = Tab(morning)

    def broken() -> AbstractContextManager[Desk]:
        raise RuntimeError("the disk is on fire")

    tab.panel._reviewer = Reviewer(morning.phase_plan(MONDAY), broken)
    assert "RuntimeError: the disk is on fire" in tab.click("approve", "entry:ABC")
    with pytest.raises(RuntimeError):
        tab.panel._decide_item("entry:ABC", "approve")
    assert allowed(morning) == {}


# ------------------------------------------------------------------------------- exits and pairs


def test_exits_go_without_approval_unless_the_profile_wants_one(tmp_path: Path) -> None:
    """200 ABC are held with a pending exit; Tuesday's sell waits, then goes with an approval."""
    options = {"approval": "required", "approval_exempt_exits": False}
    with world(tmp_path, {"ABC": 50.0}, **options) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        w.approve(MONDAY, "entry:ABC", shares=200)
        w.trade(MONDAY)
        (held,) = w.db.get_open_positions()
        w.db.update_position(
            held.position_id or 0, pending_reason=TREND_BREAK, pending_since=MONDAY
        )
        w.phase(TUESDAY, "signals")
        plan = w.phase_plan(TUESDAY)
        (item,) = review_items(plan, w.desk.config)
        assert (item.name, item.shares, item.needs_approval) == ("exit:ABC", 200, True)
        (exempt,) = review_items(plan, replace(w.desk.config, approval_exempt_exits=True))
        assert not exempt.needs_approval
        refused = w.phase(TUESDAY, "execution").execution
        assert refused is not None
        assert [report.state for report in refused.exits] == ["not_approved"]
        assert (w.held("ABC"), w.live_sells("ABC")) == (200, 200)  # still covered by its stop


def test_an_exempt_exit_cannot_be_decided(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, approval="required") as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        w.approve(MONDAY, "entry:ABC", shares=200)
        w.trade(MONDAY)
        (held,) = w.db.get_open_positions()
        w.db.update_position(
            held.position_id or 0, pending_reason=TREND_BREAK, pending_since=MONDAY
        )
        w.phase(TUESDAY, "signals")
        plan = w.phase_plan(TUESDAY)
        with pytest.raises(DecisionRefused, match="needs no approval"):
            decide(w.desk, plan, "exit:ABC", "reject", max_quantity=0, who="trader")


def test_every_refusal_is_one_of_ours() -> None:
    assert issubclass(DecisionRefused, LivekitError)
    assert (DecisionRefused.exit_code, KillSwitchOn.exit_code) == (2, 3)


# ------------------------------------------------------------------- rotations, which may be late


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[World]:
    """Tuesday 08:50, one slot: ABC lost 2 of 50, DEF scores higher and may take its place."""
    bars = {("ABC", MONDAY): (50.0, 50.0, 48.0, 48.0)}
    prices = {"ABC": 50.0, "DEF": 40.0}
    with world(tmp_path, prices, bars, approval="required", max_positions=1) as w:
        w.report(MONDAY, ("ABC", 60.0, 50.0))
        w.phase(MONDAY, "signals")
        w.approve(MONDAY, "entry:ABC", shares=200)
        w.trade(MONDAY)
        w.report(TUESDAY, ("DEF", 70.0, 40.0))
        w.phase(TUESDAY, "signals")
        yield w


ROTATION = "rotation:ABC>DEF"


def test_a_rotation_is_approved_before_the_execution_begins_and_goes(pair: World) -> None:
    tab = Tab(pair, pair.phase_plan(TUESDAY))
    assert tab.click("approve", ROTATION) == ""
    pair.phase(TUESDAY, "execution")
    assert (pair.held("ABC"), pair.held("DEF")) == (0, 250)


def test_from_the_open_on_a_rotation_cannot_be_approved_and_its_button_says_why(
    pair: World,
) -> None:
    """The sell goes before 09:30. A reject is taken: it only ever keeps something from going."""
    plan = pair.phase_plan(TUESDAY)
    sleep_until(pair.desk.clock, datetime(2020, 1, 7, 14, 29, 59, tzinfo=UTC))
    controls = Tab(pair, plan).panel._controls[ROTATION]
    assert not controls.approve.disabled
    sleep_until(pair.desk.clock, datetime(2020, 1, 7, 14, 30, tzinfo=UTC))
    tab = Tab(pair, plan)
    controls = tab.panel._controls[ROTATION]
    late = "it comes too late: its sell goes before the open at 2020-01-07T14:30:00+00:00"
    assert (controls.approve.disabled, controls.shares.disabled) == (True, True)
    assert (controls.approve.tooltip, tab.decision(ROTATION)) == (late, late)
    assert tab.panel._approve_all.disabled
    assert "1 too late to be approved" in text_of(tab.panel._summary.value)
    with pytest.raises(DecisionRefused, match="comes too late"):
        decide(pair.desk, plan, ROTATION, "approve", max_quantity=250, who="trader")
    assert pair.db.get_approvals(plan.sha256) == []
    assert not controls.reject.disabled
    assert tab.click("reject", ROTATION) == ""


def test_once_the_execution_has_begun_a_rotation_comes_too_late_though_the_open_is_ahead(
    pair: World,
) -> None:
    """At 09:15 the executor has passed the sells, and never looks at them again."""
    plan = pair.phase_plan(TUESDAY)
    tab = Tab(pair, plan)
    pair.go_to(TUESDAY, "execution")
    run_executor(pair.desk, plan, part="place")
    assert pair.desk.clock.now() < datetime(2020, 1, 7, 14, 16, tzinfo=UTC)
    told = tab.click("approve", ROTATION)
    assert "goes when the execution begins, and that has begun" in told
    run_executor(pair.desk, plan, part="poll")
    assert (pair.held("ABC"), pair.live_sells("ABC")) == (200, 200)


def test_an_auction_order_must_be_approved_before_the_execution_begins(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, approval="required", entry_tif="opg") as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        w.go_to(MONDAY, "execution")
        plan = w.phase_plan(MONDAY)
        run_executor(w.desk, plan, part="place")
        with pytest.raises(DecisionRefused, match="an auction order goes when the execution"):
            decide(w.desk, plan, "entry:ABC", "approve", max_quantity=200, who="trader")
