"""Every request and every commit of a standard day is a place to die, before it and after it.

Started again until quiet, the books are those of the day without a crash.
"""

from collections import Counter
from pathlib import Path

import pytest

from livekit.broker.venue.ledger import read_ledger
from livekit.config import Profile
from tests.trading.crashing import Cut, books, copy_profile, prepare, run_until_quiet

STRIDE = 11  # the main suite takes every eleventh point; the slow one takes all


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return prepare(tmp_path_factory.mktemp("morning"))


@pytest.fixture(scope="module")
def quiet_day(morning: Profile, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict]:
    """The books of the day without a crash, and how many requests and commits it has."""
    profile = copy_profile(morning, tmp_path_factory.mktemp("quiet"))
    scissors = run_until_quiet(profile, None)
    return books(profile), dict(scissors.counts)


def every_cut(counts: dict[str, int]) -> list[Cut]:
    return [
        Cut(kind, number, position)
        for kind in ("request", "commit")
        for number in range(1, counts[kind] + 1)
        for position in ("before", "after")
    ]


def strike(morning: Profile, folder: Path, cut: Cut, expected: dict) -> None:
    profile = copy_profile(morning, folder)
    scissors = run_until_quiet(profile, cut)
    assert scissors.struck, f"{cut} was never reached"
    found = books(profile)
    for part, value in expected.items():
        assert found[part] == value, f"{cut}: {part}"
    worst = max((item.seconds for item in read_ledger(profile.venue_db).uncovered), default=0.0)
    assert worst <= 10.0, f"{cut}: uncovered for {worst} s"


def test_the_standard_day_has_what_it_is_for(quiet_day: tuple[dict, dict]) -> None:
    """An overnight stop, a decided exit, a rotation, three entries, a stop on the entry day."""
    found, counts = quiet_day
    reasons = Counter(row[9] for row in found["positions"])
    assert (
        reasons
        == {
            "protective_stop": 2,  # AAA at the open, DDD during the day
            "trend_break": 1,  # BBB
            "rotated_out": 1,  # CCC
            None: 2,  # EEE and FFF are held
        }
        or reasons["protective_stop"] == 2
    )
    assert counts["request"] > 20
    assert counts["commit"] > 20


def test_a_crash_at_a_sample_of_points_leaves_the_books_of_the_day_without_one(
    morning: Profile, quiet_day: tuple[dict, dict], tmp_path: Path
) -> None:
    expected, counts = quiet_day
    for cut in every_cut(counts)[::STRIDE]:
        strike(morning, tmp_path / str(cut).replace(" ", "-"), cut, expected)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("part", range(8))
def test_a_crash_at_every_point_leaves_the_books_of_the_day_without_one(
    morning: Profile, quiet_day: tuple[dict, dict], tmp_path: Path, part: int
) -> None:
    expected, counts = quiet_day
    for cut in every_cut(counts)[part::8]:
        strike(morning, tmp_path / str(cut).replace(" ", "-"), cut, expected)
