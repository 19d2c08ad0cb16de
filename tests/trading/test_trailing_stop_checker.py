"""The live checker: what it says of the last finished week, and when it cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from livekit.config import LiveConfig
from livekit.errors import UnknownParameter, VenueUnavailable
from livekit.model import DailyBars
from livekit.trading.trailing_stop_checker import TrailingStopChecker, TrailingStopResult

RISE_AND_FALL = {
    "2020-01-03": 10.0,
    "2020-01-10": 11.0,
    "2020-01-17": 12.0,
    "2020-01-24": 13.0,
    "2020-01-31": 9.5,
}


class Prices:
    """Bars from a dictionary of closes, and a note of what was asked."""

    def __init__(self, closes: dict[str, float]) -> None:
        self.closes = closes
        self.asked: list[tuple[date, date]] = []

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        self.asked.append((first, last))
        days = [day for day in self.closes if str(first) <= day <= str(last)]
        if not days:
            return {}
        close = np.array([self.closes[day] for day in days])
        nothing = np.zeros(len(days))
        sessions = np.array(days, dtype="datetime64[D]")
        ones = nothing + 1.0
        return {
            ticker: DailyBars(
                ticker, sessions, close, close, close, close, close, nothing, nothing, ones
            )
            for ticker in tickers
        }


def check(
    as_of: str,
    closes: dict[str, float] | None = None,
    *,
    entered: str = "2020-01-06",
    stop: str = "weekly_ema",
    period: int = 2,
) -> TrailingStopResult:
    checker = TrailingStopChecker(Prices(RISE_AND_FALL if closes is None else closes))
    return checker.check_position(
        "AA", date.fromisoformat(entered), date.fromisoformat(as_of), stop, period
    )


def test_a_close_below_the_ema_of_a_finished_week_exits() -> None:
    result = check("2020-01-31")
    assert result.is_week_end
    assert result.evaluated_week == date(2020, 1, 31)
    # EMA(2): seed 10.5, 11.5, 12.5, then 12.5 + (9.5 − 12.5) × 2/3 = 10.5.
    assert (result.last_close, result.indicator_value) == (9.5, pytest.approx(10.5))
    assert (result.completed_weeks, result.transition_met) == (3, True)
    assert result.trend_broken
    assert result.should_exit
    assert result.deferred_reason is None


def test_a_close_below_the_n_week_low_exits() -> None:
    result = check("2020-01-31", stop="weekly_nweek_low", period=2)
    assert (result.indicator_value, result.last_close) == (12.0, 9.5)
    assert result.should_exit


def test_a_rising_stock_stays() -> None:
    result = check("2020-01-24")
    assert not result.trend_broken
    assert not result.should_exit


def test_a_tuesday_dip_says_nothing_new() -> None:
    calm = dict(list(RISE_AND_FALL.items())[:-1])
    dipped = calm | {"2020-01-28": 1.0}
    result = check("2020-01-28", dipped)
    assert not result.is_week_end
    assert result.evaluated_week == date(2020, 1, 24)
    assert not result.should_exit
    assert result == check("2020-01-28", calm)


def test_the_answer_does_not_depend_on_the_hour_of_the_run() -> None:
    # On Monday before the open the last bar is Friday's; the week is finished all the same.
    assert check("2020-02-03").should_exit
    assert check("2020-02-03").evaluated_week == date(2020, 1, 31)


def test_a_broken_trend_waits_for_the_transition() -> None:
    result = check("2020-01-31", entered="2020-01-21")
    assert (result.completed_weeks, result.transition_met) == (1, False)
    assert result.trend_broken
    assert not result.should_exit


def test_too_short_a_history_leaves_the_indicator_undefined() -> None:
    result = check("2020-01-31", period=6)
    assert result.indicator_value is None
    assert not result.should_exit
    assert result.deferred_reason is None


def test_missing_bars_defer_and_never_mean_hold() -> None:
    result = check("2020-01-31", {})
    assert result.evaluated_week is None
    assert result.deferred_reason == "AA: week ending 2020-01-31 is due, no bars at all"


def test_stale_bars_defer_the_newer_week_and_still_tell_the_older() -> None:
    stale = dict(list(RISE_AND_FALL.items())[:-1])
    result = check("2020-02-03", stale)
    assert result.evaluated_week == date(2020, 1, 24)
    assert result.deferred_reason is not None
    assert "2020-01-31" in result.deferred_reason


def test_an_outage_defers() -> None:
    class Outage(Prices):
        def daily_bars(self, *_: object) -> dict[str, DailyBars]:
            raise VenueUnavailable("bars", "timed out")

    checker = TrailingStopChecker(Outage({}))
    result = checker.check_position("AA", date(2020, 1, 6), date(2020, 1, 31), "weekly_ema", 2)
    assert result.deferred_reason == "AA: bars failed: timed out"
    assert not result.should_exit


def test_the_look_back_is_asked_for_and_the_week_it_cuts_is_dropped() -> None:
    prices = Prices(RISE_AND_FALL)
    config = LiveConfig(fmp_lookback_days=23)  # from Wednesday 2020-01-08
    checker = TrailingStopChecker(prices, config)
    result = checker.check_position("AA", date(2020, 1, 6), date(2020, 1, 31), "weekly_ema", 3)
    assert prices.asked == [(date(2020, 1, 8), date(2020, 1, 31))]
    # The weeks left close at 12, 13 and 9.5: their mean is the seed.
    assert result.indicator_value == pytest.approx((12 + 13 + 9.5) / 3)


def test_an_unknown_trailing_stop_is_refused() -> None:
    with pytest.raises(UnknownParameter, match="weekly_sma"):
        check("2020-01-31", stop="weekly_sma")
