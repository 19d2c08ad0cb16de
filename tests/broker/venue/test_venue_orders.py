"""The life of orders: queueing, legs, reservation, cancels, replacement, expiry, ageing."""

from __future__ import annotations

from datetime import date

import pytest
from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrdersRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
)
from venue_kit import FRIDAY, MONDAY, THURSDAY, TUESDAY, Venue, holding, ny, refusal

# ------------------------------------------------------------------------------------- queueing


def test_an_order_sent_before_the_open_is_accepted_and_waits():
    venue = Venue()
    venue.at(THURSDAY, 9, 15)
    shown = venue.send()
    assert (shown["status"], shown["filled_qty"]) == ("accepted", "0")
    venue.at(THURSDAY, 9, 29, 59)
    assert venue.status(shown) == "accepted"
    venue.at(THURSDAY, 9, 30)
    assert venue.status(shown) == "filled"


def test_a_day_order_sent_after_the_close_belongs_to_the_next_session():
    venue = Venue()
    venue.at(FRIDAY, 16, 1)
    shown = venue.send()
    assert shown["expires_at"] == "2020-01-06T21:00:00Z"  # Monday 16:00
    venue.at(MONDAY, 9, 30)
    assert venue.fills() == [("AAA", "buy", "10", "90")]


def test_a_stop_queued_overnight_becomes_new_at_four_and_its_submission_time_moves():
    venue = holding(Venue())
    venue.at(THURSDAY, 17)
    shown = venue.stop("95")
    assert (shown["status"], shown["submitted_at"]) == ("accepted", "2020-01-02T22:00:00Z")
    venue.at(FRIDAY, 4)
    later = venue.order(shown)
    assert (later["status"], later["submitted_at"]) == ("new", "2020-01-03T09:00:00Z")
    assert later["created_at"] == "2020-01-02T22:00:00Z"


def test_a_queued_group_is_submitted_anew_as_one_and_listed_after_what_came_later():
    venue = Venue()
    venue.at(THURSDAY, 17)
    leg = {"order_class": "oto", "stop_loss": {"stop_price": "80"}, "time_in_force": "gtc"}
    group = venue.send(type="limit", limit_price="95", client_order_id="group", **leg)
    venue.at(THURSDAY, 18)
    venue.send(symbol="BBB")  # a market order waits for the open, so its time stays
    venue.at(FRIDAY, 4)
    rows = venue.raw.get("/orders", {"status": "all"})
    assert [row["id"] for row in rows[:2]] == [group["legs"][0]["id"], group["id"]]
    assert [row["submitted_at"] for row in rows] == 2 * ["2020-01-03T09:00:00Z"] + [
        "2020-01-02T23:00:00Z"
    ]


def test_day_orders_expire_at_the_close_and_their_whole_group_with_them():
    venue = Venue()
    venue.at(FRIDAY, 10)
    leg = {"order_class": "oto", "stop_loss": {"stop_price": "80"}}
    shown = venue.send(type="limit", limit_price="95", **leg)
    venue.at(FRIDAY, 16)
    order = venue.order(shown)
    assert (order["status"], order["legs"][0]["status"]) == ("expired", "expired")
    assert order["expired_at"] == "2020-01-03T21:00:00Z"


def test_gtc_orders_age_ninety_days_and_end_at_a_quarter_past_four():
    venue = holding(Venue())
    shown = venue.stop("50")
    assert shown["expires_at"] == "2020-04-01T20:00:00Z"  # 2 January + 90 days, a Wednesday
    venue.at(date(2020, 4, 1), 16, 14)
    assert venue.status(shown) == "new"
    venue.at(date(2020, 4, 1), 16, 15)
    assert venue.status(shown) == "canceled"


# ------------------------------------------------------------------------------------------ OTO


