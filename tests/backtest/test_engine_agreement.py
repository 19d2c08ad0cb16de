"""The pass over arrays, plain and compiled, against sessions settled one by one."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stepwise import run_stepwise
from worlds import make_world

from livekit.backtest import BacktestResult, PortfolioSimulator
from livekit.backtest.engine import Engine, compiled_engine, engine_for, plain_engine
from livekit.backtest.frames import bars_from_frame
from livekit.backtest.prepared import prepare_candidates, prepare_market
from livekit.config import LiveConfig
from livekit.model import Candidate, DailyBars

DATA = Path(__file__).parents[2] / "livekit" / "data"
needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba is not installed"
)


def run_on(
    engine: Engine,
    prices: dict[str, DailyBars],
    candidates: tuple[Candidate, ...],
    config: LiveConfig,
    strategy: str,
    **modes: str,
) -> BacktestResult:
    market = prepare_market(prices, {one.ticker for one in candidates})
    prepared = prepare_candidates(market, candidates, config.min_grade)
    simulator = PortfolioSimulator(config, strategy, **modes)
    return simulator.run_prepared(market, prepared, engine=engine)


def assert_same(result: BacktestResult, stepwise: tuple[list, list, list]) -> None:
    trades, skips, marks = stepwise
    assert list(result.closed) == trades
    inside = [one for one in result.skips if one.skip.detail == ""]
    assert [(one.session, one.skip.candidate.ticker, one.skip.reason) for one in inside] == skips
    assert [
        (
            point.session,
            point.realised_usd,
            point.unrealised_usd,
            point.open_positions,
            round(point.invested_usd, 4),
        )
        for point in result.curve
    ] == marks


def agree(engine: Engine, seed: int, adjustment: str) -> None:
    world = make_world(seed, adjustment)
    modes = {"stop_fill": world.stop_fill, "adjustment": world.adjustment}
    case = (world.bars(), world.reported(), world.config(), world.strategy)
    assert_same(run_on(engine, *case, **modes), run_stepwise(*case, **modes))


SEEDS = st.integers(0, 2**48)
ADJUSTMENTS = st.sampled_from(["split", "split", "all"])


@given(SEEDS, ADJUSTMENTS)
@settings(max_examples=40, deadline=None)
def test_the_pass_equals_settled_sessions_in_random_worlds(seed: int, adjustment: str) -> None:
    agree(plain_engine(), seed, adjustment)


@needs_numba
@given(SEEDS, ADJUSTMENTS)
@settings(max_examples=40, deadline=None)
def test_the_compiled_pass_equals_settled_sessions_too(seed: int, adjustment: str) -> None:
    assert compiled_engine().is_compiled
    agree(compiled_engine(), seed, adjustment)


@pytest.mark.slow
@given(SEEDS, ADJUSTMENTS)
@settings(max_examples=1500, deadline=None)
def test_all_three_agree_in_many_worlds(seed: int, adjustment: str) -> None:
    agree(plain_engine(), seed, adjustment)
    agree(compiled_engine(), seed, adjustment)


@cache
def packaged() -> tuple[dict[str, DailyBars], tuple[Candidate, ...]]:
    """The packaged bars, and each filing of 2019 and after as a candidate with a made score."""
    bars = bars_from_frame(pd.read_parquet(DATA / "demo_prices.parquet"))
    filings = pd.read_csv(DATA / "demo_earnings.csv", parse_dates=["filing_date"])
    filings = filings[filings["filing_date"] >= "2019-01-02"].reset_index(drop=True)
    return bars, tuple(
        Candidate(row.ticker, row.filing_date.date(), "ABCD"[row.Index % 4], float(row.Index % 17))
        for row in filings.itertuples()
    )


@pytest.mark.parametrize("strategy", ["ema_p10", "nwl_p4"])
@pytest.mark.parametrize("engine", [plain_engine, pytest.param(compiled_engine, marks=needs_numba)])
def test_they_agree_on_the_packaged_data(strategy: str, engine: type) -> None:
    config = LiveConfig(max_positions=8, entry_slippage_pct=0.1)
    stepwise = run_stepwise(*packaged(), config, strategy)
    assert len(stepwise[0]) > 30
    assert_same(run_on(engine(), *packaged(), config, strategy), stepwise)


def test_a_short_run_does_not_wait_for_a_compiler() -> None:
    if compiled_engine.cache_info().currsize == 0:
        assert not engine_for(338 * 20).is_compiled
    assert engine_for(10**9).is_compiled == (importlib.util.find_spec("numba") is not None)
