"""Bars from FMP: four answers joined, limits waited out, the key kept to the header."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter

from livekit.errors import CredentialsRefused, KeysMissing, LivekitError, VenueUnavailable
from livekit.prices.fmp_source import FMP_KEY, FmpPriceSource

KEY = "k3yThatNobodyMaySee"
MONDAY, TUESDAY, WEDNESDAY = date(2020, 8, 28), date(2020, 8, 31), date(2020, 9, 1)
EVENING = datetime(2020, 9, 1, 22, 0, tzinfo=UTC)


class Clock:
    def __init__(self, instant: datetime) -> None:
        self.instant = instant
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.instant += timedelta(seconds=seconds)


class Fmp(BaseAdapter):
    """Serves rows by path and symbol; ``answers`` overrides the next ones, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[str, str], list[dict[str, object]]] = {}
        self.answers: list[tuple[int, object]] = []
        self.asked: list[requests.PreparedRequest] = []

    def put(self, path: str, symbol: str, rows: list[dict[str, object]]) -> None:
        self.rows[path, symbol] = rows

    def send(self, request, **_):
        self.asked.append(request)
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body = (
            200,
            self.rows.get((parts.path.removeprefix("/stable/"), query["symbol"]), []),
        )
        if self.answers:
            status, body = self.answers.pop(0)
        if isinstance(body, Exception):
            raise body
        response = requests.Response()
        response.status_code = status
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response.url = request.url
        response.request = request
        response.headers["Location"] = "https://elsewhere.example/"
        return response

    def close(self) -> None:
        pass


RAW = "historical-price-eod/non-split-adjusted"
ADJUSTED = "historical-price-eod/dividend-adjusted"


def row(day: date, close: float, **changes: object) -> dict[str, object]:
    prices = {"adjOpen": close, "adjHigh": close + 2, "adjLow": close - 2, "adjClose": close}
    return {"symbol": "AAPL", "date": str(day), **prices, "volume": 1000, **changes}


@pytest.fixture
def fmp() -> Fmp:
    """Apple around its split of four for one on 2020-08-31, newest row first as FMP answers."""
    host = Fmp()
    host.put(RAW, "AAPL", [row(WEDNESDAY, 134.18), row(TUESDAY, 129.04), row(MONDAY, 499.23)])
    host.put(ADJUSTED, "AAPL", [row(WEDNESDAY, 132.0), row(TUESDAY, 127.0), row(MONDAY, 122.8)])
    split = {"symbol": "AAPL", "date": str(TUESDAY), "numerator": 4, "denominator": 1}
    old = {"symbol": "AAPL", "date": "2014-06-09", "numerator": 7, "denominator": 1}
    host.put("splits", "AAPL", [split, old])
    paid = {"symbol": "AAPL", "date": str(WEDNESDAY), "dividend": 0.82, "adjDividend": 0.205}
    host.put("dividends", "AAPL", [paid])
    return host


def source(host: Fmp, now: datetime = EVENING) -> tuple[FmpPriceSource, Clock]:
    session, clock = requests.Session(), Clock(now)
    session.mount("https://", host)
    return FmpPriceSource(KEY, clock, session=session), clock


def test_prices_are_as_traded_and_the_adjusted_close_stands_beside_them(fmp: Fmp) -> None:
    bars = source(fmp)[0].daily_bars(["AAPL"], MONDAY, WEDNESDAY)["AAPL"]
    assert bars.sessions.tolist() == [MONDAY, TUESDAY, WEDNESDAY]
    assert bars.close.tolist() == [499.23, 129.04, 134.18]
    assert bars.adj_close.tolist() == [122.8, 127.0, 132.0]
    assert bars.split_ratio.tolist() == [1.0, 4.0, 1.0]  # 4 new for 1 old, on its ex-date
    assert bars.dividend_usd.tolist() == [0.0, 0.0, 0.82]  # as paid, not restated


def test_the_key_stands_in_a_header_and_nowhere_else(fmp: Fmp) -> None:
    prices, _ = source(fmp)
    prices.daily_bars(["AAPL"], MONDAY, WEDNESDAY)
    assert all(request.headers["apikey"] == KEY for request in fmp.asked)
    assert all(KEY not in request.url for request in fmp.asked)
    assert KEY not in repr(prices)
    assert KEY not in str(prices)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"Error Message": f"Invalid API KEY {KEY}"}, CredentialsRefused),
        (403, {"Error Message": "Forbidden"}, CredentialsRefused),
        (200, {"Error Message": f"Invalid API KEY. {KEY}"}, CredentialsRefused),
        (402, {"Error Message": f"Premium endpoint for {KEY}"}, VenueUnavailable),
        (429, {"Error Message": f"Limit Reach. Please upgrade your plan {KEY}"}, VenueUnavailable),
        (404, f"no such page {KEY}".encode(), VenueUnavailable),
        (302, b"", VenueUnavailable),
        (200, b"<html>", VenueUnavailable),
        (200, ["text"], VenueUnavailable),
    ],
)
def test_an_answer_that_is_no_history_is_an_error_of_its_own_kind_without_the_key(
    fmp: Fmp, status: int, body: object, told: type[LivekitError]
) -> None:
    fmp.answers = [(status, body)]
    prices, clock = source(fmp)
    with pytest.raises(told) as caught:
        prices.daily_bars(["AAPL"], MONDAY, WEDNESDAY)
    assert KEY not in str(caught.value)
    assert len(fmp.asked) == 1
    assert clock.slept == []