def test_a_leg_is_held_until_its_entry_fills_and_covers_from_that_instant():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.trading.submit_order(
        MarketOrderRequest(
            symbol="AAA",
            qty=10,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.GTC,
            order_class="oto",
            stop_loss=StopLossRequest(stop_price=90.0),
            client_order_id="20200102_AAA_entry_buy",
        )
    )
    leg = shown.legs[0]
    assert (shown.status, leg.status) == (OrderStatus.ACCEPTED, OrderStatus.HELD)
    assert (leg.qty, leg.stop_price, leg.time_in_force) == ("10", "90", TimeInForce.GTC)
    assert leg.client_order_id != shown.client_order_id
    venue.at(THURSDAY, 9, 30)
    again = venue.trading.get_order_by_id(leg.id)
    assert (again.status, again.updated_at) == (OrderStatus.NEW, ny(THURSDAY, 9, 30))
    assert venue.position()["qty_available"] == "0"


def test_a_held_leg_is_not_an_open_order():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.buy_with_stop("90")
    rows = venue.raw.get("/orders", {"status": "open", "nested": False})
    assert [row["id"] for row in rows] == [shown["id"]]
    everything = venue.raw.get("/orders", {"status": "all", "nested": False})
    assert {row["status"] for row in everything} == {"accepted", "held"}


def test_a_group_whose_entry_is_filled_disappears_from_the_nested_open_list():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.buy_with_stop("90")
    venue.at(THURSDAY, 10)
    assert venue.raw.get("/orders", {"status": "open", "nested": True}) == []
    (leg,) = venue.raw.get("/orders", {"status": "open", "nested": False})
    assert (leg["id"], leg["legs"]) == (shown["legs"][0]["id"], None)
    (group,) = venue.trading.get_orders(GetOrdersRequest(status="all", nested=True))
    assert str(group.legs[0].id) == leg["id"]


def test_cancelling_an_unfilled_entry_kills_its_leg_a_second_later():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.buy_with_stop("90")
    venue.cancel(shown)
    order = venue.order(shown)
    assert (order["status"], order["legs"][0]["status"]) == ("canceled", "held")
    venue.at(THURSDAY, 9, 0, 1)
    assert venue.order(shown)["legs"][0]["status"] == "canceled"


def test_a_leg_sleeps_through_a_partial_fill_and_dies_with_the_rest_of_its_entry():
    """Order number 0 of seed 7 that fills in part leaves its shares without a stop."""
    venue = Venue(fill_model="paper", seed=7)
    venue.at(THURSDAY, 10)
    shown = next(
        order
        for number in range(100)
        if (order := venue.buy_with_stop("90", client_order_id=f"e{number}"))
        and venue.status(order) == "partially_filled"
    )
    assert venue.order(shown)["legs"][0]["status"] == "held"
    venue.cancel(shown)
    venue.at(THURSDAY, 10, 0, 5)
    order = venue.order(shown)
    assert (order["status"], order["legs"][0]["status"]) == ("canceled", "canceled")
    assert 0 < int(order["filled_qty"]) < 10


def test_cancelling_a_leg_that_works_frees_its_shares():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.buy_with_stop("90")
    venue.at(THURSDAY, 10)
    venue.cancel(shown["legs"][0])
    assert venue.position()["qty_available"] == "10"


# --------------------------------------------------------------------------------------- cancel


def test_a_cancel_is_immediate_by_default():
    venue = holding(Venue())
    shown = venue.stop("90")
    venue.cancel(shown)
    assert (venue.status(shown), venue.position()["qty_available"]) == ("canceled", "10")


def test_a_delayed_cancel_keeps_its_shares_until_it_takes_effect():
    venue = holding(Venue(cancel_delay_s=5.0))
    shown = venue.stop("90")
    venue.cancel(shown)
    assert venue.status(shown) == "pending_cancel"
    assert venue.position()["qty_available"] == "0"
    venue.cancel(shown)  # a second request is accepted and changes nothing
    venue.at(THURSDAY, 9, 30, 5)
    assert (venue.status(shown), venue.position()["qty_available"]) == ("canceled", "10")


