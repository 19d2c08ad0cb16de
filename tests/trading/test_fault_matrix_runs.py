"""The fault matrix, rows 70 to 75: views out of order, paging, runs, alerts, a sleeping machine."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import nbformat
import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.sessions import (
    exchange_time,
    open_instant,
)
from livekit.trading.opening import Link
from livekit.trading.phases import PHASES, run_executor
from livekit.trading.reconciliation import reconcile
from livekit.workbench.daily import perform_recorded, run_daily
from livekit.workbench.notify import Target
from livekit.workbench.runs.phases import NOTEBOOKS, notebook_performer
from livekit.workbench.watching.outbox import deliver
from livekit.workbench.watching.status import profile_status, status_tables
from tests.trading.faults import (
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    Skewed,
    healed,
    holding,
    inject,
    on_clock,
    planned,
    struck,
)
from tests.trading.world import World, world

ABC, DEF = ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0)


OVER = ("filled", "canceled", "expired", "rejected", "refused", "denied")


def test_row_70_an_old_picture_after_a_new_one_takes_nothing_back(tmp_path: Path) -> None:
    """After every commit: no row has fewer shares filled than before, and none that is over lives
    again. Every second read is of before the last change.
    """
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        planned(w, MONDAY, ABC, DEF)
        inject(w, FaultRule(FaultKind.STALE_READ, path="/v2/orders*", times=0, chance=0.5))
        seen: dict[str, tuple[str, int]] = {}
        taken_back: list[str] = []

        def look() -> None:
            for row in w.db.get_orders():
                status, filled = seen.get(row.client_order_id, ("", 0))
                if row.filled_qty < filled or (status in OVER and row.status != status):
                    taken_back.append(f"{row.client_order_id}: {status} to {row.status}")
                seen[row.client_order_id] = (row.status, row.filled_qty)

        w.db.after_commit = look
        w.trade(MONDAY, "execution", "protect")
        w.db.after_commit = None
        assert len(struck(w)) >= 2
        assert taken_back == []
        assert {status for status, _ in seen.values()} >= {"filled"}
        healed(w, MONDAY)
        assert (len(w.bought("ABC")), len(w.bought("DEF"))) == (1, 1)
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert w.held("DEF") == w.live_sells("DEF") == 250


def test_row_71_all_of_501_orders_are_read(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, last=date(2020, 1, 10)) as w:
        w.go_to(MONDAY, "signals")
        for number in range(501):
            w.desk.client.place_order("ABC", 1, "buy", client_order_id=f"by-hand-{number}")
            w.desk.clock.sleep(0.01)
        assert len(w.desk.client.list_orders(status="open")) == 501
        found = reconcile(w.desk, MONDAY)
        assert {item.kind for item in found} == {"foreign_order"}
        shown = {order.order_id for order in w.desk.client.list_orders(status="open")}
        assert {item.subject for item in found} == shown
        assert len(shown) == 501


# ------------------------------------------------------------------------------------------ the run


PARAMETERS = "session: str = None  # the day\nstate_db: str = None  # books\nrun_id: int = 0  # run"
TROUBLE = {"a cell raises": "print(1 // 0)", "the kernel dies": "os.kill(os.getpid(), 9)"}


def notebook_that(folder: Path, trouble: str) -> Path:
    """A folder with a signals notebook whose first cell speaks and whose second is trouble."""
    made = nbformat.v4.new_notebook()
    made.cells = [
        nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import os\nprint('so far so good')"),
        nbformat.v4.new_code_cell(trouble),
    ]
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder.mkdir()
    nbformat.write(made, folder / NOTEBOOKS["signals"])
    return folder


@pytest.mark.parametrize(
    ("trouble", "archivable"),
    [
        ("the kernel dies", True),
        pytest.param("a cell raises", True, marks=pytest.mark.slow),
        pytest.param("a cell raises", False, marks=pytest.mark.slow),
    ],
)
def test_row_72_a_notebook_that_fails_fails_its_run_and_protection_runs_all_the_same(
    tmp_path: Path, trouble: str, archivable: bool
) -> None:
    """The stop of ABC is gone when it happens; in the last case nothing can be archived either."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.desk.client.cancel_order(str(position.stop_order_id))
        if not archivable:
            w.profile.archive_dir.write_text("in the way of the folder")
        link = Link(w.desk.client, w.desk.clock, {}, w.venue)
        folder = notebook_that(tmp_path / "notebooks", TROUBLE[trouble])
        with notebook_performer(w.profile, link, folder=folder) as performer:
            report = run_daily(w.desk, TUESDAY, phases=PHASES[:3], performer=performer)
        assert report.exit_code == 1
        assert [item.status for item in report.phases] == ["failed", "withheld", "done"]
        assert w.held("ABC") == w.live_sells("ABC") == 200
        (run,) = w.db.get_runs(session=TUESDAY, phase="signals")
        assert (run.status, run.exit_code) == ("failed", 1)
        cause = "ZeroDivisionError" if trouble == "a cell raises" else "DeadKernelError"
        assert cause in run.message or not archivable
        alerts = [(item.kind, item.severity) for item in w.db.get_alerts()]
        assert ("failed_run", "critical") in alerts
        assert (("archive", "critical") in alerts) is not archivable
        if archivable:
            kept = nbformat.read(w.profile.archive_dir / f"{run.archive_path}.ipynb", as_version=4)
            assert "so far so good" in str(kept.cells)
            page = (w.profile.archive_dir / f"{run.archive_path}.html").read_text()
            assert "failed</strong>, exit code 1" in page
            assert "so far so good" in page


