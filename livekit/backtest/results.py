"""What a simulation hands back: values, and the same as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from livekit.backtest.breakdowns import Grouping, breakdown
from livekit.backtest.metrics import Metrics, measure
from livekit.backtest.recording import EquityPoint, Recording, SkippedCandidate
from livekit.config import LiveConfig
from livekit.model import Candidate, ClosedTrade

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


@dataclass(frozen=True)
class BacktestResult:
    """Closed trades in the order of their exits, skips and equity by session.

    Positions still open at the end are among the trades as `end_of_data`; the last equity point is
    before that mark and equal to it but for rounding. Values and frames are made at first use.
    """

    config: LiveConfig
    strategy: str
    mode: str
    stop_fill: str
    adjustment: str
    recording: Recording = field(repr=False)

    @property
    def capital_usd(self) -> float:
        """What percentages refer to: the base capital, or what trades without a book required."""
        invested_usd = self.recording.curve().invested_usd
        required_usd = float(invested_usd.max(initial=0.0)) if self.mode == "trade" else 0.0
        return required_usd or self.config.base_capital_usd

    @cached_property
    def closed(self) -> tuple[ClosedTrade, ...]:
        """The finished trades."""
        return self.recording.closed()

    @cached_property
    def skips(self) -> tuple[SkippedCandidate, ...]:
        """The candidates that were not bought."""
        return self.recording.skips()

    @cached_property
    def curve(self) -> tuple[EquityPoint, ...]:
        """The equity at each session's close."""
        return self.recording.points(self.capital_usd)

    @property
    def simulation(self) -> Mapping[str, str]:
        """What was simulated besides the configuration, as a manifest records it."""
        return {
            "strategy": self.strategy,
            "mode": self.mode,
            "stop_fill": self.stop_fill,
            "adjustment": self.adjustment,
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """How much there was of everything, as a manifest records it."""
        return {
            "sessions": len(self.curve),
            "candidates": len(self.closed) + len(self.skips),
            "trades": len(self.closed),
            "skipped": len(self.skips),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know to compare these figures with others."""
        basis = {
            "split": "Trades are on the price basis of their entry session; dividends not counted.",
            "all": "Prices move with adj_close, dividends reinvested; not comparable with live "
            "books, and later data changes earlier rows.",
        }
        return (
            "The reference price of a candidate is the open of the session it enters on.",
            *self._mode_notes(),
            basis[self.adjustment],
        )

    def _mode_notes(self) -> tuple[str, ...]:
        if self.mode != "trade":
            return ()
        return ("Each candidate is traded alone: no places, no rotation, no limit of capital.",)

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

    def metrics(self, capital_usd: float | None = None) -> Metrics:
        """Every figure of the result on ``capital_usd`` (default: that of the result)."""
        return measure(self.closed, self.recording.curve(), capital_usd or self.capital_usd)

    def breakdown(self, by: Grouping) -> pd.DataFrame:
        """The trades in groups, see `breakdown`: grade, score or gap range, reason, month."""
        return breakdown(self.closed, by)


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
