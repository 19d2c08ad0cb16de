"""The tables of a plan: its exits, entries and skips, with the decision on each order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from livekit.model import Plan, PlannedOrder, Skip
from livekit.workbench.tables import NOTHING, Column, Row, Table, exchange_text, pct, price

__all__ = ["DECIDED", "POLICY", "Approval", "entries_table", "exits_table", "skips_table"]


@dataclass(frozen=True, slots=True)
class Approval:
    """Who allowed or refused one order of a plan, up to which quantity, and when."""

    ticker: str
    intent: str
    decision: str
    quantity: int | None
    who: str
    at: datetime | None
    reason: str = ""


DECISION = Column("decision")
DECIDED = {"approve": "approved", "reject": "rejected"}
POLICY = "policy:"  # how the name of a decider begins that is no person


def _decision_cells(order: PlannedOrder, approvals: Sequence[Approval] | None) -> tuple[str, ...]:
    """The last decision on an order; no cell at all for a plan on which nobody decides."""
    if approvals is None:
        return ()
    of_order = [a for a in approvals if (a.ticker, a.intent) == (order.ticker, order.intent)]
    return (_decision_text(order, of_order[-1]) if of_order else "no decision yet",)


def _decision_text(order: PlannedOrder, approval: Approval) -> str:
    full = (None, order.quantity)
    capped = order.side == "buy" and approval.decision != "reject" and approval.quantity not in full
    limit = f" up to {approval.quantity}" if capped else ""
    when = f", {exchange_text(approval.at)}" if approval.at else ""
    by_policy = approval.who.startswith(POLICY)
    why = f": {approval.reason}" if approval.reason and not by_policy else ""
    decided = DECIDED.get(approval.decision, approval.decision)
    return f"{decided}{limit} by {approval.who.replace(POLICY, 'policy ')}{when}{why}"


def exits_table(plan: Plan, approvals: Sequence[Approval] | None = None) -> Table:
    """The plan's exits with their reason and the session that decided each.

    Without ``approvals`` the plan is one that is never executed, and has no column of decisions.
    """
    columns = (
        Column("ticker"),
        Column("shares", number=True),
        Column("reason"),
        Column("decided"),
        Column("rotated in"),
        *([] if approvals is None else [DECISION]),
    )
    rows = tuple(_exit_row(order, approvals) for order in plan.orders if order.side == "sell")
    return Table(f"Exits of {plan.strategy} for {plan.session}", columns, rows)


def _exit_row(order: PlannedOrder, approvals: Sequence[Approval] | None) -> Row:
    return Row(
        (
            order.ticker,
            str(order.quantity),
            order.reason,
            str(order.decided or NOTHING),
            order.pair or NOTHING,
            *_decision_cells(order, approvals),
        )
    )


def entries_table(plan: Plan, approvals: Sequence[Approval] | None = None) -> Table:
    """The plan's entries with grade, score, size and stop; ``approvals`` as for `exits_table`."""
    columns = (
        Column("ticker"),
        Column("grade"),
        Column("score", number=True),
        Column("gap", number=True),
        Column("shares", number=True),
        Column("reference, USD", number=True),
        Column("stop, USD", number=True),
        Column("rotates out"),
        Column("company"),
        *([] if approvals is None else [DECISION]),
    )
    rows = tuple(_entry_row(order, approvals) for order in plan.orders if order.side == "buy")
    return Table(f"Entries of {plan.strategy} for {plan.session}", columns, rows)


def _entry_row(order: PlannedOrder, approvals: Sequence[Approval] | None) -> Row:
    candidate = order.candidate
    score = candidate.score if candidate else None
    return Row(
        (
            order.ticker,
            candidate.grade if candidate else NOTHING,
            NOTHING if score is None else f"{score:.1f}",
            pct(candidate.gap_size if candidate else None),
            str(order.quantity),
            price(order.reference_price),
            price(order.stop_price),
            order.pair or NOTHING,
            (candidate and candidate.company_name) or NOTHING,
            *_decision_cells(order, approvals),
        )
    )


def skips_table(plan: Plan) -> Table:
    """The candidates that are not bought and why; details have a column if there are any."""
    detailed = any(skip.detail for skip in plan.skips)
    columns = (
        Column("ticker"),
        Column("reason"),
        Column("grade"),
        Column("score", number=True),
        Column("company"),
        *([Column("detail")] if detailed else []),
    )
    rows = tuple(_skip_row(skip, detailed=detailed) for skip in plan.skips)
    return Table(f"Skipped by {plan.strategy} for {plan.session}", columns, rows)


def _skip_row(skip: Skip, *, detailed: bool) -> Row:
    candidate = skip.candidate
    score = NOTHING if candidate.score is None else f"{candidate.score:.1f}"
    company = candidate.company_name or NOTHING
    cells = (candidate.ticker, skip.reason, candidate.grade, score, company)
    return Row((*cells, skip.detail or NOTHING) if detailed else cells)
