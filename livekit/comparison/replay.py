"""The backtest over recorded days: the simulator's step, fed with what each day stored. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from livekit.backtest import Book, Market, settle_session
from livekit.backtest.settlement import mark_out
from livekit.config import LiveConfig
from livekit.model import Candidate, ClosedTrade, DailyBars, Holding

__all__ = ["RecordedDay", "Replay", "ReplayMark", "replay_days"]

Bars = Callable[[tuple[str, ...]], Mapping[str, DailyBars]]


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """One session as it was recorded.

    ``bars`` answers with the bars that were kept, from the look-back window of the session up to
    it; ``config`` is the configuration of that day.
    """

    session: date
    candidates: tuple[Candidate, ...]
    bars: Bars
    config: LiveConfig


@dataclass(frozen=True, slots=True)
class ReplayMark:
    """The book after a session; money in USD, ``realised_usd`` since the first session."""

    session: date
    realised_usd: float
    unrealised_usd: float
    positions: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What the step made of the days: trades in the order of their exits, then the open ones.

    ``marked_out`` are the positions left, at their last closes. ``skips`` maps ticker and session
    of a candidate that was not bought to the reason.
    """

    strategy: str
    closed: tuple[ClosedTrade, ...]
    marked_out: tuple[ClosedTrade, ...]
    marks: tuple[ReplayMark, ...]
    skips: Mapping[tuple[str, date], str]

    @property
    def trades(self) -> tuple[ClosedTrade, ...]:
        """All trades of the stretch."""
        return (*self.closed, *self.marked_out)


def replay_days(
    days: Iterable[RecordedDay], strategies: Sequence[str], config: LiveConfig | None = None
) -> tuple[Replay, ...]:
    """Carry an empty book of each strategy through ``days``, oldest first and none left out.

    Args:
        days: the recorded sessions from registration on; read once.
        strategies: whose books they are.
        config: one configuration for all days; default: each day's own.
    """
    books = [_Carried(strategy) for strategy in strategies]
    for day in days:
        settings = config or day.config
        held = {one.ticker for book in books for one in book.held}
        tickers = held | {one.ticker for one in day.candidates}
        cut_at = day.session - timedelta(days=settings.fmp_lookback_days)
        market = Market(day.bars(tuple(sorted(tickers))), cut_at=cut_at)
        for book in books:
            book.settle(day, market, settings)
    return tuple(book.replay() for book in books)


class _Carried:
    """One book on its way through the days."""

    def __init__(self, strategy: str) -> None:
        self.held: tuple[Holding, ...] = ()
        self._strategy = strategy
        self._closed: list[ClosedTrade] = []
        self._marks: list[ReplayMark] = []
        self._skips: dict[tuple[str, date], str] = {}
        self._realised = 0.0

    def settle(self, day: RecordedDay, market: Market, config: LiveConfig) -> None:
        book = Book(self._strategy, self.held)
        settled = settle_session(book, day.session, market, day.candidates, config)
        self.held = settled.book.holdings
        self._closed += settled.trades
        self._realised += settled.realised_usd
        self._marks.append(
            ReplayMark(day.session, self._realised, settled.unrealised_usd, len(self.held))
        )
        for skip in settled.decision.skips:
            self._skips[skip.candidate.ticker, day.session] = skip.reason

    def replay(self) -> Replay:
        book = Book(self._strategy, self.held)
        left = mark_out(book, self._marks[-1].session) if self._marks else ()
        return Replay(self._strategy, tuple(self._closed), left, tuple(self._marks), self._skips)
