"""What becomes of orders with time. The number in a name is section and row of the contract."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from livekit.broker.venue.engine.interventions import NO_VALUE, Intervention

in_session = pytest.mark.in_session
simulated_only = pytest.mark.simulated_only

FRIDAY = date(2020, 1, 31)
EVENING = datetime(2020, 1, 30, 22, 0, tzinfo=UTC)  # 17:00 in New York
AFTER_HIGH = datetime(2020, 1, 30, 19, 30, tzinfo=UTC)  # the path has been at its high
CLOSE = datetime(2020, 1, 30, 21, 0, tzinfo=UTC)
NEXT_DAY = datetime(2020, 1, 31, 15, 0, tzinfo=UTC)


def group(desk, kind: str, profit: str, loss: str, **fields):
    legs = {"take_profit": {"limit_price": profit}, "stop_loss": {"stop_price": loss}}
    if kind == "oto":
        del legs["take_profit"]
    reply = desk.send(order_class=kind, **({"time_in_force": "gtc"} | legs | fields))
    assert reply.status == 200, reply
    return reply.body


def beside(desk, cents: str) -> str:
    return f"{desk.last() + Decimal(cents):.2f}"


# ---------------------------------------------------------------------------- 2 classes and legs


@in_session
def test_c2_3_an_oco_is_its_profit_with_its_loss_as_the_child(desk):
    desk.bought()
    order = group(desk, "oco", desk.price("1.5"), desk.price("0.5"), side="sell", type="limit")
    (leg,) = order["legs"]
    assert (order["type"], leg["type"], leg["side"]) == ("limit", "stop", "sell")
    assert desk.send(order_class="oco", side="sell").status == 422


@in_session
def test_c2_17_the_woken_stop_of_an_oto_can_be_cancelled(desk):
    order = desk.until(group(desk, "oto", "", desk.price("0.5")), "filled")
    assert desk.cancel(order["legs"][0]).status == 204
    desk.until(order["legs"][0], "canceled")


@simulated_only
def test_c2_18_a_stop_that_triggers_replaces_the_profit(desk):
    order = group(desk, "bracket", desk.price("1.5"), beside(desk, "-0.01"))
    desk.advance(AFTER_HIGH)
    profit, loss = desk.order(order)["legs"]
    assert (profit["status"], loss["status"]) == ("replaced", "filled")
    assert profit["replaced_by"] == loss["id"]


@simulated_only
def test_c2_19_a_profit_that_is_taken_cancels_the_stop(desk):
    order = group(desk, "bracket", beside(desk, "0.01"), desk.price("0.5"))
    desk.advance(AFTER_HIGH)
    profit, loss = desk.order(order)["legs"]
    assert (profit["status"], loss["status"]) == ("filled", "canceled")


@simulated_only
def test_c2_23_a_day_group_dies_at_the_close_and_leaves_the_share_naked(desk):
    order = group(desk, "bracket", desk.price("1.5"), desk.price("0.5"), time_in_force="day")
    desk.advance(CLOSE)
    assert {leg["status"] for leg in desk.order(order)["legs"]} <= {"expired", "canceled"}
    assert desk.held() == 1


@simulated_only
def test_c2_24_a_group_of_the_evening_is_queued_with_its_legs_held(desk):
    desk.advance(EVENING)
    order = group(desk, "oto", "", desk.price("0.5"))
    assert (order["status"], order["legs"][0]["status"]) == ("accepted", "held")
    desk.advance(NEXT_DAY)
    order = desk.until(order, "filled")
    assert order["legs"][0]["status"] == "new"


# ------------------------------------------------------------------------- 3 sessions and times


@simulated_only
@pytest.mark.parametrize(
    ("tif", "minute_utc", "accepted"),
    [
        ("opg", (14, 27), True),
        ("opg", (14, 28), False),
        ("cls", (20, 49), True),
        ("cls", (20, 50), False),
    ],
)
def test_c3_6_and_7_and_c8_8_auction_orders_have_their_windows(desk, tif, minute_utc, accepted):
    desk.advance(datetime(2020, 1, 31, *minute_utc, tzinfo=UTC))
    reply = desk.send(time_in_force=tif)
    assert reply.status == (200 if accepted else 403)
    if not accepted:
        assert reply.message.startswith(f"{tif} orders must be submitted after 7:00pm")


@simulated_only
def test_c3_8_shortly_before_its_auction_an_order_is_not_taken_back(desk):
    desk.advance(datetime(2020, 1, 31, 14, 27, tzinfo=UTC))
    order = desk.send(time_in_force="opg").body
    desk.advance(datetime(2020, 1, 31, 14, 29, tzinfo=UTC))
    assert desk.cancel(order).status == 204
    assert desk.order(order)["status"] == "pending_cancel"
    desk.advance(NEXT_DAY)
    assert desk.order(order)["status"] == "filled"


@simulated_only
def test_c3_10_a_day_order_ends_with_its_session_also_on_a_half_day(desk):
    order = desk.resting(time_in_force="day")
    assert order["expires_at"] == "2020-01-30T21:00:00Z"
    desk.advance(CLOSE)
    assert desk.order(order)["status"] == "expired"
    desk.advance(datetime(2020, 11, 27, 15, 0, tzinfo=UTC))  # the day after Thanksgiving
    order = desk.resting(time_in_force="day")
    assert order["expires_at"] == "2020-11-27T18:00:00Z"  # 13:00 in New York
    desk.advance(datetime(2020, 11, 27, 18, 0, tzinfo=UTC))
    assert desk.order(order)["status"] == "expired"


@simulated_only
def test_c3_14_a_stop_of_the_evening_is_accepted(desk):
    desk.bought()
    desk.advance(EVENING)
    stop = {"side": "sell", "type": "stop", "time_in_force": "gtc"}
    assert desk.send(stop_price=desk.price("0.5"), **stop).body["status"] == "accepted"
    assert desk.send(stop_price=desk.price("1.5"), **stop).status in (403, 422)


# ---------------------------------------------------------------------------------- 4 statuses


@in_session
def test_c4_1_in_session_the_answer_says_pending_new(desk):
    assert desk.send(type="limit", limit_price=desk.price("0.5")).body["status"] == "pending_new"


@simulated_only
@pytest.mark.parametrize(
    "status", ["done_for_day", "stopped", "suspended", "calculated", "accepted_for_bidding"]
)
def test_c4_a_rare_status_is_shown_and_passes(desk, status):
    order = desk.resting()
    held = desk.engine.state.orders[order["id"]]
    desk.engine.park(held, status)
    assert desk.order(order)["status"] == status
    desk.engine.park(held, "new")
    assert desk.order(order)["status"] == "new"


# ------------------------------------------------------------------------- 5 cancel and replace


@in_session
def test_c5_2_in_session_a_cancel_is_done_at_once(desk):
    order = desk.resting()
    desk.until(order, "new")
    assert desk.cancel(order).status == 204
    desk.until(order, "canceled")


@in_session
def test_c5_9_shares_are_free_when_the_cancel_is_effective(desk):
    desk.bought()
    stop = desk.send(
        side="sell", type="stop", time_in_force="gtc", stop_price=desk.price("0.5")
    ).body
    desk.until(stop, "new")
    desk.cancel(stop)
    desk.until(stop, "canceled")
    assert desk.send(side="sell").status == 200


@simulated_only
def test_c5_10_cancelling_everything_is_207_with_a_row_for_each(desk):
    orders = [desk.resting(), desk.resting()]
    reply = desk.call("DELETE", "/v2/orders")
    assert reply.status == 207
    assert {(row["id"], row["status"]) for row in reply.body} == {
        (order["id"], 200) for order in orders
    }


@simulated_only
def test_c5_12_an_accepted_order_cannot_be_replaced(desk):
    desk.advance(EVENING)
    order = desk.resting()
    reply = desk.call("PATCH", f"/v2/orders/{order['id']}", json={"limit_price": "2"})
    assert (reply.status, reply.code) == (422, 42210000)
    assert reply.message == "cannot replace order in accepted status"


@in_session
def test_c5_13_a_replacement_changes_something(desk):
    order = desk.resting()
    desk.until(order, "new")
    same = {"limit_price": order["limit_price"]}
    reply = desk.call("PATCH", f"/v2/orders/{order['id']}", json=same)
    assert reply.status == 422


# ------------------------------------------------------------------------ 7 shares, wash trades


@in_session
def test_c7_13_two_limits_are_a_wash_trade_only_when_they_cross(desk):
    desk.bought()
    sell = {"side": "sell", "type": "limit", "time_in_force": "gtc"}
    assert desk.send(limit_price=desk.price("1.5"), **sell).status == 200
    buy = {"type": "limit", "time_in_force": "gtc"}
    assert desk.send(limit_price=desk.price("0.5"), **buy).status == 200
    reply = desk.send(limit_price=desk.price("1.6"), **buy)
    assert (reply.status, reply.code) == (403, 40310000)


@in_session
def test_c7_14_an_oco_is_exempt_from_the_wash_trade_check(desk):
    desk.bought()
    desk.resting()
    group(desk, "oco", desk.price("1.5"), desk.price("0.5"), side="sell", type="limit")


@simulated_only
def test_c7_8_a_new_account_may_buy_for_four_times_its_equity(desk):
    account = desk.get("/v2/account").body
    assert (account["equity"], account["multiplier"]) == (account["cash"], "4")
    assert Decimal(account["buying_power"]) == 4 * Decimal(account["equity"])


# ---------------------------------------------------------- 9 ageing and corporate actions


@simulated_only
def test_c9_1_a_gtc_order_ends_at_a_quarter_past_four_of_its_ninetieth_day(desk):
    order = desk.resting(limit_price=desk.price("0.2"))  # below the crash of that March
    assert order["expires_at"] == "2020-04-29T20:00:00Z"  # 16:00 in New York
    desk.advance(datetime(2020, 4, 29, 20, 14, tzinfo=UTC))
    assert desk.order(order)["status"] == "new"
    desk.advance(datetime(2020, 4, 29, 20, 15, tzinfo=UTC))
    assert desk.order(order)["status"] == "canceled"


def befall(desk, kind: str, value: str) -> None:
    desk.engine.intervene(Intervention(kind, desk.symbol, FRIDAY, value))
    desk.advance(NEXT_DAY)


@simulated_only
def test_c2_25_and_c9_3_and_4_a_forward_split_adjusts_a_plain_stop_and_no_leg(desk):
    leg = desk.until(group(desk, "oto", "", desk.price("0.3")), "filled")["legs"][0]
    befall(desk, "split", "2:1")
    assert desk.held() == 2
    assert desk.order(leg)["stop_price"] == leg["stop_price"]
    assert desk.order(leg)["qty"] == "1"


@simulated_only
def test_c9_6_a_new_symbol_of_the_same_cusip_keeps_the_asset_id(desk):
    bought = desk.bought()
    befall(desk, "rename", "FNEW")
    position = desk.get("/v2/positions/FNEW").body
    assert (position["asset_id"], position["qty"]) == (bought["asset_id"], "1")
    rows = desk.get("/v2/account/activities/NC", direction="asc").body
    assert [(row["symbol"], row["qty"]) for row in rows] == [(desk.symbol, "-1"), ("FNEW", "1")]


@simulated_only
def test_c9_7_a_delisted_asset_takes_no_orders_either_way(desk):
    desk.bought()
    befall(desk, "delist", NO_VALUE)
    asset = desk.get(f"/v2/assets/{desk.symbol}").body
    assert (asset["tradable"], asset["status"]) == (False, "inactive")
    assert {desk.send(side=side).status for side in ("buy", "sell")} == {422}
    desk.sent.clear()  # nobody can sell what is left


@simulated_only
def test_c9_8_a_cash_merger_takes_the_position_and_pays(desk):
    desk.bought()
    cash = Decimal(desk.get("/v2/account").body["cash"])
    befall(desk, "merger", "12.34")
    assert Decimal(desk.get("/v2/account").body["cash"]) - cash == Decimal("12.34")
    assert desk.get("/v2/positions").body == []
    (row,) = desk.get("/v2/account/activities/MA").body
    assert (row["activity_type"], row["net_amount"]) == ("MA", "12.34")
    desk.sent.clear()


# ------------------------------------------------------------------- 11 endpoints, 12 bars


@in_session
def test_c11_3_a_position_is_closed_by_quantity_or_by_share(desk):
    desk.bought()
    path = f"/v2/positions/{desk.symbol}"
    assert desk.call("DELETE", path, params={"qty": "1", "percentage": "100"}).status == 422
    reply = desk.call("DELETE", path, params={"percentage": "100"})
    assert (reply.body["side"], reply.body["type"], reply.body["qty"]) == ("sell", "market", "1")
    desk.sent.append(reply.body["client_order_id"])  # the venue's own: it cannot be ours
    desk.until(reply.body, "filled")


def test_c11_6_bounds_by_id_exclude_those_by_time(desk):
    order = desk.resting()
    both = {"after_order_id": order["id"], "after": order["submitted_at"]}
    assert desk.get("/v2/orders", **both).status == 422


def test_c12_2_an_adjustment_that_does_not_exist_is_refused(desk):
    query = {"symbols": desk.symbol, "timeframe": "1Day", "feed": "iex", "start": "2020-01-02"}
    for adjustment, status in (("split", 200), ("all", 200), ("wishful", (400, 422))):
        found = desk.get("/v2/stocks/bars", adjustment=adjustment, **query).status
        assert found in (status if isinstance(status, tuple) else (status,))


@simulated_only
def test_c12_3_and_c8_12_the_free_plan_has_no_recent_consolidated_bars(desk):
    query = {"symbols": desk.symbol, "timeframe": "1Day", "feed": "sip", "start": "2020-01-29"}
    reply = desk.get("/v2/stocks/bars", end="2020-01-30T15:00:00Z", **query)
    assert reply.status == 403
    assert reply.body == {"message": "subscription does not permit querying recent SIP data"}


@simulated_only
def test_c12_4_and_5_a_bar_is_stamped_at_midnight_and_todays_is_unfinished(desk):
    query = {"symbols": desk.symbol, "timeframe": "1Day", "feed": "iex", "start": "2020-01-29"}
    during = desk.get("/v2/stocks/bars", **query).body["bars"][desk.symbol]
    desk.advance(EVENING)
    after = desk.get("/v2/stocks/bars", **query).body["bars"][desk.symbol]
    assert [bar["t"] for bar in after] == ["2020-01-29T05:00:00Z", "2020-01-30T05:00:00Z"]
    assert during[0] == after[0]
    assert during[1]["v"] < after[1]["v"]
