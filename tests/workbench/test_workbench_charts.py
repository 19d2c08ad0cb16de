from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from workbench_examples import EVIL_NAME, curve, demo_bars, indicators

from livekit.model import DailyBars, WeeklyBars
from livekit.sessions import sessions_between
from livekit.workbench.charts import (
    PLOTLY_MIME,
    Chart,
    ExitMark,
    position_figure,
    profit_curves,
)
from livekit.workbench.series import drawdown_pct, month_ticks, price_view


def position_chart(
    bars: DailyBars, weekly: WeeklyBars, ema: np.ndarray, nwl: np.ndarray, **options: Any
) -> Chart:
    return position_figure(price_view(bars, weekly, ema, nwl), **options)


def bars_of(sessions: list[str], close: list[float], adj_close: list[float]) -> DailyBars:
    """Bars whose open, high and low are close -1, +2 and -2."""
    prices = np.array(close)
    count = len(close)
    return DailyBars(
        "XYZ",
        np.array(sessions, dtype="datetime64[D]"),
        prices - 1,
        prices + 2,
        prices - 2,
        prices,
        np.array(adj_close),
        np.full(count, 1e6),
        np.zeros(count),
        np.ones(count),
    )


def weekly_of(last_sessions: list[str], last_bars: list[str]) -> WeeklyBars:
    count = len(last_sessions)
    ends = np.array(last_sessions, dtype="datetime64[D]")
    return WeeklyBars(
        ends - 4, ends, np.array(last_bars, dtype="datetime64[D]"), *[np.ones(count)] * 4
    )


SPLIT_WEEK = ["2020-01-22", "2020-01-23", "2020-01-24", "2020-01-27"]


def split_bars() -> DailyBars:
    """A two-for-one split on Friday 2020-01-24: traded 200, 204, then 103, 105."""
    return bars_of(SPLIT_WEEK, [200.0, 204.0, 103.0, 105.0], [100.0, 102.0, 103.0, 105.0])


def traces(figure: Chart) -> dict[str, dict]:
    return {trace["name"]: trace for trace in figure.bundle()[PLOTLY_MIME]["data"]}


def test_prices_before_a_split_are_drawn_on_the_basis_of_the_last_session():
    weekly = weekly_of(["2020-01-24"], ["2020-01-24"])
    view = price_view(split_bars(), weekly, np.array([101.0]), np.array([99.0]))
    # 200 traded before two-for-one are 100 today
    assert view.close.tolist() == [100.0, 102.0, 103.0, 105.0]
    assert view.high.tolist() == [101.0, 103.0, 105.0, 107.0]
    assert view.factor_on(date(2020, 1, 23)) == 0.5
    assert view.factor_on(date(2020, 1, 28)) is None


def test_adjusted_indicators_are_brought_from_the_end_of_the_data_to_the_last_session():
    # a dividend after the last shown session left adj_close at half a percent below close
    bars = bars_of(["2020-01-23", "2020-01-24"], [100.0, 102.0], [99.5, 101.49])
    weekly = weekly_of(["2020-01-24"], ["2020-01-24"])
    view = price_view(bars, weekly, np.array([99.5]), np.array([np.nan]))
    assert view.ema == pytest.approx([99.5 / (101.49 / 102.0)])  # 100.0
    assert view.last_close == 102.0