def test_an_order_whose_cancel_waits_for_the_open_may_still_fill_before_it_ends():
    venue = holding(Venue(cancel_delay_s=3600 * 3.0))
    shown = venue.stop("98")
    venue.cancel(shown)
    venue.at(THURSDAY, 11, 40)
    assert venue.status(shown) == "filled"


def test_outside_hours_a_cancel_may_wait_for_the_next_open():
    venue = holding(Venue(cancels_wait_for_open=True))
    shown = venue.stop("90")
    venue.at(THURSDAY, 17)
    venue.cancel(shown)
    venue.at(FRIDAY, 9, 29)
    assert venue.status(shown) == "pending_cancel"
    venue.at(FRIDAY, 9, 30)
    assert venue.status(shown) == "canceled"


@pytest.mark.parametrize("after", ["filled", "canceled"])
def test_a_finished_order_cannot_be_cancelled(after):
    venue = holding(Venue())
    shown = venue.stop("98") if after == "filled" else venue.stop("90")
    if after == "filled":
        venue.at(THURSDAY, 12)
    else:
        venue.cancel(shown)
    assert refusal(venue.cancel, shown) == (
        422,
        {"code": 42210000, "message": f'order is already in "{after}" state'},
    )


def test_cancelling_everything_tells_what_became_of_each_order():
    venue = holding(Venue())
    shown = venue.stop("90")
    venue.buy_with_stop("90")  # in session, so it fills; its leg reserves the new shares
    (first, second) = venue.trading.cancel_orders()
    assert (str(first.id), first.status, second.status) == (shown["id"], 200, 200)
    assert venue.position()["qty_available"] == "20"


# -------------------------------------------------------------------------------------- replace


def test_a_replaced_stop_is_a_new_order_that_takes_the_shares_over():
    venue = holding(Venue())
    old = venue.stop("90")
    new = venue.trading.replace_order_by_id(
        old["id"], ReplaceOrderRequest(stop_price=92.5, client_order_id="raised")
    )
    before = venue.order(old)
    assert (before["status"], before["replaced_by"]) == ("replaced", str(new.id))
    assert (str(new.replaces), new.stop_price, new.status) == (old["id"], "92.5", OrderStatus.NEW)
    assert venue.position()["qty_available"] == "0"


def test_what_is_filled_counts_towards_the_quantity_of_a_replacement():
    venue = Venue(fill_model="paper", seed=7)
    venue.at(THURSDAY, 10)
    shown = next(
        order
        for number in range(100)
        if (order := venue.send(client_order_id=f"e{number}"))
        and venue.status(order) == "partially_filled"
    )
    filled = int(venue.order(shown)["filled_qty"])
    new = venue.raw.patch(f"/orders/{shown['id']}", {"qty": "12"})
    assert int(new["qty"]) == 12 - filled


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "order parameters are not changed"),
        ({"qty": "11"}, "insufficient qty available for order (requested: 11, available: 10)"),
        ({"stop_price": "100"}, "stop price must be less than current price"),
    ],
)
def test_a_replacement_that_does_not_fit_is_refused(changes, message):
    venue = holding(Venue())
    shown = venue.stop("90")
    status, body = refusal(venue.raw.patch, f"/orders/{shown['id']}", changes)
    assert (status in (403, 422), body["message"]) == (True, message)
    assert venue.status(shown) == "new"


def test_a_stop_placed_after_the_close_cannot_be_replaced_before_four():
    venue = holding(Venue())
    venue.at(THURSDAY, 17)
    shown = venue.stop("90")
    path = f"/orders/{shown['id']}"
    assert refusal(venue.raw.patch, path, {"stop_price": "91"}) == (
        422,
        {"code": 42210000, "message": "cannot replace order in accepted status"},
    )
    venue.at(FRIDAY, 4)
    assert venue.raw.patch(path, {"stop_price": "91"})["status"] == "new"


# --------------------------------------------------------------------------------------- lists


