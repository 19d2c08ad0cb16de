"""The operator's commands: doctor, plan, approve, reject, kill, re-arm."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from livekit import cli
from livekit.state import StateDB
from livekit.trading.phases import current_plan
from tests.trading.test_real_kills import parameter_file
from tests.trading.world import world

MONDAY = date(2020, 1, 6)


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A profile that wants approvals, on its first morning with a plan of two buys."""
    prices = {"ABC": 50.0, "DEF": 40.0}
    with world(tmp_path, prices, approval="required") as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))
        assert w.phase(MONDAY, "signals").exit_code == 0
        assert len(current_plan(w.desk, MONDAY).orders) == 2
        return parameter_file(w.profile, tmp_path)


def state_of(params: Path) -> StateDB:
    outputs = yaml.safe_load(params.read_text(encoding="utf-8"))["outputs"]
    return StateDB(Path(outputs) / "world" / "state.db")


def livekit(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_the_doctor_names_every_check_and_ends_well_on_healthy_books(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert livekit("doctor", "--params", params) == 0
    told = capsys.readouterr().out
    assert [
        name for name in ("I01", "I06", "I08", "I17", "I26") if f"holds   {name}" not in told
    ] == []
    assert "kill switch is off" in told


def test_the_plan_shows_the_name_to_approve_each_order_by(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert livekit("plan", "--params", params) == 0
    told = capsys.readouterr().out
    assert "entry:ABC: buy 200 ABC (entry), allowed 0" in told
    assert "decisions until 09:35 New York" in told


def test_what_is_approved_and_rejected_stands_in_the_database(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert livekit("approve", "entry:ABC", "--params", params, "--quantity", 150) == 0
    assert livekit("reject", "entry:DEF", "--params", params, "--reason", "thin") == 0
    capsys.readouterr()
    livekit("plan", "--params", params)
    told = capsys.readouterr().out
    assert "entry:ABC: buy 200 ABC (entry), allowed 150" in told
    assert "entry:DEF: buy 250 DEF (entry), allowed 0" in told


@pytest.mark.parametrize(
    "words", [("entry:XYZ",), ("entry:ABC", "--quantity", "201"), ("entry:ABC", "--quantity", "-1")]
)
def test_an_approval_outside_the_plan_is_refused_in_one_line(
    params: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert livekit("approve", *words, "--params", params) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_switch_goes_on_at_once_and_off_with_clean_books(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert livekit("kill", "--params", params, "--reason", "drill") == 0
    with state_of(params) as db:
        assert db.is_kill_switch_on()
    assert livekit("doctor", "--params", params) == 3
    assert livekit("rearm", "--params", params, "--reason", "drill over") == 0
    with state_of(params) as db:
        assert not db.is_kill_switch_on()
        assert [alert.kind for alert in db.get_alerts()] == ["kill_switch", "kill_switch"]
    assert livekit("kill", "--params", params, "--reason", " ") == 2
    assert "wants a reason" in capsys.readouterr().err
