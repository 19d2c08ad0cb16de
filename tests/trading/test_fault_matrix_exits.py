"""The fault matrix, rows 20 to 27 and 30: cancels of stops, and sales, that go wrong."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.model import Position
from livekit.sessions import open_instant
from livekit.trading.orders import flat
from livekit.workbench.daily import run_daily
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    deletes,
    healed,
    holding,
    inject,
    leaving,
    longest_uncovered_s,
    on_wire,
    posts,
    sold,
    struck,
    touch,
    venue_order,
)
from tests.trading.world import World, world

HELD_FOR_ORDERS = {
    "code": 40310000,
    "message": "insufficient qty available for order (requested: 200, available: 0)",
    "available": "0",
    "held_for_orders": "200",
}
FALLEN = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}  # opens below its stop of 45
A_SECOND = timedelta(seconds=1)


def after_the_open(w: World) -> Position:
    """ABC is to be sold, and Tuesday's market has been open for a second."""
    position = holding(w)
    leaving(w, position)
    sleep_until(w.desk.clock, open_instant(TUESDAY) + A_SECOND)
    return position


def sold_by_exit(w: World) -> None:
    """All 200 left by one sale of ours at 50 less 0.5 %: 49.75."""
    assert (w.held("ABC"), w.live_sells("ABC"), sold(w, "ABC")) == (0, 0, 200)
    (closed,) = w.db.get_positions()
    assert (closed.exit_reason, closed.exit_price) == ("trend_break", Decimal("49.75"))
    assert [item.filled_qty for item in w.db.get_orders(intent="exit")] == [200]


def stopped_out(w: World) -> None:
    """All 200 left by the stop at 40 less 0.5 %: 39.80; no sale of ours was sent beside it."""
    assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)
    (closed,) = w.db.get_positions()
    assert (closed.exit_reason, closed.exit_price) == ("protective_stop", Decimal("39.8"))
    assert w.db.get_orders(intent="exit") == []
    sells = [order for order in flat(w.desk.client.list_orders()) if order.side == "sell"]
    assert [order.order_type for order in sells if order.filled_quantity] == ["stop"]


def test_row_20_a_sale_refused_because_shares_are_held_restores_the_stop(tmp_path: Path) -> None:
    """The refusal is final for the session: the stop is back, and Wednesday's run sells."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        desk, wire = on_wire(w, posts("sell"), (403, HELD_FOR_ORDERS))
        run_daily(desk, TUESDAY, phases=("execution",))
        assert wire.struck
        (refused,) = w.db.get_orders(intent="exit")
        assert (refused.status, refused.filled_qty) == ("refused", 0)
        assert (w.held("ABC"), w.live_sells("ABC"), sold(w, "ABC")) == (200, 200, 0)
        (position,) = w.db.get_open_positions()
        assert (position.shares_now, position.pending_reason) == (200, "trend_break")
        assert position.stop_price == Decimal(45)
        healed(w, TUESDAY)
        healed(w, WEDNESDAY)
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)


@pytest.mark.parametrize("kind", [FaultKind.RELEASE_LATE, FaultKind.CANCEL_SLOW])
def test_row_20_shares_that_are_freed_late_are_waited_for_and_sold(
    tmp_path: Path, kind: FaultKind
) -> None:
    """Four seconds pass until the cancel is done, or until its shares are free: one sale, taken."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        after_the_open(w)
        inject(w, FaultRule(kind, seconds=4.0))
        assert w.phase(TUESDAY, "execution").exit_code == 0
        assert struck(w) == [kind]
        assert w.wire.refused == []
        sold_by_exit(w)
        healed(w, TUESDAY)


