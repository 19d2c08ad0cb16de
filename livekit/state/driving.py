"""How prepared statements reach the database: SQLite's driver directly, anything else by Core.

Both drivers begin a writing transaction at once, so that two writers wait for each other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from sqlalchemy import Connection

from livekit.state.prepared import Prepared

__all__ = ["Driver", "driver_of"]

Values = Mapping[str, Any]


class Driver(Protocol):
    """What the gateway asks of a connection."""

    def read(self, query: Prepared, values: Values, *, writing: bool) -> Sequence[Any]:
        """The rows of a query; ``writing`` says that a transaction of ours is open."""

    def change(self, statement: Prepared, values: Values) -> int:
        """Run one change; returns how many rows it met."""

    def insert(self, statement: Prepared, values: Values) -> int:
        """Insert one row; returns its integer key, or 0 if it has none."""

    def change_many(self, statement: Prepared, rows: Sequence[Values]) -> None:
        """Run one change with many parameters."""

    def transaction(self) -> AbstractContextManager[None]:
        """A transaction that holds the write lock."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of a transaction that may fail alone."""

    def statement(self) -> AbstractContextManager[None]:
        """What a single change within a transaction runs in, so that its failure spoils nothing."""

    def soundness(self) -> str:
        """The database's own verdict on its pages."""


def driver_of(connection: Connection) -> Driver:
    """The fastest way to the database of that connection."""
    raw = connection.connection.driver_connection
    return Direct(raw) if isinstance(raw, sqlite3.Connection) else Core(connection)


class Direct:
    """SQLite's own driver, in autocommit: transactions are begun and ended here."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def read(self, query: Prepared, values: Values, *, writing: bool) -> Sequence[Any]:  # noqa: ARG002
        """A read outside a transaction is one of its own."""
        driven = query.driven
        return driven.rows(self._raw.execute(driven.text, driven.bound(values)).fetchall())

    def change(self, statement: Prepared, values: Values) -> int:
        """Run one change; returns how many rows it met."""
        driven = statement.driven
        return self._raw.execute(driven.text, driven.bound(values)).rowcount

    def insert(self, statement: Prepared, values: Values) -> int:
        """Insert one row; returns its integer key, or 0 if it has none."""
        driven = statement.driven
        key = self._raw.execute(driven.text, driven.bound(values)).lastrowid
        return key if key is not None and statement.has_integer_key else 0

    def change_many(self, statement: Prepared, rows: Sequence[Values]) -> None:
        """Run one change with many parameters."""
        driven = statement.driven
        self._raw.executemany(driven.text, [driven.bound(row) for row in rows])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """``BEGIN IMMEDIATE`` takes the write lock before the first statement."""
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._raw.execute("COMMIT")
        except BaseException:
            if self._raw.in_transaction:  # some failures have rolled back already
                self._raw.execute("ROLLBACK")
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Savepoints of one name nest: the innermost is meant."""
        self._raw.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK TO part")
                self._raw.execute("RELEASE part")
            raise
        self._raw.execute("RELEASE part")

    def statement(self) -> AbstractContextManager[None]:
        """SQLite undoes a refused statement by itself."""
        return nullcontext()

    def soundness(self) -> str:
        """``ok``, or what is damaged."""
        return str(self._raw.execute("PRAGMA quick_check(1)").fetchone()[0])


class Core:
    """SQLAlchemy's connection, for any other database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, query: Prepared, values: Values, *, writing: bool) -> Sequence[Any]:
        """Outside a transaction of ours the one that a read begins is ended again."""
        try:
            rows = self._connection.execute(query.statement, dict(values)).all()
            return rows if query.shape is None else [query.shape(row) for row in rows]
        finally:
            if not writing:
                self._connection.rollback()

    def change(self, statement: Prepared, values: Values) -> int:
        """Run one change; returns how many rows it met."""
        return self._connection.execute(statement.statement, dict(values)).rowcount

    def insert(self, statement: Prepared, values: Values) -> int:
        """Insert one row; returns its integer key, or 0 if it has none."""
        result = self._connection.execute(statement.statement, dict(values))
        identity = result.inserted_primary_key if statement.has_integer_key else None
        return int(identity[0]) if identity else 0

    def change_many(self, statement: Prepared, rows: Sequence[Values]) -> None:
        """Run one change with many parameters."""
        self._connection.execute(statement.statement, [dict(row) for row in rows])

    def transaction(self) -> AbstractContextManager[Any]:
        """The engine is serializable, so no lock is needed at the start."""
        return self._connection.begin()

    def savepoint(self) -> AbstractContextManager[Any]:
        """A savepoint of the database."""
        return self._connection.begin_nested()

    def statement(self) -> AbstractContextManager[Any]:
        """A refused statement would spoil the transaction."""
        return self._connection.begin_nested()

    def soundness(self) -> str:
        """Other databases look after their pages themselves."""
        return "ok"
