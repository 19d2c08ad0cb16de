"""The run log and the alert outbox."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, and_, func, select

from livekit.state.gateway import Gateway
from livekit.state.records import Alert, Run
from livekit.state.tables import alerts, run_log

__all__ = ["Runs"]

_EXCHANGE_ZONE = ZoneInfo("America/New_York")  # not from livekit.sessions: that loads a calendar


class Runs(Gateway):
    """``run_log`` and ``alerts``."""

    # ------------------------------------------------------------------------------------- runs

    def start_run(
        self, *, session: date, phase: str, at: datetime, venue: str, git: str, config_sha256: str
    ) -> int:
        """Log the start of a phase and return the run's id; attempts count from 1."""
        attempts = select(func.max(run_log.c.attempt)).where(
            run_log.c.session == session, run_log.c.phase == phase
        )
        with self.transaction():
            values = {
                "session": session,
                "phase": phase,
                "attempt": (self._scalar(attempts) or 0) + 1,
                "started_at": at,
                "venue": venue,
                "git": git,
                "config_sha256": config_sha256,
                "status": "running",
                "message": "",
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
        self._update_one(run_log, run_log.c.run_id == run_id, values, f"run {run_id}")

    def forget_archived(self, run_id: int) -> None:
        """The run's files were removed from the archive: it keeps their hashes, not their path."""
        self._update_one(
            run_log, run_log.c.run_id == run_id, {"archive_path": None}, f"run {run_id}"
        )

    def get_runs(self, session: date | None = None, phase: str | None = None) -> list[Run]:
        """Logged runs in the order in which they started."""
        query = select(run_log).order_by(run_log.c.run_id)
        if session is not None:
            query = query.where(run_log.c.session == session)
        if phase is not None:
            query = query.where(run_log.c.phase == phase)
        return [Run(**row._asdict()) for row in self._rows(query)]

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

    def pending_alerts(self) -> list[Alert]:
        """Messages that are not delivered, oldest first."""
        return self._alerts(alerts.c.delivered_at.is_(None))

    def mark_alert_delivered(self, alert_id: int, at: datetime) -> None:
        """Take a message out of the outbox; raises `RecordRefused` if it is not in it."""
        where = and_(alerts.c.alert_id == alert_id, alerts.c.delivered_at.is_(None))
        self._update_one(alerts, where, {"delivered_at": at}, f"pending alert {alert_id}")

    def get_alerts(self, session: date | None = None) -> list[Alert]:
        """Messages, oldest first; of one exchange date if ``session`` is given."""
        return self._alerts(*([] if session is None else [alerts.c.session == session]))

    def _alerts(self, *where: ColumnElement[bool]) -> list[Alert]:
        query = select(alerts).where(*where).order_by(alerts.c.alert_id)
        return [_alert(row) for row in self._rows(query)]


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        alert_id=row.alert_id,
        session=row.session,
        kind=row.kind,
        severity=row.severity,
        text=row.text,
        at=row.created_at,
        delivered_at=row.delivered_at,
    )
