"""A host clock that is set back in the middle of a run: cover does not wait for the lost time."""

from datetime import timedelta
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.sessions import open_instant
from livekit.trading.phases import PhaseOutcome
from livekit.workbench.daily import perform_recorded
from tests.trading.faults import MONDAY, Skewed, inject, longest_uncovered_s, on_clock, planned
from tests.trading.world import World, world

ABC, DEF = ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0)


def executed_on_a_clock_set_back(
    w: World, *, method: str, number: int, seconds: float
) -> PhaseOutcome:
    """Execute Monday; before the n-th such request leaves, the host's clock goes back."""
    clock = Skewed(w.desk.clock, timedelta(0))
    seen: list[str] = []

    def set_back(asked: str, path: str) -> None:
        if asked == method:
            seen.append(path)
            if len(seen) == number:
                clock.off = timedelta(seconds=-seconds)

    w.wire.rule = set_back
    outcome = perform_recorded(on_clock(w, clock), "execution", MONDAY)
    assert len(seen) >= number
    assert clock.off < timedelta(0)
    return outcome


@pytest.mark.parametrize("seconds", [5.0, 61.0, 3600.0])
def test_a_gap_seen_before_the_clock_was_set_back_is_closed_in_time(
    tmp_path: Path, seconds: float
) -> None:
    """The leg sleeps; the clock goes back while the buy is on its way."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.STUCK_LEG))
        sleep_until(w.desk.clock, open_instant(MONDAY) + timedelta(seconds=5))
        executed_on_a_clock_set_back(w, method="POST", number=1, seconds=seconds)
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 10.0


@pytest.mark.parametrize("number", range(24, 60, 3))
def test_cover_is_had_in_time_whenever_the_clock_is_set_back(tmp_path: Path, number: int) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        planned(w, MONDAY, ABC, DEF)
        inject(w, FaultRule(FaultKind.STUCK_LEG, times=2))
        sleep_until(w.desk.clock, open_instant(MONDAY) + timedelta(seconds=5))
        executed_on_a_clock_set_back(w, method="GET", number=number, seconds=61.0)
        assert w.held("ABC") == w.live_sells("ABC")
        assert w.held("DEF") == w.live_sells("DEF")
        assert longest_uncovered_s(w) <= 10.0
