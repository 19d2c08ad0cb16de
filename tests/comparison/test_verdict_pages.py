"""What 04_comparison shows: charts that plotly takes, tables below them, no wrong number."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livekit.comparison.attribution import BookTrade, TradeBook, attribute
from livekit.comparison.decision import Interval, Sensitivity, decide, invalid_verdict
from livekit.comparison.forecast import VerdictPlan
from livekit.trading.phases import Curves
from livekit.trading.registration_record import PreRegistration
from livekit.trading.verdict_inputs import FullVerdict
from livekit.workbench.tables import Table, to_text
from livekit.workbench.verdict import view as verdict_view
from livekit.workbench.verdict.charts import pairs_chart, sensitivity_chart, waterfall_chart
from livekit.workbench.verdict.tables import (
    attribution_table,
    causes_table,
    conditions_table,
    estimates_table,
    missing_table,
    outlook_table,
    pairs_table,
)
from livekit.workbench.verdict.view import VerdictView
from tests.comparison.parity_kit import EMA
from tests.comparison.planted import BASE_USD, planted

MONDAY, FRIDAY = date(2020, 1, 6), date(2020, 1, 10)
PLAN = VerdictPlan(BASE_USD, draws=200)


def trade(ticker: str, sold: str, profit: str) -> BookTrade:
    return BookTrade(
        ticker, MONDAY, Decimal(50), 100, FRIDAY, Decimal(sold), "trend_break", Decimal(profit)
    )


LIVE = TradeBook("live", (trade("AA", "54", "400.00"), trade("<b>", "52", "190.00")))
TWIN = TradeBook("twin", (trade("AA", "55", "500.00"), trade("<b>", "52", "200.00")))
ATTRIBUTION = attribute(LIVE, TWIN)


def registered() -> PreRegistration:
    return PreRegistration(
        PLAN, "a method", MONDAY, FRIDAY, FRIDAY, {}, "c" * 64, "r" * 64, intact=True
    )


def full(verdict: Any, record: Any = None, attribution: Any = None) -> FullVerdict:
    return FullVerdict(FRIDAY, registered(), verdict, record, attribution, None, ())


# ---------------------------------------------------------------------------------------- charts


def test_the_waterfall_leads_from_one_book_to_the_other() -> None:
    chart = waterfall_chart(ATTRIBUTION, ("twin", "executed"))
    (bars,) = chart.data
    # 700 less 100 at the exit and 10 without a cause is 590
    assert bars["x"] == ["twin", "exit price", "rest without a cause", "executed"]
    assert bars["y"] == [700.0, -100.0, -10.0, 590.0]
    assert bars["base"] == [0.0, 700.0, 600.0, 0.0]
    assert "exit price -100.00" in chart.layout["meta"]
    assert len(chart.figure().data) == 1


def test_small_steps_get_an_axis_that_shows_them() -> None:
    chart = waterfall_chart(ATTRIBUTION, ("twin", "executed"))
    low, high = chart.layout["yaxis"]["range"]  # steps from 700 to 590, a quarter of room
    assert (low, high) == (590 - 27.5, 700 + 27.5)
    equal = waterfall_chart(attribute(TWIN, TWIN), ("twin", "executed"))
    assert "range" not in equal.layout["yaxis"]
    assert "no difference" in equal.layout["meta"]


def test_pairs_are_drawn_apart_by_whether_they_diverge() -> None:
    record = planted(1).record(60)
    chart = pairs_chart(record.pairs, ("ema_p10", "nwl_p4"))
    assert [trace["name"] for trace in chart.data] == ["both alike", "left together (26)"]
    assert len(chart.figure().data) == 2
    assert "0 of them left on different sessions" in chart.layout["meta"]


def test_no_pair_is_an_empty_chart_and_no_crash() -> None:
    chart = pairs_chart((), ("a", "b"))
    assert chart.layout["meta"].startswith("0 entries")
    assert chart.figure() is not None


def test_sensitivity_shows_every_choice_and_what_is_needed() -> None:
    others = [Sensitivity("without the best", 1.0), Sensitivity("× 2", 4.0, Interval(1, 6, "m"))]
    chart = sensitivity_chart(4.0, Interval(-1.0, 9.0, "m"), others, 3.0)
    points, mark = chart.data
    assert points["y"] == ["as registered", "without the best", "× 2"]
    assert points["error_x"]["array"] == [5.0, 0.0, 2.0]
    assert points["error_x"]["arrayminus"] == [5.0, 0.0, 3.0]
    assert mark["x"] == [3.0, 3.0]
    assert len(chart.figure().data) == 2


# ---------------------------------------------------------------------------------------- tables


def rows(table: Table) -> dict[str, tuple[str, ...]]:
    return {row.cells[0]: row.cells[1:] for row in table.rows}


def test_the_attribution_ends_with_the_rest_and_marks_it() -> None:
    table = attribution_table(ATTRIBUTION)
    assert rows(table)["exit price"] == ("-100.00",)
    assert rows(table)["rest without a cause"] == ("-10.00",)
    assert [row.tone for row in table.rows if row.cells[0].startswith("rest")] == ["bad"]
    text = to_text(causes_table(ATTRIBUTION))
    assert "left 2020-01-10 at 54 (trend_break) against 2020-01-10 at 55 (trend_break)" in text
    assert "a break" in text


def test_what_is_not_available_is_said_in_words() -> None:
    found = decide(planted(1).record(1), PLAN)
    conditions = rows(conditions_table(found))
    assert conditions["sample: effective sessions"][0] == "not available"
    assert "inf" not in to_text(conditions_table(found))
    assert "nan" not in to_text(conditions_table(found))


def test_estimates_name_both_twins_and_the_interval_of_their_difference() -> None:
    found = decide(planted(1).record(120), PLAN)
    table = estimates_table(found)
    assert [column.title for column in table.columns][1:3] == ["ema_p10", "nwl_p4"]
    sharpe = rows(table)["Sharpe ratio, year"]
    assert "90 %, Ledoit & Wolf, blocks of" in sharpe[3]
    assert rows(table)["bought, of the base"][2] == "+0.00 %"


def test_the_cost_of_either_mistake_is_told_in_percent_of_the_base() -> None:
    """Regrets of waiting less switching are the believed gain less the cost, over the horizon."""
    found = decide(planted(1, advantage_bps=10.0).record(120), PLAN)
    told = rows(outlook_table(full(found)))
    assert found.outlook is not None
    gain = (found.outlook.mean_bps - found.outlook.cost_bps) * 252 / 100
    regrets = [float(told[f"expected regret of {what}"][0].split()[0]) for what in WAYS]
    assert regrets[0] - regrets[1] == pytest.approx(gain, abs=0.011)
    early = outlook_table(full(decide(planted(1).record(59), PLAN)))
    assert rows(early) == {"not available": ("too few sessions, or no difference",)}


WAYS = ("waiting", "switching")


def test_missing_evidence_names_each_condition_and_a_date() -> None:
    found = decide(planted(1).record(70), PLAN)
    text = to_text(missing_table(found))
    assert "P&L, shadow − primary, of the base" in text
    assert "At the present rate that is" in text


def test_pairs_that_never_diverge_are_counted() -> None:
    record = planted(1).record(60)
    assert pairs_table(record).caption.startswith("Same entry, two exits: 0 of 26 pairs diverge")


# ------------------------------------------------------------------------------------------ view


def test_an_invalid_verdict_is_shown_with_its_reason_and_no_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = full(invalid_verdict(["the record has a hole: session 2020-01-09 is missing"]))
    view = VerdictView(EMA, Curves((), (), ()), found)
    for part in ("sentence", "criteria", "attribution", "pairs", "sensitivity", "missing"):
        getattr(view, f"show_{part}")()
        text = capsys.readouterr().out
        assert "INVALID: the record has a hole: session 2020-01-09 is missing." in text


def test_a_view_shows_a_table_under_each_chart(capsys: pytest.CaptureFixture[str]) -> None:
    record = planted(1).record(70)
    view = VerdictView(EMA, Curves((), (), ()), full(decide(record, PLAN), record))
    view.show_pairs()
    view.show_sensitivity()
    text = capsys.readouterr().out
    order = (
        "30 entries that both books made, 0 of them left",
        "Same entry, two exits",
        "Difference of P&L in percent of the base",
        "Sensitivity of the P&L difference",
    )
    assert sorted(order, key=text.index) == list(order)


def test_the_view_reads_only_the_books(tmp_path: Path) -> None:
    """Nothing in the module reaches for the broker or for prices."""
    source = Path(verdict_view.__file__).read_text(encoding="utf-8")
    assert "desk.client" not in source
    assert "desk.prices" not in source
