"""The checks find what was planted and pass what is right."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from days import bars
from worlds import make_world

from livekit.backtest import PortfolioSimulator, TradeSimulator
from livekit.backtest.checks import check_look_ahead, check_warm_up
from livekit.backtest.data_gates import check_data, findings_frame
from livekit.backtest.results import BacktestResult
from livekit.errors import UnknownParameter
from livekit.model import DailyBars
from livekit.sessions import sessions_between

WORLD = make_world(11)


@pytest.mark.parametrize("simulator", [PortfolioSimulator, TradeSimulator])
def test_the_simulators_do_not_look_ahead(simulator: type) -> None:
    compared = 0
    for seed in range(11, 17):
        world = make_world(seed)
        made = simulator(world.config(), world.strategy)
        found = check_look_ahead(made, world.bars(), world.reported())
        assert found.differences == ()
        assert len(found.cuts) == 5
        compared += found.compared_trades
    assert compared > 50


class Clairvoyant(PortfolioSimulator):
    """Takes only tickers that end the data above the first close."""

    def run(self, prices, candidates, **span: object) -> BacktestResult:
        rise = {name for name, one in prices.items() if one.close[-1] > one.close[0]}
        return super().run(prices, [one for one in candidates if one.ticker in rise], **span)


def test_a_simulator_that_looks_ahead_is_found_out() -> None:
    found = check_look_ahead(
        Clairvoyant(WORLD.config(), WORLD.strategy), WORLD.bars(), WORLD.reported()
    )
    assert not found.passed
    assert any("differ" in line for line in found.differences)


def test_adjusted_prices_are_outside_the_look_ahead_check() -> None:
    with pytest.raises(UnknownParameter, match="by design"):
        check_look_ahead(PortfolioSimulator(adjustment="all"), WORLD.bars(), WORLD.reported())


def long_bars(ticker: str = "AA", seed: int = 1) -> DailyBars:
    sessions = sessions_between(date(2014, 1, 2), date(2016, 12, 30))
    moves = np.random.default_rng(seed).normal(0, 0.02, len(sessions))
    prices = 100.0 * np.exp(np.cumsum(moves))
    return bars(
        ticker,
        [(str(day), p, p * 0.99, p) for day, p in zip(sessions, prices, strict=True)],
    )


def test_a_short_look_back_shows_its_error_and_a_long_one_hardly_any() -> None:
    prices = {name: long_bars(name, seed) for seed, name in enumerate(("AA", "BB", "CC"))}
    short = check_warm_up(prices, "ema_p10", lookback_days=90)
    long = check_warm_up(prices, "ema_p10", lookback_days=400)
    assert short.samples == long.samples == 18
    assert short.largest_error_pct is not None
    assert long.largest_error_pct is not None
    # (9/11)^40 is 0.03 %: after 57 weeks the seed is all but forgotten.
    assert short.largest_error_pct > 10 * long.largest_error_pct
    assert long.largest_error_pct < 0.05
    assert long.verdicts_changed == 0
    hardly = check_warm_up(prices, "ema_p10", lookback_days=40)
    assert hardly.undefined == hardly.samples > 0


def test_an_n_week_low_needs_no_warm_up_beyond_its_weeks() -> None:
    found = check_warm_up({"AA": long_bars()}, "nwl_p4", lookback_days=60)
    assert (found.largest_error_pct, found.undefined) == (0.0, 0)


# ------------------------------------------------------------------------------------ data gates


def gates_of(one: DailyBars) -> list[tuple[str, str]]:
    return [(found.gate, str(found.session)) for found in check_data({one.ticker: one})]


def steady(*prices: float, splits: dict[str, float] | None = None, **changes: object) -> DailyBars:
    days = ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09"][: len(prices)]
    made = bars("AA", [(day, p, p, p) for day, p in zip(days, prices, strict=True)], splits=splits)
    return replace(made, **changes)


def test_clean_data_pass_every_gate() -> None:
    assert gates_of(steady(100.0, 101.0, 99.0, 100.0)) == []
    halved = steady(100.0, 50.0, splits={"2020-01-07": 2.0}, adj_close=np.array([50.0, 50.0]))
    assert gates_of(halved) == []
    paid = steady(100.0, 97.0, adj_close=np.array([97.0, 97.0]), dividend_usd=np.array([0, 3.0]))
    assert gates_of(paid) == []


def test_each_gate_finds_its_own_fault() -> None:
    hole = bars("AA", [("2020-01-06", 9.0, 9.0, 9.0), ("2020-01-08", 9.0, 9.0, 9.0)])
    assert gates_of(hole) == [("missing_bar", "2020-01-07")]
    order = steady(100.0, 100.0, high=np.array([100.0, 99.0]))
    assert gates_of(order) == [("ohlc_order", "2020-01-07")]
    unsplit = steady(100.0, 50.5, adj_close=np.array([100.0, 50.5]))
    assert gates_of(unsplit) == [("split_not_applied", "2020-01-07")]
    reverse = steady(10.0, 51.0)
    assert gates_of(reverse) == [("split_not_applied", "2020-01-07")]
    moved_not = steady(100.0, 100.0, splits={"2020-01-07": 2.0})
    assert ("split_without_move", "2020-01-07") in gates_of(moved_not)
    spun = steady(106.2, 100.0, splits={"2020-01-07": 1.062}, adj_close=np.array([100.0, 100.0]))
    assert gates_of(spun) == [("spin_off", "2020-01-07")]
    jump = steady(100.0, 95.0, adj_close=np.array([100.0, 117.0]))
    assert gates_of(jump) == [("adjustment_jump", "2020-01-07")]
    assert gates_of(steady(100.0, 140.0, 101.0)) == [("spike", "2020-01-07")]
    spun_off = steady(
        48.0, 37.4, adj_close=np.array([37.4, 37.4]), dividend_usd=np.array([0, 10.6])
    )
    assert gates_of(spun_off) == [("large_dividend", "2020-01-07")]


def test_findings_are_a_table_and_none_are_an_empty_one() -> None:
    found = findings_frame(check_data({"AA": steady(100.0, 140.0, 101.0)}))
    assert found["facts"].tolist() == ["+40.0 %, then -27.9 %"]
    assert list(findings_frame(()).columns) == ["gate", "ticker", "session", "facts"]
