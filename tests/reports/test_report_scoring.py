from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from report_examples import bars_until

from livekit.reports.scoring import (
    FactorPoints,
    ScoredStock,
    Unscored,
    average_points,
    gap_points,
    grade_of,
    opening_gap_pct,
    previous_close,
    reference_price_usd,
    score_stock,
    total_score,
    trend_points,
    volume_points,
)

DAY, BEFORE = date(2020, 1, 30), date(2020, 1, 29)


@pytest.mark.parametrize(
    ("gap_pct", "points"),
    [(-0.01, 1), (0.0, 2), (1.99, 2), (2.0, 3), (5.0, 3), (9.99, 3), (10.0, 2), (45.0, 2)],
)
def test_a_gap_earns_most_between_2_and_10_percent(gap_pct: float, points: int) -> None:
    assert gap_points(gap_pct) == points


@pytest.mark.parametrize(
    ("trend_pct", "points"),
    [(-10.01, 1), (-10.0, 2), (-0.01, 2), (0.0, 3), (9.99, 3), (10.0, 4), (20.0, 4), (20.01, 5)],
)
def test_a_rising_stock_earns_more(trend_pct: float, points: int) -> None:
    assert trend_points(trend_pct) == points


@pytest.mark.parametrize(
    ("ratio_pct", "points"),
    [(89.9, 2), (90, 3), (99.9, 3), (100, 4), (109.9, 4), (110, 5), (120, 5), (120.1, 1)],
)
def test_volume_earns_most_when_it_grows_by_10_to_20_percent(ratio_pct: float, points: int) -> None:
    assert volume_points(ratio_pct) == points


@pytest.mark.parametrize(
    ("ratio_pct", "points"),
    [(89.9, 1), (90, 2), (99.9, 2), (100, 3), (104.9, 3), (105, 4), (110, 4), (110.1, 5)],
)
def test_a_close_far_above_its_average_earns_most(ratio_pct: float, points: int) -> None:
    assert average_points(ratio_pct) == points


def test_a_binary_fraction_beside_a_bound_counts_as_the_bound() -> None:
    assert 100.0 * 1.1 == 110.00000000000001
    assert average_points(100.0 * 1.1) == 4
    assert volume_points(100.0 * 1.2 + 1e-12) == 5


def test_the_score_is_twenty_times_the_weighted_points() -> None:
    # 20 × (0.25·3 + 0.30·4 + 0.20·5 + 0.15·2 + 0.10·1) = 20 × 3.35 = 67
    assert total_score(FactorPoints(gap=3, trend=4, volume=5, ma200=2, ma50=1)) == 67.0
    assert total_score(FactorPoints(1, 1, 1, 1, 1)) == 20.0
    assert total_score(FactorPoints(3, 5, 5, 5, 5)) == 90.0  # no gap earns more than 3


@pytest.mark.parametrize(
    ("score", "grade"),
    [(90, "A"), (85, "A"), (84.9, "B"), (70, "B"), (69, "C"), (55, "C"), (54.9, "D"), (20, "D")],
)
def test_grades_are_cut_at_85_70_and_55(score: float, grade: str) -> None:
    assert grade_of(score) == grade


def test_a_price_is_printed_in_cents_half_to_even_and_finer_below_one_dollar() -> None:
    assert reference_price_usd(17.105) == Decimal("17.10")
    assert reference_price_usd(17.115) == Decimal("17.12")
    assert str(reference_price_usd(174.0)) == "174.00"
    assert reference_price_usd(0.51239) == Decimal("0.5124")


# ------------------------------------------------------------------------------ measuring a stock


def steady(count: int = 200) -> list[float]:
    """A stock at 100 USD that ends at 115 after 20 sessions."""
    return [100.0] * (count - 20) + [100.0 + 0.75 * step for step in range(1, 21)]


def test_a_stock_is_scored_from_bars_up_to_the_day_before() -> None:
    entry = score_stock(bars_until(BEFORE, steady()), DAY, 118.45, company_name="Acme Corp")
    assert isinstance(entry, ScoredStock)
    # gap 118.45 / 115 = +3 %, 20-session trend 115 / 100 = +15 %, volume unchanged.
    # The last 20 closes have the mean 100 + 0.75 × 10.5 = 107.875.
    # MA200 = (180 × 100 + 20 × 107.875) / 200 = 100.7875, 115 / 100.7875 = 114.1 %.
    # MA50 = (30 × 100 + 20 × 107.875) / 50 = 103.15, 115 / 103.15 = 111.5 %.
    factors = entry.factors
    assert factors.gap_pct == pytest.approx(3.0)
    assert factors.trend_pct == pytest.approx(15.0)
    assert factors.volume_ratio_pct == pytest.approx(100.0)
    assert factors.ma200_ratio_pct == pytest.approx(100 * 115 / 100.7875)
    assert factors.ma50_ratio_pct == pytest.approx(100 * 115 / 103.15)
    assert entry.points == FactorPoints(gap=3, trend=4, volume=4, ma200=5, ma50=5)
    # 20 × (0.75 + 1.2 + 0.8 + 0.75 + 0.5) = 80
    assert (entry.score, entry.grade, entry.price) == (80.0, "B", Decimal("118.45"))


