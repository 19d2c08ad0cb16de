"""The venue's memory: orders, positions, cash, activities, closes and the log.

Every change goes through here, so that what changed since the last save is always known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from livekit.broker.venue.engine.records import Activity, EquityPoint, Event, Order, Position
from livekit.broker.venue.engine.refusals import Refusal

__all__ = ["Changes", "VenueState"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a save has to write: rows that are new or differ from the last save."""

    clock: datetime
    cash_usd: Decimal
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    gone: tuple[str, ...]
    activities: tuple[Activity, ...]
    closes: tuple[EquityPoint, ...]
    events: tuple[Event, ...]


@dataclass
class VenueState:
    """Everything the venue remembers. ``events`` holds the log since the last save.

    ``working`` holds the orders that are not terminal, by ticker, oldest first.
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

    def __post_init__(self) -> None:
        """Build the look-ups from the rows."""
        self.by_client_id = {order.client_order_id: order for order in self.orders.values()}
        self.legs: dict[str, list[Order]] = {}
        self.working: dict[str, dict[str, Order]] = {}
        self.timers: dict[str, datetime] = {}
        for order in self.orders.values():
            self._index(order)
        self.activity_numbers = {row.activity_id: row.number for row in self.activities}
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

    def _set_timer(self, order: Order) -> None:
        due = min(filter(None, (order.resume_at, order.cancel_due)), default=None)
        if due is None or order.is_terminal:
            self.timers.pop(order.order_id, None)
        else:
            self.timers[order.order_id] = due

    def add(self, order: Order) -> None:
        """Take a new order in."""
        self.orders[order.order_id] = order
        self.by_client_id[order.client_order_id] = order
        self._index(order)
        self._dirty[order.order_id] = order

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
        self._append(
            kind,
            order.ticker,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            parent_id=order.parent_id,
            side=order.side,
            type=order.type,
            order_class=order.order_class,
            status=order.status,
            qty=order.qty,
            filled_qty=order.filled_qty,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            fill_qty=fill[0] if fill else None,
            fill_price=fill[1] if fill else None,
            cash_usd=self.cash_usd if fill else None,
            amount_usd=_signed_amount(order.side, *fill) if fill else None,
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

    def log_payment(self, ticker: str, amount_usd: Decimal) -> None:
        """Record cash in lieu of a fraction of a share."""
        self._append("cash_in_lieu", ticker, cash_usd=self.cash_usd, amount_usd=amount_usd)

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
        )

    def mark_saved(self) -> None:
        """Everything up to here is written; the log in memory starts anew."""
        self._dirty.clear()
        self._moved.clear()
        self.events.clear()
        self._saved_activities = len(self.activities)
        self._saved_closes = len(self.closes)


def _signed_amount(side: str, quantity: int, price: Decimal) -> Decimal:
    """What a fill does to the cash, USD."""
    return price * (quantity if side == "sell" else -quantity)
