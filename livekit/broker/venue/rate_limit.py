"""How many requests a minute are answered, and how the others are refused.

The trading and the data interface are counted apart, in whole minutes of the venue's clock. The
headers go with every answer of the data interface, and with the clock and the calendar; any other
429 of the trading interface comes without them, unless the settings say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.wire import Answer, refusal_answer

__all__ = ["RateLimit", "is_data", "limit_headers", "too_many"]

MINUTE = timedelta(minutes=1)
WITH_HEADERS = ("/v2/clock", "/v2/calendar")


def is_data(path: str) -> bool:
    """Whether a path belongs to the data interface."""
    return path.startswith(("/v2/stocks/", "/v1/"))


def too_many(path: str) -> Answer:
    """The 429 of the interface that ``path`` belongs to."""
    if is_data(path):
        return refusal_answer(Refusal(429, None, "too many requests."))
    return refusal_answer(Refusal(429, 42910000, "rate limit exceeded"))


def limit_headers(limit: int, remaining: int, reset: datetime) -> tuple[tuple[str, str], ...]:
    """The three headers of the rate limit."""
    return (
        ("x-ratelimit-limit", str(limit)),
        ("x-ratelimit-remaining", str(remaining)),
        ("x-ratelimit-reset", str(int(reset.timestamp()))),
    )


class RateLimit:
    """Counts the requests of the minute; ``limit`` for each of the two interfaces.

    With ``told`` the headers go with every 429.
    """

    def __init__(self, limit: int, *, told: bool) -> None:
        self._limit = limit
        self._told = told
        self._minute: datetime | None = None
        self._used = {True: 0, False: 0}

    def pass_through(self, path: str, now: datetime, take: Callable[[], Answer]) -> Answer:
        """The answer of ``take``, or a 429 when the minute's requests are used up."""
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute, self._used = minute, {True: 0, False: 0}
        data = is_data(path)
        self._used[data] += 1
        left = self._limit - self._used[data]
        answer = take() if left >= 0 else too_many(path)
        if not data and path not in WITH_HEADERS and not (self._told and left < 0):
            return answer
        headers = limit_headers(self._limit, max(0, left), minute + MINUTE)
        return replace(answer, more_headers=(*answer.more_headers, *headers))
