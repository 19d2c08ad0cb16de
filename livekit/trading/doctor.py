"""The doctor: every invariant that books and broker can show, checked now.

It reads only: nothing is booked, repaired or sent, so that what it finds is what there is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from livekit.config import LiveConfig
from livekit.invariants import (
    CHECKS,
    ELSEWHERE,
    OBSERVING,
    ApprovedItem,
    Ask,
    BooksView,
    LoggedRun,
    PlanFacts,
    SwitchFacts,
    VenueView,
    Violation,
    WeekFacts,
    asked,
    broken_invariants,
)
from livekit.model import ENTRY
from livekit.state import Run, StoredPlan
from livekit.trading.approvals import approved_quantity
from livekit.trading.books import due_stop, orders_left_alone
from livekit.trading.break_rules import POSITION, WRITTEN_OFF_SHARES
from livekit.trading.desk import Desk
from livekit.trading.lease import TOKEN
from livekit.trading.order_ids import parse_client_order_id
from livekit.trading.plans import plan_from_body, sha256_text
from livekit.trading.venue_look import VenueLook, current, open_orders

__all__ = ["BOOK_FACTS", "Diagnosis", "compared", "diagnose", "our_side", "their_side"]

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


def compared(
    ours: BooksView, theirs: VenueView, config: LiveConfig, *, ask: Ask = asked
) -> Diagnosis:
    """Check every invariant on the two sides."""
    violations = broken_invariants(
        ours,
        theirs,
        config,
        own_id=_own_id,
        due_stop=lambda price: due_stop(price, config.stop_loss_pct),
        ask=ask,
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
    facts = {name: read(desk) for name, read in BOOK_FACTS.items()}
    return BooksView(**facts, soundness=desk.db.soundness())


def _token(desk: Desk) -> int | None:
    return desk.db.read_config(TOKEN, int)


def _weeks(desk: Desk) -> tuple[WeekFacts, ...]:
    evaluated = desk.db.get_evaluations(desk.config.primary_strategy)
    return tuple(
        WeekFacts(week.position_key, week.week_end, week.evaluated_on) for week in evaluated
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
        shares = int(item.detail.get(WRITTEN_OFF_SHARES, "0"))
        if shares and "position_id" in item.detail:
            total[int(item.detail["position_id"])] += shares
    return dict(total)


def _plans(desk: Desk) -> tuple[PlanFacts, ...]:
    return tuple(
        PlanFacts(plan.plan_id, plan.session, plan.sha256, sha256_text(plan.body), plan.created_at)
        for plan in _executed_plans(desk)
    )


def _executed_plans(desk: Desk) -> tuple[StoredPlan, ...]:
    """The plans of every session in which we began an entry."""
    sessions = sorted({order.trade_date for order in desk.db.get_orders(intent=ENTRY)})
    found = (desk.db.get_plan(desk.config.primary_strategy, session) for session in sessions)
    return tuple(plan for plan in found if plan is not None)


def _approved(desk: Desk) -> tuple[ApprovedItem, ...]:
    """Approved shares of every entry of the plans."""
    items = []
    for stored in _executed_plans(desk):
        plan = plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)
        items += [
            ApprovedItem(stored.plan_id, order.ticker, approved_quantity(desk, plan, order))
            for order in plan.orders
            if order.intent == ENTRY
        ]
    return tuple(items)


BOOK_FACTS: Mapping[str, Callable[[Desk], Any]] = {
    "orders": lambda desk: desk.db.get_orders(),
    "fills": lambda desk: desk.db.get_fills(),
    "positions": lambda desk: desk.db.get_positions(),
    "approved": _approved,
    "written_off": _written_off,
    "plans": _plans,
    "weeks": _weeks,
    "runs": _runs,
    "switch": _switch,
    "token": _token,
    "reconciled": lambda desk: desk.db.first_reconciliations(),
    "observed_plans": lambda desk: desk.db.plans_of_others(desk.config.primary_strategy),
    "left_alone": orders_left_alone,
}
