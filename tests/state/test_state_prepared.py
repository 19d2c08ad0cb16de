"""Prepared statements: what SQLite is told, and that kept rows never hide what has changed."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from livekit.errors import RecordRefused, StateUnusable
from livekit.state import StateDB
from livekit.state.prepared import named, selecting, updating, wanting
from livekit.state.tables import breaks, fills, positions

AT = datetime(2020, 1, 6, 14, 30, tzinfo=UTC)


def test_a_status_stands_in_the_text_so_that_sqlite_plans_the_statement_once() -> None:
    wanted = {"break_id": 7, "status": "open"}
    driven = updating(breaks, wanting(wanted), ("facts",)).driven
    assert driven.text == (
        "UPDATE breaks SET facts=? WHERE breaks.break_id = ? AND breaks.status = 'open'"
    )
    assert driven.bound(named(wanted) | {"facts": "ten shares too few"}) == [
        "ten shares too few",
        7,
    ]


def test_none_asks_for_null() -> None:
    text = selecting(fills, wanting({"position_id": None}), ("fill_id",)).driven.text
    assert text.endswith("WHERE fills.position_id IS NULL ORDER BY fills.fill_id")


def test_a_quote_in_a_status_ends_no_text() -> None:
    text = selecting(positions, wanting({"status": "o' OR '1"}), ()).driven.text
    assert text.endswith("WHERE positions.status = 'o'' OR ''1'")


def test_a_row_that_changed_is_read_as_it_is_now() -> None:
    with StateDB(":memory:") as db:
        alert = db.add_alert("drill", "one", at=AT)
        assert [one.delivered_at for one in db.get_alerts()] == [None]
        db.mark_alert_delivered(alert, AT)
        assert [one.delivered_at for one in db.get_alerts()] == [AT]


def test_a_row_that_was_rolled_back_is_gone() -> None:
    with StateDB(":memory:") as db:
        db.before_commit = _refuse
        with pytest.raises(ZeroDivisionError):
            _note_and_read(db)
        assert db.get_config("name") is None


def _refuse() -> None:
    raise ZeroDivisionError


def _note_and_read(db: StateDB) -> None:
    with db.transaction():
        db.set_config("name", "value")
        assert db.get_config("name") == "value"


def test_another_connection_s_commit_is_seen_by_the_next_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with StateDB.create(path) as db:
        assert not db.is_kill_switch_on()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("UPDATE system_config SET value = 'on' WHERE key = 'kill_switch'")
        other.close()
        assert db.is_kill_switch_on()


def test_an_ill_typed_value_is_refused_and_a_closed_database_is_unusable() -> None:
    db = StateDB(":memory:")
    alert = db.add_alert("drill", "naive", at=AT)
    with pytest.raises(RecordRefused, match="not an aware datetime"):
        db.mark_alert_delivered(alert, AT.replace(tzinfo=None))
    db.close()
    with pytest.raises(StateUnusable):
        db.get_config("name")
