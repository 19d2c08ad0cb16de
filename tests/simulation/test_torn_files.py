"""Database files as a power loss leaves them: refused or recovered, never silently emptied."""

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from livekit.errors import StateUnusable
from livekit.state import StateDB

AT = datetime(2020, 1, 7, 14, 30, tzinfo=UTC)
WRITTEN = 40


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``state.db`` and its log as they lie there while a process writes."""
    folder, image = tmp_path_factory.mktemp("alive"), tmp_path_factory.mktemp("image")
    with StateDB.create(folder / "state.db") as db:
        for number in range(WRITTEN):
            db.add_alert("note", f"alert {number}", at=AT)
        for name in ("state.db", "state.db-wal"):
            shutil.copy(folder / name, image / name)
    assert (image / "state.db-wal").stat().st_size > 10_000
    return image


def alerts(path: Path) -> list[str] | None:
    """The alerts that a program finds in the file; None when it refuses the file."""
    try:
        with StateDB(path) as db:
            return [alert.text for alert in db.get_alerts()]
    except StateUnusable:
        return None


def laid_out(crashed: Path, folder: Path, database: bytes, log: bytes | None) -> Path:
    folder.mkdir()
    (folder / "state.db").write_bytes(database)
    if log is not None:
        (folder / "state.db-wal").write_bytes(log)
    return folder / "state.db"


def is_prefix(found: list[str]) -> bool:
    """Committed transactions are there from the first on, without a gap."""
    return found == [f"alert {number}" for number in range(len(found))]


def tear_the_log(crashed: Path, tmp_path: Path, images: int, seed: int) -> None:
    database, log = (crashed / name for name in ("state.db", "state.db-wal"))
    whole, chance = log.read_bytes(), random.Random(seed)
    kept = []
    for number in range(images):
        torn = bytearray(whole[: chance.randrange(len(whole) + 1)])
        if number % 3 == 2 and torn:
            torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
        path = laid_out(crashed, tmp_path / str(number), database.read_bytes(), bytes(torn))
        found = alerts(path)
        assert found is None or is_prefix(found), f"image {number}"
        kept.append(-1 if found is None else len(found))
    assert len(set(kept)) > 2  # the images differ in what they hold


def cut_the_database(crashed: Path, tmp_path: Path, images: int, seed: int) -> None:
    """A file that lost its end is refused, and left as it is, unless all of its rows are there."""
    whole = closed_file(crashed, tmp_path / "closed")
    chance = random.Random(seed)
    refused = 0
    for number in range(images):
        length = chance.randrange(len(whole))
        path = laid_out(crashed, tmp_path / f"cut-{number}", whole[:length], None)
        found = alerts(path)
        if found is None:
            assert path.stat().st_size == length
            refused += 1
        else:
            assert len(found) == WRITTEN, f"{length} of {len(whole)} bytes lost rows unnoticed"
    assert refused > images // 2


def closed_file(crashed: Path, folder: Path) -> bytes:
    database, log = (crashed / name for name in ("state.db", "state.db-wal"))
    path = laid_out(crashed, folder, database.read_bytes(), log.read_bytes())
    found = alerts(path)  # opening and closing brings the log into the file
    assert found is not None
    assert len(found) == WRITTEN
    return path.read_bytes()


def test_the_whole_log_recovers_everything_that_was_committed(
    crashed: Path, tmp_path: Path
) -> None:
    assert closed_file(crashed, tmp_path / "whole")


def test_a_torn_log_recovers_a_prefix_of_what_was_committed(crashed: Path, tmp_path: Path) -> None:
    tear_the_log(crashed, tmp_path, images=24, seed=1)


def test_a_truncated_database_is_refused_and_left_alone(crashed: Path, tmp_path: Path) -> None:
    cut_the_database(crashed, tmp_path, images=24, seed=2)


@pytest.mark.slow
def test_a_thousand_torn_or_truncated_files_are_refused_or_recovered(
    crashed: Path, tmp_path: Path
) -> None:
    tear_the_log(crashed, tmp_path, images=500, seed=3)
    (tmp_path / "more").mkdir()
    cut_the_database(crashed, tmp_path / "more", images=500, seed=4)
