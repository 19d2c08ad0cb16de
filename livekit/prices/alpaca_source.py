"""Daily bars from the broker's market data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from livekit.broker import AlpacaClient
from livekit.broker.parsing import VenueBar
from livekit.clock import Clock
from livekit.model import DailyBars, Split
from livekit.prices.combining import Days, combined

__all__ = ["AlpacaPriceSource"]


class AlpacaPriceSource:
    """A `livekit.prices.source.PriceSource` over the broker's bars.

    Every question reads the raw and the fully adjusted series afresh, two requests for each 200
    tickers (pages permitting), and the splits: adjusted history changes with each split and
    dividend, so old and new rows are never mixed. ``adj_close`` is the close of the adjusted
    series. Dividends are contained in it and not listed: ``dividend_usd`` is zero throughout.

    The bar of a session that has not closed by ``clock`` is dropped. A ticker is absent when its
    two series do not cover the same sessions, or when a bar cannot be one (a price at or below
    zero, a low above its high, a day that is no session): nothing may be decided on it.
    """

    def __init__(self, client: AlpacaClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """Bars of ``tickers`` from ``first`` to ``last``, both included, oldest first.

        A ticker without usable bars is absent. Raises `livekit.errors.VenueUnavailable` when the
        broker does not answer.
        """
        days = Days.between(first, last, self._clock.now())
        raw = self._client.daily_bars(tickers, first, last, adjustment="raw")
        adjusted = self._client.daily_bars(tickers, first, last, adjustment="all")
        splits = self._client.splits(tickers, first, last)
        found = {
            ticker: _combined(
                ticker,
                days.finished(bars),
                days.finished(adjusted.get(ticker, ())),
                [split for split in splits if split.ticker == ticker],
            )
            for ticker, bars in raw.items()
        }
        return {ticker: bars for ticker, bars in found.items() if bars is not None}


def _combined(
    ticker: str,
    raw: list[VenueBar] | None,
    adjusted: list[VenueBar] | None,
    splits: list[Split],
) -> DailyBars | None:
    closes = [bar.close for bar in adjusted or ()]
    sessions = [bar.session for bar in adjusted or ()]
    return combined(ticker, raw, closes, sessions, splits)
