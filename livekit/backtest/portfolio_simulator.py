"""The portfolio simulation: one book carried through every session, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from livekit.backtest.market import Market
from livekit.backtest.results import BacktestResult, EquityPoint, SkippedCandidate
from livekit.backtest.settlement import (
    Adjustment,
    Book,
    Settlement,
    StopFill,
    mark_out,
    require_supported,
    settle_session,
)
from livekit.config import LiveConfig
from livekit.errors import BadInput
from livekit.model import NO_PRICE_DATA, Candidate, ClosedTrade, DailyBars, Skip
from livekit.sessions import session_on_or_after, sessions_between
from livekit.strategy.decisions import order_candidates

__all__ = [
    "Book",
    "Market",
    "PortfolioSimulator",
    "Settlement",
    "candidates_by_session",
    "settle_session",
]


class PortfolioSimulator:
    """Runs one strategy under one configuration over daily bars.

    Every decision is that of `livekit.strategy`; the simulator adds the fills (the session's open
    for entries and exits, stops inside the bar) and the end of data.
    """

    def __init__(
        self,
        config: LiveConfig | None = None,
        strategy: str = "ema_p10",
        *,
        stop_fill: StopFill = "gap_aware",
        adjustment: Adjustment = "split",
    ) -> None:
        self.config = config or LiveConfig()
        self.strategy = strategy
        self.stop_fill = stop_fill
        self.adjustment = adjustment
        require_supported(self.config, stop_fill, adjustment)
        self.config.trailing(strategy)

    def run(
        self,
        prices: Mapping[str, DailyBars],
        candidates: Iterable[Candidate],
        *,
        first: date | None = None,
        last: date | None = None,
    ) -> BacktestResult:
        """Trade ``candidates`` from ``first`` to ``last``; positions left then are marked out.

        Args:
            prices: bars by ticker. The first of them all counts as the day they were asked from:
                a week it cuts is dropped.
            candidates: reported candidates in any order, not merged; one whose session lies
                outside the simulated ones is skipped as `no_price_data`.
            first: first session to trade; default: the first bar's.
            last: last session to trade; default: the last bar's. Later bars are not read.

        Raises:
            BadInput: there are no bars.
        """
        start, end = _span(prices)
        market = Market(prices, cut_at=start)
        sessions = sessions_between(first or start, min(last or end, end))
        due = candidates_by_session(candidates)
        log = _Log(self.config.base_capital_usd)
        book = Book(self.strategy)
        for session in sessions:
            settled = self._settle(book, session, market, due.pop(session, ()))
            log.add(session, settled)
            book = settled.book
        marked = mark_out(book, sessions[-1]) if sessions else ()
        return BacktestResult(
            config=self.config,
            strategy=self.strategy,
            stop_fill=self.stop_fill,
            adjustment=self.adjustment,
            closed=(*log.trades, *marked),
            skips=(*log.skips, *_outside(due, self.config.min_grade)),
            curve=tuple(log.curve),
        )

    def _settle(
        self, book: Book, session: date, market: Market, reported: Sequence[Candidate]
    ) -> Settlement:
        return settle_session(
            book,
            session,
            market,
            order_candidates(reported, self.config.min_grade),
            self.config,
            stop_fill=self.stop_fill,
            adjustment=self.adjustment,
        )


class _Log:
    """What a run remembers of its sessions."""

    def __init__(self, base_capital_usd: float) -> None:
        self.base_capital_usd = base_capital_usd
        self.realised_usd = 0.0
        self.trades: list[ClosedTrade] = []
        self.skips: list[SkippedCandidate] = []
        self.curve: list[EquityPoint] = []

    def add(self, session: date, settled: Settlement) -> None:
        self.trades += settled.trades
        self.skips += [SkippedCandidate(session, skip) for skip in settled.decision.skips]
        self.realised_usd = round(self.realised_usd + settled.realised_usd, 2)
        held = settled.book.holdings
        self.curve.append(
            EquityPoint(
                session=session,
                equity_usd=self.base_capital_usd + self.realised_usd + settled.unrealised_usd,
                realised_usd=self.realised_usd,
                unrealised_usd=settled.unrealised_usd,
                open_positions=len(held),
                invested_usd=sum(one.shares * one.entry_price for one in held),
            )
        )


def candidates_by_session(candidates: Iterable[Candidate]) -> dict[date, list[Candidate]]:
    """Candidates by the session they belong to: that of their report, or the next after it."""
    due: dict[date, list[Candidate]] = {}
    for candidate in candidates:
        due.setdefault(session_on_or_after(candidate.report_date), []).append(candidate)
    return due


def _span(prices: Mapping[str, DailyBars]) -> tuple[date, date]:
    traded = [bars.sessions for bars in prices.values() if len(bars)]
    if not traded:
        raise BadInput("prices", "there are no bars to simulate on")
    first = min(sessions[0] for sessions in traded)
    last = max(sessions[-1] for sessions in traded)
    return first.item(), last.item()


def _outside(due: Mapping[date, Sequence[Candidate]], min_grade: str) -> list[SkippedCandidate]:
    return [
        SkippedCandidate(session, Skip(candidate, NO_PRICE_DATA, "not a simulated session"))
        for session in sorted(due)
        for candidate in order_candidates(due[session], min_grade)
    ]
