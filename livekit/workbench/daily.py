"""One session, phase by phase: what is due is run, what is not is said.

Every phase of every session has a row in the run log. A phase that is done is not run again; one
whose time has passed is missed, and the later phases make up what can be made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from livekit.backtest.manifest import code_version
from livekit.clock import sleep_until
from livekit.config import config_sha256
from livekit.errors import DecisionsWithheld, NotASession
from livekit.sessions import is_session
from livekit.state import Run
from livekit.trading.desk import Desk
from livekit.trading.living import is_living
from livekit.trading.opening import sole_runner, sole_writer
from livekit.trading.phases import (
    EXECUTION,
    PHASES,
    SIGNALS,
    PhaseOutcome,
    audit_cover,
    due_instant,
    guarded,
    last_instant,
    perform,
    worst_exit_code,
)

__all__ = ["DailyReport", "Performer", "PhaseReport", "perform_recorded", "recorded", "run_daily"]

Performer = Callable[[Desk, str, date], PhaseOutcome]

_TELLING = ("withheld", "break", "UNCOVERED", "kill switch")  # how lines of trouble begin

DONE = "done"
FAILED = "failed"
RUNNING = "running"
WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """What the daily run did with one phase, or why it did nothing."""

    phase: str
    status: str
    exit_code: int
    lines: tuple[str, ...] = ()

    @property
    def trouble(self) -> str:
        """Why the exit code is not 0, as one line; empty when it is."""
        if not self.exit_code:
            return ""
        telling = [line for line in self.lines if line.startswith(_TELLING)]
        return " ".join("; ".join(telling or self.lines).split())


@dataclass(frozen=True, slots=True)
class DailyReport:
    """A session's phases in order."""

    session: date
    phases: tuple[PhaseReport, ...]
    outcomes: tuple[PhaseOutcome, ...] = ()

    @property
    def exit_code(self) -> int:
        """The first of 7, 1, 4, 3, 6, 2, 5, 0 that occurred."""
        return worst_exit_code([report.exit_code for report in self.phases])

    @property
    def trouble(self) -> str:
        """The phase that gave the exit code and why, as one line; empty when all went well."""
        worst = (report for report in self.phases if report.exit_code == self.exit_code != 0)
        return next((f"{report.phase}: {report.trouble}" for report in worst), "")


def perform_recorded(desk: Desk, phase: str, session: date) -> PhaseOutcome:
    """Perform a phase in this process, with its row in the run log; raises `LockHeld`."""
    with sole_writer(desk.profile):
        return recorded(desk, phase, session, lambda: perform(desk, phase, session))


def recorded(
    desk: Desk, phase: str, session: date, act: Callable[[], PhaseOutcome]
) -> PhaseOutcome:
    """Perform a phase by ``act``, with its row in the run log."""
    run_id = start_record(desk, phase, session)
    outcome = guarded(phase, session, act)
    finish_record(desk, run_id, outcome)
    return outcome


def start_record(desk: Desk, phase: str, session: date) -> int:
    """Open the row of a phase in the run log; returns the run id."""
    return desk.db.start_run(
        session=session,
        phase=phase,
        at=desk.clock.now(),
        venue=desk.profile.venue,
        git=code_version(),
        config_sha256=config_sha256(desk.config),
    )


def finish_record(desk: Desk, run_id: int, outcome: PhaseOutcome) -> None:
    """Close the row of a phase: only this makes the phase count as run."""
    desk.db.finish_run(
        run_id,
        at=desk.clock.now(),
        status=DONE if outcome.exit_code in (0, 5) else FAILED,
        exit_code=outcome.exit_code,
        message="; ".join(outcome.lines)[:2000],
        record_json=json.dumps({"lines": outcome.lines, "changes_sent": outcome.changes_sent}),
    )


def run_daily(
    desk: Desk,
    session: date,
    *,
    phases: Sequence[str] = PHASES,
    performer: Performer = perform_recorded,
) -> DailyReport:
    """Run the phases of a session that are due.

    On the simulated venue waiting for a phase moves the venue's clock; on the real one a phase
    that is not due yet is left for a later call. Raises `NotASession` for a day outside the
    calendar; a closed day is reported as such.
    """
    if not is_session(session):
        return DailyReport(session, (PhaseReport("all", "closed", 0, ("no session",)),))
    _require_not_past(desk, session)
    with sole_runner(desk.profile):
        _close_abandoned_runs(desk)
        return _run_phases(desk, session, phases, performer)


