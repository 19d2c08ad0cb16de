"""What the venue refuses, in Alpaca's words: HTTP status, code and message of each."""

from __future__ import annotations

import pytest
from venue_kit import (
    AAA,
    FRIDAY,
    MONDAY,
    THURSDAY,
    Venue,
    bars_of,
    holding,
    refusal,
    week_history,
)

SUB_PENNY = "sub-penny increment does not fulfill minimum pricing criteria"
OTO = {"order_class": "oto", "time_in_force": "gtc", "stop_loss": {"stop_price": "90"}}


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"symbol": "ZZZ"}, 422, 42210000, 'asset "ZZZ" not found'),
        ({"qty": "0"}, 422, 40010001, "qty must be > 0"),
        ({"qty": None}, 422, 40010001, "qty or notional is required"),
        ({"qty": "1.5"}, 403, 40310000, 'asset "AAA" is not fractionable'),
        ({"qty": None, "notional": "50"}, 403, 40310000, 'asset "AAA" is not fractionable'),
        ({"qty": None, "notional": "0.5"}, 422, 40010001, "notional must be >= 1.00"),
        (
            {"qty": "1.5", "time_in_force": "gtc"},
            422,
            42210000,
            "fractional orders must be DAY orders",
        ),
        (OTO | {"qty": "1.5"}, 422, 42210000, "fractional orders must be simple orders"),
        ({"side": "hold"}, 422, 40010001, "invalid side"),
        ({"type": "vwap"}, 422, 40010001, "invalid type"),
        ({"time_in_force": "gtd"}, 422, 40010001, "invalid time_in_force"),
        ({"type": "limit"}, 422, 40010001, "limit orders require a limit price"),
        ({"limit_price": "99"}, 422, 40010001, "market orders require no stop or limit price"),
        (
            {"type": "limit", "limit_price": "290.123"},
            422,
            42210000,
            f"invalid limit_price 290.123. {SUB_PENNY}",
        ),
        (
            {"client_order_id": "x" * 129},
            422,
            40010001,
            "client_order_id must be no more than 128 characters",
        ),
        ({"client_order_id": "a:b"}, 422, 40010001, "invalid client_order_id"),
        (
            {"extended_hours": True},
            422,
            42210000,
            "extended hours order must be DAY or GTC limit orders",
        ),
        (
            OTO | {"extended_hours": True},
            403,
            40310000,
            "oto orders do not support extended hours trading",
        ),
        (
            OTO | {"time_in_force": "ioc"},
            422,
            40010001,
            'oto orders support only "day" or "gtc" time_in_force',
        ),
        (
            OTO | {"stop_loss": {"trail_percent": "5"}},
            422,
            40010001,
            "oto orders require stop_loss.stop_price",
        ),
        (
            OTO | {"order_class": "bracket"},
            422,
            40010001,
            "bracket orders require take_profit.limit_price",
        ),
    ],
)
def test_an_order_that_is_wrong_in_itself_is_refused(fields, status, code, message):
    venue = Venue()
    venue.at(THURSDAY, 10)
    assert refusal(venue.send, **fields) == (status, {"code": code, "message": message})
    assert venue.engine.state.orders == {}


def test_a_sell_stop_at_or_above_the_market_is_refused():
    venue = holding(Venue())
    for price in ("100", "100.01"):
        assert refusal(venue.stop, price) == (
            422,
            {
                "code": 42210000,
                "message": "stop price must be less than current price",
                "market_price": "100",
                "stop_price": price,
            },
        )


def test_outside_hours_a_stop_is_compared_with_the_last_trade():
    venue = holding(Venue())
    venue.at(THURSDAY, 20)  # closed at 102
    assert venue.stop("101.99")["status"] == "accepted"


@pytest.mark.parametrize(
    ("fields", "base"),
    [
        ({"stop_loss": {"stop_price": "100"}}, "100"),
        ({"stop_loss": {"stop_price": "95.01"}, "type": "limit", "limit_price": "95"}, "95"),
        ({"stop_loss": {"stop_price": "100"}, "type": "limit", "limit_price": "105"}, "100"),
    ],
)
def test_the_stop_of_a_group_lies_a_cent_below_the_base_price(fields, base):
    venue = Venue()
    venue.at(THURSDAY, 10)
    assert refusal(venue.send, **(OTO | fields)) == (
        422,
        {
            "code": 42210000,
            "message": "stop_loss.stop_price must be <= base_price - 0.01",
            "base_price": base,
        },
    )
    assert venue.engine.state.orders == {}


def test_a_group_that_was_refused_does_not_spend_its_id():
    venue = Venue()
    venue.at(THURSDAY, 10)
    refusal(venue.buy_with_stop, "101", client_order_id="once")
    assert venue.buy_with_stop("90", client_order_id="once")["client_order_id"] == "once"


def test_an_id_is_spent_for_good():
    venue = holding(Venue())
    stop = venue.stop("90", client_order_id="stop-1")
    duplicate = (422, {"code": 40010001, "message": "client_order_id must be unique"})
    assert refusal(venue.stop, "91", client_order_id="stop-1") == duplicate
    venue.cancel(stop)
    assert refusal(venue.stop, "91", client_order_id="stop-1") == duplicate
    assert refusal(venue.send, client_order_id="opening-AAA") == duplicate


def test_a_repeated_order_learns_that_it_exists_whatever_the_market_does():
    venue = holding(Venue())
    venue.stop("98", client_order_id="stop-1")
    venue.at(THURSDAY, 11, 40)  # filled at 98; the market stands at 97
    assert refusal(venue.stop, "98", client_order_id="stop-1")[1]["code"] == 40010001


