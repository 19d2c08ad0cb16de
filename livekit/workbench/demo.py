"""The demo: a quarter of simulated sessions through the same functions as any other day.

It registers a new profile, writes the daily reports beforehand from real earnings dates and
prices, trades session by session, runs the notebooks on four telling sessions, and ends by
checking itself: the books against the venue's file, cover from the event log, and every trade
against the portfolio simulator.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Literal, Self

from livekit.backtest import BacktestResult, PortfolioSimulator
from livekit.broker.venue.book import Book
from livekit.clock import SystemClock
from livekit.comparison.evidence import Evidence
from livekit.comparison.parity import TradeDifference, compare_trades
from livekit.config import Profile
from livekit.errors import PathUnusable, UsageError
from livekit.model import END_OF_DATA, PROTECTIVE_STOP, ROTATED_OUT, ClosedTrade, Position
from livekit.prices import ParquetPriceSource, demo_earnings_path
from livekit.prices.source import PriceSource
from livekit.reports import parse_report
from livekit.reports.writer import write_demo_reports
from livekit.sessions import sessions_between
from livekit.state import EquityPoint, StateDB
from livekit.strategy.rules import protective_stop_price, round_cents
from livekit.trading.opening import Link, desk_on, open_link
from livekit.trading.phases import BROKER, worst_exit_code
from livekit.trading.record import evidence_so_far
from livekit.trading.registration import register_profile, undone_on_refusal
from livekit.workbench.audit import Audit, audit_files, digest
from livekit.workbench.daily import DailyReport, Performer, perform_recorded, run_daily
from livekit.workbench.runs.plain import plain_performer

__all__ = ["LAST_SESSION", "DemoResult", "GappedStop", "Progress", "run_demo"]

LAST_SESSION = date(2020, 3, 31)

Progress = Callable[[date, int, int], None]
NotebookPerformer = Callable[[Profile, Link], AbstractContextManager[Performer]]


@dataclass(frozen=True, slots=True)
class GappedStop:
    """A protective stop that a session opened beyond, so that it sold below its price."""

    trade: ClosedTrade
    stop_price: float


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo showed, for the summary table.

    ``most_held`` is the largest number of positions in the broker's book after a session;
    ``books`` are the last equity points of that book, the primary twin and the shadow twin.
    """

    profile: Profile
    sessions: tuple[date, ...]
    trades: tuple[ClosedTrade, ...]
    simulated: BacktestResult
    differences: tuple[TradeDifference, ...]
    audit: Audit
    digest: str
    reports: tuple[DailyReport, ...]
    telling: tuple[date, ...]
    most_held: int
    books: tuple[EquityPoint, ...]
    evidence: Evidence

    @property
    def exit_code(self) -> int:
        """The gravest of the audit's code, the days' codes, and 4 when a trade differs.

        Trades must equal the backtest's only on the fill model that has the backtest's prices.
        """
        parity = 4 if self.differences and self.profile.fill_model == "parity" else 0
        days = (report.exit_code for report in self.reports)
        return worst_exit_code([self.audit.exit_code, parity, *days])

    @property
    def trouble(self) -> str:
        """Why the exit code is not 0, as one line; empty when it is."""
        audit = self.audit
        facts = [
            (f"{audit.worst_uncovered_s:.0f} s without cover", audit.exit_code == 7),
            (f"{len(audit.differences)} differences between the books", audit.differences),
            (f"{len(self.differences)} trades unlike the backtest's", self.differences),
        ]
        days = (f"{report.session} {report.trouble}" for report in self.reports if report.exit_code)
        return "; ".join([text for text, holds in facts if holds] + list(days)[:1])

    @property
    def gapped_stops(self) -> tuple[GappedStop, ...]:
        """Protective stops that sold below the stop's price less slippage, in order of exit."""
        config = self.profile.trading
        stopped = [item for item in self.trades if item.exit_reason == PROTECTIVE_STOP]
        judged = [
            GappedStop(item, protective_stop_price(item.entry_price, config.stop_loss_pct))
            for item in sorted(stopped, key=lambda item: item.exit_session)
        ]
        kept = 1 - config.slippage_pct / 100
        return tuple(
            item for item in judged if item.trade.exit_price < item.stop_price * kept - 1e-4
        )


def run_demo(
    profile: Profile,
    *,
    last: date = LAST_SESSION,
    notebooks: NotebookPerformer | None = None,
    progress: Progress = lambda session, done, total: None,  # noqa: ARG005 - nobody looks
) -> DemoResult:
    """Trade the stretch from the profile's first session to ``last`` on a new, empty profile.

    ``notebooks`` makes the performer of the four telling sessions; without it they leave the same
    in the books, and no pages. Raises `UsageError` unless the profile is simulated, and for a
    folder that is not a former demo's; `LockHeld` while another command has the former demo open.
    """
    first = _first_session(profile)
    prices = ParquetPriceSource(profile.prices)
    _clear(profile)
    with undone_on_refusal(profile.home):
        with open_link(profile) as link:
            register_profile(profile, link.client, link.clock)
        write_demo_reports(profile.reports_dir, prices, demo_earnings_path(), first, last)
    simulated = _simulate(profile, prices, first, last)
    telling = _telling_sessions(simulated, last)
    plain = plain_performer(sleep=SystemClock().sleep)
    sessions = sessions_between(first, last)
    reports = []
    with StateDB(profile.state_db) as db, _Venue(profile) as venue:
        for number, session in enumerate(sessions):
            progress(session, number, len(sessions))
            in_kernel = notebooks is not None and session in telling
            link = venue.link(served=in_kernel)
            desk = desk_on(profile, link, db)
            without = nullcontext(plain if session in telling else perform_recorded)
            with notebooks(profile, link) if in_kernel and notebooks else without as performer:
                reports.append(run_daily(desk, session, performer=performer))
        live = _live_trades(db, prices, first, last)
        most_held = max(point.positions for point in db.get_equity(BROKER))
        books = _last_points(db, profile)
        evidence = evidence_so_far(db, profile.trading, last)
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
        telling=telling if notebooks else (),
        most_held=most_held,
        books=books,
        evidence=evidence,
    )


def _first_session(profile: Profile) -> date:
    if profile.venue != "simulated" or profile.first_session is None:
        raise UsageError("the demo needs a simulated venue and its first_session")
    return profile.first_session


def _clear(profile: Profile) -> None:
    """Empty a former demo's folder; one that does not look like one is left alone."""
    home = profile.home
    if not home.exists():
        return
    if any(home.iterdir()) and not profile.venue_db.exists():
        raise UsageError(f"{home} exists and is no former demo's folder; move it away")
    if not os.access(home, os.W_OK | os.X_OK):
        raise PathUnusable(home, "it cannot be written")
    if profile.venue_db.exists():
        Book(profile.venue_db).close()  # raises when another command has it open
    for entry in home.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _simulate(
    profile: Profile, prices: ParquetPriceSource, first: date, last: date
) -> BacktestResult:
    """What the portfolio simulator makes of the very reports that will be traded."""
    reports = [parse_report(path) for path in sorted(profile.reports_dir.iterdir())]
    candidates = [item for report in reports for item in report.candidates]
    tickers = [item.ticker for item in candidates] or prices.tickers[:1]  # it wants some history
    history = prices.daily_bars(tickers, date(2000, 1, 3), last)
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

    def __enter__(self) -> Self:
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


def _last_points(db: StateDB, profile: Profile) -> tuple[EquityPoint, ...]:
    config = profile.trading
    names = (BROKER, config.primary_strategy, config.shadow_strategy)
    return tuple(points[-1] for name in names if (points := db.get_equity(name)))


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
