"""What is done about a difference, decided on values alone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from livekit.model import Break, Candidate, Position, VenueFill, VenueOrder, VenuePosition
from livekit.trading.break_ledger import break_line
from livekit.trading.break_rules import age_text, judge_fill, position_proposal, rebase

AT = datetime(2020, 1, 7, 15, 0, tzinfo=UTC)
HELD = [
    Position(
        ticker="ABC",
        entry_date=date(2020, 1, 6),
        entry_price=Decimal(50),
        target_shares=200,
        actual_shares=200,
        invested=Decimal(10_000),
        stop_price=Decimal(45),
        stop_order_id=None,
        candidate=Candidate("ABC", date(2020, 1, 6), "B", 80.0),
    )
]


def fill(side: str = "sell", quantity: str = "10") -> VenueFill:
    return VenueFill("a1", "o1", "ABC", side, Decimal(quantity), Decimal(40), AT)  # type: ignore[arg-type]


def order(client_order_id: str, quantity: str = "10") -> VenueOrder:
    return VenueOrder(
        "o1", client_order_id, "ABC", "sell", "market", "simple", "day", "filled",
        Decimal(quantity), Decimal(quantity), Decimal(40), None, None, AT, AT, None,
    )  # fmt: skip


def test_a_sale_of_more_than_we_hold_is_nobodys_we_know() -> None:
    assert judge_fill(fill(), order("by-hand"), None, HELD, {}).kind == "sale"
    verdict = judge_fill(fill(), order("by-hand", "300"), None, HELD, {})
    assert verdict.kind == "unexplained"
    assert verdict.unexplained is not None
    assert verdict.unexplained.kind == "foreign_fill"


def test_a_sale_of_a_ticker_that_is_foreign_too_or_of_a_fraction_is_not_booked() -> None:
    shared = {"ABC": Decimal(5)}
    assert judge_fill(fill(), order("by-hand"), None, HELD, shared).kind == "unexplained"
    part = judge_fill(fill(quantity="0.5"), order("by-hand"), None, HELD, {})
    assert part.kind == "unexplained"
    assert judge_fill(fill("buy"), order("by-hand"), None, HELD, {}).kind == "unexplained"


@pytest.mark.parametrize(
    ("booked", "shown", "words"),
    [
        ("200", "400", "split of 2 new shares for one"),
        ("200", "20", "split of 0.1 new shares for one"),
        ("200", "20.5", "fraction of a share"),
        ("200", "193", "find the fill"),
        ("200", "0", "new name of ABC: the same count is held as XYZ"),
    ],
)
def test_a_difference_in_shares_is_proposed_as_what_it_looks_like(
    booked: str, shown: str, words: str
) -> None:
    other = VenuePosition("XYZ", Decimal(200), Decimal(200), Decimal(50), None)
    assert words in position_proposal("ABC", Decimal(booked), Decimal(shown), [other])


def test_more_shares_at_the_broker_become_foreign_ones() -> None:
    item = Break("position", "ABC", "", detail={"ours": "200", "theirs": "207"})
    assert (rebase(item, None).foreign_shares, rebase(item, None).written_off) == (7, 0)


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(days=3, hours=5), "3 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=5, minutes=59), "5 h"),
        (timedelta(minutes=12), "12 min"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(age: timedelta, text: str) -> None:
    assert age_text(age) == text


def test_a_line_names_number_age_facts_and_proposal() -> None:
    item = Break("cash", None, "short by 5", "ask", break_id=3, opened_at=AT - timedelta(hours=30))
    assert break_line(item, AT) == "break 3, open for 1 day: cash: short by 5 (ask)"
