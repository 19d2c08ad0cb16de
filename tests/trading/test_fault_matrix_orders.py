"""The fault matrix, rows 20 to 40: cancels, stops, fills, and books that differ."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.errors import OrderRefused, OutcomeUnknown
from livekit.model import VenueFill, VenueOrder, VenuePosition
from livekit.sessions import open_instant
from livekit.trading.books import book_fill
from livekit.trading.cover import cover_gaps
from livekit.trading.reconciliation import reconcile
from livekit.workbench.daily import run_daily
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    edited,
    healed,
    holding,
    inject,
    leaving,
    longest_uncovered_s,
    on_wire,
    planned,
    posts,
    sold,
)
from tests.trading.world import World, world

ABC = ("ABC", 80.0, 50.0)
HELD_FOR_ORDERS = {
    "code": 40310000,
    "message": "insufficient qty available for order (requested: 200, available: 0)",
    "available": "0",
    "held_for_orders": "200",
}


def venue_order(w: World, order_id: str | None) -> object:
    """The order inside the venue, where its fate can be set."""
    return w.venue.engine.state.orders[str(order_id)]  # type: ignore[union-attr]


def touch(w: World, order_id: str | None, **facts: object) -> None:
    order = venue_order(w, order_id)
    for name, value in facts.items():
        setattr(order, name, value)
    w.venue.engine.state.touch(order)  # type: ignore[union-attr, arg-type]


def test_row_20_a_sale_refused_because_shares_are_held_restores_the_stop(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        desk, wire = on_wire(w, posts("sell"), (403, HELD_FOR_ORDERS))
        run_daily(desk, TUESDAY, phases=("execution",))
        assert wire.struck
        assert w.held("ABC") == w.live_sells("ABC")
        assert longest_uncovered_s(w) <= 10.0
        assert sold(w, "ABC") + w.held("ABC") == 200


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
        assert "uncovered" in {item.kind for item in w.db.get_alerts()}
        assert [item.side for item in w.desk.client.get_fills()] == ["buy"]
        w.wire.rule = lambda method, path: None
        w.desk.clock.sleep(600.0)
        w.trade(TUESDAY, "execution")
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert sold(w, "ABC") + w.held("ABC") == 200


def test_row_22_a_cancel_refused_as_filled_books_the_stop_and_sells_nothing(
    tmp_path: Path,
) -> None:
    """ABC opens at 40, below its stop of 45; the exit is begun a second later."""
    bars = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        position = holding(w)
        leaving(w, position)
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))
        with pytest.raises(OrderRefused, match="42210000"):
            w.desk.client.cancel_order(str(position.stop_order_id))
        healed(w, TUESDAY)
        (closed,) = w.db.get_positions()
        assert (closed.exit_reason, closed.exit_price) == ("protective_stop", Decimal("39.8"))
        assert sold(w, "ABC") == 200
        assert w.db.get_orders(intent="exit") == []


def test_row_23_a_cancel_refused_as_canceled_goes_on_to_the_sale(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        leaving(w, position)

        def cancelled_by_somebody(method: str, path: str) -> None:
            if method == "DELETE" and venue_order(w, position.stop_order_id).status != "canceled":  # type: ignore[attr-defined]
                w.wire.rule = lambda method, path: None
                w.desk.client.cancel_order(str(position.stop_order_id))

        w.wire.rule = cancelled_by_somebody
        healed_report = w.trade(TUESDAY)
        assert healed_report.exit_code == 0
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)


def test_row_24_a_cancel_that_is_taken_and_then_fills_is_no_second_sale(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))
        inject(w, FaultRule(FaultKind.CANCEL_FILLS))
        assert w.phase(TUESDAY, "execution").exit_code == 0
        assert sold(w, "ABC") == 200
        assert w.db.get_orders(intent="exit") == []
        healed(w, TUESDAY)


def test_row_25_a_stop_id_that_the_venue_does_not_know_is_looked_for_and_alarms(
    tmp_path: Path,
) -> None:
    """Our row names an order that never was: cover is read at the venue, the row is a break."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        stop = w.db.get_order_by_alpaca_id(str(position.stop_order_id))
        assert stop is not None
        ghost = "00000000-0000-4000-8000-000000000000"
        w.db.add_order(
            replace(
                stop,
                client_order_id="20200106_ABC_stop_sell",
                alpaca_order_id=ghost,
                parent_client_order_id=None,
                order_id=None,
            ),
            at=w.desk.clock.now(),
        )
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert "unknown to the venue" in outcome.lines[0]
        assert w.db.is_kill_switch_on()
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_row_26_a_stop_that_fills_while_its_cancel_travels_is_one_sale(tmp_path: Path) -> None:
    """The cancel is under way when the open at 40 fills the stop."""
    bars = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        leaving(w, holding(w))

        def open_meanwhile(method: str, path: str) -> None:
            if method == "DELETE":
                sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))

        w.wire.rule = open_meanwhile
        healed_report = w.phase(TUESDAY, "execution")
        assert healed_report.exit_code == 0
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)
        healed(w, TUESDAY)


