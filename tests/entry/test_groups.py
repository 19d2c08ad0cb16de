"""The commands in groups: reports looked at, the venue served."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from alpaca.trading.client import TradingClient

from livekit import cli
from livekit.reports.writer import write_report
from tests.entry.entry_kit import environment
from tests.trading.world import scored

MONDAY = date(2020, 1, 6)


def test_inspecting_a_report_shows_what_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_report(tmp_path, MONDAY, [scored("ABC", 80.0, 50.0)])
    assert cli.main(["reports", "inspect", str(path)]) == 0
    told = capsys.readouterr().out
    assert "earnings_trade_analysis_2020-01-06.html: ok" in told
    assert "ABC" in told


def test_inspecting_a_folder_without_reports_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["reports", "inspect", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_served_venue_prints_what_a_foreign_client_needs(tmp_path: Path) -> None:
    words = ["-m", "livekit", "venue", "serve", "--session", "2020-01-30", "--speed", "0"]
    with subprocess.Popen(
        [sys.executable, *words, "--book", str(tmp_path / "venue.db")],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as served:
        assert served.stdout is not None
        lines = [served.stdout.readline().strip() for _ in range(4)]
        told = dict(line.split("=", 1) for line in lines)
        client = TradingClient(
            told["APCA_API_KEY_ID"],
            told["APCA_API_SECRET_KEY"],
            url_override=told["APCA_API_BASE_URL"],
        )
        assert str(client.get_account().status.value) == "ACTIVE"
        assert client.get_clock().timestamp.date() == date(2020, 1, 30)
        served.terminate()
    assert set(told) == {
        "APCA_API_BASE_URL",
        "APCA_API_DATA_URL",
        "APCA_API_KEY_ID",
        "APCA_API_SECRET_KEY",
    }
