"""Requests spread over the minute, so that the venue's rate limit is never met.

A quarter of the budget is kept for protection: ordinary requests wait when three quarters of the
last minute's budget are used, protective ones only when all of it is. Time is that of the clock,
which on the simulated venue passes only when somebody sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from livekit.clock import Clock

__all__ = ["REQUESTS_A_MINUTE", "Pace"]

REQUESTS_A_MINUTE = 200
RESERVED_SHARE = 0.25
WINDOW = timedelta(minutes=1)


class Pace:
    """The budget of one interface of the venue, over a sliding minute.

    Args:
        clock: what waits, and by what the minute is measured.
        limit: requests in any minute.
    """

    def __init__(self, clock: Clock, limit: int = REQUESTS_A_MINUTE) -> None:
        self._clock = clock
        self._limit = limit
        self._ordinary = limit - round(limit * RESERVED_SHARE)
        self._sent: deque[datetime] = deque(maxlen=limit)
        self._protecting = 0

    @contextmanager
    def protecting(self) -> Iterator[None]:
        """Requests made inside may use the reserve."""
        self._protecting += 1
        try:
            yield
        finally:
            self._protecting -= 1

    def take_turn(self) -> None:
        """Return when another request may be made, and count it."""
        wait_s = self.wait_s()
        if wait_s > 0:
            self._clock.sleep(wait_s)
        self._sent.append(self._clock.now())

    def wait_s(self, requests: int = 1) -> float:
        """Seconds until the last of so many requests could be made now."""
        now = self._clock.now()
        while self._sent and not now - WINDOW < self._sent[0] <= now:
            self._sent.popleft()  # a minute old, or of a clock that has been set back since
        allowed = self._limit if self._protecting else self._ordinary
        surplus = min(len(self._sent) + requests - 1 - allowed, len(self._sent) - 1)
        return (self._sent[surplus] + WINDOW - now).total_seconds() if surplus >= 0 else 0.0
