"""One connection to the database, its transactions, and the statements that the books run on it.

Every public write is a transaction of its own unless it runs inside `Gateway.transaction`; there it
is a savepoint, so a refused write leaves the rest of the transaction usable. A write takes the
database's write lock at its first statement, never later: two writers wait for each other and
neither acts on what the other is about to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Row,
    Table,
    bindparam,
    insert,
    update,
)

from livekit.errors import RecordRefused
from livekit.state.translation import translated

__all__ = ["Gateway"]


class Gateway:
    """The connection that all parts of `StateDB` share.

    Attributes:
        name: The database's path or URL, for messages.
        before_commit: Called just before each commit; what it raises rolls back.
        after_commit: Called just after each commit.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self.before_commit: Callable[[], None] | None = None
        self.after_commit: Callable[[], None] | None = None
        self._engine = engine
        self._lock = RLock()
        self._writing = False
        self._is_sqlite = engine.dialect.name == "sqlite"
        with translated(name):
            self._connection: Connection = engine.connect()

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
                with self._connection.begin_nested():
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
            with self._connection.begin():
                if self._is_sqlite:
                    self._connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield
                if self.before_commit:
                    self.before_commit()
        finally:
            self._writing = False

    def _statement(self) -> AbstractContextManager[None]:
        """What a single write runs in: a transaction of its own, unless there is one already.

        SQLite undoes a refused statement by itself; elsewhere it would spoil the transaction.
        """
        return nullcontext() if self._writing and self._is_sqlite else self.transaction()

    def soundness(self) -> str:
        """The database's own verdict on its pages: ``ok``, or what is damaged."""
        if not self._is_sqlite:
            return "ok"
        with self._lock, translated(self.name):
            return str(self._connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())

    # ---------------------------------------------------------------------------------- reading

    def _rows(self, statement: Executable) -> Sequence[Row[Any]]:
        with self._lock, translated(self.name):
            try:
                return self._connection.execute(statement).all()
            finally:
                if not self._writing:
                    self._connection.rollback()

    def _row(self, statement: Executable) -> Row[Any] | None:
        rows = self._rows(statement)
        return rows[0] if rows else None

    def _scalar(self, statement: Executable) -> Any:
        row = self._row(statement)
        return None if row is None else row[0]

    # ---------------------------------------------------------------------------------- writing

    def _insert(self, table: Table, values: Mapping[str, Any]) -> int:
        """Insert one row and return its integer key, or 0 if it has none."""
        with self._lock, translated(self.name), self._statement():
            result = self._connection.execute(insert(table), dict(values))
            identity = result.inserted_primary_key
        first = identity[0] if identity else None
        return first if isinstance(first, int) else 0

    def _insert_many(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that have the same columns."""
        if rows:
            with self._lock, translated(self.name), self._statement():
                self._connection.execute(insert(table), [dict(row) for row in rows])

    def _update_many(self, table: Table, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """Update rows by their integer key; all rows give the same columns."""
        if rows:
            [identity] = table.primary_key.columns
            by_key = update(table).where(identity == bindparam("row_key"))
            changes = [{"row_key": row_key, **values} for row_key, values in rows.items()]
            with self._lock, translated(self.name), self._statement():
                self._connection.execute(by_key, changes)

    def _update(self, table: Table, where: ColumnElement[bool], values: Mapping[str, Any]) -> int:
        """Update and return how many rows were meant."""
        change = update(table).where(where).values(dict(values))
        with self._lock, translated(self.name), self._statement():
            return self._connection.execute(change).rowcount

    def _update_one(
        self, table: Table, where: ColumnElement[bool], values: Mapping[str, Any], what: str
    ) -> None:
        """Update the row that ``where`` names, or raise `RecordRefused` about ``what``."""
        if self._update(table, where, values) != 1:
            raise RecordRefused(what, "there is no such row")

    def _upsert(
        self,
        table: Table,
        where: ColumnElement[bool],
        identity: Mapping[str, Any],
        values: Mapping[str, Any],
    ) -> None:
        with self.transaction():
            if not self._update(table, where, values):
                self._insert(table, {**identity, **values})
