from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from workbench_examples import EVIL_NAME, candidate, demo_bars, indicators, plan, position

from livekit.model import Break, ClosedTrade, Order
from livekit.workbench.day_tables import (
    Cover,
    breaks_table,
    curves_table,
    orders_table,
    positions_table,
    trades_table,
)
from livekit.workbench.distances import distance_table, position_distance_rows
from livekit.workbench.plan_tables import Approval, entries_table, exits_table, skips_table
from livekit.workbench.series import Curve, price_view
from livekit.workbench.tables import (
    NOTHING,
    Column,
    Row,
    Table,
    market_price,
    pct,
    price,
    to_html,
    to_text,
    usd,
)

TEN = datetime(2020, 1, 30, 15, tzinfo=UTC)  # at ten in New York
PAIR = (("AAL", "exit"), ("MSFT", "entry"))


def cells(table: Table, row: int = 0) -> dict[str, str]:
    return dict(zip((column.title for column in table.columns), table.rows[row].cells, strict=True))


def test_text_from_outside_is_escaped_in_every_part_of_a_table():
    table = Table(EVIL_NAME, (Column(EVIL_NAME), Column(EVIL_NAME)), (Row((EVIL_NAME, EVIL_NAME)),))
    shown = to_html(table)
    assert "<img" not in shown
    assert "<a" not in shown
    assert shown.count("&lt;img") == 5


def test_an_empty_table_says_none():
    table = Table("Exits", (Column("ticker"), Column("reason")), ())
    assert "<td>none</td>" in to_html(table)
    assert "<th" not in to_html(table)
    assert to_text(table) == "Exits: none"


def test_plain_text_aligns_numbers_to_the_right():
    table = Table(
        "T", (Column("a"), Column("b", number=True)), (Row(("x", "1")), Row(("yy", "10")))
    )
    assert to_text(table) == "T\na    b\nx    1\nyy  10"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (usd(Decimal("1234.5")), "1,234.50"),
        (usd(-886.0, signed=True), "-886.00"),
        (usd(None), "–"),
        (usd(float("nan")), "–"),
        (price(Decimal("15.39")), "15.39"),
        (price(Decimal("0.1234")), "0.1234"),
        (price(Decimal("27.105")), "27.1050"),
        (price(100), "100.00"),
        (market_price(175.0049), "175.00"),
        (market_price(0.98765), "0.9877"),
        (pct(4.25), "+4.2 %"),
        (pct(-0.04), "0.0 %"),
        (usd(-0.004, signed=True), "0.00"),
        (usd(Decimal(0), signed=True), "0.00"),
        (pct(None), "–"),
    ],
)
def test_numbers_become_text(shown: str, expected: str):
    assert shown == expected


def test_exits_and_entries_show_the_last_decision_on_each_order():
    at = datetime(2020, 1, 30, 13, 2, 3, tzinfo=UTC)
    approvals = [
        Approval("MSFT", "entry", "rejected", None, "anna", at),
        Approval("MSFT", "entry", "approved", 40, "anna", at, "smaller"),
    ]
    entry = cells(entries_table(plan(), approvals))
    assert entry["decision"] == "approved up to 40 by anna, 2020-01-30 08:02:03 New York: smaller"
    assert entry["reference, USD"] == "172.21"
    leaving = cells(exits_table(plan(), approvals))
    assert leaving["decision"] == "no decision yet"
    assert (leaving["reason"], leaving["decided"]) == ("trend_break", "2020-01-24")


def test_a_plan_that_is_never_executed_has_no_column_of_decisions():
    assert "decision" not in cells(entries_table(plan()))
    assert "decision" not in cells(exits_table(plan()))


def test_the_quantity_of_a_rotation_caps_its_buy_and_not_its_sell():
    pair = [Approval(ticker, intent, "approve", 19, "auto", None) for ticker, intent in PAIR]
    assert cells(entries_table(plan(), pair))["decision"] == "approved up to 19 by auto"
    assert cells(exits_table(plan(), pair))["decision"] == "approved by auto"


def test_a_skip_without_a_score_keeps_its_reason_and_detail():
    skipped = cells(skips_table(plan()))
    assert skipped["score"] == "–"
    assert skipped["reason"] == "capacity_full"
    assert skipped["detail"] == "weakest is AAL with -312.20 USD"


def test_a_position_without_cover_is_named_in_capitals_and_marked():
    held = [
        position("AAL", date(2020, 1, 8), "28.00", 350),
        position("T", date(2020, 1, 9), "38.00", 263),
    ]
    covers = [Cover("AAL", 300, "stop", Decimal("25.20")), Cover("T", 0, "none")]
    table = positions_table(held, [27.0, None], covers)
    assert cells(table)["cover"] == "stop at 25.20 for 300, 50 UNCOVERED"
    assert cells(table)["P&L, USD"] == "-350.00"  # 350 × (27 − 28)
    assert cells(table)["P&L"] == "-3.6 %"  # −350 / 9,800
    assert cells(table, 1)["cover"] == "NONE: 263 shares uncovered"
    assert cells(table, 1)["P&L, USD"] == "–"
    assert [row.tone for row in table.rows] == ["bad", "bad"]


