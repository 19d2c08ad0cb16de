"""A second run beside a living one attaches to it, recovers what died, leaves the living alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path

import pytest
import requests
from checkouts import Checkout
from lab_kit import wait_until
from review_day import MONDAY, review_morning

from livekit.state import Run, StateDB
from livekit.trading.desk import Desk
from livekit.trading.following import EXECUTOR, follow_executor, living_executor
from livekit.trading.living import is_living, marked_living
from livekit.trading.opening import Link, sole_writer
from livekit.workbench.daily import run_daily, start_record
from livekit.workbench.runs.plain import plain_performer
from tests.trading.world import World, world

TUESDAY = date(2020, 1, 7)

# ------------------------------------------------------------------------------- in this process


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[World]:
    """A session whose plan buys 200 ABC."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        yield w


def follow(w: World, sleep: Callable[[float], None], *, sha256: str = "") -> object:
    sha256 = sha256 or w.phase_plan(MONDAY).sha256
    return follow_executor(w.profile, MONDAY, sha256, sleep=sleep)


def test_whoever_attaches_gets_the_outcome_of_the_one_at_work(planned: World) -> None:
    run_id = start_record(planned.desk, EXECUTOR, MONDAY)
    at_work = ExitStack()
    at_work.enter_context(marked_living(planned.profile, run_id))

    def sleep(_: float) -> None:
        planned.db.finish_run(
            run_id,
            at=planned.desk.clock.now(),
            status="failed",
            exit_code=7,
            record_json='{"lines": ["UNCOVERED: 5 ABC"]}',
        )
        at_work.close()

    outcome = follow(planned, sleep)
    assert outcome is not None
    assert (outcome.exit_code, outcome.lines) == (  # type: ignore[attr-defined]
        7,
        (
            f"attached to the executor of run {run_id}, which was at work already",
            "UNCOVERED: 5 ABC",
        ),
    )


def test_nobody_attaches_to_an_executor_that_died_or_to_another_plan(planned: World) -> None:
    run_id = start_record(planned.desk, EXECUTOR, MONDAY)
    waited: list[float] = []
    assert follow(planned, waited.append) is None  # its process is gone
    assert 2.0 <= sum(waited) < 2.5
    at_work = ExitStack()
    at_work.enter_context(marked_living(planned.profile, run_id))
    assert follow(planned, waited.append, sha256="0" * 64) is None
    assert living_executor(planned.db, planned.profile, TUESDAY) is None
    assert follow(planned, lambda _: at_work.close()) is None  # it dies while it is watched


def test_a_notebook_that_a_person_has_open_is_not_called_failed_by_the_daily_run(
    planned: World,
) -> None:
    by_hand = start_record(planned.desk, "comparison", MONDAY)
    with marked_living(planned.profile, by_hand):
        run_daily(planned.desk, MONDAY, phases=("execution",))
        assert state_of(planned.db, by_hand) == "running"
        assert planned.db.get_alerts() == []
    assert not is_living(planned.profile, by_hand)
    run_daily(planned.desk, MONDAY, phases=("protect",))
    assert state_of(planned.db, by_hand) == "failed"
    assert [alert.kind for alert in planned.db.get_alerts()] == ["failed_run"]


@contextmanager
def executor_at_work(w: World, part: str) -> Iterator[tuple[int, ExitStack]]:
    """An executor of another process: it holds the lock, and its row names its part."""
    run_id = w.db.start_run(
        session=MONDAY,
        phase=EXECUTOR,
        at=w.desk.clock.now(),
        venue="simulated",
        git="",
        config_sha256="",
        part=part,
    )
    with ExitStack() as work:
        work.enter_context(sole_writer(w.profile))
        work.enter_context(marked_living(w.profile, run_id))
        yield run_id, work


def ends(w: World, run_id: int, work: ExitStack) -> Callable[[float], None]:
    """Between two looks of whoever waits, that executor ends well."""

    def sleep(_: float) -> None:
        w.db.finish_run(
            run_id,
            at=w.desk.clock.now(),
            status="done",
            exit_code=0,
            record_json='{"lines": ["what it did"]}',
        )
        work.close()

    return sleep


