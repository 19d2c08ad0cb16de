"""Every kind of fault, as the hardened client meets it, and what it left in the book."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from alpaca.trading.requests import GetOrdersRequest
from pydantic import ValidationError
from venue_kit import BASE_URL, FRIDAY, KEYS, MONDAY, THURSDAY, Venue

from livekit.broker.client import AlpacaClient
from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.broker.venue.transport import VenueTransport
from livekit.errors import CredentialsRefused, OrderRefused, OutcomeUnknown, VenueUnavailable

__all__ = ["SCENARIOS", "Desk"]

K = FaultKind


class Desk:
    """A venue at Thursday 10:00, the hardened client on it, and one rule."""

    def __init__(self, kind: FaultKind, **options: object) -> None:
        self.venue = Venue()
        self.venue.at(THURSDAY, 10)
        self.client = AlpacaClient(
            KEYS.api_key,
            KEYS.secret_key,
            BASE_URL,
            transport=VenueTransport(self.venue.app),
            clock=InProcessClock(self.venue.app),
        )
        self.venue.app.control.inject(FaultRule(kind, **options))

    def buy(self, name: str = "b1", quantity: int = 10):
        return self.client.place_order("AAA", quantity, "buy", client_order_id=name)

    def buy_with_stop(self):
        return self.client.place_bracket_order(
            "AAA", 10, stop_price=Decimal(90), client_order_id="b1"
        )

    @property
    def taken(self) -> bool:
        return bool(self.venue.engine.state.orders)

    @property
    def counts(self) -> dict[str, int]:
        return self.venue.app.faults.counts


def writes(kind: FaultKind, error: type[Exception], *, taken: bool) -> Callable[[], Desk]:
    def scenario() -> Desk:
        desk = Desk(kind, method="POST", path="/v2/orders")
        with pytest.raises(error):
            desk.buy()
        assert desk.taken is taken
        after = desk.client.get_order_by_client_id("b1")
        assert (after is not None) is taken
        return desk

    return scenario


def slow_drip() -> Desk:
    desk = Desk(K.SLOW_DRIP, method="POST", seconds=20)
    before = desk.venue.engine.now
    assert desk.buy().client_order_id == "b1"
    assert desk.venue.engine.now - before >= timedelta(seconds=20)
    return desk


def rate_limited_read() -> Desk:
    desk = Desk(K.RATE_LIMITED, path="/v2/account", seconds=40)
    before = desk.venue.engine.now
    desk.client.get_account()
    assert timedelta(seconds=39) <= desk.venue.engine.now - before <= timedelta(seconds=42)
    return desk


def unknown_status_is_carried() -> Desk:
    desk = Desk(K.UNKNOWN_ENUM, method="POST")
    assert desk.buy().status == "settling_elsewhere"
    desk.venue.app.control.inject(FaultRule(K.UNKNOWN_ENUM, path="/v2/orders"))
    with pytest.raises(ValidationError):
        desk.venue.trading.get_orders(GetOrdersRequest(status="all"))
    return desk


def null_stamp_breaks_only_the_sdk() -> Desk:
    desk = Desk(K.NULL_VALUE, path="/v2/orders", method="GET", times=2)
    desk.buy()
    with pytest.raises(ValidationError):
        desk.venue.trading.get_orders(GetOrdersRequest(status="all"))
    (order,) = desk.client.list_orders(status="all")
    assert order.submitted_at is None
    return desk


def missing_field_breaks_only_the_sdk() -> Desk:
    desk = Desk(K.MISSING_FIELD, path="/v2/assets/AAA", times=2)
    with pytest.raises(ValidationError):
        desk.venue.trading.get_asset("AAA")
    assert desk.client.get_asset("AAA") is not None
    return desk


def stale_read() -> Desk:
    desk = Desk(K.STALE_READ, path="/v2/positions", times=1)
    assert desk.client.get_positions() == ()
    desk.buy()
    assert desk.client.get_positions() == ()
    assert len(desk.client.get_positions()) == 1
    return desk


def truncated_list() -> Desk:
    desk = Desk(K.TRUNCATED_LIST, path="/v2/orders", keep=2)
    for number in range(3):
        desk.buy(f"b{number}")
    assert len(desk.client.list_orders(status="closed")) == 2
    assert len(desk.client.list_orders(status="closed")) == 3
    return desk


def late_visibility() -> Desk:
    desk = Desk(K.LATE_VISIBILITY, seconds=3)
    placed = desk.buy()
    assert desk.client.get_order(placed.order_id) is None
    assert desk.client.get_order_by_client_id("b1") is None
    assert desk.client.list_orders(status="all") == ()
    assert len(desk.client.get_positions()) == 1
    desk.venue.app.pass_time(3)
    assert desk.client.get_order_by_client_id("b1") is not None
    assert len(desk.client.list_orders(status="all")) == 1
    return desk


def clock_skew() -> Desk:
    desk = Desk(K.CLOCK_SKEW, seconds=90)
    assert desk.client.get_clock().timestamp == desk.venue.engine.now + timedelta(seconds=90)
    return desk


def async_reject() -> Desk:
    desk = Desk(K.ASYNC_REJECT)
    placed = desk.buy_with_stop()
    assert placed.status == "pending_new"
    after = desk.client.get_order(placed.order_id)
    assert (after.status, after.legs[0].status) == ("rejected", "canceled")
    assert desk.client.get_positions() == ()
    return desk


def stuck_leg() -> Desk:
    desk = Desk(K.STUCK_LEG)
    placed = desk.buy_with_stop()
    desk.venue.at(THURSDAY, 15)
    after = desk.client.get_order(placed.order_id)
    assert (after.status, after.legs[0].status) == ("filled", "held")
    return desk


def partial_then_expiry() -> Desk:
    desk = Desk(K.PARTIAL_THEN_EXPIRY)
    placed = desk.buy(quantity=7)
    desk.venue.at(THURSDAY, 15)
    during = desk.client.get_order(placed.order_id)
    assert (during.status, during.filled_quantity) == ("partially_filled", 3)
    desk.venue.at(THURSDAY, 16)
    after = desk.client.get_order(placed.order_id)
    assert (after.status, after.filled_quantity) == ("expired", 3)
    return desk


def stop_order(desk: Desk):
    desk.buy()
    return desk.client.place_order(
        "AAA",
        10,
        "sell",
        client_order_id="s1",
        order_type="stop",
        time_in_force="gtc",
        stop_price=Decimal(90),
    )


def cancel_fills() -> Desk:
    desk = Desk(K.CANCEL_FILLS)
    stop = stop_order(desk)
    desk.client.cancel_order(stop.order_id)
    assert desk.client.get_order(stop.order_id).status == "pending_cancel"
    desk.venue.app.pass_time(3)
    assert desk.client.get_order(stop.order_id).status == "filled"
    assert desk.client.get_positions() == ()
    return desk


def cancel_ignored() -> Desk:
    desk = Desk(K.CANCEL_IGNORED)
    stop = stop_order(desk)
    desk.client.cancel_order(stop.order_id)
    assert desk.client.get_order(stop.order_id).status == "new"
    desk.client.cancel_order(stop.order_id)
    assert desk.client.get_order(stop.order_id).status == "canceled"
    return desk


def rate_limit_burst() -> Desk:
    desk = Desk(K.RATE_LIMIT_BURST, path="/v2/account", seconds=60)
    before = desk.venue.engine.now
    desk.client.get_account()  # 429 for a minute, whatever is asked for
    assert timedelta(seconds=60) <= desk.venue.engine.now - before <= timedelta(seconds=130)
    return desk


def extra_keys() -> Desk:
    desk = Desk(K.EXTRA_KEYS, method="POST")
    assert desk.buy().client_order_id == "b1"
    return desk


def daily_bars(desk: Desk):
    return desk.client.daily_bars(["AAA", "BBB"], THURSDAY, FRIDAY, adjustment="raw")


def page_loop() -> Desk:
    desk = Desk(K.PAGE_LOOP, times=0)
    with pytest.raises(VenueUnavailable, match="repeats a page"):
        daily_bars(desk)
    return desk


def missing_symbols() -> Desk:
    desk = Desk(K.MISSING_SYMBOLS)
    assert sorted(daily_bars(desk)) == ["BBB"]
    assert sorted(daily_bars(desk)) == ["AAA", "BBB"]
    return desk


def stale_bars() -> Desk:
    desk = Desk(K.STALE_BARS)
    desk.venue.at(FRIDAY, 17)
    days = [THURSDAY]
    assert [bar.session for bar in daily_bars(desk)["AAA"]] == days
    assert [bar.session for bar in daily_bars(desk)["AAA"]] == [*days, FRIDAY]
    return desk


def leg_rejected() -> Desk:
    desk = Desk(K.LEG_REJECTED)
    placed = desk.buy_with_stop()
    after = desk.client.get_order(placed.order_id)
    assert (after.status, after.legs[0].status) == ("filled", "rejected")
    assert desk.client.get_positions()[0].quantity_available == 10
    return desk


def stop_swapped() -> Desk:
    desk = Desk(K.STOP_SWAPPED)
    placed = desk.buy_with_stop()
    desk.venue.at(MONDAY, 9, 30)  # opens at 90.00, the stop
    stop, successor = desk.client.get_order(placed.order_id).legs
    assert (stop.status, successor.status) == ("replaced", "filled")
    assert stop.order_id != successor.order_id
    assert desk.venue.order({"id": stop.order_id})["replaced_by"] == successor.order_id
    assert desk.client.get_positions() == ()
    return desk


def both_exits() -> Desk:
    desk = Desk(K.BOTH_EXITS)
    desk.venue.send(
        order_class="bracket",
        time_in_force="gtc",
        take_profit={"limit_price": "103"},
        stop_loss={"stop_price": "90"},
    )
    desk.venue.at(THURSDAY, 14)  # the high is 104: the profit is taken, and the stop too
    assert desk.venue.fills()[1:] == [("AAA", "sell", "10", "103"), ("AAA", "sell", "10", "90")]
    short = desk.venue.position()
    assert (short["qty"], short["side"], short["avg_entry_price"]) == ("-10", "short", "90")
    assert short["market_value"] == "-1040"
    return desk


def cancel_slow() -> Desk:
    desk = Desk(K.CANCEL_SLOW, seconds=90)
    stop = stop_order(desk)
    desk.client.cancel_order(stop.order_id)
    desk.venue.app.pass_time(89)
    assert desk.client.get_order(stop.order_id).status == "pending_cancel"
    desk.venue.app.pass_time(1)
    assert desk.client.get_order(stop.order_id).status == "canceled"
    return desk


def cancel_of_finished() -> Desk:
    desk = Desk(K.CANCEL_OF_FINISHED)
    placed = desk.buy()
    desk.client.cancel_order(placed.order_id)
    assert desk.client.get_order(placed.order_id).status == "filled"
    with pytest.raises(OrderRefused, match='already in "filled" state'):
        desk.client.cancel_order(placed.order_id)
    return desk


def release_late() -> Desk:
    desk = Desk(K.RELEASE_LATE, seconds=5)
    stop = stop_order(desk)
    desk.client.cancel_order(stop.order_id)
    assert desk.client.get_order(stop.order_id).status == "canceled"
    with pytest.raises(OrderRefused, match="insufficient qty"):
        desk.client.place_order("AAA", 10, "sell", client_order_id="x1")
    desk.venue.app.pass_time(5)
    desk.client.place_order("AAA", 10, "sell", client_order_id="x2")
    assert desk.client.get_positions() == ()
    return desk


SCENARIOS: dict[FaultKind, Callable[[], Desk]] = {
    K.UNREACHABLE: writes(K.UNREACHABLE, VenueUnavailable, taken=False),
    K.TIMEOUT_BEFORE: writes(K.TIMEOUT_BEFORE, OutcomeUnknown, taken=False),
    K.ANSWER_LOST: writes(K.ANSWER_LOST, OutcomeUnknown, taken=True),
    K.RESET_BEFORE: writes(K.RESET_BEFORE, OutcomeUnknown, taken=False),
    K.RESET_AFTER: writes(K.RESET_AFTER, OutcomeUnknown, taken=True),
    K.SLOW_DRIP: slow_drip,
    K.RATE_LIMITED: rate_limited_read,
    K.RATE_LIMITED_BARE: writes(K.RATE_LIMITED_BARE, VenueUnavailable, taken=False),
    K.UNAUTHORIZED: writes(K.UNAUTHORIZED, CredentialsRefused, taken=False),
    K.SERVER_ERROR: writes(K.SERVER_ERROR, OutcomeUnknown, taken=False),
    K.SERVER_ERROR_TAKEN: writes(K.SERVER_ERROR_TAKEN, OutcomeUnknown, taken=True),
    K.BAD_GATEWAY: writes(K.BAD_GATEWAY, OutcomeUnknown, taken=False),
    K.BAD_GATEWAY_TAKEN: writes(K.BAD_GATEWAY_TAKEN, OutcomeUnknown, taken=True),
    K.GATEWAY_TIMEOUT: writes(K.GATEWAY_TIMEOUT, OutcomeUnknown, taken=False),
    K.GATEWAY_TIMEOUT_TAKEN: writes(K.GATEWAY_TIMEOUT_TAKEN, OutcomeUnknown, taken=True),
    K.REDIRECT: writes(K.REDIRECT, OutcomeUnknown, taken=False),
    K.NOT_JSON: writes(K.NOT_JSON, OutcomeUnknown, taken=True),
    K.UNKNOWN_ENUM: unknown_status_is_carried,
    K.NULL_VALUE: null_stamp_breaks_only_the_sdk,
    K.MISSING_FIELD: missing_field_breaks_only_the_sdk,
    K.STALE_READ: stale_read,
    K.TRUNCATED_LIST: truncated_list,
    K.LATE_VISIBILITY: late_visibility,
    K.CLOCK_SKEW: clock_skew,
    K.ASYNC_REJECT: async_reject,
    K.STUCK_LEG: stuck_leg,
    K.PARTIAL_THEN_EXPIRY: partial_then_expiry,
    K.CANCEL_FILLS: cancel_fills,
    K.CANCEL_IGNORED: cancel_ignored,
    K.RATE_LIMIT_BURST: rate_limit_burst,
    K.EXTRA_KEYS: extra_keys,
    K.PAGE_LOOP: page_loop,
    K.MISSING_SYMBOLS: missing_symbols,
    K.STALE_BARS: stale_bars,
    K.LEG_REJECTED: leg_rejected,
    K.STOP_SWAPPED: stop_swapped,
    K.BOTH_EXITS: both_exits,
    K.CANCEL_SLOW: cancel_slow,
    K.CANCEL_OF_FINISHED: cancel_of_finished,
    K.RELEASE_LATE: release_late,
}