def test_orders_are_listed_newest_first_fifty_at_a_time():
    venue = Venue()
    for second in range(60):
        venue.at(THURSDAY, 9, 0, second)
        venue.send(client_order_id=f"n{second}", qty="1")
    rows = venue.raw.get("/orders")
    assert [row["client_order_id"] for row in rows] == [f"n{59 - place}" for place in range(50)]
    oldest = venue.raw.get("/orders", {"direction": "asc", "limit": 2})
    assert [row["client_order_id"] for row in oldest] == ["n0", "n1"]


def test_after_and_until_are_exclusive_and_so_are_the_order_ids():
    venue = Venue()
    shown = []
    for second in range(4):
        venue.at(THURSDAY, 9, 0, second)
        shown.append(venue.send(client_order_id=f"n{second}", qty="1"))
    window = {"after": shown[0]["submitted_at"], "until": shown[3]["submitted_at"]}
    later, earlier = {"after_order_id": shown[0]["id"]}, {"before_order_id": shown[3]["id"]}
    for query, names in (
        (window, ["n2", "n1"]),
        (later, ["n3", "n2", "n1"]),
        (earlier, ["n2", "n1", "n0"]),
    ):
        rows = venue.raw.get("/orders", query)
        assert [row["client_order_id"] for row in rows] == names
    for query in (window | later, window | earlier, later | earlier):
        assert refusal(venue.raw.get, "/orders", query)[0] == 422


def test_orders_can_be_asked_for_by_symbol_side_and_status():
    venue = holding(Venue())
    venue.stop("90")
    venue.send(symbol="BBB", client_order_id="b")
    requests = [
        ({"symbols": "AAA,CCC", "status": "all"}, {"opening-AAA"}),
        ({"side": "sell"}, set()),
        ({"status": "closed"}, {"opening-AAA", "b"}),
    ]
    for query, expected in requests:
        rows = venue.raw.get("/orders", query)
        assert {row["client_order_id"] for row in rows if row["type"] == "market"} == expected


def test_activities_are_paged_by_the_id_of_the_last_row():
    venue = Venue()
    for number in range(5):
        venue.at(THURSDAY, 10, number)
        venue.send(client_order_id=f"n{number}", qty=str(number + 1))
    first = venue.raw.get("/account/activities/FILL", {"direction": "asc", "page_size": 2})
    query = {"direction": "asc", "page_token": first[-1]["id"]}
    second = venue.raw.get("/account/activities", query | {"activity_types": "FILL"})
    assert [row["qty"] for row in first + second] == ["1", "2", "3", "4", "5"]
    after = {"after": first[1]["transaction_time"], "direction": "asc"}
    assert venue.raw.get("/account/activities", after) == second
    assert len(venue.raw.get("/account/activities", {"date": "2020-01-02"})) == 5
    assert refusal(venue.raw.get, "/account/activities", {"page_size": 101})[0] == 422


def test_equity_is_recorded_at_every_close():
    venue = holding(Venue())
    assert venue.raw.get("/account")["last_equity"] == "100000.00"
    venue.at(FRIDAY, 16)
    history = venue.trading.get_portfolio_history()
    assert history.equity == [100_020.0, 100_040.0]  # ten shares from 100 to 102, then 104
    assert history.profit_loss == [20.0, 40.0]
    assert venue.raw.get("/account")["last_equity"] == "100040.00"


def test_closing_a_position_does_not_cancel_its_stop():
    venue = holding(Venue())
    stop = venue.stop("90")
    status, body = refusal(venue.raw.delete, "/positions/AAA")
    assert (status, body["available"], body["held_for_orders"]) == (403, "0", "10")
    venue.cancel(stop)
    assert venue.raw.delete("/positions/AAA")["side"] == "sell"
    assert refusal(venue.position)[1]["message"] == "position does not exist"


def test_an_order_that_waits_is_not_disturbed_by_a_quiet_week():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.send(type="limit", limit_price="50", time_in_force="gtc")
    venue.at(TUESDAY, 20)
    assert venue.status(shown) == "new"