def test_a_week_is_shown_only_once_its_last_session_is_reached():
    weekly = weekly_of(["2020-01-17", "2020-01-24", "2020-01-31"], ["2020-01-17", *SPLIT_WEEK[2:]])
    view = price_view(split_bars(), weekly, np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    # the week of 2020-01-17 lies before the first candle, that of 2020-01-31 has not ended
    assert view.week_sessions == (date(2020, 1, 24),)
    assert view.ema.tolist() == [2.0]


def test_an_indicator_steps_at_week_ends_and_runs_on_to_the_last_session():
    weekly = weekly_of(["2020-01-24"], ["2020-01-24"])
    figure = position_chart(
        split_bars(),
        weekly,
        np.array([101.0]),
        np.array([np.nan]),
        entry_session=date(2020, 1, 23),
        entry_price=204.0,
        stop_price=91.8,
        title="XYZ",
    )
    found = traces(figure)
    line = found["weekly EMA 101.00"]
    assert line["x"] == ["2020-01-24", "2020-01-27"]
    assert line["y"] == [101.0, 101.0]
    assert line["line"]["shape"] == "hv"
    assert not [name for name in found if name.startswith("N-week low")]  # never defined


def test_entry_stop_and_exit_stand_at_their_prices_on_the_basis_of_the_chart():
    weekly = weekly_of(["2020-01-24"], ["2020-01-24"])
    figure = position_chart(
        split_bars(),
        weekly,
        np.array([101.0]),
        np.array([99.0]),
        entry_session=date(2020, 1, 23),
        entry_price=204.0,
        stop_price=91.8,
        title="XYZ",
        exit_mark=ExitMark(date(2020, 1, 27), 104.0, "trend_break"),
    )
    found = traces(figure)
    # bought at 204 before two-for-one: 102 today; the stop is given on today's basis
    assert found["entry 2020-01-23 at 204.00"]["y"] == [102.0, 102.0]
    assert found["stop 91.80"]["x"] == ["2020-01-23", "2020-01-27"]
    assert found["exit 2020-01-27 at 104.00, trend_break"]["y"] == [104.0]


def test_the_stop_is_seen_on_the_day_of_the_entry_though_its_line_has_no_length():
    bars = demo_bars(1)[0]
    last = bars.sessions[-1].item()
    figure = position_chart(
        bars, *indicators(bars), entry_session=last, entry_price=30.0, stop_price=27.0, title="new"
    )
    stop = traces(figure)["stop 27.00"]
    assert stop["x"] == [last.isoformat()] * 2
    assert (stop["mode"], stop["marker"]["symbol"]) == ("lines+markers", "line-ew")


def test_a_position_older_than_the_chart_keeps_its_stop_and_has_no_entry_marker():
    bars = demo_bars(1)[0]
    figure = position_chart(
        bars,
        *indicators(bars),
        entry_session=date(2019, 1, 3),
        entry_price=30.0,
        stop_price=27.0,
        title="old",
    )
    found = traces(figure)
    assert found["stop 27.00"]["x"][0] == found["day"]["x"][0]
    assert not [name for name in found if name.startswith("entry")]


def test_a_figure_carries_no_template_and_stays_small():
    bars = demo_bars(1)[0]
    figure = position_chart(
        bars,
        *indicators(bars),
        entry_session=date(2020, 1, 8),
        entry_price=28.0,
        stop_price=25.2,
        title="AAL",
    )
    value = figure.bundle()[PLOTLY_MIME]
    assert "template" not in value["layout"]
    assert len(value["data"][0]["x"]) == 120
    assert len(json.dumps(value)) < 10_000


def test_a_company_name_cannot_become_markup_in_a_chart():
    bars = demo_bars(1)[0]
    figure = position_chart(
        bars,
        *indicators(bars),
        entry_session=date(2020, 1, 8),
        entry_price=28.0,
        stop_price=25.2,
        title=EVIL_NAME,
    )
    assert "<" not in figure.bundle()[PLOTLY_MIME]["layout"]["title"]["text"]


def test_drawdown_is_measured_from_the_highest_equity_and_from_the_capital_at_first():
    # equity 99, 102, 96.9, 102 of a capital of 100: -1 %, new high, 96.9/102 = -5 %, back
    fall = drawdown_pct(np.array([-1.0, 2.0, -3.1, 2.0]), 100.0)
    assert fall == pytest.approx([-1.0, 0.0, -5.0, 0.0])


def test_short_curves_are_drawn_daily_and_long_ones_by_week_with_the_deepest_drawdown():
    short = sessions_between(date(2020, 1, 2), date(2020, 1, 8))
    daily = curve("broker", short, [0.0, 100.0, 50.0, 70.0, 90.0])
    empty = curve("shadow", (), [])
    found = traces(profit_curves(daily, daily, empty, base_usd=1000.0, title="P&L"))
    assert len(found["broker"]["x"]) == 5

    long = sessions_between(date(2019, 1, 2), date(2019, 12, 31))
    values = [0.0] * len(long)
    values[1] = -50.0  # Thursday 2019-01-03: down by 5 %, and back on Friday
    book = curve("broker", long, values)
    pnl, below = profit_curves(book, book, empty, base_usd=1000.0, title="P&L").data[:2]
    assert pnl["x"][0] == "2019-01-04"
    assert pnl["y"][0] == 0.0
    assert below["y"][0] == -5.0
    assert len(pnl["x"]) == 53  # ISO weeks of 2019 with a session, and that of 2019-12-31


def test_every_book_keeps_its_own_colour_when_another_has_no_session():
    short = sessions_between(date(2020, 1, 2), date(2020, 1, 8))
    book = curve("book", short, [0.0] * 5)
    alone = traces(profit_curves(curve("none", (), []), book, book, base_usd=1.0, title=""))
    full = traces(
        profit_curves(curve("full", short, [0.0] * 5), book, book, base_usd=1.0, title="")
    )
    assert alone["book"]["line"]["color"] == full["book"]["line"]["color"]


def test_months_are_labelled_where_they_begin_and_years_where_they_turn():
    days = sessions_between(date(2019, 11, 15), date(2020, 2, 5))
    positions, labels = month_ticks(days)
    # November has 11 sessions left, enough room for a label of its own
    assert positions == ("2019-11-15", "2019-12-02", "2020-01-02", "2020-02-03")
    assert labels == ("Nov<br>2019", "Dec", "Jan<br>2020", "Feb")


def test_no_more_than_eight_months_are_labelled():
    positions, _ = month_ticks(sessions_between(date(2017, 1, 3), date(2019, 12, 31)))
    assert len(positions) <= 8


def test_plotly_knows_every_property_of_both_charts():
    bars = demo_bars(1)[0]
    position = position_chart(
        bars,
        *indicators(bars),
        entry_session=date(2020, 1, 8),
        entry_price=28.0,
        stop_price=25.2,
        title="AAL",
        exit_mark=ExitMark(bars.sessions[-1].item(), 27.0, "trend_break"),
    )
    book = curve("book", sessions_between(date(2020, 1, 2), date(2020, 1, 8)), [0.0] * 5)
    for chart in (position, profit_curves(book, book, book, base_usd=1.0, title="P&L")):
        value = chart.figure().to_plotly_json()  # raises for a property that does not exist
        value["layout"].pop("template")
        assert json.loads(json.dumps(value)) == json.loads(
            json.dumps({"data": list(chart.data), "layout": chart.layout})
        )
