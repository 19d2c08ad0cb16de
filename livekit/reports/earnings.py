"""On which session the market first traded on a company's results.

A filing date does not tell whether the results came before the open or after the close. The
*earnings session* of a filing is the filing date or the session after it, whichever opened with
the larger absolute gap against the previous adjusted close.

This label is made from both opens, so it **looks ahead by one session**: on the filing date nobody
knew that the next open would gap more. Reports made from it show how the machine works; they are no
evidence of what the strategy earns.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from livekit.errors import BadInput
from livekit.model import DailyBars
from livekit.reports.scoring import opening_gap_pct
from livekit.sessions import is_session, next_session

__all__ = ["BarSource", "EarningsSession", "Filing", "earnings_sessions", "read_filings"]

_COLUMNS = ["ticker", "filing_date"]
_SLACK = timedelta(days=10)  # more than the longest closure around a filing


class BarSource(Protocol):
    """What this room needs of a supplier of prices."""

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """Bars by ticker, oldest first; a ticker without any is absent."""


@dataclass(frozen=True, slots=True)
class Filing:
    """A company filed its results on ``filing_date`` (any day of the week)."""

    ticker: str
    filing_date: date


@dataclass(frozen=True, slots=True)
class EarningsSession:
    """The session that a filing is taken to move, and its opening gap in percent."""

    ticker: str
    filing_date: date
    session: date
    gap_pct: float


def read_filings(path: Path) -> tuple[Filing, ...]:
    """Filings of a CSV file with the columns ``ticker,filing_date``, in its order.

    Raises `BadInput` naming the line when the file is absent or a row is not understood.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_rows(path, csv.reader(file)))
    except OSError as error:
        raise BadInput(path, f"earnings file cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(path, f"earnings file is not CSV text ({error})") from error


def _rows(path: Path, lines: Iterator[list[str]]) -> Iterator[Filing]:
    if next(lines, None) != _COLUMNS:
        raise BadInput(path, f"earnings file must begin with the line {','.join(_COLUMNS)}")
    for number, row in enumerate(lines, start=2):
        try:
            ticker, day = row
            yield Filing(ticker, date.fromisoformat(day))
        except ValueError:
            raise BadInput(path, f"line {number} is no ticker and date: {','.join(row)}") from None


def earnings_sessions(earnings_csv: Path, prices: BarSource) -> tuple[EarningsSession, ...]:
    """The earnings session of each filing, one per ticker and session, in session order.

    A filing is left out when one of its two opens, or the close before it, is not in ``prices``:
    with one open unknown the larger cannot be told. Equal gaps choose the earlier session.
    """
    filings = read_filings(earnings_csv)
    if not filings:
        return ()
    days = [filing.filing_date for filing in filings]
    tickers = sorted({filing.ticker for filing in filings})
    bars = prices.daily_bars(tickers, min(days) - _SLACK, max(days) + _SLACK)
    labels = {
        (label.session, label.ticker): label
        for filing in filings
        if filing.ticker in bars and (label := _label(filing, bars[filing.ticker]))
    }
    return tuple(labels[key] for key in sorted(labels))


def _label(filing: Filing, bars: DailyBars) -> EarningsSession | None:
    day = filing.filing_date
    choices = ([day] if is_session(day) else []) + [next_session(day)]
    indices = [bars.index_of(session) for session in choices]
    if min(indices) < 1:  # no bar, or none before it
        return None
    gaps = [opening_gap_pct(bars, index) for index in indices]
    gap, session = max(zip(gaps, choices, strict=True), key=lambda pair: abs(pair[0]))
    return EarningsSession(filing.ticker, day, session, gap)
