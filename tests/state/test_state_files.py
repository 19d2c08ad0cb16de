import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from state_examples import BEFORE_OPEN, order, position

from livekit.errors import LockHeld, StateUnusable
from livekit.state import StateDB


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(item): item.read_bytes() for item in folder.rglob("*") if item.is_file()}


# -------------------------------------------------------------------------------------- creating


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_database_is_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    file = tmp_path / "outputs" / "demo" / "state.db"
    with umask(mask), StateDB.create(file) as db:
        db.add_position(position())
        assert mode(file.parent) == 0o700
        assert mode(file.parent.parent) == 0o700
        assert {name.name: mode(name) for name in file.parent.iterdir()} == {
            "state.db": 0o600,
            "state.db-wal": 0o600,
            "state.db-shm": 0o600,
        }


def test_an_existing_folder_is_closed_to_others(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    home.chmod(0o755)
    StateDB.create(home / "state.db").close()
    assert mode(home) == 0o700


def test_the_working_directory_and_shared_folders_keep_their_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, shared = tmp_path / "here", tmp_path / "shared"
    for folder, bits in ((here, 0o755), (shared, 0o1777)):
        folder.mkdir()
        folder.chmod(bits)
    monkeypatch.chdir(here)
    StateDB.create("state.db").close()
    StateDB.create(shared / "state.db").close()
    assert (mode(here), mode(shared)) == (0o755, 0o1777)


def test_nothing_is_left_beside_a_new_database(tmp_path: Path) -> None:
    StateDB.create(tmp_path / "state.db").close()
    assert [item.name for item in tmp_path.iterdir()] == ["state.db"]


@pytest.mark.parametrize("there", [b"", b"precious"])
def test_creating_refuses_whatever_is_there(tmp_path: Path, there: bytes) -> None:
    file = tmp_path / "state.db"
    file.write_bytes(there)
    with pytest.raises(StateUnusable, match="exists already"):
        StateDB.create(file)
    assert contents(tmp_path) == {str(file): there}


def test_creating_refuses_a_dangling_link(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StateUnusable, match="exists already"):
        StateDB.create(file)
    assert not (tmp_path / "elsewhere.db").exists()


def test_creating_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file")
    with pytest.raises(StateUnusable):
        StateDB.create(tmp_path / "demo" / "state.db")


def test_a_crash_while_creating_leaves_no_database(tmp_path: Path) -> None:
    program = """
        import os, signal, sys
        from livekit.state import StateDB, opening
        opening.os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        StateDB.create(sys.argv[1])
    """
    file = tmp_path / "state.db"
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(file)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert not file.exists()
    StateDB.create(file).close()


def test_a_path_with_odd_characters_is_just_a_path(tmp_path: Path) -> None:
    file = tmp_path / "50% of #1? yes" / "stäte.db"
    StateDB.create(file).close()
    StateDB(file).close()
    assert file.exists()


def test_a_url_names_the_same_file_as_its_path(tmp_path: Path) -> None:
    StateDB.create(f"sqlite:///{tmp_path}/state.db").close()
    with StateDB(tmp_path / "state.db") as db:
        assert db.is_kill_switch_on() is False


# --------------------------------------------------------------------------------------- opening


def test_what_was_written_is_there_after_reopening(path: Path) -> None:
    with StateDB(path) as db:
        position_id = db.add_position(position())
    with StateDB(path) as db:
        assert [p.position_id for p in db.get_open_positions()] == [position_id]


def test_a_database_is_opened_with_every_safety_on(path: Path) -> None:
    with StateDB(path) as db:

        def pragma(name: str) -> object:
            return db._connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert pragma("journal_mode") == "wal"
        assert pragma("foreign_keys") == 1
        assert pragma("synchronous") == 2  # FULL
        assert pragma("busy_timeout") == 5000
        assert pragma("trusted_schema") == 0


def test_a_database_readable_by_others_is_closed_to_them(path: Path) -> None:
    path.chmod(0o644)
    StateDB(path).close()
    assert mode(path) == 0o600


def test_opening_never_creates(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="does not exist"):
        StateDB(tmp_path / "missing" / "state.db")
    with pytest.raises(StateUnusable, match="is not a file"):
        StateDB(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _newer(file: Path) -> None:
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE alembic_version SET version_num = 'livekit_9999'")
    raw.close()


def _foreign(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as raw:
        raw.execute("CREATE TABLE recipes (name TEXT)")
    raw.close()


def _incomplete(file: Path) -> None:
    with sqlite3.connect(file) as raw:
        raw.execute("DROP TABLE shadow_signals")
    raw.close()


def _torn(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for page in range(2, 30):  # 4 KiB pages behind the first
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(b""), "is empty"),
        (lambda file: file.write_text("<html>not a database</html>"), "not an SQLite database"),
        (lambda file: file.write_bytes(b"SQLite format 3\x00" + b"\x07" * 4080), "state database"),
        (lambda file: os.truncate(file, 8192), "state database"),
        (_torn, "state database"),
        (_foreign, "is not a state database of this program"),
        (_newer, "livekit_9999"),
        (_incomplete, "lacks the tables shadow_signals"),
    ],
    ids=["empty", "text", "header only", "truncated", "torn", "foreign", "newer", "incomplete"],
)
def test_an_unusable_file_is_refused_and_left_as_it_was(path: Path, damage, message: str) -> None:
    damage(path)
    before = contents(path.parent)
    with pytest.raises(StateUnusable, match=message):
        StateDB(path)
    assert contents(path.parent) == before


def test_memory_databases_are_new_each_time() -> None:
    with StateDB(":memory:") as first, StateDB.create(":memory:") as second:
        first.add_position(position())
        assert second.get_positions() == []


def test_an_existing_database_opens_quickly_and_without_alembic_or_pandas(path: Path) -> None:
    program = """
        import sqlalchemy, sys, time
        import livekit.model
        start = time.process_time()
        from livekit.state import StateDB
        StateDB(sys.argv[1]).close()
        seconds = time.process_time() - start
        print(seconds, sorted({"alembic", "pandas", "exchange_calendars"} & set(sys.modules)))
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    seconds, heavy = found.split(maxsplit=1)
    assert heavy.strip() == "[]"
    assert float(seconds) < 0.6  # 0.15 s of processor time on an idle machine


# ------------------------------------------------------------------------------ others, disk, end


def test_a_database_that_stays_locked_is_the_other_runs(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    with StateDB(path) as db:
        db._connection.exec_driver_sql("PRAGMA busy_timeout = 200")  # milliseconds, not 5 s
        db._connection.rollback()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockHeld):
            db.add_order(order(), at=BEFORE_OPEN)
        assert db.is_kill_switch_on() is False  # readers do not wait for a writer
        other.execute("ROLLBACK")
        other.close()
        db.add_order(order(), at=BEFORE_OPEN)
        assert len(db.get_orders()) == 1


def test_a_short_lock_is_waited_for(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def release() -> None:
        time.sleep(0.3)
        other.execute("ROLLBACK")
        other.close()

    with StateDB(path) as db:
        thread = threading.Thread(target=release)
        thread.start()
        db.add_order(order(), at=BEFORE_OPEN)
        thread.join()
        assert len(db.get_orders()) == 1


def test_threads_of_one_program_share_a_database(path: Path) -> None:
    with StateDB(path) as db:

        def write(number: int) -> None:
            for step in range(5):
                name = f"{number}-{step}"
                db.add_order(order(client_order_id=name), at=BEFORE_OPEN)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(db.get_orders()) == 20


def test_a_read_only_database_refuses_writes_and_still_reads(path: Path) -> None:
    with StateDB(path) as db:
        db._connection.exec_driver_sql("PRAGMA query_only = ON")
        db._connection.rollback()
        with pytest.raises(StateUnusable, match="readonly"):
            db.add_order(order(), at=BEFORE_OPEN)
        assert db.get_orders() == []


def test_a_full_disk_loses_the_transaction_and_nothing_else(path: Path) -> None:
    with StateDB(path) as db:
        db.add_order(order(), at=BEFORE_OPEN)
        pages = db._connection.exec_driver_sql("PRAGMA page_count").scalar()
        db._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        db._connection.rollback()

        def write_more_than_fits() -> None:
            with db.transaction():
                for number in range(200):
                    more = order(client_order_id=str(number), reason="x" * 1000)
                    db.add_order(more, at=BEFORE_OPEN)

        with pytest.raises(StateUnusable, match="full"):
            write_more_than_fits()
        assert [o.client_order_id for o in db.get_orders()] == ["20200130_NVDA_entry_buy"]
        db._connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        db._connection.rollback()
        db.add_order(order("AAPL"), at=BEFORE_OPEN)
        assert len(db.get_orders()) == 2


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, {examples!r})
    from livekit.state import StateDB
    from state_examples import BEFORE_OPEN, order, position

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    db = StateDB(sys.argv[1])
    with db.transaction():
        position_id = db.add_position(position())
        for intent in ("entry", "stop"):
            db.add_order(order(intent=intent, position_id=position_id), at=BEFORE_OPEN)
    {where}
    with db.transaction():
        db.update_position(position_id, actual_shares=20)
        db.add_order(order("AAPL", position_id=position_id), at=BEFORE_OPEN)
        {inside}
        db.update_order_status("20200130_NVDA_entry_buy", "filled", at=BEFORE_OPEN)
    die()
"""


@pytest.mark.parametrize(
    ("where", "inside", "committed"),
    [
        ("pass", "die()", False),
        ("db.before_commit = die", "pass", False),
        ("db.after_commit = die", "pass", True),
        ("pass", "pass", True),
    ],
    ids=["inside", "before the commit", "after the commit", "later"],
)
def test_a_killed_process_leaves_all_of_a_transaction_or_nothing(
    path: Path, where: str, inside: str, committed: bool
) -> None:
    program = KILLED.format(examples=str(Path(__file__).parent), where=where, inside=inside)
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(path)], check=False)
    assert child.returncode == -signal.SIGKILL
    with StateDB(path) as db:
        found = db.get_open_positions()[0]
        statuses = [(o.ticker, o.status) for o in db.get_orders()]
        integrity = db._connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    assert integrity == "ok"
    before = [("NVDA", "intended"), ("NVDA", "intended")]
    after = [("NVDA", "filled"), ("NVDA", "intended"), ("AAPL", "intended")]
    assert (found.actual_shares, statuses) == ((20, after) if committed else (40, before))


def test_a_torn_log_loses_only_what_was_not_committed(path: Path) -> None:
    """The last bytes of the write-ahead log are cut off, as a power loss does."""
    with StateDB(path) as db:
        db.add_order(order(), at=BEFORE_OPEN)
        first = path.with_name("state.db-wal").stat().st_size
        db.add_order(order("AAPL"), at=BEFORE_OPEN)
        copy = path.with_name("copy.db")
        log = path.with_name("state.db-wal").read_bytes()
        copy.write_bytes(path.read_bytes())
        copy.with_name("copy.db-wal").write_bytes(log[: first + 100])
    with StateDB(copy) as db:
        assert [o.ticker for o in db.get_orders()] == ["NVDA"]