def test_row_21_a_cancel_that_hangs_is_no_cover_and_nothing_is_oversold(tmp_path: Path) -> None:
    """The stop stays ``pending_cancel`` for ten minutes: it is not sold beside it."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        leaving(w, position)
        sleep_until(w.desk.clock, open_instant(TUESDAY))

        def hang(method: str, path: str) -> str | None:
            if method == "DELETE":
                later = w.desk.clock.now() + timedelta(minutes=10)
                touch(w, position.stop_order_id, status="pending_cancel", cancel_due=later)
            return None

        w.wire.rule = hang
        outcome = w.phase(TUESDAY, "execution")
        assert outcome.exit_code == 7
        assert w.db.is_kill_switch_on()
        assert [(item.kind, item.severity) for item in w.db.get_alerts()] == [
            ("uncovered", "critical")
        ]
        assert [item.side for item in w.desk.client.get_fills()] == ["buy"]
        assert w.db.get_orders(intent="exit") == []
        w.wire.rule = lambda method, path: None
        w.desk.clock.sleep(600.0)
        w.trade(TUESDAY, "execution")
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert sold(w, "ABC") == 0


def test_row_22_a_cancel_refused_as_filled_books_the_stop_and_sells_nothing(
    tmp_path: Path,
) -> None:
    """The open at 40 comes after the stop was read and before its cancel arrives."""
    with world(tmp_path, {"ABC": 50.0}, FALLEN) as w:
        leaving(w, holding(w))

        def open_meanwhile(method: str, path: str) -> None:
            if method == "DELETE":
                sleep_until(w.desk.clock, open_instant(TUESDAY) + A_SECOND)

        w.wire.rule = open_meanwhile
        assert w.phase(TUESDAY, "execution").exit_code == 0
        ((method, status, text),) = w.wire.refused
        assert (method, status) == ("DELETE", 422)
        assert "42210000" in text
        assert "filled" in text
        stopped_out(w)
        healed(w, TUESDAY)


def cancelled_by_somebody(w: World, position: Position) -> Callable[[str, str], None]:
    """Another program cancels the stop while our own cancel is under way."""

    def rule(method: str, path: str) -> None:
        if method == "DELETE" and venue_order(w, position.stop_order_id).status != "canceled":
            w.wire.rule = lambda method, path: None
            w.desk.client.cancel_order(str(position.stop_order_id))

    return rule


def test_row_23_a_cancel_refused_as_canceled_goes_on_to_the_sale(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        leaving(w, position)
        w.wire.rule = cancelled_by_somebody(w, position)
        assert w.trade(TUESDAY).exit_code == 0
        ((method, status, text),) = w.wire.refused
        assert (method, status) == ("DELETE", 422)
        assert "42210000" in text
        assert "canceled" in text
        sold_by_exit(w)


@pytest.mark.parametrize("said", ["filled", "canceled"])
def test_row_23_the_status_is_read_and_never_taken_from_the_code(tmp_path: Path, said: str) -> None:
    """Somebody in between says the stop is finished while it lives: it is read, cancelled, sold."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        body = {"code": 42210000, "message": f'order is already in "{said}" state'}
        desk, wire = on_wire(w, deletes, (422, body))
        assert run_daily(desk, TUESDAY, phases=("execution",)).exit_code == 0
        assert wire.struck
        sold_by_exit(w)
        assert w.db.get_orders(intent="stop")[0].status == "canceled"
        healed(w, TUESDAY)


def test_row_24_a_cancel_that_is_taken_and_then_fills_is_no_second_sale(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        after_the_open(w)
        inject(w, FaultRule(FaultKind.CANCEL_FILLS))
        assert w.phase(TUESDAY, "execution").exit_code == 0
        assert struck(w) == [FaultKind.CANCEL_FILLS]
        assert w.wire.refused == []  # 204: the answer says nothing of the fill
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)
        assert w.db.get_orders(intent="exit") == []
        (closed,) = w.db.get_positions()
        assert closed.exit_reason == "protective_stop"
        healed(w, TUESDAY)


GHOST = "00000000-0000-4000-8000-000000000000"


