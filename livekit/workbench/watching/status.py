"""What ``livekit status`` answers: how do things stand, and what happens next?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from livekit.clock import SystemClock
from livekit.config import Profile
from livekit.errors import LivekitError
from livekit.model import Break, Position
from livekit.sessions import exchange_time, next_session, session_of
from livekit.state import Alert, EquityPoint, Run, StateDB
from livekit.trading.break_rules import age_of
from livekit.trading.holdings import recent_bars
from livekit.trading.opening import desk_on, open_link
from livekit.trading.phases import BROKER, PHASES, due_instant, last_instant
from livekit.workbench.daily import DONE
from livekit.workbench.tables import (
    NOTHING,
    Column,
    Row,
    Table,
    Tone,
    exchange_text,
    facts_table,
    market_price,
    pct,
    price,
    usd,
)

__all__ = ["Due", "Status", "StopDistance", "next_due", "profile_status", "status_tables"]

LAST_RUNS = 10
LAST_ALERTS = 10


@dataclass(frozen=True, slots=True)
class StopDistance:
    """A position and how far its last close stands above its stop; None without a close."""

    position: Position
    close: float | None

    @property
    def distance_usd(self) -> float | None:
        """Last close minus stop, USD a share."""
        return None if self.close is None else self.close - float(self.position.stop_price)

    @property
    def distance_pct(self) -> float | None:
        """The distance as a percentage of the last close."""
        if self.close is None or self.distance_usd is None:
            return None
        return self.distance_usd / self.close * 100.0


@dataclass(frozen=True, slots=True)
class Due:
    """The phase that comes next and since when, or from when on, it is due."""

    phase: str
    session: date
    at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """How a profile stands; ``trouble`` says why prices are missing, if they are."""

    profile: Profile
    now: datetime
    kill_switch: str
    runs: tuple[Run, ...]
    positions: tuple[StopDistance, ...]
    breaks: tuple[Break, ...]
    alerts: tuple[Alert, ...]
    undelivered: int
    equity: EquityPoint | None
    due: Due | None
    trouble: str = ""

    @property
    def exit_code(self) -> int:
        """3 with the kill switch on, 4 with open breaks, else 0."""
        return 3 if self.kill_switch else 4 if self.breaks else 0


def next_due(runs: Sequence[Run], now: datetime) -> Due | None:
    """The phase that is due or becomes due next, among those of this session and the next one."""
    session = session_of(now)
    done = {(run.session, run.phase) for run in runs if run.status == DONE}
    waiting = [
        Due(phase, day, due_instant(phase, day))
        for day in (session, next_session(session))
        for phase in PHASES
        if (day, phase) not in done and last_instant(phase, day) > now
    ]
    return min(waiting, key=lambda item: item.at, default=None)


def profile_status(profile: Profile) -> Status:
    """Read how a profile stands; the venue is asked for prices alone and may be out of reach."""
    with StateDB(profile.state_db) as db:
        runs = db.get_runs()
        held = db.get_open_positions()
        try:
            with open_link(profile) as link:
                desk = desk_on(profile, link, db, who="status")
                now, session = link.clock.now(), desk.order_session()
                bars = recent_bars(desk, [item.ticker for item in held], session, session)
            trouble = ""
        except LivekitError as error:
            times = [run.finished_at or run.started_at for run in runs]
            simulated = profile.venue == "simulated" and times
            now = max(times) if simulated else SystemClock().now()
            bars, trouble = {}, str(error)
        closes = {ticker: float(found.close[-1]) for ticker, found in bars.items() if len(found)}
        alerts = [alert for alert in db.get_alerts() if alert.severity != "info"]
        points = db.get_equity(BROKER)
        return Status(
            profile=profile,
            now=now,
            kill_switch=db.kill_switch_reason() if db.is_kill_switch_on() else "",
            runs=tuple(runs[-LAST_RUNS:]),
            positions=tuple(StopDistance(item, closes.get(item.ticker)) for item in held),
            breaks=tuple(db.open_breaks()),
            alerts=tuple(alerts[-LAST_ALERTS:]),
            undelivered=len(db.pending_alerts()),
            equity=points[-1] if points else None,
            due=next_due(runs, now),
            trouble=trouble,
        )


# --------------------------------------------------------------------------------------- showing


def status_tables(status: Status) -> tuple[Table, ...]:
    """The tables of a status, the gravest first."""
    return (
        facts_table(f"Profile {status.profile.name}", _facts(status)),
        _breaks_table(status),
        _alerts_table(status.alerts),
        _positions_table(status.positions),
        _runs_table(status.runs),
    )


def _facts(status: Status) -> list[tuple[str, str]]:
    simulated = " (SIMULATED)" if status.profile.venue == "simulated" else ""
    facts = [
        ("now", f"{exchange_text(status.now)}{simulated}"),
        ("kill switch", f"ON: {status.kill_switch}" if status.kill_switch else "off"),
        ("next", _due_text(status)),
        ("alerts not delivered", str(status.undelivered)),
    ]
    if status.equity is not None:
        result = usd(status.equity.realised + status.equity.unrealised, signed=True)
        facts.insert(2, ("P&L", f"{result} USD after {status.equity.session}"))
    return facts + ([("prices", f"not known: {status.trouble}")] if status.trouble else [])


def _due_text(status: Status) -> str:
    if status.due is None:
        return "nothing is due"
    at = exchange_time(status.due.at)
    when = "due now, since" if status.due.at <= status.now else "due at"
    return f"{status.due.phase} of {status.due.session}, {when} {at:%Y-%m-%d %H:%M} New York"


def _breaks_table(status: Status) -> Table:
    columns = tuple(Column(title) for title in ("break", "age", "kind", "ticker", "facts"))
    rows = (_break_row(item, status.now) for item in status.breaks)
    return Table("Open breaks", columns, tuple(rows))


def _break_row(item: Break, now: datetime) -> Row:
    number = NOTHING if item.break_id is None else str(item.break_id)
    age = age_of(item, now) or NOTHING
    return Row((number, age, item.kind, item.ticker or NOTHING, item.facts), "bad")


def _alerts_table(alerts: Sequence[Alert]) -> Table:
    columns = (Column("when"), Column("kind"), Column("alert"), Column("delivered"))
    rows = tuple(
        Row(
            (
                exchange_text(alert.at),
                alert.kind,
                alert.text,
                "yes" if alert.delivered_at else "no",
            ),
            _tone(alert),
        )
        for alert in reversed(alerts)
    )
    return Table("Last alerts", columns, rows)


def _tone(alert: Alert) -> Tone:
    return "bad" if alert.severity == "critical" else "warn"


def _positions_table(positions: Sequence[StopDistance]) -> Table:
    columns = (
        Column("ticker"),
        Column("shares", number=True),
        Column("close, USD", number=True),
        Column("stop, USD", number=True),
        Column("to the stop", number=True),
        Column("for the position, USD", number=True),
        Column("pending exit"),
    )
    ordered = sorted(positions, key=lambda item: (item.distance_pct is None, item.distance_pct))
    return Table("Positions, nearest to their stop first", columns, tuple(map(_stop_row, ordered)))


def _stop_row(item: StopDistance) -> Row:
    held, gap = item.position, item.distance_usd
    return Row(
        (
            held.ticker,
            str(held.shares_now),
            market_price(item.close),
            price(held.stop_price),
            pct(item.distance_pct),
            usd(None if gap is None else gap * held.shares_now, signed=True),
            held.pending_reason or NOTHING,
        ),
        "bad" if gap is not None and gap <= 0 else "warn" if held.pending_reason else "",
    )


def _runs_table(runs: Sequence[Run]) -> Table:
    columns = (
        Column("session"),
        Column("phase"),
        Column("attempt", number=True),
        Column("status"),
        Column("exit", number=True),
        Column("message"),
    )
    rows = tuple(
        Row(
            (
                run.session.isoformat(),
                run.phase,
                str(run.attempt),
                run.status,
                NOTHING if run.exit_code is None else str(run.exit_code),
                run.message[:70],
            ),
            "bad" if run.exit_code not in (0, 5) else "",
        )
        for run in reversed(runs)
    )
    return Table("Last runs, newest first", columns, rows)
