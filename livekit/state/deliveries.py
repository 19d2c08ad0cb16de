"""The outbox: which alert is still to be told to whom, and how often that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, select, update

from livekit.errors import RecordRefused
from livekit.state.gateway import Gateway
from livekit.state.prepared import Prepared
from livekit.state.records import Delivery
from livekit.state.tables import alerts, deliveries

__all__ = ["Deliveries"]

_COLUMNS = deliveries.c
_KNOWN = exists().where(
    _COLUMNS.alert_id == alerts.c.alert_id, _COLUMNS.target == bindparam("target")
)
_MISSING = Prepared(
    select(alerts.c.alert_id)
    .where(alerts.c.delivered_at.is_(None), ~_KNOWN)
    .order_by(alerts.c.alert_id)
)
_DUE = Prepared(
    select(deliveries)
    .where(_COLUMNS.delivered_at.is_(None), _COLUMNS.due_at <= bindparam("now"))
    .order_by(_COLUMNS.alert_id, _COLUMNS.delivery_id)
)
_ONE_MORE = Prepared(
    update(deliveries)
    .where(_COLUMNS.delivery_id == bindparam("of"), _COLUMNS.delivered_at.is_(None))
    .values(attempts=_COLUMNS.attempts + 1),
    ("due_at", "trouble"),
)


class Deliveries(Gateway):
    """``deliveries``: one row for each pair of an alert and a target."""

    def enrol_deliveries(self, targets: Sequence[str], at: datetime) -> None:
        """Open a delivery of every undelivered alert to each target that has none yet."""
        with self.transaction():
            for target in targets:
                rows = [
                    {"alert_id": row.alert_id, "target": target, "attempts": 0, "due_at": at}
                    for row in self._rows(_MISSING, {"target": target})
                ]
                self._insert_many(deliveries, [row | {"trouble": ""} for row in rows])

    def due_deliveries(self, at: datetime) -> list[Delivery]:
        """Deliveries that are open and whose time has come, oldest alert first."""
        return [_delivery(row) for row in self._rows(_DUE, {"now": at})]

    def open_deliveries(self) -> list[Delivery]:
        """Deliveries that have not succeeded yet, oldest alert first."""
        rows = self._find(deliveries, {"delivered_at": None}, "alert_id", "delivery_id")
        return [_delivery(row) for row in rows]

    def note_attempt(self, delivery_id: int, *, retry_at: datetime, trouble: str) -> None:
        """Count one more attempt and say when the next one is due unless this one succeeds."""
        values = {"of": delivery_id, "due_at": retry_at, "trouble": trouble}
        if self._execute(_ONE_MORE, values) != 1:
            raise RecordRefused(f"open delivery {delivery_id}", "there is no such row")

    def note_trouble(self, delivery_id: int, trouble: str) -> None:
        """Say why the last attempt failed."""
        self._change_waiting(delivery_id, {"trouble": trouble})

    def note_delivered(self, delivery: Delivery, at: datetime) -> None:
        """Close a delivery; the alert is delivered once none of its deliveries is open."""
        alert = {"alert_id": delivery.alert_id, "delivered_at": None}
        with self.transaction():
            self._change_waiting(delivery.delivery_id, {"delivered_at": at, "trouble": ""})
            if not self._find(deliveries, alert):
                self._update(alerts, alert, {"delivered_at": at})

    def _change_waiting(self, delivery_id: int, values: Mapping[str, Any]) -> None:
        wanted = {"delivery_id": delivery_id, "delivered_at": None}
        self._update_one(deliveries, wanted, values, f"open delivery {delivery_id}")


def _delivery(row: Any) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        alert_id=row.alert_id,
        target=row.target,
        attempts=row.attempts,
        due_at=row.due_at,
        delivered_at=row.delivered_at,
        trouble=row.trouble,
    )
