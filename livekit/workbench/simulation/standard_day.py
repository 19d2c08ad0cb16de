"""The standard day: everything that a day can hold, the same each time.

Held from Monday: AAA (its stop is gapped through at Tuesday's open), BBB (leaves by an exit
decided before) and CCC (a loser that is rotated out). Tuesday brings three candidates: DDD, bought
and stopped out the same day, EEE and FFF. With ``rough`` fills some orders fill in parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.engine.settings import FillModelName
from livekit.broker.venue.faults import FaultRule, FaultSchedule
from livekit.config import LiveConfig, Profile
from livekit.model import TREND_BREAK, Candidate, DailyBars
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.switch import kill
from livekit.workbench.daily import run_daily
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.judging import judge_the_end
from livekit.workbench.simulation.market import history_of
from livekit.workbench.simulation.morning import beginning, settings_of
from livekit.workbench.simulation.points import Act, Crash, Cut, Points, crash_at
from livekit.workbench.simulation.referee import Referee
from livekit.workbench.simulation.stage import Frozen, Stage, Unwatched, Watcher

__all__ = [
    "StandardDay",
    "Struck",
    "make_standard_day",
    "run_standard_day",
    "settle",
    "stage_of",
]

MONDAY, TUESDAY, LAST = date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 10)
HISTORY_START = date(2019, 11, 25)
TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
PRICE = 50.0
BARS = {
    ("AAA", TUESDAY): (40.0, 40.0, 40.0, 40.0),
    ("CCC", MONDAY): (50.0, 50.0, 48.0, 48.0),
    ("DDD", TUESDAY): (50.0, 51.0, 44.0, 46.0),
}
RUNS_UNTIL_QUIET = 3
QUIET_CODES = (0, 3)  # 3: the kill switch is on


@dataclass(frozen=True, slots=True)
class StandardDay:
    """Tuesday's morning, ready to be played any number of times."""

    profile: Profile
    history: PriceHistory
    frozen: Frozen
    folder: Path


@dataclass(frozen=True, slots=True)
class Struck:
    """What one run of the day came to.

    ``books`` hold everything that must be the same after any crash, times and attempt numbers
    aside. ``reached`` are the cuts that were struck; ``counts`` are the requests and commits of the
    first process.
    """

    books: str
    reached: tuple[Cut, ...]
    counts: dict[str, int]
    violations: tuple[str, ...]


def make_standard_day(
    folder: Path, books: MemoryBooks, fill_model: FillModelName = "parity"
) -> StandardDay:
    """Play Monday quietly and stop on Tuesday's morning."""
    profile = Profile(
        venue="simulated",
        first_session=MONDAY,
        fill_model=fill_model,
        name=f"standard-{fill_model}",
        outputs=folder,
        trading=LiveConfig(
            max_positions=4,
            fmp_lookback_days=40,
            primary_trailing_period=2,
            shadow_trailing_period=2,
        ),
    )
    history = history_of({ticker: _bars(ticker) for ticker in TICKERS}, "standard day")
    begun = beginning(profile, folder, MONDAY, books)
    stage = Stage(profile, settings_of(profile), history, begun, books, Unwatched())
    with stage.process() as desk:
        _report(desk, MONDAY, ("AAA", 70.0), ("BBB", 69.0), ("CCC", 60.0))
        run_daily(desk, MONDAY)
        (leaving,) = [item for item in desk.db.get_open_positions() if item.ticker == "BBB"]
        desk.db.update_position(
            leaving.position_id or 0, pending_reason=TREND_BREAK, pending_since=MONDAY
        )
        _report(desk, TUESDAY, ("DDD", 90.0), ("EEE", 85.0), ("FFF", 80.0))
    return StandardDay(profile, history, stage.freeze(), folder)


