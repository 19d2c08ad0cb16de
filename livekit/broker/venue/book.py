"""The venue's file: an SQLite database that a restarted venue continues from, also after SIGKILL.

Every mutating request and every move of the clock is one transaction that writes only the rows that
changed. The file names what made it (seed, fill model, cash, price file …); a book is never
continued under other settings. One process at a time holds it, by a lock file beside it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.engine.interventions import Intervention
from livekit.broker.venue.engine.records import Activity, EquityPoint, Event, Order, Position
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState
from livekit.broker.venue.rows import columns, create_table, from_row, to_row
from livekit.errors import BadInput, LockHeld

__all__ = ["SCHEMA_VERSION", "TABLES", "Book"]

SCHEMA_VERSION = "4"
READABLE_VERSIONS = ("1", "2", "3", "4")  # a later version only adds columns and tables
TABLES: dict[str, tuple[type, str]] = {
    "orders": (Order, "order_id"),
    "positions": (Position, "ticker"),
    "activities": (Activity, "number"),
    "closes": (EquityPoint, "session"),
    "events": (Event, "number"),
}
STATE_TABLE = "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"
MARKS_TABLE = (
    "CREATE TABLE IF NOT EXISTS fault_marks (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT"
)
IDENTITY = (
    "seed",
    "fill_model",
    "opening_cash_usd",
    "slippage_pct",
    "entry_slippage_pct",
    "prices",
)


class Book:
    """An open venue file. Use it as a context manager; closing it frees the lock."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise LockHeld(f"the simulated venue's book {path}") from None
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._clock: datetime | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and free the lock."""
        self._db.close()
        self._lock.release()

    def open_state(
        self, settings: VenueSettings, history: PriceHistory, start: datetime
    ) -> VenueState:
        """Continue the book, or begin it with an empty account and its clock at ``start``.

        Raises `BadInput` when the file is no venue book or belongs to a venue of other settings.
        """
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            written = self._read_values()
            if not written:
                return self._begin(settings, history, start)
            self._require_same(written, identity(settings, history))
            return self._continue(written)
        except (sqlite3.DatabaseError, KeyError, ValueError, ArithmeticError) as error:
            raise BadInput(self.path, f"is not a book of the simulated venue ({error})") from error

    def _read_values(self) -> dict[str, str]:
        with closing(self._db.execute("SELECT name FROM sqlite_master WHERE name = 'state'")) as c:
            if c.fetchone() is None:
                return {}
        return dict(self._db.execute("SELECT key, value FROM state").fetchall())

    def _begin(self, settings: VenueSettings, history: PriceHistory, start: datetime) -> VenueState:
        state = VenueState(start, settings.cash_usd, settings.cash_usd, start)
        values = {"schema_version": SCHEMA_VERSION, "created_at": start.isoformat()}
        with self._transaction():
            self._create_tables()
            self._write_values(identity(settings, history) | values | _moving(state))
        return state

    def _create_tables(self) -> None:
        self._db.execute(STATE_TABLE)
        self._db.execute(MARKS_TABLE)
        for name, (kind, key) in TABLES.items():
            self._db.execute(create_table(name, kind, key))

    def _begin_writing(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise LockHeld(f"the simulated venue's book {self.path}") from error
            raise BadInput(self.path, f"cannot be written ({error})") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._begin_writing()
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _require_same(self, written: Mapping[str, str], expected: Mapping[str, str]) -> None:
        if written.get("schema_version") not in READABLE_VERSIONS:
            version = written.get("schema_version")
            raise BadInput(self.path, f"book of version {version}, expected {SCHEMA_VERSION}")
        for name in IDENTITY:
            if written.get(name) != expected[name]:
                raise BadInput(
                    self.path,
                    f"belongs to another venue: its {name} is {written.get(name)}, "
                    f"the profile says {expected[name]}",
                )

    def _add_columns(self) -> None:
        """Bring the tables of an older book to today's columns, which may all be empty."""
        with self._transaction():
            self._db.execute(MARKS_TABLE)
            for name, (kind, _) in TABLES.items():
                present = {row[1] for row in self._db.execute(f"PRAGMA table_info({name})")}
                for column in columns(kind):
                    if column not in present:
                        self._db.execute(f"ALTER TABLE {name} ADD COLUMN {column} TEXT")
            self._write_values({"schema_version": SCHEMA_VERSION})

    def _continue(self, written: Mapping[str, str]) -> VenueState:
        if written["schema_version"] != SCHEMA_VERSION:
            self._add_columns()
        orders = sorted(self._read("orders"), key=lambda order: order.number)
        (count,) = self._db.execute("SELECT coalesce(max(number), 0) FROM events").fetchone()
        return VenueState(
            clock=datetime.fromisoformat(written["clock"]),
            cash_usd=Decimal(written["cash_usd"]),
            opening_cash_usd=Decimal(written["opening_cash_usd"]),
            created_at=datetime.fromisoformat(written["created_at"]),
            orders={order.order_id: order for order in orders},
            positions={row.ticker: row for row in self._read("positions")},
            activities=sorted(self._read("activities"), key=lambda row: row.number),
            closes=sorted(self._read("closes"), key=lambda row: row.session),
            event_count=int(count),
            blocked=written.get("blocked") == "yes",
            halted=set(json.loads(written.get("halted", "[]"))),
            interventions=[
                Intervention.read(text) for text in json.loads(written.get("interventions", "[]"))
            ],
            fault_schedule=written.get("faults", ""),
            fault_marks=dict(self._db.execute("SELECT name, count FROM fault_marks").fetchall()),
        )

    def _read(self, table: str) -> list[Any]:
        kind, _ = TABLES[table]
        names = ", ".join(columns(kind))
        rows = self._db.execute(f"SELECT {names} FROM {table}")  # noqa: S608 - our own names
        return [from_row(kind, row) for row in rows]

    def save(self, state: VenueState) -> None:
        """Write what changed since the last save; nothing is written when nothing changed."""
        if not state.is_changed and state.clock == self._clock:
            return
        changes = state.changes()
        with self._transaction():
            self._insert("orders", changes.orders)
            self._insert("positions", changes.positions)
            self._insert("activities", changes.activities)
            self._insert("closes", changes.closes)
            self._insert("events", changes.events)
            gone = [(ticker,) for ticker in changes.gone]
            self._db.executemany("DELETE FROM positions WHERE ticker = ?", gone)
            if changes.marks_are_new:
                self._db.execute("DELETE FROM fault_marks")
            self._db.executemany("INSERT OR REPLACE INTO fault_marks VALUES (?, ?)", changes.marks)
            self._write_values(_moving(state))
        state.mark_saved()
        self._clock = state.clock

    def _insert(self, table: str, records: tuple[Any, ...]) -> None:
        if not records:
            return
        rows = [to_row(record) for record in records]
        self._db.executemany(_insert_statement(table), rows)

    def _write_values(self, values: Mapping[str, str]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", list(values.items()))


@cache
def _insert_statement(table: str) -> str:
    """By name, because a continued book has its columns in another order."""
    names = columns(TABLES[table][0])
    marks = ", ".join("?" * len(names))
    return f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608


def identity(settings: VenueSettings, history: PriceHistory) -> dict[str, str]:
    """What a book belongs to."""
    return {
        "seed": str(settings.seed),
        "fill_model": settings.fill_model,
        "opening_cash_usd": f"{settings.cash_usd:f}",
        "slippage_pct": repr(settings.slippage_pct),
        "entry_slippage_pct": repr(settings.entry_slippage_pct),
        "prices": history.sha256,
    }


def _moving(state: VenueState) -> dict[str, str]:
    return {
        "clock": state.clock.isoformat(),
        "cash_usd": f"{state.cash_usd:f}",
        "blocked": "yes" if state.blocked else "no",
        "halted": json.dumps(sorted(state.halted)),
        "interventions": json.dumps([one.text for one in state.interventions]),
        "faults": state.fault_schedule,
    }
