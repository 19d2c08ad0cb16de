"""Bars are asked for once while nothing that decides them can have changed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from livekit.model import DailyBars
from livekit.prices.remembered import RememberedSource

FIRST, LAST = date(2020, 1, 2), date(2020, 1, 6)


class Counting:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        self.asked.append(tuple(tickers))
        return {}


class FixedClock:
    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def test_a_ticker_of_the_same_window_is_asked_for_once() -> None:
    inner = Counting()
    source = RememberedSource(inner, FixedClock(datetime(2020, 1, 6, 14, 0, tzinfo=UTC)))
    source.daily_bars(["AAPL", "MSFT"], FIRST, LAST)
    source.daily_bars(["MSFT", "NVDA"], FIRST, LAST)
    assert inner.asked == [("AAPL", "MSFT"), ("NVDA",)]


def test_the_close_of_the_session_makes_everything_ask_again() -> None:
    """At 21:00 UTC of Monday 6 January the session closes and its bar appears."""
    inner, clock = Counting(), FixedClock(datetime(2020, 1, 6, 20, 59, tzinfo=UTC))
    source = RememberedSource(inner, clock)
    source.daily_bars(["AAPL"], FIRST, LAST)
    clock.instant = datetime(2020, 1, 6, 21, 0, tzinfo=UTC)
    source.daily_bars(["AAPL"], FIRST, LAST)
    assert inner.asked == [("AAPL",), ("AAPL",)]


def test_another_window_forgets_the_last_one() -> None:
    inner = Counting()
    source = RememberedSource(inner, FixedClock(datetime(2020, 1, 6, 14, 0, tzinfo=UTC)))
    source.daily_bars(["AAPL"], FIRST, LAST)
    source.daily_bars(["AAPL"], FIRST, date(2020, 1, 3))
    source.daily_bars(["AAPL"], FIRST, LAST)
    assert len(inner.asked) == 3
