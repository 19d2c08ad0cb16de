"""The archive's front page: what wants attention, a calendar of runs, every session with its pages.

It is made from frozen values, anew after each run, and is the only file of the archive that is
ever replaced.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from livekit.sessions import exchange_time, is_session
from livekit.workbench.archiving.assets import page_assets, page_style, templates_dir
from livekit.workbench.archiving.page import content_policy, status_tone
from livekit.workbench.tables import usd

__all__ = ["RunEntry", "render_index"]

PHASE_ORDER = ("signals", "execution", "protect", "reconciliation", "comparison", "backtest")
WORST_FIRST = ("failed", "warning", "ok")
CALENDAR_WORDS = {"ok": "ok", "warning": "withheld", "failed": "FAILED"}
TRADING_WEEKDAYS = 5
MOST_PAGED = 10


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run as the index shows it.

    ``page`` and ``notebook`` are paths below the archive's root, None if the run was not archived
    (``closed``, or a phase without a notebook). ``pnl_usd`` is the book's cumulative P&L after the
    session, where the phase knows it. ``tickers`` are those the run touched, for the search.
    """

    session: date
    phase: str
    attempt: int
    run_id: int
    status: str
    exit_code: int
    page: str | None = None
    notebook: str | None = None
    pnl_usd: Decimal | None = None
    alerts: int = 0
    message: str = ""
    tickers: tuple[str, ...] = ()

    @property
    def tone(self) -> str:
        """``ok``, ``warning`` or ``failed``."""
        return status_tone(self.exit_code)

    @property
    def words(self) -> str:
        """The phase, and how it ended unless it is simply done."""
        good = self.tone == "ok" and self.status == "done"
        return f"{self.phase} ✓" if good else f"{self.phase}: {self.status}"


@dataclass(frozen=True, slots=True)
class _Day:
    """The runs of one session, ``latest`` holding the last attempt of each phase."""

    session: date
    latest: tuple[RunEntry, ...]
    earlier: tuple[RunEntry, ...]

    @property
    def tone(self) -> str:
        """The worst among the latest attempts."""
        return min((run.tone for run in self.latest), key=WORST_FIRST.index)

    @property
    def alerts(self) -> int:
        """Alerts of all attempts together."""
        return sum(run.alerts for run in self.latest + self.earlier)

    @property
    def pnl_usd(self) -> Decimal | None:
        """Cumulative P&L as the last phase that knows it says."""
        known = [run.pnl_usd for run in self.latest if run.pnl_usd is not None]
        return known[-1] if known else None

    @property
    def words(self) -> str:
        """What the search looks through."""
        tickers = {ticker.upper() for run in self.latest + self.earlier for ticker in run.tickers}
        return " ".join([self.session.isoformat(), *sorted(tickers)])


@dataclass(frozen=True, slots=True)
class _Summary:
    tone: str
    words: str
    span: str


@dataclass(frozen=True, slots=True)
class _Cell:
    """One weekday of a calendar month; without a number it belongs to another month."""

    number: int | None = None
    word: str = ""
    tone: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class _Month:
    name: str
    weeks: tuple[tuple[_Cell, ...], ...]


def render_index(
    runs: Sequence[RunEntry], *, profile: str, simulated: bool, made_at: datetime
) -> str:
    """The index page. Attention first: runs whose latest attempt failed or withheld something."""
    days = _days(runs)
    wanting = [run for day in days for run in day.latest if run.tone != "ok"]
    wanting.sort(key=lambda run: WORST_FIRST.index(run.tone))
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            profile=profile,
            simulated=simulated,
            summary=_summary(days, wanting),
            wanting=wanting,
            paged=_paged(days),
            any_earlier=any(day.earlier for day in days),
            any_alerts=any(day.alerts for day in days),
            days=days,
            months=_months(days),
            weekdays=calendar.day_abbr[:TRADING_WEEKDAYS],
            made_at=f"{exchange_time(made_at):%Y-%m-%d %H:%M}",
            policy=content_policy(),
            style=page_style(),
            script=page_assets()[1].path,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_dir()), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"usd": partial(usd, signed=True)}
    return environment


def _days(runs: Sequence[RunEntry]) -> list[_Day]:
    """Newest session first."""
    by_session: dict[date, list[RunEntry]] = {}
    for run in runs:
        by_session.setdefault(run.session, []).append(run)
    return [_day(session, by_session[session]) for session in sorted(by_session, reverse=True)]


def _paged(days: Sequence[_Day]) -> list[_Day]:
    """The newest sessions with a page, where only some have one and would be hard to find."""
    paged = [day for day in days if any(run.page for run in day.latest)]
    return paged[:MOST_PAGED] if len(paged) < len(days) else []


def _day(session: date, runs: Sequence[RunEntry]) -> _Day:
    ordered = sorted(runs, key=lambda run: (_phase_rank(run), run.attempt, run.run_id))
    last = {run.phase: run for run in ordered}
    earlier = tuple(run for run in ordered if last[run.phase] is not run)
    return _Day(session, tuple(last.values()), earlier)


def _phase_rank(run: RunEntry) -> tuple[int, str]:
    known = run.phase in PHASE_ORDER
    return (PHASE_ORDER.index(run.phase) if known else len(PHASE_ORDER), run.phase)


def _summary(days: Sequence[_Day], wanting: Sequence[RunEntry]) -> _Summary:
    if not days:
        return _Summary("warning", "No run yet", "")
    failed = sum(run.tone == "failed" for run in wanting)
    counts = ((failed, "failed"), (len(wanting) - failed, "with something withheld"))
    words = ", ".join(f"{count} {kind}" for count, kind in counts if count)
    pnl = next((day.pnl_usd for day in days if day.pnl_usd is not None), None)
    result = f"; P&L so far {usd(pnl, signed=True)} USD" if pnl is not None else ""
    span = f" in {len(days)} sessions, {days[-1].session} to {days[0].session}{result}."
    tone = "failed" if failed else "warning" if wanting else "ok"
    return _Summary(tone, words if wanting else "All runs are in order", span)


def _months(days: Sequence[_Day]) -> list[_Month]:
    """Newest month first."""
    by_session = {day.session: day for day in days}
    months = sorted({(day.session.year, day.session.month) for day in days}, reverse=True)
    return [_month(year, month, by_session) for year, month in months]


def _month(year: int, month: int, days: Mapping[date, _Day]) -> _Month:
    weeks = (
        week[:TRADING_WEEKDAYS] for week in calendar.Calendar().monthdatescalendar(year, month)
    )
    cells = (tuple(_cell(day, month, days) for day in week) for week in weeks)
    shown = tuple(week for week in cells if any(cell.number for cell in week))
    return _Month(f"{calendar.month_name[month]} {year}", shown)


def _cell(day: date, month: int, days: Mapping[date, _Day]) -> _Cell:
    if day.month != month:
        return _Cell()
    found = days.get(day)
    if found is None:
        return _Cell(day.day, "–" if is_session(day) else "closed")
    return _Cell(day.day, CALENDAR_WORDS[found.tone], found.tone, f"s{day}")
