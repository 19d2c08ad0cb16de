"""Sessions settled one by one: the traps that a backtest falls into."""

from __future__ import annotations

import pytest
from days import bars, config, market, reported, settle_all

from livekit.errors import UnknownParameter
from livekit.model import ClosedTrade

WEEK = ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"]
NEXT_WEEK = ["2020-01-13", "2020-01-14", "2020-01-15", "2020-01-16", "2020-01-17"]
ENTER_AA = {"2020-01-06": [reported("AA")]}


def steady(days: list[str], price: float = 100.0) -> list[tuple[str, float, float, float]]:
    return [(day, price, price - 1, price) for day in days]


def only_trade(settlements: list) -> ClosedTrade:
    (trade,) = [trade for settled in settlements for trade in settled.trades]
    return trade


# ---------------------------------------------------------------------------------------- stops


def test_a_stop_reached_on_the_entry_session_sells_at_the_stop_less_slippage() -> None:
    prices = market(bars("AA", [("2020-01-06", 100.0, 85.0, 95.0)]))
    trade = only_trade(settle_all(prices, WEEK[:1], ENTER_AA))
    # 10 shares at 100; the stop is 90; 90 × 0.995 = 89.55; 10 × (89.55 − 100) = −104.50.
    assert (trade.entry_price, trade.shares) == (100.0, 10)
    assert (trade.exit_price, trade.exit_reason) == (89.55, "protective_stop")
    assert (trade.pnl_usd, trade.return_pct, trade.hold_days) == (-104.5, pytest.approx(-10.45), 0)


def test_a_market_that_opens_far_below_the_stop_fills_at_the_open() -> None:
    prices = market(bars("AA", [*steady(WEEK[:1]), ("2020-01-07", 71.0, 70.0, 75.0)]))
    trade = only_trade(settle_all(prices, WEEK[:2], ENTER_AA))
    assert trade.exit_price == 70.645  # 71 × 0.995


def test_at_stop_reproduces_the_simpler_backtest() -> None:
    prices = market(bars("AA", [*steady(WEEK[:1]), ("2020-01-07", 71.0, 70.0, 75.0)]))
    trade = only_trade(settle_all(prices, WEEK[:2], ENTER_AA, stop_fill="at_stop"))
    assert trade.exit_price == 89.55


FALLS = bars(
    "AA",
    [
        ("2020-01-06", 100.0, 89.0, 95.0),
        ("2020-01-07", 94.0, 88.0, 89.0),
        ("2020-01-08", 80.0, 79.0, 85.0),
    ],
)


@pytest.mark.parametrize(
    ("mode", "day", "raw"),
    [
        ("intraday", "2020-01-06", 90.0),  # the low of the entry session
        ("skip_entry_day", "2020-01-07", 90.0),  # the low of the session after it
        ("close", "2020-01-07", 89.0),  # the first close at or below the stop
        ("close_next_open", "2020-01-08", 80.0),  # the open after that close
    ],
)
def test_each_stop_mode_leaves_at_its_own_price(mode: str, day: str, raw: float) -> None:
    done = settle_all(market(FALLS), WEEK[:3], ENTER_AA, settings=config(stop_mode=mode))
    trade = only_trade(done)
    assert (str(trade.exit_session), trade.exit_price) == (day, pytest.approx(raw * 0.995))
    assert trade.exit_reason == "protective_stop"


# -------------------------------------------------------------------------------- pending exits

# Down from 100 to 95 by the end of the second week: below the low (99) of the week before.
TREND = [*steady(WEEK), *steady(NEXT_WEEK[:4]), ("2020-01-17", 96.0, 94.0, 95.0)]
EARLY = config(trailing_transition_weeks=1)


def test_a_broken_week_makes_a_pending_exit_that_fills_at_the_next_open() -> None:
    prices = market(bars("AA", [*TREND, ("2020-01-21", 97.0, 96.0, 98.0)]))
    days = [*WEEK, *NEXT_WEEK, "2020-01-21"]
    done = settle_all(prices, days, ENTER_AA, settings=EARLY)
    friday = done[9]
    (left,) = friday.book.holdings
    assert (left.pending_reason, str(left.pending_since)) == ("trend_break", "2020-01-17")
    assert [week.exits for week in friday.evaluations] == [True]
    trade = only_trade(done)
    assert (str(trade.exit_session), trade.exit_reason) == ("2020-01-21", "trend_break")
    assert trade.exit_price == 96.515  # 97 × 0.995


