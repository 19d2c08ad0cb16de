"""Small random markets: daily bars that gap, split and pause, made from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from random import Random

import numpy as np

from livekit.broker.venue.engine.history import PriceHistory
from livekit.model import DailyBars

__all__ = ["QUIET", "TICKERS", "Walk", "chance_of", "extended", "history_of", "random_walk"]

TICKERS = ("AAA", "BBB", "BRK.B", "CCC", "DDD", "EEE", "FFF", "GGG")

_PRICES = ("open", "high", "low", "close", "adj_close", "volume", "dividend_usd", "split_ratio")


@dataclass(frozen=True, slots=True)
class Walk:
    """How restless a walk is. Percents are of the price; chances are per bar."""

    gap_pct: float
    move_pct: float
    crash_chance: float
    missing_chance: float


def chance_of(name: str) -> Random:
    """Chance that is the same for the same name, in any process."""
    return Random(name)  # noqa: S311 - days are to be played again, not to be unpredictable


QUIET = Walk(gap_pct=1.0, move_pct=1.5, crash_chance=0.0, missing_chance=0.0)


def random_walk(
    chance: Random, ticker: str, sessions: Sequence[date], close: float, walk: Walk
) -> DailyBars:
    """Bars of one ticker from its last ``close`` (USD) on; a missing bar leaves its session out."""
    rows: list[tuple[date, float, float, float, float]] = []
    for session in sessions:
        if chance.random() < walk.missing_chance:
            continue
        rows.append((session, *_bar(chance, close, walk)))
        close = rows[-1][4]
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    open_, high, low, last = (np.asarray(column, dtype=np.float64) for column in columns[1:])
    one = np.ones(len(rows))
    days = np.asarray(columns[0], dtype="datetime64[D]")
    return DailyBars(ticker, days, open_, high, low, last, last, one * 1_000_000, one * 0.0, one)


def _bar(chance: Random, close: float, walk: Walk) -> tuple[float, float, float, float]:
    gap = chance.gauss(0.0, walk.gap_pct)
    if chance.random() < walk.crash_chance:
        gap = -chance.uniform(8.0, 35.0)
    open_ = _cents(close * (1 + gap / 100))
    last = _cents(open_ * (1 + chance.gauss(0.0, walk.move_pct) / 100))
    low = _cents(min(open_, last) * (1 - abs(chance.gauss(0.0, walk.move_pct)) / 100))
    high = _cents(max(open_, last) * (1 + abs(chance.gauss(0.0, walk.move_pct)) / 100))
    return open_, high, low, last


def _cents(price: float) -> float:
    return round(max(2.0, price), 2)


def extended(past: DailyBars, later: DailyBars, split: float = 1.0) -> DailyBars:
    """``past`` followed by ``later``, whose first bar is the ex-date of a split of ``split``."""
    if not len(later):
        return past
    ratio = later.split_ratio.copy()
    ratio[0] = split
    on_new_basis = {
        name: np.round(getattr(later, name) / split, 2) for name in ("open", "high", "low", "close")
    }
    later = replace(later, **on_new_basis, adj_close=on_new_basis["close"], split_ratio=ratio)
    before = replace(past, adj_close=past.adj_close / split)
    joined = {
        name: np.concatenate([getattr(before, name), getattr(later, name)]) for name in _PRICES
    }
    return DailyBars(past.ticker, np.concatenate([past.sessions, later.sessions]), **joined)


def history_of(bars: Mapping[str, DailyBars], name: str) -> PriceHistory:
    """The bars as a venue's history; ``name`` stands for the hash of a price file."""
    return PriceHistory(bars, hashlib.sha256(name.encode()).hexdigest())
