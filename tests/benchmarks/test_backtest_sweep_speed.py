"""What a configuration of a sweep costs, and what a second core brings.

On the packaged data; with LIVEKIT_BENCH_DATA naming a folder that holds the full files
``prices_2014_2021.parquet`` and ``earnings_dates_2014_2021.csv``, on those.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import time
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from livekit.backtest.frames import bars_from_frame
from livekit.backtest.sweep import run_sweep, run_trials, workload
from livekit.backtest.trials import Space, Workload
from livekit.backtest.warm_up import warm_up
from livekit.model import Candidate, DailyBars
from livekit.reports.earnings import earnings_sessions
from livekit.reports.scoring import ScoredStock, score_stock

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed"),
]

PACKAGED = Path(__file__).parents[2] / "livekit" / "data"
SPACE = Space(
    strategy=("ema_p4", "ema_p6", "ema_p8", "ema_p10", "ema_p15", "nwl_p2", "nwl_p4", "nwl_p6"),
    transition_weeks=(0, 1, 2, 3),
    stop_loss_pct=(5.0, 8.0, 10.0, 15.0),
    min_gap_pct=(None, 5.0),
)


class Loaded:
    def __init__(self, bars: dict[str, DailyBars]) -> None:
        self.bars = bars

    def daily_bars(self, tickers: list[str], *_: object) -> dict[str, DailyBars]:
        return {ticker: self.bars[ticker] for ticker in tickers if ticker in self.bars}


@cache
def loaded() -> Workload:
    """Bars, and earnings sessions that gap up at least 2 % as candidates."""
    full = os.environ.get("LIVEKIT_BENCH_DATA")
    folder = Path(full) if full else PACKAGED
    prices, filings = (
        ("prices_2014_2021.parquet", "earnings_dates_2014_2021.csv")
        if full
        else ("demo_prices.parquet", "demo_earnings.csv")
    )
    bars = bars_from_frame(pd.read_parquet(folder / prices))
    candidates = []
    for label in earnings_sessions(folder / filings, Loaded(bars)):
        one = bars[label.ticker]
        opened = float(one.open[one.index_of(label.session)])
        scored = score_stock(one, label.session, opened, company_name=label.ticker)
        if label.gap_pct >= 2.0 and isinstance(scored, ScoredStock):
            candidates.append(
                Candidate(
                    label.ticker,
                    label.session,
                    scored.grade,
                    scored.score,
                    gap_size=label.gap_pct,
                )
            )
    return workload(bars, candidates)


def test_a_configuration_costs_at_most_25_ms_on_one_core() -> None:
    warm_up()
    load, trials = loaded(), SPACE.trials()
    run_trials(load, trials[:10])
    begin = time.process_time()
    run_trials(load, trials)
    each_ms = 1000.0 * (time.process_time() - begin) / len(trials)
    sessions, candidates = len(load.market.sessions), len(load.candidates)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{len(load.market.tickers)} tickers × {sessions} sessions, {candidates} candidates: "
        f"{each_ms:.1f} ms a configuration (bar 25), {memory:.0f} MB at most"
    )
    assert memory < 1024


def test_a_sweep_uses_the_cores_it_is_given(tmp_path: Path) -> None:
    load, trials = loaded(), Space(**{**vars_of(SPACE), "stop_loss_pct": LOSSES}).trials()
    taken = {}
    for workers in (1, 2):
        begin = time.perf_counter()
        run_sweep(load, trials, tmp_path / f"{workers}.parquet", workers=workers)
        taken[workers] = time.perf_counter() - begin
    print(
        f"\n{len(trials)} trials: {taken[1]:.1f} s in one process, {taken[2]:.1f} s in two, "
        f"their start included"
    )


LOSSES = tuple(4.0 + 0.5 * step for step in range(24))


def vars_of(space: Space) -> dict[str, object]:
    return {name: getattr(space, name) for name in space.__dataclass_fields__}
