"""Which sessions are played: every kind of day that the calendar has, in turn."""

from __future__ import annotations

from datetime import date
from functools import cache
from random import Random

from livekit.sessions import (
    close_instant,
    exchange_time,
    is_week_end,
    open_instant,
    sessions_between,
)

__all__ = ["KINDS_OF_SESSION", "draw_session", "kinds_of"]

YEARS = (date(2012, 1, 3), date(2029, 11, 30))
FULL_DAY = close_instant(date(2019, 1, 8)) - open_instant(date(2019, 1, 8))

HALF_DAY = "half day"
BEFORE_HOLIDAY = "before a holiday"
AFTER_HOLIDAY = "after a holiday"
CLOCK_CHANGE = "week of a clock change"
YEAR_END = "turn of the year"
MONTH_END = "last of a month"
WEEK_END = "last of a week"
ORDINARY = "any other day"
KINDS_OF_SESSION = (
    HALF_DAY,
    BEFORE_HOLIDAY,
    AFTER_HOLIDAY,
    CLOCK_CHANGE,
    YEAR_END,
    MONTH_END,
    WEEK_END,
    ORDINARY,
)


def draw_session(chance: Random, number: int) -> date:
    """A session of the kind whose turn it is."""
    return chance.choice(_by_kind()[KINDS_OF_SESSION[number % len(KINDS_OF_SESSION)]])


@cache
def kinds_of(session: date) -> tuple[str, ...]:
    """Every kind that a session is of."""
    return tuple(kind for kind, sessions in _by_kind().items() if session in sessions)


@cache
def _by_kind() -> dict[str, tuple[date, ...]]:
    sessions = sessions_between(*YEARS)
    found: dict[str, list[date]] = {kind: [] for kind in KINDS_OF_SESSION}
    for before, here, after, week_ago in zip(
        sessions[4:-1], sessions[5:], sessions[6:], sessions, strict=False
    ):
        for kind in _kinds(before, here, after, week_ago) or (ORDINARY,):
            found[kind].append(here)
    return {kind: tuple(days) for kind, days in found.items()}


def _kinds(before: date, here: date, after: date, week_ago: date) -> tuple[str, ...]:
    is_of = {
        HALF_DAY: close_instant(here) - open_instant(here) < FULL_DAY,
        BEFORE_HOLIDAY: _skips_a_weekday(here, after),
        AFTER_HOLIDAY: _skips_a_weekday(before, here),
        CLOCK_CHANGE: _offset(here) != _offset(week_ago),
        YEAR_END: here.year != after.year or here.year != before.year,
        MONTH_END: here.month != after.month,
        WEEK_END: is_week_end(here),
    }
    return tuple(kind for kind, holds in is_of.items() if holds)


def _skips_a_weekday(first: date, second: date) -> bool:
    days = (second - first).days
    return days != (1 if first.weekday() < second.weekday() else 3)


def _offset(session: date) -> object:
    return exchange_time(open_instant(session)).utcoffset()
