"""What no document says: the default is the worst case, and a switch is the other one.

The number in a name is the row of section 17 of the contract; all of it is of the simulated venue.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from conformance_venues import simulated_desk

from livekit.broker.venue.faults import FaultKind, FaultRule

pytestmark = pytest.mark.simulated_only

CLOSE = datetime(2020, 1, 30, 21, 0, tzinfo=UTC)
NEXT_DAY = datetime(2020, 1, 31, 15, 0, tzinfo=UTC)


def protected(desk, **fields):
    """A share with a protective stop on it, and that leg."""
    legs = {"order_class": "oto", "stop_loss": {"stop_price": desk.price("0.5")}}
    order = desk.send(**({"time_in_force": "gtc"} | legs | fields)).body
    return order, desk.order(order)["legs"][0]


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({}, "new"),
        ({"activated_leg_status": "accepted"}, "accepted"),
        ({"activated_leg_status": "held"}, "held"),
    ],
)
def test_c17_1_the_label_of_a_woken_stop(settings, label):
    with simulated_desk(**settings) as desk:
        _, leg = protected(desk)
        assert leg["status"] == label
        assert desk.get(f"/v2/positions/{desk.symbol}").body["qty_available"] == "0"
        assert desk.cancel(leg).status == 204


@pytest.mark.parametrize(
    ("settings", "label"), [({}, "expired"), ({"group_leg_ends_as": "canceled"}, "canceled")]
)
def test_c17_2_the_label_of_a_day_leg_after_the_close(settings, label):
    with simulated_desk(**settings) as desk:
        _, leg = protected(desk, time_in_force="day")
        desk.advance(CLOSE)
        assert desk.order(leg)["status"] == label
        desk.advance(NEXT_DAY)


@pytest.mark.parametrize(("activates", "available"), [(False, "2"), (True, "0")])
def test_c17_3_the_leg_of_an_entry_that_dies_half_filled(activates, available):
    with simulated_desk(partial_entry_activates_legs=activates) as desk:
        desk.app.control.inject(FaultRule(FaultKind.PARTIAL_THEN_EXPIRY))
        legs = {"order_class": "oto", "stop_loss": {"stop_price": desk.price("0.5")}}
        entry = {"type": "limit", "limit_price": desk.price("1.01"), "time_in_force": "gtc"}
        order = desk.send(qty="4", **entry, **legs).body
        desk.advance(CLOSE)
        position = desk.get(f"/v2/positions/{desk.symbol}").body
        assert (position["qty"], position["qty_available"]) == ("2", available)
        assert desk.order(order)["filled_qty"] == "2"
        desk.advance(NEXT_DAY)


@pytest.mark.parametrize(("cancellable", "status"), [(False, 422), (True, 204)])
def test_c17_4_the_cancel_of_a_held_leg(cancellable, status):
    with simulated_desk(held_leg_cancellable=cancellable) as desk:
        entry = {"type": "limit", "limit_price": desk.price("0.9")}
        order, leg = protected(desk, **entry)
        assert leg["status"] == "held"
        assert desk.cancel(leg).status == status
        ends = {desk.order(order)["status"], desk.order(leg)["status"]}
        assert ends == ({"canceled"} if cancellable else {"new", "held"})


@pytest.mark.parametrize(("replaceable", "status"), [(False, 422), (True, 200)])
def test_c17_5_the_replacement_of_a_woken_stop(replaceable, status):
    with simulated_desk(activated_leg_replaceable=replaceable) as desk:
        _, leg = protected(desk)
        lower = {"stop_price": desk.price("0.4")}
        assert desk.call("PATCH", f"/v2/orders/{leg['id']}", json=lower).status == status


@pytest.mark.parametrize(("cancellable", "status"), [(False, 422), (True, 204)])
def test_c17_6_the_second_cancel(cancellable, status):
    with simulated_desk(canceled_order_cancellable=cancellable) as desk:
        order = desk.resting()
        assert desk.cancel(order).status == 204
        reply = desk.cancel(order)
        assert reply.status == status
        if not cancellable:
            assert reply.message == 'order is already in "canceled" state'


@pytest.mark.parametrize(("reusable", "status"), [(False, 422), (True, 200)])
def test_c17_7_and_c6_4_the_id_of_an_expired_order(reusable, status):
    with simulated_desk(spent_ids_reusable=reusable) as desk:
        order = desk.resting(time_in_force="day")
        desk.advance(CLOSE)
        assert desk.order(order)["status"] == "expired"
        again = {"type": "limit", "limit_price": "4.00", "time_in_force": "gtc"}
        assert desk.send(client_order_id=order["client_order_id"], **again).status == status


@pytest.mark.parametrize("told", [False, True])
def test_c17_8_the_headers_of_a_429(told):
    with simulated_desk(requests_a_minute=2, limit_headers_on_429=told) as desk:
        url = f"{desk.base_url}/v2/account"
        answers = [desk.session.get(url, timeout=5) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert ("x-ratelimit-reset" in answers[-1].headers) is told
        desk.wait(60)


@pytest.mark.parametrize("name", ["a:b", "a b", "ä", "a/b", 'a"b'])
def test_c17_9_client_ids_are_letters_digits_dot_dash_and_underline(desk, name):
    reply = desk.send(client_order_id=name)
    assert (reply.status, reply.code) == (422, 40010001)


@pytest.mark.parametrize("nets", [False, True])
def test_c17_11_whether_cash_counts_open_buys(nets):
    with simulated_desk(cash_nets_open_buys=nets) as desk:
        before = Decimal(desk.get("/v2/account").body["cash"])
        order = desk.resting()
        after = Decimal(desk.get("/v2/account").body["cash"])
        assert before - after == (Decimal(order["limit_price"]) if nets else 0)


@pytest.mark.parametrize(("delay_s", "status"), [(0.0, 200), (10.0, 404)])
def test_c17_12_and_14_and_c6_8_an_order_may_be_seen_later_than_its_fill(delay_s, status):
    with simulated_desk(visibility_delay_s=delay_s) as desk:
        order = desk.send().body
        query = {"client_order_id": order["client_order_id"]}
        assert desk.get("/v2/orders:by_client_order_id", **query).status == status
        (fill,) = desk.get("/v2/account/activities/FILL").body
        assert (fill["order_id"], desk.held()) == (order["id"], 1)
        desk.wait(10)
        assert desk.get("/v2/orders:by_client_order_id", **query).status == 200


@pytest.mark.parametrize(("delay_s", "status"), [(0.0, 200), (4.0, 403)])
def test_c17_13_shares_may_come_free_later_than_the_cancel(delay_s, status):
    with simulated_desk(share_release_delay_s=delay_s) as desk:
        _, leg = protected(desk)
        assert desk.cancel(leg).status == 204
        assert desk.order(leg)["status"] == "canceled"
        assert desk.send(side="sell").status == status
        desk.wait(5)


@pytest.mark.parametrize(("blocks", "status"), [(True, 403), (False, 200)])
def test_c17_15_a_leg_beside_a_new_simple_order(blocks, status):
    with simulated_desk(resting_leg_blocks_opposite=blocks) as desk:
        protected(desk)
        assert desk.send().status == status


def test_c17_15_a_stop_limit_below_a_working_buy_is_refused_and_an_oco_is_not(desk):
    desk.bought()
    desk.resting(limit_price=desk.price("0.9"))
    exits = {"side": "sell", "time_in_force": "gtc"}
    prices = {"stop_price": desk.price("0.8"), "limit_price": desk.price("0.7")}
    assert desk.send(type="stop_limit", **prices, **exits).status == 403
    legs = {
        "take_profit": {"limit_price": desk.price("1.5")},
        "stop_loss": {"stop_price": desk.price("0.8")},
    }
    assert desk.send(type="limit", order_class="oco", **legs, **exits).status == 200
