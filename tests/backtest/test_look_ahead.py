"""Nothing of a session may depend on what comes after it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World, make_world

from livekit.backtest import BacktestResult, PortfolioSimulator
from livekit.model import END_OF_DATA


def simulated(world: World, until: date) -> BacktestResult:
    """The world as it could be known at the close of ``until``."""
    known = {ticker: bars.until(until) for ticker, bars in world.bars().items()}
    simulator = PortfolioSimulator(world.config(), world.strategy, stop_fill=world.stop_fill)
    return simulator.run({t: bars for t, bars in known.items() if len(bars)}, world.reported())


@given(st.integers(0, 2**48), st.integers(10, 29))
@settings(max_examples=40, deadline=None)
def test_results_up_to_a_session_do_not_change_when_later_data_are_removed(
    seed: int, length: int
) -> None:
    world = make_world(seed)
    until = world.sessions[length]
    everything, known = simulated(world, world.sessions[-1]), simulated(world, until)
    assert [trade for trade in known.closed if trade.exit_reason != END_OF_DATA] == [
        trade
        for trade in everything.closed
        if trade.exit_session <= until and trade.exit_reason != END_OF_DATA
    ]
    assert [one for one in known.skips if one.session <= known.curve[-1].session] == [
        one for one in everything.skips if one.session <= known.curve[-1].session
    ]
    assert known.curve == everything.curve[: len(known.curve)]


def test_a_run_that_ends_early_equals_one_on_fewer_bars() -> None:
    world = make_world(7)
    until = world.sessions[25]
    simulator = PortfolioSimulator(world.config(), world.strategy, stop_fill=world.stop_fill)
    ended = simulator.run(world.bars(), world.reported(), last=until)
    assert ended.closed == simulated(world, until).closed


@pytest.mark.parametrize("seed", range(12))
def test_positions_left_are_marked_out_on_the_last_session_at_what_the_equity_says(
    seed: int,
) -> None:
    result = simulated(make_world(seed), make_world(seed).sessions[-1])
    last = result.curve[-1]
    marked = [trade for trade in result.closed if trade.exit_reason == END_OF_DATA]
    assert len(marked) == last.open_positions
    assert {trade.exit_session for trade in marked} <= {last.session}
    total_usd = sum(trade.pnl_usd for trade in result.closed)
    assert round(last.realised_usd + last.unrealised_usd, 2) == round(total_usd, 2)
