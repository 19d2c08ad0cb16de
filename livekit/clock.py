"""Time as an argument: what acting code may know of the clock.

Only entry points hold a `SystemClock`; everything else is handed a `Clock`. Against the
simulated venue the clock is the venue's, and sleeping moves it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "sleep_until"]


class Clock(Protocol):
    """The two things that acting code needs of time."""

    def now(self) -> datetime:
        """The current instant, aware UTC."""

    def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` have passed on this clock."""


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """The current instant, aware UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Block for ``seconds``; zero and below return at once."""
        time.sleep(max(0.0, seconds))


def sleep_until(clock: Clock, instant: datetime) -> None:
    """Sleep until ``instant`` (aware); an instant in the past returns at once."""
    remaining_s = (instant - clock.now()).total_seconds()
    if remaining_s > 0:
        clock.sleep(remaining_s)
