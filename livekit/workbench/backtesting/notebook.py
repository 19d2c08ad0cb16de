"""What the cells of ``05_backtest`` call: one run, its tables and charts, its record."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast

from livekit.backtest.breakdowns import GROUPINGS
from livekit.backtest.results import BacktestResult
from livekit.clock import Clock, SystemClock
from livekit.config import LiveConfig, load_profile
from livekit.errors import NotASession
from livekit.workbench.backtesting.charts import equity_chart, scatter_chart, trade_chart
from livekit.workbench.backtesting.inputs import BacktestInputs, load_inputs
from livekit.workbench.backtesting.runs import Checks, Simulation, run_checks, write_record
from livekit.workbench.backtesting.tables import (
    breakdown_table,
    checks_table,
    findings_table,
    metrics_table,
    run_table,
    skips_table,
    trades_table,
)
from livekit.workbench.show import show_chart, show_style, show_table
from livekit.workbench.tables import facts_table

__all__ = ["Backtest", "open_backtest"]


class Backtest:
    """A finished simulation as a notebook shows it."""

    def __init__(
        self,
        simulation: Simulation,
        inputs: BacktestInputs,
        result: BacktestResult,
        clock: Clock,
    ) -> None:
        self.simulation = simulation
        self.inputs = inputs
        self.result = result
        self._clock = clock
        self._checks: Checks | None = None

    def show_figures(self) -> None:
        """What was simulated, every figure of it, and why candidates were not bought."""
        show_table(run_table(self.result, self.inputs))
        show_table(metrics_table(self.result.metrics()))
        show_table(skips_table(self.result))

    def show_equity(self) -> None:
        """The curve of the book and its drawdown."""
        show_chart(equity_chart(self.result))

    def show_scatter(self) -> None:
        """Every trade as a point."""
        show_chart(scatter_chart(self.result.closed))

    def show_breakdowns(self) -> None:
        """The trades by grade, score, gap, reason of the exit and month."""
        for by in GROUPINGS:
            show_table(breakdown_table(self.result.breakdown(by)))

    def show_trades(self, largest: int) -> None:
        """The ``largest`` winners and losers in USD: a table of each, and their candles."""
        ranked = sorted(self.result.closed, key=lambda trade: (trade.pnl_usd, trade.ticker))
        winners = [trade for trade in reversed(ranked) if trade.pnl_usd > 0][:largest]
        losers = [trade for trade in ranked if trade.pnl_usd < 0][:largest]
        show_table(trades_table(winners, "Largest winners"))
        show_table(trades_table(losers, "Largest losers"))
        for trade in (*winners, *losers):
            bars, run = self.inputs.bars[trade.ticker], self.simulation
            show_chart(trade_chart(trade, bars, run.strategy, run.config, run.adjustment))

    def show_checks(self) -> None:
        """Look-ahead, warm-up and data gates."""
        self._checks = run_checks(self.simulation, self.inputs)
        show_table(checks_table(self._checks))
        show_table(findings_table(self._checks))

    def seal(self, record: str) -> None:
        """Write the run's record into the folder ``record``; with "" nothing is written.

        Without a folder it is a person who has the notebook open, and its tables get their style.
        """
        if not record:
            show_style()
            show_table(facts_table("Record", [("record", "not written: no folder was named")]))
            return
        manifest = write_record(
            Path(record), self.result, self.inputs, now=self._clock.now(), checks=self._checks
        )
        show_table(facts_table("Record", [("record", manifest.name)]))


def open_backtest(
    prices: str = "",
    candidates: str = "",
    params: str = "",
    strategy: str = "ema_p10",
    stop_fill: str = "gap_aware",
    adjustment: str = "split",
    mode: str = "portfolio",
    first: str = "",
    last: str = "",
    *,
    clock: Clock | None = None,
) -> Backtest:
    """Read the inputs and simulate; empty texts stand for the packaged data and for no limit.

    Raises `BadInput`, `UnknownParameter`, `UsageError` or `NotASession` when something given is
    not usable.
    """
    config = load_profile(params).trading if params else LiveConfig()
    simulation = Simulation(
        config,
        strategy,
        mode,
        cast("Any", stop_fill),  # the simulator checks both texts
        cast("Any", adjustment),
        _day(first),
        _day(last),
    )
    simulation.simulator()
    inputs = load_inputs(_path(prices), _path(candidates))
    return Backtest(simulation, inputs, simulation.run(inputs), clock or SystemClock())


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise NotASession(repr(text), "not a date of the form YYYY-MM-DD") from None
