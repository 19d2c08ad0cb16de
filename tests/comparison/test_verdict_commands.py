"""``livekit verdict`` and ``livekit replay``: what they print and how they end."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from livekit.cli import main
from tests.comparison.recorded import Record


def params(record: Record) -> list[str]:
    """Options that name the record's profile; its parameter file is written beside it."""
    profile = record.profile
    path = profile.home.parent / f"{profile.name}.yaml"
    values = {
        "venue": profile.venue,
        "first_session": profile.first_session,
        "prices": str(profile.prices),
        "trading": asdict(record.config),
    }
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return ["--params", str(path), "--outputs", str(profile.outputs)]


def test_the_verdict_is_printed_and_json_says_the_same(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verdict", *params(record)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("CONTINUE: too early: first look at 11 days")
    assert main(["verdict", "--json", *params(record)]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["sentence"] == lines[0]
    assert values["attribution"]["rest_usd"] == "0.00"
    assert values["session"] == "2020-01-17"


def test_an_earlier_session_can_be_asked_for(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verdict", "--session", "2020-01-10", *params(record)]) == 0
    assert "first look at 4 days" in capsys.readouterr().out


def test_an_invalid_record_ends_with_exit_2_and_no_number(
    spoilt: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt.spoil("DELETE FROM record_links WHERE session = '2020-01-09'")
    assert main(["verdict", *params(spoilt)]) == 2
    shown = capsys.readouterr()
    assert shown.out.startswith("INVALID: ")
    assert "the record has a hole: session 2020-01-09 is missing" in shown.out
    assert "Criteria" not in shown.out
    days = ["--from", "2020-01-06", "--to", "2020-01-17"]
    assert main(["replay", *days, *params(spoilt)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("INVALID: ")


def test_the_replay_is_printed(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    days = ["--from", "2020-01-06", "--to", "2020-01-17"]
    assert main(["replay", *days, "--present-data", *params(record)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2020-01-06 to 2020-01-17: 3 trades matched one to one")
    assert "rest without a cause" in out


@pytest.mark.parametrize(
    "days",
    [
        ["--from", "2020-01-06", "--to", "2020-02-28"],
        ["--from", "2020-01-17", "--to", "2020-01-06"],
        ["--from", "someday", "--to", "2020-01-17"],
    ],
    ids=["after the record", "backwards", "no date"],
)
def test_days_outside_the_record_are_refused(
    record: Record, days: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", *days, *params(record)]) == 2
    assert capsys.readouterr().out == ""


def test_a_profile_that_is_not_registered_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    path.write_text("venue: simulated\n", encoding="utf-8")
    assert main(["verdict", "--params", str(path), "--outputs", str(tmp_path)]) == 2
    assert not (tmp_path / "new").exists()