def _run_phases(
    desk: Desk, session: date, phases: Sequence[str], performer: Performer
) -> DailyReport:
    reports: list[PhaseReport] = []
    outcomes: list[PhaseOutcome] = []
    for phase in phases:
        report = _standing(desk, phase, session, reports)
        if report is None:
            sleep_until(desk.clock, due_instant(phase, session))
            outcome = performer(desk, phase, session)
            outcomes.append(outcome)
            status = DONE if outcome.exit_code in (0, 5) else FAILED
            report = PhaseReport(phase, status, outcome.exit_code, outcome.lines)
        elif report.status == WITHHELD:
            sleep_until(desk.clock, due_instant(phase, session))
            report = _with_cover(desk, report, session)
        reports.append(report)
    return DailyReport(session, tuple(reports), tuple(outcomes))


def _with_cover(desk: Desk, report: PhaseReport, session: date) -> PhaseReport:
    """A withheld execution still audits cover: that never depends on a decision."""
    with sole_writer(desk.profile):
        audited = audit_cover(desk, session)
    return replace(report, exit_code=audited.exit_code, lines=(*report.lines, *audited.lines))


def _close_abandoned_runs(desk: Desk) -> None:
    """Runs that a crash left open are failed ones; a living one has a process that holds its lock.

    That is the executor of an earlier run, or a notebook that a person has open.
    """
    now = desk.clock.now()
    for run in desk.db.get_runs(status=RUNNING):
        if not is_living(desk.profile, run.run_id):
            text = f"{run.phase} of {run.session} ended without its record"
            with desk.db.transaction():
                desk.db.finish_run(run.run_id, at=now, status=FAILED, exit_code=1, message=text)
                desk.db.add_alert("failed_run", text, at=now, severity="critical")


def _require_not_past(desk: Desk, session: date) -> None:
    if desk.profile.venue != "simulated" and session < desk.order_session():
        complete = {run.phase for run in desk.db.get_runs(session=session) if run.status == DONE}
        if not complete:
            raise NotASession(session, "is past at the real venue and cannot be traded any more")


def _is_being_executed(desk: Desk, session: date) -> bool:
    """Whether an order of the session's plan was sent, so that no other plan may replace it."""
    plan = desk.db.get_plan(desk.config.primary_strategy, session)
    return plan is not None and plan.status == "frozen"


def _may_be_completed(desk: Desk, session: date, last: Run) -> bool:
    """Whether decisions were withheld for want of an input that may be there now."""
    executed = [run.status for run in desk.db.get_runs(session=session, phase=EXECUTION)]
    return last.exit_code == DecisionsWithheld.exit_code and DONE not in executed


def _standing(
    desk: Desk, phase: str, session: date, earlier: Sequence[PhaseReport]
) -> PhaseReport | None:
    """Why a phase is not run now, or None when it is to be run."""
    runs = desk.db.get_runs(session=session, phase=phase)
    done = [run for run in runs if run.status == DONE]
    if done and not (phase == SIGNALS and _may_be_completed(desk, session, done[-1])):
        return PhaseReport(phase, "already", 0, ("done in an earlier run",))
    if phase == SIGNALS and _is_being_executed(desk, session):
        return PhaseReport(phase, "already", 0, ("its plan is being executed",))
    now, last = desk.clock.now(), last_instant(phase, session)
    if now >= last:
        return PhaseReport(phase, "missed", 0, (f"its time ended at {last.isoformat()}",))
    due = due_instant(phase, session)
    if desk.profile.venue != "simulated" and now < due:
        return PhaseReport(phase, "not_due", 0, (f"due at {due.isoformat()}",))
    signals = next((item for item in earlier if item.phase == SIGNALS), None)
    if phase == EXECUTION and signals is not None and signals.exit_code in (1, 2, 4, 6, 7):
        return PhaseReport(phase, WITHHELD, 0, ("the signals phase failed",))
    return None
