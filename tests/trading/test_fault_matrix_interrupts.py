"""The fault matrix, rows 9 to 11: processes that die while they write, decide, or anywhere."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from livekit.broker.venue.ledger import read_ledger
from livekit.broker.venue.session import served_venue
from livekit.clock import sleep_until
from livekit.config import Profile
from livekit.errors import PlanRefused
from livekit.model import Plan
from livekit.state import StateDB
from livekit.trading.approvals import decide
from livekit.trading.phases import PHASES
from livekit.trading.plans import export_plan, read_plan_file
from tests.trading.crashing import desk_of, prepare
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    healed,
    holding,
    planned,
)
from tests.trading.test_real_kills import parameter_file, start_day
from tests.trading.world import Lossy, World, world

ENTRY_ID = "20200106_ABC_entry_buy"
ABC = ("ABC", 80.0, 50.0)


def bought_once(w: World) -> None:
    assert [item.client_order_id for item in w.bought("ABC")] == [ENTRY_ID]
    assert w.held("ABC") == w.live_sells("ABC") == 200  # 10,000 / 50


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