def test_a_limit_by_the_minute_and_a_passing_failure_are_waited_out(fmp: Fmp) -> None:
    fmp.answers = [(429, {"Error Message": "Too many requests"}), (503, b""), (500, b"")]
    prices, clock = source(fmp)
    assert len(prices.daily_bars(["AAPL"], MONDAY, WEDNESDAY)["AAPL"]) == 3
    assert clock.slept == [60.0, 2.0, 4.0]


def test_a_supplier_that_does_not_answer_is_told_after_four_attempts(fmp: Fmp) -> None:
    fmp.answers = [(200, requests.ConnectionError(f"https://x/?apikey={KEY}"))] * 4
    prices, clock = source(fmp)
    with pytest.raises(VenueUnavailable, match="ConnectionError, 4 attempts") as caught:
        prices.daily_bars(["AAPL"], MONDAY, WEDNESDAY)
    assert KEY not in str(caught.value)
    assert clock.slept == [1.0, 2.0, 4.0]


def test_the_bar_of_a_session_that_has_not_closed_is_dropped(fmp: Fmp) -> None:
    prices, _ = source(fmp, datetime(2020, 9, 1, 19, 59, tzinfo=UTC))  # 15:59 in New York
    bars = prices.daily_bars(["AAPL"], MONDAY, WEDNESDAY)["AAPL"]
    assert bars.sessions.tolist() == [MONDAY, TUESDAY]


@pytest.mark.parametrize(
    "wrong",
    [
        {"adjLow": 0.0},
        {"adjHigh": 100.0},  # below the close
        {"volume": None},
        {"date": "2020-08-30"},  # a Sunday
        {"date": "yesterday"},
    ],
)
def test_a_ticker_with_a_row_that_cannot_be_a_bar_is_absent(fmp: Fmp, wrong: dict) -> None:
    fmp.put(RAW, "AAPL", [row(WEDNESDAY, 134.18), row(TUESDAY, 129.04, **wrong)])
    assert source(fmp)[0].daily_bars(["AAPL"], MONDAY, WEDNESDAY) == {}


def test_a_ticker_whose_series_differ_or_that_has_none_is_absent(fmp: Fmp) -> None:
    fmp.rows[ADJUSTED, "AAPL"].pop()
    assert source(fmp)[0].daily_bars(["AAPL", "NONE"], MONDAY, WEDNESDAY) == {}


def test_class_shares_are_asked_for_with_a_dash_and_answered_with_their_dot(fmp: Fmp) -> None:
    fmp.put(RAW, "BRK-B", [row(WEDNESDAY, 218.0)])
    fmp.put(ADJUSTED, "BRK-B", [row(WEDNESDAY, 218.0)])
    assert list(source(fmp)[0].daily_bars(["BRK.B"], MONDAY, WEDNESDAY)) == ["BRK.B"]


def test_a_long_history_is_asked_for_in_spans_without_gap_or_overlap(fmp: Fmp) -> None:
    source(fmp)[0].daily_bars(["AAPL"], date(2009, 9, 1), WEDNESDAY)
    asked = [parse_qs(urlsplit(one.url).query) for one in fmp.asked if RAW in one.url]
    spans = [
        (date.fromisoformat(one["from"][0]), date.fromisoformat(one["to"][0])) for one in asked
    ]
    assert (spans[0][0], spans[-1][1]) == (date(2009, 9, 1), WEDNESDAY)
    assert all((begin - end).days == 1 for (_, end), (begin, _) in pairwise(spans))
    assert all((end - begin).days <= 5 * 365 for begin, end in spans)


def test_the_look_back_of_400_days_is_one_request_a_series(fmp: Fmp) -> None:
    source(fmp)[0].daily_bars(["AAPL"], WEDNESDAY - timedelta(days=400), WEDNESDAY)
    assert len(fmp.asked) == 4


def test_without_a_key_in_the_environment_there_is_no_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(FMP_KEY, raising=False)
    with pytest.raises(KeysMissing, match=FMP_KEY):
        FmpPriceSource.from_environment(Clock(EVENING), folder=tmp_path)
    monkeypatch.setenv(FMP_KEY, KEY)
    assert KEY not in repr(FmpPriceSource.from_environment(Clock(EVENING), folder=tmp_path))
