"""What a simulation may see of prices: bars by ticker, and their weeks prepared once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from livekit.model import DailyBars, WeeklyBars
from livekit.strategy.decisions import WeeklyView, weekly_view
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator

__all__ = ["Bar", "Market"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One session of one ticker; prices in USD as traded.

    ``index`` is its place among the ticker's bars, ``split_ratio`` the new shares for one old at
    this open. ``growth`` is how much faster the adjusted price moved than the traded one since the
    bar before: splits and dividends together.
    """

    index: int
    open: float
    low: float
    close: float
    split_ratio: float
    growth: float


@dataclass(frozen=True, slots=True)
class Market:
    """Daily bars by ticker, with weekly bars and indicators made at first use and kept.

    Whoever settles a session reads bars and weeks up to that session only; what they say of it
    does not depend on later bars. ``cut_at`` is the first day the bars were asked for: a week
    that it cuts is dropped.
    """

    bars: Mapping[str, DailyBars]
    cut_at: date | None = None
    _weekly: dict[str, WeeklyBars] = field(default_factory=dict, compare=False, repr=False)
    _views: dict[tuple[str, str, int], WeeklyView] = field(
        default_factory=dict, compare=False, repr=False
    )

    def bar_on(self, ticker: str, session: date) -> Bar | None:
        """The bar of ``ticker`` on ``session``, or None when it does not trade."""
        bars = self.bars.get(ticker)
        index = bars.index_of(session) if bars is not None else -1
        if bars is None or index < 0:
            return None
        return Bar(
            index,
            float(bars.open[index]),
            float(bars.low[index]),
            float(bars.close[index]),
            float(bars.split_ratio[index]),
            _growth(bars, index),
        )

    def view(self, ticker: str, trailing_stop: str, period: int) -> WeeklyView:
        """The weeks of ``ticker`` prepared for one trailing stop."""
        key = (ticker, trailing_stop, period)
        if key not in self._views:
            weekly = self._weekly_bars(ticker)
            line = indicator(weekly, trailing_stop, period)
            self._views[key] = weekly_view(self.bars[ticker].sessions, weekly, line)
        return self._views[key]

    def _weekly_bars(self, ticker: str) -> WeeklyBars:
        if ticker not in self._weekly:
            self._weekly[ticker] = aggregate_daily_to_weekly(self.bars[ticker], cut_at=self.cut_at)
        return self._weekly[ticker]


def _growth(bars: DailyBars, index: int) -> float:
    if index == 0:
        return 1.0
    today = bars.adj_close[index] / bars.close[index]
    before = bars.adj_close[index - 1] / bars.close[index - 1]
    return float(today / before)
