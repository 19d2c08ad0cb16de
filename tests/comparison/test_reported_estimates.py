"""What is reported with intervals: Sharpe difference, shortfall, costs, prior and regrets."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy import integrate, stats

from livekit.comparison.decision import Verdict, decide
from livekit.comparison.figures import resample_record
from livekit.comparison.forecast import VerdictPlan
from livekit.comparison.inference import block_length, corrected_variance
from livekit.comparison.prior import fold_spread, outlook
from livekit.comparison.reported import Estimate
from livekit.comparison.resampling import (
    mean_interval,
    shortfall,
    stationary_indices,
    sum_interval,
)
from livekit.comparison.sharpe import SharpeDifference, sharpe_difference
from livekit.comparison.twins import MarkedTrade, TwinBook, TwinRecord, marked_trade
from livekit.model import END_OF_DATA, Candidate, ClosedTrade
from livekit.workbench.tables import to_text
from livekit.workbench.verdict.tables import estimates_table
from tests.comparison.planted import BASE_USD, days, overlapping, planted

PLAN = VerdictPlan(BASE_USD, draws=300)
ENTRY, EXIT = date(2020, 1, 6), date(2020, 1, 17)


def books(seed: int, n: int = 252, kind: str = "normal") -> tuple[np.ndarray, np.ndarray]:
    """Returns of two books with one Sharpe ratio and a correlation of 0.9."""
    chance = np.random.default_rng(seed)
    drawn = chance.standard_t(4, (2, n + 50)) if kind == "t" else chance.normal(size=(2, n + 50))
    if kind == "autocorrelated":
        for at in range(1, n + 50):
            drawn[:, at] += 0.3 * drawn[:, at - 1]
    first, second = drawn[:, 50:]
    return 0.0005 + 0.01 * first, 0.0005 + 0.01 * (0.9 * first + math.sqrt(0.19) * second)


def compared(primary: np.ndarray, shadow: np.ndarray, **kind: int) -> SharpeDifference:
    settings = {"block": 5, "draws": 500, "alpha": 0.05, "seed": 1} | kind
    found = sharpe_difference(primary, shadow, **settings)  # type: ignore[arg-type]
    assert found is not None
    return found


# ------------------------------------------------------------------------------ Sharpe difference


def test_the_difference_is_that_of_the_two_annual_ratios() -> None:
    primary, shadow = books(1)
    ratios = [math.sqrt(252) * one.mean() / one.std() for one in (primary, shadow)]
    found = compared(primary, shadow)
    assert found.value == pytest.approx(ratios[1] - ratios[0])
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_independent_normal_books_have_the_standard_error_of_jobson_and_korkie() -> None:
    """Memmel (2003), correlation 0: √((2 + (SR₁² + SR₂²)/2) / n); 90 % are ± 1.645 of it."""
    chance = np.random.default_rng(3)
    primary, shadow = 0.001 + 0.01 * chance.normal(size=(2, 1_000))
    ratios = [one.mean() / one.std() for one in (primary, shadow)]
    error = math.sqrt((2 + (ratios[0] ** 2 + ratios[1] ** 2) / 2) / 1_000)
    found = compared(primary, shadow, block=1, draws=2_000)
    assert found.high - found.value == pytest.approx(1.645 * math.sqrt(252) * error, rel=0.1)


def test_swapped_books_turn_the_sharpe_difference_and_scale_does_not_matter() -> None:
    primary, shadow = books(2)
    found, turned = compared(primary, shadow), compared(shadow, primary)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    smaller = compared(primary / 8, shadow / 8)
    assert (smaller.low, smaller.high) == pytest.approx((found.low, found.high))
    assert compared(primary, shadow) == found
    assert compared(primary, shadow, seed=2) != found


def test_without_variation_difference_or_blocks_there_is_no_interval() -> None:
    primary, shadow = books(4, 60)
    settings = {"draws": 100, "alpha": 0.05, "seed": 1}
    assert sharpe_difference(primary, np.zeros(60), block=5, **settings) is None
    assert sharpe_difference(primary, primary, block=5, **settings) is None
    assert sharpe_difference(primary, shadow, block=7, **settings) is None  # eight blocks
    assert sharpe_difference(primary, shadow, block=6, **settings) is not None


def coverage(worlds: int, kind: str) -> float:
    """Share of worlds with equal ratios whose widest 90 % interval of three blocks holds 0."""
    held = 0
    for seed in range(worlds):
        primary, shadow = books(seed, 126, kind)
        length = block_length(shadow - primary)
        found = [
            compared(primary, shadow, block=min(12, max(1, round(by * length))), draws=300)
            for by in (1, 2, 4)
        ]
        widest = max(found, key=lambda one: one.high - one.low)
        held += widest.low <= 0 <= widest.high
    return held / worlds


KINDS = ("normal", "t", "autocorrelated")


@pytest.mark.parametrize("kind", KINDS)
def test_the_sharpe_interval_covers(kind: str) -> None:
    """200 worlds at 90 %: three Monte-Carlo errors are 6.4 points; the widest may cover more."""
    assert 0.90 - 0.064 <= coverage(200, kind) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_sharpe_interval_covers_in_many_worlds(kind: str) -> None:
    """2,000 worlds: three Monte-Carlo errors are 2.0 points."""
    share = coverage(2_000, kind)
    print(f"90 % interval of the Sharpe difference, {kind}: covers {share:.1%}")
    assert share >= 0.90 - 0.0202


# ------------------------------------------------------------------------ shortfall, sums, blocks


def test_expected_shortfall_is_the_mean_of_the_worst_twentieth() -> None:
    returns = np.arange(40.0) / 100 - 0.05  # two of forty: −5 % and −4 %
    assert float(shortfall(returns[::-1].copy())) == pytest.approx(-0.045)
    assert float(shortfall(np.array([0.02, -0.01, 0.03]))) == pytest.approx(-0.01)
    assert shortfall(np.stack([returns, -returns])).tolist() == pytest.approx([-0.045, -0.335])


def test_a_sum_over_clusters_needs_two_of_them() -> None:
    assert sum_interval(np.array([3.0]), 100, 0.05, 1) is None
    assert sum_interval(np.array([2.0, 2.0, 2.0]), 100, 0.05, 1) == (6.0, 6.0)
    sums = np.random.default_rng(1).normal(1, 1, 400)
    low, high = sum_interval(sums, 4_000, 0.05, 1) or (0, 0)
    assert high - low == pytest.approx(2 * 1.645 * sums.std() * math.sqrt(400), rel=0.06)


def test_the_quoted_interval_is_the_widest_of_one_two_and_four_block_lengths() -> None:
    record = planted(4, autoregression=0.4).record()
    found = resample_record(record, PLAN)
    assert found is not None
    d = record.difference
    each = [
        mean_interval(d, stationary_indices(252, PLAN.draws, by * found.block, PLAN.seed), 0.05)
        for by in (1, 2, 4)
    ]
    widest = max(each, key=lambda ends: ends[1] - ends[0])
    assert found.interval == pytest.approx((252 * widest[0], 252 * widest[1]))


# ---------------------------------------------------------------------------------------- costs


def closed(exit_price: float, reason: str, profit_usd: float) -> ClosedTrade:
    candidate = Candidate("AA", ENTRY, "A", 80.0)
    return ClosedTrade(candidate, ENTRY, 50.0, 200, EXIT, exit_price, reason, profit_usd, 0.0, 11)


def test_what_leaving_cost_is_the_slippage_in_the_fill() -> None:
    """60 × (1 − 0.5 %) = 59.70: 200 shares cost 60 USD; a mark at 60 is to cost as much."""
    sold = marked_trade(closed(59.7, "trend_break", 1_940.0), 0.5)
    held = marked_trade(closed(60.0, END_OF_DATA, 2_000.0), 0.5)
    assert (sold.profit_usd, sold.exit_cost_usd) == pytest.approx((1_940.0, 60.0))
    assert (held.profit_usd, held.exit_cost_usd) == pytest.approx((1_940.0, 60.0))
    assert (sold.exit_session, held.exit_session) == (EXIT, None)


def small_record() -> TwinRecord:
    """The shadow bought 3,000 USD more and paid 20 USD more for leaving, over three sessions."""
    sessions = days()[:3]
    first = MarkedTrade("AA", sessions[0], 50.0, 200, -1_000.0, sessions[1], 45.0)
    second = MarkedTrade("BB", sessions[1], 30.0, 100, 300.0, sessions[2], 20.0)
    return TwinRecord(
        sessions,
        BASE_USD,
        TwinBook("ema_p10", np.array([-500.0, -1_000.0, -1_000.0]), (first,)),
        TwinBook("nwl_p4", np.array([-500.0, -800.0, -700.0]), (first, second)),
    )


def named(found: Verdict, start: str) -> Estimate:
    return next(one for one in found.estimates if one.name.startswith(start))


def test_turnover_and_costs_of_a_small_record_by_hand() -> None:
    found = decide(small_record(), PLAN)
    bought, costs = named(found, "bought"), named(found, "exit costs")
    # 10,000 and 13,000 of 200,000 USD are 5 and 6.5 %; 45 and 65 USD are 0.0225 and 0.0325 %
    assert (bought.primary, bought.shadow, bought.difference) == pytest.approx((5.0, 6.5, 1.5))
    assert (costs.primary, costs.shadow, costs.difference) == pytest.approx((0.0225, 0.0325, 0.01))
    assert bought.interval is None  # both entries in one week
    mean = named(found, "mean")
    assert mean.difference == pytest.approx(1e4 * 300 / BASE_USD / 3)  # 5 bps a session
    assert named(found, "P&L").difference == pytest.approx(0.15)


# --------------------------------------------------------------------------------------- estimates


def test_every_estimate_holds_its_difference_in_its_interval() -> None:
    found = decide(overlapping(3).record(), PLAN)
    assert len(found.estimates) == 7
    for one in found.estimates:
        assert one.interval is not None, one.name
        assert one.primary is not None
        assert one.shadow is not None
        assert one.difference == pytest.approx(one.shadow - one.primary, abs=2e-3)
        assert one.interval.low <= one.difference <= one.interval.high


def test_estimates_decide_nothing() -> None:
    record = planted(1, advantage_bps=10.0, sd_bps=20.0).record(250)
    plans = (PLAN, replace(PLAN, prior_sd_bps=0.01, switching_cost_pct=50.0))
    first, second = (decide(record, plan) for plan in plans)
    assert first.outlook != second.outlook
    assert (first.state, first.criteria) == (second.state, second.criteria)


@pytest.mark.parametrize("sessions", [1, 2, 5, 59, 60])
def test_short_records_say_what_is_not_available(sessions: int) -> None:
    found = decide(planted(1).record(sessions), PLAN)
    text = to_text(estimates_table(found))
    assert not {"inf", "nan"} & set(text.replace("(", " ").split())
    assert (found.outlook is None) is (sessions < 60)
    assert ("not available" in text) is (sessions < 60)


def test_one_trade_gives_no_profit_factor_and_no_exception() -> None:
    record = small_record()
    one = replace(record, shadow=replace(record.primary, strategy="nwl_p4"))
    found = decide(one, PLAN)
    assert found.state == "CONTINUE"
    assert named(found, "log profit factor").difference is None
    text = json.dumps([estimate.difference for estimate in found.estimates])
    assert "NaN" not in text
    assert "Infinity" not in text


# ------------------------------------------------------------------------------ prior and regrets


def test_the_posterior_is_the_precision_weighted_mean() -> None:
    """τ 2.5 bps, σ 39.686 bps over 252 sessions: noise of 2.5 bps, so half of 3 bps is believed."""
    found = outlook(3e-4, 2.5e-4 * math.sqrt(252), 252, PLAN)
    assert found.mean_bps == pytest.approx(1.5)
    assert found.sd_bps == pytest.approx(2.5 / math.sqrt(2))
    assert found.cost_bps == pytest.approx(50 / 252)  # 0.5 % over 252 sessions
    z = (1.5 - 50 / 252) / (2.5 / math.sqrt(2))
    assert found.better == pytest.approx(stats.norm.cdf(z))


def test_the_expected_regrets_are_the_integrals_of_the_posterior() -> None:
    found = outlook(3e-4, 20e-4, 120, PLAN)
    believed = stats.norm(found.mean_bps, found.sd_bps)

    def integral(sign: int) -> float:
        value, _ = integrate.quad(
            lambda d: max(0.0, sign * (d - found.cost_bps)) * believed.pdf(d),
            found.mean_bps - 10 * found.sd_bps,
            found.mean_bps + 10 * found.sd_bps,
            points=[found.cost_bps],
        )
        return float(value) * 252 / 100  # bps a session to % over the horizon

    assert found.regret_waiting_pct == pytest.approx(integral(1), rel=1e-6)
    assert found.regret_switching_pct == pytest.approx(integral(-1), rel=1e-6)
    gain = (found.mean_bps - found.cost_bps) * 252 / 100
    assert found.regret_waiting_pct - found.regret_switching_pct == pytest.approx(gain)


def test_with_more_sessions_the_regret_of_the_better_choice_vanishes() -> None:
    found = [outlook(5e-4, 20e-4, n, PLAN).regret_switching_pct for n in (60, 250, 4_000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-9


def test_the_prior_s_spread_is_found_in_folds_that_differ_and_not_in_noise() -> None:
    """Method of moments: means of τ 3 bps around 0, in 400 folds of a year with noise of 2.5."""
    chance = np.random.default_rng(5)
    noise = chance.normal(0.0, 39.7e-4, (400, 252))
    means = chance.normal(0.0, 3e-4, (400, 1))
    assert fold_spread(list(noise + means)) == pytest.approx(3e-4, rel=0.15)
    assert (fold_spread(list(noise)) or 0.0) < 1e-4
    assert fold_spread([noise[0]]) is None
    assert fold_spread([noise[0], np.zeros(50)]) is None
    apart = [noise[0] - noise[0].mean() + 4e-4, noise[1] - noise[1].mean() - 4e-4]
    spread = 16e-8 - sum(corrected_variance(one) / 252 for one in apart) / 2
    assert fold_spread(apart) == pytest.approx(math.sqrt(spread))
