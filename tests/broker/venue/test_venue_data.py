"""Market data as of the clock: bars, adjustment without a look ahead, paging, latest trades."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.requests import StockBarsRequest, StockLatestQuoteRequest, StockLatestTradeRequest
from alpaca.data.timeframe import TimeFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_kit import (
    AAA,
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    Venue,
    bars_of,
    ny,
    refusal,
    week_history,
)

from livekit.broker.venue.adjusting import adjusted
from livekit.broker.venue.engine.history import PriceHistory


def bars(venue: Venue, symbols: str = "AAA", **query: object) -> dict:
    wanted = {"symbols": symbols, "timeframe": "1Day", "start": "2020-01-01", "feed": "iex"}
    return venue.data.get("/stocks/bars", wanted | query)


def days(answer: dict, symbol: str = "AAA") -> list[str]:
    return [row["t"][:10] for row in answer["bars"].get(symbol, [])]


def test_before_the_open_there_is_no_bar_of_the_day():
    venue = Venue()
    venue.at(FRIDAY, 9, 29, 59)
    assert days(bars(venue)) == ["2020-01-02"]


def test_during_the_session_the_bar_of_the_day_is_unfinished():
    venue = Venue()
    venue.at(FRIDAY, 12, 45)  # half of the session: the path has been at 103 and 101
    today = bars(venue)["bars"]["AAA"][-1]
    assert today["t"] == "2020-01-03T05:00:00Z"
    assert [today[name] for name in "ohlcv"] == [103.0, 103.0, 101.0, 101.0, 500_000]


def test_after_the_close_it_is_complete():
    venue = Venue()
    venue.at(FRIDAY, 16)
    today = bars(venue)["bars"]["AAA"][-1]
    assert [today[name] for name in "ohlcv"] == [103.0, 105.0, 101.0, 104.0, 1_000_000]


def test_alpaca_py_reads_the_bars_as_a_frame():
    venue = Venue()
    venue.at(TUESDAY, 20)
    request = StockBarsRequest(
        symbol_or_symbols=["AAA", "BBB", "ZZZ"],
        timeframe=TimeFrame.Day,
        start=datetime(2020, 1, 1, tzinfo=UTC),
        adjustment=Adjustment.RAW,
        feed=DataFeed.IEX,
    )
    frame = venue.data.get_stock_bars(request).df
    assert list(frame.loc["AAA"]["close"]) == [102.0, 104.0, 94.0, 95.0]
    assert list(frame.loc["BBB"]["close"]) == [51.0, 52.0, 47.5]  # none on Monday
    assert set(frame.index.get_level_values(0)) == {"AAA", "BBB"}


def test_bars_are_paged_over_all_symbols():
    venue = Venue()
    venue.at(WEDNESDAY, 20)
    first = bars(venue, "BBB,AAA", limit=6)
    assert (len(first["bars"]["AAA"]), len(first["bars"]["BBB"])) == (5, 1)
    second = bars(venue, "BBB,AAA", limit=6, page_token=first["next_page_token"])
    assert (list(second["bars"]), len(second["bars"]["BBB"])) == (["BBB"], 3)
    assert second["next_page_token"] is None


def test_alpaca_py_follows_the_pages_by_itself():
    venue = Venue()
    venue.at(WEDNESDAY, 20)
    request = StockBarsRequest(
        symbol_or_symbols=["AAA", "BBB"],
        timeframe=TimeFrame.Day,
        start=datetime(2020, 1, 1, tzinfo=UTC),
        feed=DataFeed.IEX,
        limit=7,
    )
    found = venue.data.get_stock_bars(request).data
    assert {symbol: len(rows) for symbol, rows in found.items()} == {"AAA": 5, "BBB": 2}


def test_newest_first_pages_do_not_overlap_either():
    venue = Venue()
    venue.at(WEDNESDAY, 20)
    first = bars(venue, limit=2, sort="desc")
    second = bars(venue, limit=10, sort="desc", page_token=first["next_page_token"])
    assert days(first) + days(second) == [day.isoformat() for day in reversed(WEEK)]


def test_start_and_end_are_included():
    venue = Venue()
    venue.at(WEDNESDAY, 20)
    assert days(bars(venue, start="2020-01-03", end="2020-01-06")) == ["2020-01-03", "2020-01-06"]
    instants = {"start": "2020-01-03T05:00:01Z", "end": "2020-01-07T04:59:59Z"}
    assert days(bars(venue, **instants)) == ["2020-01-06"]


def test_the_free_plan_has_no_recent_consolidated_data():
    venue = Venue()
    venue.at(TUESDAY, 12)
    query = {"feed": "sip", "end": "2020-01-07T16:50:00Z"}  # ten minutes ago
    assert refusal(bars, venue, **query) == (
        403,
        {"message": "subscription does not permit querying recent SIP data"},
    )
    assert days(bars(venue, feed="sip", end="2020-01-07T16:45:00Z"))[-1] == "2020-01-07"
    paid = Venue(data_plan="plus")
    paid.at(TUESDAY, 12)
    assert days(bars(paid, **query))[-1] == "2020-01-07"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"symbols": "AAA,BRK-B"}, "invalid symbol: BRK-B"),
        ({"symbols": ""}, "symbols is required"),
        ({"timeframe": "1Min"}, "invalid timeframe: 1Min: daily bars are held"),
        ({"page_token": "x"}, "invalid page token"),
    ],
)
def test_one_bad_word_refuses_the_whole_batch(query, message):
    venue = Venue()
    venue.at(TUESDAY, 12)
    base = {"symbols": "AAA", "timeframe": "1Day", "feed": "iex"}
    assert refusal(venue.data.get, "/stocks/bars", base | query) == (400, {"message": message})


def test_latest_trades_and_quotes_come_for_many_symbols():
    venue = Venue()
    venue.at(MONDAY, 10)
    trades = venue.data.get_stock_latest_trade(
        StockLatestTradeRequest(symbol_or_symbols=["AAA", "BBB", "ZZZ"])
    )
    assert {symbol: trade.price for symbol, trade in trades.items()} == {"AAA": 90.0, "BBB": 52.0}
    assert trades["AAA"].timestamp == ny(MONDAY, 10)
    quotes = venue.data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAA"))
    assert (quotes["AAA"].bid_price, quotes["AAA"].ask_price) == (90.0, 90.0)


# --------------------------------------------------------------------------------- adjustment

SPLIT_AND_DIVIDEND = bars_of(
    "SPL",
    [(100.0,) * 4, (50.0,) * 4, (50.0,) * 4],
    ratios=(1.0, 2.0, 1.0),
    adjusted=(49.0, 49.0, 50.0),  # a split of 2 on Friday, a dividend of 2 % on Monday
)


def closes(adjustment: str, day: date) -> list[float]:
    venue = Venue(week_history(SPLIT_AND_DIVIDEND))
    venue.at(day, 20)
    return [row["c"] for row in bars(venue, "SPL", adjustment=adjustment)["bars"]["SPL"]]


def test_adjustment_is_as_of_the_clock():
    assert closes("split", THURSDAY) == [100.0]
    assert closes("split", FRIDAY) == [50.0, 50.0]
    assert closes("all", FRIDAY) == [50.0, 50.0]
    assert closes("raw", MONDAY) == [100.0, 50.0, 50.0]
    assert closes("split", MONDAY) == [50.0, 50.0, 50.0]
    assert closes("dividend", MONDAY) == pytest.approx([98.0, 49.0, 50.0])
    assert closes("all", MONDAY) == pytest.approx([49.0, 49.0, 50.0])


def test_volume_is_adjusted_for_splits():
    whole = adjusted(SPLIT_AND_DIVIDEND, "split")
    assert list(whole.volume) == [2_000_000.0, 1_000_000.0, 1_000_000.0]


def test_a_spin_off_is_no_split():
    spun = bars_of("SPN", [(100.0,) * 4, (70.0,) * 4], ratios=(1.0, 1.487))
    assert list(adjusted(spun, "split").close) == [100.0, 70.0]
    assert adjusted(spun, "spin-off").close == pytest.approx([100 / 1.487, 70.0])


@settings(deadline=None, max_examples=50)
@given(
    cut=st.integers(1, 4),
    future=st.lists(st.floats(1.0, 500.0), min_size=5, max_size=5),
    adjustment=st.sampled_from(["raw", "split", "dividend", "all"]),
    minute=st.sampled_from([(9, 0), (9, 45), (12, 0), (16, 0)]),
)
def test_nothing_that_comes_later_changes_what_is_shown(cut, future, adjustment, minute):
    """Every bar after the clock's day is replaced; no answer of the day may differ."""
    day = WEEK[cut - 1]
    changed = [(price,) * 4 for price in future]
    other = [*AAA[:cut], *changed[cut:]]
    ratios = [1.0] * cut + [2.0] * (5 - cut)
    venues = [
        Venue(PriceHistory({"AAA": one}, "test"))
        for one in (
            bars_of("AAA", AAA),
            bars_of("AAA", other, ratios=ratios, adjusted=[row[3] for row in other]),
        )
    ]
    answers = []
    for venue in venues:
        venue.at(day, *minute)
        answers.append((bars(venue, adjustment=adjustment), venue.last_trade()))
    assert answers[0] == answers[1]


