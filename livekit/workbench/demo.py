"""The demo: a quarter of simulated sessions through the same functions as any other day.

It writes the daily reports beforehand from real earnings dates and prices, registers a new
profile, trades session by session, runs the notebooks on four telling sessions, and ends by
checking itself: the books against the venue's file, cover from the event log, and every trade
against the portfolio simulator.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from livekit.backtest import BacktestResult, PortfolioSimulator
from livekit.comparison.parity import TradeDifference, compare_trades
from livekit.config import Profile
from livekit.errors import UsageError
from livekit.model import END_OF_DATA, PROTECTIVE_STOP, ROTATED_OUT, ClosedTrade, Position
from livekit.prices import ParquetPriceSource, demo_earnings_path
from livekit.prices.source import PriceSource
from livekit.reports import parse_report
from livekit.reports.writer import write_demo_reports
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.strategy.rules import round_cents
from livekit.trading.opening import Link, desk_on, open_link
from livekit.trading.registration import register_profile
from livekit.workbench.audit import Audit, audit_files, digest
from livekit.workbench.daily import DailyReport, Performer, perform_recorded, run_daily

__all__ = ["LAST_SESSION", "DemoResult", "Progress", "run_demo"]

LAST_SESSION = date(2020, 3, 31)

Progress = Callable[[date, int, int], None]
NotebookPerformer = Callable[[Profile, Link], Performer]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo showed, for the summary table."""

    profile: Profile
    sessions: tuple[date, ...]
    trades: tuple[ClosedTrade, ...]
    simulated: BacktestResult
    differences: tuple[TradeDifference, ...]
    audit: Audit
    digest: str
    reports: tuple[DailyReport, ...]
    telling: tuple[date, ...]

    @property
    def exit_code(self) -> int:
        """The audit's code, else 4 when live and simulated trades differ, else the worst day's."""
        if self.audit.exit_code:
            return self.audit.exit_code
        if self.differences:
            return 4
        return max((report.exit_code for report in self.reports), default=0)


def run_demo(
    profile: Profile,
    *,
    last: date = LAST_SESSION,
    notebooks: NotebookPerformer | None = None,
    progress: Progress = lambda session, done, total: None,  # noqa: ARG005 - nobody looks
) -> DemoResult:
    """Trade the stretch from the profile's first session to ``last`` on a new, empty profile.

    ``notebooks`` makes the performer of the four telling sessions; without it they are performed
    in process like the others. Raises `UsageError` unless the profile is simulated, and for a
    folder that is not a former demo's.
    """
    first = _first_session(profile)
    _clear(profile.home)
    prices = ParquetPriceSource(profile.prices)
    write_demo_reports(profile.reports_dir, prices, demo_earnings_path(), first, last)
    simulated = _simulate(profile, prices, first, last)
    telling = _telling_sessions(simulated, last) if notebooks else ()
    with open_link(profile) as link:
        register_profile(profile, link.client, link.clock)
    sessions = sessions_between(first, last)
    reports = []
    with StateDB(profile.state_db) as db, _Venue(profile) as venue:
        for number, session in enumerate(sessions):
            progress(session, number, len(sessions))
            in_kernel = notebooks is not None and session in telling
            link = venue.link(served=in_kernel)
            performer = notebooks(profile, link) if in_kernel and notebooks else perform_recorded
            desk = desk_on(profile, link, db)
            reports.append(run_daily(desk, session, performer=performer))
        live = _live_trades(db, prices, first, last)
    progress(last, len(sessions), len(sessions))
    return DemoResult(
        profile=profile,
        sessions=sessions,
        trades=live,
        simulated=simulated,
        differences=compare_trades(live, simulated.closed),
        audit=audit_files(profile.venue_db, profile.state_db),
        digest=digest(profile.state_db),
        reports=tuple(reports),
        telling=telling,
    )


def _first_session(profile: Profile) -> date:
    if profile.venue != "simulated" or profile.first_session is None:
        raise UsageError("the demo needs a simulated venue and its first_session")
    return profile.first_session


def _clear(home: Path) -> None:
    """Remove a former demo; a folder that does not look like one is left alone."""
    if not home.exists():
        return
    if any(home.iterdir()) and not (home / "venue.db").exists():
        raise UsageError(f"{home} exists and is no former demo's folder; move it away")
    shutil.rmtree(home)


def _simulate(profile: Profile, prices: PriceSource, first: date, last: date) -> BacktestResult:
    """What the portfolio simulator makes of the very reports that will be traded."""
    reports = [parse_report(path) for path in sorted(profile.reports_dir.iterdir())]
    candidates = [item for report in reports for item in report.candidates]
    history = prices.daily_bars([item.ticker for item in candidates], date(2000, 1, 3), last)
    simulator = PortfolioSimulator(profile.trading, profile.trading.primary_strategy)
    return simulator.run(history, candidates, first=first, last=last)


def _telling_sessions(simulated: BacktestResult, last: date) -> tuple[date, ...]:
    """First full capacity, first rotation, the session with most stops hit, and the last one."""
    full = simulated.config.max_positions
    at_capacity = [point.session for point in simulated.curve if point.open_positions == full]
    rotations = [item.exit_session for item in simulated.closed if item.exit_reason == ROTATED_OUT]
    stops = Counter(
        item.exit_session for item in simulated.closed if item.exit_reason == PROTECTIVE_STOP
    )
    crash = [session for session, _ in stops.most_common(1)]
    return tuple(sorted({*at_capacity[:1], *sorted(rotations)[:1], *crash, last}))


class _Venue:
    """The demo's venue: in process for most sessions, a child process where kernels need it."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._served: bool | None = None
        self._link: Link | None = None
        self._stack = ExitStack()

    def __enter__(self) -> _Venue:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def link(self, *, served: bool) -> Link:
        """A link of the wanted kind; changing the kind hands the book file over."""
        if self._link is None or self._served is not served:
            self._stack.close()
            mode: Literal["served", "in_process"] = "served" if served else "in_process"
            self._link = self._stack.enter_context(open_link(self._profile, mode=mode))
            self._served = served
        return self._link


def _live_trades(
    db: StateDB, prices: PriceSource, first: date, last: date
) -> tuple[ClosedTrade, ...]:
    """The executed book's trades; what is still open is marked out at the last close."""
    positions = db.get_positions()
    bars = prices.daily_bars([item.ticker for item in positions], first, last)
    return tuple(
        _trade(position, float(bars[position.ticker].close[-1]), last) for position in positions
    )


def _trade(position: Position, last_close: float, last: date) -> ClosedTrade:
    closed = position.status == "closed" and position.exit_date is not None
    price = (
        float(position.exit_price) if position.exit_price else last_close * position.split_factor
    )
    invested = float(position.invested)
    pnl = (
        float(position.pnl)
        if position.pnl is not None
        else round_cents(price * position.actual_shares - invested)
    )
    exit_session = position.exit_date if closed and position.exit_date else last
    return ClosedTrade(
        candidate=position.candidate,
        entry_session=position.entry_date,
        entry_price=float(position.entry_price),
        shares=position.actual_shares,
        exit_session=exit_session,
        exit_price=price,
        exit_reason=(position.exit_reason or "") if closed else END_OF_DATA,
        pnl_usd=pnl,
        return_pct=pnl / invested * 100,
        hold_days=(exit_session - position.entry_date).days,
    )


def closed_by(trades: Sequence[ClosedTrade], reason: str) -> int:
    """How many trades ended for a reason."""
    return sum(trade.exit_reason == reason for trade in trades)
