"""The fault matrix, rows 1 to 11: processes that die."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.broker.venue.ledger import read_ledger
from livekit.broker.venue.session import served_venue
from livekit.clock import sleep_until
from livekit.config import Profile
from livekit.errors import PlanRefused
from livekit.model import Plan
from livekit.state import StateDB
from livekit.trading.approvals import decide
from livekit.trading.doctor import diagnose
from livekit.trading.phases import PHASES
from livekit.trading.plans import export_plan, read_plan_file
from livekit.workbench.audit import digest
from livekit.workbench.daily import run_daily
from tests.trading.crashing import Crash, desk_of, prepare
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
from tests.trading.test_real_kills import parameter_file, start_day
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
        healed(w, MONDAY)
        bought_once(w)


def test_row_02_killed_after_the_entry_was_taken(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        assert w.db.get_orders()[0].alpaca_order_id is None
        healed(w, MONDAY)
        bought_once(w)


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
        healed(w, MONDAY)
        bought_once(w)


def test_row_05_killed_after_the_stop_was_taken(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.STUCK_LEG))
        dies(w, MONDAY, "execution", posts("sell", "stop"), "die after")
        healed(w, MONDAY)
        bought_once(w)
        assert not w.db.is_kill_switch_on()
        placed = [item for item in w.db.get_orders(intent="stop") if item.attempt == 1]
        assert {item.client_order_id for item in placed} >= {"20200106_ABC_stop_sell"}


def test_row_06_killed_between_the_cancel_of_the_stop_and_the_sale(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        dies(w, TUESDAY, "execution", deletes, "die after")
        healed(w, TUESDAY)
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)


def test_row_07_killed_after_the_sale_was_taken_books_the_true_fill(tmp_path: Path) -> None:
    """Sold at Tuesday's open of 50 less 0.5 %: 49.75."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        dies(w, TUESDAY, "execution", posts("sell"), "die after")
        healed(w, TUESDAY)
        (position,) = w.db.get_positions()
        assert (position.exit_price, position.pnl) == (Decimal("49.75"), Decimal("-50.00"))


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


