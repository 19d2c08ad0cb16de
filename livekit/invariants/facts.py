"""The values that invariants are checked on: our books with their record, the broker's side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from livekit.config import LiveConfig
from livekit.model import TERMINAL_STATUSES, Fill, Order, Position, VenueOrder, VenuePosition
from livekit.sessions import open_instant, session_of

__all__ = [
    "LOCALLY_OVER",
    "ApprovedItem",
    "BooksView",
    "Facts",
    "LoggedRun",
    "PlanFacts",
    "SwitchFacts",
    "VenueView",
    "Violation",
    "WeekFacts",
    "cover_gaps",
    "sum_by_ticker",
]

LOCALLY_OVER = TERMINAL_STATUSES | {"refused", "denied"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    invariant: str
    facts: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.facts}"


@dataclass(frozen=True, slots=True)
class ApprovedItem:
    """Shares of one ticker that an approval of one plan allows to buy."""

    plan_id: int
    ticker: str
    max_shares: int


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """A stored plan: its hash as stored and as its body gives it, and when it was made."""

    plan_id: int
    session: date
    sha256: str
    body_sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WeekFacts:
    """One weekly evaluation of one position."""

    position_key: str
    week_end: date
    evaluated_on: date


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """One phase in the run log; ``alarmed`` tells whether a critical alert bears its session.

    ``changes_sent`` are the orders and cancels that it sent, None where it was not counted.
    """

    phase: str
    session: date
    status: str
    exit_code: int | None
    started_at: datetime
    finished_at: datetime | None
    alarmed: bool
    changes_sent: int | None = None


@dataclass(frozen=True, slots=True)
class SwitchFacts:
    """The kill switch: whether it counts as on, its text as stored, and since when."""

    on: bool
    text: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class BooksView:
    """Our side: all order rows, fills and positions, what was approved, and the record.

    ``written_off`` are shares by position id that an operator took out of the books without a
    fill; ``token`` is the newest fencing token; ``soundness`` is the database's own verdict.
    ``reconciled`` has, by the token of a run, the newest order row that its first reconciliation
    found. ``observed_plans`` are the plans of strategies that are not executed.
    ``left_alone`` are venue ids of open orders that an operator keeps beside ours.
    """

    orders: Sequence[Order]
    fills: Sequence[Fill]
    positions: Sequence[Position]
    approved: Sequence[ApprovedItem]
    written_off: Mapping[int, int] = field(default_factory=dict)
    plans: Sequence[PlanFacts] = ()
    weeks: Sequence[WeekFacts] = ()
    runs: Sequence[LoggedRun] = ()
    switch: SwitchFacts = SwitchFacts(on=False)
    token: int | None = None
    soundness: str = "ok"
    reconciled: Mapping[int, int] = field(default_factory=dict)
    observed_plans: frozenset[int] = frozenset()
    left_alone: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class VenueView:
    """The broker's side: orders laid flat (open ones at least), positions, and the clock."""

    orders: Sequence[VenueOrder]
    positions: Sequence[VenuePosition]
    now: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a check may look at."""

    ours: BooksView
    theirs: VenueView
    config: LiveConfig
    own_id: Callable[[str], tuple[str, str, str] | None]
    due_stop: Callable[[Decimal], Decimal]

    def open_positions(self) -> list[Position]:
        """Our open positions."""
        return [item for item in self.ours.positions if item.status == "open"]

    def held(self) -> dict[str, Decimal]:
        """The broker's shares by ticker."""
        return {item.ticker: item.quantity for item in self.theirs.positions}


def cover_gaps(facts: Facts) -> Iterable[tuple[Position, Decimal, Decimal]]:
    """Positions whose live sells are fewer than their shares, with both counts.

    While the exchange is closed, sells that rest until it opens count as well.
    """
    now = facts.theirs.now
    is_closed = now < open_instant(session_of(now))
    live = sum_by_ticker(
        (order.ticker, order.remaining)
        for order in facts.theirs.orders
        if order.is_live_cover or (is_closed and order.side == "sell" and order.rests_when_closed)
    )
    for position in facts.open_positions():
        held = facts.held().get(position.ticker, Decimal(0))
        needed = min(Decimal(position.shares_now), max(held, Decimal(0)))
        covered = live.get(position.ticker, Decimal(0))
        if covered < needed:
            yield position, covered, needed


def sum_by_ticker(pairs: Iterable[tuple[str, Decimal]]) -> Mapping[str, Decimal]:
    """Shares by ticker, added up."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for ticker, quantity in pairs:
        total[ticker] += quantity
    return total
