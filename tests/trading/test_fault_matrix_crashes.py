"""The fault matrix, rows 1 to 8: processes that die while they trade."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.config import Profile
from livekit.state import StateDB
from livekit.trading.doctor import diagnose
from livekit.workbench.audit import digest
from livekit.workbench.daily import run_daily
from tests.trading.crashing import Crash, desk_of
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    deletes,
    dies,
    dies_at_commit,
    healed,
    holding,
    inject,
    leaving,
    longest_uncovered_s,
    planned,
    posts,
    sold,
)
from tests.trading.world import Lossy, World, world

ENTRY_ID = "20200106_ABC_entry_buy"
ABC = ("ABC", 80.0, 50.0)


def bought_once(w: World) -> None:
    assert [item.client_order_id for item in w.bought("ABC")] == [ENTRY_ID]
    assert w.held("ABC") == w.live_sells("ABC") == 200  # 10,000 / 50


def test_row_01_killed_before_the_entry_left(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die before")
        (row,) = w.db.get_orders()
        assert (row.client_order_id, row.status) == (ENTRY_ID, "intended")
        assert w.bought("ABC") == []
        w.wire.sent.clear()
        healed(w, MONDAY)
        before = w.wire.sent[: w.wire.sent.index(("POST", "/v2/orders"))]
        assert ("GET", f"/v2/orders:by_client_order_id?client_order_id={ENTRY_ID}") in before
        assert len(w.wire.posts()) == 1
        bought_once(w)


@pytest.mark.parametrize("gate", ["cut-off", "kill switch"])
def test_row_01_the_order_is_not_sent_again_once_a_gate_is_shut(tmp_path: Path, gate: str) -> None:
    """The process that comes next finds it too late, or everything switched off."""
    with world(tmp_path, {"ABC": 50.0}, approval="required") as w:
        planned(w, MONDAY, ABC)
        w.approve(MONDAY, "entry:ABC", shares=200)
        dies(w, MONDAY, "execution", posts("buy"), "die before")
        now = w.desk.clock.now()
        if gate == "cut-off":
            sleep_until(w.desk.clock, w.phase_plan(MONDAY).expires_at)
        else:
            w.db.set_kill_switch(True, reason="drill", who="test", at=now)
        code = w.phase(MONDAY, "execution").exit_code
        assert code == (3 if gate == "kill switch" else 0)
        assert w.wire.posts() == []
        assert w.bought("ABC") == []
        assert w.db.get_positions() == []


def dies_before_the_answer_is_kept(w: World, session: date, side: str) -> None:
    """The venue has answered the order of that side; the process dies at the next commit."""
    answered: list[str] = []

    class Hearing(Lossy):
        def send(self, request: Any, **options: Any) -> Any:
            response = super().send(request, **options)
            if request.method == "POST" and f'"side": "{side}"' in request.body.decode():
                answered.append(side)
            return response

    def strike() -> None:
        if answered:
            raise Crash("before the commit")

    with StateDB(w.profile.state_db) as db:
        db.before_commit = strike
        desk = desk_of(w.profile, w.venue, db, Hearing(w.wire.inner))
        with pytest.raises(Crash):
            run_daily(desk, session, phases=("execution",))


@pytest.mark.parametrize("point", ["A", "C"])
def test_row_02_killed_after_the_entry_was_taken(tmp_path: Path, point: str) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        if point == "A":
            dies(w, MONDAY, "execution", posts("buy"), "die after")
        else:
            dies_before_the_answer_is_kept(w, MONDAY, "buy")
        (row,) = w.db.get_orders()
        assert (row.outcome, row.alpaca_order_id) == ("intended", None)
        healed(w, MONDAY)
        bought_once(w)
        assert w.wire.posts() == []  # adopted, never sent again
        adopted = w.db.get_order_by_client_id(ENTRY_ID)
        assert adopted is not None
        assert (adopted.outcome, adopted.filled_qty) == ("confirmed", 200)
        assert [item.shares_now for item in w.db.get_open_positions()] == [200]


def torn_inside_a_commit(w: World, target: Path, *, which: str) -> Profile:
    """Run Monday's execution and cut the power in the commit after which ``which`` finds a row.

    Returns the profile as the disk shows it then: half of what that commit wrote is in its log.
    """
    log = Path(f"{w.profile.state_db}-wal")
    before = [log.read_bytes()]

    def power_fails() -> None:
        with closing(sqlite3.connect(w.profile.state_db)) as other:
            if other.execute(which).fetchone()[0]:
                raise Crash("in the commit")
        before[0] = log.read_bytes()

    with StateDB(w.profile.state_db) as db:
        db.after_commit = power_fails
        desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
        with pytest.raises(Crash):
            run_daily(desk, MONDAY, phases=("execution",))
        after, old = log.read_bytes(), before[0].ljust(log.stat().st_size, b"\0")
    written = [at for at in range(len(after)) if after[at] != old[at]]
    half = (written[0] + written[-1]) // 2
    profile = replace(w.profile, outputs=target)
    profile.home.mkdir(parents=True)
    shutil.copyfile(w.profile.state_db, profile.state_db)
    Path(f"{profile.state_db}-wal").write_bytes(after[:half] + old[half:])
    return profile


@pytest.mark.parametrize("answered", [False, True])
def test_row_03_killed_while_committing_with_a_torn_log(tmp_path: Path, answered: bool) -> None:
    """Torn is the commit of the buy's intent, as row 1, or that of the venue's answer, as row 2."""
    column = "alpaca_order_id" if answered else "client_order_id"
    which = f"SELECT count({column}) FROM orders"  # noqa: S608 - one of two names
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        torn = torn_inside_a_commit(w, tmp_path / "torn", which=which)
        with StateDB(torn.state_db) as db:
            assert db.soundness() == "ok"
            rows = [(item.client_order_id, item.alpaca_order_id) for item in db.get_orders()]
            assert rows == ([(ENTRY_ID, None)] if answered else [])
            assert len(w.bought("ABC")) == answered
            desk = desk_of(torn, w.venue, db, Lossy(w.wire.inner))
            assert run_daily(desk, MONDAY).exit_code == 0
            assert diagnose(desk).violations == ()
            assert db.soundness() == "ok"
            assert [item.shares_now for item in db.get_open_positions()] == [200]
        bought_once(w)
        assert longest_uncovered_s(w) <= 10.0


def test_row_04_killed_between_a_fill_and_its_stop(tmp_path: Path) -> None:
    """The leg stays asleep, so the protector must place a stop: the process dies there."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.STUCK_LEG))
        dies(w, MONDAY, "execution", posts("sell", "stop"), "die before")
        assert (w.held("ABC"), w.live_sells("ABC")) == (200, 0)
        assert [item.quantity for item in w.db.get_fills()] == [200]  # seen, and in the books
        healed(w, MONDAY)
        bought_once(w)
        (stop,) = w.db.get_orders(intent="stop", working_only=True)[1:]  # beside the sleeping leg
        assert (stop.quantity, stop.stop_price) == (200, Decimal(45))