RECORD = ("run_log", "system_config", "reconciliations", "sqlite_sequence")


def everything(w: World) -> dict[str, list[str]]:
    """Every row of every table but those that record runs."""
    with closing(sqlite3.connect(w.profile.state_db)) as raw:
        names = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(map(str, raw.execute(f"SELECT * FROM {name}")))  # noqa: S608 - its own
            for (name,) in names
            if name not in RECORD
        }


def test_row_73_run_twice_the_second_sends_nothing_and_changes_no_book(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        books, w.wire.sent = everything(w), []
        again = w.trade(MONDAY)
        assert {item.status for item in again.phases} == {"already"}
        w.desk.clock.sleep(1.0)
        assert perform_recorded(w.desk, "reconciliation", MONDAY).exit_code == 0
        assert [method for method, _ in w.wire.sent if method != "GET"] == []
        assert everything(w) == books


def test_row_73_not_run_for_three_days_the_books_are_made_up(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        orders = len(w.desk.client.list_orders(status="all"))
        w.trade(FRIDAY)  # Tuesday to Thursday nobody ran
        assert len(w.desk.client.list_orders(status="all")) == orders
        settled = [point.session for point in w.db.get_equity("ema_p10")]
        assert settled == [MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY]


def test_row_73_weeks_that_nobody_evaluated_are_made_up_and_old_entries_are_refused(
    tmp_path: Path,
) -> None:
    """A plan of Tuesday the 7th waits; the next run is on Tuesday the 21st, two weeks later.

    ABC is held since Monday: the weeks that ended on the 10th and the 17th are evaluated then, each
    once and oldest first. What Tuesday wanted to buy is never bought.
    """
    late = date(2020, 1, 21)
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        holding(w)
        w.report(TUESDAY, DEF)
        w.phase(TUESDAY, "signals")
        old = w.phase_plan(TUESDAY)
        assert [order.ticker for order in old.orders] == ["DEF"]
        w.go_to(late, "signals")
        assert run_executor(w.desk, old).exit_code == 2
        assert w.trade(late).exit_code == 0
        weeks = [item.week_end for item in w.db.get_evaluations("ema_p10")]
        assert weeks == [FRIDAY, date(2020, 1, 17)]
        assert w.bought("DEF") == []
        missed = w.trade(TUESDAY)
        assert {item.status for item in missed.phases} == {"missed", "already"}
        assert w.bought("DEF") == []


def test_row_74_an_undelivered_alert_stays_is_tried_again_and_shows_red(
    tmp_path: Path,
) -> None:
    """The channel is down on Monday and takes what waits on Tuesday."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ABC)
        w.go_to(MONDAY, "signals")
        w.desk.client.place_order("ABC", 5, "buy", client_order_id="20200106_ABC_entry_buy")
        w.trade(MONDAY)
        critical = [item for item in w.db.pending_alerts() if item.kind == "suspicious_order"]
        assert [item.severity for item in critical] == ["critical"]
        waiting = len(w.db.pending_alerts())
        tried: list[str] = []
        answers = ["the channel is down"]

        def send(target: Target, title: str, body: str) -> str:
            tried.append(body)
            return answers[-1]

        channel = [Target("channel", "json://127.0.0.1")]
        first = deliver(w.profile, w.db, channel, w.desk.clock, send=send)
        assert (first.arrived, first.failed, len(tried)) == (0, waiting, waiting)
        assert len(w.db.pending_alerts()) == waiting
        status = profile_status(w.profile)
        assert status.undelivered == waiting
        rows = [row for table in status_tables(status) for row in table.rows]
        red = [row for row in rows if "suspicious_order" in row.cells]
        assert [(row.tone, row.cells[-1]) for row in red] == [("bad", "no")]
        w.go_to(TUESDAY, "signals")
        answers.append("")
        again = deliver(w.profile, w.db, channel, w.desk.clock, send=send)
        assert (again.arrived, again.failed) == (waiting, 0)
        assert w.db.pending_alerts() == []


class Drowsy(Skewed):
    """The machine falls asleep at the first pause and wakes an hour and a half later."""

    def __init__(self, clock: object) -> None:
        super().__init__(clock, timedelta(0))
        self.slept = False
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        if not self.slept and self.now() >= open_instant(MONDAY) - timedelta(minutes=1):
            self.slept = True
            self.meanwhile()
            seconds = 5400.0
        self.clock.sleep(seconds)


def test_row_75_a_machine_that_slept_over_the_cut_off_covers_first_and_buys_no_more(
    tmp_path: Path,
) -> None:
    """Asleep for ninety minutes once ABC was sent: it fills meanwhile, and its leg does not wake.

    On waking the first thing that leaves is what covers ABC. DEF, approved while the machine
    slept, is too late.
    """
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, approval="required") as w:
        planned(w, MONDAY, ABC, DEF)
        w.approve(MONDAY, "entry:ABC", shares=200)
        inject(w, FaultRule(FaultKind.STUCK_LEG))
        clock = Drowsy(w.desk.clock)
        clock.slept = True  # not yet: it is wide awake until the buy has left
        clock.meanwhile = lambda: w.approve(MONDAY, "entry:DEF", shares=250)
        woken = open_instant(MONDAY) + timedelta(hours=1)
        changes: list[tuple[bool, str]] = []

        def note(method: str, path: str) -> None:
            if method != "GET":
                changes.append((w.desk.clock.now() > woken, method))
            if method == "POST" and len(changes) == 1:
                clock.slept = False

        w.wire.rule = note
        run_daily(on_clock(w, clock), MONDAY, phases=("execution",))
        assert clock.slept
        assert exchange_time(w.desk.clock.now()).hour >= 10
        after = [method for awake, method in changes if awake]
        assert after[:2] == ["DELETE", "POST"]  # the leg that sleeps, then a stop in its place
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert w.bought("DEF") == []


@pytest.mark.parametrize("before_open_s", [50.0, 120.0, 600.0])
def test_row_75_no_entry_goes_after_the_cut_off_whenever_the_sleep_began(
    tmp_path: Path, before_open_s: float
) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        planned(w, MONDAY, ABC, DEF)
        sleep_until(w.desk.clock, open_instant(MONDAY) - timedelta(seconds=before_open_s))
        cutoff = w.phase_plan(MONDAY).expires_at
        late: list[str] = []

        def note(method: str, path: str) -> None:
            if method == "POST" and w.desk.clock.now() >= cutoff:
                late.append(path)

        w.wire.rule = note
        run_daily(on_clock(w, Drowsy(w.desk.clock)), MONDAY, phases=("execution",))
        buys = [order for ticker in ("ABC", "DEF") for order in w.bought(ticker)]
        assert all(order.submitted_at < cutoff for order in buys)
        assert (w.held("ABC"), w.held("DEF")) == (w.live_sells("ABC"), w.live_sells("DEF"))
        assert len(late) <= len(buys)  # stops alone
