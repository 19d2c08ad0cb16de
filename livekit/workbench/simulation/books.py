"""State databases in memory that outlive the process which a simulated crash ends.

One SQLite connection serves all days of a worker: a day begins by loading an image
of the books, a crash rolls back what was not committed, and compiled statements are kept.
"""

from __future__ import annotations

import os
import sqlite3
from itertools import count
from pathlib import Path

from livekit.state import StateDB
from livekit.state.driving import Direct, Driver
from livekit.workbench.simulation.remembering import Answers, Remembering

__all__ = ["MemoryBooks"]

NAME = "simulated state database"
_NUMBERS = count(1)  # memory of the same name would be shared


class _Kept(sqlite3.Connection):
    """A connection that stays open when its user is done with it."""

    def close(self) -> None:
        """Give back, not close: what was not committed is gone."""
        if self.in_transaction:
            self.rollback()


class _Opened(StateDB):
    """`StateDB` on a connection that exists already."""

    def __init__(self, raw: sqlite3.Connection, driver: Driver) -> None:
        self._begin(NAME, driver)
        self._raw = raw

    def close(self) -> None:
        """Give the connection back; it serves the next process."""
        self._raw.close()


class MemoryBooks:
    """The books of one day at a time; ``raw`` is the connection beneath every handle.

    ``answers`` is what handles that remember have read since it was last changed. A second
    connection to the same memory brings in the books of a day as another process would change
    them, so that the first keeps its statements compiled while the schema stays the same.
    """

    def __init__(self) -> None:
        place = f"file:/simulated-books-{os.getpid()}-{next(_NUMBERS)}?vfs=memdb"
        self.raw = sqlite3.connect(
            place, uri=True, factory=_Kept, isolation_level=None, cached_statements=256
        )
        self._loader = sqlite3.connect(place, uri=True, isolation_level=None)
        self._image = sqlite3.connect(":memory:")
        self._loaded: bytes | None = None
        self._schema = 0
        self._schemas: dict[object, int] = {}
        self.raw.execute("PRAGMA foreign_keys = ON")
        self.raw.execute("PRAGMA trusted_schema = OFF")
        self.answers = Answers(self.raw)
        self._remembering = Remembering(self.raw, self.answers)
        self._plain = Direct(self.raw)

    def load(self, image: bytes) -> None:
        """Begin with the books as they are in ``image``."""
        self._roll_back()
        if image is not self._loaded:
            self._image.deserialize(image)
            self._loaded, self._schema = image, self._schema_version()
        self._image.backup(self._loader)
        self._loader.execute(f"PRAGMA schema_version = {self._schema}")
        self.answers.forget()

    def _schema_version(self) -> int:
        """A number of the image's schema: statements are compiled anew where it is another."""
        rows = self._image.execute("SELECT name, rootpage, sql FROM sqlite_master ORDER BY rowid")
        return self._schemas.setdefault(tuple(rows), len(self._schemas) + 1)

    def open(self, *, remembering: bool = True) -> StateDB:
        """Open them as a new process would: nothing uncommitted is there.

        Read while ``remembering`` what nobody has changed since, or plainly.
        """
        self._roll_back()
        return _Opened(self.raw, self._remembering if remembering else self._plain)

    def image(self) -> bytes:
        """Everything committed, as the bytes of a database file."""
        self._roll_back()
        return self.raw.serialize()

    def write(self, path: Path) -> None:
        """Write them as a database file."""
        path.write_bytes(self.image())

    def committed(self) -> sqlite3.Connection:
        """Another connection to them, which sees what is committed."""
        self._roll_back()
        return self._loader

    def discard(self) -> None:
        """Free the memory; the object is not usable any more."""
        for connection in (self._loader, self._image):
            connection.close()
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
