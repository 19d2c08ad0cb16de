"""The fault matrix, rows 41 to 53: locks, approvals, the kill switch, the database."""

import os
import resource
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.errors import KillSwitchOn, LivekitError, LockHeld, StateUnusable
from livekit.sessions import open_instant
from livekit.state import StateDB
from livekit.trading.approvals import decide
from livekit.trading.doctor import diagnose
from livekit.trading.executor import execute_plan
from livekit.trading.lease import TOKEN, take_lease
from livekit.trading.opening import sole_writer
from livekit.trading.phases import current_plan
from livekit.trading.reconciliation import reconcile
from livekit.workbench.daily import perform_recorded, run_daily
from tests.trading.crashing import desk_of
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    healed,
    holding,
    inject,
    longest_uncovered_s,
    planned,
)
from tests.trading.world import Lossy, World, world

ABC, DEF = ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0)


def raw(w: World, statement: str) -> None:
    with closing(sqlite3.connect(w.profile.state_db)) as connection, connection:
        connection.execute(statement)


def refused_everywhere(path: Path, why: str) -> None:
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(StateUnusable, match=why):
        StateDB(path)
    assert (path.read_bytes() if path.exists() else None) == before


def test_row_41_of_two_executors_the_second_sends_no_request(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        sent = len(w.wire.sent)
        with sole_writer(w.profile), pytest.raises(LockHeld, match=r"writer\.lock") as locked:
            perform_recorded(w.desk, "execution", MONDAY)
        assert locked.value.exit_code == 6
        assert len(w.wire.sent) == sent
        assert w.db.get_orders() == []
        healed(w, MONDAY)
        assert len(w.bought("ABC")) == 1


def holder_of_the_lock(w: World) -> int:
    """A process that took the writer's lock and works on; returns its id."""
    told, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        with sole_writer(w.profile):
            os.write(telling, b"held")
            time.sleep(60.0)
        os._exit(0)
    assert os.read(told, 4) == b"held"
    os.close(told)
    os.close(telling)
    return pid


def test_row_42_a_dead_holders_lock_is_free_and_the_token_goes_on(tmp_path: Path) -> None:
    """While it lives nobody gets the lock; once it is killed, with the lock in its hands, we do."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        pid = holder_of_the_lock(w)
        try:
            with pytest.raises(LockHeld):
                perform_recorded(w.desk, "execution", MONDAY)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert (w.profile.home / "writer.lock").exists()
        before = int(w.db.get_config(TOKEN) or 0)
        assert take_lease(w.desk).lease == before + 1
        assert w.phase(MONDAY, "execution").exit_code == 0
        (entry,) = w.db.get_orders(intent="entry")
        assert (entry.fencing_token or 0) > before + 1
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_row_43_a_process_that_slept_through_a_take_over_sends_nothing(tmp_path: Path) -> None:
    """The other run begins while the entry's look-up is under way: the POST is not sent."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        paused = take_lease(w.desk)
        taken: list[str] = []

        def another_run_begins(method: str, path: str) -> None:
            if "by_client_order_id" in path and not taken:
                taken.append(path)
                take_lease(w.desk)

        w.wire.rule = another_run_begins
        with pytest.raises(LockHeld):
            execute_plan(paused, current_plan(paused, MONDAY))
        assert taken
        assert w.wire.posts() == []


def test_row_43_a_process_that_slept_through_a_take_over_records_no_break(tmp_path: Path) -> None:
    """What it read of the venue is older than the books that the other run has left."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        w.go_to(TUESDAY, "signals")
        w.venue.engine.state.position("ABC").qty = 150  # type: ignore[union-attr]
        paused = take_lease(w.desk)

        def another_run_begins(method: str, path: str) -> None:
            if path.startswith("/v2/account"):
                take_lease(w.desk)

        w.wire.rule = another_run_begins
        with pytest.raises(LockHeld):
            reconcile(paused, TUESDAY)
        assert w.db.open_breaks() == []
        w.wire.rule = lambda method, path: None
        assert [item.kind for item in reconcile(take_lease(w.desk), TUESDAY)] == ["position"]


def test_row_44_two_clicks_on_approve_are_one_order(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, approval="required") as w:
        planned(w, MONDAY, ABC)
        plan = w.phase_plan(MONDAY)
        w.approve(MONDAY, "entry:ABC", shares=200)
        with StateDB(w.profile.state_db) as second_tab:
            desk = replace(w.desk, db=second_tab, who="other tab")
            decide(desk, plan, "entry:ABC", "approve", max_quantity=200, who="trader")
        assert len(w.db.get_approvals(plan.sha256)) == 1
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert [item.quantity for item in w.bought("ABC")] == [200]
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_row_44_two_clicks_at_the_same_instant_are_one_order(tmp_path: Path) -> None:
    """Two processes decide the item together, each on a connection of its own."""
    with world(tmp_path, {"ABC": 50.0}, approval="required") as w:
        planned(w, MONDAY, ABC)
        plan = w.phase_plan(MONDAY)
        tabs = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                with StateDB(w.profile.state_db) as db:
                    desk = replace(w.desk, db=db)
                    decide(desk, plan, "entry:ABC", "approve", max_quantity=200, who="trader")
                os._exit(0)
            tabs.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in tabs] == [0, 0]
        assert len(w.db.get_approvals(plan.sha256)) == 1
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert [item.quantity for item in w.bought("ABC")] == [200]


def test_row_45_the_switch_between_two_entries_holds_the_second(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        planned(w, MONDAY, ABC, DEF)

        def switch_on_at_the_first_buy(method: str, path: str) -> None:
            if method == "POST":
                w.db.set_kill_switch(True, reason="drill", who="test", at=w.desk.clock.now())

        w.wire.rule = switch_on_at_the_first_buy
        outcome = w.phase(MONDAY, "execution")
        assert outcome.execution is not None
        states = [(item.ticker, item.state) for item in outcome.execution.entries]
        assert states == [("ABC", "sent"), ("DEF", "kill_switch")]
        assert w.live_sells("ABC") == 200
        assert (w.held("ABC"), w.held("DEF")) == (200, 0)
        assert w.db.get_orders(ticker="DEF", intent="entry") == []


def test_row_46_the_switch_while_an_entry_fills_still_gets_its_stop(tmp_path: Path) -> None:
    """The leg stays asleep, so a stop has to be placed: with the switch on."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.STUCK_LEG))

        def switch_on(method: str, path: str) -> None:
            if method == "POST" and not w.db.is_kill_switch_on():
                w.db.set_kill_switch(True, reason="drill", who="test", at=w.desk.clock.now())

        w.wire.rule = switch_on
        w.phase(MONDAY, "execution")
        assert w.db.is_kill_switch_on()
        assert len(w.wire.posts()) == 2  # the buy, and a stop after it
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 10.0


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM system_config WHERE key = 'kill_switch'",
        "UPDATE system_config SET value = 'TRUE' WHERE key = 'kill_switch'",
        "UPDATE system_config SET value = '0' WHERE key = 'kill_switch'",
        "DROP TABLE system_config",
    ],
    ids=["missing", "TRUE", "0", "unreadable"],
)
def test_row_47_a_switch_that_cannot_be_read_counts_as_on(tmp_path: Path, statement: str) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        plan = current_plan(w.desk, MONDAY)
        raw(w, statement)
        assert w.db.is_kill_switch_on()
        with pytest.raises(LivekitError) as refused:
            execute_plan(w.desk, plan)
        if not statement.startswith("DROP"):
            assert isinstance(refused.value, KillSwitchOn)
            assert w.phase(MONDAY, "execution").exit_code == 3
        assert w.wire.posts() == []


