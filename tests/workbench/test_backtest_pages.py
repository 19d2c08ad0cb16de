"""Tables and charts of a backtest, its notebook, and the archive it goes to."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from livekit.backtest import PortfolioSimulator, TradeSimulator
from livekit.backtest.checks import LookAhead
from livekit.config import LiveConfig, load_profile
from livekit.errors import BadInput, NotASession, UnknownParameter
from livekit.model import Candidate, DailyBars
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.workbench.archive import ArchivedRun, verify_archive
from livekit.workbench.backtesting.archive import archived_backtest
from livekit.workbench.backtesting.charts import equity_chart, scatter_chart, trade_chart
from livekit.workbench.backtesting.inputs import BacktestInputs, load_inputs
from livekit.workbench.backtesting.notebook import open_backtest
from livekit.workbench.backtesting.runs import Simulation, run_checks
from livekit.workbench.backtesting.tables import (
    breakdown_table,
    checks_table,
    metrics_table,
    run_table,
    skips_table,
    trades_table,
)
from livekit.workbench.entry import register

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = LiveConfig(max_positions=2, position_size=1000.0)
SPLIT_DAY = date(2020, 2, 3)


def halved() -> DailyBars:
    """100 until a split of two for one on 2020-02-03, then 55: a gain of a tenth."""
    days = sessions_between(date(2020, 1, 2), date(2020, 3, 31))
    split = np.array([day >= SPLIT_DAY for day in days])
    close = np.where(split, 55.0, 100.0)
    ratio = np.where([day == SPLIT_DAY for day in days], 2.0, 1.0)
    nothing = np.zeros(len(days))
    adjusted = np.where(split, 55.0, 50.0)
    return DailyBars(
        "AA",
        np.array(days, dtype="datetime64[D]"),
        *(close, close + 1, close - 1, close),
        adjusted,
        nothing + 1000,
        nothing,
        ratio,
    )


BARS = {"AA": halved()}
REPORTED = (
    Candidate("AA", date(2020, 1, 6), "B", 70.0, company_name="<b>A & A</b>"),
    Candidate("NONE", date(2020, 1, 6), "A", 90.0),
)
INPUTS = BacktestInputs(BARS, REPORTED, {"prices": Path("p"), "candidates": Path("c")}, ("a note",))


def result(simulator: type = PortfolioSimulator, adjustment: str = "split"):
    return simulator(CONFIG, adjustment=adjustment).run(BARS, REPORTED)


def cells(table) -> list[tuple[str, ...]]:
    return [row.cells for row in table.rows]


def test_a_result_is_told_with_its_notes_and_what_is_not_available_is_said_so() -> None:
    found = dict(cells(metrics_table(result().metrics())))
    assert found["trades"] == "1"
    assert found["P&L"] == "+100.00 USD"  # 10 shares become 20: 20 × 55 − 1000
    assert found["profit factor"] == "not available"  # there is no loser
    told = cells(run_table(result(), INPUTS))
    assert ("note", "a note") in told
    assert ("candidates", "2") in told
    assert cells(skips_table(result())) == [("no_price_data", "1")]
    assert cells(breakdown_table(result().breakdown("grade")))[0][:2] == ("B", "1")
    assert cells(trades_table(result().closed, "all"))[0][5:8] == ("10", "100.00", "110.00")


@pytest.mark.parametrize("simulator", [PortfolioSimulator, TradeSimulator])
def test_every_chart_is_one_that_plotly_knows(simulator: type) -> None:
    found = result(simulator)
    charts = [equity_chart(found), scatter_chart(found.closed), scatter_chart(())]
    charts += [trade_chart(trade, BARS["AA"], "nwl_p6", CONFIG, "split") for trade in found.closed]
    for chart in charts:
        chart.figure()
        assert chart.layout["meta"]


@pytest.mark.parametrize("adjustment", ["split", "all"])
def test_the_candles_of_a_trade_carry_entry_exit_and_stop_over_a_split(adjustment: str) -> None:
    (trade,) = result(adjustment=adjustment).closed
    chart = trade_chart(trade, BARS["AA"], "ema_p10", CONFIG, adjustment)
    names = {trace["name"].split(" ")[0]: trace for trace in chart.data}
    assert names["exit"]["y"] == [55.0]  # as traded on the last session
    assert names["entry"]["y"][0] == 50.0  # 100 before the split
    assert names["stop"]["y"] == [45.0, 45.0]  # 90 before the split
    assert names["day"]["x"][0] == "2020-01-02"


def test_the_scatter_tells_the_reasons_apart_and_escapes_names() -> None:
    (trace,) = scatter_chart(result().closed).data
    assert trace["name"] == "end_of_data (1)"
    assert trace["y"] == [10.0]
    assert trace["text"] == ["AA"]


def test_checks_are_told_and_what_means_nothing_is_not_checked() -> None:
    simulation = Simulation(CONFIG, "ema_p2", adjustment="all")
    table = checks_table(run_checks(simulation, INPUTS))
    assert cells(table)[0][1].startswith("not checked")
    found = run_checks(Simulation(CONFIG, "ema_p2"), INPUTS)
    assert found.look_ahead is not None
    assert not found.failed
    assert "none: 5 cuts" in cells(checks_table(found))[0][1]


def test_a_result_that_looks_ahead_is_marked_so_wherever_it_is_told() -> None:
    difference = "cut at 2020-02-03: trades of AA differ"
    looked = LookAhead((SPLIT_DAY,), 1, (difference,))
    found = replace(run_checks(Simulation(CONFIG, "ema_p2"), INPUTS), look_ahead=looked)
    assert found.failed
    assert found.verdict == "failed"
    row = checks_table(found).rows[0]
    assert (row.tone, row.cells[1]) == ("bad", f"FAILED: {difference}")


def test_a_folder_of_daily_reports_is_read_as_candidates(tmp_path: Path) -> None:
    from livekit.prices import ParquetPriceSource, demo_earnings_path
    from livekit.reports.writer import write_demo_reports

    first, last = date(2020, 1, 13), date(2020, 1, 17)
    write_demo_reports(tmp_path, ParquetPriceSource(), demo_earnings_path(), first, last)
    reported = load_inputs(None, tmp_path)
    filed = [one for one in load_inputs().candidates if first <= one.report_date <= last]
    assert {(one.report_date, one.ticker, one.grade, one.score) for one in reported.candidates} == {
        (one.report_date, one.ticker, one.grade, one.score) for one in filed
    }
    assert len(filed) > 1
    assert len(reported.files) == 1 + 5
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no candidate"):
        load_inputs(None, tmp_path / "empty")


def test_a_notebook_with_parameters_that_mean_nothing_ends_before_it_simulates() -> None:
    with pytest.raises(UnknownParameter):
        open_backtest(strategy="sma_p3")
    with pytest.raises(NotASession):
        open_backtest(first="soon")
    with pytest.raises(BadInput):
        open_backtest("nowhere.parquet", "nowhere.csv")


# --------------------------------------------------------------------------- the notebook: slow


class Clock:
    def now(self) -> datetime:
        return datetime(2020, 4, 1, 12, 0, tzinfo=UTC)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.mark.slow
def test_the_notebook_is_archived_with_its_page_and_writes_the_record(tmp_path: Path) -> None:
    simulation = Simulation(first=date(2019, 12, 2))
    options = {"prices": None, "candidates": None, "params": None, "out": tmp_path}
    pages = [archived_backtest(simulation, **options, clock=Clock()) for _ in range(2)]
    assert [page.exit_code for page in pages] == [0, 0]
    assert [page.page.name[-7:] for page in pages] == ["01.html", "02.html"]
    text = pages[0].page.read_text(encoding="utf-8")
    notebook = json.loads(pages[0].page.with_suffix(".ipynb").read_text(encoding="utf-8"))
    charts = [
        output
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    assert len(charts) == 2 + 5 + 5  # curve, scatter, largest winners and losers
    for told in ("Largest losers", "look-ahead", "By grade", "deepest drawdown"):
        assert told in text
    assert json.loads((tmp_path / "run_manifest.json").read_text())["counts"]["trades"] > 10
    index = (tmp_path / "archive" / "index.html").read_text(encoding="utf-8")
    assert pages[1].page.name in index


@pytest.mark.slow
def test_a_backtest_of_a_registered_profile_lies_in_its_archive_and_its_log(tmp_path: Path) -> None:
    params = tmp_path / "small.yaml"
    shutil.copy(REPOSITORY / "params" / "demo.yaml", params)
    with params.open("a", encoding="utf-8") as file:
        file.write(f"\noutputs: {tmp_path / 'outputs'}\n")
    profile = load_profile(params)
    register(profile)
    simulation = Simulation(profile.trading, first=date(2020, 1, 2))
    page = archived_backtest(
        simulation,
        prices=None,
        candidates=None,
        params=params,
        out=tmp_path / "out",
        clock=Clock(),
    )
    assert page.exit_code == 0
    with StateDB(profile.state_db) as db:
        (run,) = db.get_runs(phase="backtest")
    assert (run.session, run.status, run.exit_code) == (date(2020, 3, 31), "done", 0)
    assert page.page == profile.archive_dir / f"{run.archive_path}.html"
    archived = ArchivedRun(
        f"{run.archive_path}.ipynb",
        run.notebook_sha256 or "",
        f"{run.archive_path}.html",
        run.html_sha256 or "",
    )
    assert verify_archive(profile.archive_dir, [archived]) == ()
    index = (profile.archive_dir / "index.html").read_text(encoding="utf-8")
    assert page.page.name in index
