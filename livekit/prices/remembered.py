"""A price source that asks once for what the same moment asks for again.

Bars of a window are remembered while window and trading session stay the same: within one session
nothing known changes, and at its close today's bar appears. Anything else forgets them, so bars
adjusted at different times are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from livekit.clock import Clock
from livekit.model import DailyBars
from livekit.prices.source import PriceSource
from livekit.sessions import session_of

__all__ = ["RememberedSource"]

_Window = tuple[date, date, date]


class RememberedSource:
    """Wraps another source; tickers without bars are remembered as such."""

    def __init__(self, source: PriceSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._window: _Window | None = None
        self._known: dict[str, DailyBars | None] = {}

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """As the wrapped source; tickers without bars in the window are absent."""
        window = (first, last, session_of(self._clock.now()))
        if window != self._window:
            self._window, self._known = window, {}
        missing = [ticker for ticker in dict.fromkeys(tickers) if ticker not in self._known]
        if missing:
            fetched = self._source.daily_bars(missing, first, last)
            self._known |= {ticker: fetched.get(ticker) for ticker in missing}
        found = {ticker: self._known[ticker] for ticker in tickers}
        return {ticker: bars for ticker, bars in found.items() if bars is not None}
