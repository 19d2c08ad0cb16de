"""Sleeping until an instant asks the clock for exactly what is left."""

from datetime import UTC, datetime, timedelta

from livekit.clock import SystemClock, sleep_until

NOON = datetime(2020, 1, 6, 12, 0, tzinfo=UTC)


class Recorder:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOON

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_what_is_left_is_slept_once() -> None:
    clock = Recorder()
    sleep_until(clock, NOON + timedelta(minutes=1, seconds=30))
    assert clock.slept == [90.0]


def test_an_instant_in_the_past_is_not_waited_for() -> None:
    clock = Recorder()
    sleep_until(clock, NOON - timedelta(seconds=1))
    assert clock.slept == []


def test_the_system_clock_is_aware_and_takes_no_negative_sleep() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(-5.0)
    assert before.tzinfo is UTC
    assert clock.now() >= before
