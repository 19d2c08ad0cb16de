"""Short dated examples: bars by day, a book that starts empty, one candidate or two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from livekit.backtest import Book, Market, Settlement, settle_session
from livekit.config import LiveConfig
from livekit.model import Candidate, DailyBars

# One day of a ticker: (day, open, low, close) or with a split ratio or adjusted close behind it.
Day = tuple[str, float, float, float]


def bars(
    ticker: str,
    days: Sequence[Day],
    *,
    splits: dict[str, float] | None = None,
    adj: dict[str, float] | None = None,
) -> DailyBars:
    """Bars of one ticker; adjusted closes equal closes unless ``adj`` says otherwise."""
    names = [day for day, *_ in days]
    prices = np.array([values for _, *values in days], dtype=float).reshape(-1, 3)
    opened, low, close = prices.T
    nothing = np.zeros(len(days))
    return DailyBars(
        ticker,
        np.array(names, dtype="datetime64[D]"),
        opened,
        np.maximum(opened, close),
        low,
        close,
        np.array([(adj or {}).get(day, c) for day, c in zip(names, close, strict=True)]),
        nothing,
        nothing,
        np.array([(splits or {}).get(day, 1.0) for day in names]),
    )


def market(*tickers: DailyBars, cut_at: date | None = None) -> Market:
    return Market({one.ticker: one for one in tickers}, cut_at=cut_at)


def reported(ticker: str, score: float | None = 50.0, day: str = "2020-01-06") -> Candidate:
    return Candidate(ticker, date.fromisoformat(day), "B", score)


def config(**parameters: object) -> LiveConfig:
    return LiveConfig(**({"max_positions": 1, "position_size": 1000.0} | parameters))


def settle_all(
    prices: Market,
    days: Sequence[str],
    candidates: dict[str, list[Candidate]],
    *,
    settings: LiveConfig | None = None,
    strategy: str = "nwl_p1",
    **modes: str,
) -> list[Settlement]:
    """Settle ``days`` in order from an empty book; candidates by day, best first."""
    book, done = Book(strategy), []
    for day in days:
        settled = settle_session(
            book,
            date.fromisoformat(day),
            prices,
            candidates.get(day, []),
            settings or config(),
            **modes,
        )
        done.append(settled)
        book = settled.book
    return done
