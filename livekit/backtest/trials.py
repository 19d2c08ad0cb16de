"""Configurations to try: one trial, and the space that a sweep spans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from itertools import product
from typing import Literal

from livekit.backtest.engine import Engine, compiled_engine
from livekit.backtest.modes import simulator_class
from livekit.backtest.prepared import PreparedCandidates, PreparedMarket
from livekit.backtest.results import BacktestResult
from livekit.backtest.settlement import Adjustment, StopFill
from livekit.config import LiveConfig
from livekit.errors import UnknownParameter
from livekit.model import Candidate

__all__ = ["Mode", "Space", "Trial", "Workload"]

Mode = Literal["portfolio", "trade", "trades"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration: what differs from the base, and which candidates it takes.

    ``min_gap_pct`` and ``min_score`` drop candidates below them and those without the figure; None
    takes all.
    """

    strategy: str = "ema_p10"
    transition_weeks: int = 2
    stop_loss_pct: float = 10.0
    stop_mode: str = "intraday"
    stop_fill: StopFill = "gap_aware"
    min_grade: str = "D"
    min_gap_pct: float | None = None
    min_score: float | None = None
    max_holding_days: int | None = None
    rotation: bool = True

    @property
    def key(self) -> str:
        """A name that the same trial always has."""
        body = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:16]

    def config(self, base: LiveConfig) -> LiveConfig:
        """``base`` with this trial's parameters; raises `UnknownParameter` for impossible ones."""
        return replace(
            base,
            trailing_transition_weeks=self.transition_weeks,
            stop_loss_pct=self.stop_loss_pct,
            stop_mode=self.stop_mode,
            min_grade=self.min_grade,
            max_holding_days=self.max_holding_days,
            rotation=self.rotation,
        )

    def takes(self, candidate: Candidate) -> bool:
        """Whether the entry filters let a candidate through (the grade is checked elsewhere)."""
        bounds = ((self.min_gap_pct, candidate.gap_size), (self.min_score, candidate.score))
        return all(
            least is None or (value is not None and value >= least) for least, value in bounds
        )


@dataclass(frozen=True, slots=True)
class Space:
    """Values to combine, each with each; the fields are those of `Trial`."""

    strategy: tuple[str, ...] = ("ema_p10",)
    transition_weeks: tuple[int, ...] = (2,)
    stop_loss_pct: tuple[float, ...] = (10.0,)
    stop_mode: tuple[str, ...] = ("intraday",)
    stop_fill: tuple[StopFill, ...] = ("gap_aware",)
    min_grade: tuple[str, ...] = ("D",)
    min_gap_pct: tuple[float | None, ...] = (None,)
    min_score: tuple[float | None, ...] = (None,)
    max_holding_days: tuple[int | None, ...] = (None,)
    rotation: tuple[bool, ...] = (True,)

    def trials(self) -> tuple[Trial, ...]:
        """Every combination once, in the order of the fields; raises when a field is empty."""
        names = [field.name for field in fields(self)]
        empty = [f"{name} has no value" for name in names if not getattr(self, name)]
        if empty:
            raise UnknownParameter("sweep", empty)
        found = product(*(getattr(self, name) for name in names))
        return tuple(dict.fromkeys(Trial(*values) for values in found))


@dataclass(frozen=True)
class Workload:
    """Everything that a worker needs to run any trial; sent to it once."""

    market: PreparedMarket
    candidates: tuple[Candidate, ...]
    base: LiveConfig
    mode: Mode = "portfolio"
    adjustment: Adjustment = "split"

    def runner(self, engine: Engine | None = None) -> Callable[..., BacktestResult]:
        """A function of a trial, and optionally of its first and last session.

        Candidates are laid out once for each set of entry filters.
        """
        own, engine = _writable(self.market), engine or compiled_engine()
        laid_out: dict[object, PreparedCandidates] = {}

        def run(
            trial: Trial, *, first: date | None = None, last: date | None = None
        ) -> BacktestResult:
            simulator = simulator_class(self.mode)(
                trial.config(self.base),
                trial.strategy,
                stop_fill=trial.stop_fill,
                adjustment=self.adjustment,
            )
            filters = (trial.min_grade, trial.min_gap_pct, trial.min_score)
            if filters not in laid_out:
                kept = [one for one in self.candidates if trial.takes(one)]
                laid_out[filters] = simulator.prepare(own, kept)
            return simulator.run_prepared(
                own, laid_out[filters], first=first, last=last, engine=engine
            )

        return run

    def check(self, trials: Iterable[Trial]) -> None:
        """Raise `UnknownParameter` for the first trial that no simulator would accept."""
        for trial in trials:
            config = trial.config(self.base)
            simulator_class(self.mode)(
                config, trial.strategy, stop_fill=trial.stop_fill, adjustment=self.adjustment
            )


def _writable(market: PreparedMarket) -> PreparedMarket:
    """Arrays that came over a wire may be read-only, which would be compiled for anew."""
    if market.bars.flags.writeable:
        return market
    return PreparedMarket(
        sessions=market.sessions,
        tickers=market.tickers,
        bars=market.bars.copy(),
        counts=market.counts.copy(),
        first_week=market.first_week.copy(),
        week_close=market.week_close.copy(),
        week_low=market.week_low.copy(),
    )
