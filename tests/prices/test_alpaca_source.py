"""Bars from the broker: two series joined, the unfinished bar dropped, doubtful tickers absent."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import requests
from requests.adapters import BaseAdapter

from livekit.broker import AlpacaClient
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.prices.source import PriceSource

TUESDAY, WEDNESDAY, THURSDAY = date(2020, 1, 28), date(2020, 1, 29), date(2020, 1, 30)
NOON_THURSDAY = datetime(2020, 1, 30, 17, 0, tzinfo=UTC)  # 12:00 in New York
EVENING_THURSDAY = datetime(2020, 1, 30, 22, 0, tzinfo=UTC)


class Clock:
    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


class DataHost(BaseAdapter):
    """Serves the bars it was given, by adjustment, and counts the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.bars: dict[str, dict[str, list[dict[str, object]]]] = {"raw": {}, "all": {}}
        self.splits: list[dict[str, object]] = []
        self.asked: list[str] = []

    def put(self, ticker: str, days: list[date], close: float, adjusted: float | None = None):
        self.bars["raw"][ticker] = [bar(day, close) for day in days]
        self.bars["all"][ticker] = [bar(day, adjusted or close) for day in days]

    def send(self, request, **_):
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(parts.path + ":" + query.get("adjustment", ""))
        names = query["symbols"].split(",")
        if parts.path.endswith("/corporate-actions"):
            rows = [row for row in self.splits if row["symbol"] in names]
            body = {"corporate_actions": {"forward_splits": rows}, "next_page_token": None}
        else:
            series = self.bars[query["adjustment"]]
            found = {name: series[name] for name in names if name in series}
            body = {"bars": found, "next_page_token": None}
        response = requests.Response()
        response.status_code = 200
        response._content = json.dumps(body).encode()
        response.url = request.url
        response.request = request
        return response

    def close(self) -> None:
        pass


def bar(day: date, close: float, **changes: object) -> dict[str, object]:
    prices = {"o": close, "h": close + 1, "l": close - 1, "c": close, "v": 1000}
    return {"t": f"{day}T05:00:00Z", **prices, **changes}


@pytest.fixture
def host() -> DataHost:
    return DataHost()


def source(host: DataHost, now: datetime = EVENING_THURSDAY) -> PriceSource:
    clock = Clock(now)
    client = AlpacaClient("PKTEST", "secret", transport=host, clock=clock)
    return AlpacaPriceSource(client, clock)


def test_raw_prices_and_the_adjusted_close_stand_side_by_side(host):
    host.put("AAPL", [WEDNESDAY, THURSDAY], close=80.0, adjusted=20.0)
    bars = source(host).daily_bars(["AAPL"], TUESDAY, THURSDAY)["AAPL"]
    assert bars.sessions.dtype == np.dtype("datetime64[D]")
    assert bars.sessions.tolist() == [WEDNESDAY, THURSDAY]
    assert bars.close.tolist() == [80.0, 80.0]
    assert bars.high.tolist() == [81.0, 81.0]
    assert bars.adj_close.tolist() == [20.0, 20.0]
    assert bars.volume.dtype == bars.adj_close.dtype == np.float64
    assert bars.split_ratio.tolist() == [1.0, 1.0]


def test_the_unfinished_bar_of_today_is_dropped_until_the_close(host):
    host.put("AAPL", [WEDNESDAY, THURSDAY], close=80.0)
    at_noon = source(host, NOON_THURSDAY).daily_bars(["AAPL"], TUESDAY, THURSDAY)
    assert at_noon["AAPL"].sessions.tolist() == [WEDNESDAY]
    at_night = source(host, EVENING_THURSDAY).daily_bars(["AAPL"], TUESDAY, THURSDAY)
    assert at_night["AAPL"].sessions.tolist() == [WEDNESDAY, THURSDAY]


def test_on_a_half_day_the_bar_is_finished_at_one_oclock(host):
    half_day = date(2019, 11, 29)  # the Friday after Thanksgiving closes at 13:00, 18:00 UTC
    host.put("AAPL", [half_day], close=80.0)
    before = source(host, datetime(2019, 11, 29, 17, 59, tzinfo=UTC))
    assert before.daily_bars(["AAPL"], half_day, half_day) == {}
    after = source(host, datetime(2019, 11, 29, 18, 0, tzinfo=UTC))
    assert list(after.daily_bars(["AAPL"], half_day, half_day)) == ["AAPL"]


def test_a_ticker_without_bars_is_absent(host):
    host.put("AAPL", [WEDNESDAY], close=80.0)
    assert list(source(host).daily_bars(["AAPL", "NOPE"], TUESDAY, THURSDAY)) == ["AAPL"]


def test_a_ticker_whose_two_series_differ_in_their_sessions_is_absent(host):
    host.put("AAPL", [TUESDAY, WEDNESDAY], close=80.0)
    host.bars["all"]["AAPL"].pop(0)
    host.put("MSFT", [WEDNESDAY], close=80.0)
    del host.bars["all"]["MSFT"]
    assert source(host).daily_bars(["AAPL", "MSFT"], TUESDAY, THURSDAY) == {}


@pytest.mark.parametrize(
    "wrong", [{"c": -1.0}, {"c": 0.0}, {"l": 90.0}, {"h": 79.5, "l": 79.0}, {"v": -1}], ids=str
)
def test_a_ticker_with_a_bar_that_cannot_be_one_is_absent_and_leaves_others_alone(host, wrong):
    host.put("AAPL", [WEDNESDAY], close=80.0)
    host.bars["raw"]["AAPL"] = [bar(WEDNESDAY, 80.0, **wrong)]
    host.put("MSFT", [WEDNESDAY], close=80.0)
    assert list(source(host).daily_bars(["AAPL", "MSFT"], TUESDAY, THURSDAY)) == ["MSFT"]


def test_a_ticker_with_a_bar_on_a_saturday_is_absent(host):
    host.put("AAPL", [date(2020, 1, 25)], close=80.0)
    assert source(host).daily_bars(["AAPL"], date(2020, 1, 20), THURSDAY) == {}


def test_a_split_stands_at_its_ex_date_or_at_the_next_bar_after_it(host):
    host.put("AAPL", [TUESDAY, WEDNESDAY, THURSDAY], close=80.0)
    host.put("IDLE", [TUESDAY, THURSDAY], close=80.0)
    for ticker in ("AAPL", "IDLE"):
        host.splits.append(
            {"symbol": ticker, "new_rate": 4, "old_rate": 1, "ex_date": "2020-01-29"}
        )
    bars = source(host).daily_bars(["AAPL", "IDLE"], TUESDAY, THURSDAY)
    assert bars["AAPL"].split_ratio.tolist() == [1.0, 4.0, 1.0]
    assert bars["IDLE"].split_ratio.tolist() == [1.0, 4.0]


def test_200_tickers_cost_two_requests_for_bars_and_one_for_splits(host):
    names = [f"T{number:03d}" for number in range(200)]
    for name in names:
        host.put(name, [WEDNESDAY], close=80.0)
    assert len(source(host).daily_bars(names, TUESDAY, THURSDAY)) == 200
    assert host.asked == ["/v2/stocks/bars:raw", "/v2/stocks/bars:all", "/v1/corporate-actions:"]