def test_reserved_shares_cannot_be_sold_again():
    venue = holding(Venue())
    stop = venue.stop("90", qty="8")
    assert venue.position()["qty_available"] == "2"
    assert refusal(venue.sell, qty="3") == (
        403,
        {
            "code": 40310000,
            "message": "insufficient qty available for order (requested: 3, available: 2)",
            "available": "2",
            "existing_qty": "10",
            "held_for_orders": "8",
            "symbol": "AAA",
            "related_orders": [stop["id"]],
        },
    )
    assert venue.sell(qty="2")["status"] == "pending_new"


def test_a_sell_without_shares_would_be_short():
    venue = Venue()
    venue.at(THURSDAY, 10)
    assert refusal(venue.sell) == (
        403,
        {"code": 40310000, "message": "account is not allowed to short"},
    )


def test_a_plain_buy_beside_a_resting_stop_is_a_wash_trade():
    venue = holding(Venue())
    stop = venue.stop("90")
    assert refusal(venue.send) == (
        403,
        {
            "code": 40310000,
            "message": "potential wash trade detected. use complex orders",
            "existing_order_id": stop["id"],
            "reject_reason": "opposite side stop order exists",
        },
    )
    assert venue.buy_with_stop("90")["status"] == "pending_new"  # a group is exempt


def test_a_stop_beside_a_working_plain_buy_is_a_wash_trade():
    venue = holding(Venue())
    venue.send(type="limit", limit_price="95")
    status, body = refusal(venue.stop, "90")
    assert (status, body["reject_reason"]) == (403, "opposite side stop order exists")


def test_two_limits_are_a_wash_trade_only_when_they_cross():
    venue = holding(Venue())
    venue.sell(type="limit", limit_price="110")
    status, body = refusal(venue.send, type="limit", limit_price="110")
    assert (status, body["reject_reason"]) == (403, "opposite side limit order exists")
    assert venue.send(type="limit", limit_price="99")["status"] == "pending_new"


def test_a_resting_leg_blocks_a_plain_buy_unless_the_switch_is_off():
    for blocks in (True, False):
        venue = Venue(resting_leg_blocks_opposite=blocks)
        venue.at(THURSDAY, 9)
        venue.buy_with_stop("90")
        venue.at(THURSDAY, 10)
        if blocks:
            assert refusal(venue.send)[0] == 403
        else:
            assert venue.send()["status"] == "pending_new"


def test_buying_power_is_four_times_equity_less_what_was_bought_and_what_is_open():
    """100,000 × 4 = 400,000; 1,000 shares at 100 cost 100,000; a market buy reserves 2.5 % more."""
    venue = Venue()
    venue.at(THURSDAY, 10)
    venue.send(qty="1000")
    assert venue.raw.get("/account")["buying_power"] == "300000.00"
    venue.at(THURSDAY, 20)  # marked at 102: 4 × 102,000 − 102,000
    assert venue.raw.get("/account")["buying_power"] == "306000.00"
    venue.send(qty="1000")  # 1,000 × 102 × 1.025 = 104,550
    assert venue.raw.get("/account")["buying_power"] == "201450.00"
    assert refusal(venue.send, qty="2000") == (
        403,
        {
            "code": 40310000,
            "message": "insufficient buying power",
            "buying_power": "201450.00",
            "cost_basis": "209100.00",
        },
    )


def test_a_sell_adds_to_buying_power_only_when_it_fills():
    venue = holding(Venue(), shares=100)
    venue.at(THURSDAY, 20)
    before = venue.raw.get("/account")["buying_power"]
    venue.sell(qty="100")
    assert venue.raw.get("/account")["buying_power"] == before


def test_unknown_things_are_not_found():
    venue = Venue()
    nobody = "00000000-0000-4000-8000-000000000000"
    queries = [
        (f"/orders/{nobody}", f"order not found for {nobody}"),
        ("/orders:by_client_order_id?client_order_id=x", "order not found for x"),
        ("/positions/AAA", "position does not exist"),
        ("/positions/ZZZ", "symbol not found: ZZZ"),
        ("/assets/ZZZ", "symbol not found: ZZZ"),
    ]
    for path, message in queries:
        assert refusal(venue.raw.get, path) == (404, {"code": 40410000, "message": message})
    assert refusal(venue.raw.delete, f"/orders/{nobody}")[0] == 404


def test_a_held_leg_is_cancelled_through_its_parent_unless_the_switch_is_on():
    for allowed in (False, True):
        venue = Venue(held_leg_cancellable=allowed)
        venue.at(THURSDAY, 9)
        shown = venue.buy_with_stop("90")
        if allowed:
            venue.cancel(shown["legs"][0])
            assert venue.status(shown) == "canceled"
        else:
            assert refusal(venue.cancel, shown["legs"][0])[0] == 422


def test_every_refused_order_stands_in_the_log_and_nowhere_else():
    venue = Venue()
    venue.at(THURSDAY, 10)
    refusal(venue.send, symbol="ZZZ", client_order_id="lost")
    (event,) = venue.engine.state.events
    assert (event.kind, event.client_order_id, event.http_status) == ("refused", "lost", 422)


def test_a_ticker_is_unknown_until_its_first_session():
    venue = Venue(week_history(bars_of("NEW", AAA[:1], (MONDAY,))))
    venue.at(FRIDAY, 20)
    assert refusal(venue.send, symbol="NEW")[1]["message"] == 'asset "NEW" not found'
    venue.at(MONDAY, 8)
    assert venue.send(symbol="NEW")["status"] == "accepted"
