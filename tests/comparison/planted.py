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


# ------------------------------------------------------------------------------ overlapping trades


@dataclass(frozen=True)
class Held:
    """A position of one book: session numbers of entry and exit, and its profit from then on."""

    ticker: str
    entered: int
    left: int
    profit_usd: np.ndarray

    def until(self, count: int) -> MarkedTrade:
        end = min(self.left, count - 1)
        known = days()
        return MarkedTrade(
            self.ticker,
            known[self.entered],
            100.0,
            100,
            float(self.profit_usd[end - self.entered]),
            known[self.left] if self.left < count else None,
        )


@dataclass(frozen=True)
class Overlapping:
    """Two books of up to twenty positions that last for weeks and overlap."""

    sessions: int
    primary: tuple[Held, ...]
    shadow: tuple[Held, ...]

    @property
    def difference(self) -> np.ndarray:
        ahead = self._curve(self.shadow) - self._curve(self.primary)
        return np.diff(ahead, prepend=0.0) / BASE_USD

    def _curve(self, book: tuple[Held, ...]) -> np.ndarray:
        curve = np.zeros(self.sessions)
        for one in book:
            kept = np.append(one.profit_usd, np.full(self.sessions, one.profit_usd[-1]))
            curve[one.entered :] += kept[: self.sessions - one.entered]
        return curve

    def record(self, sessions: int | None = None) -> TwinRecord:
        count = self.sessions if sessions is None else sessions
        books = [
            TwinBook(
                name,
                self._curve(book)[:count],
                tuple(one.until(count) for one in book if one.entered < count),
            )
            for name, book in (("ema_p10", self.primary), ("nwl_p4", self.shadow))
        ]
        return TwinRecord(days()[:count], BASE_USD, *books)


def overlapping(seed: int, *, sessions: int = 252, seasons: bool = False) -> Overlapping:
    """Equal books: prices without drift, and two exits that know nothing of them.

    Positions of 10,000 USD move with a common factor of 1 % and on their own by 2 % a session, and
    are held for 10 to 60 sessions. Three candidates arrive a week; with ``seasons`` all of a
    quarter arrive in its first four weeks, as earnings do.
    """
    chance = np.random.default_rng(seed)
    market = chance.normal(0.0, 0.01, sessions)
    at = np.arange(sessions)
    rate = np.where(at % 63 < 20, 1.9, 0.0) if seasons else np.full(sessions, 0.6)
    books: tuple[list[Held], list[Held]] = ([], [])
    for entered in np.repeat(at[:-1], chance.poisson(rate[:-1])):
        after = market[entered + 1 : entered + 61]
        moves = np.append(1.0, np.cumprod(1 + after + chance.normal(0.0, 0.02, len(after))))
        for book, hold in zip(books, chance.integers(10, 61, 2), strict=True):
            if sum(one.left > entered for one in book) < 20:
                gained = 10_000.0 * (moves[: hold + 1] - 1)
                name = f"T{sum(one.entered == entered for one in book)}"
                book.append(Held(name, int(entered), int(entered + hold), gained))
    return Overlapping(sessions, tuple(books[0]), tuple(books[1]))
