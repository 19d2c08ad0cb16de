"""What a person decides on: the items of a plan, each with the decision that stands, as values.

A `Board` is read from the database in one go. It becomes a table of text for the archive and for
runs without a person, and controls in JupyterLab; both show the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from livekit.model import Plan, PlannedOrder
from livekit.state import Approval
from livekit.trading.approvals import (
    ReviewItem,
    review_items,
    sent_items,
    why_closed,
    why_too_late,
)
from livekit.trading.desk import Desk
from livekit.workbench.plan_tables import DECIDED, POLICY
from livekit.workbench.tables import NOTHING, Column, Row, Table, exchange_text, pct, price

__all__ = [
    "Board",
    "BoardRow",
    "board_table",
    "decision_text",
    "item_text",
    "orders_text",
    "read_board",
    "summary_text",
    "time_left_text",
]


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One item with the decision that stands; ``is_sent`` once an order of it may be out.

    ``too_late`` says why it cannot be approved though others can, else it is empty.
    """

    item: ReviewItem
    decision: Approval | None
    is_sent: bool
    too_late: str = ""

    @property
    def decision_id(self) -> int:
        """Id of the decision, 0 when there is none."""
        return self.decision.approval_id if self.decision else 0

    @property
    def waits(self) -> bool:
        """Whether an approval is wanted, and none has been decided on in time."""
        return self.item.needs_approval and self.decision is None and not self.too_late


@dataclass(frozen=True, slots=True)
class Board:
    """A plan's items at an instant; ``closed`` says why nothing can be decided, else empty.

    ``policy`` is the configured approval: auto or required.
    """

    plan: Plan
    policy: str
    rows: tuple[BoardRow, ...]
    now: datetime
    closed: str
    kill_switch_on: bool

    @property
    def left(self) -> timedelta:
        """Time until the cut-off, never negative."""
        return max(self.plan.expires_at - self.now, timedelta())

    def may_decide(self, row: BoardRow) -> bool:
        """Whether a decision on the item can still change anything."""
        return not self.closed and row.item.needs_approval and not row.is_sent

    def may_approve(self, row: BoardRow) -> bool:
        """Whether an approval of the item could still be carried out."""
        return self.may_decide(row) and not row.too_late


def read_board(desk: Desk, plan: Plan) -> Board:
    """The plan's items as the database holds them now; nothing is asked of the broker."""
    decisions = {found.item: found for found in desk.db.get_approvals(plan.sha256)}
    sent = sent_items(desk, plan)
    rows = tuple(
        BoardRow(item, decisions.get(item.name), item.name in sent, why_too_late(desk, plan, item))
        for item in review_items(plan, desk.config)
    )
    return Board(
        plan=plan,
        policy=desk.config.approval,
        rows=rows,
        now=desk.clock.now(),
        closed=why_closed(desk, plan),
        kill_switch_on=desk.db.is_kill_switch_on(),
    )


# ----------------------------------------------------------------------------------------- words


def item_text(item: ReviewItem) -> str:
    """What the item does: ``sell 100 AAA, then buy 59 MSFT``."""
    return ", then ".join(f"{order.side} {order.quantity} {order.ticker}" for order in item.orders)


def orders_text(item: ReviewItem) -> str:
    """Why, and at which prices: grade, score, gap, company, reference and stop of a buy."""
    return "; ".join(" · ".join(_order_facts(order)) for order in item.orders)


def _order_facts(order: PlannedOrder) -> Iterator[str]:
    if order.side == "sell":
        yield f"{order.ticker}: {order.reason}"
        return
    if order.candidate is not None:
        score = "" if order.candidate.score is None else f" {order.candidate.score:.1f}"
        gap = "" if order.candidate.gap_size is None else f", gap {pct(order.candidate.gap_size)}"
        yield order.candidate.company_name or order.ticker
        yield f"grade {order.candidate.grade}{score}{gap}"
    yield f"at about {price(order.reference_price)} USD, stop {price(order.stop_price)}"


def decision_text(row: BoardRow) -> str:
    """The decision that stands, who made it and when, and whether its order is out."""
    if not row.item.needs_approval:
        text = "needs no approval"
    elif row.decision is None:
        text = row.too_late or "no decision yet"
    else:
        found = row.decision
        limit = f" up to {found.max_quantity}" if found.decision == "approve" else ""
        name = found.who.replace(POLICY, "policy ")
        text = f"{DECIDED[found.decision]}{limit} by {name}, {exchange_text(found.at)}"
    return text + (", sent" if row.is_sent else "")


def time_left_text(board: Board) -> str:
    """How long decisions are taken; why not, once they are not."""
    if board.closed:
        return f"Closed: {board.closed}."
    seconds = int(board.left.total_seconds())
    hours, minutes = divmod(seconds // 60, 60)
    left = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds % 60:02d} s"
    return f"Decisions until {exchange_text(board.plan.expires_at)}: {left} left."


def summary_text(board: Board) -> str:
    """How many items are decided which way, and what happens to the others."""
    wanted = [row for row in board.rows if row.item.needs_approval]
    made = [row.decision.decision for row in wanted if row.decision]
    waiting = sum(row.waits for row in wanted)
    late = len(wanted) - len(made) - waiting
    rest = f", {waiting} without a decision (not sent unless approved)" if waiting else ""
    rest += f", {late} too late to be approved" if late else ""
    switch = " The kill switch is on: nothing can be approved." if board.kill_switch_on else ""
    counted = f"{made.count('approve')} approved, {made.count('reject')} rejected"
    return f"approval: {board.policy}. {counted}{rest}.{switch}"


def board_table(board: Board) -> Table:
    """The board as text; every order of the plan stands in it once."""
    columns = (
        Column("item"),
        Column("orders"),
        Column("allowed", number=True),
        Column("decision"),
        Column("reason"),
    )
    caption = f"Review of plan {board.plan.sha256[:12]}, {board.plan.session}"
    return Table(caption, columns, tuple(_board_row(row) for row in board.rows))


def _board_row(row: BoardRow) -> Row:
    reason = row.decision.reason if row.decision else ""
    by_policy = row.decision is not None and row.decision.who.startswith(POLICY)
    return Row(
        (
            row.item.name,
            item_text(row.item),
            f"{_allowed(row)} of {row.item.shares}",
            decision_text(row),
            NOTHING if by_policy or not reason else reason,
        ),
        "warn" if row.waits else "",
    )


def _allowed(row: BoardRow) -> int:
    if not row.item.needs_approval:
        return row.item.shares
    if row.decision is None or row.decision.decision != "approve":
        return 0
    return min(row.decision.max_quantity, row.item.shares)