def test_row_09_a_signal_file_that_was_cut_off_is_refused_and_written_anew(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        (path,) = w.profile.signals_dir.glob("*_ema_p10.json")
        whole = path.read_bytes()
        for length in range(0, len(whole), len(whole) // 15):
            path.write_bytes(whole[:length])
            with pytest.raises(PlanRefused):
                read_plan_file(path)
        assert [item.name for item in w.profile.signals_dir.iterdir() if "tmp" in item.name] == []


def dies_while_exporting(w: World, plan: Plan, number: int) -> bool:
    """Export in a process that is killed at its n-th fsync, rename or close; False if it lived."""
    pid = os.fork()
    if pid == 0:
        seen = [0]

        def deadly(act: Callable[..., Any]) -> Callable[..., Any]:
            def acting(*words: Any, **options: Any) -> Any:
                seen[0] += 1
                if seen[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return act(*words, **options)

            return acting

        os.fsync, os.replace, os.rename = map(deadly, (os.fsync, os.replace, os.rename))
        export_plan(plan, w.profile.signals_dir, generated_at=w.desk.clock.now())
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def test_row_09_killed_while_writing_the_signal_file_leaves_the_old_one_or_the_new(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        (path,) = w.profile.signals_dir.glob("*_ema_p10.json")
        deaths = 0
        while dies_while_exporting(w, w.phase_plan(MONDAY), deaths + 1):
            deaths += 1
            assert read_plan_file(path).sha256 == w.phase_plan(MONDAY).sha256
        assert deaths >= 2  # the content reaches the disk before its name does
        path.unlink()
        assert dies_while_exporting(w, w.phase_plan(MONDAY), 1)
        assert not path.exists()
        healed(w, MONDAY)
        bought_once(w)


def dies_while_deciding(w: World, plan: Plan, position: str, number: int) -> bool:
    """Decide in a process of its own that is killed at a commit; False when it lived on."""
    pid = os.fork()
    if pid == 0:
        seen = [0]

        def strike() -> None:
            seen[0] += 1
            if seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

        with StateDB(w.profile.state_db) as db:
            setattr(db, f"{position}_commit", strike)
            desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
            decide(desk, plan, "entry:ABC", "approve", max_quantity=100, who="trader")
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("position", ["before", "after"])
def test_row_10_killed_in_the_approval_leaves_it_whole_or_absent(
    tmp_path: Path, position: str
) -> None:
    """Absent, the execution buys nothing; whole, it buys the hundred shares and covers them."""
    with world(tmp_path, {"ABC": 50.0}, approval="required") as w:
        planned(w, MONDAY, ABC)
        plan = w.phase_plan(MONDAY)
        assert dies_while_deciding(w, plan, position, 1)
        whole = position == "after"
        found = [
            (item.item, item.decision, item.max_quantity, item.who)
            for item in w.db.get_approvals(plan.sha256)
        ]
        assert found == ([("entry:ABC", "approve", 100, "trader")] if whole else [])
        assert w.bought("ABC") == []
        assert w.db.soundness() == "ok"
        sleep_until(w.desk.clock, plan.expires_at - timedelta(seconds=30))
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == (100 if whole else 0)
        assert [item.quantity for item in w.bought("ABC")] == ([100] if whole else [])


def leave(signum: int, frame: object) -> None:
    """What a process does that is told to end: no more statements of its own."""
    raise SystemExit(128 + signum)


@contextmanager
def interruptible() -> Iterator[None]:
    """A background job ignores interrupts from its start; inside, they are met as usual."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: leave}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("phase", ["signals", "execution", "protect", "reconciliation"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_row_11_an_interrupt_in_any_phase_leaves_no_half_state(
    tmp_path: Path, phase: str, signum: signal.Signals
) -> None:
    """Met at its third request, or at its first order: the run failed, and the next one is whole.

    A kernel that restarts sends the one, an operating system the other.
    """
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        position = holding(w, ("DEF", 80.0, 40.0))
        w.report(TUESDAY, ABC)
        for earlier in PHASES[: PHASES.index(phase)]:
            assert w.phase(TUESDAY, earlier).exit_code == 0
        w.go_to(TUESDAY, phase)
        if phase == "protect":
            w.desk.client.cancel_order(str(position.stop_order_id))
        waits_for = "POST" if phase in ("execution", "protect") else "GET"
        met: list[str] = []

        def interrupt(method: str, path: str) -> None:
            if method == waits_for:
                met.append(path)
                if len(met) == (1 if waits_for == "POST" else 3):
                    signal.raise_signal(signum)

        w.wire.rule = interrupt
        with interruptible(), pytest.raises((KeyboardInterrupt, SystemExit)):
            w.trade(TUESDAY, phase)
        healed(w, TUESDAY)
        runs = w.db.get_runs(session=TUESDAY, phase=phase)
        assert [(run.status, run.exit_code) for run in runs] == [("failed", 1), ("done", 0)]
        assert len(w.bought("ABC")) == 1
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert w.held("DEF") == w.live_sells("DEF") == 250


@pytest.mark.slow
@pytest.mark.ci
def test_row_11_a_daily_run_that_is_terminated_ends_with_a_code_and_is_made_up(
    tmp_path: Path,
) -> None:
    """The real thing: a child process, SIGTERM at its first moments, the same command again."""
    (tmp_path / "morning").mkdir()
    profile = prepare(tmp_path / "morning")
    params = parameter_file(profile, tmp_path)
    with served_venue(profile) as venue:
        child = start_day(params, venue.environment())
        wait_for_a_run(profile)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
        assert child.returncode != 0
        again = start_day(params, venue.environment())
        told, _ = again.communicate(timeout=120)
        assert again.returncode == 0, told
    with StateDB(profile.state_db) as db:
        runs = db.get_runs(session=TUESDAY)
        assert {run.status for run in runs} == {"done", "failed"}
        assert db.open_breaks() == []
    worst = max((item.seconds for item in read_ledger(profile.venue_db).uncovered), default=0.0)
    assert worst <= 10.0


def wait_for_a_run(profile: Profile) -> None:
    """Until the child has begun a phase of Tuesday."""
    for _ in range(600):
        with StateDB(profile.state_db) as db:
            if db.get_runs(session=TUESDAY):
                return
        time.sleep(0.05)
    raise AssertionError("the daily run did not begin")
