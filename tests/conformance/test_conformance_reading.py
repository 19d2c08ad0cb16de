"""What can be read. The number in a name is section and row of the contract."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

in_session = pytest.mark.in_session


def test_c11_1_the_account_is_in_strings_and_without_day_trade_fields(desk):
    account = desk.get("/v2/account").body
    for name in ("cash", "equity", "last_equity", "buying_power", "long_market_value"):
        assert Decimal(account[name]) >= 0
    assert account["status"] == "ACTIVE"
    assert account["multiplier"] in ("1", "2", "4")
    assert not {"daytrade_count", "pattern_day_trader"} & account.keys()
    for flag in ("trading_blocked", "account_blocked", "transfers_blocked"):
        assert account[flag] is False


@in_session
def test_c11_2_a_position_shows_what_is_available(desk):
    desk.bought()
    position = desk.get(f"/v2/positions/{desk.symbol}").body
    assert (position["qty"], position["qty_available"], position["side"]) == ("1", "1", "long")
    assert Decimal(position["avg_entry_price"]) > 0
    assert desk.symbol in [row["symbol"] for row in desk.get("/v2/positions").body]


def test_c11_2_no_position_is_404(desk):
    reply = desk.get(f"/v2/positions/{desk.symbol}")
    assert (reply.status, reply.code) == (404, 40410000)
    assert reply.message == "position does not exist"


def test_c11_5_an_order_has_every_documented_field(desk):
    order = desk.resting()
    fields = {
        *("id", "client_order_id", "created_at", "updated_at", "submitted_at", "filled_at"),
        *("expired_at", "expires_at", "canceled_at", "failed_at", "replaced_at", "replaced_by"),
        *("replaces", "asset_id", "symbol", "asset_class", "qty", "notional", "filled_qty"),
        *("filled_avg_price", "order_class", "type", "order_type", "side", "time_in_force"),
        *("limit_price", "stop_price", "status", "extended_hours", "legs", "trail_price"),
        *("trail_percent", "hwm"),
    }
    assert fields <= order.keys()
    assert (order["qty"], order["filled_qty"], order["filled_avg_price"]) == ("1", "0", None)


def test_c11_6_orders_are_listed_newest_first_and_counted(desk):
    orders = [desk.resting() for _ in range(3)]
    listed = desk.get("/v2/orders", symbols=desk.symbol, limit=2).body
    assert [row["id"] for row in listed] == [order["id"] for order in orders[:0:-1]]
    assert desk.get("/v2/orders", limit=501).status == 422
    assert desk.get("/v2/orders", status="some").status == 422


def test_c11_6_orders_can_be_paged_by_id(desk):
    first, second, third = (desk.resting() for _ in range(3))
    query = {"symbols": desk.symbol, "status": "all", "direction": "asc"}
    after = desk.get("/v2/orders", after_order_id=first["id"], **query).body
    assert [row["id"] for row in after[:2]] == [second["id"], third["id"]]


def test_c11_7_an_unknown_order_is_404(desk):
    reply = desk.get("/v2/orders/00000000-0000-4000-8000-000000000000")
    assert (reply.status, reply.code) == (404, 40410000)


@in_session
def test_c11_10_a_fill_is_an_activity(desk):
    order = desk.bought()
    rows = desk.get("/v2/account/activities/FILL", page_size=10).body
    (row,) = [row for row in rows if row["order_id"] == order["id"]]
    assert (row["type"], row["qty"], row["side"], row["leaves_qty"]) == ("fill", "1", "buy", "0")
    assert row["price"] == order["filled_avg_price"]
    assert desk.get("/v2/account/activities/FILL", page_size=101).status == 422


def test_c11_11_the_portfolio_history_is_parallel_arrays(desk):
    history = desk.get("/v2/account/portfolio/history", period="1M", timeframe="1D").body
    lengths = {len(history[name]) for name in ("timestamp", "equity", "profit_loss")}
    assert len(lengths) == 1
    assert history["timeframe"] == "1D"


def test_c11_12_the_clock_is_in_new_york(desk):
    clock = desk.get("/v2/clock").body
    stamp = datetime.fromisoformat(clock["timestamp"][:19] + clock["timestamp"][-6:])
    assert stamp.utcoffset() is not None
    assert clock["timestamp"][-6:] in ("-04:00", "-05:00")
    assert isinstance(clock["is_open"], bool)


def test_c11_13_the_calendar_includes_both_ends_and_early_closes(desk):
    query = {"start": "2019-11-27", "end": "2019-11-29"}
    rows = desk.get("/v2/calendar", **query).body
    hours = [(row["date"], row["open"], row["close"]) for row in rows]
    assert hours == [("2019-11-27", "09:30", "16:00"), ("2019-11-29", "09:30", "13:00")]


def test_c11_14_an_asset_says_whether_it_trades(desk):
    asset = desk.get(f"/v2/assets/{desk.symbol}").body
    assert (asset["symbol"], asset["status"], asset["tradable"]) == (desk.symbol, "active", True)
    assert asset["class"] == "us_equity"
    assert desk.get(f"/v2/assets/{asset['id']}").body["symbol"] == desk.symbol
    assert desk.get("/v2/assets/QQQQQX").status == 404


def test_c12_1_bars_are_paged_across_symbols(desk):
    query = {
        "symbols": desk.symbol,
        "timeframe": "1Day",
        "start": "2019-12-02",
        "end": "2019-12-13",
        "feed": "iex",
        "limit": 4,
    }
    first = desk.get("/v2/stocks/bars", **query).body
    token = first["next_page_token"]
    assert len(first["bars"][desk.symbol]) == 4
    assert token
    seen = list(first["bars"][desk.symbol])
    while token:
        page = desk.get("/v2/stocks/bars", page_token=token, **query).body
        seen += page["bars"].get(desk.symbol, [])
        token = page["next_page_token"]
    assert len(seen) == 10  # two weeks of five sessions
    assert {"t", "o", "h", "l", "c", "v", "n", "vw"} <= seen[0].keys()
    assert seen[0]["t"] == "2019-12-02T05:00:00Z"


def test_c12_6_a_missing_symbol_is_absent(desk):
    query = {"timeframe": "1Day", "start": "2019-12-02", "end": "2019-12-03", "feed": "iex"}
    bars = desk.get("/v2/stocks/bars", symbols=f"{desk.symbol},QQQQQX", **query).body["bars"]
    assert list(bars) == [desk.symbol]


def test_c12_7_and_c8_1_a_dash_refuses_the_whole_batch(desk):
    query = {"timeframe": "1Day", "start": "2019-12-02", "end": "2019-12-03", "feed": "iex"}
    reply = desk.get("/v2/stocks/bars", symbols=f"{desk.symbol},BRK-B", **query)
    assert reply.status == 400
    assert "invalid symbol: BRK-B" in reply.message
