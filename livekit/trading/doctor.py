"""The doctor: every invariant that books and broker can show, checked now.

It reads only: nothing is booked, repaired or sent, so that what it finds is what there is.
"""

from __future__ import annotations

from dataclasses import dataclass

from livekit.invariants import (
    CHECKS,
    ApprovedItem,
    BooksView,
    VenueView,
    Violation,
    broken_invariants,
)
from livekit.model import ENTRY
from livekit.trading.approvals import approved_quantity
from livekit.trading.books import due_stop
from livekit.trading.desk import Desk
from livekit.trading.order_ids import parse_client_order_id
from livekit.trading.orders import flat
from livekit.trading.plans import plan_from_body

__all__ = ["Diagnosis", "diagnose"]

UNCOVERED = "I08 cover"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The checks that were made and every violation found."""

    checks: tuple[str, ...]
    violations: tuple[Violation, ...]
    kill_switch_on: bool

    @property
    def exit_code(self) -> int:
        """7 for uncovered shares, 4 for any other violation, 3 for the kill switch, else 0."""
        if any(item.invariant == UNCOVERED for item in self.violations):
            return 7
        if self.violations:
            return 4
        return 3 if self.kill_switch_on else 0


def diagnose(desk: Desk) -> Diagnosis:
    """Check every invariant against the venue as it is now."""
    orders = desk.db.get_orders()
    ours = BooksView(orders, desk.db.get_fills(), desk.db.get_positions(), _approved(desk))
    theirs = VenueView(
        tuple(flat(desk.client.list_orders(status="open"))),
        desk.client.get_positions(),
        desk.clock.now(),
    )
    violations = broken_invariants(
        ours,
        theirs,
        desk.config,
        own_id=_own_id,
        due_stop=lambda price: due_stop(price, desk.config.stop_loss_pct),
    )
    return Diagnosis(tuple(CHECKS), violations, desk.db.is_kill_switch_on())


def _own_id(text: str) -> tuple[str, str, str] | None:
    parts = parse_client_order_id(text)
    return None if parts is None else (parts.ticker, parts.intent, parts.side)


def _approved(desk: Desk) -> tuple[ApprovedItem, ...]:
    """Approved shares of every plan that an entry of ours names."""
    items = []
    sessions = {order.trade_date for order in desk.db.get_orders(intent=ENTRY)}
    for session in sorted(sessions):
        stored = desk.db.get_plan(desk.config.primary_strategy, session)
        if stored is None:
            continue
        plan = plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)
        items += [
            ApprovedItem(stored.plan_id, order.ticker, approved_quantity(desk, plan, order))
            for order in plan.orders
            if order.intent == ENTRY
        ]
    return tuple(items)
