"""What the rest of the package may ask of a supplier of prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from livekit.model import DailyBars

__all__ = ["PriceSource"]


class PriceSource(Protocol):
    """Daily bars by ticker, wherever they come from."""

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """Bars of ``tickers`` from ``first`` to ``last``, both included, oldest first.

        A ticker without a bar in that range is absent from the answer: it is never answered with
        empty arrays, so that "no data" cannot be mistaken for "nothing happened".
        """
