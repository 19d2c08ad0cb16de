"""Worlds with a known answer: two books whose daily difference is planted.

Each book opens two positions a week and closes them at its end; every profit of a session is split
between them, so that trades and marks tell one story.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import groupby

import numpy as np

from livekit.comparison.twins import MarkedTrade, TwinBook, TwinRecord
from livekit.sessions import sessions_between

BASE_USD = 200_000.0
FIRST = date(2018, 1, 2)


@cache
def days() -> tuple[date, ...]:
    return sessions_between(FIRST, date(2020, 12, 31))


@dataclass(frozen=True)
class Planted:
    """Daily profit of the two slots of each book, as fractions of the base: ``(sessions, 2)``."""

    primary: np.ndarray
    shadow: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        return (self.shadow - self.primary).sum(axis=1)

    def record(self, sessions: int | None = None) -> TwinRecord:
        count = len(self.primary) if sessions is None else sessions
        return TwinRecord(
            days()[:count],
            BASE_USD,
            _book("ema_p10", self.primary[:count]),
            _book("nwl_p4", self.shadow[:count]),
        )


def _book(strategy: str, slots: np.ndarray) -> TwinBook:
    profit = BASE_USD * slots.sum(axis=1).cumsum()
    return TwinBook(strategy, profit, tuple(_trades(BASE_USD * slots)))


def _trades(slots_usd: np.ndarray) -> list[MarkedTrade]:
    known = days()[: len(slots_usd)]
    trades = []
    for _, numbers in groupby(range(len(known)), key=lambda at: known[at].isocalendar()[:2]):
        week = list(numbers)
        last = week[-1] == len(known) - 1
        trades += [
            MarkedTrade(
                f"T{slot}",
                known[week[0]],
                100.0,
                100,
                float(slots_usd[week, slot].sum()),
                None if last else known[week[-1]],
            )
            for slot in (0, 1)
        ]
    return trades


def planted(
    seed: int,
    *,
    sessions: int = 252,
    advantage_bps: float = 0.0,
    sd_bps: float = 39.0,
    autoregression: float = 0.0,
    tails: float | None = None,
    drift_bps: float = 5.0,
) -> Planted:
    """Books with a common daily profit and a difference of the given mean and spread.

    ``tails`` are the degrees of freedom of a t distribution instead of the normal one; the spread
    of the difference is ``sd_bps`` for any of them.
    """
    chance = np.random.default_rng(seed)
    common = chance.normal(drift_bps, 100.0, (sessions, 2)) / 2e4
    noise = _noise(chance, sessions, autoregression, tails)
    gap = (advantage_bps + sd_bps * noise) / 2e4
    return Planted(common - gap[:, None] / 2, common + gap[:, None] / 2)


def _noise(
    chance: np.random.Generator, sessions: int, autoregression: float, tails: float | None
) -> np.ndarray:
    burn = 50
    count = sessions + burn
    if tails is None:
        drawn = chance.normal(size=count)
    else:
        drawn = chance.standard_t(tails, size=count) / np.sqrt(tails / (tails - 2))
    for at in range(1, count):
        drawn[at] += autoregression * drawn[at - 1]
    return drawn[burn:] * np.sqrt(1 - autoregression**2)