@pytest.mark.parametrize(
    ("at_work", "asked", "answers"),
    [
        ("place", "place", True),
        ("all", "poll", True),  # one that does everything does the part as well
        ("place", "poll", False),
        ("poll", "place", False),
        ("place", "all", False),
    ],
)
def test_only_an_executor_of_the_same_part_answers_for_the_one_that_is_asked(
    planned: World, at_work: str, asked: str, answers: bool
) -> None:
    """Another part is waited for; then whoever asks does its own."""
    plan = planned.phase_plan(MONDAY)
    with executor_at_work(planned, at_work) as (run_id, work):
        sleep = ends(planned, run_id, work)
        found = follow_executor(planned.profile, MONDAY, plan.sha256, part=asked, sleep=sleep)
    assert (found is not None) == answers
    assert not is_living(planned.profile, run_id)


def test_a_daily_run_without_notebooks_attaches_to_the_executor_at_work(planned: World) -> None:
    with executor_at_work(planned, "all") as (run_id, work):
        performer = plain_performer(sleep=ends(planned, run_id, work))
        report = run_daily(planned.desk, MONDAY, phases=("execution",), performer=performer)
    attached = f"attached to the executor of run {run_id}, which was at work already"
    assert report.phases[0].lines == (attached, "what it did")
    (row,) = planned.db.get_runs(session=MONDAY, phase="execution")
    assert (row.status, row.exit_code) == ("done", 0)
    assert planned.bought("ABC") == []  # it left everything to the other one


def test_a_daily_run_without_notebooks_does_itself_what_a_dead_executor_left(
    planned: World,
) -> None:
    with executor_at_work(planned, "all") as (_, work):
        performer = plain_performer(sleep=lambda _: work.close())
        report = run_daily(planned.desk, MONDAY, phases=("execution",), performer=performer)
    assert report.exit_code == 0
    assert planned.held("ABC") == 200


def test_beside_a_lock_of_another_kind_the_execution_is_refused_and_recorded(
    planned: World,
) -> None:
    with sole_writer(planned.profile):
        performer = plain_performer(sleep=lambda _: None)
        report = run_daily(planned.desk, MONDAY, phases=("execution",), performer=performer)
    assert report.exit_code == 6
    (row,) = planned.db.get_runs(session=MONDAY, phase="execution")
    assert (row.status, row.exit_code) == ("failed", 6)


def state_of(db: StateDB, run_id: int) -> str:
    return next(run.status for run in db.get_runs() if run.run_id == run_id)


# ------------------------------------------------------------------------------- real processes


@contextmanager
def slow_morning(folder: Path) -> Iterator[tuple[Checkout, Desk, Link]]:
    """A plan of three approved buys, and a venue that takes five seconds over its first answer."""
    checkout = review_morning(folder, approval="auto")
    with checkout.desk("served") as (desk, link):
        assert run_daily(desk, MONDAY, phases=("signals",)).exit_code == 0
        rule = {"kind": "slow_drip", "method": "GET", "path": "/v2/positions", "seconds": 5}
        answer = requests.post(
            f"{link.environment['LIVEKIT_VENUE_CONTROL_URL']}/faults",
            json={"rules": [rule]},
            headers={"X-Control-Key": link.environment["LIVEKIT_VENUE_CONTROL_KEY"]},
            timeout=10,
        )
        answer.raise_for_status()
        yield checkout, desk, link


