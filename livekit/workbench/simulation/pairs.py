"""Pairs of crashes on the standard day: one ends the day's process, the other its recovery.

The first cut is any numbered point of the day, the second any point of the process that is started
after it. On the day with parity fills the books must come out as without a crash; on the one with
rough fills, where a restart may find a fill in another state, every invariant must hold.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from livekit.broker.venue.engine.settings import FillModelName
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.market import chance_of
from livekit.workbench.simulation.points import Cut, every_cut
from livekit.workbench.simulation.standard_day import (
    StandardDay,
    Struck,
    make_standard_day,
    run_standard_day,
)

__all__ = ["PairResult", "Pairs", "pair_lines", "play_pairs", "strike_pair"]

BLOCK = 25
FILLS = ("parity", "rough")


@dataclass(frozen=True, slots=True)
class PairResult:
    """One pair; ``second_reached`` is false where the recovery was shorter than the cut."""

    first: Cut
    second: Cut
    fills: str
    second_reached: bool
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """All that was played: how many pairs there are, and what became of those chosen."""

    points: int
    possible: int
    played: int
    second_reached: int
    failures: tuple[PairResult, ...]


@cache
def _books() -> MemoryBooks:
    return MemoryBooks()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="livekit-pairs-")


@cache
def _standard(fills: str) -> tuple[StandardDay, Struck]:
    """The day and its run without a crash."""
    model: FillModelName = "rough" if fills == "rough" else "parity"
    standard = make_standard_day(Path(_folder().name), _books(), model)
    return standard, run_standard_day(standard, _books())


def all_pairs() -> list[tuple[Cut, Cut]]:
    """Every point of the quiet day with every point that a recovery of that length could have."""
    _, quiet = _standard("parity")
    cuts = every_cut(quiet.counts)
    return list(product(cuts, cuts))


def strike_pair(first: Cut, second: Cut, fills: str) -> PairResult:
    """Play the day with both crashes and judge it."""
    standard, quiet = _standard(fills)
    struck = run_standard_day(standard, _books(), (first, second))
    violations = list(struck.violations)
    if fills == "parity" and struck.books != quiet.books:
        violations.append("I22 crash equivalence: " + _difference(quiet.books, struck.books))
    return PairResult(first, second, fills, second in struck.reached[1:], tuple(violations))


def _difference(expected: str, found: str) -> str:
    lines = zip(expected.splitlines(), found.splitlines(), strict=False)
    return next((f"{one.strip()} became {two.strip()}" for one, two in lines if one != two), "more")


def play_pairs(wanted: int | None, *, seed: int = 0, jobs: int = 1) -> Pairs:
    """Play ``wanted`` pairs chosen by ``seed``, or all of them."""
    possible = all_pairs()
    chosen = possible if wanted is None else chance_of(f"pairs {seed}").sample(possible, wanted)
    tasks = [
        (str(one), str(two), FILLS[number % len(FILLS)]) for number, (one, two) in enumerate(chosen)
    ]
    results = list(_results(tasks, jobs))
    _, quiet = _standard("parity")
    return Pairs(
        points=len(every_cut(quiet.counts)),
        possible=len(possible),
        played=len(results),
        second_reached=sum(item.second_reached for item in results),
        failures=tuple(item for item in results if item.violations),
    )


def _results(tasks: Sequence[tuple[str, str, str]], jobs: int) -> Iterator[PairResult]:
    blocks = [tasks[start : start + BLOCK] for start in range(0, len(tasks), BLOCK)]
    if jobs <= 1:
        for block in blocks:
            yield from _strike_block(block)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for found in pool.map(_strike_block, blocks):
            yield from found


def _strike_block(tasks: Sequence[tuple[str, str, str]]) -> list[PairResult]:
    return [strike_pair(Cut.parse(one), Cut.parse(two), fills) for one, two, fills in tasks]


def pair_lines(pairs: Pairs) -> Iterator[str]:
    """The result as lines of text."""
    yield f"crash points         {pairs.points} on the standard day"
    yield f"pairs                {pairs.played} of {pairs.possible} played"
    yield f"second reached       {pairs.second_reached}; in the others the recovery was shorter"
    yield f"violations           {sum(len(item.violations) for item in pairs.failures)}"
    for item in pairs.failures:
        yield f"  {item.first}, then {item.second} ({item.fills} fills)"
        yield from (f"    {text}" for text in item.violations)
