"""The one place where database errors become ours."""

from __future__ import annotations

import sqlite3
from types import TracebackType

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from livekit.errors import LivekitError, LockHeld, RecordRefused, StateUnusable
from livekit.state.prepared import IllStored, IllTyped

__all__ = ["translated"]

_BUSY_STATES = frozenset({"40001", "40P01", "55P03"})  # PostgreSQL: serialization, deadlock, lock
_Refused = (IllTyped, IntegrityError, sqlite3.IntegrityError)


class translated:  # noqa: N801 - reads as a verb; a class, since every statement passes through it
    """Raise every database error inside as one of ours; ``name`` is the database's path or URL.

    A broken constraint or an ill-typed value is `RecordRefused`, a lock that was not released
    within the timeout `LockHeld`, everything else `StateUnusable`.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, SQLAlchemyError | sqlite3.Error | IllStored | IllTyped):
            raise _translation(self._name, error) from error


def _translation(
    name: str, error: SQLAlchemyError | sqlite3.Error | IllStored | IllTyped
) -> LivekitError:
    cause = (error.orig or error) if isinstance(error, StatementError) else error
    ill_typed = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
    if ill_typed or isinstance(error, _Refused):
        return RecordRefused(name, str(cause))
    if _is_busy(cause):
        return LockHeld(f"state database {name}")
    return StateUnusable(name, str(cause))


def _is_busy(cause: BaseException) -> bool:
    primary_code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    locked = primary_code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return locked or getattr(cause, "sqlstate", None) in _BUSY_STATES
