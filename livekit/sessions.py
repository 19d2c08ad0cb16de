"""The exchange calendar (XNYS): sessions, opens and closes, week ends.

A *session* is a date on which the New York Stock Exchange trades; an *instant* is an aware
UTC datetime. A week is an ISO week (Monday to Sunday): its *week end* is the last session in it
and its *week start* the first, both properties of the calendar and never of which bars exist.

A date outside the calendar is unknown, and unknown raises `NotASession`: it is never answered
as open or closed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import exchange_calendars

from livekit.errors import NotASession

__all__ = [
    "EXCHANGE_ZONE",
    "calendar_version",
    "close_instant",
    "exchange_time",
    "is_session",
    "is_week_end",
    "next_session",
    "open_instant",
    "parse_session",
    "previous_session",
    "session_of",
    "session_on_or_after",
    "sessions_between",
    "week_end",
    "week_start",
]

EXCHANGE_ZONE = ZoneInfo("America/New_York")
FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2030, 12, 31)


@dataclass(frozen=True, slots=True)
class _Schedule:
    sessions: tuple[date, ...]
    opens: tuple[datetime, ...]
    closes: tuple[datetime, ...]


@cache
def _schedule() -> _Schedule:
    calendar = exchange_calendars.get_calendar(
        "XNYS", start=FIRST_DAY.isoformat(), end=LAST_DAY.isoformat()
    )
    frame = calendar.schedule
    return _Schedule(
        tuple(stamp.date() for stamp in frame.index),
        tuple(stamp.to_pydatetime() for stamp in frame["open"]),
        tuple(stamp.to_pydatetime() for stamp in frame["close"]),
    )


def calendar_version() -> str:
    """Name and version of the calendar that decides sessions."""
    return f"exchange_calendars {exchange_calendars.__version__} XNYS"


def _require_known(day: date) -> None:
    if isinstance(day, datetime) or not FIRST_DAY <= day <= LAST_DAY:
        raise NotASession(day, f"outside the calendar ({FIRST_DAY} to {LAST_DAY})")


def _position(session: date) -> int:
    _require_known(session)
    sessions = _schedule().sessions
    index = bisect_left(sessions, session)
    if index == len(sessions) or sessions[index] != session:
        raise NotASession(session)
    return index


def parse_session(text: str) -> date:
    """Turn ``YYYY-MM-DD`` into a session; raises `NotASession` for anything else."""
    try:
        day = date.fromisoformat(text)
    except (TypeError, ValueError):
        raise NotASession(repr(text), "not a date of the form YYYY-MM-DD") from None
    _position(day)
    return day


def is_session(day: date) -> bool:
    """Whether the exchange trades on ``day``; a day outside the calendar raises."""
    _require_known(day)
    sessions = _schedule().sessions
    index = bisect_left(sessions, day)
    return index < len(sessions) and sessions[index] == day


def session_on_or_after(day: date) -> date:
    """``day`` itself if it is a session, else the next one."""
    _require_known(day)
    sessions = _schedule().sessions
    index = bisect_left(sessions, day)
    if index == len(sessions):
        raise NotASession(day, "no later session in the calendar")
    return sessions[index]


def next_session(day: date) -> date:
    """The first session after ``day``, which need not be a session."""
    return session_on_or_after(day + timedelta(days=1))


def previous_session(day: date) -> date:
    """The last session before ``day``, which need not be a session."""
    _require_known(day)
    index = bisect_left(_schedule().sessions, day)
    if index == 0:
        raise NotASession(day, "no earlier session in the calendar")
    return _schedule().sessions[index - 1]


def sessions_between(first: date, last: date) -> tuple[date, ...]:
    """All sessions from ``first`` to ``last``, both included."""
    _require_known(first)
    _require_known(last)
    sessions = _schedule().sessions
    return sessions[bisect_left(sessions, first) : bisect_right(sessions, last)]


def open_instant(session: date) -> datetime:
    """The opening instant of a session (UTC)."""
    return _schedule().opens[_position(session)]


def close_instant(session: date) -> datetime:
    """The closing instant of a session (UTC), half days included."""
    return _schedule().closes[_position(session)]


def session_of(instant: datetime) -> date:
    """The session whose close comes next: an order sent after a close is the next session's."""
    closes = _schedule().closes
    index = bisect_right(closes, instant)
    if index == len(closes):
        raise NotASession(instant, "no later session in the calendar")
    return _schedule().sessions[index]


def exchange_time(instant: datetime) -> datetime:
    """``instant`` on the exchange's wall clock (America/New_York)."""
    return instant.astimezone(EXCHANGE_ZONE)


def week_start(day: date) -> date:
    """The first session of the ISO week of ``day``."""
    monday = day - timedelta(days=day.weekday())
    return session_on_or_after(monday)


def week_end(day: date) -> date:
    """The last session of the ISO week of ``day``."""
    monday = day - timedelta(days=day.weekday())
    return previous_session(monday + timedelta(days=7))


def is_week_end(session: date) -> bool:
    """Whether ``session`` is the last session of its ISO week."""
    _position(session)
    return week_end(session) == session
