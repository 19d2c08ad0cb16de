"""The venue's memory: orders, positions, cash, activities, closes and the log.

Every change goes through here, so that what changed since the last save is always known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from livekit.broker.venue.engine.interventions import Intervention
from livekit.broker.venue.engine.records import Activity, EquityPoint, Event, Order, Position
from livekit.broker.venue.engine.refusals import Refusal

__all__ = ["Changes", "VenueState", "position_intent"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a save has to write: rows that are new or differ from the last save.

    With ``marks_are_new`` the marks of faults that are written are forgotten first.
    """

    clock: datetime
    cash_usd: Decimal
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    gone: tuple[str, ...]
    activities: tuple[Activity, ...]
    closes: tuple[EquityPoint, ...]
    events: tuple[Event, ...]
    marks_are_new: bool
    marks: tuple[tuple[str, int], ...]


@dataclass
class VenueState:
    """Everything the venue remembers. ``events`` holds the log since the last save.

    ``working`` holds the orders that are not terminal, by ticker, oldest first; ``by_submission``
    all orders as they are listed, by the instant of submission and their number; ``halted`` the
    tickers whose trading an exchange has stopped, ``interventions`` what was done to the prices;
    ``blocked`` says that the account may not trade. ``fault_schedule`` (JSON) and ``fault_marks``
    (how often each of its rules matched and struck, by name) are the fault gate's.
    """

    clock: datetime
    cash_usd: Decimal
    opening_cash_usd: Decimal
    created_at: datetime
    orders: dict[str, Order] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    closes: list[EquityPoint] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    event_count: int = 0
    halted: set[str] = field(default_factory=set)
    blocked: bool = False
    interventions: list[Intervention] = field(default_factory=list)
    fault_schedule: str = ""
    fault_marks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Build the look-ups from the rows."""
        self.by_client_id = {order.client_order_id: order for order in self.orders.values()}
        listed = sorted(self.orders.values(), key=lambda order: (order.submitted_at, order.number))
        self.by_submission = {order.order_id: order for order in listed}
        self.legs: dict[str, list[Order]] = {}
        self.working: dict[str, dict[str, Order]] = {}
        self.timers: dict[str, datetime] = {}
        self.lingering: dict[str, list[Order]] = {}
        for order in self.orders.values():
            self._index(order)
        self.activity_numbers = {row.activity_id: row.number for row in self.activities}
        self._marked: set[str] = set()
        self._marks_are_new = False
        self._dirty: dict[str, Order] = {}
        self._moved: set[str] = set()
        self._saved_activities = len(self.activities)
        self._saved_closes = len(self.closes)

    def _index(self, order: Order) -> None:
        if order.parent_id is not None:
            self.legs.setdefault(order.parent_id, []).append(order)
        if not order.is_terminal:
            self.working.setdefault(order.ticker, {})[order.order_id] = order
            self._set_timer(order)
        elif order.releases_at is not None and order.releases_at > self.clock:
            self.lingering.setdefault(order.ticker, []).append(order)

    def linger(self, order: Order, until: datetime) -> None:
        """A cancelled sell holds its shares until then."""
        order.releases_at = until
        self.lingering.setdefault(order.ticker, []).append(order)
        self._dirty[order.order_id] = order

    def lingering_on(self, ticker: str) -> list[Order]:
        """Cancelled sells of ``ticker`` whose shares are not free yet."""
        left = [
            order
            for order in self.lingering.get(ticker, ())
            if order.releases_at is not None and order.releases_at > self.clock
        ]
        if not left:
            self.lingering.pop(ticker, None)
        return left

    def _set_timer(self, order: Order) -> None:
        if order.resume_at is None and order.cancel_due is None:
            self.timers.pop(order.order_id, None)
            return
        due = min(filter(None, (order.resume_at, order.cancel_due)), default=None)
        if due is None or order.is_terminal:
            self.timers.pop(order.order_id, None)
        else:
            self.timers[order.order_id] = due

    def add(self, order: Order) -> None:
        """Take a new order in."""
        self.orders[order.order_id] = order
        self.by_client_id[order.client_order_id] = order
        self.by_submission[order.order_id] = order
        self._index(order)
        self._dirty[order.order_id] = order

    def resubmit(self, order: Order) -> None:
        """A queued order, and its group with it, counts as submitted now."""
        for member in (order, *self.legs.get(order.order_id, ())):
            member.submitted_at = self.clock
            self.by_submission[member.order_id] = self.by_submission.pop(member.order_id)
            self._dirty[member.order_id] = member

    def working_orders(self) -> list[Order]:
        """All orders that are not terminal, in the order in which they came."""
        found = [order for orders in self.working.values() for order in orders.values()]
        return sorted(found, key=lambda order: order.number)

    def working_on(self, ticker: str) -> Iterator[Order]:
        """The orders of ``ticker`` that are not terminal."""
        return iter(list(self.working.get(ticker, {}).values()))

    def touch(self, order: Order) -> None:
        """Note that a field of ``order`` changed which the log does not tell."""
        self._dirty[order.order_id] = order
        self._set_timer(order)

    def log(self, kind: str, order: Order, *, fill: tuple[int, Decimal] | None = None) -> None:
        """Record that ``order`` changed: stamp it, index it and write a line of the log."""
        order.updated_at = self.clock
        self.touch(order)
        if order.is_terminal:
            working = self.working.get(order.ticker, {})
            working.pop(order.order_id, None)
            if not working:
                self.working.pop(order.ticker, None)
        self.event_count += 1
        quantity, price = fill or (None, None)
        self.events.append(
            Event(
                self.event_count,
                self.clock,
                kind,
                order.ticker,
                order.order_id,
                order.client_order_id,
                order.parent_id,
                order.side,
                order.type,
                order.order_class,
                order.status,
                order.qty,
                order.filled_qty,
                order.limit_price,
                order.stop_price,
                quantity,
                price,
                self.held(order.ticker),
                self.cash_usd if fill else None,
                _signed_amount(order.side, *fill) if fill else None,
            )
        )

    def log_refusal(self, ticker: str, client_order_id: str | None, refusal: Refusal) -> None:
        """Record an order that was refused; it exists nowhere else."""
        self._append(
            "refused",
            ticker,
            client_order_id=client_order_id,
            http_status=refusal.status,
            code=refusal.code,
            message=refusal.message,
        )

    def log_split(self, ticker: str, ratio: str) -> None:
        """Record that a split changed a position."""
        self._append("split", ticker, ratio=ratio)

    def rename(self, old: str, new: str) -> None:
        """Everything held and working in ``old`` is ``new`` from now on."""
        position = self.positions.pop(old, None)
        if position is not None:
            position.ticker = new
            self.positions[new] = position
            self._moved |= {old, new}
        for order in self.working.pop(old, {}).values():
            order.ticker = new
            self.working.setdefault(new, {})[order.order_id] = order
            self._dirty[order.order_id] = order
        self._append("renamed", old, message=f"now {new}")
        self._append("renamed", new, message=f"was {old}")

    def merge(self, ticker: str, amount_usd: Decimal) -> None:
        """The shares of ``ticker`` are gone for cash; its orders are the caller's."""
        self.positions.pop(ticker, None)
        self._moved.add(ticker)
        self.cash_usd += amount_usd
        self._append("merged", ticker, cash_usd=self.cash_usd, amount_usd=amount_usd)

    def log_payment(self, ticker: str, amount_usd: Decimal) -> None:
        """Record cash in lieu of a fraction of a share."""
        self._append("cash_in_lieu", ticker, cash_usd=self.cash_usd, amount_usd=amount_usd)

    def log_fault(self, ticker: str, client_order_id: str | None, message: str) -> None:
        """Record that a fault struck a request."""
        self._append("fault", ticker, client_order_id=client_order_id, message=message)

    def follow_faults(self, schedule: str, kept: dict[str, int]) -> None:
        """Follow another schedule, of whose past only ``kept`` is known."""
        self.fault_schedule, self.fault_marks = schedule, kept
        self._marks_are_new = True

    def mark_fault(self, name: str, count: int) -> None:
        """Note how far the schedule of faults has come."""
        self.fault_marks[name] = count
        self._marked.add(name)

    def intervene(self, intervention: Intervention) -> None:
        """Record what will befall a ticker."""
        self.interventions.append(intervention)
        self._append("intervention", intervention.ticker, message=intervention.text)

    def block(self, *, blocked: bool) -> None:
        """The account may not trade any more, or may again."""
        self.blocked = blocked
        self._append("blocked", "", message="trading blocked" if blocked else "trading allowed")

    def halt(self, ticker: str) -> None:
        """Nothing of ``ticker`` is matched any more."""
        self.halted.add(ticker)
        self._append("halted", ticker)

    def resume(self, ticker: str) -> None:
        """``ticker`` trades again."""
        self.halted.discard(ticker)
        self._append("resumed", ticker)

    def _append(self, kind: str, ticker: str, **facts: object) -> None:
        self.event_count += 1
        held = self.held(ticker)
        self.events.append(
            Event(self.event_count, self.clock, kind, ticker, position=held, **facts)  # type: ignore[arg-type]
        )

    def held(self, ticker: str) -> int:
        """Shares of ``ticker`` held."""
        position = self.positions.get(ticker)
        return position.qty if position else 0

    def position(self, ticker: str) -> Position:
        """The position of ``ticker``, created empty if there is none; it counts as changed."""
        self._moved.add(ticker)
        return self.positions.setdefault(ticker, Position(ticker))

    def drop_if_gone(self, ticker: str) -> None:
        """Forget a position of which nothing is held and nothing owed."""
        if self.positions[ticker].is_gone:
            del self.positions[ticker]

    def add_activity(self, activity: Activity) -> None:
        """Append an account activity."""
        self.activities.append(activity)
        self.activity_numbers[activity.activity_id] = activity.number

    @property
    def is_changed(self) -> bool:
        """Whether anything but the clock differs from the last save."""
        return bool(
            self._dirty
            or self._moved
            or self._marked
            or self._marks_are_new
            or self.events
            or len(self.activities) > self._saved_activities
            or len(self.closes) > self._saved_closes
        )

    def changes(self) -> Changes:
        """What differs from the last save."""
        moved = sorted(self._moved)
        return Changes(
            self.clock,
            self.cash_usd,
            tuple(self._dirty.values()),
            tuple(self.positions[ticker] for ticker in moved if ticker in self.positions),
            tuple(ticker for ticker in moved if ticker not in self.positions),
            tuple(self.activities[self._saved_activities :]),
            tuple(self.closes[self._saved_closes :]),
            tuple(self.events),
            self._marks_are_new,
            self._changed_marks(),
        )

    def _changed_marks(self) -> tuple[tuple[str, int], ...]:
        if self._marks_are_new:
            return tuple(self.fault_marks.items())
        return tuple((name, self.fault_marks[name]) for name in sorted(self._marked))

    def mark_saved(self) -> None:
        """Everything up to here is written; the log in memory starts anew."""
        self._dirty.clear()
        self._moved.clear()
        self._marked.clear()
        self._marks_are_new = False
        self.events.clear()
        self._saved_activities = len(self.activities)
        self._saved_closes = len(self.closes)


def _signed_amount(side: str, quantity: int, price: Decimal) -> Decimal:
    """What a fill does to the cash, USD."""
    return price * (quantity if side == "sell" else -quantity)


def position_intent(state: VenueState, ticker: str, side: str) -> str:
    """What an order on this side does to the position, as Alpaca infers it."""
    held = state.held(ticker)
    if side == "buy":
        return "buy_to_close" if held < 0 else "buy_to_open"
    return "sell_to_close" if held > 0 else "sell_to_open"
