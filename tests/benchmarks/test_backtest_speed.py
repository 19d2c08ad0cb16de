"""How fast simulations are: against vectorbt, over sizes, and from a new process."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from synthetic_market import made_market

from livekit.backtest import PortfolioSimulator
from livekit.backtest.engine import compiled_engine, plain_engine
from livekit.backtest.pass_arrays import WEEK_CLOSE, WEEK_LINE, WEEKS_DUE
from livekit.backtest.prepared import (
    PreparedCandidates,
    PreparedMarket,
    prepare_candidates,
    prepare_market,
)
from livekit.config import LiveConfig

TICKERS, SESSIONS, CANDIDATES_A_DAY = 200, 1260, 3
REPEATS = 15


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


pytestmark = pytest.mark.bench
needs_numba = pytest.mark.skipif(not installed("numba"), reason="numba is not installed")
needs_vectorbt = pytest.mark.skipif(
    not installed("vectorbt"),
    reason="vectorbt is not installed: measure in an environment of its own that has it",
)


def timed_ms(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The fastest of several runs, in milliseconds of this process's own work."""
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return 1000.0 * min(taken)


@cache
def laid_out(sessions: int, candidates_a_day: int) -> tuple[PreparedMarket, PreparedCandidates]:
    bars, candidates = made_market(TICKERS, sessions, candidates_a_day)
    market = prepare_market(bars, bars)
    return market, prepare_candidates(market, candidates, "D")


def simulation_ms(sessions: int, candidates_a_day: int) -> float:
    market, candidates = laid_out(sessions, candidates_a_day)
    engine, simulator = compiled_engine(), PortfolioSimulator(LiveConfig())
    simulator.run_prepared(market, candidates, engine=engine)
    return timed_ms(lambda: simulator.run_prepared(market, candidates, engine=engine))


@needs_numba
@needs_vectorbt
@pytest.mark.filterwarnings("ignore")
def test_the_portfolio_pass_against_plain_from_signals() -> None:
    import vectorbt

    bars, _ = made_market(TICKERS, SESSIONS, CANDIDATES_A_DAY)
    arrays = {
        name: np.column_stack([getattr(one, name) for one in bars.values()])
        for name in ("open", "high", "low", "close")
    }
    entries, exits = signals()

    def rival() -> object:
        return vectorbt.Portfolio.from_signals(
            arrays["close"],
            entries,
            exits,
            price=arrays["open"],
            open=arrays["open"],
            high=arrays["high"],
            low=arrays["low"],
            sl_stop=0.10,
            size=10_000.0,
            size_type="value",
            init_cash=200_000.0,
            cash_sharing=True,
            group_by=True,
            slippage=0.005,
            freq="1D",
        )

    begin = time.perf_counter()
    rival()
    cold_s = time.perf_counter() - begin
    theirs, ours = timed_ms(rival), simulation_ms(SESSIONS, CANDIDATES_A_DAY)
    print(
        f"\n{TICKERS} × {SESSIONS} × {CANDIDATES_A_DAY}: ours {ours:.2f} ms with all rules, "
        f"vectorbt {vectorbt.__version__} from_signals {theirs:.1f} ms warm ({cold_s:.1f} s cold): "
        f"{theirs / ours:.1f} × faster"
    )
    assert theirs / ours >= 5.0


def signals() -> tuple[np.ndarray, np.ndarray]:
    """Entries on the candidates' sessions, exits on the session after a broken week."""
    market, candidates = laid_out(SESSIONS, CANDIDATES_A_DAY)
    entries = np.zeros((len(market.sessions), len(market.tickers)), dtype=bool)
    exits = np.zeros_like(entries)
    for session, begin in enumerate(candidates.reports.first[:-1]):
        entries[session, candidates.reports.ticker[begin : begin + CANDIDATES_A_DAY]] = True
    prices = market.prices("ema_p10", compiled_engine())
    for ticker, counts in enumerate(prices.counts):
        ended = np.flatnonzero(np.diff(counts[:-1, WEEKS_DUE])) + 1
        weeks = prices.weeks[counts[ended, WEEKS_DUE] - 1]
        exits[ended + 1, ticker] = weeks[:, WEEK_CLOSE] < weeks[:, WEEK_LINE]
    return entries, exits


@needs_numba
def test_the_time_grows_linearly_with_sessions_and_candidates() -> None:
    print()
    by_sessions = {n: simulation_ms(n, CANDIDATES_A_DAY) for n in (315, 630, 1260, 2520)}
    by_candidates = {n: simulation_ms(SESSIONS, n) for n in (1, 2, 4, 8, 16)}
    for what, measured in (("sessions", by_sessions), ("candidates a day", by_candidates)):
        for size, taken in measured.items():
            print(f"{size:5d} {what}: {taken:6.2f} ms, {1000 * taken / size:7.2f} µs each")
    longer = by_sessions[2520] / by_sessions[630]
    more = by_candidates[16] / by_candidates[1]
    print(f"4 × the sessions: {longer:.1f} × the time; 16 × the candidates: {more:.1f} × the time")


def test_what_the_same_pass_takes_without_a_compiler() -> None:
    market, candidates = laid_out(SESSIONS, CANDIDATES_A_DAY)
    simulator = PortfolioSimulator(LiveConfig())
    taken = timed_ms(
        lambda: simulator.run_prepared(market, candidates, engine=plain_engine()), repeats=3
    )
    print(f"\nplain Python: {taken:.0f} ms")


FIRST_RESULT = """
from synthetic_market import made_market
from livekit.backtest import PortfolioSimulator
from livekit.backtest.engine import compiled_engine
compiled_engine()
result = PortfolioSimulator().run(*made_market(200, 1260, 3))
print(len(result.closed))
"""


def test_how_soon_a_new_process_has_its_first_result() -> None:
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-m", "livekit.backtest.warm_up"], env=environment, check=True)
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", FIRST_RESULT], env=environment, check=True)
    taken, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"\na new process to its first result: {worked:.1f} s of work, {taken:.1f} s by the clock; "
        f"bar 5 s of work: {'reached' if worked < 5.0 else 'missed'}"
    )
