"""SIGKILL at random instants: the daily run as a child, a real file, the venue living on."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from livekit.broker.venue.ledger import read_ledger
from livekit.broker.venue.session import served_venue
from livekit.config import Profile
from livekit.state import StateDB
from tests.trading.crashing import TUESDAY, books, copy_profile, prepare, run_until_quiet

KILLS = 10  # a seed
SEEDS, MORE_SEEDS = range(5), range(5, 50)  # 50 kills in every check, 500 in all
EARLIEST_S, LATEST_S = 0.9, 2.6  # a process that lives on takes about as long


def parameter_file(profile: Profile, folder: Path) -> Path:
    """The parameter file that loads as this profile."""
    values = {
        "venue": profile.venue,
        "first_session": profile.first_session,
        "seed": profile.seed,
        "fill_model": profile.fill_model,
        "venue_cash_usd": profile.venue_cash_usd,
        "prices": str(profile.prices),
        "outputs": str(profile.outputs),
        "trading": asdict(profile.trading),
    }
    path = folder / f"{profile.name}.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def start_day(params: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    words = ["-m", "livekit", "daily", "--params", str(params), "--session", TUESDAY.isoformat()]
    return subprocess.Popen(
        [sys.executable, *words, "--no-notebooks"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_killed_again_and_again_ends_with_the_books_of_a_quiet_one(
    tmp_path: Path, seed: int
) -> None:
    kill_a_day(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_many_days_killed_again_and_again_end_with_the_books_of_a_quiet_one(
    tmp_path: Path, seed: int
) -> None:
    kill_a_day(tmp_path, seed)


def kill_a_day(tmp_path: Path, seed: int) -> None:
    """Kill ten processes of a day at random instants, let the last one live, compare the books."""
    (tmp_path / "morning").mkdir()
    morning = prepare(tmp_path / "morning")
    quiet = copy_profile(morning, tmp_path / "quiet")
    run_until_quiet(quiet, None)
    profile = copy_profile(morning, tmp_path / "killed")
    params = parameter_file(profile, tmp_path)
    chance = random.Random(seed)
    killed = 0
    with served_venue(profile) as venue:
        environment = venue.environment()
        for _ in range(KILLS):
            child = start_day(params, environment)
            time.sleep(chance.uniform(EARLIEST_S, LATEST_S))
            child.send_signal(signal.SIGKILL)
            child.communicate()
            killed += child.returncode == -signal.SIGKILL
        last = start_day(params, environment)
        told, _ = last.communicate(timeout=120)
        assert last.returncode == 0, told
    assert killed > 0
    expected, found = books(quiet), books(profile)
    for part, value in expected.items():
        assert found[part] == value, part
    worst = max((item.seconds for item in read_ledger(profile.venue_db).uncovered), default=0.0)
    assert worst <= 10.0
    with StateDB(profile.state_db) as db:
        assert {run.status for run in db.get_runs(session=TUESDAY)} <= {"done", "failed"}
