"""What was decided: stored candidates, plans, approvals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select

from livekit.errors import PlanRefused, RecordRefused
from livekit.model import Candidate, Plan
from livekit.state.books import candidate_columns, candidate_of
from livekit.state.gateway import Gateway
from livekit.state.prepared import Prepared, fixed
from livekit.state.records import Approval, Decision, StoredPlan
from livekit.state.tables import approvals, candidate_sessions, candidates, plans

__all__ = ["Plans"]

_BOUND = ("frozen", "done")  # an intent of it was sent: nothing may replace it


def _newest(*where: ColumnElement[bool]) -> Prepared:
    query = select(plans).where(*where).order_by(plans.c.plan_id.desc()).limit(1)
    return Prepared(query, shape=_plan)


def _plan(row: Any) -> StoredPlan:
    return StoredPlan(**row._asdict())


_NOT_SUPERSEDED = plans.c.status != fixed("superseded")
_OF_SHA = plans.c.sha256 == bindparam("sha256")
_CURRENT = _newest(
    plans.c.strategy == bindparam("strategy"),
    plans.c.session == bindparam("session"),
    _NOT_SUPERSEDED,
)
_CURRENT_BY_SHA = _newest(_OF_SHA, _NOT_SUPERSEDED)
_NEWEST_BY_SHA = _newest(_OF_SHA)
_OF_OTHERS = Prepared(select(plans.c.plan_id).where(plans.c.strategy != bindparam("strategy")))


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
        of_session = {"session": session}
        if not self._find(candidate_sessions, of_session):
            return None
        return tuple(self._find(candidates, of_session, "rank", shape=candidate_of))

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
        return _plan(self._find(plans, {"plan_id": plan_id})[0])

    def _supersede(self, plan: StoredPlan) -> None:
        self.set_plan_status(plan.plan_id, "superseded")
        self._update(approvals, {"plan_id": plan.plan_id}, {"void": True})

    def get_plan(self, strategy: str, session: date) -> StoredPlan | None:
        """The current plan of a strategy for a session."""
        return self._plan(_CURRENT, {"strategy": strategy, "session": session})

    def plans_of_others(self, strategy: str) -> frozenset[int]:
        """Ids of all plans that are not of ``strategy``."""
        return frozenset(row[0] for row in self._rows(_OF_OTHERS, {"strategy": strategy}))

    def get_plan_by_sha(self, sha256: str) -> StoredPlan | None:
        """The plan with that hash: the current one, else the newest superseded one."""
        wanted = {"sha256": sha256}
        return self._plan(_CURRENT_BY_SHA, wanted) or self._plan(_NEWEST_BY_SHA, wanted)

    def _plan(self, query: Prepared, wanted: Mapping[str, Any]) -> StoredPlan | None:
        found: StoredPlan | None = self._row(query, wanted)
        return found

    def set_plan_status(self, plan_id: int, status: str) -> None:
        """Change a plan's status: open, frozen, done, superseded, blocked or expired."""
        self._update_one(plans, {"plan_id": plan_id}, {"status": status}, f"plan {plan_id}")

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
        valid = {"plan_sha256": plan_sha256, "void": False}
        found = self._find(approvals, valid, "approval_id", shape=_approval)
        newest = {one.item: one for one in found}
        return [newest[item] for item in sorted(newest)]


def _approval(row: Any) -> Approval:
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
