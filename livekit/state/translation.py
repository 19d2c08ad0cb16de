"""The one place where database errors become ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from livekit.errors import LivekitError, LockHeld, RecordRefused, StateUnusable

__all__ = ["translated"]

_BUSY_STATES = frozenset({"40001", "40P01", "55P03"})  # PostgreSQL: serialization, deadlock, lock


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise every database error inside as one of ours; ``name`` is the database's path or URL.

    A broken constraint or an ill-typed value is `RecordRefused`, a lock that was not released
    within the timeout `LockHeld`, everything else `StateUnusable`.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _translation(name, error) from error


def _translation(name: str, error: SQLAlchemyError | sqlite3.Error) -> LivekitError:
    cause = (error.orig or error) if isinstance(error, StatementError) else error
    ill_typed = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
    if ill_typed or isinstance(error, IntegrityError):
        return RecordRefused(name, str(cause))
    if _is_busy(cause):
        return LockHeld(f"state database {name}")
    return StateUnusable(name, str(cause))


def _is_busy(cause: BaseException) -> bool:
    primary_code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    locked = primary_code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return locked or getattr(cause, "sqlstate", None) in _BUSY_STATES
