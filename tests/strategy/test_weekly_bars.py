"""Weeks belong to the calendar; bars only fill them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from series import bars_of

from livekit.errors import UnknownParameter
from livekit.strategy.weekly_bars import (
    aggregate_daily_to_weekly,
    compute_weekly_ema,
    compute_weekly_nweek_low,
    count_completed_weeks,
    indicator,
    is_trend_broken,
    is_week_end_by_date,
    is_week_end_by_index,
)


def days(values: np.ndarray) -> list[str]:
    return [str(value) for value in values]


def test_a_week_cut_short_by_good_friday_ends_on_thursday() -> None:
    assert is_week_end_by_date(date(2019, 4, 18))
    assert not is_week_end_by_date(date(2019, 4, 19))
    weekly = aggregate_daily_to_weekly(bars_of({"2019-04-17": 10.0, "2019-04-18": 11.0}))
    assert days(weekly.first_session) == ["2019-04-15"]
    assert days(weekly.last_session) == ["2019-04-18"]


def test_the_hurricane_week_starts_on_wednesday() -> None:
    weekly = aggregate_daily_to_weekly(bars_of({"2012-10-31": 10.0, "2012-11-02": 11.0}))
    assert days(weekly.first_session) == ["2012-10-31"]
    assert days(weekly.last_session) == ["2012-11-02"]


def test_a_closed_wednesday_leaves_its_week_whole() -> None:
    bars = bars_of({"2018-12-04": 10.0, "2018-12-06": 12.0, "2018-12-07": 11.0})
    weekly = aggregate_daily_to_weekly(bars)
    assert days(weekly.first_session) == ["2018-12-03"]
    assert days(weekly.last_session) == ["2018-12-07"]
    assert weekly.high.tolist() == [12.0]


def test_the_days_around_new_year_are_one_week() -> None:
    # 2014-12-29 (Monday) to 2015-01-02 (Friday) is ISO week 1 of 2015.
    bars = bars_of({"2014-12-31": 10.0, "2015-01-02": 12.0, "2015-01-05": 13.0})
    weekly = aggregate_daily_to_weekly(bars)
    assert days(weekly.first_session) == ["2014-12-29", "2015-01-05"]
    assert weekly.close.tolist() == [12.0, 13.0]


def test_iso_week_53_does_not_swallow_the_week_after_it() -> None:
    # 2015-12-28 to 2016-01-01 is ISO week 53 of 2015; Friday is a holiday.
    weekly = aggregate_daily_to_weekly(bars_of({"2015-12-30": 10.0, "2016-01-04": 9.0}))
    assert days(weekly.last_session) == ["2015-12-31", "2016-01-08"]


def test_a_week_without_a_bar_of_the_ticker_has_no_weekly_bar() -> None:
    weekly = aggregate_daily_to_weekly(bars_of({"2020-01-10": 10.0, "2020-01-21": 11.0}))
    assert days(weekly.last_session) == ["2020-01-10", "2020-01-24"]


def test_weekly_bars_are_adjusted_by_the_ratio_of_each_day() -> None:
    # A 2:1 split on Wednesday: Monday and Tuesday count half.
    bars = bars_of(
        {"2020-01-06": 100.0, "2020-01-07": 104.0, "2020-01-08": 51.0},
        lows={"2020-01-07": 98.0},
        adj={"2020-01-06": 50.0, "2020-01-07": 52.0},
    )
    weekly = aggregate_daily_to_weekly(bars)
    assert (weekly.open[0], weekly.high[0], weekly.low[0], weekly.close[0]) == (50, 52, 49, 51)


def test_no_bars_make_no_weeks() -> None:
    assert len(aggregate_daily_to_weekly(bars_of({}))) == 0


# ------------------------------------------------------------------------------- the first week


def test_a_week_cut_off_by_the_look_back_is_dropped() -> None:
    bars = bars_of({"2020-01-08": 1.0, "2020-01-10": 2.0, "2020-01-13": 3.0})
    weekly = aggregate_daily_to_weekly(bars, cut_at=date(2020, 1, 8))
    assert weekly.close.tolist() == [3.0]


def test_a_week_cut_off_by_listing_is_kept() -> None:
    bars = bars_of({"2020-01-08": 1.0, "2020-01-10": 2.0, "2020-01-13": 3.0})
    asked_a_week_earlier = aggregate_daily_to_weekly(bars, cut_at=date(2020, 1, 2))
    assert asked_a_week_earlier.close.tolist() == [2.0, 3.0]


def test_a_look_back_that_starts_with_the_week_cuts_nothing() -> None:
    bars = bars_of({"2020-01-21": 1.0, "2020-01-22": 2.0})
    holiday_monday, sunday = date(2020, 1, 20), date(2020, 1, 19)
    first_session = date(2020, 1, 21)
    for cut_at in (sunday, holiday_monday, first_session):
        assert len(aggregate_daily_to_weekly(bars, cut_at=cut_at)) == 1


# ---------------------------------------------------------------------------------- indicators


def test_the_ema_starts_from_the_mean_of_its_first_closes() -> None:
    # n = 3, k = 2/4: seed (10+11+12)/3 = 11, then 11 + (15−11)/2 = 13, then 13 + (9−13)/2 = 11.
    line = compute_weekly_ema(np.array([10.0, 11.0, 12.0, 15.0, 9.0]), 3)
    assert np.isnan(line[:2]).all()
    assert line[2:].tolist() == [11.0, 13.0, 11.0]


def test_the_ema_of_too_few_weeks_is_undefined() -> None:
    assert np.isnan(compute_weekly_ema(np.array([10.0, 11.0]), 3)).all()


def test_the_n_week_low_looks_at_the_weeks_before_only() -> None:
    line = compute_weekly_nweek_low(np.array([5.0, 4.0, 6.0, 1.0, 7.0]), 2)
    assert np.isnan(line[:2]).all()
    assert line[2:].tolist() == [4.0, 4.0, 1.0]


def test_an_indicator_is_chosen_by_its_name() -> None:
    weekly = aggregate_daily_to_weekly(bars_of({"2020-01-10": 4.0, "2020-01-17": 6.0}))
    assert indicator(weekly, "weekly_ema", 2).tolist()[1:] == [5.0]
    assert indicator(weekly, "weekly_nweek_low", 1).tolist()[1:] == [4.0]
    with pytest.raises(UnknownParameter, match="weekly_sma"):
        indicator(weekly, "weekly_sma", 2)
    with pytest.raises(UnknownParameter, match="below 1"):
        indicator(weekly, "weekly_ema", 0)


# ----------------------------------------------------------------------------- the week functions


def test_a_week_end_does_not_depend_on_a_bar_of_the_following_week() -> None:
    friday_last = bars_of({"2020-01-09": 1.0, "2020-01-10": 1.0}).sessions
    followed = bars_of({"2020-01-09": 1.0, "2020-01-10": 1.0, "2020-01-13": 1.0}).sessions
    for sessions in (friday_last, followed):
        assert not is_week_end_by_index(sessions, 0)
        assert is_week_end_by_index(sessions, 1)


def test_a_ticker_whose_last_bar_is_thursday_has_no_week_end_on_it() -> None:
    sessions = bars_of({"2020-01-09": 1.0, "2020-01-13": 1.0}).sessions
    assert not is_week_end_by_index(sessions, 0)


def test_the_entry_week_does_not_count_as_completed() -> None:
    bars = bars_of({"2020-01-06": 1.0, "2020-01-10": 1.0, "2020-01-17": 1.0, "2020-01-24": 1.0})
    weekly = aggregate_daily_to_weekly(bars)
    monday = date(2020, 1, 6)
    assert count_completed_weeks(weekly, monday, date(2020, 1, 10)) == 0
    assert count_completed_weeks(weekly, monday, date(2020, 1, 17)) == 1
    assert count_completed_weeks(weekly, monday, date(2020, 1, 23)) == 1
    assert count_completed_weeks(weekly, monday, date(2020, 1, 24)) == 2


def test_a_partial_week_never_breaks_a_trend() -> None:
    # The running week has fallen to 5 by Wednesday; the last finished week closed at 12.
    bars = bars_of({"2020-01-10": 10.0, "2020-01-17": 12.0, "2020-01-22": 5.0})
    weekly = aggregate_daily_to_weekly(bars)
    line = indicator(weekly, "weekly_ema", 2)
    assert not is_trend_broken(weekly, line, date(2020, 1, 22))
    assert is_trend_broken(weekly, line, date(2020, 1, 24))


def test_no_finished_week_breaks_no_trend() -> None:
    weekly = aggregate_daily_to_weekly(bars_of({"2020-01-08": 10.0}))
    assert not is_trend_broken(weekly, indicator(weekly, "weekly_ema", 1), date(2020, 1, 9))
