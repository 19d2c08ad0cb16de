"""The rows of the book. Orders and positions change; activities and events are only ever added.

Those two are tuples, which are made several times as fast as frozen dataclasses.

Shares are whole numbers: no asset of this venue is fractionable. Prices and cash are `Decimal` USD,
instants aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

__all__ = [
    "CENT",
    "Activity",
    "EquityPoint",
    "Event",
    "Order",
    "Position",
    "collared",
    "floor_to_tick",
    "plain",
    "tick_of",
]

TERMINAL = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
CENT = Decimal("0.01")
SUB_DOLLAR_TICK = Decimal("0.0001")
CHEAP = Decimal(50)
COLLAR_CHEAP = Decimal("1.04")
COLLAR = Decimal("1.025")


def tick_of(price: Decimal) -> Decimal:
    """The smallest price step: $0.01 from $1, $0.0001 below."""
    return CENT if price >= 1 else SUB_DOLLAR_TICK


def floor_to_tick(price: Decimal) -> Decimal:
    """``price`` rounded down to its tick."""
    return price.quantize(tick_of(price), rounding=ROUND_DOWN)


def collared(price: Decimal) -> Decimal:
    """The most that a buy at market may cost: 4 % above ``price`` below $50, 2.5 % from there."""
    return price * (COLLAR_CHEAP if price < CHEAP else COLLAR)


def plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros."""
    return f"{value.normalize():f}" if value else "0"


@dataclass(slots=True)
class Order:
    """An order of any class, parent or leg.

    ``elected`` marks a stop that has triggered; ``reserve_price`` is what a buy is charged against
    buying power per share; ``resume_at`` is when the rest of a partial fill is looked at again and
    ``cancel_due`` when a requested cancel takes effect. A trailing stop follows ``high_water`` at
    a distance in USD or percent. ``fate`` is what a fault has in store for it: ``reject``,
    ``stuck``, ``partial`` (then ``dying``), ``fill`` when it is cancelled, ``swap`` when its stop
    triggers, ``both`` when its sibling is filled; or ``awake`` for a leg that works though it is
    called ``held``. ``releases_at`` is when a cancelled sell gives its shares back, if not at
    once; ``collar`` the most that a market buy may cost, if it is bounded.
    """

    order_id: str
    number: int
    client_order_id: str
    ticker: str
    side: str
    type: str
    time_in_force: str
    order_class: str
    qty: int
    status: str
    created_at: datetime
    submitted_at: datetime
    updated_at: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    parent_id: str | None = None
    expires_at: datetime | None = None
    filled_qty: int = 0
    filled_usd: Decimal = Decimal(0)
    fill_count: int = 0
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    failed_at: datetime | None = None
    replaced_at: datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    elected: bool = False
    reserve_price: Decimal = Decimal(0)
    resume_at: datetime | None = None
    cancel_due: datetime | None = None
    trail_usd: Decimal | None = None
    trail_percent: Decimal | None = None
    high_water: Decimal | None = None
    fate: str | None = None
    releases_at: datetime | None = None
    collar: Decimal | None = None

    @property
    def is_successor(self) -> bool:
        """Whether it waits for the order that it is to replace."""
        return self.replaces is not None and self.status == "pending_new"

    @property
    def remaining(self) -> int:
        """Shares that are not filled."""
        return self.qty - self.filled_qty

    @property
    def working_status(self) -> str:
        """Its status while it works at the exchange."""
        return "partially_filled" if self.filled_qty else "new"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.status in TERMINAL

    @property
    def working_limit(self) -> Decimal | None:
        """The price it may not be filled beyond: a buy stop becomes a limit order when it triggers.

        Its limit lies 4 % above the stop below $50, else 2.5 %.
        """
        if self.type == "stop" and self.side == "buy" and self.stop_price is not None:
            return floor_to_tick(collared(self.stop_price))
        return self.limit_price if self.collar is None else self.collar

    @property
    def filled_average_price(self) -> Decimal | None:
        """Mean price of its fills, USD a share."""
        return self.filled_usd / self.filled_qty if self.filled_qty else None


@dataclass(slots=True)
class Position:
    """Shares held, negative when sold short. ``cost_usd`` is what they cost (negative: brought).

    ``fraction_due`` shares await cash in lieu.
    """

    ticker: str
    qty: int = 0
    cost_usd: Decimal = Decimal(0)
    fraction_due: Decimal = Decimal(0)

    @property
    def average_entry_price(self) -> Decimal:
        """Cost of a share held, USD."""
        return self.cost_usd / self.qty if self.qty else Decimal(0)

    def take(self, shares: int, price: Decimal) -> None:
        """Shares come (or, negative, go) at ``price``; what that closes leaves at its mean cost."""
        opened = shares
        if self.qty * shares < 0:
            closed = max(shares, -self.qty) if shares < 0 else min(shares, -self.qty)
            self.cost_usd += self.average_entry_price * closed
            opened -= closed
        self.cost_usd += price * opened
        self.qty += shares
        if not self.qty:
            self.cost_usd = Decimal(0)

    @property
    def is_gone(self) -> bool:
        """Whether nothing is held and nothing is owed."""
        return not self.qty and not self.fraction_due


class Activity(NamedTuple):
    """An account activity: ``FILL`` from a trade, else from a corporate action.

    ``SPLIT`` and ``CIL`` (cash in lieu) come from a split, ``NC`` from a new name, ``MA`` from a
    merger.
    """

    number: int
    activity_id: str
    kind: str
    at: datetime
    ticker: str
    side: str
    qty: Decimal
    price: Decimal
    net_usd: Decimal
    order_id: str | None = None
    order_status: str | None = None
    cumulative_qty: int = 0
    leaves_qty: int = 0


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """The account at a session's close, USD."""

    session: date
    equity_usd: Decimal
    cash_usd: Decimal
    long_market_value_usd: Decimal


class Event(NamedTuple):
    """One line of the log: the facts of the order after it, and the position after it.

    ``kind`` is one of accepted, refused, new, activated, filled, cancel_requested, canceled,
    expired, rejected, replaced, replace_requested, adjusted, split, renamed, merged,
    cash_in_lieu, halted, resumed, parked, blocked, intervention or fault. Position and live sell
    cover of a ticker follow from the log alone, by the last facts of each order and the last
    position; cash follows from the signed ``amount_usd`` of each fill and payment.
    """

    number: int
    at: datetime
    kind: str
    ticker: str
    order_id: str | None = None
    client_order_id: str | None = None
    parent_id: str | None = None
    side: str | None = None
    type: str | None = None
    order_class: str | None = None
    status: str | None = None
    qty: int | None = None
    filled_qty: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    fill_qty: int | None = None
    fill_price: Decimal | None = None
    position: int | None = None
    cash_usd: Decimal | None = None
    amount_usd: Decimal | None = None
    ratio: str | None = None
    http_status: int | None = None
    code: int | None = None
    message: str | None = None
