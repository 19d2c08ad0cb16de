"""Daily bars for examples: a day and its prices, nothing else to look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from livekit.model import Candidate, DailyBars, Holding


def bars_of(
    closes: Mapping[str, float],
    *,
    lows: Mapping[str, float] | None = None,
    adj: Mapping[str, float] | None = None,
    ticker: str = "AA",
) -> DailyBars:
    """Bars that open, peak and close at ``closes``; ``lows`` and ``adj`` override single days."""
    days = [date.fromisoformat(day) for day in closes]
    close = np.array(list(closes.values()), dtype=float)
    low = np.array([(lows or {}).get(day, price) for day, price in closes.items()], dtype=float)
    adjusted = np.array([(adj or {}).get(day, price) for day, price in closes.items()], dtype=float)
    nothing = np.zeros(len(days))
    return DailyBars(
        ticker,
        np.array(days, dtype="datetime64[D]"),
        close,
        close,
        low,
        close,
        adjusted,
        nothing,
        nothing,
        nothing + 1.0,
    )


def candidate(
    ticker: str,
    score: float | None = 50.0,
    *,
    grade: str = "B",
    report_date: str = "2020-01-02",
) -> Candidate:
    return Candidate(ticker, date.fromisoformat(report_date), grade, score)


def holding(
    ticker: str = "AA",
    *,
    entered: str = "2020-01-02",
    entry_price: float = 100.0,
    last_close: float = 100.0,
    shares: int = 10,
    score: float | None = 50.0,
    pending: str | None = None,
    evaluated_week: date | None = None,
) -> Holding:
    day = date.fromisoformat(entered)
    return Holding(
        candidate=Candidate(ticker, day, "B", score),
        entry_session=day,
        entry_price=entry_price,
        shares=shares,
        stop_price=entry_price * 0.9,
        last_close=last_close,
        shares_now=shares,
        pending_reason=pending,
        pending_since=day if pending else None,
        evaluated_week=evaluated_week,
    )
