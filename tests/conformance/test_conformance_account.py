"""Shares, money, errors, fills and limits. The number in a name is section and row."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from conformance_venues import simulated_desk

from livekit.broker.venue.engine.interventions import Intervention
from livekit.broker.venue.faults import FaultKind, FaultRule

in_session = pytest.mark.in_session
simulated_only = pytest.mark.simulated_only

EVENING = datetime(2020, 1, 30, 22, 0, tzinfo=UTC)
FRIDAY = date(2020, 1, 31)
NEXT_DAY = datetime(2020, 1, 31, 15, 0, tzinfo=UTC)


def money(desk, name: str) -> Decimal:
    return Decimal(desk.get("/v2/account").body[name])


# ------------------------------------------------------------------- 7 shares, buying power


@simulated_only
def test_c7_4_and_c8_7_nothing_is_sold_short(desk):
    desk.bought()
    assert desk.send(side="sell", qty="2").status == 403  # nor from long to short in one order
    assert desk.send(side="sell", symbol="KO").message == "account is not allowed to short"
    assert desk.get("/v2/account").body["shorting_enabled"] is False


@simulated_only
def test_c7_6_a_market_buy_in_the_night_counts_four_percent_above_the_last_trade(desk):
    """F closes at 8.84, below 50: 8.84 × 1.04 = 9.1936, of ten shares 91.936."""
    desk.advance(EVENING)
    before = money(desk, "buying_power")
    desk.send(qty="10")
    assert before - money(desk, "buying_power") == Decimal("91.94")


@simulated_only  # where nothing else moves the account
def test_c7_5_an_open_buy_holds_buying_power_until_it_is_cancelled(desk):
    before = money(desk, "buying_power")
    order = desk.resting()
    assert before - money(desk, "buying_power") == Decimal(order["limit_price"])
    desk.cancel(desk.until(order, "new"))
    desk.until(order, "canceled")
    assert money(desk, "buying_power") == before


@simulated_only
def test_c7_7_buying_power_is_four_times_what_no_margin_binds(desk):
    """4 × (equity − maintenance margin), of which a purchase takes its cost."""
    desk.bought()
    account = desk.get("/v2/account").body
    free = Decimal(account["equity"]) - Decimal(account["long_market_value"]) / 4
    assert Decimal(account["buying_power"]) == 4 * free


@simulated_only
def test_c7_9_the_proceeds_of_a_sale_are_cash_at_once(desk):
    desk.bought()
    before, price = money(desk, "cash"), desk.last()
    desk.send(side="sell")
    assert money(desk, "cash") - before == price


@simulated_only
def test_c7_10_and_11_neither_concentration_nor_day_trading_is_policed(desk):
    for _ in range(5):
        desk.bought()
        assert desk.send(side="sell").status == 200


# ------------------------------------------------------------------------------------ 8 errors


@simulated_only
def test_c8_6_no_asset_of_the_simulated_venue_is_fractionable(desk):
    reply = desk.send(qty="0.5")
    assert (reply.status, reply.code) == (403, 40310000)
    assert reply.message == f'asset "{desk.symbol}" is not fractionable'


@simulated_only
def test_c8_7_a_blocked_account_is_not_authorized_to_trade(desk):
    desk.app.control.block()
    reply = desk.send()
    assert (reply.status, reply.code) == (403, 40310000)
    assert reply.message == "account is not authorized to trade"
    assert desk.get("/v2/account").body["trading_blocked"] is True


@simulated_only
def test_c8_10_an_order_costs_at_least_a_dollar(desk):
    reply = desk.send(type="limit", limit_price="0.5")
    assert (reply.status, reply.code) == (403, 40310000)
    assert reply.message == "cost basis must be >= minimal amount of order 1"


@in_session
def test_c8_11_buying_and_selling_in_a_day_is_no_reason_for_a_refusal(desk):
    desk.bought()
    assert desk.send(side="sell").status == 200


def test_c8_13_what_is_not_there_is_404(desk):
    for path in ("/v2/positions/QQQQQX", "/v2/assets/QQQQQX"):
        reply = desk.get(path)
        assert (reply.status, reply.code) == (404, 40410000)


@in_session
def test_c8_0_the_extras_of_a_refusal_are_strings_beside_code_and_message(desk):
    desk.bought()
    reply = desk.send(side="sell", qty="3")
    names = ("available", "existing_qty", "held_for_orders", "symbol")
    assert {type(reply.body[name]) for name in names} == {str}
    assert isinstance(reply.code, int)


@simulated_only
@pytest.mark.parametrize(
    ("kind", "status", "code", "message"),
    [
        (FaultKind.UNAUTHORIZED, 401, None, "unauthorized."),
        (FaultKind.RATE_LIMITED_BARE, 429, 42910000, "rate limit exceeded"),
        (FaultKind.SERVER_ERROR, 500, 50010000, "internal server error occurred"),
        (FaultKind.GATEWAY_TIMEOUT, 504, 50410000, "request timed out"),
    ],
)
def test_c8_2_and_16_to_18_outages_have_their_bodies(desk, kind, status, code, message):
    desk.app.control.inject(FaultRule(kind))
    reply = desk.get("/v2/account")
    assert (reply.status, reply.code, reply.message) == (status, code, message)


@simulated_only
def test_c8_16_the_data_interface_sends_no_code(desk):
    desk.app.control.inject(FaultRule(FaultKind.RATE_LIMITED_BARE))
    reply = desk.get(f"/v2/stocks/{desk.symbol}/trades/latest", feed="iex")
    assert (reply.status, reply.body) == (429, {"message": "too many requests."})


# ------------------------------------------------------------------------ 9 corporate actions


@simulated_only
def test_c9_2_a_reverse_split_cancels_every_plain_gtc_order(desk):
    desk.bought()
    exits = {"side": "sell", "type": "stop", "time_in_force": "gtc"}
    stop = desk.send(stop_price=desk.price("0.5"), **exits).body
    desk.engine.intervene(Intervention("split", desk.symbol, FRIDAY, "1:2"))
    desk.advance(NEXT_DAY)
    assert desk.order(stop)["status"] == "canceled"
    assert desk.get(f"/v2/positions/{desk.symbol}").status == 404  # half a share is paid out


@simulated_only
def test_c9_5_and_c17_10_whether_splits_reach_a_paper_account_is_a_setting():
    held = {}
    for applied in (True, False):
        with simulated_desk(splits_apply=applied) as desk:
            desk.bought()
            desk.engine.intervene(Intervention("split", desk.symbol, FRIDAY, "2:1"))
            desk.advance(NEXT_DAY)
            held[applied] = desk.held()
    assert held == {True: 2, False: 1}


@simulated_only
def test_c9_9_corporate_actions_are_announced_and_want_types_and_days(desk):
    desk.engine.intervene(Intervention("split", desk.symbol, FRIDAY, "2:1"))
    path = "/v2/corporate_actions/announcements"
    days = {"since": "2020-01-30", "until": "2020-02-05"}
    assert desk.get(path, **days).status == 422
    (row,) = desk.get(path, ca_types="split", symbol=desk.symbol, **days).body
    assert (row["ex_date"], Fraction(row["new_rate"])) == ("2020-01-31", 2)


# -------------------------------------------------------------------------------- 10 paper fills


@simulated_only
def test_c10_1_a_marketable_limit_fills_at_the_touch_and_another_rests(desk):
    buy = {"type": "limit", "time_in_force": "day"}
    assert desk.until(desk.send(limit_price="9.00", **buy).body, "filled")["filled_avg_price"] == (
        f"{desk.last():f}".rstrip("0")
    )
    assert desk.order(desk.send(limit_price="8.80", **buy).body)["status"] == "new"


@simulated_only
def test_c10_2_about_one_fill_in_ten_is_partial():
    """Of 300 orders 30 are expected; four standard deviations are 21."""
    with simulated_desk() as desk:
        orders = [
            desk.send(qty="2", client_order_id=f"partial-{number}").body for number in range(300)
        ]
        partial = [order for order in orders if desk.order(order)["status"] == "partially_filled"]
        assert 9 <= len(partial) <= 51
        desk.wait(5)
        assert {desk.order(order)["status"] for order in partial} == {"filled"}


@simulated_only
def test_c10_3_there_are_neither_slippage_nor_fees_nor_dividends(desk):
    """AAPL pays 0.77 with the ex-date 2020-02-07."""
    before = money(desk, "cash")
    order = desk.until(desk.send(symbol="AAPL").body, "filled")
    paid = Decimal(order["filled_avg_price"])
    assert paid == Decimal(str(desk.engine.market.path_price("AAPL", desk.engine.now)))
    desk.advance(datetime(2020, 2, 11, 15, 0, tzinfo=UTC))
    assert before - money(desk, "cash") == paid
    assert {row["activity_type"] for row in desk.get("/v2/account/activities").body} == {"FILL"}
    desk.send(symbol="AAPL", side="sell")


@simulated_only
def test_c10_4_auctions_may_be_poor():
    with simulated_desk(poor_auctions=True, auction_rest_ends_as="expired") as desk:
        desk.advance(datetime(2020, 1, 31, 14, 0, tzinfo=UTC))
        orders = [
            desk.send(time_in_force="opg", client_order_id=f"opg-{number}").body
            for number in range(20)
        ]
        desk.advance(datetime(2020, 1, 31, 14, 31, tzinfo=UTC))
        assert {desk.order(order)["status"] for order in orders} == {"filled", "expired"}


# ------------------------------------------------------------------- 11 endpoints, 13 rate limits


@simulated_only
def test_c11_4_closing_everything_is_207_with_an_order_or_an_error_for_each(desk):
    desk.bought()
    exits = {"side": "sell", "type": "stop", "time_in_force": "gtc"}
    desk.send(stop_price=desk.price("0.5"), **exits)
    refused = desk.call("DELETE", "/v2/positions")
    assert refused.status == 207
    assert [(row["symbol"], row["status"]) for row in refused.body] == [(desk.symbol, 403)]
    done = desk.call("DELETE", "/v2/positions", params={"cancel_orders": "true"})
    assert [(row["symbol"], row["status"]) for row in done.body] == [(desk.symbol, 200)]
    assert done.body[0]["body"]["side"] == "sell"
    desk.sent.append(done.body[0]["body"]["client_order_id"])


@in_session
def test_c11_6_orders_are_found_by_side_and_symbol(desk):
    order = desk.resting()
    for query, found in (({"side": "buy"}, True), ({"side": "sell"}, False)):
        rows = desk.get("/v2/orders", symbols=desk.symbol, **query).body
        assert (order["id"] in [row["id"] for row in rows]) is found


@in_session
def test_c11_10_fills_are_found_by_order_and_day(desk):
    order = desk.bought()
    path = "/v2/account/activities/FILL"
    assert [row["order_id"] for row in desk.get(path, order_id=order["id"]).body] == [order["id"]]
    day = order["filled_at"][:10]
    assert order["id"] in [row["order_id"] for row in desk.get(path, date=day).body]
    assert desk.get("/v2/account/activities", activity_types="FILL", category="trade_activity")


@simulated_only
def test_c11_14_inactive_assets_are_listed_unless_only_active_ones_are_asked_for(desk):
    desk.engine.intervene(Intervention("delist", desk.symbol, FRIDAY, "-"))
    desk.advance(NEXT_DAY)
    everything = {row["symbol"] for row in desk.get("/v2/assets").body}
    active = {row["symbol"] for row in desk.get("/v2/assets", status="active").body}
    assert everything - active == {desk.symbol}


@simulated_only
def test_c12_8_a_split_changes_the_adjusted_bars_of_the_past(desk):
    query = {"symbols": desk.symbol, "timeframe": "1Day", "feed": "iex", "start": "2020-01-29"}
    span = query | {"end": "2020-01-29", "adjustment": "split"}
    (before,) = desk.get("/v2/stocks/bars", **span).body["bars"][desk.symbol]
    desk.engine.intervene(Intervention("split", desk.symbol, FRIDAY, "2:1"))
    desk.advance(NEXT_DAY)
    (after,) = desk.get("/v2/stocks/bars", **span).body["bars"][desk.symbol]
    assert Decimal(str(after["c"])) * 2 == Decimal(str(before["c"])) == Decimal("8.86")


@simulated_only
def test_c13_1_two_hundred_requests_a_minute_are_answered_and_data_counts_apart():
    with simulated_desk(requests_a_minute=200) as desk:
        assert [desk.get("/v2/account").status for _ in range(201)] == 200 * [200] + [429]
        path = f"/v2/stocks/{desk.symbol}/trades/latest"
        answer = desk.session.get(f"{desk.data_url}{path}", params={"feed": "iex"}, timeout=5)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, "199")
        desk.wait(60)
        assert desk.get("/v2/account").status == 200