def test_a_pending_exit_survives_sessions_without_a_bar() -> None:
    prices = market(bars("AA", [*TREND, ("2020-01-24", 60.0, 59.0, 61.0)]))
    days = [*WEEK, *NEXT_WEEK, "2020-01-21", "2020-01-22", "2020-01-23", "2020-01-24"]
    done = settle_all(prices, days, ENTER_AA, settings=EARLY)
    for halted in done[10:13]:
        assert [one.reason for one in halted.decision.exits] == ["trend_break"]
        assert halted.trades == ()
    # It leaves by its pending exit at the open, 60 × 0.995, though the stop was passed as well.
    assert (only_trade(done).exit_reason, only_trade(done).exit_price) == ("trend_break", 59.7)


def test_a_ticker_without_a_bar_on_the_week_end_is_evaluated_when_it_trades_again() -> None:
    days = [*steady(WEEK), *steady(NEXT_WEEK[:3]), ("2020-01-16", 96.0, 94.0, 95.0)]
    prices = market(bars("AA", [*days, ("2020-01-21", 105.0, 104.0, 106.0)]))
    done = settle_all(prices, [*WEEK, *NEXT_WEEK, "2020-01-21"], ENTER_AA, settings=EARLY)
    friday, tuesday = done[9], done[10]
    assert friday.evaluations == ()
    assert [waiting.ticker for waiting in friday.deferrals] == ["AA"]
    (week,) = tuesday.evaluations
    assert (str(week.week_end), str(week.evaluated_on)) == ("2020-01-17", "2020-01-21")
    assert week.close == 95.0
    assert tuesday.book.holdings[0].pending_reason == "trend_break"


