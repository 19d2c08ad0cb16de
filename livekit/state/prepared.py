"""Statements that are built once and compiled once.

The books ask the same few questions over and over. Each is a SQLAlchemy Core statement with named
parameters, kept for the life of the process. On SQLite its text goes straight to the driver, with
the column types' own conversions on the way in and out; anywhere else Core executes it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    insert,
    literal_column,
)
from sqlalchemy import select as core_select
from sqlalchemy import update as core_update
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

__all__ = [
    "ROW_KEY",
    "IllStored",
    "IllTyped",
    "Prepared",
    "Wanted",
    "fixed",
    "given",
    "inserting",
    "matches",
    "named",
    "selecting",
    "updating",
    "updating_by_key",
    "wanting",
]

Convert = Callable[[Any], Any]
Shape = Callable[[Any], Any]
Wanted = tuple[tuple[str, str | None], ...]  # columns, each with NULL, PARAMETER or a fixed word
NULL, PARAMETER = "null", None
Statement = Select[Any] | Insert | Update | Delete

_DIALECT = sqlite.dialect()
ROW_KEY = "row_key"
STATUS = "status"
MOST_KNOWN_ROWS = 512  # of one statement


class IllTyped(Exception):
    """A parameter that is no value of its column's type; the gateway says so in our words."""


class IllStored(Exception):
    """A stored value that is none of its column's type; the gateway says so in our words."""


class Prepared:
    """One statement.

    ``columns`` are those that an INSERT or UPDATE sets by parameters; ``shape`` makes the immutable
    value that a row of a SELECT stands for, without it a row is a named tuple.
    """

    def __init__(
        self, statement: Statement, columns: Sequence[str] = (), shape: Shape | None = None
    ) -> None:
        self.statement = statement
        self.shape = shape
        self._columns = list(columns)

    @cached_property
    def has_integer_key(self) -> bool:
        """Whether a row inserted by it gets an integer key of its own."""
        table = self.statement.table if isinstance(self.statement, Insert) else None
        return isinstance(table, Table) and table.autoincrement_column is not None

    @cached_property
    def driven(self) -> Driven:
        """The statement as SQLite's driver takes it."""
        return Driven(self.statement, self._columns, self.shape)


class Driven:
    """A compiled statement: its text, how parameters go in and how rows come out.

    Most rows are read again and again as they are, so what a row became the last time is kept.
    """

    __slots__ = ("_inputs", "_known", "_outputs", "_row", "_shape", "text")

    def __init__(self, statement: Statement, columns: Sequence[str], shape: Shape | None) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        binds = [(name, compiled.binds[name]) for name in compiled.positiontup]
        self.text = str(compiled)
        self._inputs = tuple(_input(name, bind) for name, bind in binds)
        selected = statement.selected_columns if isinstance(statement, Select) else ()
        converts = [_out_of(column.type) for column in selected]
        self._outputs = tuple((at, one) for at, one in enumerate(converts) if one is not None)
        names = [column.key or "" for column in selected]
        self._row = _row_type(names)
        self._shape = shape
        self._known: dict[Any, Any] = {}

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order; raises `IllTyped` for one that is no value of its type."""
        try:
            return [
                constant
                if name is None
                else values[name]
                if convert is None
                else convert(values[name])
                for name, convert, constant in self._inputs
            ]
        except (ValueError, TypeError, ArithmeticError) as error:
            raise IllTyped(str(error)) from error

    def rows(self, raw: Iterable[Sequence[Any]]) -> list[Any]:
        """What the rows stand for."""
        known = self._known
        return [known[row] if row in known else self._made(row) for row in raw]

    def _made(self, raw: Sequence[Any]) -> Any:
        row = self._row._make(_converted(raw, self._outputs))
        value = row if self._shape is None else self._shape(row)
        if len(self._known) >= MOST_KNOWN_ROWS:
            self._known.clear()
        self._known[raw] = value
        return value


def _input(name: str, bind: BindParameter[Any]) -> tuple[str | None, Convert | None, Any]:
    """Name, conversion and constant; a constant has no name and is converted once, here."""
    convert = _into(bind.type)
    if bind.required:
        return name, convert, None
    return None, None, bind.value if convert is None else convert(bind.value)


def _row_type(names: Sequence[str]) -> Any:
    return namedtuple("Row", names, rename=True)  # noqa: PYI024 - its fields are known only here


def _converted(row: Sequence[Any], outputs: Iterable[tuple[int, Convert]]) -> list[Any]:
    values = list(row)
    for at, convert in outputs:
        if values[at] is not None:
            values[at] = convert(values[at])
    return values


@cache
def _into(kind: TypeEngine[Any]) -> Convert | None:
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


@cache
def _out_of(kind: TypeEngine[Any]) -> Convert | None:
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)


# ------------------------------------------------------------------------- the common statements


def given(**values: Any) -> dict[str, Any]:
    """Those values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def wanting(wanted: Mapping[str, Any]) -> Wanted:
    """The columns of wanted values; None wants NULL.

    A status stands in the text: there are partial indexes on it, and SQLite plans a statement anew
    each time a parameter is bound that might let it use one.
    """
    return tuple(
        [
            (name, NULL if value is None else value if name == STATUS else PARAMETER)
            for name, value in wanted.items()
        ]
    )


def named(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted values under the names of their parameters."""
    return {f"is_{name}": value for name, value in wanted.items() if name != STATUS}


def matches(table: Table, wanted: Wanted) -> list[ColumnElement[bool]]:
    """Conditions on columns: NULL, a fixed text, or equal to the parameter ``is_{column}``."""
    return [_matches(table.c[name], told) for name, told in wanted]


def _matches(column: Column[Any], told: str | None) -> ColumnElement[bool]:
    if told is PARAMETER:
        return column == bindparam(f"is_{column.name}")
    return column.is_(None) if told == NULL else column == fixed(told)


def fixed(word: str) -> ColumnElement[str]:
    """A word that stands in the text of a statement."""
    quoted = word.replace("'", "''")
    return literal_column(f"'{quoted}'")


@cache
def selecting(
    table: Table, wanted: Wanted, by: tuple[str, ...], shape: Shape | None = None
) -> Prepared:
    """All columns of the rows that match, ordered by some columns."""
    query = core_select(table).where(*matches(table, wanted))
    return Prepared(query.order_by(*(table.c[name] for name in by)), shape=shape)


@cache
def inserting(table: Table, columns: tuple[str, ...]) -> Prepared:
    """One row."""
    return Prepared(insert(table).inline(), columns)


@cache
def updating(table: Table, wanted: Wanted, columns: tuple[str, ...]) -> Prepared:
    """The rows that match."""
    return Prepared(core_update(table).where(*matches(table, wanted)), columns)


@cache
def updating_by_key(table: Table, columns: tuple[str, ...]) -> Prepared:
    """The row with the integer key ``row_key``."""
    [identity] = table.primary_key.columns
    return Prepared(core_update(table).where(identity == bindparam(ROW_KEY)), columns)