def test_row_05_killed_after_the_stop_was_taken(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.STUCK_LEG))
        dies(w, MONDAY, "execution", posts("sell", "stop"), "die after")
        healed(w, MONDAY)
        bought_once(w)
        assert not w.db.is_kill_switch_on()
        assert w.wire.posts() == []  # found by its id, and adopted
        (stop,) = w.db.get_orders(intent="stop", working_only=True)[1:]  # beside the sleeping leg
        assert (stop.client_order_id, stop.outcome) == ("20200106_ABC_stop_sell", "confirmed")
        (position,) = w.db.get_open_positions()
        assert position.stop_order_id == stop.alpaca_order_id


def test_row_06_killed_between_the_cancel_of_the_stop_and_the_sale(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        dies(w, TUESDAY, "execution", deletes, "die after")
        assert (w.held("ABC"), w.live_sells("ABC")) == (200, 0)
        healed(w, TUESDAY)
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)
        (closed,) = w.db.get_positions()
        assert closed.exit_reason == "trend_break"


@pytest.mark.parametrize("point", ["A", "C"])
def test_row_07_killed_after_the_sale_was_taken_books_the_true_fill(
    tmp_path: Path, point: str
) -> None:
    """Sold at Tuesday's open of 50 less 0.5 %: 49.75."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        w.wire.sent.clear()
        if point == "A":
            dies(w, TUESDAY, "execution", posts("sell"), "die after")
        else:
            dies_before_the_answer_is_kept(w, TUESDAY, "sell")
        healed(w, TUESDAY)
        assert w.wire.posts() == []  # adopted, never sold again
        (position,) = w.db.get_positions()
        assert (position.exit_price, position.pnl) == (Decimal("49.75"), Decimal("-50.00"))
        assert (position.status, position.exit_reason) == ("closed", "trend_break")
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)


def report_of(profile: Profile, db: StateDB) -> str:
    """Hash of everything that a session's report is made of: books, decisions, equity."""
    db.soundness()
    return digest(profile.state_db)


def test_row_08_killed_between_the_close_of_a_position_and_its_report(tmp_path: Path) -> None:
    """ABC opens Tuesday at 40, below its stop of 45, and is closed; then the process dies, again
    and again, at every commit of the reconciliation. The report is that of the undisturbed day.
    """
    bars = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}
    reports = []
    for disturbed in (False, True):
        folder = tmp_path / str(disturbed)
        folder.mkdir()
        with world(folder, {"ABC": 50.0}, bars) as w:
            holding(w)
            w.trade(TUESDAY, "signals", "execution", "protect")
            w.go_to(TUESDAY, "reconciliation")
            assert [item.exit_reason for item in w.db.get_positions()] == ["protective_stop"]
            deaths = die_at_every_commit(w, TUESDAY) if disturbed else 0
            assert w.trade(TUESDAY).exit_code == 0
            assert disturbed == (deaths > 5)
            runs = w.db.get_runs(session=TUESDAY, phase="reconciliation")
            statuses = [run.status for run in runs]
            assert statuses[-1] == "done"
            assert set(statuses[:-1]) == ({"failed"} if disturbed else set())
            reports.append(report_of(w.profile, w.db))
    assert reports[0] == reports[1]


def die_at_every_commit(w: World, session: date) -> int:
    """Die before the n-th commit of the reconciliation, for every n; returns how often."""
    for number in range(1, 60):
        try:
            dies_at_commit(w, session, "reconciliation", number, "before")
        except AssertionError:
            return number - 1
    raise AssertionError("the reconciliation has no end")
