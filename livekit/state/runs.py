"""The run log and the alert outbox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, select

from livekit.state.gateway import Gateway
from livekit.state.prepared import Prepared, given
from livekit.state.records import Alert, Run
from livekit.state.tables import alerts, run_log

__all__ = ["Runs"]

_EXCHANGE_ZONE = ZoneInfo("America/New_York")  # not from livekit.sessions: that loads a calendar

_ATTEMPTS = Prepared(
    select(func.max(run_log.c.attempt)).where(
        run_log.c.session == bindparam("session"), run_log.c.phase == bindparam("phase")
    )
)


class Runs(Gateway):
    """``run_log`` and ``alerts``."""

    # ------------------------------------------------------------------------------------- runs

    def start_run(
        self,
        *,
        session: date,
        phase: str,
        at: datetime,
        venue: str,
        git: str,
        config_sha256: str,
        part: str | None = None,
    ) -> int:
        """Log the start of a phase and return the run's id; attempts count from 1."""
        with self.transaction():
            values = {
                "session": session,
                "phase": phase,
                "attempt": (self._scalar(_ATTEMPTS, {"session": session, "phase": phase}) or 0) + 1,
                "started_at": at,
                "venue": venue,
                "git": git,
                "config_sha256": config_sha256,
                "status": "running",
                "message": "",
                "part": part,
            }
            return self._insert(run_log, values)

    def finish_run(
        self,
        run_id: int,
        *,
        at: datetime,
        status: str,
        exit_code: int,
        message: str = "",
        notebook_sha256: str | None = None,
        html_sha256: str | None = None,
        archive_path: str | None = None,
        record_json: str | None = None,
    ) -> None:
        """Log how a run ended; hashes, path and record that are None stay as they are."""
        values: dict[str, Any] = {
            "finished_at": at,
            "status": status,
            "exit_code": exit_code,
            "message": message,
        }
        kept = {
            "notebook_sha256": notebook_sha256,
            "html_sha256": html_sha256,
            "archive_path": archive_path,
            "record_json": record_json,
        }
        values |= {name: value for name, value in kept.items() if value is not None}
        self._update_one(run_log, {"run_id": run_id}, values, f"run {run_id}")

    def forget_archived(self, run_id: int) -> None:
        """The run's files were removed from the archive: it keeps their hashes, not their path."""
        self._update_one(run_log, {"run_id": run_id}, {"archive_path": None}, f"run {run_id}")

    def get_runs(
        self, session: date | None = None, phase: str | None = None, status: str | None = None
    ) -> list[Run]:
        """Logged runs in the order in which they started."""
        wanted = given(session=session, phase=phase, status=status)
        return list(self._find(run_log, wanted, "run_id", shape=_run))

    # ----------------------------------------------------------------------------------- alerts

    def add_alert(self, kind: str, text: str, *, at: datetime, severity: str = "warning") -> int:
        """Put a message for the operator into the outbox: info, warning or critical."""
        values = {
            "session": at.astimezone(_EXCHANGE_ZONE).date(),
            "kind": kind,
            "severity": severity,
            "text": text,
            "created_at": at,
        }
        return self._insert(alerts, values)

    def add_alert_once(
        self, kind: str, text: str, *, at: datetime, severity: str = "warning"
    ) -> None:
        """Put a message into the outbox, unless its date has the same one already."""
        told = self.get_alerts(at.astimezone(_EXCHANGE_ZONE).date())
        if (kind, text) not in {(alert.kind, alert.text) for alert in told}:
            self.add_alert(kind, text, at=at, severity=severity)

    def pending_alerts(self) -> list[Alert]:
        """Messages that are not delivered, oldest first."""
        return self._alerts({"delivered_at": None})

    def mark_alert_delivered(self, alert_id: int, at: datetime) -> None:
        """Take a message out of the outbox; raises `RecordRefused` if it is not in it."""
        wanted = {"alert_id": alert_id, "delivered_at": None}
        self._update_one(alerts, wanted, {"delivered_at": at}, f"pending alert {alert_id}")

    def get_alerts(self, session: date | None = None) -> list[Alert]:
        """Messages, oldest first; of one exchange date if ``session`` is given."""
        return self._alerts(given(session=session))

    def _alerts(self, wanted: Mapping[str, Any]) -> list[Alert]:
        return list(self._find(alerts, wanted, "alert_id", shape=_alert))


def _run(row: Any) -> Run:
    return Run(**row._asdict())


def _alert(row: Any) -> Alert:
    return Alert(
        alert_id=row.alert_id,
        session=row.session,
        kind=row.kind,
        severity=row.severity,
        text=row.text,
        at=row.created_at,
        delivered_at=row.delivered_at,
    )
