"""Watches the runs: what failed, what is missing, what is suspiciously quiet, and tells of it.

Everything is computed from the run log and the books, nothing is remembered; an alert whose text
is there already is not raised again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from livekit.clock import Clock, SystemClock
from livekit.config import Profile
from livekit.errors import LivekitError, LockHeld
from livekit.sessions import sessions_between
from livekit.state import Run, StateDB
from livekit.trading.phases import COMPARISON, PHASES, RECONCILIATION, last_instant
from livekit.workbench.daily import DONE, DailyReport
from livekit.workbench.notify import Pings, Target, apprise_send, targets_of
from livekit.workbench.watching.digest import store_digest
from livekit.workbench.watching.outbox import Delivered, Send, deliver

__all__ = ["IDLE_SESSIONS", "Finding", "Watch", "findings", "idle_since", "missed_sessions"]

IDLE_SESSIONS = 5
PHASE_ALERTS = {7: "uncovered", 4: "break", 1: "failed_run", 2: "failed_run", 5: "withheld"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should hear of."""

    kind: str
    severity: str
    text: str


# ------------------------------------------------------------------------------------- decisions


def missed_sessions(runs: Sequence[Run], now: datetime) -> dict[date, tuple[str, ...]]:
    """Sessions from the first run on in which a phase's time is over and it was never done.

    ``now`` is an instant of the profile's own clock.
    """
    if not runs:
        return {}
    done = {(run.session, run.phase) for run in runs if run.status == DONE}
    begun, first = min(run.started_at for run in runs), min(run.session for run in runs)
    missing = {
        session: tuple(
            phase
            for phase in PHASES
            if (session, phase) not in done and begun < last_instant(phase, session) <= now
        )
        for session in sessions_between(first, max(first, now.date()))
    }
    return {session: phases for session, phases in missing.items() if phases}


def idle_since(
    runs: Sequence[Run], fills: Sequence[date], count: int = IDLE_SESSIONS
) -> date | None:
    """First of the last ``count`` reconciled sessions if all were green and none saw a fill.

    ``fills`` are the sessions of all fills. None while there are fewer sessions.
    """
    last: dict[date, Run] = {run.session: run for run in runs if run.phase == RECONCILIATION}
    recent = sorted(last)[-count:]
    green = all(last[session].status == DONE and not last[session].exit_code for session in recent)
    if len(recent) < count or not green or any(day >= recent[0] for day in fills):
        return None
    return recent[0]


def findings(db: StateDB, now: datetime) -> tuple[Finding, ...]:
    """What the run log and the books give reason to tell."""
    runs = db.get_runs()
    missed = [
        Finding("missed_run", "critical", f"{session}: {', '.join(phases)} never done")
        for session, phases in missed_sessions(runs, now).items()
    ]
    return (*missed, *_quiet(db, runs))


def _quiet(db: StateDB, runs: Sequence[Run]) -> list[Finding]:
    quiet = idle_since(runs, [fill.at.date() for fill in db.get_fills()])
    if quiet is None:
        return []
    last = max(run.session for run in runs if run.phase == RECONCILIATION)
    text = f"every run was green, yet nothing was traded from {quiet} to {last}"
    return [Finding("nothing_traded", "warning", text)]


def report_findings(report: DailyReport) -> tuple[Finding, ...]:
    """One finding for each phase of a daily run that did not end well."""
    return tuple(
        Finding(
            PHASE_ALERTS[phase.exit_code],
            "warning" if phase.exit_code == 5 else "critical",
            f"{phase.phase} of {report.session}: {phase.trouble}",
        )
        for phase in report.phases
        if phase.exit_code in PHASE_ALERTS
    )


# ---------------------------------------------------------------------------------------- acting


class Watch:
    """Tells of a profile's runs; what goes wrong in telling never fails a run.

    ``clock`` is the host's, since messages travel in its time; ``say`` prints one line.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        clock: Clock | None = None,
        environ: Mapping[str, str] = os.environ,
        send: Send = apprise_send,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._profile = profile
        self._clock = clock or SystemClock()
        self._targets: tuple[Target, ...] = targets_of(environ)
        self._pings = Pings.from_environment(environ)
        self._send = send
        self._say = say or _to_stderr

    @contextmanager
    def run(self) -> Iterator[Callable[[DailyReport], None]]:
        """Around a daily run: pings at both ends, and what happened is told when it has ended.

        The caller hands its report to the function that this yields. A run that finds the lock
        held is no run.
        """
        reports: list[DailyReport] = []
        self._warn(self._pings.start())
        code, text = 1, "the run crashed"
        try:
            yield reports.append
            code, text = (reports[-1].exit_code, reports[-1].trouble) if reports else (0, "")
        except LockHeld:
            code = LockHeld.exit_code
            raise
        except LivekitError as error:
            code, text = error.exit_code, error.operator_line()
            raise
        finally:
            if code != LockHeld.exit_code:
                self._tell_of(reports)
                self._warn(self._pings.end(code, text))

    def _tell_of(self, reports: Sequence[DailyReport]) -> None:
        try:
            self.tell(reports[-1] if reports else None)
        except LivekitError as error:
            self._say(f"alerts were not sent: {error}")

    def tell(self, report: DailyReport | None = None) -> Delivered:
        """Raise what was found, store the digest of a finished session, deliver what is due."""
        with StateDB(self._profile.state_db) as db:
            now = self._profile_now(db)
            self._raise(db, report, now)
            if report is not None and self._targets and _is_finished(report):
                store_digest(db, self._profile.trading, report.session, now)
            told = deliver(self._profile, db, self._targets, self._clock, send=self._send)
        if told.failed:
            self._say(f"{told.failed} messages could not be delivered and will be tried again")
        return told

    def _profile_now(self, db: StateDB) -> datetime:
        """The host's time; at a simulated venue, whose time is its own, that of the last run."""
        if self._profile.venue != "simulated":
            return self._clock.now()
        times = [run.finished_at or run.started_at for run in db.get_runs()]
        return max(times, default=self._clock.now())

    def _raise(self, db: StateDB, report: DailyReport | None, now: datetime) -> None:
        known = [(alert.kind, alert.text) for alert in db.get_alerts()]
        told_kinds = {alert.kind for alert in db.get_alerts(report.session)} if report else set()
        by_phase = report_findings(report) if report else ()
        wanted = [item for item in by_phase if item.kind not in told_kinds]
        for item in (*wanted, *findings(db, now)):
            if (item.kind, item.text) not in known:
                db.add_alert(item.kind, item.text, at=now, severity=item.severity)

    def _warn(self, trouble: str) -> None:
        if trouble:
            self._say(trouble)


def _is_finished(report: DailyReport) -> bool:
    return any(item.phase == COMPARISON and item.status == DONE for item in report.phases)


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
