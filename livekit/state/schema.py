"""The column types of the state database; the tables made of them are in `tables`.

Money is `Decimal` in the program and canonical decimal text in SQLite, so that no binary float
ever rounds it. A session is ISO text, an instant UTC ISO text with microseconds (both sort as
text), a flag 0 or 1. Each type has a native variant on PostgreSQL. Twin books are simulations and
keep floats (REAL, 8 bytes, which round-trip exactly).
"""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import REAL, CheckConstraint, Column, Dialect, Integer, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = [
    "Flag",
    "Instant",
    "Money",
    "Session",
    "Whole",
    "append_only",
    "canonical_decimal",
    "flag",
    "flag_check",
    "instant",
    "key",
    "money",
    "number",
    "session",
    "whole",
    "words",
]

# ----------------------------------------------------------------------------------------- types


class Money(TypeDecorator[Decimal]):
    """USD (or a price) as `Decimal`; text without exponent or trailing zeros in SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """NUMERIC on PostgreSQL, TEXT elsewhere."""
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.NUMERIC() if native else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Refuse anything but a finite `Decimal`."""
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise ValueError(f"{value!r} is not a finite Decimal")
        return value if dialect.name == "postgresql" else canonical_decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Back to `Decimal`."""
        return None if value is None else Decimal(value)


def canonical_decimal(value: Decimal) -> str:
    """The one text of a decimal value: 10, 10.0 and 1E+1 are all ``10``."""
    plain = format(value, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


class Session(TypeDecorator[date]):
    """A `date`, as ``YYYY-MM-DD``."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """DATE on PostgreSQL, TEXT elsewhere."""
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.DATE() if native else Text())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        """Refuse instants: a session has no time of day."""
        if value is None:
            return None
        if not isinstance(value, date) or isinstance(value, datetime):
            raise ValueError(f"{value!r} is not a date")
        return value if dialect.name == "postgresql" else value.isoformat()

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:  # noqa: ARG002
        """Back to `date`."""
        return date.fromisoformat(value) if isinstance(value, str) else value


class Instant(TypeDecorator[datetime]):
    """An aware `datetime`, as UTC ISO text with microseconds; it comes back in UTC."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """TIMESTAMP WITH TIME ZONE on PostgreSQL, TEXT elsewhere."""
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True) if native else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive datetimes: nobody knows which instant they mean."""
        if value is None:
            return None
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise ValueError(f"{value!r} is not an aware datetime")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Back to an aware `datetime` in UTC."""
        if value is None:
            return None
        found: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
        return found.astimezone(UTC)


class Flag(TypeDecorator[bool]):
    """A `bool`, as 0 or 1."""

    impl = Integer
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """BOOLEAN on PostgreSQL, INTEGER elsewhere."""
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.BOOLEAN() if native else Integer())

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:  # noqa: FBT001
        """Refuse numbers that merely look like flags."""
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{value!r} is not a bool")
        return value if value is None or dialect.name == "postgresql" else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:  # noqa: ARG002
        """Back to `bool`."""
        return None if value is None else bool(value)


class Whole(TypeDecorator[int]):
    """An `int`; also one of numpy's, but never a float that happens to be whole."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Refuse fractions of a share."""
        return None if value is None else operator.index(value)


# --------------------------------------------------------------------------------- column makers

_REAL: TypeEngine[float] = REAL().with_variant(postgresql.DOUBLE_PRECISION(), "postgresql")


def key(name: str) -> Column[Any]:
    """The table's own integer key."""
    return Column(name, Integer, primary_key=True)


def words(name: str, *parts: Any, null: bool = False) -> Column[Any]:
    """Text."""
    return Column(name, Text, *parts, nullable=null)


def whole(name: str, *parts: Any, null: bool = False) -> Column[Any]:
    """An integer."""
    return Column(name, Whole, *parts, nullable=null)


def number(name: str, *, null: bool = False) -> Column[Any]:
    """A float."""
    return Column(name, _REAL, nullable=null)


def money(name: str, *, null: bool = False) -> Column[Any]:
    """A `Decimal`."""
    return Column(name, Money, nullable=null)


def session(name: str = "session", *parts: Any, null: bool = False) -> Column[Any]:
    """A session."""
    return Column(name, Session, *parts, nullable=null)


def instant(name: str, *, null: bool = False) -> Column[Any]:
    """An instant."""
    return Column(name, Instant, nullable=null)


def flag(name: str) -> Column[Any]:
    """A flag."""
    return Column(name, Flag, nullable=False)


def flag_check(name: str) -> CheckConstraint:
    """What stands in for a boolean type where the database has none."""
    return CheckConstraint(f"{name} IN (0, 1)", name=name).ddl_if(dialect="sqlite")


def append_only(table: str, facts: str, dialect: str) -> tuple[str, ...]:
    """Statements that make ``table`` refuse deletion and changes of the columns ``facts``."""
    if dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        return (
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OF {facts} ON {table} {refuse}",
        )
    refuse = f"FOR EACH ROW EXECUTE FUNCTION {table}_refuse()"
    fail = f"RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '23000'"
    body = f"$$ BEGIN {fail}; END $$"
    return (
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS {body}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OF {facts} ON {table} {refuse}",
    )
