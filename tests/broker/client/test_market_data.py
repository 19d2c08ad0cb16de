"""Bars, latest trades and splits, over pages and batches."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from scripted_venue import KEY, SECRET, Answer, error

from livekit.broker import AlpacaClient
from livekit.errors import UnknownParameter, VenueUnavailable
from livekit.model import Split, TradePrint

BARS = "/v2/stocks/bars"
TRADES = "/v2/stocks/trades/latest"
ACTIONS = "/v1/corporate-actions"
JAN_29, JAN_30 = date(2020, 1, 29), date(2020, 1, 30)


def a_bar(day: str = "2020-01-30T05:00:00Z", **changes: object) -> dict[str, object]:
    return {
        "t": day,
        "o": 80.135,
        "h": 81.02,
        "l": 79.69,
        "c": 80.97,
        "v": 126743213,
        "n": 435,
        "vw": 80.4,
    } | changes


def page(bars: object, token: str | None = None) -> dict[str, object]:
    return {"bars": bars, "next_page_token": token}


def test_a_daily_bar_is_stamped_with_midnight_in_new_york_in_winter_and_in_summer(client, venue):
    venue.on(
        "GET",
        BARS,
        page({"AAPL": [a_bar("2019-07-30T04:00:00Z"), a_bar("2020-01-30T05:00:00Z")]}),
    )
    bars = client.daily_bars(["AAPL"], date(2019, 7, 30), JAN_30, adjustment="raw")["AAPL"]
    assert [bar.session for bar in bars] == [date(2019, 7, 30), JAN_30]
    assert bars[1][1:] == (80.135, 81.02, 79.69, 80.97, 126743213.0)
    assert venue.seen[0].query == {
        "symbols": "AAPL",
        "timeframe": "1Day",
        "start": "2019-07-30T04:00:00Z",
        "end": "2020-01-30T05:00:00Z",
        "adjustment": "raw",
        "feed": "iex",
        "limit": "10000",
    }


def test_bars_are_collected_over_pages_that_split_a_ticker(client, venue):
    venue.on(
        "GET",
        BARS,
        page({"AAPL": [a_bar("2020-01-29T05:00:00Z")]}, "next"),
        page({"AAPL": [a_bar()], "MSFT": [a_bar()]}),
    )
    bars = client.daily_bars(["MSFT", "AAPL"], JAN_29, JAN_30, adjustment="all")
    assert {ticker: len(rows) for ticker, rows in bars.items()} == {"AAPL": 2, "MSFT": 1}
    assert [seen.query.get("page_token") for seen in venue.seen] == [None, "next"]


def test_null_bars_missing_tickers_and_missing_vw_are_no_trouble(client, venue):
    bare = a_bar()
    del bare["vw"], bare["n"]
    venue.on("GET", BARS, page(None, "next"), page({"AAPL": [bare], "IDLE": []}))
    bars = client.daily_bars(["AAPL", "IDLE", "NOPE"], JAN_30, JAN_30, adjustment="raw")
    assert list(bars) == ["AAPL"]


def test_450_tickers_are_asked_for_in_three_batches(client, venue):
    venue.on("GET", BARS, page({}))
    names = [f"T{number:03d}" for number in range(450)]
    client.daily_bars([*names, *names], JAN_30, JAN_30, adjustment="raw")
    sizes = [len(seen.query["symbols"].split(",")) for seen in venue.seen]
    assert sizes == [200, 200, 50]


def test_a_page_token_that_goes_round_in_circles_is_not_followed_for_ever(client, venue):
    venue.on("GET", BARS, page({}, "again"))
    with pytest.raises(VenueUnavailable, match="repeats a page"):
        client.daily_bars(["AAPL"], JAN_30, JAN_30, adjustment="raw")
    assert len(venue.seen) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"c": None}, {"c": "80.97"}, {"o": True}, {"h": float("nan")}, {"v": 10**400}, {"t": "today"}],
    ids=str,
)
def test_a_bar_that_cannot_be_read_is_a_typed_error(client, venue, wrong):
    venue.on("GET", BARS, page({"AAPL": [a_bar(**wrong)]}))
    with pytest.raises(VenueUnavailable):
        client.daily_bars(["AAPL"], JAN_30, JAN_30, adjustment="raw")


def test_a_bar_outside_the_days_asked_for_is_left_out(client, venue):
    venue.on("GET", BARS, page({"AAPL": [a_bar("2020-01-28T05:00:00Z"), a_bar()]}))
    bars = client.daily_bars(["AAPL"], JAN_29, JAN_30, adjustment="raw")["AAPL"]
    assert [bar.session for bar in bars] == [JAN_30]


def test_a_symbol_that_the_venue_refuses_costs_its_batch_one_request_and_nothing_else(
    client, venue
):
    def answer(seen) -> Answer:
        if "GONE" in seen.query["symbols"]:
            return error(400, None, "invalid symbol: GONE")
        return Answer(page({"AAPL": [a_bar()]}))

    venue.on("GET", BARS, answer)
    bars = client.daily_bars(["AAPL", "GONE", "BRK-B"], JAN_30, JAN_30, adjustment="raw")
    assert list(bars) == ["AAPL"]
    assert [seen.query["symbols"] for seen in venue.seen] == ["AAPL,GONE", "AAPL"]


def test_a_subscription_without_the_feed_is_a_typed_error_with_its_reason(venue, clock):
    client = AlpacaClient(KEY, SECRET, transport=venue, clock=clock, data_feed="sip")
    venue.on("GET", BARS, error(403, None, "subscription does not permit querying recent SIP data"))
    with pytest.raises(VenueUnavailable, match="subscription does not permit"):
        client.daily_bars(["AAPL"], JAN_30, JAN_30, adjustment="raw")
    assert venue.seen[0].query["feed"] == "sip"


def test_a_feed_or_an_adjustment_that_does_not_exist_is_refused(client, venue, clock):
    with pytest.raises(UnknownParameter):
        AlpacaClient(KEY, SECRET, transport=venue, clock=clock, data_feed="otc")
    with pytest.raises(UnknownParameter):
        client.daily_bars(["AAPL"], JAN_30, JAN_30, adjustment="some")


def test_the_latest_trade_is_read_exactly_and_missing_ones_are_absent(client, venue):
    venue.on(
        "GET",
        TRADES,
        {
            "trades": {
                "AAPL": {"t": "2020-01-30T14:31:02.123456789Z", "x": "V", "p": 17.1, "s": 100},
                "NULL": None,
            }
        },
    )
    assert client.latest_trades(["AAPL", "NULL", "NOPE"]) == {
        "AAPL": TradePrint("AAPL", Decimal("17.1"), datetime(2020, 1, 30, 14, 31, 2, 123456, UTC))
    }
    assert venue.seen[0].query == {"symbols": "AAPL,NOPE,NULL", "feed": "iex"}


def test_no_tickers_cost_no_request(client, venue):
    assert client.latest_trades([]) == {}
    assert client.daily_bars([], JAN_30, JAN_30, adjustment="raw") == {}
    assert client.splits([], JAN_30, JAN_30) == ()
    assert venue.seen == []


def test_splits_of_both_kinds_are_new_shares_per_old(client, venue):
    forward = {"symbol": "AAPL", "new_rate": 4, "old_rate": 1, "ex_date": "2020-08-31"}
    reverse = {"symbol": "XELA", "new_rate": 1, "old_rate": 3, "ex_date": "2020-08-30"}
    body = {"forward_splits": [forward], "reverse_splits": [reverse], "cash_dividends": [{}]}
    venue.on("GET", ACTIONS, {"corporate_actions": body, "next_page_token": None})
    assert client.splits(["XELA", "AAPL"], date(2020, 8, 1), date(2020, 9, 1)) == (
        Split("XELA", date(2020, 8, 30), 1 / 3),
        Split("AAPL", date(2020, 8, 31), 4.0),
    )
    assert venue.seen[0].query == {
        "symbols": "AAPL,XELA",
        "types": "forward_split,reverse_split",
        "start": "2020-08-01",
        "end": "2020-09-01",
        "limit": "1000",
    }


def test_a_split_without_sensible_rates_is_a_typed_error(client, venue):
    row = {"symbol": "AAPL", "new_rate": 4, "old_rate": 0, "ex_date": "2020-08-31"}
    venue.on("GET", ACTIONS, {"corporate_actions": {"forward_splits": [row]}})
    with pytest.raises(VenueUnavailable, match="rates 4 for 0"):
        client.splits(["AAPL"], date(2020, 8, 1), date(2020, 9, 1))
