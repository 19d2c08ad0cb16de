"""More of orders, groups and ids. The number in a name is section and row of the contract."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests
from conformance_venues import simulated_desk

from livekit.broker.venue.faults import FaultKind, FaultRule

in_session = pytest.mark.in_session
simulated_only = pytest.mark.simulated_only

HIGH = datetime(2020, 1, 30, 18, 50, tzinfo=UTC)  # the path arrives at its high
AFTER_HIGH = datetime(2020, 1, 30, 18, 51, tzinfo=UTC)
AFTER_LOW = datetime(2020, 1, 30, 17, 0, tzinfo=UTC)
CLOSE = datetime(2020, 1, 30, 21, 0, tzinfo=UTC)
EVENING = datetime(2020, 1, 30, 22, 0, tzinfo=UTC)
NEXT_DAY = datetime(2020, 1, 31, 15, 0, tzinfo=UTC)
SEED_OF_A_PARTIAL_PROFIT = 21


def group(desk, kind: str, **fields):
    legs = {
        "order_class": kind,
        "time_in_force": "gtc",
        "take_profit": {"limit_price": desk.price("1.5")},
        "stop_loss": {"stop_price": desk.price("0.5")},
    }
    if kind == "oto":
        legs["take_profit"] = None
    return desk.send(**(legs | fields))


def stop(desk, share: str = "0.5", **fields):
    exits = {"side": "sell", "type": "stop", "time_in_force": "gtc"}
    return desk.send(**(exits | {"stop_price": desk.price(share)} | fields))


# ---------------------------------------------------------------------------- 2 classes and legs


def test_c2_2_the_one_leg_of_an_oto_may_be_its_profit(desk):
    profit = {"take_profit": {"limit_price": desk.price("1.5")}, "stop_loss": None}
    order = group(desk, "oto", type="limit", limit_price=desk.price("0.6"), **profit).body
    assert [(leg["type"], leg["status"]) for leg in order["legs"]] == [("limit", "held")]


@simulated_only
def test_c2_15_and_c4_2_an_entry_that_dies_half_filled_leaves_its_shares_naked(desk):
    desk.app.control.inject(FaultRule(FaultKind.PARTIAL_THEN_EXPIRY))
    order = group(desk, "oto", qty="4", time_in_force="day").body
    desk.advance(CLOSE)
    shown = desk.order(order)
    assert (shown["status"], shown["filled_qty"]) == ("expired", "2")  # terminal, with fills
    assert shown["legs"][0]["status"] in ("canceled", "expired")
    assert desk.held() == 2
    desk.advance(NEXT_DAY)


@simulated_only
def test_c2_20_both_exits_may_fill_and_sell_short(desk):
    desk.app.control.inject(FaultRule(FaultKind.BOTH_EXITS))
    near = {"take_profit": {"limit_price": f"{desk.last() + Decimal('0.01'):.2f}"}}
    order = group(desk, "bracket", **near).body
    desk.advance(HIGH)
    assert [leg["status"] for leg in desk.order(order)["legs"]] == ["filled", "filled"]
    position = desk.get(f"/v2/positions/{desk.symbol}").body
    assert (position["qty"], position["side"]) == ("-1", "short")


@simulated_only
def test_c2_21_when_the_profit_fills_in_part_the_stop_falls_to_the_rest():
    with simulated_desk(seed=SEED_OF_A_PARTIAL_PROFIT) as desk:
        near = {"take_profit": {"limit_price": f"{desk.last() + Decimal('0.01'):.2f}"}}
        order = group(desk, "bracket", qty="9", client_order_id="partial", **near).body
        desk.advance(HIGH)
        profit, loss = desk.order(order)["legs"]
        assert profit["status"] == "partially_filled"
        assert int(loss["qty"]) == 9 - int(profit["filled_qty"])
        desk.advance(AFTER_HIGH)
        profit, loss = desk.order(order)["legs"]
        assert (profit["status"], loss["status"]) == ("filled", "canceled")


@in_session
def test_c2_27_the_profit_of_a_bracket_can_be_replaced(desk):
    order = desk.until(group(desk, "bracket").body, "filled")
    desk.wait(1)
    (profit,) = [leg for leg in desk.order(order)["legs"] if leg["type"] == "limit"]
    dearer = {"limit_price": desk.price("1.6")}
    assert desk.call("PATCH", f"/v2/orders/{profit['id']}", json=dearer).status == 200


@simulated_only
def test_c2_27_an_oto_cannot_be_replaced_yet(desk):
    order = group(desk, "oto", type="limit", limit_price=desk.price("0.6")).body
    reply = desk.call("PATCH", f"/v2/orders/{order['id']}", json={"qty": "2"})
    assert (reply.status, reply.code) == (422, 42210000)


@in_session
def test_c2_30_the_list_of_all_orders_and_the_leg_by_its_id_are_reliable(desk):
    order = desk.until(group(desk, "bracket").body, "filled")
    query = {"status": "all", "nested": "true", "symbols": desk.symbol, "limit": 500}
    (listed,) = [row for row in desk.get("/v2/orders", **query).body if row["id"] == order["id"]]
    assert {leg["id"] for leg in listed["legs"]} == {leg["id"] for leg in order["legs"]}
    for leg in order["legs"]:
        assert desk.get(f"/v2/orders/{leg['id']}").body["symbol"] == desk.symbol


# ---------------------------------------------------------------------- 3 sessions, types, tif


@simulated_only
@pytest.mark.parametrize("hour_utc", [9, 22])  # 04:00 and 17:00 in New York
def test_c3_1_limit_orders_may_ask_for_extended_hours_day_or_gtc(desk, hour_utc):
    desk.advance(datetime(2020, 1, 31, hour_utc, 1, tzinfo=UTC))
    assert desk.get("/v2/clock").body["is_open"] is False
    for tif in ("day", "gtc"):
        assert desk.resting(extended_hours=True, time_in_force=tif)["extended_hours"] is True


@in_session
def test_c3_4_the_five_types_are_taken(desk):
    desk.bought()
    limit = {"limit_price": desk.price("0.4")}
    for kind, prices in (("stop", {}), ("stop_limit", limit), ("trailing_stop", None)):
        trail = {"trail_percent": "20", "stop_price": None} if prices is None else prices
        order = stop(desk, type=kind, **trail).body
        assert (order["type"], order["order_type"]) == (kind, kind)
        desk.cancel(desk.until(order, "new", "accepted"))
        desk.until(order, "canceled")
    assert desk.resting()["type"] == "limit"


@in_session
@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_c3_5_and_9_what_is_not_filled_at_once_is_cancelled(desk, tif):
    order = desk.send(type="limit", limit_price=desk.price("0.5"), time_in_force=tif).body
    assert desk.until(order, "canceled", "expired")["filled_qty"] == "0"


@simulated_only
@pytest.mark.parametrize("tif", ["ioc", "fok", "opg", "cls"])
def test_c3_9_immediate_and_auction_orders_are_market_or_limit_in_whole_shares(desk, tif):
    desk.advance(datetime(2020, 1, 31, 14, 0, tzinfo=UTC))  # 09:00
    stops = {"type": "stop", "stop_price": desk.price("1.5")}
    assert desk.send(time_in_force=tif, **stops).status == 422
    assert desk.send(time_in_force=tif, qty="0.5").status == 422


@simulated_only
def test_c3_15_a_gap_fills_a_stop_at_the_open(desk):
    """F closes at 9.18 on 4 February and opens at 8.41 on the 5th."""
    desk.advance(datetime(2020, 2, 4, 15, 0, tzinfo=UTC))
    desk.bought()
    order = stop(desk, stop_price="9.00").body
    desk.advance(datetime(2020, 2, 5, 14, 31, tzinfo=UTC))
    shown = desk.order(order)
    assert (shown["status"], shown["filled_avg_price"]) == ("filled", "8.41")


@simulated_only
def test_c3_15_in_a_halt_a_stop_waits_and_meets_the_price_after_it(desk):
    """The path falls from 8.81 to 8.73 and is back at 8.84 when trading goes on."""
    desk.bought()
    order = stop(desk, stop_price="8.75").body
    desk.app.control.halt(desk.symbol)
    desk.advance(AFTER_HIGH)
    assert desk.order(order)["status"] == "new"
    desk.app.control.resume(desk.symbol)
    assert desk.order(order)["status"] == "new"  # the market is above it again


@simulated_only
def test_c3_16_a_market_buy_is_bounded_above_the_price_it_was_sent_at():
    """AMZN closes at 1870.68 on 30 January; ×1.025 is 1917.44, and it opens at 2051.47."""
    with simulated_desk(market_buys_are_collared=True) as desk:
        desk.advance(EVENING)
        order = desk.send(symbol="AMZN").body
        desk.advance(NEXT_DAY)
        assert desk.order(order)["status"] == "new"


@simulated_only
def test_c3_18_a_trailing_stop_shows_its_high_water_and_triggers(desk):
    """At 8.81 it hangs 0.05 lower, and the low of the day is 8.73."""
    desk.bought()
    order = stop(desk, type="trailing_stop", stop_price=None, trail_price="0.05").body
    assert (order["hwm"], order["stop_price"], order["trail_price"]) == ("8.81", "8.76", "0.05")
    desk.advance(AFTER_LOW)
    assert desk.order(order)["status"] == "filled"


@simulated_only
def test_c3_19_no_limit_price_is_too_far_away(desk):
    desk.resting(limit_price="1.01")


# ------------------------------------------------------------------------- 5 cancel and replace


@simulated_only
def test_c5_3_outside_hours_a_cancel_may_wait_for_the_next_open():
    with simulated_desk(cancels_wait_for_open=True) as desk:
        desk.advance(EVENING)
        order = desk.resting()
        assert desk.cancel(order).status == 204
        assert desk.order(order)["status"] == "pending_cancel"
        desk.advance(NEXT_DAY)
        assert desk.order(order)["status"] == "canceled"


@simulated_only
def test_c5_4_a_204_may_do_nothing_and_may_come_for_a_filled_order(desk):
    order, filled = desk.resting(), desk.bought()
    desk.app.control.inject(
        FaultRule(FaultKind.CANCEL_IGNORED), FaultRule(FaultKind.CANCEL_OF_FINISHED)
    )
    assert (desk.cancel(order).status, desk.cancel(filled).status) == (204, 204)
    desk.wait(2)
    assert desk.order(order)["status"] == "new"


@simulated_only
@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("calculated", 204),
        ("accepted_for_bidding", 204),
        ("suspended", 422),
        ("stopped", 422),
        ("done_for_day", 422),
    ],
)
def test_c5_5_which_statuses_can_be_cancelled(desk, status, answer):
    order = desk.resting()
    parked = desk.engine.state.orders[order["id"]]
    desk.engine.park(parked, status)
    reply = desk.cancel(order)
    assert reply.status == answer
    if answer != 204:
        assert reply.code == 42210000
        desk.engine.park(parked, "new")


@in_session
def test_c5_13_finished_and_replaced_orders_are_not_replaced(desk):
    order = desk.until(desk.resting(), "new")
    path = f"/v2/orders/{order['id']}"
    other = desk.call("PATCH", path, json={"limit_price": desk.price("0.4")}).body
    again = desk.call("PATCH", path, json={"limit_price": desk.price("0.3")})
    assert (again.status, again.code) == (422, 42210000)
    desk.cancel(desk.until(other, "new"))
    desk.until(other, "canceled")
    reply = desk.call("PATCH", f"/v2/orders/{other['id']}", json={"limit_price": desk.price("0.3")})
    assert reply.status == 422


@simulated_only
def test_c5_14_during_a_replacement_buying_power_holds_the_dearer(desk):
    order = desk.resting(qty="10", limit_price="5.00")
    before = Decimal(desk.get("/v2/account").body["buying_power"])
    dearer = desk.call("PATCH", f"/v2/orders/{order['id']}", json={"limit_price": "6"})
    assert dearer.status == 200
    after = Decimal(desk.get("/v2/account").body["buying_power"])
    assert before - after == 10 * (6 - 5)


# ------------------------------------------------------------------------------ 6 client order id


def test_c6_5_a_duplicate_is_422_with_the_code_of_a_wrong_parameter(desk):
    order = desk.resting()
    again = {"client_order_id": order["client_order_id"], "limit_price": "1.00", "type": "limit"}
    reply = desk.send(**again)
    assert (reply.status, reply.message) == (422, "client_order_id must be unique")
    assert reply.code in (40010001, 42210000)


@in_session
def test_c6_9_the_order_of_a_closed_position_has_an_id_of_the_venues(desk):
    desk.bought()
    order = desk.call("DELETE", f"/v2/positions/{desk.symbol}").body
    desk.sent.append(order["client_order_id"])
    assert uuid.UUID(order["client_order_id"])
    desk.until(order, "filled")


@simulated_only
def test_c6_10_after_a_lost_answer_the_order_is_found_by_its_id_and_not_taken_twice(desk):
    price = desk.price("0.5")
    desk.app.control.inject(FaultRule(FaultKind.ANSWER_LOST, method="POST"))
    order = {"type": "limit", "limit_price": price, "client_order_id": f"{desk.name}-lost"}
    with pytest.raises(requests.ReadTimeout):
        desk.send(**order)
    found = desk.get("/v2/orders:by_client_order_id", client_order_id=order["client_order_id"])
    assert (found.status, found.body["limit_price"]) == (200, price.rstrip("0"))
    assert desk.send(**order).message == "client_order_id must be unique"
