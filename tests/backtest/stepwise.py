"""The same simulation session by session through `settle_session`, as the twins are settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from livekit.backtest import Book, Market, settle_session
from livekit.backtest.prepared import candidates_by_session
from livekit.backtest.settlement import mark_out
from livekit.config import LiveConfig
from livekit.model import Candidate, ClosedTrade, DailyBars
from livekit.sessions import sessions_between
from livekit.strategy.decisions import order_candidates

Mark = tuple[date, float, float, int, float]


def run_stepwise(
    prices: Mapping[str, DailyBars],
    candidates: Iterable[Candidate],
    config: LiveConfig,
    strategy: str,
    **modes: str,
) -> tuple[list[ClosedTrade], list[tuple], list[Mark]]:
    """Trades, skips as (session, ticker, reason), and a mark of the book at each close."""
    first = min(bars.sessions[0] for bars in prices.values()).item()
    last = max(bars.sessions[-1] for bars in prices.values()).item()
    market, due = Market(prices, cut_at=first), candidates_by_session(candidates)
    book, realised = Book(strategy), 0.0
    trades, skips, marks = [], [], []
    for session in sessions_between(first, last):
        ordered = order_candidates(due.get(session, ()), config.min_grade)
        settled = settle_session(book, session, market, ordered, config, **modes)
        book = settled.book
        trades += settled.trades
        skips += [(session, one.candidate.ticker, one.reason) for one in settled.decision.skips]
        realised = round(realised + settled.realised_usd, 2)
        invested = round(sum(one.shares * one.entry_price for one in book.holdings), 4)
        marks.append((session, realised, settled.unrealised_usd, len(book.holdings), invested))
    return [*trades, *mark_out(book, last)], skips, marks
