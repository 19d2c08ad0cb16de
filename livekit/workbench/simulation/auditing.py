"""The audit of a simulated day: the venue's book and the state database read by SQL alone.

The venue's memory is written as its file is written, and the audit reads it and the books by plain
connections of its own. Days that go through alpaca-py are written as files and audited as files.
"""

from __future__ import annotations

import shutil
import sqlite3
from functools import cache
from pathlib import Path

from livekit.broker.venue.book import TABLES, Book
from livekit.broker.venue.ledger import ledger_of
from livekit.workbench.audit import (
    Audit,
    audit_files,
    audit_of,
    digest,
    digest_of,
    state_book_of,
)
from livekit.workbench.simulation.stage import Stage

__all__ = ["audit_stage"]


class _BookInMemory(Book):
    """A venue's book without a file, so without a lock; it is begun anew for each day."""

    def __init__(self) -> None:
        self.path = Path("the simulated venue")
        self.content = sqlite3.connect(":memory:", isolation_level=None)
        self._db = self.content
        super()._create_tables()

    def _read_values(self) -> dict[str, str]:
        """What another day has left is no book to go on with."""
        return {}

    def _create_tables(self) -> None:
        self._clock = None
        for table in ("state", "fault_marks", *TABLES):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


@cache
def _book() -> _BookInMemory:
    return _BookInMemory()


def audit_stage(stage: Stage, folder: Path) -> tuple[Audit, str]:
    """The audit of both sides as they are now, and the digest of the books."""
    return _by_files(stage, folder / "audited") if stage.through_alpaca_py else _in_memory(stage)


def _in_memory(stage: Stage) -> tuple[Audit, str]:
    book = _book()
    stage.write_venue(book)
    theirs = ledger_of(book.content)
    state = stage.books.committed()
    return audit_of(theirs, state_book_of(state)), digest_of(state)


def _by_files(stage: Stage, folder: Path) -> tuple[Audit, str]:
    folder.mkdir()
    try:
        venue_db, state_db = folder / "venue.db", folder / "state.db"
        with Book(venue_db) as book:
            stage.write_venue(book)
        stage.books.write(state_db)
        return audit_files(venue_db, state_db), digest(state_db)
    finally:
        shutil.rmtree(folder)