def _bars(ticker: str) -> DailyBars:
    sessions = sessions_between(HISTORY_START, LAST)
    rows = []
    level = PRICE
    for session in sessions:
        rows.append(BARS.get((ticker, session), (level, level, level, level)))
        level = rows[-1][3]
    open_, high, low, close = (np.asarray(column) for column in zip(*rows, strict=True))
    one = np.ones(len(rows))
    days = np.asarray(sessions, dtype="datetime64[D]")
    return DailyBars(ticker, days, open_, high, low, close, close, one * 1_000_000, one * 0, one)


def _report(desk: Desk, session: date, *stocks: tuple[str, float]) -> None:
    found = tuple(Candidate(ticker, session, "B", score) for ticker, score in stocks)
    desk.db.save_candidates(session, found, at=desk.clock.now())


def run_standard_day(
    standard: StandardDay,
    books: MemoryBooks,
    cuts: Sequence[Cut] = (),
    *,
    rules: Sequence[FaultRule] = (),
    kill_at: Cut | None = None,
) -> Struck:
    """Run Tuesday until it is quiet, dying at each of ``cuts`` in turn.

    Each cut is counted from the start of the process that it ends, so the second one strikes the
    recovery from the first. ``rules`` are faults of the venue; at ``kill_at`` of the first process
    an operator switches the kill switch on.
    """
    points = Points()
    referee = Referee(points, lambda: stage.state, books.raw)
    stage = stage_of(standard, standard.frozen, books, referee)
    stage.app.faults.install(FaultSchedule(tuple(rules)))
    acts: dict[Cut, Act] = {} if kill_at is None else {kill_at: lambda: _kill(stage)}
    counts: list[dict[str, int]] = []
    for cut in cuts:
        points.plan(acts | {cut: crash_at(cut)})
        _run(stage, referee)
        counts.append(dict(points.counts))
        acts = {}
    points.plan(acts)
    held = settle(standard, stage, referee, after_each=lambda: counts.append(dict(points.counts)))
    return Struck(held, tuple(points.reached), counts[0], tuple(referee.violations))


def stage_of(standard: StandardDay, frozen: Frozen, books: MemoryBooks, watcher: Watcher) -> Stage:
    """The day's profile at its venue, from a frozen instant on."""
    settings = settings_of(standard.profile)
    return Stage(standard.profile, settings, standard.history, frozen, books, watcher)


def settle(
    standard: StandardDay,
    stage: Stage,
    referee: Referee,
    *,
    after_each: Callable[[], None] = lambda: None,
) -> str:
    """Start the day's run until it is quiet, judge the end, and return the books."""
    for _ in range(RUNS_UNTIL_QUIET):
        code = _run(stage, referee)
        after_each()
        if code in QUIET_CODES:
            break
    else:
        referee.broken("I23 liveness", f"not quiet, exit {code}")
    with stage.process() as desk:
        judge_the_end(stage, desk, referee, standard.folder)
        return _books(desk.db, stage)


def _kill(stage: Stage) -> None:
    with stage.process(watched=False) as desk:
        kill(desk, "drill", "operator")


def _run(stage: Stage, referee: Referee) -> int | None:
    """One process: its exit code, or None when it crashed."""
    with stage.process() as desk:
        try:
            return run_daily(desk, TUESDAY).exit_code
        except Crash:
            referee.crashed()
            return None


def _books(db: StateDB, stage: Stage) -> str:
    positions = [replace(item, position_id=None, stop_order_id=None) for item in db.get_positions()]
    content = {
        "positions": sorted(map(str, positions)),
        "fills": sorted(
            str((item.ticker, item.side, item.quantity, item.price)) for item in db.get_fills()
        ),
        "working": sorted(
            str((item.ticker, item.intent, item.remaining_qty))
            for item in db.get_orders(working_only=True)
        ),
        "equity": [
            str((item.session, item.book, item.realised, item.unrealised))
            for book in ("broker", "ema_p2", "nwl_p2")
            for item in db.get_equity(book)
        ],
        "breaks": [item.facts for item in db.open_breaks()],
        "venue": [
            str({name: row.qty for name, row in sorted(stage.state.positions.items()) if row.qty}),
            str(stage.state.cash_usd),
        ],
    }
    return json.dumps(content, indent=1)
