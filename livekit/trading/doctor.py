"""The doctor: every invariant that books and broker can show, checked now.

It reads only: nothing is booked, repaired or sent, so that what it finds is what there is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from livekit.config import LiveConfig
from livekit.invariants import (
    CHECKS,
    ELSEWHERE,
    OBSERVING,
    ApprovedItem,
    BooksView,
    LoggedRun,
    PlanFacts,
    SwitchFacts,
    VenueView,
    Violation,
    WeekFacts,
    broken_invariants,
)
from livekit.model import ENTRY
from livekit.state import Run, StoredPlan
from livekit.trading.approvals import approved_quantity
from livekit.trading.books import due_stop
from livekit.trading.break_rules import POSITION
from livekit.trading.desk import Desk
from livekit.trading.lease import TOKEN
from livekit.trading.order_ids import parse_client_order_id
from livekit.trading.plans import plan_from_body, sha256_text
from livekit.trading.venue_look import VenueLook, current, open_orders

__all__ = ["Diagnosis", "compared", "diagnose", "our_side", "their_side"]

UNCOVERED = "I08 cover"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The checks that were made and every violation found.

    ``elsewhere`` are the promises that books and broker cannot show, each with the reason.
    """

    checks: tuple[str, ...]
    violations: tuple[Violation, ...]
    kill_switch_on: bool
    elsewhere: tuple[tuple[str, str], ...] = tuple(ELSEWHERE.items())

    @property
    def exit_code(self) -> int:
        """7 for uncovered shares, 4 for any other violation, 3 for the kill switch, else 0."""
        if any(item.invariant == UNCOVERED for item in self.violations):
            return 7
        if self.violations:
            return 4
        return 3 if self.kill_switch_on else 0


def diagnose(desk: Desk, look: VenueLook | None = None) -> Diagnosis:
    """Check every invariant against the venue as it is now, or as a ``look`` that holds shows it.

    The venue is read anew where nothing was handed over, or something of ours went out since.
    """
    ours = our_side(desk)
    shown = current(desk, look)
    theirs = (
        their_side(desk) if shown is None else VenueView(shown.orders, shown.positions, shown.at)
    )
    return compared(ours, theirs, desk.config)


def compared(ours: BooksView, theirs: VenueView, config: LiveConfig) -> Diagnosis:
    """Check every invariant on the two sides."""
    violations = broken_invariants(
        ours,
        theirs,
        config,
        own_id=_own_id,
        due_stop=lambda price: due_stop(price, config.stop_loss_pct),
    )
    return Diagnosis(tuple(CHECKS), violations, ours.switch.on)


def their_side(desk: Desk) -> VenueView:
    """The broker's side as it is now."""
    return VenueView(open_orders(desk), desk.client.get_positions(), desk.clock.now())


def _own_id(text: str) -> tuple[str, str, str] | None:
    parts = parse_client_order_id(text)
    return None if parts is None else (parts.ticker, parts.intent, parts.side)


def our_side(desk: Desk) -> BooksView:
    """The books as they are now."""
    plans = _executed_plans(desk)
    token = desk.db.read_config(TOKEN, int)
    return BooksView(
        orders=desk.db.get_orders(),
        fills=desk.db.get_fills(),
        positions=desk.db.get_positions(),
        approved=_approved(desk, plans),
        written_off=_written_off(desk),
        plans=[_plan_facts(plan) for plan in plans],
        weeks=[
            WeekFacts(week.position_key, week.week_end, week.evaluated_on)
            for week in desk.db.get_evaluations(desk.config.primary_strategy)
        ],
        runs=_runs(desk),
        switch=_switch(desk),
        token=None if token is None else int(token),
        soundness=desk.db.soundness(),
        reconciled=desk.db.first_reconciliations(),
        observed_plans=desk.db.plans_of_others(desk.config.primary_strategy),
    )


def _switch(desk: Desk) -> SwitchFacts:
    text = desk.db.get_config("kill_switch")
    return SwitchFacts(desk.db.is_kill_switch_on(), text, desk.db.kill_switch_set_at())


def _runs(desk: Desk) -> tuple[LoggedRun, ...]:
    alarmed = {item.session for item in desk.db.get_alerts() if item.severity == "critical"}
    return tuple(
        LoggedRun(
            run.phase,
            run.session,
            run.status,
            run.exit_code,
            run.started_at,
            run.finished_at,
            run.session in alarmed,
            _changes_sent(run),
        )
        for run in desk.db.get_runs()
    )


def _changes_sent(run: Run) -> int | None:
    if run.phase not in OBSERVING or run.record_json is None:
        return None
    found: int | None = json.loads(run.record_json).get("changes_sent")
    return found


def _written_off(desk: Desk) -> dict[int, int]:
    """Shares that resolutions took out of the books, by position."""
    total: dict[int, int] = defaultdict(int)
    for item in desk.db.get_breaks(POSITION):
        shares = int(item.detail.get("written_off_shares", "0"))
        if shares and "position_id" in item.detail:
            total[int(item.detail["position_id"])] += shares
    return dict(total)


def _plan_facts(plan: StoredPlan) -> PlanFacts:
    return PlanFacts(
        plan.plan_id, plan.session, plan.sha256, sha256_text(plan.body), plan.created_at
    )


def _executed_plans(desk: Desk) -> tuple[StoredPlan, ...]:
    """The plans of every session in which we began an entry."""
    sessions = sorted({order.trade_date for order in desk.db.get_orders(intent=ENTRY)})
    found = (desk.db.get_plan(desk.config.primary_strategy, session) for session in sessions)
    return tuple(plan for plan in found if plan is not None)


def _approved(desk: Desk, plans: Sequence[StoredPlan]) -> tuple[ApprovedItem, ...]:
    """Approved shares of every entry of the plans."""
    items = []
    for stored in plans:
        plan = plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)
        items += [
            ApprovedItem(stored.plan_id, order.ticker, approved_quantity(desk, plan, order))
            for order in plan.orders
            if order.intent == ENTRY
        ]
    return tuple(items)
