"""What the books of a simulated day answered, remembered for as long as nothing was written.

A simulated day asks the books the same few questions many hundred times, and most of the time
nothing has changed in between. One connection serves every process of a day, so whatever writes
passes here or shows in SQLite's own count of changed rows; a write to a table ends what is known of
it. Within a transaction nothing is remembered, so a rollback cannot matter. The books of a real
profile are never read like this: there another process may write. Days that go through alpaca-py
read plainly too, so that a difference would show.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Delete, Insert, Table, Update
from sqlalchemy.sql import visitors

from livekit.state.driving import Direct
from livekit.state.prepared import Prepared

__all__ = ["Answers", "Remembering"]

T = TypeVar("T")
Values = Mapping[str, Any]
Known = dict[Any, Sequence[Any]]  # answers by question; a table's lives until the table is written


class Answers:
    """What is known of each table, for all handles of one connection."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self._changes = raw.total_changes
        self._tables: dict[str, Known] = {}
        self._read: dict[str, Known] = {}
        self._derived: dict[str, tuple[dict[str, Known], Any]] = {}

    @property
    def is_usable(self) -> bool:
        """Whether answers may be remembered now: not within a transaction."""
        return not self._raw.in_transaction

    def forget(self) -> None:
        """Anything may have happened to any table."""
        self._tables.clear()
        self._changes = self._raw.total_changes

    def wrote(self, table: str, most: int) -> None:
        """A statement has changed at most so many rows of a table, and nothing else."""
        if self._raw.total_changes - self._changes > most:
            self.forget()
        self._tables.pop(table, None)
        self._changes = self._raw.total_changes

    def of(self, table: str) -> Known:
        """What is known of a table; nothing after a write that did not come by `wrote`."""
        if self._raw.total_changes != self._changes:
            self.forget()
        known = self._read[table] = self._tables.setdefault(table, {})
        return known

    def derived(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` derives from the books alone, made anew once a table it reads has changed.

        Every read of ``make`` must pass through `Remembering`.
        """
        if not self.is_usable:
            return make()
        read, value = self._derived.get(name, ({}, None))
        if read and all(self.of(table) is known for table, known in read.items()):
            made: T = value
            return made
        self._read = {}
        value = make()
        self._derived[name] = (self._read, value)
        return value


class Remembering(Direct):
    """`Direct` that answers a question as before while the tables it reads are as before."""

    def __init__(self, raw: sqlite3.Connection, answers: Answers) -> None:
        super().__init__(raw)
        self._answers = answers

    def read(self, query: Prepared, values: Values, *, writing: bool) -> Sequence[Any]:
        """The rows of a query, which nobody changes."""
        read = [self._answers.of(table) for table in _tables(query)]
        if len(read) != 1 or not self._answers.is_usable:
            return super().read(query, values, writing=writing)
        [known] = read
        key = (query, *query.driven.bound(values))
        if key not in known:
            known[key] = tuple(super().read(query, values, writing=writing))
        return known[key]

    def change(self, statement: Prepared, values: Values) -> int:
        """Run one change; returns how many rows it met."""
        met = super().change(statement, values)
        self._answers.wrote(_written(statement), met)
        return met

    def insert(self, statement: Prepared, values: Values) -> int:
        """Insert one row; returns its integer key, or 0 if it has none."""
        key = super().insert(statement, values)
        self._answers.wrote(_written(statement), 1)
        return key

    def change_many(self, statement: Prepared, rows: Sequence[Values]) -> None:
        """Run one change with many parameters."""
        super().change_many(statement, rows)
        self._answers.wrote(_written(statement), len(rows))


@cache
def _tables(query: Prepared) -> tuple[str, ...]:
    """The tables that a query reads, those of its inner queries among them."""
    parts = visitors.iterate(query.statement)
    return tuple(sorted({part.name for part in parts if isinstance(part, Table)}))


@cache
def _written(statement: Prepared) -> str:
    changed = statement.statement
    assert isinstance(changed, Insert | Update | Delete)  # noqa: S101 - the gateway gives no other
    table = changed.table
    assert isinstance(table, Table)  # noqa: S101 - every table of the books is one
    return table.name
