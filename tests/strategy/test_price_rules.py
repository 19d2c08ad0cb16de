"""Rounding, stops, splits and the choice of the weakest, by numbers."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livekit.strategy import rules
from livekit.strategy.sizing import free_slots, whole_shares

CENT_PRICES = st.integers(min_value=1, max_value=10_000_000)


def test_a_stop_is_ten_percent_below_the_entry_rounded_down_to_the_cent() -> None:
    assert rules.protective_stop_price(33.33, 10.0) == 29.99  # 29.997


def test_float_noise_costs_no_tick() -> None:
    assert 17.10 * 0.9 != 15.39
    assert rules.protective_stop_price(17.10, 10.0) == 15.39


def test_below_one_dollar_the_tick_is_a_hundredth_of_a_cent() -> None:
    assert rules.protective_stop_price(0.9999, 10.0) == 0.8999  # 0.89991
    assert rules.protective_stop_price(1.11, 10.0) == 0.999  # below $1 after the deduction
    assert rules.floor_to_tick(1.0) == 1.0


@given(CENT_PRICES, st.sampled_from([3.0, 5.0, 7.5, 10.0, 12.5]))
def test_stops_equal_decimal_arithmetic(cents: int, pct: float) -> None:
    exact = Decimal(cents) / 100 * (1 - Decimal(str(pct)) / 100)
    tick = Decimal("0.01") if exact >= 1 else Decimal("0.0001")
    due = exact.quantize(tick, ROUND_FLOOR)
    assert rules.protective_stop_price(cents / 100, pct) == float(due)


def test_a_tie_in_the_fifth_decimal_goes_to_the_even_fill() -> None:
    # 17.01 × 0.995 = 16.92495: neighbours …49 (odd) and …50 (even)
    assert rules.exit_fill_price(17.01, 0.5) == 16.925
    # 17.03 × 0.995 = 16.94485: neighbours …48 (even) and …49 (odd)
    assert rules.exit_fill_price(17.03, 0.5) == 16.9448


@given(CENT_PRICES, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_fills_equal_decimal_arithmetic(cents: int, pct: float) -> None:
    exact = Decimal(cents) / 100 * (1 - Decimal(str(pct)) / 100)
    filled = exact.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
    assert rules.exit_fill_price(cents / 100, pct) == float(filled)


def test_profits_are_rounded_half_even_to_the_cent() -> None:
    assert rules.round_cents(0.125) == 0.12
    assert rules.round_cents(0.135) == 0.14
    assert rules.round_cents(-2.675) == -2.68


def test_shares_are_the_quotient_rounded_down_whatever_its_binary_form() -> None:
    assert whole_shares(10_000.0, 33.34) == 299  # 299.94
    assert whole_shares(10_000.0, 0.1) == 100_000
    assert whole_shares(2.1, 0.7) == 3  # 2.9999999999999996 in binary
    assert whole_shares(10_000.0, 10_000.01) == 0


def test_slots_are_empty_places_and_places_that_empty_now() -> None:
    assert free_slots(20, held=18, leaving=1) == 3
    assert free_slots(20, held=21, leaving=0) == -1


# ----------------------------------------------------------------------------------------- stops


def stopped_at(open_price: float, low: float, *, gap_aware: bool = True) -> float:
    """Where a later session's bar takes out a position whose stop is $90."""
    return rules.stop_exit_price(
        open_price, low, stop=90.0, is_entry_session=False, gap_aware=gap_aware
    )


def test_a_stop_reached_inside_the_bar_fills_at_the_stop() -> None:
    assert stopped_at(95.0, 90.0) == 90.0


def test_a_stop_fills_at_the_open_when_a_later_session_opened_far_below_it() -> None:
    assert stopped_at(71.0, 70.0) == 71.0
    assert stopped_at(71.0, 70.0, gap_aware=False) == 90.0


def test_a_low_above_the_stop_does_not_stop_out() -> None:
    assert math.isnan(stopped_at(95.0, 90.01))


def test_an_undefined_indicator_is_never_broken_and_equality_is_not_below() -> None:
    assert not rules.is_below(1.0, math.nan)
    assert not rules.is_below(100.0, 100.0)
    assert not rules.is_below(0.1 + 0.2, 0.3)
    assert rules.is_below(99.99, 100.0)


# ---------------------------------------------------------------------------------------- splits


@pytest.mark.parametrize(
    ("shown", "meant"),
    [(7.000007, 7.0), (1.499999, 1.5), (0.333333, 1 / 3), (2.0, 2.0), (10.0, 10.0), (0.1, 0.1)],
)
def test_a_ratio_close_to_a_small_fraction_is_that_split(shown: float, meant: float) -> None:
    assert rules.snap_split_ratio(shown) == meant


@pytest.mark.parametrize("shown", [1.487, 1.011, 1.062, 0.955, 20.0, 1.5002])
def test_any_other_ratio_is_no_split(shown: float) -> None:
    assert math.isnan(rules.snap_split_ratio(shown))


def test_a_split_leaves_whole_shares_and_a_fraction() -> None:
    assert rules.split_shares(101, 1.5) == (151, 0.5)
    assert rules.split_shares(99, 1 / 3) == (33, 0.0)


def test_the_live_stop_after_a_split_stands_on_a_tick() -> None:
    assert rules.stop_after_split(27.61, 4.0) == 6.9  # 6.9025
    assert rules.stop_after_split(27.0, 1 / 3) == 81.0


# --------------------------------------------------------------------------------------- rotation


def weakest(pnl: list[float], score: list[float], rank: list[int] | None = None) -> int:
    count = len(pnl)
    return rules.weakest_index(
        np.array(pnl),
        np.array(score),
        np.array(rank or range(count)),
        np.ones(count, dtype=bool),
    )


def test_the_weakest_is_the_largest_loser_in_dollars() -> None:
    assert weakest([-50.0, -80.0, 30.0], [10.0, 90.0, 5.0]) == 1


def test_nobody_is_weak_without_a_loss() -> None:
    assert weakest([0.0, 12.0], [10.0, 20.0]) == -1


def test_equal_losses_go_to_the_lower_score_then_to_the_earlier_ticker() -> None:
    assert weakest([-50.0, -50.0], [60.0, 40.0]) == 1
    assert weakest([-50.0, -50.0], [40.0, 40.0], rank=[1, 0]) == 1


def test_a_missing_score_beats_nobody_and_is_beaten_by_nobody() -> None:
    assert not rules.score_beats(math.nan, 40.0)
    assert not rules.score_beats(40.0, math.nan)
    assert not rules.score_beats(40.0, 40.0)
