"""Resampling: blocks of the right length, the same sessions for both books, equal seed by seed."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livekit.comparison.resampling import (
    Clusters,
    clusters_by_entry_week,
    drawdown_differences,
    factor_ratio,
    maximum_drawdown,
    mean_interval,
    stationary_indices,
)


def test_blocks_have_the_mean_length_that_was_asked_for() -> None:
    indices = stationary_indices(500, 400, 8.0, seed=3)
    following = (indices[:, 1:] - indices[:, :-1]) % 500 == 1
    # a new block starts with probability 1/8, and by chance (1/500) where the old one would go on
    assert 1 - following.mean() == pytest.approx((1 / 8) * (1 - 1 / 500), abs=0.003)
    assert indices.min() == 0
    assert indices.max() == 499


def test_every_session_is_drawn_equally_often() -> None:
    counts = np.bincount(stationary_indices(50, 4_000, 6.0, seed=1).ravel(), minlength=50)
    assert counts.min() > 0.93 * 4_000
    assert counts.max() < 1.07 * 4_000


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (stationary_indices(252, 500, 5.0, seed=s) for s in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_the_interval_of_the_mean_is_that_of_arch() -> None:
    """Two generators: the ends agree within the noise of 20,000 draws."""
    from arch.bootstrap import StationaryBootstrap

    x = np.random.default_rng(5).normal(0.1, 1.0, 200)
    for at in range(1, 200):
        x[at] += 0.4 * x[at - 1]
    ours = mean_interval(x, stationary_indices(200, 20_000, 6.0, seed=1), 0.05)
    theirs = StationaryBootstrap(6, x, seed=2).apply(lambda part: part.mean(), 20_000).ravel()
    spread = theirs.std()
    assert ours[0] == pytest.approx(np.quantile(theirs, 0.05), abs=0.05 * spread)
    assert ours[1] == pytest.approx(np.quantile(theirs, 0.95), abs=0.05 * spread)


# ------------------------------------------------------------------------------------ drawdown


def test_maximum_drawdown_by_hand() -> None:
    # 1 → 1.10 → 0.88 → 0.968 → 0.7744: from 1.10 to 0.7744 is a fall of 29.6 %
    returns = np.array([0.10, -0.20, 0.10, -0.20])
    assert float(maximum_drawdown(returns)) == pytest.approx(1 - 0.7744 / 1.10)
    # a book that only loses falls from the 1 it starts with
    assert float(maximum_drawdown(np.array([-0.1, -0.1]))) == pytest.approx(0.19)
    assert float(maximum_drawdown(np.array([0.1, 0.2]))) == 0.0


def test_the_mean_drawdown_of_a_random_walk_is_the_published_one() -> None:
    """Magdon-Ismail et al. (2004): E[MDD] = √(π/2) σ √T for Brownian motion without drift.

    Steps instead of a continuous path miss part of the extremes: 0.5826 σ at each end
    (Broadie, Glasserman & Kou 1997), so about 1.17 σ less. The drawdown of a log path is −log(1−x).
    """
    sigma, steps = 0.001, 2_000
    returns = np.exp(np.random.default_rng(1).normal(0, sigma, (3_000, steps))) - 1
    mean = float(np.mean(-np.log1p(-maximum_drawdown(returns))))
    expected = math.sqrt(math.pi / 2) * sigma * math.sqrt(steps) - 2 * 0.5826 * sigma
    assert mean == pytest.approx(expected, rel=0.02)


def test_both_books_are_drawn_on_the_same_sessions() -> None:
    """Two books with equal returns have no drawdown difference on any draw."""
    returns = np.random.default_rng(4).normal(0, 0.01, 120)
    indices = stationary_indices(120, 300, 5.0, seed=1)
    assert not drawdown_differences(returns, returns, indices).any()


def test_long_records_are_worked_off_in_parts_with_the_same_result() -> None:
    returns = np.random.default_rng(4).normal(0, 0.01, 2_000)
    indices = stationary_indices(2_000, 350, 5.0, seed=1)  # 700,000 values: several parts
    whole = maximum_drawdown(0.5 * returns[indices]) - maximum_drawdown(returns[indices])
    np.testing.assert_array_equal(drawdown_differences(returns, 0.5 * returns, indices), whole)


# ------------------------------------------------------------------------------- profit factor


MONDAY, FRIDAY, NEXT = date(2020, 3, 2), date(2020, 3, 6), date(2020, 3, 9)


def test_clusters_are_the_weeks_of_entry() -> None:
    primary = [(MONDAY, 100.0), (FRIDAY, -30.0), (NEXT, -20.0)]
    shadow = [(FRIDAY, 50.0)]
    clusters = clusters_by_entry_week(primary, shadow)
    assert len(clusters) == 2
    assert clusters.primary_win.tolist() == [100.0, 0.0]
    assert clusters.primary_loss.tolist() == [30.0, 20.0]
    assert clusters.shadow_win.tolist() == [50.0, 0.0]
    assert clusters.shadow_loss.tolist() == [0.0, 0.0]


def random_clusters(seed: int, m: int = 40) -> Clusters:
    chance = np.random.default_rng(seed)
    win, loss = chance.exponential(3.0, (2, m)), chance.exponential(1.5, (2, m))
    return Clusters(win[0], loss[0], win[1], loss[1])


def test_the_log_ratio_is_that_of_the_profit_factors() -> None:
    # primary 120/40 = 3, shadow 90/60 = 1.5: the log ratio is log(1.5/3) = −log 2
    rows = ([100.0, 20.0], [10.0, 30.0], [30.0, 60.0], [40.0, 20.0])
    clusters = Clusters(*(np.tile(row, 6) for row in rows))
    found = factor_ratio(clusters, 200, 0.05, seed=1)
    assert found is not None
    assert found.log_ratio == pytest.approx(-math.log(2))


@given(st.integers(0, 1_000))
def test_swapping_the_books_turns_the_sign(seed: int) -> None:
    given_ = random_clusters(seed)
    swapped = Clusters(
        given_.shadow_win, given_.shadow_loss, given_.primary_win, given_.primary_loss
    )
    ours, theirs = (factor_ratio(one, 300, 0.05, seed=1) for one in (given_, swapped))
    assert ours is not None
    assert theirs is not None
    assert ours.log_ratio == pytest.approx(-theirs.log_ratio)
    assert ours.low == pytest.approx(-theirs.high)
    assert ours.high == pytest.approx(-theirs.low)


def test_the_order_of_the_clusters_does_not_matter() -> None:
    """The estimate is the same; the ends agree within the noise of 4,000 draws."""
    given_ = random_clusters(1)
    order = np.random.default_rng(2).permutation(len(given_))
    turned = Clusters(*(getattr(given_, name)[order] for name in Clusters.__slots__))
    first, second = (factor_ratio(one, 4_000, 0.05, seed=1) for one in (given_, turned))
    assert first is not None
    assert second is not None
    assert second.log_ratio == pytest.approx(first.log_ratio, rel=1e-12)
    width = first.high - first.low
    assert (second.low, second.high) == pytest.approx((first.low, first.high), abs=0.05 * width)


def test_scale_does_not_matter() -> None:
    small, large = random_clusters(1), random_clusters(1)
    large = Clusters(*(100 * getattr(large, name) for name in Clusters.__slots__))
    first, second = (factor_ratio(one, 300, 0.05, seed=1) for one in (small, large))
    assert first is not None
    assert second is not None
    assert (first.low, first.high) == pytest.approx((second.low, second.high))


@pytest.mark.parametrize(
    "clusters",
    [
        Clusters(*(np.array(row) for row in ([5.0, 1.0], [0.0, 0.0], [4.0, 1.0], [1.0, 1.0]))),
        Clusters(*(np.array(row) for row in ([0.0, 0.0], [1.0, 1.0], [4.0, 1.0], [1.0, 1.0]))),
        Clusters(*(np.array(row) for row in ([5.0], [1.0], [4.0], [1.0]))),
        Clusters(*(np.array(row) for row in ([5.0, 1.0], [1.0, 2.0], [5.0, 1.0], [1.0, 2.0]))),
    ],
    ids=["no loser", "no winner", "one week", "equal books"],
)
def test_without_losers_winners_weeks_or_spread_there_is_no_interval(clusters: Clusters) -> None:
    assert factor_ratio(clusters, 200, 0.05, seed=1) is None


def coverage(worlds: int, draws: int) -> float:
    """Share of worlds with equal books whose 90 % interval of the log ratio holds 0."""
    held = 0
    for seed in range(worlds):
        found = factor_ratio(random_clusters(seed), draws, 0.05, seed=seed)
        assert found is not None
        held += found.low <= 0 <= found.high
    return held / worlds


def test_the_interval_of_the_profit_factors_covers() -> None:
    """300 worlds at 90 %: three Monte-Carlo errors are 3 √(0.9 × 0.1 / 300) = 5.2 points."""
    assert abs(coverage(300, 300) - 0.90) <= 0.052


@pytest.mark.slow
def test_the_interval_of_the_profit_factors_covers_over_many_worlds() -> None:
    """2,000 worlds: three Monte-Carlo errors are 2.0 points."""
    assert abs(coverage(2_000, 1_000) - 0.90) <= 0.0202
