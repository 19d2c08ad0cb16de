"""The simulator against a naive re-statement of the rules, over random worlds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_portfolio import run_naive
from worlds import World, make_world

from livekit.backtest import BacktestResult, PortfolioSimulator

SEEDS = st.integers(min_value=0, max_value=2**48)


def simulated(world: World) -> BacktestResult:
    simulator = PortfolioSimulator(
        world.config(),
        world.strategy,
        stop_fill=world.stop_fill,
        adjustment=world.adjustment,
    )
    return simulator.run(world.bars(), world.reported())


def trade_rows(result: BacktestResult) -> list[tuple]:
    return sorted(
        (
            trade.entry_session,
            trade.ticker,
            trade.entry_price,
            trade.shares,
            trade.exit_session,
            trade.exit_price,
            trade.exit_reason,
            trade.pnl_usd,
        )
        for trade in result.closed
    )


def naive_rows(trades: list[dict]) -> list[tuple]:
    names = ("entry_session", "ticker", "entry_price", "shares", "exit_session", "exit_price")
    return sorted(
        (*(trade[name] for name in names), trade["exit_reason"], trade["pnl_usd"])
        for trade in trades
    )


def skip_rows(result: BacktestResult) -> list[tuple]:
    return [
        (one.session, one.skip.candidate.ticker, one.skip.reason)
        for one in result.skips
        if one.skip.detail == ""
    ]


def assert_agreement(world: World) -> None:
    trades, skips = run_naive(world)
    result = simulated(world)
    assert trade_rows(result) == naive_rows(trades)
    assert skip_rows(result) == skips


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_the_simulator_and_the_naive_restatement_trade_alike(seed: int) -> None:
    assert_agreement(make_world(seed))


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_they_trade_alike_on_adjusted_prices_too(seed: int) -> None:
    assert_agreement(make_world(seed, adjustment="all"))


@pytest.mark.slow
@given(SEEDS, st.sampled_from(["split", "split", "split", "all"]))
@settings(max_examples=4000, deadline=None)
def test_they_trade_alike_in_thousands_of_worlds(seed: int, adjustment: str) -> None:
    assert_agreement(make_world(seed, adjustment))


def test_the_worlds_reach_every_rule() -> None:
    reasons, skips = set(), set()
    for seed in range(40):
        result = simulated(make_world(seed))
        reasons |= {trade.exit_reason for trade in result.closed}
        reasons |= {flag for trade in result.closed for flag in trade.flags}
        skips |= {one.skip.reason for one in result.skips}
    assert reasons == {
        "trend_break",
        "rotated_out",
        "protective_stop",
        "max_holding_days",
        "end_of_data",
        "spin_off_reinvested",
    }
    assert skips == {
        "duplicate_ticker",
        "exits_today",
        "no_price_data",
        "zero_shares",
        "capacity_full",
        "daily_limit",
    }
