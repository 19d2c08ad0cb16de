"""The fault matrix, rows 28, 29 and 31: fills that come in parts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livekit.broker.venue.engine.fills import Step
from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.model import VenueFill
from livekit.trading.books import book_fill
from livekit.workbench.daily import perform_recorded
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    edited,
    end,
    healed,
    holding,
    inject,
    longest_uncovered_s,
    planned,
    struck,
)
from tests.trading.world import World, world

ABC = ("ABC", 80.0, 50.0)
ENTRY_ID = "20200106_ABC_entry_buy"
FALLEN = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}  # opens below its stop of 45


def half_bought(w: World) -> None:
    """The entry fills by half at the open, and the other half never."""
    planned(w, MONDAY, ABC)
    inject(w, FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, method="POST"))
    assert w.phase(MONDAY, "execution").exit_code == 0
    assert struck(w) == [FaultKind.PARTIAL_THEN_EXPIRY]


def test_row_28_a_buy_that_filled_in_part_is_covered_within_ten_seconds(tmp_path: Path) -> None:
    """After four seconds the rest is cancelled, and a stop of the part takes the leg's place."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        half_bought(w)
        assert w.held("ABC") == w.live_sells("ABC") == 100
        assert 4.0 <= longest_uncovered_s(w) <= 10.0
        (entry,) = w.bought("ABC")
        assert (entry.status, entry.filled_quantity) == ("canceled", 100)
        (stop,) = w.db.get_orders(intent="stop", working_only=True)[-1:]
        assert (stop.quantity, stop.stop_price) == (100, Decimal(45))
        healed(w, MONDAY)


def fill_the_rest(w: World, asked_by: Callable[[str], bool]) -> None:
    """Let the other half of the entry fill when a request of that method is about to leave."""

    def rule(method: str, path: str) -> None:
        for one in list(w.venue.engine.state.orders.values()):  # type: ignore[union-attr]
            if one.side == "buy" and one.fate == "dying" and asked_by(method):
                one.fate = None
                w.venue.engine.orders.match(one, Step(Decimal(50)))  # type: ignore[union-attr]

    w.wire.rule = rule


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_row_28_more_fills_after_the_part_are_covered_too(tmp_path: Path, method: str) -> None:
    """The rest fills a second after the part, or while the cancel of the rest is under way."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, method="POST"))
        fill_the_rest(w, lambda asked: asked == method)
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert [item.quantity for item in w.db.get_fills()] == [100, 100]
        assert longest_uncovered_s(w) <= 10.0
        healed(w, MONDAY)


def ends_by_itself(w: World, status: str) -> None:
    """Monday's buy fills in part, and the venue at once ends or parks the rest."""
    planned(w, MONDAY, ABC)
    inject(w, FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, method="POST"))

    def rule(method: str, path: str) -> None:
        for one in list(w.venue.engine.state.orders.values()):  # type: ignore[union-attr]
            if one.side == "buy" and one.filled_qty == 100 and one.status != status:
                end(w, one.order_id, status)

    w.wire.rule = rule


def part_is_booked(w: World, *ended: str) -> None:
    """Position 100, order row 100 of 200."""
    entry = w.db.get_order_by_client_id(ENTRY_ID)
    assert entry is not None
    assert (entry.filled_qty, entry.quantity) == (100, 200)
    assert entry.status in (ended or ("done_for_day", "pending_cancel"))
    (position,) = w.db.get_open_positions()
    assert (position.actual_shares, position.target_shares) == (100, 200)


@pytest.mark.parametrize("status", ["canceled", "expired"])
def test_row_29_a_buy_that_ended_in_part_is_a_position_of_that_part(
    tmp_path: Path, status: str
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        ends_by_itself(w, status)
        assert w.phase(MONDAY, "execution").exit_code == 0
        part_is_booked(w, status)
        assert w.held("ABC") == w.live_sells("ABC") == 100
        assert longest_uncovered_s(w) <= 10.0
        healed(w, MONDAY)


@pytest.mark.slow
def test_row_29_a_part_whose_rest_is_done_for_the_day_alarms_and_is_covered_in_the_morning(
    tmp_path: Path,
) -> None:
    """Such a rest can neither be cancelled nor stand beside a stop until the next morning."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        ends_by_itself(w, "done_for_day")
        assert w.phase(MONDAY, "execution").exit_code == 7
        part_is_booked(w)
        assert w.db.is_kill_switch_on()
        alarms = [item.kind for item in w.db.get_alerts() if item.severity == "critical"]
        assert "uncovered" in alarms
        w.wire.rule = lambda method, path: None
        w.phase(TUESDAY, "signals")
        assert w.held("ABC") == w.live_sells("ABC") == 100
        part_is_booked(w, "canceled", "expired")


def split_into_three(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The one sale of 200 at 39.80 told as 60, 70 and 70 at three prices with the same sum."""
    told = []
    for row in rows:
        if row["side"] == "buy":
            told.append(row)
            continue
        for number, (shares, price) in enumerate(((60, "39.87"), (70, "39.82"), (70, "39.72"))):
            part = {"id": f"{row['id']}-{number}", "qty": str(shares), "price": price}
            told.append(row | part)
    return told


def test_row_31_a_fill_at_three_prices_has_an_exact_average_and_profit(tmp_path: Path) -> None:
    """Gapped through at 40: 2,392.20 + 2,787.40 + 2,780.40 = 7,960.00 of the 10,000 paid.

    The mean of the prices would be 39.8033, the last one 39.72.
    """
    with world(tmp_path, {"ABC": 50.0}, FALLEN) as w:
        holding(w)
        w.go_to(TUESDAY, "reconciliation")
        desk = edited(w, "/v2/account/activities/FILL", split_into_three)
        assert perform_recorded(desk, "reconciliation", TUESDAY).exit_code == 0
        (closed,) = w.db.get_positions()
        assert (closed.status, closed.exit_price) == ("closed", Decimal("39.8"))
        assert closed.pnl == Decimal("-2040.00")
        assert [item.quantity for item in w.db.get_fills()] == [200, 60, 70, 70]


def test_row_31_an_average_that_is_no_cent_is_kept_exactly(tmp_path: Path) -> None:
    """Sold 60 at 49.01, 70 at 49.02, 70 at 49.04: 9,804.80 received of 10,000 paid."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        stop = w.db.get_order_by_alpaca_id(str(position.stop_order_id))
        assert stop is not None
        at = datetime.fromisoformat("2020-01-07T14:30:00+00:00")
        for number, (shares, price) in enumerate(((60, "49.01"), (70, "49.02"), (70, "49.04"))):
            fill = VenueFill(
                f"part-{number}", str(position.stop_order_id), "ABC", "sell",
                Decimal(shares), Decimal(price), at + timedelta(seconds=number),
            )  # fmt: skip
            assert book_fill(w.desk, stop, fill)
        (closed,) = w.db.get_positions()
        assert closed.exit_price == Decimal("49.024")  # 9,804.80 / 200
        assert closed.pnl == Decimal("-195.20")
