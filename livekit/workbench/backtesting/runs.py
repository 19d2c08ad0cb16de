"""A backtest as one run: simulated, checked, and its record written to a folder.

The folder holds ``trades.csv``, ``skipped.csv``, ``equity.csv``, with checks ``findings.csv``, and
``run_manifest.json``, which is written last and names the others by hash: a folder without it is
not a finished run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from livekit.backtest.checks import LookAhead, WarmUp, check_look_ahead, check_warm_up
from livekit.backtest.data_gates import Finding, check_data, findings_frame
from livekit.backtest.manifest import file_sha256, write_manifest
from livekit.backtest.modes import simulator_class
from livekit.backtest.results import BacktestResult
from livekit.backtest.settlement import Adjustment, StopFill
from livekit.backtest.simulator import Simulator
from livekit.config import LiveConfig
from livekit.errors import PathUnusable, UsageError
from livekit.files import write_whole
from livekit.workbench.backtesting.inputs import BacktestInputs

__all__ = [
    "LOOKS_AHEAD",
    "MANIFEST",
    "Checks",
    "Simulation",
    "run_checks",
    "write_files",
    "write_record",
]

MANIFEST = "run_manifest.json"
LOOKS_AHEAD = "the result depends on data that come after it"
_PUBLIC_FILE = 0o644


@dataclass(frozen=True, slots=True)
class Simulation:
    """What to simulate: a strategy under a configuration, from one session to another."""

    config: LiveConfig = field(default_factory=LiveConfig)
    strategy: str = "ema_p10"
    mode: str = "portfolio"
    stop_fill: StopFill = "gap_aware"
    adjustment: Adjustment = "split"
    first: date | None = None
    last: date | None = None

    def simulator(self) -> Simulator:
        """The simulator; raises `UnknownParameter` for a strategy or mode that is not known."""
        return simulator_class(self.mode)(
            self.config, self.strategy, stop_fill=self.stop_fill, adjustment=self.adjustment
        )

    def run(self, inputs: BacktestInputs) -> BacktestResult:
        """Simulate; raises `UsageError` when no session lies between ``first`` and ``last``."""
        simulator = self.simulator()
        result = simulator.run(inputs.bars, inputs.candidates, first=self.first, last=self.last)
        if not result.curve:
            span = f"{self.first or 'the first bar'} to {self.last or 'the last bar'}"
            raise UsageError(f"the prices hold no session from {span}")
        return result


# ---------------------------------------------------------------------------------------- checks


@dataclass(frozen=True, slots=True)
class Checks:
    """What was checked of a backtest; ``look_ahead`` is None where it means nothing."""

    look_ahead: LookAhead | None
    warm_up: WarmUp
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """Whether the result depends on what came after it."""
        return self.look_ahead is not None and not self.look_ahead.passed

    @property
    def verdict(self) -> str:
        """``passed``, ``failed`` or ``not checked``, of the look-ahead test."""
        if self.look_ahead is None:
            return "not checked"
        return "failed" if self.failed else "passed"


def run_checks(simulation: Simulation, inputs: BacktestInputs) -> Checks:
    """Look-ahead, warm-up and data gates of one simulation on its inputs."""
    look_ahead = None
    if simulation.adjustment != "all":  # later data change earlier rows there by design
        look_ahead = check_look_ahead(simulation.simulator(), inputs.bars, inputs.candidates)
    days = simulation.config.fmp_lookback_days
    warm_up = check_warm_up(inputs.bars, simulation.strategy, lookback_days=days)
    traded = {one.ticker for one in inputs.candidates}
    bars = {ticker: inputs.bars[ticker] for ticker in traded if ticker in inputs.bars}
    return Checks(look_ahead, warm_up, check_data(bars))


# ---------------------------------------------------------------------------------------- record


def write_record(
    folder: Path,
    result: BacktestResult,
    inputs: BacktestInputs,
    *,
    now: datetime,
    checks: Checks | None = None,
) -> Path:
    """Write the record of a run and return the manifest's path.

    Raises `PathUnusable` or `BadInput` when the folder cannot be written; the manifest of a former
    run in it is gone by then.
    """
    tables = {"trades": result.trades, "skipped": result.skipped, "equity": result.equity}
    if checks is not None:
        tables["findings"] = findings_frame(checks.findings)
    simulation = dict(result.simulation) | {
        "first": str(result.curve[0].session),
        "last": str(result.curve[-1].session),
        "look_ahead": "not checked" if checks is None else checks.verdict,
    }
    return write_files(
        folder,
        tables,
        config=result.config,
        inputs=inputs,
        now=now,
        counts=result.counts,
        metrics=result.metrics().figures(),
        simulation=simulation,
    )


def write_files(
    folder: Path,
    tables: Mapping[str, pd.DataFrame],
    *,
    config: LiveConfig,
    inputs: BacktestInputs,
    now: datetime,
    counts: Mapping[str, int],
    metrics: Mapping[str, float | None],
    simulation: Mapping[str, str],
) -> Path:
    """Write ``tables`` as CSV and then the manifest that names them; returns its path."""
    contents = {f"{name}.csv": table.to_csv(index=False).encode() for name, table in tables.items()}
    hashes = {name: file_sha256(path) for name, path in inputs.files.items()}
    manifest = folder / MANIFEST
    try:
        manifest.unlink(missing_ok=True)
    except OSError as error:
        raise PathUnusable(manifest, error.strerror or str(error)) from error
    for name, content in contents.items():
        write_whole(folder / name, content, mode=_PUBLIC_FILE)
    write_manifest(
        manifest,
        config,
        created_at=now,
        inputs=hashes,
        counts=counts,
        metrics=metrics,
        simulation=simulation,
        outputs={name: hashlib.sha256(text).hexdigest() for name, text in contents.items()},
    )
    return manifest
