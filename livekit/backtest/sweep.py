"""A sweep: many trials on the same data, over cores or a cluster, resumable, in one file.

The parquet file has a row a trial: its key, its parameters, its figures and its daily returns. It
is rewritten whole after each batch, so an interrupted sweep goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from livekit.backtest.metrics import SESSIONS_A_YEAR, daily_returns
from livekit.backtest.prepared import prepare_market
from livekit.backtest.results import BacktestResult
from livekit.backtest.selection import (
    DeflatedSharpe,
    Overfitting,
    Superiority,
    deflated_sharpe,
    overfitting,
    superiority,
)
from livekit.backtest.settlement import Adjustment
from livekit.backtest.trials import Mode, Trial, Workload
from livekit.config import LiveConfig
from livekit.errors import BadInput, UnknownParameter, WorkersLost
from livekit.files import write_whole
from livekit.model import Candidate, DailyBars

__all__ = ["Winner", "read_sweep", "run_sweep", "run_trials", "winner_of", "workload"]

Row = dict[str, object]
# The file is rewritten after each batch: few enough to cost little, small enough to lose little.
_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES_A_WORKER = 16, 256, 8
_CONNECT_S = 10
_FINGERPRINT = b"livekit_inputs_sha256"


@dataclass(frozen=True, slots=True)
class Winner:
    """The best trial by one figure, and how much of it the number of trials explains."""

    key: str
    objective: str
    value: float
    deflated: DeflatedSharpe | None
    superiority: Superiority | None
    overfitting: Overfitting | None


def workload(
    prices: Mapping[str, DailyBars],
    candidates: Sequence[Candidate],
    base: LiveConfig | None = None,
    *,
    mode: Mode = "portfolio",
    adjustment: Adjustment = "split",
) -> Workload:
    """Lay the data out once for all trials."""
    market = prepare_market(prices, {one.ticker for one in candidates})
    return Workload(market, tuple(candidates), base or LiveConfig(), mode, adjustment)


def run_sweep(
    load: Workload,
    trials: Sequence[Trial],
    path: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Run the trials that ``path`` does not hold yet and return the rows of all of them.

    Args:
        load: the data, see `workload`.
        trials: what to try.
        path: the parquet file; made, or gone on with if it is of the same data and base.
        workers: processes on this machine; default: its cores. 1 runs in this process.
        scheduler: address of a dask.distributed scheduler (``tcp://…``) to use instead.
        progress: called with trials done and trials in all.

    Raises:
        BadInput: the file belongs to other data or is no sweep.
        UnknownParameter: a trial is impossible, or the scheduler cannot be reached.
        WorkersLost: a worker ended before its trials were done.
    """
    load.check(trials)
    mark = _fingerprint(load)
    rows = _known_rows(path, mark)
    open_trials = [trial for trial in dict.fromkeys(trials) if trial.key not in rows]
    count = workers or os.cpu_count() or 1
    batches = _batches(open_trials, count)
    total = len(open_trials) + len(rows)
    with _workers(load, min(count, len(batches)), scheduler) as run:
        for finished in run(batches):
            rows |= {str(row["key"]): row for row in finished}
            _write(path, rows.values(), mark)
            if progress is not None:
                progress(len(rows), total)
    return _frame([rows[trial.key] for trial in dict.fromkeys(trials)])


def _batches(trials: Sequence[Trial], workers: int) -> list[Sequence[Trial]]:
    size = len(trials) // (workers * _BATCHES_A_WORKER)
    size = max(_SMALLEST_BATCH, min(_LARGEST_BATCH, size))
    return [trials[at : at + size] for at in range(0, len(trials), size)]


def run_trials(load: Workload, trials: Sequence[Trial]) -> list[Row]:
    """Rows of ``trials``, one after another in this process."""
    run = load.runner()
    return [_row(trial, run(trial)) for trial in trials]


def _row(trial: Trial, result: BacktestResult) -> Row:
    metrics = result.metrics()
    returns = daily_returns(result.recording.curve().pnl_usd, metrics.capital_usd)
    return {"key": trial.key, **asdict(trial), **metrics.figures(), "daily_returns": returns}


# --------------------------------------------------------------------------------------- workers

Runner = Callable[[Sequence[Sequence[Trial]]], Iterator[list[Row]]]
_own_load: list[Workload] = []


@contextmanager
def _workers(load: Workload, count: int, scheduler: str | None) -> Iterator[Runner]:
    if scheduler is not None:
        with _cluster(load, scheduler) as run:
            yield run
    elif count <= 1:
        yield lambda all_batches: (run_trials(load, batch) for batch in all_batches)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, context, _remember, (load,)) as pool:
            yield lambda batches: _results(pool, batches)


def _results(pool: ProcessPoolExecutor, batches: Sequence[Sequence[Trial]]) -> Iterator[list[Row]]:
    futures = [pool.submit(_run_own, batch) for batch in batches]
    try:
        for done in as_completed(futures):
            yield done.result()
    except BrokenProcessPool as error:
        raise WorkersLost("a process of the sweep ended before its trials were done") from error
    finally:
        for future in futures:
            future.cancel()


