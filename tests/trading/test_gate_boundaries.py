"""The gates of an entry at their boundaries: to the second, the share, the slot and the cent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from livekit.config import LiveConfig
from livekit.model import ENTRY, PlannedOrder
from livekit.trading.gates import (
    EntryFacts,
    allowed_quantity,
    buying_power_needed,
    entry_refusal,
)

CUTOFF = datetime(2020, 1, 7, 14, 35, tzinfo=UTC)
CONFIG = LiveConfig(position_size=10_000.0, order_size_tolerance_pct=10.0, min_buying_power=5000.0)
ORDER = PlannedOrder(
    "ABC", ENTRY, "buy", 200, "entry", reference_price=Decimal(50), stop_price=Decimal(45)
)

# 200 × 50 × 1.04 = 10,400 USD are needed; one second, one slot and one order are left.
JUST_ALLOWED = EntryFacts(
    now=CUTOFF - timedelta(seconds=1),
    cutoff=CUTOFF,
    clock_trusted=True,
    kill_switch_on=False,
    approved_shares=200,
    held=("DEF",),
    room=1,
    trade_orders_today=39,
    buying_power=Decimal("10400.00"),
    price=Decimal(50),
)


def facts(**changes: Any) -> EntryFacts:
    return replace(JUST_ALLOWED, **changes)


@pytest.mark.parametrize(
    ("planned", "approved", "price", "shares"),
    [
        (1000, 1000, "50", 220),  # 10,000 × 1.10 = 11,000; 11,000 / 50
        (1000, 1000, "1", 1000),
        (20_000, 20_000, "1", 11_000),
        (7, 1000, "50", 7),
        (1000, 3, "50", 3),
        (5, 5, "0.01", 5),
        (5, 5, "0", 0),
        (5, 5, "-1", 0),
        (5, 5, "11000", 1),
        (5, 5, "11000.01", 0),
    ],
)
def test_the_least_of_plan_approval_and_size_bound_is_bought(
    planned: int, approved: int, price: str, shares: int
) -> None:
    order = replace(ORDER, quantity=planned)
    known = facts(approved_shares=approved, price=Decimal(price))
    assert allowed_quantity(order, known, CONFIG) == shares


def test_without_a_price_no_share_is_allowed() -> None:
    assert allowed_quantity(ORDER, facts(price=None), CONFIG) == 0


def test_buying_power_must_cover_the_order_and_four_percent_but_never_less_than_the_floor() -> None:
    assert buying_power_needed(ORDER, facts(), CONFIG) == Decimal("10400.00")
    assert buying_power_needed(ORDER, facts(approved_shares=96), CONFIG) == Decimal(5000)  # 4,992
    assert buying_power_needed(ORDER, facts(price=None), CONFIG) == Decimal(5000)
    cents = facts(approved_shares=101, price=Decimal("49.99"))  # 5,048.99 × 1.04 = 5,250.9496
    assert buying_power_needed(ORDER, cents, CONFIG) == Decimal("5250.95")


def test_an_entry_that_is_just_within_every_limit_passes() -> None:
    assert entry_refusal(ORDER, JUST_ALLOWED, CONFIG) is None
    assert entry_refusal(ORDER, facts(approved_shares=1), CONFIG) is None


FAILURES = [
    ("kill_switch", {"kill_switch_on": True}),
    ("clock", {"clock_trusted": False}),
    ("entry_cutoff", {"now": CUTOFF}),
    ("no_stop_rule", {}),
    ("duplicate_ticker", {"held": ("DEF", "ABC")}),
    ("capacity_full", {"room": 0}),
    ("not_approved", {"approved_shares": 0}),
    ("no_price_data", {"price": None}),
    ("size_bound", {"price": Decimal("11000.01")}),
    ("daily_order_limit", {"trade_orders_today": 40}),
    ("buying_power", {"buying_power": Decimal("10399.99")}),
]


@pytest.mark.parametrize(("gate", "changes"), FAILURES, ids=[gate for gate, _ in FAILURES])
def test_each_gate_closes_by_itself_at_its_limit(gate: str, changes: dict[str, Any]) -> None:
    order = replace(ORDER, stop_price=None) if gate == "no_stop_rule" else ORDER
    refusal = entry_refusal(order, facts(**changes), CONFIG)
    assert refusal is not None
    assert refusal.gate == gate


def test_the_first_gate_that_fails_is_named() -> None:
    """A trader who sees several reasons wants the one that stops everything else."""
    broken = facts(**{name: value for _, item in FAILURES for name, value in item.items()})
    refusal = entry_refusal(ORDER, broken, CONFIG)
    assert refusal is not None
    assert refusal.gate == "kill_switch"
