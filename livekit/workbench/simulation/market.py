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

__all__ = [
    "QUIET",
    "TICKERS",
    "Walk",
    "after_split",
    "chance_of",
    "extended",
    "gapped_down",
    "history_of",
    "random_walk",
]

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


def after_split(bars: DailyBars, ex_day: date, ratio: float) -> DailyBars:
    """Bars that split ``ratio`` for one at the first one from ``ex_day`` on, if there is one."""
    first = int(np.searchsorted(bars.sessions, np.datetime64(ex_day, "D")))
    if first >= len(bars):
        return bars
    factor = np.ones(len(bars))
    factor[first:] = ratio
    ratios = bars.split_ratio.copy()
    ratios[first] = ratio
    prices = {
        name: np.round(getattr(bars, name) / factor, 2) for name in ("open", "high", "low", "close")
    }
    return replace(bars, **prices, adj_close=bars.adj_close / ratio, split_ratio=ratios)


def gapped_down(bars: DailyBars, session: date, to: float) -> DailyBars:
    """Bars of which that of ``session``, if there is one, lies at ``to`` times its prices."""
    at = bars.index_of(session)
    if at < 0:
        return bars
    prices = {}
    for name in ("open", "high", "low", "close"):
        prices[name] = getattr(bars, name).copy()
        prices[name][at] = _cents(prices[name][at] * to)
    return replace(bars, **prices, adj_close=prices["close"])


def extended(past: DailyBars, later: DailyBars) -> DailyBars:
    """``past`` followed by ``later``; a split in ``later`` moves the adjusted closes of both."""
    if not len(later):
        return past
    before = replace(past, adj_close=past.adj_close / float(np.prod(later.split_ratio)))
    joined = {
        name: np.concatenate([getattr(before, name), getattr(later, name)]) for name in _PRICES
    }
    return DailyBars(past.ticker, np.concatenate([past.sessions, later.sessions]), **joined)


def history_of(bars: Mapping[str, DailyBars], name: str) -> PriceHistory:
    """The bars as a venue's history; ``name`` stands for the hash of a price file."""
    return PriceHistory(bars, hashlib.sha256(name.encode()).hexdigest())