def test_row_27_of_a_stop_that_filled_in_part_only_the_rest_is_sold(tmp_path: Path) -> None:
    """Half of the stop fills at the open; the exit cancels it and sells the other hundred."""
    bars = {("ABC", TUESDAY): (44.0, 50.0, 44.0, 50.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        position = holding(w)
        leaving(w, position)
        touch(w, position.stop_order_id, fate="partial")
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))
        assert w.held("ABC") == 100
        assert w.phase(TUESDAY, "execution").exit_code == 0
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)
        exits = w.db.get_orders(intent="exit")
        assert [item.quantity for item in exits] == [100]
        healed(w, TUESDAY)


def half_bought(w: World) -> None:
    planned(w, MONDAY, ABC)
    inject(w, FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, method="POST"))
    assert w.phase(MONDAY, "execution").exit_code == 0


def test_row_28_a_buy_that_filled_in_part_is_covered_within_ten_seconds(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        half_bought(w)
        assert w.held("ABC") == w.live_sells("ABC") == 100
        assert longest_uncovered_s(w) <= 10.0


def test_row_29_a_buy_that_ended_in_part_is_a_position_of_that_part(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        half_bought(w)
        healed(w, MONDAY)
        (position,) = w.db.get_open_positions()
        entry = w.db.get_order_by_client_id("20200106_ABC_entry_buy")
        assert entry is not None
        assert (position.actual_shares, position.target_shares) == (100, 200)
        assert (entry.filled_qty, entry.quantity) == (100, 200)
        stops = w.db.get_orders(intent="stop", working_only=True)
        assert [item.quantity for item in stops] == [100]


def test_row_30_an_exit_that_filled_in_part_leaves_the_rest_covered(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        inject(w, FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, method="POST"))
        w.trade(TUESDAY)
        (position,) = w.db.get_open_positions()
        assert (position.shares_now, position.pending_reason) == (100, "trend_break")
        assert w.held("ABC") == w.live_sells("ABC") == 100
        healed(w, WEDNESDAY)
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)


def test_row_31_a_fill_at_three_prices_has_an_exact_average_and_profit(tmp_path: Path) -> None:
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


def test_row_32_a_stop_that_died_overnight_is_placed_again_at_the_next_run(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.desk.client.cancel_order(str(position.stop_order_id))
        assert w.phase(TUESDAY, "signals").exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 200
        healed(w, TUESDAY)


def test_row_33_where_no_stop_can_rest_the_shares_are_sold_at_the_market(tmp_path: Path) -> None:
    """The stop is gone and ABC opens at 40, below it: sold at 40 less 0.5 %, never naked."""
    bars = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        position = holding(w)
        w.desk.client.cancel_order(str(position.stop_order_id))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))
        w.report(TUESDAY)
        w.trade(TUESDAY)
        assert w.held("ABC") == 0
        (closed,) = w.db.get_positions()
        assert (closed.exit_reason, closed.exit_price) == ("protective_stop", Decimal("39.8"))


