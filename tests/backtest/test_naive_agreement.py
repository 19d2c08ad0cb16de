"""The simulator against a naive re-statement of the rules, over random worlds."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import date
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_portfolio import run_naive
from worlds import World, exchange_sessions, make_world

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
@pytest.mark.ci
@given(SEEDS, st.sampled_from(["split", "split", "split", "all"]))
@settings(max_examples=2000, deadline=None)
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


def counted(worlds: int) -> Counter[str]:
    """How often trades of that many worlds meet what makes trading hard."""
    found: Counter[str] = Counter()
    for seed in range(worlds):
        world = make_world(seed)
        result = simulated(world)
        bars = world.bars()
        calendar = exchange_sessions()
        for trade in result.closed:
            begin = bisect_right(calendar, trade.entry_session)
            held = calendar[begin : bisect_right(calendar, trade.exit_session)]
            own = bars[trade.ticker]
            places = [own.index_of(day) for day in held]
            ratios = own.split_ratio[[place for place in places if place >= 0]]
            found["hole while held"] += -1 in places
            found["split while held"] += bool((ratios != 1.0).any())
            found["reverse split while held"] += bool((ratios < 1.0).any())
            found["week cut short while held"] += not short_week_ends().isdisjoint(held)
            found["trend break after a hole"] += -1 in places and trade.exit_reason == "trend_break"
        most = world.parameters["max_positions"]
        found["session that ends full"] += sum(one.open_positions == most for one in result.curve)
        found["candidate without score"] += sum(one.score is None for one in world.reported())
        found["rotation"] += sum(one.exit_reason == "rotated_out" for one in result.closed)
        found["full for a candidate"] += sum(
            one.skip.reason == "capacity_full" for one in result.skips
        )
    return found


@cache
def short_week_ends() -> frozenset[date]:
    """Last sessions of weeks that end before Friday."""
    last: dict[tuple[int, int], date] = {}
    for day in exchange_sessions():
        last[day.isocalendar()[:2]] = day
    return frozenset(day for day in last.values() if day.weekday() < 4)


def test_the_worlds_hold_holes_holidays_splits_and_full_books_in_numbers() -> None:
    found = counted(60)
    least = {
        "hole while held": 50,
        "split while held": 20,
        "reverse split while held": 8,
        "week cut short while held": 10,
        "trend break after a hole": 12,
        "session that ends full": 400,
        "candidate without score": 150,
        "rotation": 5,
        "full for a candidate": 100,
    }
    assert {name: found[name] for name in least if found[name] < least[name]} == {}
