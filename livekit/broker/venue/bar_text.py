"""Daily bars as JSON text, kept from request to request.

A day's run asks for the same year of bars of every ticker again, one session later. The text of a
finished bar depends only on the adjustment and on what the last visible bar makes of it, so it is
written once and kept while that stays the same: between two dividends or splits of the ticker.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from livekit.broker.venue.adjusting import adjusted
from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.wire import stamp
from livekit.model import DailyBars
from livekit.sessions import EXCHANGE_ZONE

__all__ = ["BarTexts", "bar_texts", "midnight"]

Basis = tuple[float, int]


def midnight(day: date) -> datetime:
    """The instant by which a daily bar is stamped: 00:00 in New York."""
    return datetime.combine(day, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


@lru_cache(maxsize=20_000)
def _bar_stamp(day: date) -> str:
    return str(stamp(midnight(day)))


def _basis(bars: DailyBars) -> Basis:
    """What decides how earlier bars are adjusted: the last factor, and the ratios seen so far."""
    factor = float(bars.adj_close[-1] / bars.close[-1])
    return factor, int(np.count_nonzero(bars.split_ratio != 1.0))


def _texts(bars: DailyBars) -> list[str]:
    """Trade count and mean price are made up: volume / 100 and the typical price."""
    days = bars.sessions.astype(object).tolist()
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    values = zip(days, *(column.tolist() for column in columns), strict=True)
    return [
        f'{{"t":"{_bar_stamp(day)}","o":{opened!r},"h":{high!r},"l":{low!r},"c":{close!r},'
        f'"v":{int(volume)},"n":{int(volume / 100)},"vw":{(high + low + close) / 3!r}}}'
        for day, opened, high, low, close, volume in values
    ]


@dataclass(slots=True)
class _Kept:
    """Texts of the finished bars from position ``first`` on, all on one basis."""

    basis: Basis
    first: int
    texts: list[str]


class BarTexts:
    """The kept texts of one price history."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    def rows(self, bars: DailyBars, adjustment: str, span: range, finished: int) -> list[str]:
        """Texts of the visible ``bars`` at the positions of ``span`` (ascending, step 1).

        The first ``finished`` bars are final; a later one is still changing and never kept.
        """
        if not span:
            return []
        kept = self._kept_for(bars, adjustment, span.start)
        known = kept.first + len(kept.texts)
        ready = min(span.stop, finished)
        if known < ready:
            kept.texts += _texts(adjusted(bars, adjustment).sliced(known, ready))
        found = kept.texts[span.start - kept.first : ready - kept.first]
        if span.stop > finished:
            found += _texts(adjusted(bars, adjustment).sliced(finished, span.stop))
        return found

    def _kept_for(self, bars: DailyBars, adjustment: str, start: int) -> _Kept:
        basis = _basis(bars) if adjustment != "raw" else (1.0, 0)
        kept = self._kept.get((bars.ticker, adjustment))
        if kept is None or kept.basis != basis or not 0 <= start - kept.first <= len(kept.texts):
            kept = _Kept(basis, start, [])
            self._kept[bars.ticker, adjustment] = kept
        return kept


_BY_HISTORY: WeakKeyDictionary[PriceHistory, BarTexts] = WeakKeyDictionary()


def bar_texts(history: PriceHistory) -> BarTexts:
    """The texts kept for ``history``; they last as long as it does."""
    return _BY_HISTORY.setdefault(history, BarTexts())
