"""Invariants of the record, each on values that keep it and on values that break it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from livekit.config import LiveConfig
from livekit.invariants import (
    BooksView,
    LoggedRun,
    PlanFacts,
    SwitchFacts,
    VenueView,
    WeekFacts,
    broken_invariants,
)
from livekit.model import Candidate, Order, Position, VenueOrder, VenuePosition
from livekit.trading.day_counts import count_orders
from livekit.trading.order_ids import parse_client_order_id

MONDAY = date(2020, 1, 6)
AT = datetime(2020, 1, 6, 14, 20, tzinfo=UTC)
HELD = Position(
    ticker="ABC",
    entry_date=MONDAY,
    entry_price=Decimal(50),
    target_shares=200,
    actual_shares=200,
    invested=Decimal(10_000),
    stop_price=Decimal(45),
    stop_order_id=None,
    candidate=Candidate("ABC", MONDAY, "B", 80.0),
    position_id=1,
)
ENTRY = Order(
    client_order_id="20200106_ABC_entry_buy",
    intent="entry",
    side="buy",
    ticker="ABC",
    trade_date=MONDAY,
    quantity=200,
    order_type="market",
    time_in_force="gtc",
    status="new",
    alpaca_order_id="o1",
    reference_price=Decimal(50),
    plan_id=1,
    outcome="confirmed",
    created_at=AT,
    fencing_token=4,
    order_id=1,
)
SHOWN = VenueOrder(
    "o1", "20200106_ABC_entry_buy", "ABC", "buy", "market", "oto", "gtc", "new",
    Decimal(200), Decimal(0), None, None, None, AT, AT, None,
)  # fmt: skip
EMPTY = BooksView((), (), (), ())


def broken(
    ours: BooksView = EMPTY,
    orders: Sequence[VenueOrder] = (),
    held: int = 0,
    config: LiveConfig | None = None,
) -> set[str]:
    positions = [VenuePosition("ABC", Decimal(held), Decimal(held), Decimal(50), None)]
    found = broken_invariants(
        ours,
        VenueView(orders, positions if held else [], AT),
        config or LiveConfig(),
        own_id=_own_id,
        due_stop=lambda price: price * Decimal("0.9"),
    )
    return {item.invariant[:3] for item in found}


def _own_id(text: str) -> tuple[str, str, str] | None:
    parts = parse_client_order_id(text)
    return None if parts is None else (parts.ticker, parts.intent, parts.side)


def books(**facts: Any) -> BooksView:
    return replace(EMPTY, **facts)


def test_i05_a_finished_row_of_a_living_order_is_found() -> None:
    assert "I05" not in broken(books(orders=[ENTRY]), [SHOWN])
    assert "I05" in broken(books(orders=[replace(ENTRY, status="canceled")]), [SHOWN])
    assert "I05" in broken(books(orders=[replace(ENTRY, filled_qty=10)]), [SHOWN])


def test_i11_an_exit_that_ended_and_left_shares_bare_is_found() -> None:
    exit_ = replace(
        ENTRY, client_order_id="20200106_ABC_exit_sell", intent="exit", side="sell",
        status="canceled", alpaca_order_id="o2", position_id=1,
    )  # fmt: skip
    assert "I11" in broken(books(orders=[exit_], positions=[HELD]), held=200)
    assert "I11" not in broken(books(positions=[HELD]), held=200)


def test_i12_shares_without_cover_under_the_kill_switch_are_found() -> None:
    for on in (True, False):
        found = broken(books(positions=[HELD], switch=SwitchFacts(on=on, text="on")), held=200)
        assert ("I12" in found) is on


def test_i13_a_buy_begun_after_the_switch_went_on_is_found() -> None:
    for minutes, late in ((-1, True), (1, False)):
        switch = SwitchFacts(on=True, text="on", since=AT + timedelta(minutes=minutes))
        assert ("I13" in broken(books(orders=[ENTRY], switch=switch))) is late
    assert "I13" in broken(books(switch=SwitchFacts(on=True, text="TRUE")))


def test_i15_a_plan_that_is_stale_edited_or_of_another_day_is_found() -> None:
    plan = PlanFacts(1, MONDAY, "a", "a", AT - timedelta(minutes=30))
    assert "I15" not in broken(books(orders=[ENTRY], plans=[plan]))
    edited = replace(plan, body_sha256="b")
    other_day = replace(plan, session=date(2020, 1, 7))
    stale = replace(plan, created_at=AT - timedelta(days=4))
    for wrong in (edited, other_day, stale):
        assert "I15" in broken(books(orders=[ENTRY], plans=[wrong])), wrong


def test_i18_tokens_that_go_backwards_or_beyond_the_newest_are_found() -> None:
    later = replace(ENTRY, client_order_id="x", order_id=2, fencing_token=3, alpaca_order_id="o2")
    assert "I18" in broken(books(orders=[ENTRY, later], token=4))
    assert "I18" in broken(books(orders=[ENTRY], token=3))
    assert "I18" not in broken(books(orders=[ENTRY], token=4))


def test_i19_a_host_that_is_not_the_paper_host_is_found() -> None:
    assert "I19" not in broken()
    live = LiveConfig(alpaca_base_url="https://api.alpaca.markets")
    assert "I19" in broken(config=live)


@pytest.mark.parametrize(
    "weeks",
    [
        [WeekFacts("1", date(2020, 1, 10), date(2020, 1, 10))] * 2,
        [WeekFacts("1", date(2020, 1, 8), date(2020, 1, 10))],
        [WeekFacts("1", date(2020, 1, 10), date(2020, 1, 9))],
    ],
    ids=["twice", "no week end", "too early"],
)
def test_i24_a_week_evaluated_twice_early_or_in_the_middle_is_found(weeks: list[Any]) -> None:
    assert "I24" in broken(books(weeks=weeks))
    assert "I24" not in broken(books(weeks=[WeekFacts("1", date(2020, 1, 10), date(2020, 1, 13))]))


def run(**facts: Any) -> LoggedRun:
    ended = AT + timedelta(minutes=5)
    return replace(LoggedRun("execution", MONDAY, "done", 0, AT, ended, alarmed=False), **facts)


def test_i27_a_run_that_ended_after_the_close_is_found() -> None:
    assert "I27" not in broken(books(runs=[run()]))
    late = datetime(2020, 1, 6, 21, 0, 1, tzinfo=UTC)  # the close is at 16:00 New York
    assert "I27" in broken(books(runs=[run(finished_at=late)]))


def test_i28_a_database_that_is_not_sound_is_found() -> None:
    assert "I28" in broken(books(soundness="row 3 missing from index"))


def test_i29_a_run_that_says_done_and_ended_badly_is_found() -> None:
    assert "I29" in broken(books(runs=[run(exit_code=4)]))
    assert "I29" in broken(books(runs=[run(status="failed")]))
    assert "I29" in broken(books(runs=[run(status="failed", exit_code=7)]))
    assert "I29" not in broken(books(runs=[run(status="failed", exit_code=7, alarmed=True)]))


def test_i16_an_order_begun_before_its_run_had_reconciled_is_found() -> None:
    """Row 1 of the run with token 4: it reconciled when there was no row yet, or when there was."""
    assert "I16" not in broken(books(orders=[ENTRY], reconciled={4: 0}))
    assert "I16" in broken(books(orders=[ENTRY], reconciled={4: 1}))
    assert "I16" in broken(books(orders=[ENTRY], reconciled={3: 0}))
    leaving = replace(ENTRY, intent="exit", side="sell", reason="trend_break")
    assert "I16" in broken(books(orders=[leaving]))


@pytest.mark.parametrize("intent", ["stop", "exit"])
def test_i16_protection_waits_for_no_reconciliation(intent: Any) -> None:
    protecting = replace(ENTRY, intent=intent, side="sell", reason="protective_stop")
    assert "I16" not in broken(books(orders=[protecting]))


def test_i20_an_order_of_an_observed_strategy_is_found() -> None:
    assert "I20" not in broken(books(orders=[ENTRY], observed_plans=frozenset({2})))
    assert "I20" in broken(books(orders=[ENTRY], observed_plans=frozenset({1})))


def test_i20_a_phase_that_only_looks_and_sent_something_is_found() -> None:
    assert "I20" not in broken(books(runs=[run(phase="protect", changes_sent=2)]))
    assert "I20" not in broken(books(runs=[run(phase="comparison", changes_sent=0)]))
    assert "I20" in broken(books(runs=[run(phase="comparison", changes_sent=1)]))


def test_orders_of_a_day_are_counted_once_whoever_knows_them() -> None:
    """A row and its order, an order only there, a refused row, a leg, and another day's order."""
    leg = replace(SHOWN, order_id="o9", client_order_id="leg", side="sell", order_type="stop")
    only_there = replace(SHOWN, order_id="o2", client_order_id="20200106_DEF_exit_sell")
    yesterday = replace(SHOWN, order_id="o3", client_order_id="20200103_XYZ_entry_buy")
    refused = replace(ENTRY, client_order_id="20200106_GHI_entry_buy", outcome="refused")
    shown = [replace(SHOWN, legs=(leg,)), only_there, yesterday]
    counts = count_orders([ENTRY, refused], shown, MONDAY)
    assert (counts.trades, counts.stops) == (2, 1)
    waiting = replace(ENTRY, outcome="intended")
    assert count_orders([waiting], [], MONDAY, sending="ABC").trades == 0