@pytest.mark.parametrize(
    "status",
    ["suspended", "replaced", "calculated", "pending_cancel", "pending_replace", "held",
     "done_for_day", "stopped", "never_heard_of"],
)  # fmt: skip
def test_row_34_a_stop_in_a_doubtful_status_is_no_cover(tmp_path: Path, status: str) -> None:
    at = datetime.fromisoformat("2020-01-07T14:30:00+00:00")
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
    stop = VenueOrder(
        "o1", "c1", "ABC", "sell", "stop", "simple", "gtc", "new", Decimal(200), Decimal(0),
        None, Decimal(45), None, at, at, None,
    )  # fmt: skip
    held = [VenuePosition("ABC", Decimal(200), Decimal(0), Decimal(50), None)]
    assert cover_gaps([position], held, [stop]) == ()
    (gap,) = cover_gaps([position], held, [replace(stop, status=status)])
    assert gap.missing_shares == 200


def test_row_35_the_venue_refuses_a_bracket_without_a_target_and_our_stop_lasts(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        (entry,) = w.bought("ABC")
        assert [(leg.order_type, leg.time_in_force) for leg in entry.legs] == [("stop", "gtc")]
        bracket = {
            "symbol": "ABC", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
            "order_class": "bracket", "stop_loss": {"stop_price": "45"},
        }  # fmt: skip
        with pytest.raises((OrderRefused, OutcomeUnknown)):
            w.desk.client._outcomes.write(
                "bracket", lambda: w.desk.client._trading.post("/orders", bracket), lambda raw: raw
            )


def test_row_36_an_order_of_our_form_that_we_never_intended_switches_everything_off(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        w.report(MONDAY, ABC)
        w.go_to(MONDAY, "signals")
        w.desk.client.place_order("DEF", 5, "buy", client_order_id="20200106_DEF_entry_buy")
        sent = len(w.wire.posts())
        assert w.phase(MONDAY, "signals").exit_code == 4
        assert w.db.is_kill_switch_on()
        assert w.phase(MONDAY, "execution").exit_code in (2, 3)
        assert len(w.wire.posts()) == sent


def test_row_37_a_foreign_order_stops_new_orders_but_not_the_care_for_our_stops(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "signals")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.client.place_order("DEF", 5, "buy", client_order_id="by-hand")
        w.report(TUESDAY, ("DEF", 90.0, 40.0))
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert "by-hand" in outcome.lines[0]
        assert w.db.get_plan("ema_p10", TUESDAY) is None
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_row_38_a_position_that_is_gone_without_a_fill_is_never_closed_by_guess(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "signals")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(2.0)
        del w.venue.engine.state.positions["ABC"]  # type: ignore[union-attr]
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert "we hold 200, the broker shows 0" in outcome.lines[0]
        assert [item.status for item in w.db.get_positions()] == ["open"]


def test_row_39_a_count_that_differs_is_refused_and_the_venues_count_is_covered(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "signals")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(2.0)
        w.venue.engine.state.position("ABC").qty = 150  # type: ignore[union-attr]
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert "we hold 200, the broker shows 150" in outcome.lines[0]
        assert w.live_sells("ABC") == 150


def test_row_40_a_fraction_of_a_share_is_a_break_with_a_proposal_and_no_crash(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        w.go_to(TUESDAY, "signals")
        desk = edited(w, "/v2/positions", lambda rows: [row | {"qty": "200.5"} for row in rows])
        found = reconcile(desk, TUESDAY)
        assert [(item.kind, item.proposal.split(":")[0]) for item in found] == [
            ("position", "a fraction of a share")
        ]


def test_row_40_a_split_that_nobody_announced_is_proposed_and_not_applied(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        w.go_to(TUESDAY, "signals")
        w.venue.engine.state.position("ABC").qty = 400  # type: ignore[union-attr]
        (found,) = reconcile(w.desk, TUESDAY)
        assert "split of 2 new shares for one" in found.proposal
        assert w.db.get_open_positions()[0].shares_now == 200


def test_row_40_a_new_name_is_refused_with_a_proposal_and_the_shares_stay_ours(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        w.venue.clock.app.control.rename("ABC", "XYZ", TUESDAY)  # type: ignore[attr-defined]
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4, outcome.lines
        proposals = [item.proposal for item in w.db.open_breaks() if item.ticker == "ABC"]
        assert "looks like a new name of ABC: the same count is held as XYZ" in proposals
        assert [item.status for item in w.db.get_positions()] == ["open"]
