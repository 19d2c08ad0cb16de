"""Splits and changes of symbol that the price file does not know: histories as if they had been.

Both begin at the dawn of a day to come. They are part of the book, so that a restarted venue sees
the same market.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Literal

import numpy as np

from livekit.broker.venue.engine.history import PriceHistory, clean_ratio
from livekit.broker.venue.engine.refusals import invalid
from livekit.model import DailyBars

__all__ = ["Intervention", "changed", "parse_ratio"]


@dataclass(frozen=True, slots=True)
class Intervention:
    """From ``day`` on ``ticker`` is split (``value`` "10:1", new to old) or called ``value``."""

    kind: Literal["split", "rename"]
    ticker: str
    day: date
    value: str

    @property
    def text(self) -> str:
        """One line, without a blank inside its parts."""
        return f"{self.kind} {self.ticker} {self.day.isoformat()} {self.value}"

    @classmethod
    def read(cls, text: str) -> Intervention:
        """The inverse of `text`."""
        kind, ticker, day, value = text.split(" ")
        known: Literal["split", "rename"] = "split" if kind == "split" else "rename"
        return cls(known, ticker, date.fromisoformat(day), value)


def parse_ratio(text: str) -> Fraction:
    """A ratio of new to old shares, ``10:1`` or ``1:8``; raises `Refusal` for anything else."""
    new, _, old = text.partition(":")
    if not (new.isdigit() and old.isdigit() and new.isascii() and old.isascii()):
        raise invalid("ratio must be new:old shares")
    if not 0 < int(new) <= 100 or not 0 < int(old) <= 100:
        raise invalid("ratio must lie between 1:100 and 100:1")
    ratio = Fraction(int(new), int(old))
    if clean_ratio(float(ratio)) != ratio:
        raise invalid("ratio is not that of a split")
    return ratio


def changed(history: PriceHistory, interventions: Iterable[Intervention]) -> PriceHistory:
    """``history`` as ``interventions`` leave it; its name (sha256) stays that of the file."""
    bars = {ticker: history.bars(ticker) for ticker in history}
    for one in interventions:
        known = bars[one.ticker]
        first = int(np.searchsorted(known.sessions, np.datetime64(one.day, "D")))
        if first >= len(known.sessions):
            raise invalid(f"{one.ticker} does not trade from {one.day} on")
        if one.kind == "split":
            bars[one.ticker] = _split(known, first, float(parse_ratio(one.value)))
        else:
            bars[one.value] = replace(known.sliced(first, len(known.sessions)), ticker=one.value)
            if first:
                bars[one.ticker] = known.sliced(0, first)
            else:
                del bars[one.ticker]
    return PriceHistory(bars, history.sha256)


def _split(bars: DailyBars, first: int, ratio: float) -> DailyBars:
    """The bars from ``first`` on at new prices; adjusted closes all on the new basis."""
    factor = np.ones(len(bars.sessions))
    factor[first:] = ratio
    ratios = bars.split_ratio.copy()
    ratios[first] *= ratio
    prices = {
        name: np.round(getattr(bars, name) / factor, 4) for name in ("open", "high", "low", "close")
    }
    return replace(
        bars,
        **prices,
        adj_close=bars.adj_close / ratio,
        volume=bars.volume * factor,
        split_ratio=ratios,
    )
