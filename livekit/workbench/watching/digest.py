"""The day in a dozen lines: what a person reads who opens nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from livekit.config import LiveConfig
from livekit.state import Run, StateDB
from livekit.trading.phases import BROKER, PHASES
from livekit.workbench.changes import Changes, changes_since, changes_table
from livekit.workbench.tables import usd

__all__ = ["DIGEST", "digest_text", "store_digest"]

DIGEST = "digest"
MOST_CHANGES = 25


def digest_text(db: StateDB, config: LiveConfig, session: date) -> str:
    """Runs, kill switch, results of the three books, and what changed in the session."""
    runs = db.get_runs(session=session)
    switch = db.kill_switch_reason() if db.is_kill_switch_on() else ""
    lines = [
        f"Session {session}: {_runs_line(runs)}",
        *([f"KILL SWITCH ON: {switch}"] if switch else []),
        *_book_lines(db, config, session),
        *_change_lines(changes_since(db, session)),
    ]
    return "\n".join(lines)


def _runs_line(runs: Sequence[Run]) -> str:
    last = {run.phase: run for run in runs if run.phase in PHASES}
    words = [
        f"{phase} {last[phase].status}"
        + (f" (exit {last[phase].exit_code})" if last[phase].exit_code else "")
        if phase in last
        else f"{phase} not run"
        for phase in PHASES
    ]
    return ", ".join(words)


def _book_lines(db: StateDB, config: LiveConfig, session: date) -> list[str]:
    names = {
        BROKER: "broker book",
        config.primary_strategy: f"twin {config.primary_strategy}",
        config.shadow_strategy: f"shadow {config.shadow_strategy}",
    }
    lines = []
    for book, name in names.items():
        points = [point for point in db.get_equity(book) if point.session <= session]
        if points:
            result = usd(points[-1].realised + points[-1].unrealised, signed=True)
            lines.append(f"{name}: {result} USD, {points[-1].positions} positions")
    return lines


def _change_lines(changes: Changes) -> list[str]:
    rows = [
        " ".join(cell for cell in row.cells if cell != "–") for row in changes_table(changes).rows
    ]
    left = len(rows) - MOST_CHANGES
    more = [f"and {left} more"] if left > 0 else []
    return rows[:MOST_CHANGES] + more or [f"nothing changed since {changes.previous}"]


def store_digest(db: StateDB, config: LiveConfig, session: date, at: datetime) -> bool:
    """Put a session's digest into the outbox, once; whether it was put there now."""
    begin = f"Session {session}:"
    if any(alert.kind == DIGEST and alert.text.startswith(begin) for alert in db.get_alerts()):
        return False
    db.add_alert(DIGEST, digest_text(db, config, session), at=at, severity="info")
    return True
