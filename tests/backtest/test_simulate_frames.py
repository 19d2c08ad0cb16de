"""The one call for notebooks: frames in, frames out, every row accounted for."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from livekit.backtest import BacktestResult, simulate
from livekit.config import LiveConfig
from livekit.errors import BadInput, UnknownParameter

DAYS = ["2020-01-06", "2020-01-07", "2020-01-08"]


def price_frame(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "ticker": pd.Categorical(["BB"] * 3 + ["AA"] * 3),
            "session": pd.to_datetime(DAYS * 2),
            "open": [50.0, 51.0, 52.0, 100.0, 101.0, 102.0],
            "high": [53.0, 54.0, 55.0, 103.0, 104.0, 105.0],
            "low": [49.0, 50.0, 51.0, 99.0, 100.0, 101.0],
            "close": [51.0, 52.0, 53.0, 101.0, 102.0, 103.0],
            "adj_close": [51.0, 52.0, 53.0, 101.0, 102.0, 103.0],
            "volume": [1000] * 6,
            "dividend_usd": 0.0,
            "split_ratio": 1.0,
        }
    )
    return frame.assign(**changes)


def candidate_frame(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "report_date": ["2020-01-04", "2020-01-07"],
            "ticker": ["AA", "BB"],
            "score": [70.0, np.nan],
            "grade": ["B", None],
        }
    )
    return frame.assign(**changes)


def run(**parameters: object) -> BacktestResult:
    return simulate(price_frame(), candidate_frame(), LiveConfig(**parameters))


def test_a_report_dated_on_a_saturday_is_traded_on_monday() -> None:
    trades = run().trades
    assert trades["ticker"].tolist() == ["AA", "BB"]
    assert trades["entry_session"].tolist() == [
        pd.Timestamp("2020-01-06"),
        pd.Timestamp("2020-01-07"),
    ]
    assert trades["report_date"].tolist()[0] == pd.Timestamp("2020-01-04")


def test_a_trade_row_holds_its_arithmetic() -> None:
    row = run().trades.iloc[0]
    # 10000 / 100 = 100 shares; marked out at Wednesday's close of 103 without slippage.
    assert (row["entry_price"], row["shares"], row["exit_price"]) == (100.0, 100, 103.0)
    assert (row["pnl_usd"], row["hold_days"], row["exit_reason"]) == (300.0, 2, "end_of_data")
    assert row["return_pct"] == pytest.approx(3.0)
    assert (row["score"], row["grade"]) == (70.0, "B")


def test_the_equity_starts_from_the_base_capital_and_ends_at_the_sum_of_the_trades() -> None:
    result = run()
    equity = result.equity
    assert equity["session"].tolist() == [pd.Timestamp(day) for day in DAYS]
    # Monday: 100 × (101 − 100) = 100 above 20 × 10000.
    assert equity["equity_usd"].tolist()[0] == 200_100.0
    assert equity["open_positions"].tolist() == [1, 2, 2]
    assert equity["equity_usd"].iloc[-1] == 200_000.0 + result.trades["pnl_usd"].sum()


def test_every_candidate_is_a_trade_or_a_skip_with_a_reason() -> None:
    late = candidate_frame(report_date=["2020-01-06", "2020-03-02"])
    result = simulate(price_frame(), late, LiveConfig(position_size=90.0))
    assert result.trades.empty
    assert result.skipped[["ticker", "reason"]].to_numpy().tolist() == [
        ["AA", "zero_shares"],
        ["BB", "no_price_data"],
    ]


def test_an_empty_result_has_its_columns() -> None:
    result = simulate(price_frame(), candidate_frame().iloc[:0])
    assert result.trades.empty
    assert "pnl_usd" in result.trades.columns
    assert result.skipped.empty
    assert len(result.equity) == 3


def test_a_candidate_without_a_grade_counts_as_the_lowest() -> None:
    assert run(min_grade="D").trades["ticker"].tolist() == ["AA", "BB"]
    assert run(min_grade="C").trades["ticker"].tolist() == ["AA"]


def test_a_result_says_on_what_it_rests() -> None:
    assert any("open" in note for note in run().notes)
    adjusted = simulate(price_frame(), candidate_frame(), adjustment="all")
    assert any("adj_close" in note for note in adjusted.notes)


def test_rows_may_come_in_any_order_and_dates_in_any_form() -> None:
    shuffled = price_frame().sample(frac=1.0, random_state=1)
    as_dates = shuffled.assign(session=[stamp.date() for stamp in shuffled["session"]])
    dated = candidate_frame(report_date=[date(2020, 1, 4), date(2020, 1, 7)])
    pd.testing.assert_frame_equal(simulate(as_dates, dated).trades, run().trades)


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        (price_frame().drop(columns="adj_close"), "lacks the columns adj_close"),
        (price_frame(open=[50.0, np.nan, 52.0, 100.0, 101.0, 102.0]), "BB on 2020-01-07: open"),
        (price_frame(close=0.0), "close is not above 0"),
        (price_frame(low=60.0), "low is above high"),
        (price_frame(session=pd.to_datetime(["2020-01-06"] * 6)), "has two bars"),
        (price_frame(session=pd.to_datetime(["2020-01-04", *DAYS[1:]] * 2)), "not an exchange"),
        (price_frame().iloc[:0], "no bars"),
    ],
)
def test_prices_that_cannot_be_prices_are_refused_by_row(prices: pd.DataFrame, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        simulate(prices, candidate_frame())


@pytest.mark.parametrize(
    ("candidates", "told"),
    [
        (candidate_frame().drop(columns="score"), "lacks the columns score"),
        (candidate_frame(grade=["B", "F"]), "unknown grade 'F'"),
        (candidate_frame(ticker=["AA", None]), "lacks its ticker"),
        (candidate_frame(report_date=["2020-01-04", "soon"]), "report_date is not a date"),
        (candidate_frame(score=["high", "low"]), "score is not a number"),
    ],
)
def test_candidates_that_cannot_be_read_are_refused(candidates: pd.DataFrame, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        simulate(price_frame(), candidates)


def test_single_trades_and_figures_come_from_the_same_call() -> None:
    result = simulate(price_frame(), candidate_frame(), mode="trade")
    assert result.trades["ticker"].tolist() == ["AA", "BB"]
    assert any("alone" in note for note in result.notes)
    # 100 shares from 100 to 103, and 196 (10000 / 51) from 51 to 53: 300 + 392.
    assert result.metrics().total_pnl_usd == 692.0
    assert result.breakdown("grade")["trades"].tolist() == [1, 1]
    assert result.counts == {"sessions": 3, "candidates": 2, "trades": 2, "skipped": 0}


def test_unknown_modes_and_strategies_are_refused() -> None:
    with pytest.raises(UnknownParameter, match="mode is 'paper'"):
        simulate(price_frame(), candidate_frame(), mode="paper")
    with pytest.raises(UnknownParameter, match="sma_p10"):
        simulate(price_frame(), candidate_frame(), strategy="sma_p10")
