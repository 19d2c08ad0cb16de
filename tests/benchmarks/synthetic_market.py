"""A made market of any size: bars of tickers that drift, gap and split, and daily candidates."""

from __future__ import annotations

from datetime import date

import numpy as np

from livekit.model import Candidate, DailyBars
from livekit.sessions import sessions_between

FIRST_DAY = date(2014, 1, 2)
LAST_DAY = date(2028, 12, 29)


def made_market(
    tickers: int, sessions: int, candidates_a_day: int, seed: int = 1
) -> tuple[dict[str, DailyBars], tuple[Candidate, ...]]:
    """Bars of ``tickers`` over ``sessions`` and that many different candidates each session."""
    chance = np.random.default_rng(seed)
    days = sessions_between(FIRST_DAY, LAST_DAY)[:sessions]
    stamps = np.array(days, dtype="datetime64[D]")
    names = [f"T{number:04d}" for number in range(tickers)]
    bars = {name: _bars(chance, name, stamps) for name in names}
    reported = [
        Candidate(names[number], day, "ABCD"[number % 4], float(20 + 5 * chance.integers(0, 17)))
        for day in days
        for number in chance.choice(tickers, candidates_a_day, replace=False)
    ]
    return bars, tuple(reported)


def _bars(chance: np.random.Generator, name: str, stamps: np.ndarray) -> DailyBars:
    n = len(stamps)
    close = np.round(50.0 * np.exp(np.cumsum(chance.normal(0.0003, 0.02, n))), 2) + 1.0
    opened = np.round(np.roll(close, 1) * np.exp(chance.normal(0.0, 0.01, n)), 2)
    opened[0] = close[0]
    high = np.round(np.maximum(opened, close) * (1.0 + np.abs(chance.normal(0, 0.008, n))), 2)
    low = np.round(np.minimum(opened, close) * (1.0 - np.abs(chance.normal(0, 0.008, n))), 2)
    nothing = np.zeros(n)
    return DailyBars(
        name, stamps, opened, high, low, close, close, nothing + 1e6, nothing, nothing + 1.0
    )
