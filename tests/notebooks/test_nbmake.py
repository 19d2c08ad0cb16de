"""The four notebooks run by nbmake, in the order of the day, with their own default parameters."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

from checkouts import FIRST, SESSION, Checkout

from livekit.backtest import BacktestResult, PortfolioSimulator
from livekit.model import END_OF_DATA
from livekit.prices import ParquetPriceSource
from livekit.reports import parse_report
from livekit.workbench.audit import audit_files

ENTERED = {"MSFT", "LRCX", "NOW"}  # of 30 January, when the twentieth slot is filled


def run_nbmake(folder: Path) -> dict[str, str]:
    """Run ``pytest --nbmake notebooks`` in the folder; what became of each notebook, in order."""
    junit = folder / "junit.xml"
    environment = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--nbmake", "notebooks", f"--junitxml={junit}"),
            *("-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={folder}"),
        ],
        cwd=folder,
        env=environment,
        check=False,
        timeout=300,
    )
    cases = ET.parse(junit).iter("testcase")  # noqa: S314 - pytest wrote it
    return {
        case.attrib["name"].removesuffix(".ipynb"): "; ".join(child.tag for child in case)
        or "passed"
        for case in cases
    }


def backtest(checkout: Checkout) -> BacktestResult:
    """What the portfolio simulator makes of the same reports up to the session."""
    profile = checkout.profile
    reports = [parse_report(path) for path in sorted(profile.reports_dir.iterdir())]
    candidates = [
        item for report in reports for item in report.candidates if item.report_date <= SESSION
    ]
    bars = ParquetPriceSource().daily_bars(
        [item.ticker for item in candidates], date(2018, 11, 26), SESSION
    )
    simulator = PortfolioSimulator(profile.trading, profile.trading.primary_strategy)
    return simulator.run(bars, candidates, first=FIRST, last=SESSION)


def test_the_four_notebooks_trade_their_default_session_as_the_backtest_does(checkout: Checkout):
    assert run_nbmake(checkout.folder) == {
        "01_signals": "passed",
        "02_execution": "passed",
        "03_reconciliation": "passed",
        "04_comparison": "passed",
        "05_backtest": "passed",
    }
    with checkout.desk() as (desk, _):
        runs = desk.db.get_runs(session=SESSION)
        assert [(run.phase, run.attempt, run.status, run.exit_code) for run in runs] == [
            ("signals", 1, "done", 0),
            ("execution", 1, "done", 0),
            ("executor", 1, "done", 0),
            ("reconciliation", 1, "done", 0),
            ("comparison", 1, "done", 0),
        ]
        assert desk.db.open_breaks() == []
        bought = [item for item in desk.db.get_open_positions() if item.entry_date == SESSION]
        assert {item.ticker for item in bought} == ENTERED
        at_venue = {item.ticker: item.quantity for item in desk.client.get_positions()}
    held = [item for item in backtest(checkout).closed if item.exit_reason == END_OF_DATA]
    assert len(held) == 20
    assert at_venue == {item.ticker: item.shares for item in held}
    profile = checkout.profile
    assert audit_files(profile.venue_db, profile.state_db).exit_code == 0


def test_a_notebook_whose_profile_is_not_there_fails_without_making_one(tmp_path: Path, traded):
    (tmp_path / "notebooks").mkdir()
    name = "04_comparison.ipynb"
    (tmp_path / "notebooks" / name).write_bytes((traded.notebooks / name).read_bytes())
    assert run_nbmake(tmp_path) == {"04_comparison": "failure"}
    assert not (tmp_path / "outputs").exists()
