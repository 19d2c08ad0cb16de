"""State databases in memory that outlive the process which a simulated crash ends.

One SQLite connection and one engine serve all days of a worker: a day begins by loading an image
of the books, a crash rolls back what was not committed, and compiled statements are kept.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool

from livekit.state import StateDB
from livekit.state.gateway import Gateway

__all__ = ["MemoryBooks"]

NAME = "simulated state database"


class _Kept(sqlite3.Connection):
    """A connection that stays open when its user is done with it."""

    def close(self) -> None:
        """Give back, not close: what was not committed is gone."""
        if self.in_transaction:
            self.rollback()


class _Opened(StateDB):
    """`StateDB` on a connection that exists already."""

    def __init__(self, engine: Engine) -> None:
        Gateway.__init__(self, engine, NAME)

    def close(self) -> None:
        """Give the connection back; the engine serves the next process."""
        self._connection.close()


class MemoryBooks:
    """The books of one day at a time; ``raw`` is the connection beneath every handle."""

    def __init__(self) -> None:
        self.raw = sqlite3.connect(
            ":memory:", factory=_Kept, isolation_level=None, cached_statements=256
        )
        self.raw.execute("PRAGMA foreign_keys = ON")
        self.raw.execute("PRAGMA trusted_schema = OFF")
        self._engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool)

    def load(self, image: bytes) -> None:
        """Begin with the books as they are in ``image``."""
        self._roll_back()
        self.raw.deserialize(image)
        self.raw.execute("PRAGMA foreign_keys = ON")

    def open(self) -> StateDB:
        """Open them as a new process would: nothing uncommitted is there."""
        self._roll_back()
        return _Opened(self._engine)

    def image(self) -> bytes:
        """Everything committed, as the bytes of a database file."""
        self._roll_back()
        return self.raw.serialize()

    def write(self, path: Path) -> None:
        """Write them as a database file."""
        path.write_bytes(self.image())

    def discard(self) -> None:
        """Free the memory; the object is not usable any more."""
        self._engine.dispose()
        sqlite3.Connection.close(self.raw)

    def _roll_back(self) -> None:
        if self.raw.in_transaction:
            self.raw.rollback()


def fresh_image(folder: Path) -> bytes:
    """The image of a new database, made as `livekit init` makes one."""
    path = folder / f"fresh-{os.getpid()}.db"
    with StateDB.create(path) as db:
        db.is_kill_switch_on()
    content = sqlite3.connect(path)
    try:
        content.execute("PRAGMA journal_mode = DELETE")  # a database in memory has no side file
        return content.serialize()
    finally:
        content.close()
        path.unlink()
