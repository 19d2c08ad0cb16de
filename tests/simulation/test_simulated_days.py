"""Seeded random days of the real code: nothing is broken, and the same seed is the same day."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind
from livekit.broker.venue.ledger import UncoveredInterval
from livekit.cli import main
from livekit.errors import BadInput
from livekit.workbench.simulation.campaign import Campaign, Tally, play_days, play_seed
from livekit.workbench.simulation.judging import allowed_uncovered_s
from livekit.workbench.simulation.points import Cut, Points, crash_at, every_cut
from livekit.workbench.simulation.referee import Hindrance
from livekit.workbench.simulation.script import write_script
from livekit.workbench.simulation.table import result_lines
from livekit.workbench.simulation.traits import TRAITS

OPEN = datetime(2020, 1, 7, 14, 30, tzinfo=UTC)  # 09:30 in New York


def found(tally: Tally) -> str:
    return "\n".join(f"{seed}: {texts}" for seed, texts in sorted(tally.failures.items()))


def test_a_handful_of_days_breaks_no_promise() -> None:
    tally = play_days(Campaign(first=0, days=15))
    assert tally.broken == 0, found(tally)
    assert tally.days == 15
    assert tally.kinds == {"whole": 2, "executor": 13}  # 0 and 10 are whole days
    assert sum(tally.faults.values()) > 0
    assert tally.happenings["crashes"] > 0


def test_days_judged_after_every_event_break_no_promise() -> None:
    tally = play_days(Campaign(first=32, days=4, every_event=True))
    assert tally.broken == 0, found(tally)
    assert tally.judged["looks"] >= 40


def test_a_day_through_alpaca_py_breaks_no_promise() -> None:
    assert write_script(39).through_alpaca_py
    assert play_seed(39).violations == ()


def test_the_same_seeds_give_the_same_digest_in_any_number_of_processes() -> None:
    campaign = Campaign(first=36, days=8)  # 36 to 39 and 40 to 43: two blocks
    alone, together = play_days(campaign), play_days(campaign, jobs=2)
    assert alone.digest == together.digest
    assert alone.digests == together.digests
    assert alone.digest != play_days(Campaign(first=44, days=4)).digest


def test_a_campaign_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    file = tmp_path / "campaign.jsonl"
    campaign = Campaign(first=18, days=4)  # blocks 18-19 and 20-21
    whole = play_days(campaign, resume=file)
    lines = file.read_text().splitlines()
    assert len(lines) == 3  # the campaign and two blocks
    file.write_text("\n".join(lines[:2]) + "\n")
    played: list[int] = []
    again = play_days(campaign, resume=file, progress=lambda tally: played.append(tally.days))
    assert played == [4]  # two days from the file, two played
    assert again.digest == whole.digest
    assert again.to_json() == whole.to_json()


def test_the_file_of_another_campaign_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "campaign.jsonl"
    file.write_text(json.dumps({"first": 0, "days": 5, "every_event": False}) + "\n")
    with pytest.raises(BadInput, match="another simulation"):
        play_days(Campaign(first=0, days=6), resume=file)
    file.write_text("not json\n")
    with pytest.raises(BadInput, match="not the file of a simulation"):
        play_days(Campaign(first=0, days=6), resume=file)


def test_the_command_plays_one_day_and_tells_what_struck(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", "--seed", "7", "--days", "1", "--jobs", "1"]) == 0
    told = capsys.readouterr().out
    assert "days                 1 (1 executor), seeds from 7" in told
    assert "violations           0" in told
    for kind in FaultKind:
        assert f"  {kind.value} " in told


def test_a_broken_promise_is_printed_with_the_command_that_plays_it_again() -> None:
    tally = Tally(days=2, failures={7: ["I07 never short: AAA is short -5"]})
    lines = list(result_lines(Campaign(6, 2), tally, seconds=1.0, jobs=1))
    assert "violations           1" in lines
    assert "  seed 7: livekit simulate --seed 7 --days 1" in lines
    assert "    I07 never short: AAA is short -5" in lines
    lines = list(result_lines(Campaign(6, 2, every_event=True), tally, seconds=1.0, jobs=1))
    assert "  seed 7: livekit simulate --seed 7 --days 1 --check every-event" in lines


def test_blocks_end_with_their_dawn() -> None:
    assert list(Campaign(15, 30).blocks()) == [(15, 19), (20, 39), (40, 44)]


def test_scripts_differ_and_hold_every_kind_of_trouble() -> None:
    scripts = [write_script(seed) for seed in range(400)]
    kinds = {rule.kind for script in scripts for rule in script.rules}
    assert kinds == set(FaultKind) - {FaultKind.BOTH_EXITS}  # that one strikes groups of others
    assert {script.tampering for script in scripts} >= {
        "quantity", "price", "ticker", "session", "stop", "hash", "torn", "stale", None,
    }  # fmt: skip
    assert any(script.kills for script in scripts)
    assert any(script.clock_steps for script in scripts)
    assert any(script.stop_lost for script in scripts)
    assert Counter(script.through_alpaca_py for script in scripts)[True] == 20  # one in twenty
    assert scripts[5] == write_script(5)


# ------------------------------------------------------------------------------------ the rule


def interval(seconds: float) -> UncoveredInterval:
    end = OPEN + timedelta(seconds=seconds)
    return UncoveredInterval("AAA", OPEN, end, seconds, 10, seconds)


def after_open(seconds: float) -> datetime:
    return OPEN + timedelta(seconds=seconds)


def test_ten_seconds_are_allowed_without_a_hindrance() -> None:
    assert allowed_uncovered_s(interval(30), []) == 10.0
    before = Hindrance(after_open(-60), after_open(-50), uncertain=1)
    assert allowed_uncovered_s(interval(30), [before]) == 10.0


def test_the_time_of_a_hindrance_within_the_interval_is_excused() -> None:
    # 5 s of it lie within: 10 + 5
    assert allowed_uncovered_s(interval(30), [Hindrance(after_open(-3), after_open(5))]) == 15.0
    # it lasts beyond the end: 10 + (30 - 20)
    assert allowed_uncovered_s(interval(30), [Hindrance(after_open(20))]) == 20.0


def test_what_was_uncertain_is_excused_for_its_settle_window() -> None:
    # 10 + 2 s + 3 × 10 s
    hindrance = Hindrance(after_open(4), after_open(6), uncertain=3)
    assert allowed_uncovered_s(interval(30), [hindrance]) == 42.0


def test_a_point_acts_once_and_counts_from_its_plan() -> None:
    points = Points()
    done: list[str] = []
    points.arrive("request", "before")
    points.plan({Cut("request", 2, "after"): lambda: done.append("acted")})
    for _ in range(3):
        points.arrive("request", "before")
        points.arrive("request", "after")
    assert done == ["acted"]
    assert points.reached == [Cut("request", 2, "after")]
    assert points.counts["request"] == 3


def test_every_cut_stands_before_and_after_each_event() -> None:
    cuts = every_cut({"request": 2, "commit": 1})
    assert [str(cut) for cut in cuts] == [
        "before request 1",
        "after request 1",
        "before request 2",
        "after request 2",
        "before commit 1",
        "after commit 1",
    ]
    assert [Cut.parse(str(cut)) for cut in cuts] == cuts
    with pytest.raises(BaseException, match="before commit 1"):
        crash_at(cuts[4])()


# ---------------------------------------------------------------------------------------- many


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("part", range(5))
def test_a_thousand_days_break_no_promise(part: int) -> None:
    tally = play_days(Campaign(first=1000 + 200 * part, days=200))
    assert tally.broken == 0, found(tally)
    assert len(tally.faults) >= len(FaultKind) // 2
    assert tally.happenings["crashes"] > 30  # more than one day in seven is struck by one


@pytest.mark.slow
@pytest.mark.parametrize("part", range(50))
def test_ten_thousand_days_break_no_promise(part: int) -> None:
    tally = play_days(Campaign(first=10_000 + 200 * part, days=200))
    assert tally.broken == 0, found(tally)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_a_hundred_days_judged_after_every_event_break_no_promise(part: int) -> None:
    tally = play_days(Campaign(first=30_000 + 20 * part, days=20, every_event=True))
    assert tally.broken == 0, found(tally)


@pytest.mark.slow
@pytest.mark.ci
def test_every_kind_of_fault_and_every_trait_that_is_claimed_is_struck() -> None:
    """Over 1,600 fixed days, in two processes."""
    tally = play_days(Campaign(first=9000, days=1600), jobs=2)
    assert tally.broken == 0, found(tally)
    assert {kind.value for kind in FaultKind} - set(tally.faults) == set()
    assert {name for name in TRAITS if not tally.happenings[name]} == set()
    assert len(tally.sessions) >= 70  # eighty blocks of twenty days
