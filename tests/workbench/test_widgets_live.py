"""The live view: phases and orders of a session as the database tells them, while they move."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from livekit.workbench.tables import to_text
from livekit.workbench.watching import live_view
from livekit.workbench.watching.live_view import LiveView, progress_tables, read_progress
from tests.trading.world import World, world

MONDAY = date(2020, 1, 6)


@pytest.fixture
def traded(tmp_path: Path) -> Iterator[World]:
    """Monday after its execution: 200 ABC bought at 50, DEF refused by nobody's approval."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, approval="required") as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))
        w.trade(MONDAY, "signals")
        w.approve(MONDAY, "entry:ABC", shares=200)
        w.trade(MONDAY, "execution")
        yield w


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def test_progress_names_each_phase_and_each_order_with_its_state(traded: World) -> None:
    """Signals are due at 08:50, the execution at 09:15; buys fill at the open."""
    phases, orders = (
        to_text(table).splitlines() for table in progress_tables(read_progress(traded.db, MONDAY))
    )
    assert phases[0] == "Progress of 2020-01-06"
    told = {cells(line)[0]: cells(line)[1:] for line in phases[2:]}
    assert told["signals"][:2] == ["done", "08:50:00"]
    assert told["execution"][:2] == ["done", "09:15:00"]
    assert "buys 1 of 1 filled" in told["executor"][-1]
    assert cells(orders[2]) == ["buy ABC", "200", "200", "50.00", "filled", "entry"]


def test_a_failed_phase_tells_its_exit_code(traded: World) -> None:
    progress = read_progress(traded.db, MONDAY)
    failed = replace(progress.runs[0], status="failed", exit_code=4)
    phases, _ = progress_tables(replace(progress, runs=(failed,)))
    assert phases.rows[0].cells[1] == "failed, exit 4"
    assert phases.rows[0].tone == "bad"


def test_a_notebook_renews_one_display_and_only_when_something_changed(
    traded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(
        live_view, "publish_display_data", lambda data, **more: shown.append({**data, **more})
    )
    view = LiveView(traded.db, MONDAY, is_watched=True)
    view.renew()
    view.renew()
    traded.db.start_run(
        session=MONDAY,
        phase="protect",
        at=datetime(2020, 1, 6, 20, 30, tzinfo=UTC),
        venue="simulated",
        git="",
        config_sha256="",
    )
    view.finish()
    assert [item["update"] for item in shown] == [False, True]
    assert shown[0]["transient"] == shown[1]["transient"]
    assert "protect" in shown[1]["text/plain"]


def test_a_run_that_nobody_watches_shows_the_end_only(
    traded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(live_view, "publish_display_data", lambda *_, **__: shown.append(1))
    view = LiveView(traded.db, MONDAY, is_watched=False)
    view.renew()
    assert shown == []
    view.finish()
    assert shown == [1]


WATCH = """\
import sys, time
from datetime import date
from pathlib import Path
from livekit.workbench.watching.live_view import terminal_view

with terminal_view(Path(sys.argv[1]), date(2020, 1, 6)):
    time.sleep(1.2)
"""


def test_a_terminal_shows_progress_and_a_pipe_shows_none(traded: World) -> None:
    words = [sys.executable, "-c", WATCH, str(traded.profile.state_db)]
    piped = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("", "")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, stdout=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    told = read_all(ours)
    assert process.wait() == 0
    assert "Progress of 2020-01-06" in told
    assert "buys 1 of 1 filled" in told


def read_all(terminal: int) -> str:
    text = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece
    os.close(terminal)
    return text.decode()


def test_a_database_that_is_not_there_is_no_reason_to_fail(tmp_path: Path) -> None:
    with live_view.terminal_view(tmp_path / "state.db", MONDAY):
        pass
    assert list(tmp_path.iterdir()) == []
