"""What both simulators share: modes are checked, arrays laid out, a pass is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import ClassVar

from livekit.backtest.engine import Engine, engine_for
from livekit.backtest.pass_arrays import Settings, new_book, new_ledger, new_marks, settings_of
from livekit.backtest.prepared import (
    PreparedCandidates,
    PreparedMarket,
    prepare_candidates,
    prepare_market,
)
from livekit.backtest.recording import Recording
from livekit.backtest.results import BacktestResult
from livekit.backtest.settlement import (
    ENTRY_MODES,
    NEXT_OPEN,
    Adjustment,
    StopFill,
    require_supported,
)
from livekit.config import LiveConfig
from livekit.model import Candidate, DailyBars

__all__ = ["Simulator"]


class Simulator:
    """Runs one strategy under one configuration over daily bars; a subclass says in which books.

    Every decision is that of `livekit.strategy`; a simulator adds the fills (the session's open
    for entries and exits, stops inside the bar) and the end of data.
    """

    mode: ClassVar[str]
    entry_modes: ClassVar[tuple[str, ...]] = ENTRY_MODES

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
        require_supported(self.config, stop_fill, adjustment, self.entry_modes)
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
        reported = tuple(candidates)
        market = prepare_market(prices, {one.ticker for one in reported}, first=first)
        return self.run_prepared(market, self.prepare(market, reported), first=first, last=last)

    def prepare(
        self, market: PreparedMarket, candidates: Iterable[Candidate]
    ) -> PreparedCandidates:
        """Lay ``candidates`` out for `run_prepared`, as ``min_grade`` and ``entry_mode`` say."""
        next_open = self.config.entry_mode == NEXT_OPEN
        return prepare_candidates(market, candidates, self.config.min_grade, next_open=next_open)

    def run_prepared(
        self,
        market: PreparedMarket,
        candidates: PreparedCandidates,
        *,
        first: date | None = None,
        last: date | None = None,
        engine: Engine | None = None,
    ) -> BacktestResult:
        """As `run`, on a market and candidates laid out once for many runs."""
        engine = engine or engine_for(len(market.sessions) * self.config.max_positions)
        begin, end = _session_range(market, first, last)
        ledger = new_ledger(len(candidates.candidates))
        marks = new_marks(len(market.sessions))
        settings = settings_of(self.config, self.stop_fill, self.adjustment)
        settings, places = self._sized(settings, len(candidates.candidates))
        self._pass(engine)(
            market.prices(self.strategy, engine),
            candidates.reports,
            settings,
            begin,
            end,
            new_book(places, len(market.tickers)),
            ledger,
            marks,
        )
        return BacktestResult(
            config=self.config,
            strategy=self.strategy,
            mode=self.mode,
            stop_fill=self.stop_fill,
            adjustment=self.adjustment,
            recording=Recording(market.sessions, begin, end, candidates, ledger, marks),
        )

    def _sized(self, settings: Settings, candidates: int) -> tuple[Settings, int]:
        """Settings for so many candidates, and the positions that are open at a time."""
        del candidates
        return settings, settings.max_positions

    def _pass(self, engine: Engine) -> Callable[..., None]:
        return engine.trade_book


def _session_range(
    market: PreparedMarket, first: date | None, last: date | None
) -> tuple[int, int]:
    """Numbers of the first session to trade and of the one after the last."""
    chosen = [
        number
        for number, session in enumerate(market.sessions)
        if (first is None or session >= first) and (last is None or session <= last)
    ]
    return (chosen[0], chosen[-1] + 1) if chosen else (0, 0)
