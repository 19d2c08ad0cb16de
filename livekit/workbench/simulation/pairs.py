"""Every crash of the standard day, and every second crash in the recovery from each.

The first crash is at any numbered point of the day's process, the second at any point of the
process that is started after it. On the day with parity fills the books must come out as without a
crash; on the one with rough fills, where a restart may find a fill in another state, every
invariant must hold. Points that leave the same behind are played once.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

from livekit.broker.venue.engine.settings import FillModelName
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.market import chance_of
from livekit.workbench.simulation.points import Cut, Points
from livekit.workbench.simulation.referee import Referee
from livekit.workbench.simulation.remains import Recorder, Remains
from livekit.workbench.simulation.standard_day import (
    StandardDay,
    make_standard_day,
    settle,
    stage_of,
)

__all__ = ["CrashResult", "Pairs", "pair_lines", "play_pairs"]

FILLS: tuple[FillModelName, ...] = ("parity", "rough")


@dataclass(frozen=True, slots=True)
class CrashResult:
    """What was broken by a crash, and by a second one in its recovery if ``second`` is one."""

    first: Cut
    second: Cut | None
    fills: str
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recovery:
    """One first crash, its recovery, and second crashes in it.

    ``firsts`` and ``seconds`` are points, those that leave the same counted each; ``played`` counts
    the second crashes that were played.
    """

    firsts: int
    seconds: int
    played: int
    failures: tuple[CrashResult, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """All that was played: points of the two days, first crashes, pairs, and what broke.

    ``struck`` pairs are those that the ``played`` ones stand for.
    """

    points: int
    firsts: int
    struck: int
    played: int
    failures: tuple[CrashResult, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """The standard day without a crash: its books and what a crash at each point leaves."""

    standard: StandardDay
    books: str
    violations: tuple[str, ...]
    remains: tuple[Remains, ...]


@cache
def _books() -> MemoryBooks:
    return MemoryBooks()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="livekit-pairs-")


@cache
def quiet_day(fills: FillModelName) -> Day:
    """The day with these fills; made once in a process."""
    standard = make_standard_day(Path(_folder().name), _books(), fills)
    referee, recorder, books = _play_on(standard, None)
    return Day(standard, books, tuple(referee.violations), tuple(recorder.found))


def _play_on(standard: StandardDay, since: Remains | None) -> tuple[Referee, Recorder, str]:
    """Play the day to its end, from its morning or from what a crash has left."""
    frozen = standard.frozen if since is None else since.frozen
    referee = Referee(Points(), lambda: stage.state, _books().raw)
    recorder = Recorder(referee, _books(), frozen.books)
    stage = stage_of(standard, frozen, _books(), recorder)
    if since is not None:
        referee.take_up(since.notes)
        referee.crashed()
    books = settle(standard, stage, referee, after_each=recorder.stop)
    return referee, recorder, books


def _struck(
    fills: FillModelName, first: Remains, second: Remains | None
) -> tuple[tuple[Remains, ...], tuple[CrashResult, ...]]:
    """Play on from the last of the crashes: what its recovery leaves, and what is broken."""
    day = quiet_day(fills)
    referee, recorder, books = _play_on(day.standard, second or first)
    broken = list(referee.violations)
    if fills == "parity" and books != day.books:
        broken.append("I22 crash equivalence: " + _difference(day.books, books))
    other = None if second is None else second.cut
    result = CrashResult(first.cut, other, fills, tuple(broken))
    return tuple(recorder.found), (result,) if broken else ()


def _difference(expected: str, found: str) -> str:
    lines = zip(expected.splitlines(), found.splitlines(), strict=False)
    return next((f"{one.strip()} became {two.strip()}" for one, two in lines if one != two), "more")


def strike(fills: FillModelName, number: int, most: int | None, seed: int = 0) -> Recovery:
    """Play the first crash of that number, and ``most`` second crashes, or all, in its recovery."""
    first = quiet_day(fills).remains[number]
    possible, failures = _struck(fills, first, None)
    chosen = possible
    if most is not None:
        chance = chance_of(f"pairs {seed} {fills} {number}")
        chosen = tuple(chance.sample(possible, min(most, len(possible))))
    for second in chosen:
        failures += _struck(fills, first, second)[1]
    struck = sum(len(item.cuts) for item in chosen)
    return Recovery(len(first.cuts), struck * len(first.cuts), len(chosen), failures)


def play_pairs(wanted: int | None, *, seed: int = 0, jobs: int = 1) -> Pairs:
    """Play about ``wanted`` pairs chosen by ``seed``, or all of them."""
    days = {fills: quiet_day(fills) for fills in FILLS}
    firsts = [(fills, number) for fills in FILLS for number in range(len(days[fills].remains))]
    most = None
    if wanted is not None:
        most = ceil(wanted / len(firsts))
        firsts = chance_of(f"pairs {seed}").sample(firsts, min(wanted, len(firsts)))
    found = list(_results([(*first, most, seed) for first in firsts], jobs))
    return Pairs(
        points=sum(len(one.cuts) for day in days.values() for one in day.remains),
        firsts=sum(item.firsts for item in found),
        struck=sum(item.seconds for item in found),
        played=sum(item.played for item in found),
        failures=tuple(failure for item in found for failure in item.failures),
    )


def _results(
    tasks: Sequence[tuple[FillModelName, int, int | None, int]], jobs: int
) -> Iterator[Recovery]:
    if jobs <= 1:
        yield from (strike(*task) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(strike, *zip(*tasks, strict=True))


def pair_lines(pairs: Pairs) -> Iterator[str]:
    """The result as lines of text."""
    yield f"crash points         {pairs.points} on the standard day, parity and rough fills"
    yield f"first crashes        {pairs.firsts} struck"
    yield f"pairs                {pairs.struck} struck, {pairs.played} of them different"
    yield f"violations           {sum(len(item.violations) for item in pairs.failures)}"
    for item in pairs.failures:
        then = "" if item.second is None else f", then {item.second}"
        yield f"  {item.first}{then} ({item.fills} fills)"
        yield from (f"    {text}" for text in item.violations)
