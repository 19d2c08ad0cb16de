"""The gates an entry passes before it is sent. Pure: facts in, the first failing gate out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from livekit.config import LiveConfig
from livekit.model import CAPACITY_FULL, DUPLICATE_TICKER, NO_PRICE_DATA, PlannedOrder

__all__ = ["EntryFacts", "Refusal", "allowed_quantity", "entry_refusal"]

NOTIONAL_MARGIN = Decimal("1.04")


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What is known at the instant an entry would be sent. Money in USD."""

    now: datetime
    cutoff: datetime
    clock_trusted: bool
    kill_switch_on: bool
    approved_shares: int
    held: Collection[str]
    room: int
    trade_orders_today: int
    buying_power: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an entry is not sent."""

    gate: str
    detail: str


def allowed_quantity(order: PlannedOrder, facts: EntryFacts, config: LiveConfig) -> int:
    """Shares that may be bought: planned, approved and within the size bound at today's price.

    The bound is ``position_size`` plus ``order_size_tolerance_pct``; a quantity may only fall.
    """
    if facts.price is None or facts.price <= 0:
        return 0
    tolerance = Decimal(str(1 + config.order_size_tolerance_pct / 100))
    bound = Decimal(str(config.position_size)) * tolerance
    return min(order.quantity, facts.approved_shares, int(bound / facts.price))


def entry_refusal(order: PlannedOrder, facts: EntryFacts, config: LiveConfig) -> Refusal | None:
    """The first gate that an entry fails, or None when it may be sent."""
    needed = buying_power_needed(order, facts, config)
    checks = (
        (facts.kill_switch_on, "kill_switch", "the kill switch is on or unreadable"),
        (not facts.clock_trusted, "clock", "the venue's clock is not trusted or has no session"),
        (facts.now >= facts.cutoff, "entry_cutoff", f"after {facts.cutoff.isoformat()}"),
        (order.stop_price is None, "no_stop_rule", "no stop price is planned"),
        (order.ticker in facts.held, DUPLICATE_TICKER, "held or being bought"),
        (facts.room < 1, CAPACITY_FULL, "no slot is free"),
        (facts.approved_shares < 1, "not_approved", "no valid approval"),
        (facts.price is None, NO_PRICE_DATA, "no trade of today"),
        (allowed_quantity(order, facts, config) < 1, "size_bound", "not one share within bounds"),
        (
            facts.trade_orders_today >= config.max_daily_trade_orders,
            "daily_order_limit",
            f"{facts.trade_orders_today} trade orders today",
        ),
        (
            facts.buying_power < needed,
            "buying_power",
            f"{facts.buying_power} USD, {needed} needed",
        ),
    )
    return next((Refusal(gate, detail) for fails, gate, detail in checks if fails), None)


def buying_power_needed(order: PlannedOrder, facts: EntryFacts, config: LiveConfig) -> Decimal:
    """The larger of ``min_buying_power`` and 1.04 × the order's notional, in USD."""
    floor = Decimal(str(config.min_buying_power))
    if facts.price is None:
        return floor
    notional = allowed_quantity(order, facts, config) * facts.price
    return max(floor, (notional * NOTIONAL_MARGIN).quantize(Decimal("0.01")))
