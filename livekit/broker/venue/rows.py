"""Dataclasses and named tuples as SQLite rows: decimals and instants as text, the rest as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

__all__ = ["columns", "create_table", "from_row", "to_row"]

Record = TypeVar("Record")

SQL_TYPES = {int: "INTEGER", bool: "INTEGER", float: "REAL"}
WRITERS: dict[type, Callable[[Any], str]] = {
    Decimal: "{:f}".format,
    datetime: datetime.isoformat,
    date: date.isoformat,
}
READERS: dict[type, Callable[[Any], Any]] = {
    Decimal: Decimal,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    bool: bool,
}


@cache
def _types(kind: type) -> dict[str, tuple[type, bool]]:
    """For each field its type, and whether it may be None."""
    hints = get_type_hints(kind)
    found = {}
    for name in _names(kind):
        hint = hints[name]
        choices = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        plain = next(choice for choice in choices if choice is not type(None))
        found[name] = (plain, len(choices) > 1)
    return found


def _names(kind: Any) -> tuple[str, ...]:
    """Field names of a dataclass or a named tuple."""
    named: tuple[str, ...] | None = getattr(kind, "_fields", None)
    return named if named is not None else tuple(item.name for item in fields(kind))


def columns(kind: type) -> tuple[str, ...]:
    """Column names of a record type, in the order of its fields."""
    return tuple(_types(kind))


def create_table(name: str, kind: type, key: str) -> str:
    """The statement that creates the strict table of a record type."""
    parts = [
        f"{column} {SQL_TYPES.get(plain, 'TEXT')}{'' if optional else ' NOT NULL'}"
        f"{' PRIMARY KEY' if column == key else ''}"
        for column, (plain, optional) in _types(kind).items()
    ]
    return f"CREATE TABLE {name} ({', '.join(parts)}) STRICT"


def to_row(record: Any) -> tuple[Any, ...]:
    """The values of a record, in the order of its columns."""
    kind: type = type(record)
    values = list(record if isinstance(record, tuple) else _values(kind)(record))
    for at, write in _writers(kind):
        if values[at] is not None:
            values[at] = write(values[at])
    return tuple(values)


@cache
def _values(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*columns(kind))


@cache
def _writers(kind: type) -> tuple[tuple[int, Callable[[Any], str]], ...]:
    """Positions of the columns that are not stored as they are, and how they are written."""
    kinds = enumerate(plain for plain, _ in _types(kind).values())
    return tuple((at, WRITERS[plain]) for at, plain in kinds if plain in WRITERS)


@cache
def _readers(kind: type) -> tuple[Callable[[Any], Any] | None, ...]:
    return tuple(READERS.get(plain) for plain, _ in _types(kind).values())


def from_row(kind: type[Record], row: tuple[Any, ...]) -> Record:
    """The record that ``row`` was written from."""
    return kind(
        *(
            reader(value) if reader is not None and value is not None else value
            for reader, value in zip(_readers(kind), row, strict=True)  # type: ignore[arg-type]
        )
    )