def test_a_thursday_that_ends_its_week_is_evaluated_on_thursday() -> None:
    holy_week = ["2019-04-15", "2019-04-16", "2019-04-17", "2019-04-18"]
    before = ["2019-04-08", "2019-04-09", "2019-04-10", "2019-04-11", "2019-04-12"]
    days = [*steady(before), *steady(holy_week[:3]), ("2019-04-18", 96.0, 94.0, 95.0)]
    enter = {"2019-04-08": [reported("AA", day="2019-04-08")]}
    done = settle_all(market(bars("AA", days)), [*before, *holy_week], enter, settings=EARLY)
    assert [len(settled.evaluations) for settled in done] == [0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert done[-1].book.holdings[0].pending_reason == "trend_break"


def test_a_stop_on_the_week_end_goes_before_the_trend() -> None:
    prices = market(bars("AA", [*TREND[:-1], ("2020-01-17", 96.0, 89.0, 95.0)]))
    done = settle_all(prices, [*WEEK, *NEXT_WEEK], ENTER_AA, settings=EARLY)
    assert only_trade(done).exit_reason == "protective_stop"
    assert done[-1].evaluations == ()


def test_a_pending_exit_keeps_the_reason_that_came_first() -> None:
    # On Friday the close reaches the stop and the week breaks its trend: the stop comes first.
    prices = market(bars("AA", [*TREND[:-1], ("2020-01-17", 96.0, 89.0, 89.5)]))
    settings = config(trailing_transition_weeks=1, stop_mode="close_next_open")
    done = settle_all(prices, [*WEEK, *NEXT_WEEK], ENTER_AA, settings=settings)
    assert [week.exits for week in done[-1].evaluations] == [True]
    assert done[-1].book.holdings[0].pending_reason == "protective_stop"


# --------------------------------------------------------------------- rotation, slots, holding


def test_a_rotation_sells_and_buys_at_the_same_open() -> None:
    prices = market(
        bars("AA", [("2020-01-06", 100.0, 97.0, 98.0), ("2020-01-07", 99.0, 98.0, 99.0)]),
        bars("BB", steady(WEEK[:2], 50.0)),
    )
    candidates = {**ENTER_AA, "2020-01-07": [reported("BB", 51.0)]}
    done = settle_all(prices, WEEK[:2], candidates)
    trade = only_trade(done)
    assert (trade.ticker, trade.exit_reason, trade.exit_price) == ("AA", "rotated_out", 98.505)
    assert [one.ticker for one in done[1].book.holdings] == ["BB"]


def test_rotation_is_decided_at_the_last_close_though_the_open_recovered() -> None:
    # AA closed at a loss and opens with a gain: the loss decides. CC gained and opens in the red.
    prices = market(
        bars("AA", [("2020-01-06", 100.0, 97.0, 98.0), ("2020-01-07", 120.0, 119.0, 121.0)]),
        bars("CC", [("2020-01-06", 100.0, 99.0, 103.0), ("2020-01-07", 92.0, 91.0, 93.0)]),
        bars("BB", steady(WEEK[:2], 50.0)),
    )
    candidates = {
        "2020-01-06": [reported("AA", 50.0), reported("CC", 50.0)],
        "2020-01-07": [reported("BB", 60.0)],
    }
    done = settle_all(prices, WEEK[:2], candidates, settings=config(max_positions=2))
    assert [trade.ticker for trade in done[1].trades] == ["AA"]


def test_a_stop_inside_the_session_frees_its_slot_only_for_the_next() -> None:
    prices = market(
        bars("AA", [*steady(WEEK[:1]), ("2020-01-07", 99.0, 80.0, 81.0)]),
        bars("BB", steady(WEEK[:3], 50.0)),
    )
    candidates = {
        **ENTER_AA,
        "2020-01-07": [reported("BB", 40.0)],
        "2020-01-08": [reported("BB", 40.0)],
    }
    done = settle_all(prices, WEEK[:3], candidates)
    assert [skip.reason for skip in done[1].decision.skips] == ["capacity_full"]
    assert [one.ticker for one in done[2].book.holdings] == ["BB"]


def test_a_candidate_without_a_bar_is_not_carried_over() -> None:
    prices = market(bars("AA", steady(WEEK[1:2])))
    done = settle_all(prices, WEEK[:2], ENTER_AA)
    assert [skip.reason for skip in done[0].decision.skips] == ["no_price_data"]
    assert done[1].book.holdings == ()


def test_the_maximal_holding_ends_at_the_close_of_its_calendar_day() -> None:
    prices = market(bars("AA", [*steady(WEEK[:3]), ("2020-01-09", 100.0, 99.0, 104.0)]))
    done = settle_all(prices, WEEK[:4], ENTER_AA, settings=config(max_holding_days=3))
    trade = only_trade(done)
    assert (str(trade.exit_session), trade.hold_days) == ("2020-01-09", 3)
    assert trade.exit_price == 103.48  # 104 × 0.995


def test_the_unrealised_profit_is_that_of_the_last_close() -> None:
    prices = market(bars("AA", [("2020-01-06", 100.0, 99.0, 103.21)]))
    (settled,) = settle_all(prices, WEEK[:1], ENTER_AA)
    assert (settled.realised_usd, settled.unrealised_usd) == (0.0, 32.1)


# ---------------------------------------------------------------------------------------- splits


def test_a_split_inside_a_holding_period_is_no_loss() -> None:
    prices = market(
        bars(
            "AA",
            [*steady(WEEK[:1]), ("2020-01-07", 51.0, 50.0, 51.0), ("2020-01-08", 40.0, 39.0, 41.0)],
            splits={"2020-01-07": 2.0},
        )
    )
    done = settle_all(prices, WEEK[:3], ENTER_AA)
    (held,) = done[1].book.holdings
    assert (held.shares, held.shares_now, held.stop_price) == (10, 20, 45.0)
    assert done[1].unrealised_usd == 20.0  # 20 × 51 − 1000
    trade = only_trade(done)
    # Opened at 40, below the stop of 45: 40 × 0.995 = 39.80 a share now, 79.60 on the entry basis.
    assert (trade.shares, trade.entry_price, trade.exit_price) == (10, 100.0, 79.6)
    assert trade.pnl_usd == -204.0  # 20 × 39.80 − 1000
    assert trade.flags == ()


def test_a_fraction_left_by_a_split_is_cash_at_that_open() -> None:
    # 3 for 2 on 9 shares: 13 and a half; the half is paid at the open of 80: $40.
    prices = market(
        bars(
            "AA",
            [("2020-01-06", 110.0, 109.0, 110.0), ("2020-01-07", 80.0, 79.0, 80.0)],
            splits={"2020-01-07": 1.499999},
        )
    )
    done = settle_all(prices, WEEK[:2], ENTER_AA)
    (held,) = done[1].book.holdings
    assert (held.shares, held.shares_now, held.cash_in_lieu_usd) == (9, 13, 40.0)
    assert held.split_factor == 1.5
    assert held.stop_price == 66.0  # 99 / 1.5
    assert done[1].unrealised_usd == 90.0  # 13 × 80 + 40 − 990


def test_a_spin_off_is_reinvested_and_flagged() -> None:
    prices = market(
        bars(
            "AA",
            [*steady(WEEK[:1]), ("2020-01-07", 80.0, 79.0, 80.0), ("2020-01-08", 60.0, 59.0, 60.0)],
            splits={"2020-01-07": 1.287},
        )
    )
    done = settle_all(prices, WEEK[:3], ENTER_AA)
    (held,) = done[1].book.holdings
    assert held.shares_now == 10
    assert done[1].unrealised_usd == 29.6  # 10 × 1.287 × 80 − 1000
    assert only_trade(done).flags == ("spin_off_reinvested",)


def test_under_adjustment_all_dividends_count() -> None:
    # A dividend of $2 on an earlier close of 100: the adjusted close of Monday is 98.
    paid = bars(
        "AA",
        [*steady(WEEK[:1]), ("2020-01-07", 98.0, 97.0, 98.0)],
        adj={"2020-01-06": 98.0},
    )
    done = settle_all(market(paid), WEEK[:2], ENTER_AA, adjustment="all")
    assert done[1].unrealised_usd == pytest.approx(0.0, abs=0.01)
    plain = settle_all(market(paid), WEEK[:2], ENTER_AA)
    assert plain[1].unrealised_usd == -20.0


def test_the_open_of_a_split_session_does_not_choose_the_weakest() -> None:
    # AA: 3 for 2 on 9 shares. Marked at Monday's close both lose: AA 9 × 109.50 − 990 = −4.50,
    # CC 10 × 99.50 − 1000 = −5.00. Cash for AA's half share at Tuesday's low open would turn that.
    prices = market(
        bars(
            "AA",
            [("2020-01-06", 110.0, 109.0, 109.5), ("2020-01-07", 70.0, 69.0, 70.0)],
            splits={"2020-01-07": 1.5},
        ),
        bars("CC", [("2020-01-06", 100.0, 99.0, 99.5), ("2020-01-07", 100.0, 99.0, 100.0)]),
        bars("BB", steady(WEEK[:2], 50.0)),
    )
    candidates = {
        "2020-01-06": [reported("AA", 50.0), reported("CC", 50.0)],
        "2020-01-07": [reported("BB", 60.0)],
    }
    done = settle_all(prices, WEEK[:2], candidates, settings=config(max_positions=2))
    assert [trade.ticker for trade in done[1].trades] == ["CC"]


# ----------------------------------------------------------------------------------------- modes


@pytest.mark.parametrize(
    ("settings", "modes", "named"),
    [
        ({"stop_mode": "hourly"}, {}, "stop_mode"),
        ({"entry_mode": "next_open"}, {}, "entry_mode"),
        ({}, {"stop_fill": "at_close"}, "stop_fill"),
        ({}, {"adjustment": "none"}, "adjustment"),
    ],
)
def test_an_unknown_mode_is_refused_by_name(settings: dict, modes: dict, named: str) -> None:
    with pytest.raises(UnknownParameter, match=named):
        settle_all(market(), WEEK[:1], {}, settings=config(**settings), **modes)
