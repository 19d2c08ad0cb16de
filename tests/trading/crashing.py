"""A day that can be cut at any request and any commit, and started again.

The process dies by a `Crash`, which no code of the package catches: nothing after the cut runs,
the database is closed as the operating system would close it, and the venue lives on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from livekit.broker import AlpacaClient
from livekit.broker.venue.ledger import read_ledger
from livekit.broker.venue.session import VenueHandle, in_process_venue
from livekit.config import Profile
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.doctor import diagnose
from livekit.workbench.daily import run_daily
from tests.trading.world import Lossy, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)


class Crash(BaseException):
    """The power goes out."""


@dataclass(frozen=True)
class Cut:
    """Where a run is cut: the n-th request or commit, before or after it took effect."""

    kind: str  # "request" or "commit"
    number: int
    position: str  # "before" or "after"

    def __str__(self) -> str:
        return f"{self.position} {self.kind} {self.number}"


class Scissors:
    """Counts requests and commits and cuts at one of them."""

    def __init__(self, cut: Cut | None) -> None:
        self.cut = cut
        self.counts = {"request": 0, "commit": 0}
        self.struck = False

    def pass_point(self, kind: str, position: str) -> None:
        if position == "before":
            self.counts[kind] += 1
        if self.cut == Cut(kind, self.counts[kind], position) and not self.struck:
            self.struck = True
            raise Crash(str(self.cut))


class CuttingWire(Lossy):
    """A transport that can end the process before a request or after it was taken."""

    def __init__(self, inner: Any, scissors: Scissors) -> None:
        super().__init__(inner)
        self.scissors = scissors

    def send(self, request: Any, **options: Any) -> Any:
        self.scissors.pass_point("request", "before")
        response = super().send(request, **options)
        self.scissors.pass_point("request", "after")
        return response


def prepare(folder: Path, *, fill_model: str = "parity") -> Profile:
    """A profile on the morning of Tuesday with a standard day before it.

    Held from Monday: AAA (its stop is gapped through at Tuesday's open), BBB (leaves by an exit
    that was decided), CCC (a loser that is rotated out). Tuesday's report brings three candidates.
    """
    bars = {
        ("AAA", TUESDAY): (40.0, 40.0, 40.0, 40.0),
        ("CCC", MONDAY): (50.0, 50.0, 48.0, 48.0),
        ("DDD", TUESDAY): (50.0, 51.0, 44.0, 46.0),  # bought, then stopped out the same day
    }
    prices = dict.fromkeys(["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"], 50.0)
    with world(folder, prices, bars, max_positions=4, fill_model=fill_model) as w:
        w.report(MONDAY, ("AAA", 70.0, 50.0), ("BBB", 69.0, 50.0), ("CCC", 60.0, 50.0))
        w.trade(MONDAY)
        (leaving,) = [item for item in w.db.get_open_positions() if item.ticker == "BBB"]
        w.db.update_position(
            leaving.position_id, pending_reason="trend_break", pending_since=MONDAY
        )
        w.report(TUESDAY, ("DDD", 90.0, 50.0), ("EEE", 85.0, 50.0), ("FFF", 80.0, 50.0))
        return w.profile


def copy_profile(profile: Profile, folder: Path) -> Profile:
    """The same profile in another folder, with its books as they are."""
    shutil.copytree(profile.home, folder / profile.name)
    from dataclasses import replace

    return replace(profile, outputs=folder)


def desk_of(profile: Profile, venue: VenueHandle, db: StateDB, wire: Lossy) -> Desk:
    client = AlpacaClient(
        venue.api_key,
        venue.secret_key,
        venue.base_url,
        data_url=venue.data_url,
        transport=wire,
        clock=venue.clock,
    )
    return Desk(profile, db, client, AlpacaPriceSource(client, venue.clock), venue.clock)


def run_until_quiet(profile: Profile, cut: Cut | None) -> Scissors:
    """Run Tuesday, dying at ``cut``, then start again until the day is done."""
    scissors = Scissors(cut)
    with in_process_venue(profile) as venue:
        for _ in range(3):
            try:
                with _opened(profile, scissors) as db:
                    desk = desk_of(profile, venue, db, CuttingWire(venue.transport, scissors))
                    report = run_daily(desk, TUESDAY)
                    assert report.exit_code == 0, [item for item in report.phases if item.exit_code]
                    assert diagnose(desk).violations == ()
                    return scissors
            except Crash:
                continue
    raise AssertionError("the day did not come to an end")


@contextmanager
def _opened(profile: Profile, scissors: Scissors) -> Iterator[StateDB]:
    with StateDB(profile.state_db) as db:
        db.before_commit = lambda: scissors.pass_point("commit", "before")
        db.after_commit = lambda: scissors.pass_point("commit", "after")
        yield db


def books(profile: Profile) -> dict[str, Any]:
    """Everything that must be the same after any crash; times and attempt numbers aside."""
    with StateDB(profile.state_db) as db:
        positions = [
            (
                item.ticker,
                item.entry_date,
                item.entry_price,
                item.actual_shares,
                item.sold_shares,
                item.stop_price,
                item.status,
                item.exit_date,
                item.exit_price,
                item.exit_reason,
                item.pnl,
            )
            for item in db.get_positions()
        ]
        fills = [(item.ticker, item.side, item.quantity, item.price) for item in db.get_fills()]
        working = [
            (item.ticker, item.intent, item.remaining_qty)
            for item in db.get_orders(working_only=True)
        ]
        equity = [
            (item.session, item.book, item.realised, item.unrealised)
            for book in ("broker", "ema_p10", "nwl_p4")
            for item in db.get_equity(book)
        ]
        open_breaks = db.open_breaks()
    ledger = read_ledger(profile.venue_db)
    return {
        "positions": sorted(positions, key=str),
        "fills": sorted(fills, key=str),
        "working": sorted(working),
        "equity": equity,
        "breaks": open_breaks,
        "venue": (dict(ledger.positions), ledger.cash),
    }
