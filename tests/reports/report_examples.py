"""Bars and pages that the tests of this room share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from livekit.model import DailyBars
from livekit.reports.writer import report_name
from livekit.sessions import sessions_between

DAY = date(2020, 3, 18)


def bars_until(
    last: date,
    closes: Sequence[float],
    *,
    volumes: Sequence[float] | float = 1000.0,
    ticker: str = "ACME",
) -> DailyBars:
    """Bars that end on ``last``, one a session, opening where they close, nothing adjusted."""
    count = len(closes)
    sessions = sessions_between(date(2015, 1, 2), last)[-count:]
    prices = np.array(closes, dtype=float)
    volume = np.full(count, volumes) if isinstance(volumes, float) else np.array(volumes)
    zeros, ones = np.zeros(count), np.ones(count)
    stamps = np.array(sessions, dtype="datetime64[D]")
    return DailyBars(
        ticker,
        stamps,
        prices.copy(),
        prices.copy(),
        prices.copy(),
        prices,
        prices.copy(),
        volume.astype(float),
        zeros,
        ones,
    )


class FixedPrices:
    """A supplier of prices that knows a few tickers."""

    def __init__(self, *bars: DailyBars) -> None:
        self._bars = {history.ticker: history for history in bars}

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """The known bars in the range."""
        begin = {t: self._bars[t] for t in tickers if t in self._bars}
        cut = {
            ticker: bars.until(last).sliced(int(np.searchsorted(bars.sessions, first)), len(bars))
            for ticker, bars in begin.items()
        }
        return {ticker: bars for ticker, bars in cut.items() if len(bars)}


def saved(folder: Path, page: str | bytes, day: date = DAY) -> Path:
    """The page as the report of ``day``."""
    path = folder / report_name(day)
    path.write_bytes(page.encode() if isinstance(page, str) else page)
    return path


def page_of(*blocks: str, title: str = "Earnings report - March 18, 2020") -> str:
    """A whole page around some blocks of the body."""
    body = "".join(blocks)
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>Gap-ups</h1>{body}</body></html>"
    )


def metric(label: str, value: str) -> str:
    """A label above its value."""
    return f"<div><div>{label}</div><div>{value}</div></div>"


def labelled_card(
    ticker: str = "ADCT",
    name: str = "ADC Therapeutics SA",
    *,
    score: str = "74",
    price: str = "$4.40",
    gap: str = "+4.02%",
    more: str = "",
) -> str:
    """A card whose values have labels and whose grade is the section's."""
    head = f"<div><div>{ticker}</div><div>{name}</div></div>"
    total = f"<div><div>{score}</div><div>/ 100 pts</div></div>"
    factors = metric("Gap (25%)", "3/5") + metric("MA50 (10%)", "5/5")
    figures = metric("Price", price) + metric("Gap Size", gap) + metric("20D Trend", "+6.02%")
    return f"<article><div>{head}{total}</div>{figures}{factors}{more}</article>"


def badge_card(
    ticker: str = "OVID",
    name: str = "Ovid Therapeutics Inc",
    *,
    grade: str = "C",
    score: str = "61.3",
    price: str = "$2.29",
    gap: str = "+13.93%",
) -> str:
    """A card with a badge, a bare price, the gap above its label and the total at the end."""
    head = f"<div><b>{ticker}</b><i>{name}</i><i>Healthcare - Biotechnology</i></div>"
    figures = f"<div><div>{price}</div><div><b>{gap}</b><i>Gap Size</i></div></div>"
    total = metric("Total Backtest Score", score)
    return f"<div><div>{head}<div>{grade}</div></div>{figures}{total}</div>"


def section(grade: str, *cards: str) -> str:
    """Cards below the heading of their grade."""
    head = f"<div><span>{grade}</span><h2>{grade}-Grade Stocks</h2></div>"
    return f"<section>{head}<div>{''.join(cards)}</div></section>"


NOTHING = "<section><h2>No Qualifying Stocks Found Today</h2><p>It was quiet.</p></section>"
LEGEND = (
    "<section><h3>Grade legend</h3>"
    + "".join(
        f"<div><span>{grade}</span><span>{text}</span></div>"
        for grade, text in (
            ("A", "85+ points - 70%+ success rate"),
            ("B", "70-84 points - 55-69% success rate"),
            ("C", "55-69 points - 40-54% success rate"),
            ("D", "54 points or below"),
        )
    )
    + "</section>"
)
