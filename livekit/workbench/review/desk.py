"""The hand between a person's controls and the books: reads the board, records a decision.

Controls outlive the cell that made them, and JupyterLab may call them from another thread. So each
call opens the database for itself, in a short transaction that needs no lease, and goes through
the same function as the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from livekit.errors import DecisionRefused
from livekit.model import Plan
from livekit.state.records import Decision
from livekit.trading.approvals import decide
from livekit.trading.desk import Desk
from livekit.workbench.operator import operator_name
from livekit.workbench.review.board import Board, BoardRow, read_board

__all__ = ["Reviewer", "shares_of"]


@dataclass(frozen=True, slots=True)
class Reviewer:
    """One plan as a person decides on it; ``open_books`` gives a desk of its own to each call.

    ``may_follow`` says whether the board can be read every few seconds without disturbing anybody.
    """

    plan: Plan
    open_books: Callable[[], AbstractContextManager[Desk]]
    may_follow: Callable[[], bool] = lambda: True

    def board(self) -> Board:
        """The plan's items as they stand now."""
        with self.open_books() as desk:
            return read_board(desk, self.plan)

    def decide(self, row: BoardRow, decision: Decision, *, shares: str, reason: str) -> Board:
        """Record a decision on the row as the person saw it; the board afterwards.

        ``shares`` is what stands in the field. Raises what `livekit.trading.approvals.decide`
        raises.
        """
        limit = shares_of(row, shares) if decision == "approve" else 0
        with self.open_books() as desk:
            self._record(desk, row, decision, limit, reason)
            return read_board(desk, self.plan)

    def approve_waiting(self, seen: Board, *, reason: str) -> Board:
        """Approve whole every item on which nobody has decided; decisions that stand, stand."""
        with self.open_books() as desk:
            for row in seen.rows:
                if row.waits and seen.may_approve(row):
                    self._record(desk, row, "approve", row.item.shares, reason)
            return read_board(desk, self.plan)

    def _record(
        self, desk: Desk, row: BoardRow, decision: Decision, limit: int, reason: str
    ) -> None:
        decide(
            desk,
            self.plan,
            row.item.name,
            decision,
            max_quantity=limit,
            who=operator_name(),
            reason=" ".join(reason.split()),
            seen=row.decision_id,
        )


def shares_of(row: BoardRow, text: str) -> int:
    """The number in the field of shares; raises `DecisionRefused` for any other text."""
    if not (text.strip().isascii() and text.strip().isdecimal()) or len(text) > 12:
        shown = text.strip()[:40]
        most = row.item.shares
        raise DecisionRefused(
            row.item.name, f"{shown!r} is not a number of shares from 1 to {most}"
        )
    return int(text)
