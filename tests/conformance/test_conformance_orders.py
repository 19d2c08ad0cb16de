"""Orders, groups, cancels and ids. The number in a name is section and row of the contract."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

in_session = pytest.mark.in_session
simulated_only = pytest.mark.simulated_only


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


# ---------------------------------------------------------------------------- 2 classes and legs


def test_c2_1_a_bracket_needs_both_legs(desk):
    for missing in ("take_profit", "stop_loss"):
        assert group(desk, "bracket", **{missing: None}).status == 422


def test_c2_2_an_oto_has_exactly_one_leg(desk):
    assert group(desk, "oto", stop_loss=None).status == 422


def test_c2_4_a_group_is_day_or_gtc(desk):
    reply = group(desk, "oto", time_in_force="ioc")
    assert (reply.status, reply.code) == (422, 40010001)
    assert reply.message == 'oto orders support only "day" or "gtc" time_in_force'


def test_c2_5_and_c8_9_a_group_knows_no_extended_hours(desk):
    limit = {"type": "limit", "limit_price": desk.price("0.9")}
    reply = group(desk, "oto", extended_hours=True, **limit)
    assert (reply.status, reply.code) == (403, 40310000)
    assert reply.message == "oto orders do not support extended hours trading"


def test_c2_6_a_group_is_in_whole_shares(desk):
    reply = group(desk, "oto", qty="1.5")
    assert (reply.status, reply.code) == (422, 42210000)
    assert reply.message == "fractional orders must be simple orders"


def test_c2_7_a_leg_does_not_trail(desk):
    reply = group(desk, "oto", stop_loss={"trail_percent": "5"})
    assert (reply.status, reply.message) == (422, "oto orders require stop_loss.stop_price")


def test_c2_8_profit_lies_above_loss(desk):
    swapped = {
        "take_profit": {"limit_price": desk.price("0.5")},
        "stop_loss": {"stop_price": desk.price("1.5")},
    }
    assert group(desk, "bracket", **swapped).status == 422


def test_c2_9_a_stop_leg_lies_below_the_base_price(desk):
    reply = group(desk, "oto", stop_loss={"stop_price": desk.price("1.2")})
    assert (reply.status, reply.code) == (422, 42210000)
    assert "base_price" in reply.body


@in_session
def test_c2_10_a_bracket_does_not_add_to_a_position(desk):
    desk.bought()
    assert "bracket orders must be entry orders" in group(desk, "bracket").message


def test_c2_11_a_refused_group_leaves_nothing_and_spends_no_id(desk):
    reply = group(desk, "oto", stop_loss={"stop_price": desk.price("1.2")})
    assert reply.status == 422
    client_id = desk.sent[-1]
    assert desk.get("/v2/orders:by_client_order_id", client_order_id=client_id).status == 404
    desk.resting(client_order_id=client_id)


def test_c2_12_a_leg_without_a_class_is_ignored(desk):
    order = desk.resting(stop_loss={"stop_price": desk.price("0.4")})
    assert (order["order_class"], order["legs"]) in (("", None), ("simple", None))


def test_c2_13_the_answer_shows_the_legs_held(desk):
    limit = {"type": "limit", "limit_price": desk.price("0.6")}
    order = group(desk, "oto", **limit).body
    assert [leg["status"] for leg in order["legs"]] == ["held"]
    assert [leg["type"] for leg in order["legs"]] == ["stop"]


@in_session
def test_c2_14_legs_wake_with_the_whole_entry(desk):
    order = desk.until(group(desk, "oto").body, "filled")
    assert order["legs"][0]["status"] in ("new", "accepted", "held")


@in_session
def test_c2_16_a_filled_bracket_reserves_its_shares_once(desk):
    order = desk.until(group(desk, "bracket").body, "filled")
    desk.wait(1)
    statuses = {leg["type"]: leg["status"] for leg in desk.order(order)["legs"]}
    assert statuses == {"limit": "new", "stop": "held"}
    position = desk.get(f"/v2/positions/{desk.symbol}").body
    assert position["qty_available"] == "0"


def test_c2_22_a_cancelled_parent_takes_its_leg_along(desk):
    order = group(desk, "oto", type="limit", limit_price=desk.price("0.6")).body
    assert desk.cancel(order).status == 204
    desk.until(order, "canceled")
    desk.wait(3)
    assert desk.order(order)["legs"][0]["status"] == "canceled"


def test_c2_26_legs_have_ids_of_the_venue(desk):
    order = group(desk, "oto", type="limit", limit_price=desk.price("0.6")).body
    assert order["client_order_id"] == desk.sent[-1]
    assert uuid.UUID(order["legs"][0]["client_order_id"])


@in_session
def test_c2_28_a_held_leg_is_not_in_the_flat_list_of_open_orders(desk):
    order = desk.until(group(desk, "bracket").body, "filled")
    desk.wait(1)
    flat = desk.get("/v2/orders", status="open", symbols=desk.symbol).body
    assert [row["type"] for row in flat if row["id"] in ids(order)] == ["limit"]


@in_session
def test_c2_29_the_nested_list_of_open_orders_forgets_a_filled_group(desk):
    order = desk.until(group(desk, "bracket").body, "filled")
    nested = desk.get("/v2/orders", status="open", nested="true", symbols=desk.symbol).body
    assert order["id"] not in [row["id"] for row in nested]


def ids(order) -> list[str]:
    return [order["id"], *(leg["id"] for leg in order["legs"])]


def test_c2_31_legs_of_legs_are_null(desk):
    order = group(desk, "oto", type="limit", limit_price=desk.price("0.6")).body
    assert order["legs"][0]["legs"] is None


# ------------------------------------------------------------------- 3 types, hours, ticks, tif


def test_c3_11_extended_hours_are_for_limit_orders(desk):
    reply = desk.send(extended_hours=True)
    assert (reply.status, reply.code) == (422, 42210000)
    assert reply.message == "extended hours order must be DAY or GTC limit orders"


def test_c3_12_a_fraction_is_for_the_day_only(desk):
    reply = desk.send(qty="0.5", time_in_force="gtc")
    assert (reply.status, reply.message) == (422, "fractional orders must be DAY orders")


@in_session
def test_c3_13_a_sell_stop_above_the_market_is_refused(desk):
    desk.bought()
    reply = desk.send(side="sell", type="stop", stop_price=desk.price("1.1"), time_in_force="gtc")
    assert (reply.status, reply.code) == (422, 42210000)
    assert reply.message == "stop price must be less than current price"
    assert {"market_price", "stop_price"} <= reply.body.keys()


@pytest.mark.parametrize("name", ["limit_price", "stop_price"])
def test_c3_17_prices_are_in_cents(desk, name):
    kind = name.removesuffix("_price")
    price = f"{desk.price('0.5' if kind == 'limit' else '1.5')}3"
    reply = desk.send(type=kind, **{name: price})
    assert (reply.status, reply.code) == (422, 42210000)
    start = f"invalid {name} {price}. sub-penny increment does not fulfill"
    assert reply.message.startswith(start)


@simulated_only
def test_c3_2_a_day_order_of_the_evening_is_tomorrows(desk):
    desk.advance(datetime(2020, 1, 30, 21, 1, tzinfo=UTC))  # 16:01
    order = desk.send().body
    assert order["status"] == "accepted"
    assert order["expires_at"] == "2020-01-31T21:00:00Z"


@simulated_only
def test_c3_3_a_queued_order_is_submitted_anew_at_four(desk):
    desk.advance(datetime(2020, 1, 30, 22, tzinfo=UTC))
    order = desk.resting()
    desk.advance(datetime(2020, 1, 31, 9, 1, tzinfo=UTC))  # 04:01
    shown = desk.order(order)
    assert (shown["status"], shown["submitted_at"]) == ("new", "2020-01-31T09:00:00Z")
    assert shown["created_at"] == order["created_at"]


# -------------------------------------------------------------------------- 5 cancel and replace


def test_c5_1_a_cancel_is_204_without_a_body(desk):
    order = desk.resting()
    reply = desk.cancel(order)
    assert (reply.status, reply.body) == (204, None)
    desk.until(order, "canceled", "pending_cancel")


@in_session
def test_c5_6_a_filled_order_is_not_cancelled(desk):
    reply = desk.cancel(desk.bought())
    assert (reply.status, reply.code) == (422, 42210000)
    assert 'order is already in "filled" state' in reply.message


def test_c5_7_an_unknown_order_is_404(desk):
    reply = desk.call("DELETE", f"/v2/orders/{uuid.uuid4()}")
    assert (reply.status, reply.code) == (404, 40410000)
    assert reply.message.startswith("order not found")


def test_c5_8_a_second_cancel_is_204_or_422(desk):
    order = desk.resting()
    desk.cancel(order)
    desk.until(order, "canceled")
    assert desk.cancel(order).status in (204, 422)


@in_session
def test_c5_11_a_replacement_is_a_new_order(desk):
    order = desk.until(desk.resting(), "new")
    reply = desk.call("PATCH", f"/v2/orders/{order['id']}", json={"limit_price": desk.price("0.4")})
    assert reply.status == 200
    desk.sent.append(reply.body["client_order_id"])
    assert reply.body["replaces"] == order["id"]
    old = desk.until(order, "replaced")
    assert old["replaced_by"] == reply.body["id"]


# ------------------------------------------------------------------------------ 6 client order id


def test_c6_1_an_id_is_made_and_has_at_most_128_characters(desk):
    order = desk.resting(client_order_id=None)
    assert uuid.UUID(order["client_order_id"])
    long = desk.name + "x" * 128
    reply = desk.send(client_order_id=long)
    assert (reply.status, reply.code) == (422, 40010001)
    assert reply.message == "client_order_id must be no more than 128 characters"


def test_c6_2_letters_digits_dot_dash_and_underline_are_fine(desk):
    client_id = f"{desk.name}.A_b-9"
    assert desk.resting(client_order_id=client_id)["client_order_id"] == client_id


def test_c6_3_a_spent_id_is_refused_also_after_the_cancel(desk):
    order = desk.resting()
    for _ in range(2):
        reply = desk.send(
            type="limit", limit_price="1.00", client_order_id=order["client_order_id"]
        )
        assert reply.status == 422
        assert reply.message == "client_order_id must be unique"
        if desk.order(order)["status"] not in ("canceled",):
            desk.cancel(order)
            desk.until(order, "canceled")


def test_c6_6_a_refusal_spends_no_id(desk):
    assert desk.send(qty="0").status == 422
    desk.resting(client_order_id=desk.sent[-1])


def test_c6_7_and_c11_8_the_look_up_finds_an_order_in_any_status(desk):
    order = desk.resting()
    desk.cancel(order)
    desk.until(order, "canceled")
    path = "/v2/orders:by_client_order_id"
    assert desk.get(path, client_order_id=order["client_order_id"]).body["id"] == order["id"]
    missing = desk.get(path, client_order_id=f"{desk.name}-none")
    assert (missing.status, missing.code) == (404, 40410000)


# ------------------------------------------------------------------- 7 shares, wash, buying power


@in_session
def test_c7_1_and_c8_4_a_second_sell_on_reserved_shares_is_refused(desk):
    desk.bought()
    stop = {"side": "sell", "type": "stop", "time_in_force": "gtc"}
    assert desk.send(stop_price=desk.price("0.7"), **stop).status == 200
    reply = desk.send(stop_price=desk.price("0.6"), **stop)
    assert (reply.status, reply.code) == (403, 40310000)
    expected = "insufficient qty available for order (requested: 1, available: 0)"
    assert reply.message == expected
    assert (reply.body["existing_qty"], reply.body["held_for_orders"]) == ("1", "1")


@in_session
def test_c7_2_closing_a_position_does_not_cancel_its_stop(desk):
    desk.bought()
    stop = {"side": "sell", "type": "stop", "time_in_force": "gtc"}
    assert desk.send(stop_price=desk.price("0.7"), **stop).status == 200
    assert desk.call("DELETE", f"/v2/positions/{desk.symbol}").status == 403


@in_session
def test_c7_12_and_c8_5_a_buy_beside_a_resting_stop_is_a_wash_trade(desk):
    desk.bought()
    stop = {"side": "sell", "type": "stop", "time_in_force": "gtc"}
    assert desk.send(stop_price=desk.price("0.7"), **stop).status == 200
    reply = desk.send()
    assert (reply.status, reply.code) == (403, 40310000)
    assert reply.message == "potential wash trade detected. use complex orders"
    assert {"existing_order_id", "reject_reason"} <= reply.body.keys()


def test_c7_5_and_c8_3_buying_power_is_the_bound(desk):
    reply = desk.send(qty="9000000")
    assert (reply.status, reply.code) == (403, 40310000)
    assert reply.message == "insufficient buying power"
    assert {"buying_power", "cost_basis"} <= reply.body.keys()


@simulated_only
def test_c7_3_more_is_not_sold_than_held(desk):
    reply = desk.send(side="sell")
    assert (reply.status, reply.message) == (403, "account is not allowed to short")


# ------------------------------------------------------------------------------------- 8 errors


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"qty": "0"}, 422, 40010001, "qty must be > 0"),
        ({"type": "limit"}, 422, 40010001, "limit orders require a limit price"),
        ({"time_in_force": "gtd"}, 422, 40010001, "invalid time_in_force"),
        (
            {"limit_price": "9.00"},
            422,
            40010001,
            "market orders require no stop or limit price",
        ),
        ({"symbol": "QQQQQX"}, 422, 42210000, 'asset "QQQQQX" not found'),
    ],
)
def test_c8_14_and_15_malformed_orders_are_422(desk, fields, status, code, message):
    reply = desk.send(**fields)
    assert (reply.status, reply.code, reply.message) == (status, code, message)


def test_c8_2_wrong_keys_are_401_or_403(desk):
    keys = {"APCA-API-KEY-ID": "PKWRONG", "APCA-API-SECRET-KEY": "wrong"}
    answer = desk.call("GET", "/v2/account", headers=keys)
    assert answer.status in (401, 403)
