"""What a pass recorded, as the values that the rest of the program speaks in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from livekit.backtest import pass_arrays as at
from livekit.backtest.metrics import Curve
from livekit.backtest.pass_arrays import IntArray, Ledger, Marks
from livekit.backtest.prepared import PreparedCandidates
from livekit.backtest.session_pass import REASONS
from livekit.backtest.settlement import SPIN_OFF_REINVESTED
from livekit.model import NO_PRICE_DATA, Candidate, ClosedTrade, Skip
from livekit.strategy import rules
from livekit.strategy.decisions import SKIP_REASONS

__all__ = ["EquityPoint", "Recording", "SkippedCandidate"]

_NOT_SIMULATED = "not a simulated session"


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
class Recording:
    """Arrays of a finished pass; sessions ``begin`` to ``end`` (exclusive) were simulated."""

    sessions: tuple[date, ...]
    begin: int
    end: int
    prepared: PreparedCandidates
    ledger: Ledger
    marks: Marks

    def curve(self) -> Curve:
        """The daily curve for `metrics.measure`."""
        part, marks = slice(self.begin, self.end), self.marks
        return Curve(
            sessions=self.sessions[part],
            pnl_usd=marks.realised_usd[part] + marks.unrealised_usd[part],
            invested_usd=marks.invested_usd[part],
            open_positions=marks.open_positions[part],
        )

    def closed(self) -> tuple[ClosedTrade, ...]:
        """Trades by exit: session, step of the session, ticker."""
        whole, real = self.ledger
        codes = whole[:, at.CODE]
        entered = np.flatnonzero((codes >= 0) & (codes <= rules.ROTATE_IN))
        order = entered[self._exit_order(entered)]
        rows = zip(order.tolist(), whole[order].tolist(), real[order].tolist(), strict=True)
        return tuple(self._trade(*row) for row in rows)

    def _exit_order(self, entered: IntArray) -> IntArray:
        whole, ticker = self.ledger.whole[entered], self.prepared.reports.ticker[entered]
        order: IntArray = np.lexsort((ticker, whole[:, at.STEP], whole[:, at.EXIT_SESSION]))
        return order

    def _trade(self, number: int, whole: list[int], real: list[float]) -> ClosedTrade:
        entry_session = self.sessions[whole[at.ENTRY_SESSION]]
        exit_session = self.sessions[whole[at.EXIT_SESSION]]
        return ClosedTrade(
            candidate=self.prepared.candidates[number],
            entry_session=entry_session,
            entry_price=real[at.PAID_PRICE],
            shares=whole[at.BOUGHT],
            exit_session=exit_session,
            exit_price=real[at.EXIT_PRICE],
            exit_reason=REASONS[whole[at.REASON]],
            pnl_usd=real[at.GAIN_USD],
            return_pct=real[at.RETURN_PCT],
            hold_days=(exit_session - entry_session).days,
            flags=(SPIN_OFF_REINVESTED,) if whole[at.FLAGGED] else (),
        )

    def skips(self) -> tuple[SkippedCandidate, ...]:
        """Skips by session in the candidates' order, then those without a simulated session."""
        codes = self.ledger.whole[:, at.CODE].tolist()
        days, candidates = self.prepared.sessions, self.prepared.candidates
        known = [
            SkippedCandidate(days[number], Skip(candidates[number], SKIP_REASONS[code]))
            for number, code in enumerate(codes)
            if code > rules.ROTATE_IN
        ]
        return (*known, *(self._outside(codes)))

    def _outside(self, codes: list[int]) -> Iterator[SkippedCandidate]:
        days, candidates = self.prepared.sessions, self.prepared.candidates
        never: list[tuple[date, Candidate]] = [
            (days[number], candidates[number]) for number, code in enumerate(codes) if code < 0
        ]
        for session, candidate in sorted((*never, *self.prepared.outside), key=lambda one: one[0]):
            yield SkippedCandidate(session, Skip(candidate, NO_PRICE_DATA, _NOT_SIMULATED))

    def points(self, base_capital_usd: float) -> tuple[EquityPoint, ...]:
        """The equity at each close."""
        part, marks = slice(self.begin, self.end), self.marks
        rows = zip(
            self.sessions[part],
            marks.realised_usd[part].tolist(),
            marks.unrealised_usd[part].tolist(),
            marks.open_positions[part].tolist(),
            marks.invested_usd[part].tolist(),
            strict=True,
        )
        return tuple(
            EquityPoint(
                session=session,
                equity_usd=base_capital_usd + realised_usd + unrealised_usd,
                realised_usd=realised_usd,
                unrealised_usd=unrealised_usd,
                open_positions=held,
                invested_usd=invested_usd,
            )
            for session, realised_usd, unrealised_usd, held, invested_usd in rows
        )