def test_row_48_a_database_that_stays_busy_sends_nothing(tmp_path: Path) -> None:
    """Another program takes the write lock when the buying power is read: the last thing that is
    asked before the intent is committed.
    """
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        plan = current_plan(w.desk, MONDAY)
        w.db._connection.exec_driver_sql("PRAGMA busy_timeout = 20")
        w.db._connection.rollback()
        with closing(sqlite3.connect(w.profile.state_db, isolation_level=None)) as other:

            def lock_it(method: str, path: str) -> None:
                if path == "/v2/account" and w.desk.clock.now() >= open_instant(MONDAY):
                    other.execute("BEGIN IMMEDIATE")

            w.wire.rule = lock_it
            with pytest.raises(LockHeld) as busy:
                execute_plan(w.desk, plan)
            assert other.in_transaction
            other.execute("ROLLBACK")
        assert busy.value.exit_code == 6
        assert w.wire.posts() == []
        assert w.db.get_orders() == []
        healed(w, MONDAY)
        assert len(w.bought("ABC")) == 1


def disk_is_full_at(w: World, event: str) -> None:
    """No page more than there are, and a change of the order rows that wants more."""
    connection = w.db._connection
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    connection.exec_driver_sql(
        f"CREATE TEMP TRIGGER full_disk BEFORE {event} ON orders BEGIN "  # noqa: S608 - our word
        "INSERT INTO alerts (session, kind, severity, text, created_at) VALUES "
        "('2020-01-06', 'x', 'info', hex(zeroblob(500000)), '2020-01-06T14:30:00.000000+00:00'); "
        "END"
    )
    connection.rollback()