def test_after_a_split_shares_and_stop_are_todays_and_the_entry_is_as_traded():
    stop = Decimal("67.50")  # 270 at the entry, four for one since
    held = position("AAPL", date(2020, 1, 8), "300.00", 33, split_factor=4.0, stop_price=stop)
    shown = cells(positions_table([held], [80.0], [Cover("AAPL", 132, "stop", Decimal("67.50"))]))
    assert shown["shares"] == "132"
    assert shown["entry, USD"] == "300.00"
    assert shown["stop, USD"] == "67.50"
    assert shown["P&L, USD"] == "+660.00"  # 132 × 80 − 33 × 300


def test_distances_are_from_the_last_close_in_dollars_and_percent():
    bars = demo_bars(1)[0]
    view = price_view(bars, *indicators(bars), names=("EMA(10)", "NWL(4)"))
    close = view.last_close
    rows = position_distance_rows(view, stop_price=close - 2.0, shares=100)
    assert [row.level for row in rows] == ["protective stop", "EMA(10)", "NWL(4)"]
    assert rows[0].distance_usd == pytest.approx(2.0)
    assert rows[0].distance_pct == pytest.approx(200.0 / close)
    assert rows[0].position_usd == pytest.approx(200.0)


def test_a_close_below_a_level_is_said_in_words():
    bars = demo_bars(1)[0]
    view = price_view(bars, *indicators(bars))
    rows = position_distance_rows(view, stop_price=view.last_close + 1.0, shares=10)
    table = distance_table("AAL", rows, view.last_close)
    assert cells(table)["level"] == "protective stop (close is below)"
    assert cells(table)["distance, USD"] == "-1.00"
    assert table.rows[0].tone == "warn"


def test_a_fill_is_compared_with_the_price_it_was_planned_at():
    order = Order(
        "20200130_MSFT_entry_buy",
        "entry",
        "buy",
        "MSFT",
        date(2020, 1, 30),
        58,
        "market",
        "day",
        "filled",
        reference_price=Decimal("172.00"),
        filled_qty=58,
        filled_avg_price=Decimal("172.86"),
    )
    shown = cells(orders_table([order], "Orders"))
    assert shown["against reference"] == "+0.50 %"  # 172.86 / 172 − 1
    assert shown["client order id"] == "20200130_MSFT_entry_buy"


def test_an_open_break_shows_its_facts_and_is_marked():
    table = breaks_table([Break("quantity", "AAL", EVIL_NAME, "buy back 3")], TEN)
    assert cells(table)["facts"] == EVIL_NAME
    assert (cells(table)["break"], cells(table)["age"]) == (NOTHING, NOTHING)
    assert table.rows[0].tone == "bad"
    assert "&lt;img" in to_html(table)


def test_a_break_of_the_ledger_shows_its_number_its_age_and_how_it_was_settled():
    """Opened on Wednesday at 07:00: 27 hours old on Thursday at ten; settled after three hours."""
    opened = datetime(2020, 1, 29, 12, tzinfo=UTC)
    item = Break("cash", None, "1.00 USD", "look for fees", break_id=7, opened_at=opened)
    settled = replace(
        item,
        break_id=8,
        status="resolved",
        resolution="trader: a fee",
        resolved_at=opened + timedelta(hours=3),
    )
    table = breaks_table([item, settled], TEN)
    shown = [cells(table, row) for row in (0, 1)]
    assert [(row["break"], row["age"], row["status"]) for row in shown] == [
        ("7", "1 day", "open"),
        ("8", "3 h", "trader: a fee"),
    ]


def test_the_result_of_a_book_is_a_share_of_the_capital():
    import numpy as np

    book = Curve("broker", (date(2020, 1, 2), date(2020, 1, 3)), np.array([-2000.0, 1000.0]))
    shown = cells(curves_table([book], base_usd=200_000.0))
    assert shown["P&L of capital"] == "+0.50 %"
    assert shown["deepest drawdown"] == "-1.00 %"


def test_what_a_policy_decided_is_said_once():
    at = datetime(2020, 1, 30, 13, 50, tzinfo=UTC)
    approval = Approval("MSFT", "entry", "approve", 58, "policy:auto", at, "approval: auto")
    shown = cells(entries_table(plan(), [approval]))
    assert shown["decision"] == "approved by policy auto, 2020-01-30 08:50:00 New York"


def test_the_captions_of_positions_and_trades_add_them_up():
    held = [
        position("AAL", date(2020, 1, 8), "28.00", 350),
        position("T", date(2020, 1, 9), "38.00", 263),
        position("XYZ", date(2020, 1, 9), "10.00", 100),
    ]
    open_now = positions_table(held, [27.0, 39.0, None], [None] * 3)
    # 350 × (27 − 28) + 263 × (39 − 38) = −87
    assert open_now.caption == ("Open positions: 3, unrealised P&L -87.00 USD (1 without a price)")
    trades = [
        ClosedTrade(
            candidate("AAL"),
            date(2020, 1, 8),
            28.0,
            350,
            date(2020, 1, 30),
            exit_price,
            "protective_stop",
            pnl,
            0.0,
            22,
        )
        for exit_price, pnl in ((25.0, -1050.0), (28.5, 175.0))
    ]
    assert trades_table(trades, "Closed").caption == "Closed: 2 trades, P&L -875.00 USD"
    assert trades_table(trades[:1], "Closed").caption == "Closed: 1 trade, P&L -1,050.00 USD"
    assert trades_table([], "Closed").caption == "Closed"


def test_a_table_whose_cover_is_not_known_does_not_speak_of_it():
    held = [position("AAL", date(2020, 1, 8), "28.00", 350)]
    table = positions_table(held, [27.0], [None])
    assert "cover" not in cells(table)
    assert table.rows[0].tone == ""