def started(link: Link, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        env={**os.environ, **link.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def executor(checkout: Checkout, link: Link) -> subprocess.Popen[str]:
    profile = checkout.profile
    plan = profile.signals_dir / f"trade_signals_{MONDAY}_ema_p10.json"
    options = ("--signals-file", plan, "--state-db", profile.state_db)
    return started(link, "livekit.executor", *options, "--manifest", profile.manifest, "-v")


def daily(checkout: Checkout, link: Link) -> subprocess.Popen[str]:
    options = ("--params", checkout.params, "--outputs", checkout.folder / "outputs")
    return started(link, "livekit", "daily", *options, "--phase", "execution")


def executor_rows(desk: Desk) -> list[Run]:
    return desk.db.get_runs(session=MONDAY, phase=EXECUTOR)


def at_work(checkout: Checkout, desk: Desk) -> bool:
    return living_executor(desk.db, checkout.profile, MONDAY) is not None


def bought(desk: Desk) -> list[tuple[str, int]]:
    orders = desk.client.list_orders(status="all")
    return sorted((o.ticker, int(o.filled_quantity)) for o in orders if o.side == "buy")


def executors(checkout: Checkout) -> set[int]:
    """Processes that are executors of this profile."""
    state_db = os.fsencode(checkout.profile.state_db)
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            words = path.read_bytes().split(b"\0")
            if b"livekit.executor" in words and state_db in words:
                found.add(int(path.parent.name))
    return found


def wait_for_a_watcher(checkout: Checkout, first: int) -> None:
    """Wait for another executor that keeps the state database open, as one that watches does."""
    seen = 0

    def watches() -> bool:
        nonlocal seen
        others = executors(checkout) - {first}
        seen = seen + 1 if any(has_open(other, "state.db") for other in others) else 0
        return seen >= 5

    wait_until(watches)


def has_open(process_id: int, name: str) -> bool:
    links = list(Path(f"/proc/{process_id}/fd").glob("*"))
    with suppress(OSError):
        return any(str(link.readlink()).endswith(name) for link in links)
    return False


EVERYTHING = [("ABC", 200), ("DEF", 250), ("XYZ", 500)]


@pytest.mark.slow
def test_a_second_executor_attaches_to_the_first_and_tells_the_same(tmp_path: Path) -> None:
    with slow_morning(tmp_path / "checkout") as (checkout, desk, link):
        first = executor(checkout, link)
        wait_until(lambda: at_work(checkout, desk))
        first.send_signal(signal.SIGSTOP)
        second = executor(checkout, link)
        wait_for_a_watcher(checkout, first.pid)
        first.send_signal(signal.SIGCONT)
        (told, _), (told_again, _) = first.communicate(timeout=60), second.communicate(timeout=60)
        assert (first.returncode, second.returncode) == (0, 0), told + told_again
        (row,) = executor_rows(desk)
        attached, *lines = told_again.splitlines()
        assert (
            attached == f"attached to the executor of run {row.run_id}, which was at work already"
        )
        assert lines[:-1] == told.splitlines()[:-1]  # the last line is each one's own summary
        assert bought(desk) == EVERYTHING


@pytest.mark.slow
def test_if_the_executor_dies_the_one_attached_recovers(tmp_path: Path) -> None:
    with slow_morning(tmp_path / "checkout") as (checkout, desk, link):
        first = executor(checkout, link)
        wait_until(lambda: at_work(checkout, desk))
        first.send_signal(signal.SIGSTOP)
        second = executor(checkout, link)
        wait_for_a_watcher(checkout, first.pid)
        first.kill()
        told, _ = second.communicate(timeout=60)
        first.communicate()
        assert second.returncode == 0, told
        assert [run.status for run in executor_rows(desk)] == ["running", "done"]
        assert bought(desk) == EVERYTHING


@pytest.mark.slow
def test_a_daily_run_that_is_killed_leaves_an_executor_that_the_next_one_attaches_to(
    tmp_path: Path,
) -> None:
    with slow_morning(tmp_path / "checkout") as (checkout, desk, link):
        first = daily(checkout, link)
        wait_until(lambda: at_work(checkout, desk))
        (child,) = executors(checkout)
        os.kill(child, signal.SIGSTOP)
        kernels = [item for item in children_of(first.pid) if item != child]
        os.killpg(first.pid, signal.SIGKILL)
        for kernel in kernels:
            os.kill(kernel, signal.SIGKILL)
        first.communicate()
        assert at_work(checkout, desk)
        second = daily(checkout, link)
        wait_for_a_watcher(checkout, child)
        os.kill(child, signal.SIGCONT)
        told, _ = second.communicate(timeout=120)
        assert second.returncode == 0, told
        (row,) = executor_rows(desk)
        assert row.status == "done"
        assert f"attached to the executor of run {row.run_id}" in told
        assert bought(desk) == EVERYTHING
        runs = desk.db.get_runs(session=MONDAY, phase="execution")
        assert [(run.status, run.exit_code) for run in runs] == [("failed", 1), ("done", 0)]


def children_of(process_id: int) -> list[int]:
    lists = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(number) for numbers in lists for number in numbers.read_text().split()]
