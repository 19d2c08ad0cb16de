"""Figures by hand arithmetic, and what is said when there is nothing to compute."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from livekit.backtest.breakdowns import breakdown
from livekit.backtest.metrics import (
    Curve,
    Drawdown,
    cagr_pct,
    daily_returns,
    daily_sharpe,
    daily_sortino,
    deepest_by_pct,
    deepest_by_usd,
    grade_test,
    measure,
    pearson,
    profit_factor,
    score_correlation,
    trade_sharpe,
    welch,
    win_rate_pct,
)
from livekit.errors import UnknownParameter
from livekit.model import Candidate, ClosedTrade

DAYS = tuple(date(2020, 1, day) for day in (6, 7, 8, 9, 10))


def trade(
    pnl_usd: float,
    return_pct: float = 0.0,
    *,
    grade: str = "B",
    score: float | None = 75.0,
    gap_size: float | None = 3.0,
    reason: str = "trend_break",
    left: date = DAYS[-1],
) -> ClosedTrade:
    reported = Candidate("AA", DAYS[0], grade, score, gap_size=gap_size)
    return ClosedTrade(reported, DAYS[0], 100.0, 100, left, 101.0, reason, pnl_usd, return_pct, 4)


def curve(*pnl_usd: float) -> Curve:
    n = len(pnl_usd)
    return Curve(DAYS[:n], np.array(pnl_usd), np.full(n, 500.0), np.ones(n, dtype=np.int64))


# --------------------------------------------------------------------------------------- trades


def test_the_profit_factor_is_gross_profit_over_gross_loss() -> None:
    # 300 + 100 won, 150 + 50 lost.
    assert profit_factor(np.array([300.0, -150.0, 100.0, -50.0, 0.0])) == 2.0


@pytest.mark.parametrize("pnl", [[], [5.0], [0.0, 5.0]])
def test_without_a_loser_there_is_no_profit_factor(pnl: list[float]) -> None:
    assert profit_factor(np.array(pnl)) is None


def test_without_a_winner_the_profit_factor_is_nothing_won() -> None:
    assert profit_factor(np.array([-1.0, -2.0])) == 0.0


def test_a_trade_of_exactly_nothing_is_no_win() -> None:
    assert win_rate_pct(np.array([10.0, 0.0, -5.0, 20.0])) == 50.0


def test_the_sharpe_of_trades_is_the_mean_over_the_sample_deviation() -> None:
    # Mean 2, deviations −1, 0, 1: variance 2 / 2 = 1.
    assert trade_sharpe(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)


@pytest.mark.parametrize("returns", [[], [1.0], [0.1, 0.1, 0.1], [0.0, 0.0]])
def test_returns_that_do_not_vary_have_no_sharpe(returns: list[float]) -> None:
    assert trade_sharpe(np.array(returns)) is None
    assert daily_sharpe(np.array(returns)) is None


# --------------------------------------------------------------------------------------- equity


def test_daily_returns_start_from_the_capital() -> None:
    # 1000, 1100, 1045: +10 % and −5 %.
    assert daily_returns(np.array([100.0, 45.0]), 1000.0).tolist() == pytest.approx([0.1, -0.05])


def test_daily_returns_end_where_nothing_is_left() -> None:
    assert daily_returns(np.array([-500.0, -1000.0, -900.0]), 1000.0).tolist() == [-0.5, -1.0]


def test_the_daily_sharpe_is_annualised_by_252_sessions() -> None:
    # Mean 0.01, deviations −0.01, 0, 0.01: sample deviation 0.01.
    assert daily_sharpe(np.array([0.0, 0.01, 0.02])) == pytest.approx(math.sqrt(252))


def test_the_sortino_divides_by_the_losing_part_over_all_sessions() -> None:
    # Mean 0.005; min(r, 0)² = 0.0004, 0, 0, 0: root of the mean 0.0001 is 0.01.
    returns = np.array([-0.02, 0.01, 0.01, 0.02])
    assert daily_sortino(returns) == pytest.approx(math.sqrt(252) * 0.5)


def test_without_a_losing_session_there_is_no_sortino() -> None:
    assert daily_sortino(np.array([0.01, 0.02])) is None
    assert daily_sortino(np.array([-0.01])) is None


def test_the_deepest_fall_in_dollars_is_not_always_the_deepest_in_percent() -> None:
    # 100 → 80 is 20 dollars and 20 %; 400 → 330 is 70 dollars and 17.5 %.
    equity = np.array([100.0, 80.0, 400.0, 330.0, 390.0])
    assert deepest_by_pct(DAYS, equity) == Drawdown(20.0, 20.0, DAYS[0], DAYS[1], DAYS[2])
    assert deepest_by_usd(DAYS, equity) == Drawdown(70.0, 17.5, DAYS[2], DAYS[3], None)


def test_an_equity_that_never_falls_has_no_drawdown() -> None:
    assert deepest_by_usd(DAYS, np.array([1.0, 1.0, 2.0, 3.0, 3.0])) is None
    assert deepest_by_pct((), np.array([])) is None


def test_growth_is_compounded_over_calendar_days() -> None:
    # Twice the money in two years of 365.25 days: √2 − 1 a year.
    assert cagr_pct(100.0, 200.0, 730) == pytest.approx(100 * (2 ** (365.25 / 730) - 1))
    assert cagr_pct(100.0, 400.0, 1461) == pytest.approx(100 * (4**0.25 - 1))


@pytest.mark.parametrize(("start", "end", "days"), [(1.0, 2.0, 0), (1.0, 0.0, 9), (1.0, 1e9, 1)])
def test_growth_that_means_nothing_is_not_available(start: float, end: float, days: int) -> None:
    assert cagr_pct(start, end, days) is None


# ---------------------------------------------------------------------------------------- tests


def test_pearson_of_a_line_is_one_and_of_a_constant_nothing() -> None:
    line = pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    assert line is not None
    assert (line.r, line.n) == (pytest.approx(1.0), 3)
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([5.0, 5.0, 5.0])) is None
    assert pearson(np.array([1.0, 2.0]), np.array([5.0, 6.0])) is None


PAIRS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=30)


@given(PAIRS)
def test_pearson_and_welch_agree_with_scipy(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    ours, theirs = pearson(x, y), stats.pearsonr(x, y)
    assert ours is not None
    assert (ours.r, ours.p_value) == (
        pytest.approx(theirs.statistic, abs=1e-9),
        pytest.approx(theirs.pvalue, abs=1e-6),
    )
    test = welch(x, y)
    reference = stats.ttest_ind(x, y, equal_var=False)
    assert test is not None
    assert test.t == pytest.approx(reference.statistic)
    assert test.degrees == pytest.approx(reference.df)
    assert test.p_value == pytest.approx(reference.pvalue)


def test_welch_by_hand() -> None:
    # Means 3 and 1, variances 1 and 1, three each: t = 2 / √(2/3); equal parts give 4 degrees.
    test = welch(np.array([2.0, 3.0, 4.0]), np.array([0.0, 1.0, 2.0]))
    assert test is not None
    assert (test.difference, test.t, test.degrees) == (
        2.0,
        pytest.approx(math.sqrt(6)),
        pytest.approx(4.0),
    )


def test_ungraded_trades_stand_with_the_lowest_grades() -> None:
    trades = [trade(1, 2.0, grade="A"), trade(1, 4.0), trade(1, 1.0, grade=""), trade(1, 0.0)]
    trades[3] = trade(1, 0.0, grade="C")
    test = grade_test(trades)
    assert test is not None
    assert (test.n_first, test.n_second, test.difference) == (2, 2, 2.5)
    assert grade_test(trades[:3]) is None


def test_trades_without_a_score_are_left_out_of_the_correlation() -> None:
    trades = [trade(1, ret, score=score) for ret, score in ((1.0, 50.0), (2.0, None), (3.0, 60.0))]
    assert score_correlation(trades) is None
    found = score_correlation([*trades, trade(1, 5.0, score=70.0)])
    assert found is not None
    assert found.n == 3


# --------------------------------------------------------------------------------------- whole


def test_all_figures_of_a_small_result() -> None:
    # Equity 1000 → 1050 → 1020 → 1080 over three sessions, two trades.
    found = measure([trade(120.0, 12.0), trade(-40.0, -4.0)], curve(50.0, 20.0, 80.0), 1000.0)
    assert (found.trades, found.total_pnl_usd, found.win_rate_pct) == (2, 80.0, 50.0)
    assert (found.profit_factor, found.expectancy_usd) == (3.0, 40.0)
    assert (found.average_return_pct, found.median_return_pct) == (4.0, 4.0)
    assert found.drawdown_usd is not None
    assert (found.drawdown_usd.usd, found.drawdown_usd.peak) == (30.0, DAYS[0])
    assert (found.exposure_time_pct, found.exposure_capital_pct) == (100.0, 50.0)
    assert (found.peak_positions, found.capital_requirement_usd) == (1, 500.0)
    assert found.cagr_pct == pytest.approx(100 * (1.08 ** (365.25 / 2) - 1))
    assert found.figures()["drawdown_usd"] == 30.0


def test_a_result_without_trades_has_no_figure_that_is_not_a_number() -> None:
    for empty in (curve(), curve(0.0), curve(0.0, 0.0, 0.0)):
        figures = measure([], empty, 1000.0).figures()
        assert figures["profit_factor"] is None
        assert all(value is None or math.isfinite(value) for value in figures.values())


@given(st.lists(st.floats(-1e4, 1e4).map(lambda value: round(value, 2)), max_size=5))
def test_no_figure_is_ever_infinite(pnl: list[float]) -> None:
    figures = measure([trade(one, one / 100) for one in pnl], curve(*pnl), 5000.0).figures()
    assert all(value is None or math.isfinite(value) for value in figures.values())


# --------------------------------------------------------------------------------------- groups


def test_groups_stand_in_their_own_order_and_the_unknown_last() -> None:
    trades = [
        trade(100.0, score=None, gap_size=None, grade=""),
        trade(-50.0, score=55.0, gap_size=2.0, grade="C"),
        trade(75.0, score=90.0, gap_size=25.0, grade="A"),
        trade(25.0, score=54.9, gap_size=-1.0, grade="C"),
    ]
    by_score = breakdown(trades, "score_range")
    assert by_score["score_range"].tolist() == ["below 55", "55 to 70", "from 85", "not given"]
    by_gap = breakdown(trades, "gap_range")
    assert by_gap["gap_range"].tolist() == ["below 0", "2 to 5", "from 20", "not given"]
    by_grade = breakdown(trades, "grade").set_index("grade")
    assert by_grade.index.tolist() == ["A", "C", "not given"]
    # Grade C: 25 won, 50 lost.
    assert by_grade.loc["C", "profit_factor"] == 0.5
    assert by_grade["profit_factor"].isna().tolist() == [True, False, True]


def test_months_are_those_of_the_exits_and_reasons_are_as_recorded() -> None:
    trades = [trade(1.0), trade(2.0, left=date(2020, 2, 3), reason="protective_stop"), trade(3.0)]
    months = breakdown(trades, "month")
    assert months[["month", "trades", "total_pnl_usd"]].to_numpy().tolist() == [
        ["2020-01", 2, 4.0],
        ["2020-02", 1, 2.0],
    ]
    reasons = breakdown(trades, "exit_reason")
    assert reasons["exit_reason"].tolist() == ["protective_stop", "trend_break"]


def test_no_trades_make_no_groups_and_an_unknown_grouping_is_refused() -> None:
    assert breakdown([], "month").empty
    with pytest.raises(UnknownParameter, match="weekday"):
        breakdown([], "weekday")
