"""The calendar, by dated examples."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livekit.errors import NotASession
from livekit.sessions import (
    close_instant,
    exchange_time,
    is_session,
    is_week_end,
    next_session,
    open_instant,
    parse_session,
    previous_session,
    session_of,
    session_on_or_after,
    sessions_between,
    week_end,
    week_start,
)

DAYS = st.dates(date(2015, 1, 1), date(2030, 6, 30))


def test_the_open_moves_with_summer_time_and_stays_at_half_past_nine_in_new_york() -> None:
    """Clocks went forward on Sunday 8 March 2020."""
    assert open_instant(date(2020, 3, 6)) == datetime(2020, 3, 6, 14, 30, tzinfo=UTC)
    assert open_instant(date(2020, 3, 9)) == datetime(2020, 3, 9, 13, 30, tzinfo=UTC)


def test_a_half_day_closes_at_one_in_the_afternoon() -> None:
    """The day after Thanksgiving 2020."""
    assert exchange_time(close_instant(date(2020, 11, 27))).strftime("%H:%M") == "13:00"


@pytest.mark.parametrize(
    ("day", "end"),
    [
        (date(2020, 4, 6), date(2020, 4, 9)),  # Good Friday 2020-04-10
        (date(2018, 12, 3), date(2018, 12, 7)),  # the day of mourning was the Wednesday
        (date(2012, 10, 29), date(2012, 11, 2)),  # the storm closed Monday and Tuesday
        (date(2019, 12, 31), date(2020, 1, 3)),  # the week runs over the year's end
        (date(2021, 1, 1), date(2020, 12, 31)),  # New Year's Day closed the Friday
    ],
)
def test_a_week_ends_with_its_last_session(day: date, end: date) -> None:
    assert week_end(day) == end
    assert is_week_end(end)


def test_a_week_starts_with_its_first_session_traded_or_not() -> None:
    assert week_start(date(2012, 11, 1)) == date(2012, 10, 31)  # after the storm
    assert week_start(date(2020, 1, 22)) == date(2020, 1, 21)  # Monday was a holiday


def test_an_order_after_the_close_belongs_to_the_next_session() -> None:
    close = close_instant(date(2020, 1, 17))  # the Friday before a long weekend
    assert session_of(close - timedelta(seconds=1)) == date(2020, 1, 17)
    assert session_of(close) == date(2020, 1, 21)


def test_a_closed_day_belongs_to_the_next_session() -> None:
    assert session_on_or_after(date(2020, 1, 18)) == date(2020, 1, 21)


@pytest.mark.parametrize("text", ["2020-01-20", "2020-13-01", "20200130x", "", "ON", "2020-1-3"])
def test_a_text_that_names_no_session_is_refused(text: str) -> None:
    with pytest.raises(NotASession):
        parse_session(text)


@pytest.mark.parametrize("day", [date(1999, 12, 31), date(2031, 1, 1)])
def test_outside_the_calendar_is_unknown_never_closed(day: date) -> None:
    with pytest.raises(NotASession, match="outside the calendar"):
        is_session(day)


@given(DAYS)
def test_every_day_lies_between_its_neighbouring_sessions(day: date) -> None:
    assert previous_session(day) < day < next_session(day)
    between = sessions_between(previous_session(day), next_session(day))
    assert len(between) == (3 if is_session(day) else 2)


@given(DAYS)
def test_a_week_has_one_end_and_it_is_in_the_same_iso_week(day: date) -> None:
    end = week_end(day)
    assert end.isocalendar()[:2] == day.isocalendar()[:2]
    assert week_start(day) <= end
