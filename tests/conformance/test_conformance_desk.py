"""The desk itself: what a test leaves behind is gone afterwards."""

from __future__ import annotations

import pytest
from conformance_desk import TERMINAL


@pytest.mark.in_session
def test_orders_groups_and_shares_of_a_test_are_gone_after_it(desk):
    resting = desk.resting()
    desk.bought()
    legs = {"take_profit": {"limit_price": desk.price("1.5")}}
    group = desk.send(
        order_class="oco",
        side="sell",
        type="limit",
        time_in_force="gtc",
        stop_loss={"stop_price": desk.price("0.5")},
        **legs,
    ).body
    desk.clean_up()
    desk.wait(2)
    assert desk.held() == 0
    assert {desk.order(order)["status"] for order in (resting, group)} <= TERMINAL