def test_nothing_that_trades_on_the_day_or_later_changes_a_score() -> None:
    later = [130.0, 90.0]
    whole = bars_until(date(2020, 1, 31), [*steady(), *later])
    known = bars_until(BEFORE, steady())
    assert score_stock(whole, DAY, 118.45, company_name="x") == score_stock(
        known, DAY, 118.45, company_name="x"
    )


def test_with_199_bars_a_stock_is_left_out_and_not_guessed() -> None:
    bars = bars_until(BEFORE, steady(199))
    assert score_stock(bars, DAY, 118.45, company_name="x") == Unscored(
        "ACME", "199 bars up to 2020-01-29, 200 needed"
    )


def test_a_stock_that_did_not_trade_the_day_before_is_left_out() -> None:
    bars = bars_until(date(2020, 1, 28), steady(250))
    assert score_stock(bars, DAY, 118.45, company_name="x") == Unscored(
        "ACME", "no bar on 2020-01-29"
    )


def test_a_stock_without_any_volume_is_left_out() -> None:
    bars = bars_until(BEFORE, steady(), volumes=0.0)
    entry = score_stock(bars, DAY, 118.45, company_name="x")
    assert isinstance(entry, Unscored)
    assert entry.reason.startswith("no volume")


def test_volume_of_20_sessions_is_compared_with_that_of_60() -> None:
    volumes = [1000.0] * 180 + [1300.0] * 20
    entry = score_stock(bars_until(BEFORE, steady(), volumes=volumes), DAY, 115.0, company_name="x")
    assert isinstance(entry, ScoredStock)
    # 1300 against (40 × 1000 + 20 × 1300) / 60 = 1100 is 118.2 %
    assert entry.factors.volume_ratio_pct == pytest.approx(100 * 1300 / 1100)
    assert entry.points.volume == 5


@pytest.mark.parametrize(("ratio", "counted"), [(2.0, 2000.0), (1.487, 1000.0)])
def test_volume_before_a_split_counts_in_new_shares_and_a_spin_off_changes_none(
    ratio: float, counted: float
) -> None:
    bars = bars_until(BEFORE, steady())
    split = bars.split_ratio.copy()
    split[-20] = ratio
    entry = score_stock(replace(bars, split_ratio=split), DAY, 115.0, company_name="x")
    assert isinstance(entry, ScoredStock)
    average = (40 * counted + 20 * 1000) / 60
    assert entry.factors.volume_ratio_pct == pytest.approx(100 * 1000 / average)


def test_trend_and_averages_use_adjusted_closes() -> None:
    bars = bars_until(BEFORE, [200.0] * 190 + [100.0] * 10)  # a 2:1 split ten sessions ago
    adjusted = replace(bars, adj_close=np.full(200, 100.0))
    entry = score_stock(adjusted, DAY, 100.0, company_name="x")
    assert isinstance(entry, ScoredStock)
    assert entry.factors.trend_pct == 0.0
    assert entry.factors.ma200_ratio_pct == 100.0


def test_a_gap_is_measured_against_the_close_less_dividend_on_todays_shares() -> None:
    # 102 before, 2.00 dividend and 4:1 split today: (102 − 2) / 4 = 25; 26 is a gap of +4 %
    bars = bars_until(DAY, [102.0, 26.0])
    dividend, split = np.array([0.0, 2.0]), np.array([1.0, 4.0])
    changed = replace(bars, dividend_usd=dividend, split_ratio=split)
    assert previous_close(changed, 1) == 25.0
    assert opening_gap_pct(changed, 1) == pytest.approx(4.0)


def test_a_split_on_the_day_is_known_before_the_open() -> None:
    bars = bars_until(DAY, [*steady(), 59.0])
    split = bars.split_ratio.copy()
    split[-1] = 2.0
    entry = score_stock(replace(bars, split_ratio=split), DAY, 59.225, company_name="x")
    assert isinstance(entry, ScoredStock)
    assert entry.factors.gap_pct == pytest.approx(3.0)  # 59.225 against 115 / 2 = 57.5