def test_full_float_precision_survives_the_wire():
    price = float(np.nextafter(100.1, 200))
    venue = Venue(PriceHistory({"AAA": bars_of("AAA", [(price,) * 4])}, "test"))
    venue.at(THURSDAY, 20)
    assert bars(venue)["bars"]["AAA"][0]["c"] == price


def test_the_calendar_knows_half_days():
    venue = Venue()
    query = {"start": "2019-11-28", "end": "2019-12-02T00:00:00+00:00"}
    rows = venue.raw.get("/calendar", query)
    assert [(row["date"], row["open"], row["close"]) for row in rows] == [
        ("2019-11-29", "09:30", "13:00"),
        ("2019-12-02", "09:30", "16:00"),
    ]


def test_the_clock_tells_when_trading_opens_and_closes_next():
    venue = Venue()
    venue.at(FRIDAY, 16)
    clock = venue.trading.get_clock()
    assert (clock.is_open, clock.next_open, clock.next_close) == (
        False,
        ny(MONDAY, 9, 30),
        ny(MONDAY, 16),
    )
    venue.at(MONDAY, 9, 30)
    clock = venue.trading.get_clock()
    assert (clock.is_open, clock.next_open) == (True, ny(TUESDAY, 9, 30))


@pytest.mark.parametrize("adjustment", ["raw", "split", "dividend", "all"])
def test_a_venue_asked_every_day_answers_like_one_asked_for_the_first_time(adjustment):
    """Texts of bars are kept between requests; splits and dividends must renew them."""
    rows = [(100.0,) * 4, (50.0,) * 4, (51.0,) * 4, (25.0,) * 4, (26.0,) * 4]
    series = bars_of("SPL", rows, ratios=(1.0, 2.0, 1.0, 2.0, 1.0), adjusted=(24, 24, 25, 25, 26))
    lasting = Venue(week_history(series))
    for day in WEEK:
        for hour in (9, 12, 20):
            for start in ("2020-01-01", "2020-01-06"):
                lasting.at(day, hour)
                fresh = Venue(week_history(series))
                fresh.at(day, hour)
                query = {"adjustment": adjustment, "start": start}
                assert bars(lasting, "SPL,AAA", **query) == bars(fresh, "SPL,AAA", **query)


def test_two_symbols_in_a_path_for_one_are_refused():
    venue = Venue()
    venue.at(TUESDAY, 12)
    for path in ("/stocks/AAA,BBB/bars", "/stocks/AAA,BBB/trades/latest"):
        assert refusal(venue.data.get, path, {"timeframe": "1Day", "feed": "iex"})[0] == 400
    assert venue.data.get("/stocks/BBB/bars", {"timeframe": "1Day", "start": "2020-01-01"}) == {
        "symbol": "BBB",
        "bars": bars(venue, "BBB")["bars"]["BBB"],
        "next_page_token": None,
    }
