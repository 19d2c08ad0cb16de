"""Exposure, P&L by kind, slippage, and what changed since the previous session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from workbench_examples import candidate, position

from livekit.model import Break, Order, Position
from livekit.state import EquityPoint, StateDB
from livekit.workbench.book_charts import (
    FillCost,
    exposure_chart,
    exposure_table,
    group_profits,
    profit_chart,
    profit_table,
    slippage_chart,
    slippage_table,
)
from livekit.workbench.changes import changes_since, changes_table
from livekit.workbench.tables import to_text

WEDNESDAY, THURSDAY = date(2020, 1, 29), date(2020, 1, 30)
NOON = datetime(2020, 1, 30, 17, tzinfo=UTC)


def cells(table: object) -> list[tuple[str, ...]]:
    return [row.cells for row in table.rows]


# -------------------------------------------------------------------------------------- exposure


def point(day: date, cash: str | None, equity: str | None, held: int) -> EquityPoint:
    worth = [None if text is None else Decimal(text) for text in (cash, equity)]
    return EquityPoint(day, "broker", *worth, Decimal(0), Decimal(0), held)


POINTS = [point(WEDNESDAY, "150000", "200000", 5), point(THURSDAY, "95000", "205000", 11)]


def test_exposure_is_what_is_not_cash_as_a_share_of_the_capital():
    """205,000 − 95,000 = 110,000 USD of 200,000 are 55 %."""
    chart = exposure_chart(POINTS, base_usd=200000.0)
    line, bars = chart.data
    assert (line["y"], bars["y"]) == ([25.0, 55.0], [5, 11])
    assert line["x"] == ["2020-01-29", "2020-01-30"]
    assert "55.0 % in 11 positions at the end, at most 55.0 %" in chart.layout["meta"]
    assert cells(exposure_table(POINTS, base_usd=200000.0))[0] == (
        "2020-01-30",
        "110,000.00",
        "55.0 %",
        "11",
        "95,000.00",
    )
    chart.figure()  # plotly knows every word of it


def test_an_equity_that_is_not_known_is_a_gap_and_no_zero():
    points = [*POINTS, point(date(2020, 1, 31), None, None, 11)]
    assert exposure_chart(points, base_usd=200000.0).data[0]["y"] == [25.0, 55.0, None]
    assert cells(exposure_table(points, base_usd=200000.0))[0][1:3] == ("–", "–")


# --------------------------------------------------------------------------------- P&L by a kind


def closed(ticker: str, pnl: str, grade: str, reason: str) -> Position:
    held = position(ticker, WEDNESDAY, "100", 10, candidate=candidate(ticker, grade=grade))
    done = {"status": "closed", "exit_date": THURSDAY, "exit_reason": reason}
    return replace(held, pnl=Decimal(pnl), **done)


TRADES = [
    closed("AAL", "120.50", "A", "trend_break"),
    closed("T", "-40.25", "B", "protective_stop"),
    closed("MSFT", "-19.75", "B", "trend_break"),
]


def test_profit_by_grade_and_by_exit_reason_adds_up():
    """B lost 40.25 + 19.75 = 60; trend breaks made 120.50 − 19.75 = 100.75."""
    grades = group_profits(TRADES, lambda item: item.candidate.grade)
    assert [(g.name, g.trades, g.won, g.pnl_usd) for g in grades] == [
        ("A", 1, 1, 120.5),
        ("B", 2, 0, -60.0),
    ]
    reasons = group_profits(TRADES, lambda item: item.exit_reason or "")
    assert {g.name: g.pnl_usd for g in reasons} == {
        "protective_stop": -40.25,
        "trend_break": 100.75,
    }
    assert cells(profit_table(grades, "by grade"))[1] == ("B", "2", "0 %", "-60.00", "-30.00")


def test_a_loss_differs_from_a_gain_by_more_than_its_colour():
    chart = profit_chart(group_profits(TRADES, lambda item: item.candidate.grade), "P&L by grade")
    (bars,) = chart.data
    assert bars["marker"]["pattern"]["shape"] == ["", "/"]
    assert len(set(bars["marker"]["color"])) == 2
    chart.figure()


# -------------------------------------------------------------------------------------- slippage

BUY = FillCost("AAL", "entry", "buy", 100, 50.25, 50.0)
SELL = FillCost("T", "exit", "sell", 200, 29.85, 30.0)
GOOD = FillCost("MSFT", "entry", "buy", 10, 99.0, 100.0)


def test_slippage_is_a_cost_in_both_directions():
    """Bought 0.25 above 50: 0.5 %, 25 USD; sold 0.15 below 30: 0.5 %, 30 USD; 1 % saved: 10."""
    assert [round(c.slippage_pct, 6) for c in (BUY, SELL, GOOD)] == [0.5, 0.5, -1.0]
    assert [round(c.cost_usd, 6) for c in (BUY, SELL, GOOD)] == [25.0, 30.0, -10.0]
    table = slippage_table([BUY, SELL, GOOD])
    assert table.caption == "Every fill against the official open: cost +45.00 USD"
    assert cells(table)[0] == (
        "AAL",
        "entry: buy",
        "100",
        "50.25",
        "50.00",
        "+0.500 %",
        "+25.00",
    )
    chart = slippage_chart([BUY, SELL, GOOD])
    assert chart.data[0]["x"] == ["1. AAL entry", "2. T exit", "3. MSFT entry"]
    chart.figure()


# --------------------------------------------------------------------------------------- changes


@pytest.fixture
def db() -> Iterator[StateDB]:
    with StateDB(":memory:") as opened:
        yield opened


def stop_order(name: str, day: date, price: str) -> Order:
    return Order(
        client_order_id=name,
        intent="stop",
        side="sell",
        ticker="AAL",
        trade_date=day,
        quantity=10,
        order_type="stop",
        time_in_force="gtc",
        status="accepted",
        stop_price=Decimal(price),
    )


def test_nothing_but_the_value_changed_on_a_quiet_day(db: StateDB):
    for day, worth in ((WEDNESDAY, "200000"), (THURSDAY, "200123.45")):
        db.save_equity(
            day,
            "broker",
            cash=Decimal("150000"),
            equity=Decimal(worth),
            realised=Decimal(0),
            unrealised=Decimal(0),
            positions=0,
        )
    changes = changes_since(db, THURSDAY)
    assert cells(changes_table(changes)) == [
        ("equity", "–", "+123.45 USD, 2020-01-29 to 2020-01-30")
    ]


def test_every_kind_of_change_has_its_row_with_trouble_first(db: StateDB):
    db.add_position(position("AAL", WEDNESDAY, "100", 10))
    db.add_position(position("MSFT", THURSDAY, "50", 20))
    left = db.add_position(position("T", WEDNESDAY, "30", 100))
    db.close_position(
        left,
        exit_date=THURSDAY,
        exit_price=Decimal("27"),
        exit_reason="protective_stop",
        pnl=Decimal("-300"),
        return_pct=-10.0,
    )
    db.add_order(stop_order("a", WEDNESDAY, "90"), at=NOON)
    db.add_order(stop_order("b", THURSDAY, "45"), at=NOON)
    db.add_alert("split", "AAL was split 2 for 1", at=NOON, severity="warning")
    db.add_alert("digest", "of no interest here", at=NOON, severity="info")
    db.add_break(Break("cash", None, "1.00 USD"), session=THURSDAY, at=NOON)
    rows = cells(changes_table(changes_since(db, THURSDAY)))
    assert rows == [
        ("alert", "–", "split: AAL was split 2 for 1"),
        ("open break", "–", "cash: 1.00 USD"),
        ("opened", "MSFT", "20 shares at 50.00 USD, stop 45.00"),
        ("closed", "T", "protective_stop, -300.00 USD"),
        ("stop moved", "AAL", "90.00 to 45.00 USD"),
    ]


def test_a_quiet_first_day_says_none(db: StateDB):
    table = changes_table(changes_since(db, THURSDAY))
    assert to_text(table) == "What changed since 2020-01-29: none"
