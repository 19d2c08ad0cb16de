"""How many simulated days one core plays, with the invariants at run ends and after every event."""

import time
from pathlib import Path

import pytest

from livekit.workbench.simulation.campaign import Campaign, Tally, play_days
from livekit.workbench.simulation.pairs import _books
from livekit.workbench.simulation.standard_day import make_standard_day, run_standard_day

pytestmark = pytest.mark.bench


def measured(campaign: Campaign) -> tuple[Tally, float]:
    """The tally and the processor seconds of playing it in this process."""
    began = time.process_time()
    tally = play_days(campaign)
    return tally, time.process_time() - began


@pytest.mark.parametrize(("every_event", "days"), [(False, 100), (True, 40)])
def test_days_a_second_on_one_core(*, every_event: bool, days: int) -> None:
    play_days(Campaign(0, 20))  # the first days of a process compile every statement
    tally, seconds = measured(Campaign(100, days, every_event))
    runs = tally.happenings["runs"] + tally.happenings["crashes"]
    when = "after every event" if every_event else "at run ends"
    print(
        f"\ninvariants {when}: {tally.days / seconds:.1f} days a second of processor time, "
        f"{runs / seconds:.1f} runs a second, {tally.requests / seconds:.0f} requests a second"
    )
    assert tally.broken == 0


def test_standard_days_a_second_on_one_core(tmp_path: Path) -> None:
    standard = make_standard_day(tmp_path, _books())
    run_standard_day(standard, _books())
    began = time.process_time()
    for _ in range(20):
        assert run_standard_day(standard, _books()).violations == ()
    seconds = (time.process_time() - began) / 20
    print(f"\nstandard day, all phases and its judgement: {1 / seconds:.1f} a second")
