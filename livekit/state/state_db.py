"""`StateDB`: everything the program remembers, in one database."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from livekit.state.books import Books
from livekit.state.journal import Journal
from livekit.state.opening import create_database, open_database
from livekit.state.plans import Plans
from livekit.state.runs import Runs
from livekit.state.switch import Switch
from livekit.state.twins import Twins

__all__ = ["StateDB"]


class StateDB(Switch, Books, Plans, Twins, Journal, Runs):
    """The state database: SQLite by default, any SQLAlchemy URL, or ``:memory:``.

    Opening never creates: only `create` makes a database, except ``:memory:``, which is new each
    time. Methods raise `StateUnusable` when the database cannot be used, `LockHeld` when another
    process keeps it locked for 5 s, and `RecordRefused` when a record breaks a rule of the books.

    Example::

        with StateDB("outputs/demo/state.db") as db, db.transaction():
            position_id = db.add_position(position)
            db.add_fill(replace(fill, position_id=position_id))
    """

    def __init__(self, path_or_url: Path | str) -> None:
        super().__init__(open_database(path_or_url), str(path_or_url))

    @classmethod
    def create(cls, path_or_url: Path | str) -> Self:
        """Make a new, empty database with the kill switch off, and open it.

        Its directory is made private (0700) and a file readable by its owner alone (0600). Raises
        `StateUnusable` when there is something at that path already; nothing is changed then.
        """
        create_database(path_or_url)
        return cls(path_or_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
