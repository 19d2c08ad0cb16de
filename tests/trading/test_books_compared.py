"""The two sides compared: each difference with its kind, its ticker, its order and its numbers."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from livekit.errors import BooksDiffer
from livekit.model import Break, Fill, Order, Position, VenuePosition
from livekit.trading.reconciliation import (
    BookView,
    VenueView,
    compare_books,
    expected_cash,
    require_clean,
)
from tests.trading.quiet_broker import OPEN, quiet_desk, venue_order

CASH = Decimal(10_000)
BASELINE = OPEN - timedelta(days=1)  # when the profile was registered


def ours(
    positions: Sequence[Position] = (),
    orders: Sequence[Order] = (),
    shares: dict[str, int] | None = None,
    baseline_orders: Sequence[str] = (),
) -> BookView:
    foreign = {ticker: Decimal(count) for ticker, count in (shares or {}).items()}
    return BookView(positions, orders, (), CASH, foreign, frozenset(baseline_orders))


def theirs(
    held: dict[str, int] | None = None, orders: Sequence[Any] = (), **more: Any
) -> VenueView:
    positions = [
        VenuePosition(ticker, Decimal(count), Decimal(count), Decimal(50), None)
        for ticker, count in (held or {}).items()
    ]
    return VenueView(positions, orders, **({"cash": CASH, "unexplained": ()} | more))


def names(found: Sequence[Break]) -> list[tuple[str, str | None, str]]:
    return [(item.kind, item.ticker, item.subject) for item in found]


def test_shares_of_positions_and_of_strangers_are_added_up_ticker_by_ticker() -> None:
    """ABC: 100 ours and 5 foreign are 105; DEF: 7 only foreign; GHI: 3 only the broker's."""
    with quiet_desk() as q:
        position = q.hold("ABC", 100)
    books = ours([position], shares={"ABC": 5, "DEF": 7})
    stop = venue_order("1", quantity=Decimal(100))
    same = theirs({"ABC": 105, "DEF": 7}, [stop])
    assert (
        compare_books(ours([position], shares={"ABC": 5, "DEF": 7}, baseline_orders=["1"]), same)
        == ()
    )
    found = compare_books(books, theirs({"GHI": 3, "ABC": 104}))
    shares = [item for item in found if item.kind == "position"]
    assert [(item.ticker, dict(item.detail)) for item in shares] == [
        ("ABC", {"ours": "105", "theirs": "104"}),
        ("DEF", {"ours": "7", "theirs": "0"}),
        ("GHI", {"ours": "0", "theirs": "3"}),
    ]
    assert all(item.proposal for item in shares)


def test_a_split_that_nobody_booked_is_proposed_as_one() -> None:
    with quiet_desk() as q:
        position = q.hold("ABC", 100)
    (found, *_) = compare_books(ours([position]), theirs({"ABC": 200}))
    assert "split of 2" in found.proposal


def test_an_order_at_the_venue_is_ours_from_before_or_a_break_by_its_kind() -> None:
    """Ours works, one finished here lives there, one was there before us, two are strangers."""
    with quiet_desk() as q:
        working = q.row("ABC")
        done = q.row("DEF", status="canceled")
        never_sent = q.row("GHI", alpaca_order_id=None, status="intended")
    shown = [
        venue_order("v-ABC-entry", "ABC", "buy"),
        venue_order("v-DEF-entry", "DEF", "buy"),
        venue_order("before-us", "XYZ", "buy"),
        venue_order("by-person", "XYZ", "buy"),
        venue_order("like-ours", "JKL", "buy", client_order_id="20200107_JKL_entry_buy"),
    ]
    found = compare_books(
        ours(orders=[working, done, never_sent], baseline_orders=["before-us"]),
        theirs(orders=shown, unknown=[never_sent]),
    )
    assert names(found) == [
        ("foreign_order", "XYZ", "by-person"),
        ("order_without_intent", "JKL", "like-ours"),
        ("order_revived", "DEF", "20200107_DEF_entry_buy"),
        ("order_unknown", "GHI", "20200107_GHI_entry_buy"),
    ]
    assert all(item.proposal for item in found)


def test_shares_without_a_live_stop_are_a_break_that_says_how_many_and_where() -> None:
    with quiet_desk() as q:
        position = q.hold("ABC", 100)
    stop = venue_order("1", quantity=Decimal(60))
    found = compare_books(ours([position], baseline_orders=["1"]), theirs({"ABC": 100}, [stop]))
    assert names(found) == [("uncovered", "ABC", "")]
    assert found[0].facts == "ABC 40 shares, stop due 45"
    assert found[0].proposal


def test_what_was_found_while_booking_is_a_difference_too() -> None:
    item = Break("foreign_fill", "ABC", "bought by hand", subject="7")
    assert compare_books(ours(), theirs(unexplained=(item,))) == (item,)


@pytest.mark.parametrize(
    ("shown", "differs"),
    [("10000", False), ("9999.991", False), ("9999.99", True), ("10000.01", True)],
)
def test_a_whole_cent_of_cash_is_a_difference(shown: str, *, differs: bool) -> None:
    found = compare_books(ours(), theirs(cash=Decimal(shown)))
    assert names(found) == ([("cash", None, "")] if differs else [])
    if differs:
        assert dict(found[0].detail) == {"ours": "10000", "theirs": shown}
        assert found[0].proposal


def test_buys_cost_and_sales_bring_their_quantity_times_price() -> None:
    """10,000 − 100 × 50.25 + 40 × 51.50 = 7,035."""
    bought = Fill("1", "a", "ABC", "buy", 100, Decimal("50.25"), OPEN)
    sold = Fill("2", "b", "ABC", "sell", 40, Decimal("51.50"), OPEN)
    assert expected_cash(CASH, [bought, sold]) == Decimal(7035)
    assert expected_cash(CASH, [sold]) == Decimal(12_060)
    assert expected_cash(CASH, []) == CASH


def test_the_run_that_stops_names_every_break_with_its_number() -> None:
    require_clean([])
    with pytest.raises(BooksDiffer) as stopped:
        require_clean(
            [
                Break("cash", None, "a cent is missing", break_id=3),
                Break("position", "ABC", "we hold 1", break_id=4),
            ]
        )
    text = str(stopped.value)
    assert "break 3, cash: a cent is missing" in text
    assert "break 4, position ABC: we hold 1" in text
