"""How many shares may be bought at the price of the moment, at every edge of the rule."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from livekit.config import LiveConfig
from livekit.model import PlannedOrder
from livekit.trading.gates import EntryFacts, allowed_quantity

AT = datetime(2020, 1, 6, 14, 31, tzinfo=UTC)


def allowed(price: str | None, *, planned: int = 200, approved: int = 200) -> int:
    facts = EntryFacts(
        now=AT,
        cutoff=AT.replace(minute=35),
        clock_trusted=True,
        kill_switch_on=False,
        approved_shares=approved,
        held=frozenset(),
        room=3,
        trade_orders_today=0,
        buying_power=Decimal(100_000),
        price=None if price is None else Decimal(price),
    )
    order = PlannedOrder("ABC", "entry", "buy", planned, "entry", Decimal(50), Decimal(45))
    config = LiveConfig(position_size=10_000.0, order_size_tolerance_pct=10.0)
    return allowed_quantity(order, facts, config)


@pytest.mark.parametrize("price", [None, "0", "-1"])
def test_without_a_price_nothing_may_be_bought(price: str | None) -> None:
    assert allowed(price) == 0


def test_a_price_of_a_dollar_and_below_is_a_price() -> None:
    assert allowed("1", planned=20_000, approved=20_000) == 11_000  # 11,000 USD / 1
    assert allowed("0.50", planned=30_000, approved=30_000) == 22_000  # 11,000 USD / 0.50


@pytest.mark.parametrize(
    ("price", "shares"),
    [
        ("50", 200),  # as planned
        ("55", 200),  # 200 × 55 = 11,000, exactly the bound of 10,000 + 10 %
        ("55.01", 199),  # 11,000 / 55.01 = 199.96
        ("60", 183),  # 11,000 / 60 = 183.33
        ("20000", 0),  # not one share fits
    ],
)
def test_the_quantity_falls_with_the_price_and_never_rises(price: str, shares: int) -> None:
    assert allowed(price) == shares


def test_the_quantity_is_what_was_approved_at_most() -> None:
    assert allowed("50", approved=120) == 120
    assert allowed("50", approved=0) == 0
    assert allowed("25", planned=200, approved=400) == 200
