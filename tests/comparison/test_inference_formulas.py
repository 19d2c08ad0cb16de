"""Formulas of the decision against published values and against the package ``arch``."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from livekit.backtest.selection import probabilistic_sharpe
from livekit.comparison.inference import (
    block_length,
    bounds_path,
    confidence_bounds,
    corrected_variance,
    default_lags,
    degrees_of_freedom,
    effective_sessions,
    half_width,
    long_run_variance,
    minimum_track_record,
    spending_boundaries,
)


def autoregressive(seed: int, n: int = 250, rho: float = 0.4) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=n)
    for at in range(1, n):
        x[at] += rho * x[at - 1]
    return x


# ----------------------------------------------------------------------------------- published


def test_the_minimum_track_record_of_the_published_example() -> None:
    """Bailey & López de Prado (2012): annual SR 2 against 1, normal, daily, 95 %: 2.73 years."""
    daily = math.sqrt(252)
    needed = minimum_track_record(2 / daily, 0, 3, 0.05, benchmark=1 / daily)
    assert needed is not None
    assert needed / 252 == pytest.approx(2.73, abs=0.005)


@pytest.mark.parametrize(("annual", "sessions"), [(0.5, 2757), (1.0, 699), (2.0, 181)])
def test_skewed_fat_tailed_records_need_more_sessions(annual: float, sessions: int) -> None:
    needed = minimum_track_record(annual / math.sqrt(252), -0.3, 6, 0.05)
    assert needed == pytest.approx(sessions, abs=0.6)


def test_a_record_of_exactly_the_minimum_length_shows_the_ratio_at_95_pct() -> None:
    needed = minimum_track_record(0.1, -0.3, 6, 0.05)
    assert needed is not None
    # the formula gives a real number of sessions: check both neighbours
    below, above = (
        probabilistic_sharpe(0.1, 0.0, n, -0.3, 6) for n in (int(needed), int(needed) + 1)
    )
    assert below is not None
    assert above is not None
    assert below < 0.95 < above


def test_no_record_is_long_enough_for_a_ratio_that_is_not_above_the_benchmark() -> None:
    assert minimum_track_record(0.0, 0, 3, 0.05) is None
    assert minimum_track_record(-0.1, 0, 3, 0.05) is None


@pytest.mark.parametrize(
    ("fractions", "published"),
    [
        ((0.25, 0.5, 0.75, 1.0), (3.75, 2.54, 2.02, 1.72)),
        ((1 / 3, 2 / 3, 1.0), (3.20, 2.14, 1.70)),
        ((0.5, 1.0), (2.54, 1.66)),
    ],
)
def test_spending_boundaries_are_the_published_ones(
    fractions: tuple[float, ...], published: tuple[float, ...]
) -> None:
    assert spending_boundaries(fractions, 0.05) == pytest.approx(published, abs=0.006)


def test_two_looks_spend_alpha_by_the_joint_normal_distribution() -> None:
    first, second = spending_boundaries((0.5, 1.0), 0.05)
    joint = stats.multivariate_normal([0, 0], [[1, math.sqrt(0.5)], [math.sqrt(0.5), 1]])
    assert 1 - joint.cdf([first, second]) == pytest.approx(0.05, abs=2e-4)


def test_the_daily_bound_is_0_176_sigma_wide_at_the_planned_end() -> None:
    assert float(half_width(250.0, 1.0, 0.05, 250)) == pytest.approx(0.176, abs=5e-4)
    assert 1.645 / math.sqrt(250) == pytest.approx(0.104, abs=5e-4)  # of a single test


def test_the_daily_bound_is_tightest_near_the_planned_end() -> None:
    """Against a single test's width, σ √n h is smallest where the plan says."""
    n = np.arange(60.0, 1500.0)
    relative = half_width(n, 1.0, 0.05, 250) * np.sqrt(n)
    assert 200 <= n[np.argmin(relative)] <= 320


# ---------------------------------------------------------------------------------------- arch


