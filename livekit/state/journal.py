"""What happened: weekly evaluations, equity, breaks, and inputs kept by hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from livekit.model import Break
from livekit.state.gateway import Gateway
from livekit.state.prepared import Prepared, given
from livekit.state.records import EquityPoint, Evaluation, Registration, Snapshot
from livekit.state.tables import (
    breaks,
    equity,
    orders,
    reconciliations,
    registrations,
    snapshots,
    weekly_evaluations,
)

__all__ = ["Journal"]


class Journal(Gateway):
    """Evaluations, equity, breaks, reconciliations, snapshots and registrations."""

    # ------------------------------------------------------------------------------ evaluations

    def add_evaluation(self, book: str, position_key: str, evaluation: Evaluation) -> bool:
        """Store a position's evaluation for one week, once; False when it is there already."""
        same = {"book": book, "position_key": position_key, "week_end": evaluation.week_end}
        values = same | {
            "evaluated_on": evaluation.evaluated_on,
            "close": evaluation.close,
            "indicator": evaluation.indicator,
            "completed_weeks": evaluation.completed_weeks,
            "transition_met": bool(evaluation.transition_met),
            "broken": bool(evaluation.broken),
        }
        with self.transaction():
            if self._find(weekly_evaluations, same):
                return False
            self._insert(weekly_evaluations, values)
            return True

    def get_evaluations(self, book: str, position_key: str | None = None) -> list[Evaluation]:
        """Evaluations of a book, or of one of its positions, by week."""
        wanted = given(book=book, position_key=position_key)
        by = ("week_end", "evaluation_id")
        return list(self._find(weekly_evaluations, wanted, *by, shape=_evaluation))

    # ----------------------------------------------------------------------------------- equity

    def save_equity(
        self,
        session: date,
        book: str,
        *,
        cash: Decimal | float | None,
        equity: Decimal | float | None,
        realised: Decimal | float,
        unrealised: Decimal | float,
        positions: int,
    ) -> None:
        """Store a book's value at the end of a session (USD); the latest call stands."""
        values = {
            "cash": _decimal(cash),
            "equity": _decimal(equity),
            "realised": _decimal(realised),
            "unrealised": _decimal(unrealised),
            "positions": positions,
        }
        self._upsert(_equity, {"book": book, "session": session}, values)

    def get_equity(self, book: str) -> list[EquityPoint]:
        """A book's values by session."""
        rows = self._find(_equity, {"book": book}, "session")
        return [EquityPoint(**row._asdict()) for row in rows]

    # ---------------------------------------------------------------------------- break ledger

    def add_break(self, b: Break, *, session: date, at: datetime) -> int:
        """Open a break; one that is open for the same kind, ticker and subject stays as it is."""
        open_one = {"kind": b.kind, "ticker": b.ticker, "subject": b.subject, "status": "open"}
        values = open_one | {
            "session": session,
            "facts": b.facts,
            "proposal": b.proposal,
            "detail": _detail_text(b.detail),
            "opened_at": at,
        }
        with self.transaction():
            known = self._find(breaks, open_one)
            return int(known[0].break_id) if known else self._insert(breaks, values)

    def open_breaks(self) -> list[Break]:
        """Breaks that nobody has settled, oldest first."""
        return self._breaks({"status": "open"})

    def get_breaks(self, *kinds: str) -> list[Break]:
        """Every break ever noted, or those of some kinds, oldest first."""
        return [one for one in self._breaks({}) if not kinds or one.kind in kinds]

    def get_break(self, break_id: int) -> Break | None:
        """The break with that id."""
        found = self._breaks({"break_id": break_id})
        return found[0] if found else None

    def _breaks(self, wanted: Mapping[str, Any]) -> list[Break]:
        return [_break(row) for row in self._find(breaks, wanted, "break_id")]

    def restate_break(self, break_id: int, b: Break) -> None:
        """Bring facts, proposal and detail of an open break up to date; its age stays."""
        values = {"facts": b.facts, "proposal": b.proposal, "detail": _detail_text(b.detail)}
        self._change_open(break_id, values)

    def resolve_break(
        self,
        break_id: int,
        resolution: str,
        at: datetime,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        """Settle an open break; raises `RecordRefused` if it is not open.

        ``detail`` says for a program what the resolution changed.
        """
        values: dict[str, Any] = {
            "status": "resolved",
            "resolution": resolution,
            "resolved_at": at,
        }
        if detail is not None:
            values["detail"] = _detail_text(detail)
        self._change_open(break_id, values)

    def _change_open(self, break_id: int, values: Mapping[str, Any]) -> None:
        wanted = {"break_id": break_id, "status": "open"}
        self._update_one(breaks, wanted, values, f"open break {break_id}")

    def add_reconciliation(self, session: date, *, token: int | None, at: datetime) -> None:
        """Note a reconciliation that came to its end, begun ``at``, by the run with that token.

        The newest order row of that instant is noted with it: a later row was begun after it.
        """
        with self.transaction():
            values = {
                "session": session,
                "fencing_token": token,
                "newest_order_id": self._scalar(_NEWEST_ORDER) or 0,
                "began_at": at,
            }
            self._insert(reconciliations, values)

    def first_reconciliations(self) -> dict[int, int]:
        """The newest order row that each token's first reconciliation found, by token."""
        return {row[0]: row[1] for row in self._rows(_FIRST_RECONCILIATIONS)}

    # ----------------------------------------------------------------------------------- inputs

    def add_snapshot(self, session: date, kind: str, sha256: str, path: str) -> None:
        """Note where an input of a session is kept; noting it again changes nothing."""
        same = {"session": session, "kind": kind, "sha256": sha256}
        with self.transaction():
            if not self._find(snapshots, same):
                self._insert(snapshots, {**same, "path": path})

    def get_snapshots(self, session: date) -> list[Snapshot]:
        """The kept inputs of a session in the order in which they were noted."""
        return [
            Snapshot(row.session, row.kind, row.sha256, row.path)
            for row in self._find(snapshots, {"session": session}, "snapshot_id")
        ]

    def register(self, body_json: str, sha256: str, at: datetime) -> int:
        """Store what the profile is registered with and return its id."""
        values = {"body": body_json, "sha256": sha256, "registered_at": at}
        return self._insert(registrations, values)

    def registration(self) -> Registration | None:
        """The latest registration."""
        row = self._row(_NEWEST_REGISTRATION)
        if row is None:
            return None
        return Registration(row.registration_id, row.sha256, row.body, row.registered_at)


_NEWEST_REGISTRATION = Prepared(
    select(registrations).order_by(registrations.c.registration_id.desc()).limit(1)
)
_NEWEST_ORDER = Prepared(select(func.max(orders.c.order_id)))
_FIRST_RECONCILIATIONS = Prepared(
    select(
        reconciliations.c.fencing_token,
        func.min(reconciliations.c.newest_order_id).label("newest_order_id"),
    )
    .where(reconciliations.c.fencing_token.is_not(None))
    .group_by(reconciliations.c.fencing_token)
)
_equity = equity  # `save_equity` has a parameter of that name


def _decimal(value: Decimal | float | None) -> Decimal | None:
    """A float's shortest text that reads back as the same float."""
    return value if value is None or isinstance(value, Decimal) else Decimal(repr(value))


def _evaluation(row: Any) -> Evaluation:
    return Evaluation(
        week_end=row.week_end,
        evaluated_on=row.evaluated_on,
        close=row.close,
        indicator=row.indicator,
        completed_weeks=row.completed_weeks,
        transition_met=row.transition_met,
        broken=row.broken,
        book=row.book,
        position_key=row.position_key,
    )


def _detail_text(detail: Mapping[str, str]) -> str:
    return json.dumps(dict(detail), sort_keys=True)


def _break(row: Any) -> Break:
    return Break(
        kind=row.kind,
        ticker=row.ticker,
        facts=row.facts,
        proposal=row.proposal,
        break_id=row.break_id,
        status=row.status,
        resolution=row.resolution,
        detail=json.loads(row.detail),
        subject=row.subject,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
    )
