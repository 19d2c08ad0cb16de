"""One connection to the database, its transactions, and the statements that the books run on it.

Every public write is a transaction of its own unless it runs inside `Gateway.transaction`; there it
is a savepoint, so a refused write leaves the rest of the transaction usable. A write takes the
database's write lock at its first statement, never later: two writers wait for each other and
neither acts on what the other is about to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import Any

from sqlalchemy import Connection, Engine, Table

from livekit.errors import RecordRefused
from livekit.state.driving import Driver, driver_of
from livekit.state.prepared import (
    ROW_KEY,
    IllStored,
    Prepared,
    inserting,
    named,
    selecting,
    updating,
    updating_by_key,
    wanting,
)
from livekit.state.translation import translated

__all__ = ["Gateway"]

NOTHING: Mapping[str, Any] = {}


class Gateway:
    """The connection that all parts of `StateDB` share.

    Attributes:
        name: The database's path or URL, for messages.
        before_commit: Called just before each commit; what it raises rolls back.
        after_commit: Called just after each commit.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        with translated(name):
            self._connection: Connection = engine.connect()
            self._begin(name, driver_of(self._connection))

    def _begin(self, name: str, driver: Driver) -> None:
        self.name = name
        self.before_commit: Callable[[], None] | None = None
        self.after_commit: Callable[[], None] | None = None
        self._driver = driver
        self._lock = RLock()
        self._writing = False

    def close(self) -> None:
        """Give the connection back; every later call raises `StateUnusable`."""
        with self._lock:
            self._connection.close()
            self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group writes: all of them are committed, or none. Nested, it is a savepoint."""
        with self._lock, translated(self.name):
            if self._writing:
                with self._driver.savepoint():
                    yield
                return
            with self._outermost():
                yield
            if self.after_commit:
                self.after_commit()

    @contextmanager
    def _outermost(self) -> Iterator[None]:
        self._writing = True
        try:
            with self._driver.transaction():
                yield
                if self.before_commit:
                    self.before_commit()
        finally:
            self._writing = False

    def _statement(self) -> AbstractContextManager[None]:
        """What a single write runs in: a transaction of its own, unless there is one already."""
        return self._driver.statement() if self._writing else self.transaction()

    def soundness(self) -> str:
        """The database's own verdict on its pages: ``ok``, or what is damaged."""
        with self._lock, translated(self.name):
            return self._driver.soundness()

    # ---------------------------------------------------------------------------------- reading

    def _rows(self, query: Prepared, values: Mapping[str, Any] = NOTHING) -> Sequence[Any]:
        """Rows of a prepared query; their fields are named like the columns."""
        with self._lock, translated(self.name):
            try:
                return self._driver.read(query, values, writing=self._writing)
            except (ValueError, TypeError, ArithmeticError) as error:
                raise IllStored(str(error)) from error

    def _row(self, query: Prepared, values: Mapping[str, Any] = NOTHING) -> Any:
        rows = self._rows(query, values)
        return rows[0] if rows else None

    def _scalar(self, query: Prepared, values: Mapping[str, Any] = NOTHING) -> Any:
        row = self._row(query, values)
        return None if row is None else row[0]

    def _find(
        self,
        table: Table,
        wanted: Mapping[str, Any],
        *by: str,
        shape: Callable[[Any], Any] | None = None,
    ) -> Sequence[Any]:
        """Rows that hold the wanted values (None is NULL), ordered by columns, in a shape."""
        return self._rows(selecting(table, wanting(wanted), by, shape), named(wanted))

    # ---------------------------------------------------------------------------------- writing

    def _insert(self, table: Table, values: Mapping[str, Any]) -> int:
        """Insert one row and return its integer key, or 0 if it has none."""
        with self._lock, translated(self.name), self._statement():
            return self._driver.insert(inserting(table, tuple(values)), values)

    def _insert_many(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that have the same columns."""
        if rows:
            with self._lock, translated(self.name), self._statement():
                self._driver.change_many(inserting(table, tuple(rows[0])), rows)

    def _update_many(self, table: Table, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """Update rows by their integer key; all rows give the same columns."""
        if rows:
            changes = [{ROW_KEY: row_key, **values} for row_key, values in rows.items()]
            columns = tuple(name for name in changes[0] if name != ROW_KEY)
            with self._lock, translated(self.name), self._statement():
                self._driver.change_many(updating_by_key(table, columns), changes)

    def _execute(self, statement: Prepared, values: Mapping[str, Any]) -> int:
        """Run a prepared change and return how many rows it met."""
        with self._lock, translated(self.name), self._statement():
            return self._driver.change(statement, values)

    def _update(self, table: Table, wanted: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Update the rows that hold the wanted values (None is NULL); returns how many."""
        statement = updating(table, wanting(wanted), tuple(values))
        return self._execute(statement, {**named(wanted), **values})

    def _update_one(
        self, table: Table, wanted: Mapping[str, Any], values: Mapping[str, Any], what: str
    ) -> None:
        """Update the one row that is wanted, or raise `RecordRefused` about ``what``."""
        if self._update(table, wanted, values) != 1:
            raise RecordRefused(what, "there is no such row")

    def _upsert(self, table: Table, identity: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        with self.transaction():
            if not self._update(table, identity, values):
                self._insert(table, {**identity, **values})
