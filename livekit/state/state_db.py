"""`StateDB`: everything the program remembers, in one database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from livekit.errors import StateUnusable
from livekit.state.books import Books
from livekit.state.deliveries import Deliveries
from livekit.state.journal import Journal
from livekit.state.opening import (
    building_path,
    create_database,
    open_database,
    publish_database,
)
from livekit.state.plans import Plans
from livekit.state.runs import Runs
from livekit.state.switch import Switch
from livekit.state.twins import Twins
from livekit.state.verdicts import Verdicts

__all__ = ["StateDB", "new_database"]


class StateDB(Switch, Books, Plans, Twins, Journal, Runs, Deliveries, Verdicts):
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


@contextmanager
def new_database(file: Path) -> Iterator[StateDB]:
    """A new database that appears as ``file`` only when the block ends well, complete.

    Whatever ends the block otherwise leaves no file of that name. Raises `StateUnusable` when
    there is one already.
    """
    if file.exists():
        raise StateUnusable(file, "exists already")
    building = building_path(file)
    with StateDB.create(building) as db:
        yield db
    publish_database(building, file)