def _remember(load: Workload) -> None:
    _own_load[:] = [load]


def _run_own(trials: Sequence[Trial]) -> list[Row]:
    return run_trials(_own_load[0], trials)


@contextmanager
def _cluster(load: Workload, scheduler: str) -> Iterator[Runner]:
    """Send the data to every worker of the cluster once, then the batches to whoever is free."""
    import distributed  # noqa: PLC0415 - a second at import that only clusters need

    try:
        connected = distributed.Client(scheduler, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise UnknownParameter("scheduler", [f"{scheduler} does not answer ({error})"]) from error
    with connected as client:
        shared = client.scatter(load, broadcast=True)

        def run(batches: Sequence[Sequence[Trial]]) -> Iterator[list[Row]]:
            futures = [client.submit(run_trials, shared, list(one), pure=False) for one in batches]
            try:
                for _, rows in distributed.as_completed(futures, with_results=True):
                    yield rows
            except distributed.KilledWorker as error:
                raise WorkersLost(f"workers of {scheduler} were lost ({error})") from error

        yield run


# ------------------------------------------------------------------------------------------ file


def _fingerprint(load: Workload) -> str:
    """Hash of everything that a row depends on besides its trial."""
    digest = hashlib.sha256()
    for array in (load.market.bars, load.market.counts, load.market.week_close):
        digest.update(np.ascontiguousarray(array).data)
    plain = [load.mode, load.adjustment, load.market.tickers, asdict(load.base)]
    digest.update(json.dumps(plain, sort_keys=True).encode())
    for one in load.candidates:
        digest.update(repr(one).encode())
    return digest.hexdigest()


def _known_rows(path: Path, mark: str) -> dict[str, Row]:
    if not path.exists():
        return {}
    table = _read(path)
    if (table.schema.metadata or {}).get(_FINGERPRINT) != mark.encode():
        raise BadInput(path, "holds a sweep of other data, candidates or base configuration")
    return {str(row["key"]): row for row in table.to_pylist()}


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(path, f"is no sweep that can be read ({error})") from error
    if _FINGERPRINT not in (table.schema.metadata or {}):
        raise BadInput(path, "is not the result of a sweep")
    return table


def _write(path: Path, rows: Iterable[Row], mark: str) -> None:
    frame = _frame(list(rows))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _FINGERPRINT: mark})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_whole(path, sink.getvalue().to_pybytes(), mode=0o644)


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows).sort_values("key", ignore_index=True) if rows else pd.DataFrame()


def read_sweep(path: Path) -> pd.DataFrame:
    """All rows of a sweep's file; raises `BadInput` when it is none."""
    frame: pd.DataFrame = _read(path).to_pandas()
    return frame


# ---------------------------------------------------------------------------------------- winner


def winner_of(
    sweep: pd.DataFrame,
    *,
    objective: str = "daily_sharpe",
    benchmark: Trial | None = None,
    seed: int = 1,
) -> Winner | None:
    """The best trial by ``objective``, corrected for the number of trials.

    Args:
        sweep: rows of `run_sweep` or `read_sweep`.
        objective: a figure of `Metrics`; higher is better.
        benchmark: the trial to beat in SPA and StepM; default: cash (returns of 0).
        seed: of the bootstrap.

    Returns:
        None when no trial has the figure.
    """
    if objective not in sweep.columns:
        raise UnknownParameter("objective", [f"{objective!r} is no figure of the sweep"])
    ranked = sweep[objective].astype("float64")
    if not ranked.notna().any():
        return None
    best = sweep.loc[ranked.idxmax()]
    returns = np.column_stack([_padded(one, sweep) for one in sweep["daily_returns"]])
    base = np.zeros(len(returns))
    if benchmark is not None:
        if benchmark.key not in set(sweep["key"]):
            raise UnknownParameter("benchmark", ["the benchmark is not among the trials"])
        base = returns[:, sweep["key"].tolist().index(benchmark.key)]
    sharpes = sweep["daily_sharpe"].to_numpy(dtype=np.float64) / math.sqrt(SESSIONS_A_YEAR)
    return Winner(
        key=str(best["key"]),
        objective=objective,
        value=float(best[objective]),
        deflated=deflated_sharpe(np.asarray(best["daily_returns"], dtype=np.float64), sharpes),
        superiority=superiority(base, returns, tuple(sweep["key"]), seed=seed),
        overfitting=overfitting(returns),
    )


def _padded(returns: Sequence[float], sweep: pd.DataFrame) -> np.ndarray:
    """A book that lost everything ended early: it earns nothing from there on."""
    longest = max(len(one) for one in sweep["daily_returns"])
    padded = np.zeros(longest)
    padded[: len(returns)] = returns
    return padded
