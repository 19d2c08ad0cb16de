"""How a profile stands, what is due next, and the timers that start it."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from workbench_examples import position

from livekit import cli
from livekit.config import LiveConfig, Profile
from livekit.model import Break
from livekit.sessions import sessions_between
from livekit.state import Run, StateDB
from livekit.trading.phases import PHASES, due_instant
from livekit.workbench.tables import to_text
from livekit.workbench.watching.schedule import Call, cron_text, phase_times, systemd_units
from livekit.workbench.watching.status import Status, StopDistance, next_due, status_tables

NEW_YORK = ZoneInfo("America/New_York")
THURSDAY = date(2020, 1, 30)
CALL = Call(
    "paper",
    Path("/opt/live kit/bin/python"),
    Path("/srv/50%/paper.yaml"),
    Path("/srv"),
)


def done(session: date, phase: str) -> Run:
    at = datetime(2020, 1, 30, 15, tzinfo=UTC)
    return Run(
        1, session, phase, 1, at, at, "simulated", "", "", "done", 0, "", None, None, None, None
    )


# ---------------------------------------------------------------------------------------- status


def test_the_next_phase_is_the_first_that_is_not_done():
    """On Thursday at noon the morning is done: protection is next, at 15:30."""
    noon = datetime(2020, 1, 30, 12, tzinfo=NEW_YORK)
    runs = [done(THURSDAY, "signals"), done(THURSDAY, "execution")]
    due = next_due(runs, noon)
    assert due is not None
    assert (due.phase, due.session) == ("protect", THURSDAY)
    assert due.at == datetime(2020, 1, 30, 15, 30, tzinfo=NEW_YORK)


def test_after_a_complete_day_the_next_session_comes():
    evening = datetime(2020, 1, 31, 20, tzinfo=NEW_YORK)
    due = next_due([done(date(2020, 1, 31), phase) for phase in PHASES], evening)
    assert due is not None
    assert (due.phase, due.session) == ("signals", date(2020, 2, 3))


def status(**changes: object) -> Status:
    fields: dict[str, object] = {
        "profile": Profile(venue="simulated", name="demo", trading=LiveConfig()),
        "now": datetime(2020, 1, 30, 17, tzinfo=UTC),
        "kill_switch": "",
        "runs": (done(THURSDAY, "signals"),),
        "positions": (),
        "breaks": (),
        "alerts": (),
        "undelivered": 0,
        "equity": None,
        "due": None,
    }
    return Status(**(fields | changes))


def text(found: Status) -> str:
    return "\n".join(to_text(table) for table in status_tables(found))


def test_positions_stand_in_the_order_of_their_distance_to_the_stop():
    """AAL closes at 99 over a stop of 90: 9.1 %; T at 30.30 over 30.00: 1.0 % and 30 USD."""
    far = position("AAL", THURSDAY, "100", 10)
    near = position("T", THURSDAY, "33.33", 100, stop_price=Decimal("30.00"))
    shown = text(status(positions=(StopDistance(far, 99.0), StopDistance(near, 30.30))))
    rows = [line.split() for line in shown.splitlines()]
    at = {row[0]: number for number, row in enumerate(rows) if row and row[0] in ("AAL", "T")}
    assert at["T"] < at["AAL"]
    assert rows[at["T"]][1:] == ["100", "30.30", "30.00", "+1.0", "%", "+30.00", "–"]
    assert rows[at["AAL"]][1:] == ["10", "99.00", "90.00", "+9.1", "%", "+90.00", "–"]


def test_kill_switch_and_breaks_have_their_exit_codes():
    broken = Break("position", "AAL", "ours 100, broker's 90")
    assert status().exit_code == 0
    assert status(breaks=(broken,)).exit_code == 4
    assert status(breaks=(broken,), kill_switch="drill (trader)").exit_code == 3
    assert "ON: drill (trader)" in text(status(kill_switch="drill (trader)"))


def test_an_open_break_stands_with_its_number_and_its_age():
    """Opened at 14:00 UTC, looked at at 17:00."""
    opened = datetime(2020, 1, 30, 14, tzinfo=UTC)
    broken = Break("position", "AAL", "ours 100", break_id=12, opened_at=opened)
    shown = text(status(breaks=(broken,)))
    assert ["12", "3", "h", "position", "AAL", "ours", "100"] in map(str.split, shown.splitlines())


def test_the_command_answers_while_the_venue_is_out_of_reach(tmp_path: Path, capsys):
    params = tmp_path / "demo.yaml"
    params.write_text(f"venue: simulated\nprices: {tmp_path / 'absent.parquet'}\n")
    profile = Profile(venue="simulated", name="demo", outputs=tmp_path)
    with StateDB.create(profile.state_db) as db:
        db.add_break(
            Break("cash", None, "1.00 USD"),
            session=THURSDAY,
            at=datetime(2020, 1, 30, 22, tzinfo=UTC),
        )
    words = ["status", "--params", str(params), "--outputs", str(tmp_path)]
    assert cli.main(words) == 4
    shown = capsys.readouterr()
    assert "prices                not known" in shown.out
    assert "1.00 USD" in shown.out
    assert shown.err == "exit 4: 1 open breaks\n"


# -------------------------------------------------------------------------------------- schedule


def test_the_times_are_those_of_a_normal_day_and_of_a_half_day():
    """Open 9:30, close 16:00 or 13:00: 40 and 15 minutes before, 30 before and 20 after."""
    assert [item.at for item in phase_times()] == [
        "08:50",
        "09:15",
        "12:30",
        "13:20",
        "15:30",
        "16:20",
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_accepts_the_units(tmp_path: Path):
    python = tmp_path / "live kit" / "python"
    python.parent.mkdir()
    shutil.copy("/bin/true", python)
    call = Call("paper", python, CALL.params, tmp_path, tmp_path / "out$put")
    for name, content in systemd_units(call).items():
        (tmp_path / name).write_text(content)
    units = [str(path) for path in tmp_path.glob("livekit-*")]
    assert len(units) == 4
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    about_us = [line for line in checked.stderr.splitlines() if "livekit" in line]
    assert (checked.returncode, about_us) == (0, [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_reads_the_times_in_exchange_time():
    units = systemd_units(CALL)
    (first, *_) = [
        line.partition("=")[2]
        for line in units["livekit-paper.timer"].splitlines()
        if line.startswith("OnCalendar")
    ]
    read = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time=2026-07-03 00:00:00 UTC", first],
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    utc = "Fri 2026-07-03 12:50:00 UTC"  # 8:50 in New York's summer time
    assert utc in read.stdout, read.stdout + read.stderr


def cron_lines() -> list[tuple[str, str]]:
    """The five time fields and the command of each line."""
    lines = [line for line in cron_text(CALL).splitlines() if line[:1] in "0123456789*"]
    return [(" ".join(line.split()[:5]), line.split(maxsplit=5)[5]) for line in lines]


def test_a_cron_parser_finds_every_phase_due_within_the_minute_after_its_time():
    """Over a quarter with a clock change and half days, each due instant has a call."""
    calls = set()
    for fields, command in cron_lines():
        if " daily " not in command:
            continue
        ticks = croniter(fields, datetime(2025, 11, 1, tzinfo=NEW_YORK))
        at = ticks.get_next(datetime)
        while at.date() < date(2025, 12, 31):
            calls.add(at.astimezone(UTC))
            at = ticks.get_next(datetime)
    days = sessions_between(date(2025, 11, 3), date(2025, 12, 30))
    wanted = {due_instant(phase, day) for day in days for phase in PHASES}
    assert wanted <= calls
    assert "CRON_TZ=America/New_York" in cron_text(CALL).splitlines()


def test_cron_commands_survive_blanks_and_percent_signs():
    commands = {command for _, command in cron_lines()}
    assert (
        "cd /srv && '/opt/live kit/bin/python' -m livekit daily --params /srv/50\\%/paper.yaml"
        in commands
    )
    assert any(" notify " in command for command in commands)


def test_the_command_prints_or_writes_them(tmp_path: Path, capsys):
    params = tmp_path / "paper.yaml"
    params.write_text("venue: alpaca-paper\n")
    words = ["schedule", "--params", str(params), "--print"]
    assert cli.main([*words, "cron"]) == 0
    assert f"--params {params}" in capsys.readouterr().out
    assert cli.main([*words, "systemd", "--into", str(tmp_path / "units")]) == 0
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == [
        "livekit-paper-notify.service",
        "livekit-paper-notify.timer",
        "livekit-paper.service",
        "livekit-paper.timer",
    ]
    assert cli.main([*words, "launchd"]) == 2