def test_row_25_an_order_that_the_venue_does_not_know_is_a_break_and_alarms(
    tmp_path: Path,
) -> None:
    """Our row names an order that never was: cover is read at the venue, the row is a break."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        ghost_row(w, position)
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert "unknown to the venue" in outcome.lines[0]
        assert w.db.is_kill_switch_on()
        assert "critical" in {item.severity for item in w.db.get_alerts()}
        assert w.held("ABC") == w.live_sells("ABC") == 200


def ghost_row(w: World, position: Position) -> None:
    stop = w.db.get_order_by_alpaca_id(str(position.stop_order_id))
    assert stop is not None
    row = replace(
        stop,
        client_order_id="20200106_ABC_stop_sell",
        alpaca_order_id=GHOST,
        parent_client_order_id=None,
        order_id=None,
    )
    w.db.add_order(row, at=w.desk.clock.now())


def test_row_25_a_stop_known_by_a_wrong_id_is_found_among_the_open_orders(tmp_path: Path) -> None:
    """The position names an id that the venue has never heard of: its real stop is cancelled."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.db.update_position(int(position.position_id or 0), stop_order_id=GHOST)
        leaving(w, position)
        assert w.phase(TUESDAY, "execution").exit_code == 0
        cancels = [path for method, path in w.wire.sent if method == "DELETE"]
        assert cancels == [f"/v2/orders/{position.stop_order_id}"]
        sold_by_exit(w)
        healed(w, TUESDAY)


def test_row_25_a_cancel_answered_by_404_is_asked_for_again_while_the_stop_lives(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        desk, wire = on_wire(w, deletes, (404, {"code": 40410000, "message": "order not found"}))
        assert run_daily(desk, TUESDAY, phases=("execution",)).exit_code == 0
        assert wire.struck
        sold_by_exit(w)
        healed(w, TUESDAY)


def test_row_26_a_stop_that_fills_while_its_cancel_travels_is_one_sale(tmp_path: Path) -> None:
    """And the process dies once the venue has refused that cancel: the next one sells nothing."""
    with world(tmp_path, {"ABC": 50.0}, FALLEN) as w:
        leaving(w, holding(w))

        class Died(BaseException):
            pass

        def open_meanwhile(method: str, path: str) -> None:
            if w.wire.refused:
                raise Died
            if method == "DELETE":
                sleep_until(w.desk.clock, open_instant(TUESDAY) + A_SECOND)

        w.wire.rule = open_meanwhile
        with pytest.raises(Died):
            w.phase(TUESDAY, "execution")
        assert [(item[0], item[1]) for item in w.wire.refused] == [("DELETE", 422)]
        healed(w, TUESDAY)
        stopped_out(w)


def test_row_27_of_a_stop_that_filled_in_part_only_the_rest_is_sold(tmp_path: Path) -> None:
    """Half of the stop fills at the open; the exit cancels it and sells the other hundred."""
    bars = {("ABC", TUESDAY): (44.0, 50.0, 44.0, 50.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        position = holding(w)
        leaving(w, position)
        touch(w, position.stop_order_id, fate="partial")
        sleep_until(w.desk.clock, open_instant(TUESDAY) + A_SECOND)
        assert w.held("ABC") == 100
        assert w.phase(TUESDAY, "execution").exit_code == 0
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)
        exits = w.db.get_orders(intent="exit")
        assert [(item.quantity, item.filled_qty) for item in exits] == [(100, 100)]
        assert w.wire.refused == []  # no sale of more than is held was tried
        healed(w, TUESDAY)


def test_row_30_an_exit_that_filled_in_part_leaves_the_rest_covered(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        inject(w, FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, method="POST"))
        w.trade(TUESDAY)
        assert struck(w) == [FaultKind.PARTIAL_THEN_EXPIRY]
        (position,) = w.db.get_open_positions()
        assert (position.shares_now, position.pending_reason) == (100, "trend_break")
        (exit_row,) = w.db.get_orders(intent="exit")
        assert (exit_row.quantity, exit_row.filled_qty) == (200, 100)
        assert w.held("ABC") == w.live_sells("ABC") == 100
        assert longest_uncovered_s(w) <= 10.0
        healed(w, WEDNESDAY)
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)
        assert w.db.get_positions()[0].entry_date == MONDAY
