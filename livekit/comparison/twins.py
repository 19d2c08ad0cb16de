"""The two twin books as the decision reads them: one mark a session, one profit a trade.

Both books are valued at the same closes, open positions less what their exit would cost, so that
the slower rule's winners count on the day of the decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

from livekit.backtest import BacktestResult
from livekit.model import END_OF_DATA, ClosedTrade, FloatArray

__all__ = ["MarkedTrade", "Pair", "TwinBook", "TwinRecord", "marked_trade", "twin_book"]


@dataclass(frozen=True, slots=True)
class MarkedTrade:
    """A trade of a twin; one still open has its profit at the mark less exit costs.

    ``exit_cost_usd`` is the slippage that the fill model charges for leaving, contained in the
    profit.
    """

    ticker: str
    entry_session: date
    entry_price: float
    shares: int
    profit_usd: float
    exit_session: date | None = None
    exit_cost_usd: float = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether the position has left the book."""
        return self.exit_session is not None

    @property
    def lot(self) -> tuple[str, date]:
        """What names a trade in one book: ticker and entry session."""
        return self.ticker, self.entry_session


@dataclass(frozen=True, slots=True)
class TwinBook:
    """One twin: profit in USD since registration at each session's close, and its trades.

    ``profit_usd`` has one value a session of the record, marked less exit costs. ``adjustment``
    says how prices were carried through splits.
    """

    strategy: str
    profit_usd: FloatArray
    trades: tuple[MarkedTrade, ...]
    adjustment: str = "split"

    @property
    def closed(self) -> tuple[MarkedTrade, ...]:
        """The trades that have left."""
        return tuple(trade for trade in self.trades if trade.is_closed)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same entry in both books."""

    primary: MarkedTrade
    shadow: MarkedTrade

    @property
    def is_divergent(self) -> bool:
        """Whether the rules left on different sessions, or only one has left."""
        return self.primary.exit_session != self.shadow.exit_session


@dataclass(frozen=True, slots=True)
class TwinRecord:
    """Both twins over the same sessions, the first being that of the registration."""

    sessions: tuple[date, ...]
    base_usd: float
    primary: TwinBook
    shadow: TwinBook

    @property
    def difference(self) -> FloatArray:
        """Shadow's less primary's change of profit a session, as a fraction of the base."""
        ahead = self.shadow.profit_usd - self.primary.profit_usd
        return np.diff(ahead, prepend=0.0) / self.base_usd

    def returns(self, book: TwinBook) -> FloatArray:
        """Change of the marked equity a session against the session before, as a fraction."""
        equity = np.concatenate(([self.base_usd], self.base_usd + book.profit_usd))
        changes: FloatArray = equity[1:] / equity[:-1] - 1.0
        return changes

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The entries that both books made, in the primary's order."""
        theirs = {trade.lot: trade for trade in self.shadow.trades}
        return tuple(
            Pair(trade, theirs[trade.lot]) for trade in self.primary.trades if trade.lot in theirs
        )

    def problems(self) -> tuple[str, ...]:
        """Why these two books are no twins of one record; empty when they are."""
        count = len(self.sessions)
        marks = [len(book.profit_usd) for book in (self.primary, self.shadow)]
        found = [
            f"{book.strategy} has {held} marks for {count} sessions"
            for book, held in zip((self.primary, self.shadow), marks, strict=True)
            if held != count
        ]
        if self.primary.adjustment != self.shadow.adjustment:
            found.append(
                f"the books carry prices differently: {self.primary.adjustment} against "
                f"{self.shadow.adjustment}"
            )
        found += [
            f"{pair.primary.ticker} of {pair.primary.entry_session} was entered unlike: "
            f"{pair.primary.shares} at {pair.primary.entry_price} against "
            f"{pair.shadow.shares} at {pair.shadow.entry_price}"
            for pair in self.pairs
            if (pair.primary.shares, pair.primary.entry_price)
            != (pair.shadow.shares, pair.shadow.entry_price)
        ]
        return tuple(found)


def marked_trade(trade: ClosedTrade, slippage_pct: float) -> MarkedTrade:
    """A trade of a book; one marked out at the end of data is open and pays its exit here."""
    is_open = trade.exit_reason == END_OF_DATA
    received = trade.exit_price * trade.shares
    # a fill is the price × (1 − slippage), a mark is the price itself
    cost = received * slippage_pct / (100 if is_open else 100 - slippage_pct)
    return MarkedTrade(
        trade.ticker,
        trade.entry_session,
        trade.entry_price,
        trade.shares,
        trade.pnl_usd - (cost if is_open else 0.0),
        None if is_open else trade.exit_session,
        cost,
    )


def twin_book(result: BacktestResult) -> TwinBook:
    """The book of a simulation, as a twin would have been on its last session."""
    curve, slippage_pct = result.recording.curve(), result.config.slippage_pct
    unrealised = np.array([point.unrealised_usd for point in result.curve])
    exit_cost = np.maximum(curve.invested_usd + unrealised, 0.0) * slippage_pct / 100
    return TwinBook(
        result.strategy,
        curve.pnl_usd - exit_cost,
        tuple(_by_entry(marked_trade(trade, slippage_pct) for trade in result.closed)),
        result.adjustment,
    )


def _by_entry(trades: Iterable[MarkedTrade]) -> list[MarkedTrade]:
    return sorted(trades, key=lambda trade: (trade.entry_session, trade.ticker))
