"""What a simulation hands back: values, and the same as frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd

from livekit.config import LiveConfig
from livekit.model import Candidate, ClosedTrade, Skip

__all__ = ["BacktestResult", "EquityPoint", "SkippedCandidate"]

_TRADE_COLUMNS = (
    "ticker",
    "entry_session",
    "entry_price",
    "shares",
    "exit_session",
    "exit_price",
    "exit_reason",
    "pnl_usd",
    "return_pct",
    "hold_days",
)
_CANDIDATE_COLUMNS = ("report_date", "score", "grade", "gap_size", "price", "company_name")
_SKIP_COLUMNS = ("session", "ticker", "reason", "detail")
_EQUITY_COLUMNS = (
    "session",
    "equity_usd",
    "realised_usd",
    "unrealised_usd",
    "open_positions",
    "invested_usd",
)
_SESSION_COLUMNS = ("session", "entry_session", "exit_session", "report_date")
_NUMBER_COLUMNS = ("score", "gap_size", "price")


@dataclass(frozen=True, slots=True)
class SkippedCandidate:
    """A candidate that was not bought on its session."""

    session: date
    skip: Skip


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """A book at the close of a session, in USD.

    ``equity_usd`` is the base capital with realised (so far) and unrealised profit;
    ``invested_usd`` what the open positions cost.
    """

    session: date
    equity_usd: float
    realised_usd: float
    unrealised_usd: float
    open_positions: int
    invested_usd: float


@dataclass(frozen=True)
class BacktestResult:
    """Closed trades in the order of their exits, skips and equity by session.

    Positions still open at the end are among the trades as `end_of_data`; the last equity point is
    before that mark and equal to it but for rounding.
    """

    config: LiveConfig
    strategy: str
    stop_fill: str
    adjustment: str
    closed: tuple[ClosedTrade, ...]
    skips: tuple[SkippedCandidate, ...]
    curve: tuple[EquityPoint, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know to compare these figures with others."""
        basis = {
            "split": "Trades are on the price basis of their entry session; dividends not counted.",
            "all": "Prices move with adj_close, dividends reinvested; not comparable with live "
            "books, and later data changes earlier rows.",
        }
        return (
            "The reference price of a candidate is its session's open.",
            basis[self.adjustment],
        )

    @cached_property
    def trades(self) -> pd.DataFrame:
        """One row a trade: its columns, the candidate's, and ``flags``."""
        columns = (*_TRADE_COLUMNS, *_CANDIDATE_COLUMNS, "flags")
        return _frame([_trade_row(trade) for trade in self.closed], columns)

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """One row a candidate that was not bought, with ``reason``."""
        columns = (*_SKIP_COLUMNS, *_CANDIDATE_COLUMNS)
        return _frame([_skip_row(skipped) for skipped in self.skips], columns)

    @cached_property
    def equity(self) -> pd.DataFrame:
        """One row a session, at its close."""
        rows = [tuple(getattr(point, name) for name in _EQUITY_COLUMNS) for point in self.curve]
        return _frame(rows, _EQUITY_COLUMNS)


def _trade_row(trade: ClosedTrade) -> tuple[Any, ...]:
    own = tuple(getattr(trade, name) for name in _TRADE_COLUMNS)
    return (*own, *_candidate_row(trade.candidate), ", ".join(trade.flags))


def _skip_row(skipped: SkippedCandidate) -> tuple[Any, ...]:
    skip = skipped.skip
    own = (skipped.session, skip.candidate.ticker, skip.reason, skip.detail)
    return (*own, *_candidate_row(skip.candidate))


def _candidate_row(candidate: Candidate) -> tuple[Any, ...]:
    return tuple(getattr(candidate, name) for name in _CANDIDATE_COLUMNS)


def _frame(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame.from_records(list(rows), columns=list(columns))
    for name in set(columns) & set(_SESSION_COLUMNS):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    for name in set(columns) & set(_NUMBER_COLUMNS):
        frame[name] = frame[name].astype("float64")
    return frame
