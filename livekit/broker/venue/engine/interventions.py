"""What befalls a ticker beyond the price file: histories as if it had been so.

Everything begins at the dawn of a day to come, and is part of the book, so that a restarted venue
sees the same market.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal, get_args

import numpy as np

from livekit.broker.venue.engine.history import Listing, PriceHistory, clean_ratio
from livekit.broker.venue.engine.refusals import invalid
from livekit.model import DailyBars

__all__ = ["KINDS", "NO_VALUE", "Intervention", "Kind", "changed", "parse_price", "parse_ratio"]

PRICE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,4})?")


Kind = Literal["split", "rename", "reissue", "delist", "merger"]
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
NO_VALUE = "-"


@dataclass(frozen=True, slots=True)
class Intervention:
    """What happens to ``ticker`` at the dawn of ``day``.

    ``split``: ``value`` new to old shares, such as 10:1. ``rename``: it is called ``value``, the
    asset stays. ``reissue``: it is called ``value`` and is a new asset, the old one inactive.
    ``delist``: it cannot be traded any more. ``merger``: shares become ``value`` USD each.
    """

    kind: Kind
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
        return cls(KINDS[kind], ticker, date.fromisoformat(day), value)

    @property
    def is_new_name(self) -> bool:
        """Whether shares and orders pass to another symbol."""
        return self.kind in ("rename", "reissue")


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


def parse_price(text: str) -> Decimal:
    """What a merger pays for a share, USD; raises `Refusal` for anything else."""
    if not PRICE.fullmatch(text) or not Decimal(text):
        raise invalid("the price must be an amount in USD above 0")
    return Decimal(text)


def changed(history: PriceHistory, interventions: Sequence[Intervention]) -> PriceHistory:
    """``history`` as ``interventions`` leave it; its name (sha256) stays that of the file.

    Raises `Refusal` when a ticker does not trade from the day on.
    """
    if not interventions:
        return history
    bars = {ticker: history.bars(ticker) for ticker in history}
    listings = {ticker: _known(history.listing(ticker)) for ticker in history}
    for one in interventions:
        known, listing = bars[one.ticker], listings[one.ticker]
        first = int(np.searchsorted(known.sessions, np.datetime64(one.day, "D")))
        if first >= len(known.sessions) or listing.ended is not None:
            raise invalid(f"{one.ticker} does not trade from {one.day} on")
        if one.kind == "split":
            bars[one.ticker] = _split(known, first, float(parse_ratio(one.value)))
            continue
        bars[one.ticker] = known.sliced(0, first)
        listings[one.ticker] = replace(listing, ended=one.day, stays_known=one.kind != "rename")
        if one.is_new_name:
            asset = listing.asset if one.kind == "rename" else one.value
            bars[one.value] = replace(known, ticker=one.value)
            listings[one.value] = Listing(one.day, asset, from_dawn=True)
    return PriceHistory(bars, history.sha256, listings)


def _known(listing: Listing | None) -> Listing:
    assert listing is not None  # noqa: S101 - a ticker of the history has one
    return listing


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
