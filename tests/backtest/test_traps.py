"""Traps that backtests of weekly trailing stops fall into, each through both simulators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from days import Day, bars, reported

from livekit.backtest import PortfolioSimulator, TradeSimulator
from livekit.backtest.simulator import Simulator
from livekit.config import LiveConfig
from livekit.model import Candidate, ClosedTrade, DailyBars
from livekit.sessions import sessions_between, week_end
from livekit.strategy.weekly_bars import compute_weekly_ema

BOTH = pytest.mark.parametrize("simulator", [PortfolioSimulator, TradeSimulator])


def days_of(first: str, last: str) -> list[str]:
    return [
        str(day) for day in sessions_between(date.fromisoformat(first), date.fromisoformat(last))
    ]


def flat(days: Sequence[str], price: float = 100.0) -> list[Day]:
    return [(day, price, price - 1.0, price) for day in days]


def run(
    simulator: type[Simulator],
    candidates: Sequence[Candidate],
    *prices: DailyBars,
    strategy: str = "nwl_p1",
    **parameters: object,
) -> tuple[ClosedTrade, ...]:
    defaults = {"max_positions": 1, "position_size": 1000.0, "trailing_transition_weeks": 1}
    config = LiveConfig(**(defaults | parameters))
    return simulator(config, strategy).run({one.ticker: one for one in prices}, candidates).closed


def exits(trades: Sequence[ClosedTrade]) -> list[tuple[str, str]]:
    return [(str(trade.exit_session), trade.exit_reason) for trade in trades]


# ---------------------------------------------------------------------------------------- weeks


@BOTH
def test_the_last_bar_of_the_data_is_no_week_end(simulator: type[Simulator]) -> None:
    # Wednesday 2020-01-15 is the last bar and closes below the week before: nothing is decided.
    fall = [*flat(days_of("2020-01-06", "2020-01-14")), ("2020-01-15", 95.0, 94.0, 95.0)]
    assert exits(run(simulator, [reported("AA")], bars("AA", fall))) == [
        ("2020-01-15", "end_of_data")
    ]


@BOTH
def test_a_partial_week_is_not_a_week(simulator: type[Simulator]) -> None:
    # Thursday's dip is gone by Friday: the week as a whole closes above the low before it.
    dip = [
        *flat(days_of("2020-01-06", "2020-01-15")),
        ("2020-01-16", 95.0, 94.0, 95.0),
        *flat(days_of("2020-01-17", "2020-01-22")),
    ]
    assert exits(run(simulator, [reported("AA")], bars("AA", dip))) == [
        ("2020-01-22", "end_of_data")
    ]


@BOTH
def test_the_week_of_the_entry_decides_nothing_even_without_a_transition(
    simulator: type[Simulator],
) -> None:
    # Entered on Tuesday 2020-01-14; that week closes below the low before it, the next one too.
    days = days_of("2020-01-06", "2020-01-27")
    high = flat([day for day in days if day < "2020-01-14"])
    fall = [*high, *flat([day for day in days if day >= "2020-01-14"], 97.0)]
    fall = [(day, price, low, 90.5 if day == "2020-01-24" else c) for day, price, low, c in fall]
    trades = run(
        simulator,
        [reported("AA", day="2020-01-14")],
        bars("AA", fall),
        trailing_transition_weeks=0,
    )
    assert exits(trades) == [("2020-01-27", "trend_break")]


@BOTH
def test_a_week_end_needs_no_bar_of_the_following_week(simulator: type[Simulator]) -> None:
    # Broken on Friday 2020-01-17; the ticker next trades ten days later and leaves at that open.
    fall = [
        *flat(days_of("2020-01-06", "2020-01-16")),
        ("2020-01-17", 95.0, 94.0, 95.0),
        ("2020-01-27", 93.0, 92.5, 99.0),
    ]
    (trade,) = run(simulator, [reported("AA")], bars("AA", fall))
    assert (str(trade.exit_session), trade.exit_reason) == ("2020-01-27", "trend_break")
    assert trade.exit_price == 92.535  # 93 × 0.995


@BOTH
def test_a_pending_exit_is_not_dropped_on_a_session_without_a_bar(
    simulator: type[Simulator],
) -> None:
    fall = [
        *flat(days_of("2020-01-06", "2020-01-16")),
        ("2020-01-17", 95.0, 94.0, 95.0),
        *flat(days_of("2020-01-23", "2020-01-24"), 97.0),
    ]
    # 21 and 22 January have no bar of it; other tickers trade.
    other = bars("BB", flat(days_of("2020-01-06", "2020-01-24")))
    trades = run(simulator, [reported("AA")], bars("AA", fall), other)
    assert exits(trades) == [("2020-01-23", "trend_break")]


@BOTH
@pytest.mark.parametrize(
    ("first", "end", "leaves"),
    [
        ("2019-04-08", "2019-04-18", "2019-04-22"),  # Good Friday 2019-04-19
        ("2018-11-26", "2018-12-07", "2018-12-10"),  # closed on Wednesday 2018-12-05
        ("2012-10-15", "2012-10-26", "2012-10-31"),  # closed on 2012-10-29 and 30
        ("2020-12-21", "2020-12-31", "2021-01-04"),  # ISO week 53 ends on a Thursday
        ("2015-12-21", "2015-12-31", "2016-01-04"),  # 2015 has an ISO week 53 as well
        ("2014-12-22", "2015-01-02", "2015-01-05"),  # ISO week 1 of 2015 begins in 2014
    ],
)
def test_a_holiday_week_ends_with_its_last_session(
    simulator: type[Simulator], first: str, end: str, leaves: str
) -> None:
    days = days_of(first, leaves)
    assert week_end(date.fromisoformat(end)) == date.fromisoformat(end)
    fall = [*flat([day for day in days if day < end]), (end, 95.0, 94.0, 95.0), *flat([leaves])]
    trades = run(simulator, [reported("AA", day=first)], bars("AA", fall))
    assert exits(trades) == [(leaves, "trend_break")]


@BOTH
def test_the_session_before_a_holiday_ends_no_week_that_goes_on(
    simulator: type[Simulator],
) -> None:
    # Tuesday 2018-12-04 closes low before the closed Wednesday; by Friday all is well.
    days = days_of("2018-11-26", "2018-12-10")
    dip = [
        ("2018-12-04", 95.0, 94.0, 95.0) if day == "2018-12-04" else (day, 100.0, 99.0, 100.0)
        for day in days
    ]
    assert exits(run(simulator, [reported("AA", day=days[0])], bars("AA", dip))) == [
        ("2018-12-10", "end_of_data")
    ]


def test_the_ema_starts_from_a_mean_and_not_from_the_first_close() -> None:
    # EMA(3) of 10, 20, 30, 20: seed 20, then 20 + (20 − 20) / 2 = 20: not below, no exit. Started
    # from the first close it would be 10, 15, 22.5, 21.25, and 20 would be below it.
    assert compute_weekly_ema(np.array([10.0, 20.0, 30.0, 20.0]), 3).tolist()[2:] == [20.0, 20.0]
    weekly = {"2020-01-10": 10.0, "2020-01-17": 20.0, "2020-01-24": 30.0, "2020-01-31": 20.0}
    days = [(day, price, price, price) for day, price in weekly.items()]
    held = reported("AA", day="2020-01-10")
    rising = bars("AA", [*days, ("2020-02-03", 20.0, 20.0, 20.0)])
    other = bars("BB", flat(["2020-01-06"]))  # the data begin with their week
    trades = run(PortfolioSimulator, [held], rising, other, strategy="ema_p3")
    assert exits(trades) == [("2020-02-03", "end_of_data")]


# ---------------------------------------------------------------------------------------- prices


@BOTH
def test_a_stop_fills_at_the_open_when_the_market_opened_far_below(
    simulator: type[Simulator],
) -> None:
    gap = bars("AA", [*flat(["2020-01-06"]), ("2020-01-07", 71.0, 70.0, 75.0)])
    (trade,) = run(simulator, [reported("AA")], gap)
    assert (trade.exit_reason, trade.exit_price) == ("protective_stop", 70.645)  # 71 × 0.995


@BOTH
def test_a_split_inside_the_holding_period_is_neither_loss_nor_stop(
    simulator: type[Simulator],
) -> None:
    halves = bars(
        "AA",
        [*flat(["2020-01-06", "2020-01-07"]), *flat(["2020-01-08", "2020-01-09"], 51.0)],
        splits={"2020-01-08": 2.0},
        adj={"2020-01-06": 50.0, "2020-01-07": 50.0},
    )
    (trade,) = run(simulator, [reported("AA")], halves)
    # 10 shares at 100 became 20 at 51: 1020 against 1000, told on the basis of the entry.
    assert (trade.exit_reason, trade.shares, trade.exit_price) == ("end_of_data", 10, 102.0)
    assert trade.pnl_usd == 20.0


# -------------------------------------------------------------------------------------- rotation


def test_rotation_is_marked_by_the_last_close_and_not_by_a_price_of_the_day() -> None:
    # AA closed at a loss and opens at a gain: it is the weakest by what was known before the open.
    held = bars("AA", [("2020-01-06", 100.0, 97.0, 98.0), ("2020-01-07", 105.0, 104.0, 106.0)])
    better = bars("BB", flat(["2020-01-06", "2020-01-07"]))
    candidates = [reported("AA", 50.0), reported("BB", 60.0, day="2020-01-07")]
    trades = run(PortfolioSimulator, candidates, held, better)
    assert exits(trades)[0] == ("2020-01-07", "rotated_out")
    # The other way round: a gain at the last close stays though the open lost it.
    gained = bars("AA", [("2020-01-06", 100.0, 99.0, 101.0), ("2020-01-07", 95.0, 94.0, 96.0)])
    trades = run(PortfolioSimulator, candidates, gained, better)
    assert exits(trades) == [("2020-01-07", "end_of_data")]


def test_a_tie_in_score_rotates_nobody_and_goes_to_the_first_reported() -> None:
    loser = bars("AA", [("2020-01-06", 100.0, 97.0, 98.0), ("2020-01-07", 98.0, 97.0, 98.0)])
    others = [bars(name, flat(["2020-01-06", "2020-01-07"])) for name in ("BB", "CC")]
    tie = [reported("AA", 60.0), reported("BB", 60.0, day="2020-01-07")]
    assert [trade.ticker for trade in run(PortfolioSimulator, tie, loser, *others)] == ["AA"]
    first = [reported("CC", 60.0), reported("BB", 60.0)]
    assert [trade.ticker for trade in run(PortfolioSimulator, first, *others)] == ["CC"]