@pytest.mark.parametrize("when", ["before", "after"])
def test_row_49_a_full_disk_sends_nothing_or_leaves_an_order_that_is_adopted(
    tmp_path: Path, when: str
) -> None:
    """Full when the intent is committed, or when the venue's answer is: the database's own error.

    The process that comes next, once there is room, sends the order or adopts it.
    """
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        plan = current_plan(w.desk, MONDAY)
        disk_is_full_at(w, "INSERT" if when == "before" else "UPDATE")
        with pytest.raises(LivekitError, match="full"):
            execute_plan(w.desk, plan)
        sent = 0 if when == "before" else 1
        assert len(w.wire.posts()) == len(w.bought("ABC")) == sent
        with StateDB(w.profile.state_db) as db:
            assert db.soundness() == "ok"
            rows = [(item.status, item.alpaca_order_id) for item in db.get_orders()]
            assert rows == [("intended", None)] * sent
            desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
            assert run_daily(desk, MONDAY).exit_code == 0
            assert diagnose(desk).violations == ()
            assert [item.shares_now for item in db.get_open_positions()] == [200]
        assert len(w.bought("ABC")) == 1
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 10.0


def test_row_50_a_file_that_cannot_be_written_fails_closed(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        plan = current_plan(w.desk, MONDAY)
        copy = tmp_path / "copy" / "state.db"
        copy.parent.mkdir()
        w.db._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        w.db._connection.rollback()
        shutil.copyfile(w.profile.state_db, copy)
        with StateDB(copy) as db:
            db._connection.exec_driver_sql("PRAGMA query_only = ON")
            db._connection.rollback()
            desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
            with pytest.raises(LivekitError):
                execute_plan(desk, plan)
        assert w.bought("ABC") == []


def test_row_50_an_input_output_error_while_the_intent_is_committed_sends_nothing(
    tmp_path: Path,
) -> None:
    """From the last read before the buy on, the operating system lets no file grow any more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        plan = current_plan(w.desk, MONDAY)
        w.db._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        w.db._connection.rollback()

        def nothing_grows(method: str, path: str) -> None:
            if path == "/v2/account" and w.desk.clock.now() >= open_instant(MONDAY):
                log = Path(f"{w.profile.state_db}-wal")
                resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))

        w.wire.rule = nothing_grows
        try:
            with pytest.raises(StateUnusable) as refused:
                execute_plan(w.desk, plan)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert refused.value.exit_code != 0
        assert w.wire.posts() == []
        with StateDB(w.profile.state_db) as db:
            assert db.soundness() == "ok"
            assert db.get_orders() == []
            desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
            assert run_daily(desk, MONDAY).exit_code == 0
        assert len(w.bought("ABC")) == 1


def test_row_50_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StateUnusable):
        StateDB(tmp_path / "state.db")
    assert list((tmp_path / "state.db").iterdir()) == []


def test_row_51_a_database_that_is_not_there_is_never_made_on_the_way(tmp_path: Path) -> None:
    refused_everywhere(tmp_path / "state.db", "does not exist")
    empty = tmp_path / "empty.db"
    empty.touch()
    refused_everywhere(empty, "is empty")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE t (a)")
    refused_everywhere(other, "is not a state database")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["empty.db", "other.db"]


def test_row_52_a_damaged_file_is_refused_and_the_venue_left_alone(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        w.db._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        w.db._connection.rollback()
        whole = w.profile.state_db.read_bytes()
    damaged = tmp_path / "damaged.db"
    page = bytearray(whole)
    page[4096 * 5 : 4096 * 6] = b"\xa5" * 4096
    damaged.write_bytes(page)
    refused_everywhere(damaged, "damaged|malformed|not an SQLite")
    cut = tmp_path / "cut.db"
    cut.write_bytes(whole[: len(whole) // 2])
    refused_everywhere(cut, "damaged|malformed|not an SQLite")
    with pytest.raises(StateUnusable) as refused:
        StateDB(cut)
    assert "restore" in refused.value.operator_line().lower()


def test_row_52_of_a_log_that_was_cut_off_whole_commits_are_left_and_the_day_goes_on(
    tmp_path: Path,
) -> None:
    """The signals are in the log alone; half of it is lost, and they are made again."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.db._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        w.db._connection.rollback()
        planned(w, MONDAY, ABC)
        profile = replace(w.profile, outputs=tmp_path / "cut")
        profile.home.mkdir(parents=True)
        shutil.copytree(w.profile.reports_dir, profile.reports_dir)
        shutil.copyfile(w.profile.state_db, profile.state_db)
        log = Path(f"{w.profile.state_db}-wal").read_bytes()
        Path(f"{profile.state_db}-wal").write_bytes(log[: len(log) // 2])
        with StateDB(profile.state_db) as db:
            assert db.soundness() == "ok"
            assert db.registration() is not None  # not emptied
            assert len(db.get_runs()) <= len(w.db.get_runs())
            desk = desk_of(profile, w.venue, db, Lossy(w.wire.inner))
            assert run_daily(desk, MONDAY).exit_code == 0
            assert diagnose(desk).violations == ()
        assert len(w.bought("ABC")) == 1


@pytest.mark.parametrize("version", ["livekit_0000", "livekit_9999"])
def test_row_53_a_database_of_another_version_is_refused(tmp_path: Path, version: str) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        raw(w, f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608
    refused_everywhere(w.profile.state_db, f"has schema {version}")
