"""How many simulated days one core plays, where their time goes, and the same for single parts."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from sqlalchemy import create_engine, select

from livekit.state import StateDB
from livekit.state.tables import system_config
from livekit.workbench.simulation.campaign import Campaign, Tally, play_days
from livekit.workbench.simulation.pairs import _books
from livekit.workbench.simulation.standard_day import make_standard_day, run_standard_day

pytestmark = pytest.mark.bench

PARTS = {
    "/workbench/simulation/morning.py": "mornings and dawns",
    "/workbench/simulation/close_look.py": "the look after every event",
    "/workbench/simulation/judging.py": "judgement at the end",
    "/workbench/audit.py": "judgement at the end",
    "/livekit/state/": "books: statements and rows",
    "/livekit/broker/venue/": "venue",
    "/workbench/simulation/": "referee and scenario",
    "/livekit/broker/": "client: requests and parsing",
    "/filelock/": "file locks",
    "/livekit/trading/": "the day's own code",
    "/workbench/daily.py": "the day's own code",
}
WHOLE = ("mornings and dawns", "the look after every event", "judgement at the end")
SAMPLE_S = 0.002


def part_of(frame: FrameType | None) -> str:
    """The innermost part at work; what is done for a judgement or a morning counts as that."""
    innermost = ""
    while frame is not None:
        name = frame.f_code.co_filename
        part = next((part for place, part in PARTS.items() if place in name), "")
        if part in WHOLE:
            return part
        innermost = innermost or part
        frame = frame.f_back
    return innermost or "anything else"


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Where the processor is, looked at every two milliseconds of its time."""
    found: Counter[str] = Counter()
    before = signal.signal(signal.SIGPROF, lambda _, frame: found.update([part_of(frame)]))
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def measured(campaign: Campaign) -> tuple[Tally, float]:
    """The tally and the processor seconds of playing it in this process."""
    began = time.process_time()
    tally = play_days(campaign)
    return tally, time.process_time() - began


@pytest.mark.parametrize(("every_event", "days", "bar"), [(False, 100, 40), (True, 40, 15)])
def test_days_a_second_on_one_core(*, every_event: bool, days: int, bar: int) -> None:
    play_days(Campaign(0, 20))  # the first days of a process compile every statement
    tally, seconds = measured(Campaign(100, days, every_event))
    runs = tally.happenings["runs"] + tally.happenings["crashes"]
    when = "after every event" if every_event else "at run ends"
    print(
        f"\ninvariants {when}: {tally.days / seconds:.1f} days a second of processor time "
        f"(the bar is {bar}, reached {tally.days / seconds / bar:.2f} times), "
        f"{runs / seconds:.1f} runs a second, {tally.requests / seconds:.0f} requests a second"
    )
    with sampled() as found:
        play_days(Campaign(100, days // 2, every_event))
    for part, count in found.most_common():
        print(f"  {count / found.total():6.1%}  {part}")
    assert tally.broken == 0


def test_standard_days_a_second_on_one_core(tmp_path: Path) -> None:
    standard = make_standard_day(tmp_path, _books())
    run_standard_day(standard, _books())
    began = time.process_time()
    for _ in range(20):
        assert run_standard_day(standard, _books()).violations == ()
    seconds = (time.process_time() - began) / 20
    print(f"\nstandard day, all phases and its judgement: {1 / seconds:.1f} a second")


def test_a_setting_is_read_faster_than_by_a_statement_built_each_time(tmp_path: Path) -> None:
    """The same row by a prepared statement and by SQLAlchemy Core as one would write it."""
    with StateDB.create(tmp_path / "state.db") as db:
        db.set_config("name", "value")
        engine = create_engine(f"sqlite:///{tmp_path / 'state.db'}")
        with engine.connect() as connection:

            def by_core() -> object:
                query = select(system_config.c.value).where(system_config.c.key == "name")
                return connection.execute(query).scalar()

            ours, core = _seconds_each(lambda: db.get_config("name")), _seconds_each(by_core)
            assert by_core() == db.get_config("name") == "value"
        engine.dispose()
    print(f"\none setting: {ours * 1e6:.0f} us, by Core {core * 1e6:.0f} us, {core / ours:.1f} x")


def _seconds_each(read: object, times: int = 1000) -> float:
    assert callable(read)
    read()
    began = time.process_time()
    for _ in range(times):
        read()
    return (time.process_time() - began) / times
