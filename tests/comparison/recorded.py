"""A record made by trading a few sessions of a small world, for the tests to read and to spoil."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from livekit.config import LiveConfig, Profile
from livekit.sessions import sessions_between
from livekit.state import StateDB
from tests.trading.world import world

FIRST = date(2020, 1, 6)  # a Monday, the session of the registration
LAST = date(2020, 1, 17)
SESSIONS = sessions_between(FIRST, LAST)
PRICES = {"ABC": 50.0, "DEF": 20.0, "GHI": 80.0}
BARS = {
    ("ABC", date(2020, 1, 8)): (49.0, 49.5, 44.0, 46.0),  # through the stop at 45
    ("DEF", date(2020, 1, 9)): (21.0, 23.0, 20.5, 22.5),
    ("GHI", date(2020, 1, 14)): (70.0, 71.0, 69.0, 70.5),  # opens below the stop at 72
}


@dataclass(frozen=True)
class Record:
    """A profile whose books are closed."""

    profile: Profile

    @property
    def config(self) -> LiveConfig:
        return self.profile.trading

    @contextmanager
    def opened(self) -> Iterator[StateDB]:
        with StateDB(self.profile.state_db) as db:
            yield db

    def spoil(self, *statements: str) -> None:
        """Change the database behind the program's back; triggers are taken away first."""
        with sqlite3.connect(self.profile.state_db) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in names.fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                assert connection.execute(statement).rowcount > 0, statement
        connection.close()


def trade_record(folder: Path, fill_model: str = "parity") -> Record:
    """Ten sessions: a stop, a gap through a stop, and one position that stays."""
    with world(folder, PRICES, BARS, fill_model=fill_model) as w:
        for session in SESSIONS:
            stocks = {
                FIRST: (("ABC", 80.0, 50.0), ("DEF", 70.0, 20.0)),
                date(2020, 1, 13): (("GHI", 75.0, 80.0),),
            }.get(session, ())
            if stocks:
                w.report(session, *stocks)
            assert w.trade(session).exit_code == 0
        return Record(w.profile)


def copied(record: Record, folder: Path) -> Record:
    """The same record in another place, free to be spoiled."""
    shutil.copytree(record.profile.home, folder / record.profile.name)
    return Record(replace(record.profile, outputs=folder))