@pytest.mark.parametrize("seed", range(6))
def test_block_length_is_that_of_arch(seed: int) -> None:
    from arch.bootstrap import optimal_block_length

    x = autoregressive(seed, rho=(0.0, 0.2, 0.5)[seed % 3])
    theirs = float(optimal_block_length(x)["stationary"].iloc[0])
    assert block_length(x) == pytest.approx(max(1.0, theirs), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_long_run_variance_is_that_of_arch(seed: int) -> None:
    from arch.covariance.kernel import Bartlett

    x = autoregressive(seed)
    theirs = float(np.asarray(Bartlett(x[:, None], bandwidth=10).cov.long_run).ravel()[0])
    assert long_run_variance(x) == pytest.approx(theirs, rel=1e-9)


# ------------------------------------------------------------------------------------ by hand


def test_long_run_variance_of_four_numbers_by_hand() -> None:
    # 1, 3, 2, 6: mean 3, deviations −2, 0, −1, 3; γ0 = (4 + 0 + 1 + 9)/4 = 3.5;
    # γ1 = (0 + 0 − 3)/4 = −0.75; one lag has the weight 1 − 1/2, twice: 3.5 − 0.75 = 2.75
    d = np.array([1.0, 3.0, 2.0, 6.0])
    assert long_run_variance(d, lags=1) == pytest.approx(2.75)
    assert long_run_variance(d, lags=0) == pytest.approx(3.5)


def test_degrees_of_freedom_are_those_of_independent_values() -> None:
    """E[e_s e_t] = −1/n for s ≠ t, summed pair by pair with the weight of each lag."""
    for n, lags in ((2, 1), (5, 4), (60, 10), (252, 10)):
        weights = 1 - np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / (lags + 1)
        expected = np.sum(np.maximum(weights, 0) * (np.eye(n) - 1 / n))
        assert degrees_of_freedom(n, lags) == pytest.approx(expected)
    assert degrees_of_freedom(60, 0) == 59  # the n − 1 of the sample variance


def test_the_corrected_variance_has_no_bias_for_independent_values() -> None:
    """4,000 series of 60: the plain estimate has a mean of 0.828, the corrected one of 1."""
    rows = np.random.default_rng(1).normal(size=(4_000, 60))
    found = [(long_run_variance(row), corrected_variance(row)) for row in rows]
    plain, corrected = np.mean(found, axis=0)
    error = 3 * np.std(found, axis=0)[1] / math.sqrt(4_000)
    assert plain == pytest.approx(degrees_of_freedom(60, 10) / 60, abs=error)
    assert corrected == pytest.approx(1.0, abs=error)


def test_lags_are_ten_for_years_and_fewer_than_the_sessions() -> None:
    assert [default_lags(n) for n in (1, 2, 8, 252, 2000)] == [0, 1, 7, 10, 10]


def test_without_variance_there_is_nothing_to_say() -> None:
    still = np.zeros(100)
    assert effective_sessions(still) is None
    assert effective_sessions(np.array([])) is None
    assert confidence_bounds(still, 0.05, 252) is None
    assert confidence_bounds(np.array([0.1]), 0.05, 252) is None
    assert block_length(still) == 1.0


@given(st.integers(0, 10_000), st.integers(3, 80), st.floats(0.0, 0.8))
def test_the_path_of_bounds_ends_where_each_beginning_ends(seed: int, n: int, rho: float) -> None:
    d = autoregressive(seed, n=n, rho=rho) * 0.004
    lower, upper = bounds_path(d, 0.05, 252)
    for size in {2, n // 2, n} - {0, 1}:
        single = confidence_bounds(d[:size], 0.05, 252)
        assert single is not None
        assert lower[size - 1] == pytest.approx(single.lower, rel=1e-6, abs=1e-9)
        assert upper[size - 1] == pytest.approx(single.upper, rel=1e-6, abs=1e-9)
    assert math.isnan(lower[0])


def test_bounds_of_many_series_are_those_of_each() -> None:
    rows = np.array([autoregressive(seed, n=70) for seed in range(3)])
    together, _ = bounds_path(rows, 0.05, 252)
    for row, lower in zip(rows, together, strict=True):
        np.testing.assert_allclose(lower, bounds_path(row, 0.05, 252)[0])
