"""The outbox: which alert is still to be told to whom, and how often that was tried."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, exists, func, select

from livekit.state.gateway import Gateway
from livekit.state.records import Delivery
from livekit.state.tables import alerts, deliveries

__all__ = ["Deliveries"]


class Deliveries(Gateway):
    """``deliveries``: one row for each pair of an alert and a target."""

    def enrol_deliveries(self, targets: Sequence[str], at: datetime) -> None:
        """Open a delivery of every undelivered alert to each target that has none yet."""
        columns = deliveries.c
        with self.transaction():
            for target in targets:
                known = exists().where(
                    columns.alert_id == alerts.c.alert_id, columns.target == target
                )
                missing = select(alerts.c.alert_id).where(alerts.c.delivered_at.is_(None), ~known)
                rows = [
                    {"alert_id": row.alert_id, "target": target, "attempts": 0, "due_at": at}
                    for row in self._rows(missing.order_by(alerts.c.alert_id))
                ]
                self._insert_many(deliveries, [row | {"trouble": ""} for row in rows])

    def due_deliveries(self, at: datetime) -> list[Delivery]:
        """Deliveries that are open and whose time has come, oldest alert first."""
        due = and_(deliveries.c.delivered_at.is_(None), deliveries.c.due_at <= at)
        return self._deliveries(due)

    def open_deliveries(self) -> list[Delivery]:
        """Deliveries that have not succeeded yet, oldest alert first."""
        return self._deliveries(deliveries.c.delivered_at.is_(None))

    def _deliveries(self, where: Any) -> list[Delivery]:
        query = select(deliveries).where(where)
        ordered = query.order_by(deliveries.c.alert_id, deliveries.c.delivery_id)
        return [_delivery(row) for row in self._rows(ordered)]

    def note_attempt(self, delivery_id: int, *, retry_at: datetime, trouble: str) -> None:
        """Count one more attempt and say when the next one is due unless this one succeeds."""
        values = {
            "attempts": deliveries.c.attempts + 1,
            "due_at": retry_at,
            "trouble": trouble,
        }
        where = and_(deliveries.c.delivery_id == delivery_id, deliveries.c.delivered_at.is_(None))
        self._update_one(deliveries, where, values, f"open delivery {delivery_id}")

    def note_trouble(self, delivery_id: int, trouble: str) -> None:
        """Say why the last attempt failed."""
        where = and_(deliveries.c.delivery_id == delivery_id, deliveries.c.delivered_at.is_(None))
        self._update_one(deliveries, where, {"trouble": trouble}, f"open delivery {delivery_id}")

    def note_delivered(self, delivery: Delivery, at: datetime) -> None:
        """Close a delivery; the alert is delivered once none of its deliveries is open."""
        columns = deliveries.c
        where = and_(columns.delivery_id == delivery.delivery_id, columns.delivered_at.is_(None))
        values = {"delivered_at": at, "trouble": ""}
        with self.transaction():
            self._update_one(deliveries, where, values, f"open delivery {delivery.delivery_id}")
            still_open = select(func.count()).where(
                columns.alert_id == delivery.alert_id, columns.delivered_at.is_(None)
            )
            if not self._scalar(still_open):
                self._close_alert(delivery.alert_id, at)

    def _close_alert(self, alert_id: int, at: datetime) -> None:
        where = and_(alerts.c.alert_id == alert_id, alerts.c.delivered_at.is_(None))
        self._update(alerts, where, {"delivered_at": at})


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        alert_id=row.alert_id,
        target=row.target,
        attempts=row.attempts,
        due_at=row.due_at,
        delivered_at=row.delivered_at,
        trouble=row.trouble,
    )
