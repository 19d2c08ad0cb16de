"""What was decided: stored candidates, plans, approvals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, literal, select

from livekit.errors import PlanRefused, RecordRefused
from livekit.model import Candidate, Plan
from livekit.state.books import candidate_columns, candidate_of
from livekit.state.gateway import Gateway
from livekit.state.records import Approval, Decision, StoredPlan
from livekit.state.schema import Flag
from livekit.state.tables import approvals, candidate_sessions, candidates, plans

__all__ = ["Plans"]

_BOUND = ("frozen", "done")  # an intent of it was sent: nothing may replace it


class Plans(Gateway):
    """``candidates``, ``plans`` and ``approvals``."""

    # ------------------------------------------------------------------------------- candidates

    def save_candidates(self, session: date, found: Sequence[Candidate], *, at: datetime) -> None:
        """Store the candidates of a session, in rank order, once and for all.

        Storing the same again changes nothing; others raise `RecordRefused`.
        """
        with self.transaction():
            stored = self.get_candidates(session)
            if stored is not None:
                if stored != tuple(found):
                    raise RecordRefused(f"candidates of {session}", "others are stored already")
                return
            marker = {"session": session, "stored_count": len(found), "stored_at": at}
            self._insert(candidate_sessions, marker)
            self._insert_many(
                candidates,
                [
                    {"session": session, "rank": rank, "ticker": c.ticker, **candidate_columns(c)}
                    for rank, c in enumerate(found, start=1)
                ],
            )

    def get_candidates(self, session: date) -> tuple[Candidate, ...] | None:
        """The stored candidates in rank order; None when never stored, () when there were none."""
        marker = candidate_sessions.c.session == session
        if self._row(select(candidate_sessions.c.session).where(marker)) is None:
            return None
        query = select(candidates).where(candidates.c.session == session)
        return tuple(candidate_of(row) for row in self._rows(query.order_by(candidates.c.rank)))

    # ------------------------------------------------------------------------------------ plans

    def save_plan(self, plan: Plan, *, at: datetime) -> StoredPlan:
        """Store a plan as the current one of its strategy and session.

        The same plan in the same status is returned unchanged, and so is one that is being executed
        if the hash is the same. Another plan supersedes the current one and voids its approvals;
        once an intent of the current one was sent it raises `PlanRefused`.
        """
        with self.transaction():
            current = self.get_plan(plan.strategy, plan.session)
            if current is not None:
                same = current.sha256 == plan.sha256
                if same and current.status in (plan.status, *_BOUND):
                    return current
                if current.status in _BOUND:
                    name = f"{plan.strategy} of {plan.session}"
                    raise PlanRefused(name, f"another one is {current.status} already")
                self._supersede(current)
            return self._insert_plan(plan, at)

    def _insert_plan(self, plan: Plan, at: datetime) -> StoredPlan:
        values = {
            "strategy": plan.strategy,
            "session": plan.session,
            "status": plan.status,
            "sha256": plan.sha256,
            "body": plan.body,
            "expires_at": plan.expires_at,
            "created_at": at,
        }
        plan_id = self._insert(plans, values)
        return _plan(self._rows(select(plans).where(plans.c.plan_id == plan_id))[0])

    def _supersede(self, plan: StoredPlan) -> None:
        self.set_plan_status(plan.plan_id, "superseded")
        self._update(approvals, approvals.c.plan_id == plan.plan_id, {"void": True})

    def get_plan(self, strategy: str, session: date) -> StoredPlan | None:
        """The current plan of a strategy for a session."""
        return self._plan(
            and_(
                plans.c.strategy == strategy,
                plans.c.session == session,
                plans.c.status != "superseded",
            )
        )

    def get_plan_by_sha(self, sha256: str) -> StoredPlan | None:
        """The plan with that hash: the current one, else the newest superseded one."""
        current = and_(plans.c.sha256 == sha256, plans.c.status != "superseded")
        return self._plan(current) or self._plan(plans.c.sha256 == sha256)

    def _plan(self, where: ColumnElement[bool]) -> StoredPlan | None:
        row = self._row(select(plans).where(where).order_by(plans.c.plan_id.desc()).limit(1))
        return None if row is None else _plan(row)

    def set_plan_status(self, plan_id: int, status: str) -> None:
        """Change a plan's status: open, frozen, done, superseded, blocked or expired."""
        where = plans.c.plan_id == plan_id
        self._update_one(plans, where, {"status": status}, f"plan {plan_id}")

    # -------------------------------------------------------------------------------- approvals

    def add_approval(
        self,
        *,
        plan_sha256: str,
        item: str,
        decision: Decision,
        max_quantity: int,
        who: str,
        reason: str,
        at: datetime,
    ) -> int:
        """Record a decision on an item of the current plan with that hash; returns its id.

        Repeating one's own latest decision returns the row that is there. Raises `PlanRefused`
        when the plan is not the current one.
        """
        with self.transaction():
            plan = self.get_plan_by_sha(plan_sha256)
            if plan is None or plan.status == "superseded":
                raise PlanRefused(plan_sha256[:12], "it is not the current plan; nothing approved")
            last = {a.item: a for a in self.get_approvals(plan_sha256)}.get(item)
            again = (decision, max_quantity, who)
            if last is not None and (last.decision, last.max_quantity, last.who) == again:
                return last.approval_id
            values: dict[str, Any] = {
                "plan_id": plan.plan_id,
                "plan_sha256": plan_sha256,
                "item": item,
                "decision": decision,
                "max_quantity": max_quantity,
                "who": who,
                "reason": reason,
                "decided_at": at,
                "void": False,
            }
            return self._insert(approvals, values)

    def get_approvals(self, plan_sha256: str) -> list[Approval]:
        """The newest decision on each item that is not void, by item."""
        valid = and_(
            approvals.c.plan_sha256 == plan_sha256,
            approvals.c.void == literal(value=False, type_=Flag),
        )
        query = select(approvals).where(valid).order_by(approvals.c.approval_id)
        newest = {row.item: _approval(row) for row in self._rows(query)}
        return [newest[item] for item in sorted(newest)]


def _plan(row: Row[Any]) -> StoredPlan:
    return StoredPlan(**row._asdict())


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        approval_id=row.approval_id,
        plan_sha256=row.plan_sha256,
        item=row.item,
        decision=row.decision,
        max_quantity=row.max_quantity,
        who=row.who,
        reason=row.reason,
        at=row.decided_at,
    )
