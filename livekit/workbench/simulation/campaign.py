"""Many random days: in blocks, over processes, resumable, with one digest of the whole.

A block is the twenty days of one dawn. What a block gives depends on its number alone, so blocks
may be played in any order, by any number of processes, and taken up again from a file.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from livekit.errors import BadInput
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.day import DayResult, play
from livekit.workbench.simulation.morning import Dawn, Morning, make_dawn, make_morning
from livekit.workbench.simulation.script import write_script

__all__ = ["BlockResult", "Campaign", "Tally", "play_block", "play_days", "play_seed"]

DAYS_A_MORNING = 20
DAYS_A_DAWN = 20
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - only a folder of our own within it is used


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which days: ``days`` seeds from ``first`` on, judged at run ends or after every event."""

    first: int
    days: int
    every_event: bool = False

    def blocks(self) -> Iterator[tuple[int, int]]:
        """The first and the last seed of each block."""
        start, end = self.first, self.first + self.days
        while start < end:
            stop = min(end, (start // DAYS_A_DAWN + 1) * DAYS_A_DAWN)
            yield start, stop - 1
            start = stop


@dataclass(slots=True)
class Tally:
    """What was played and found, added up; ``failures`` are seeds with what they broke."""

    days: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    happenings: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    points: set[str] = field(default_factory=set)
    requests: int = 0
    worst_uncovered_s: float = 0.0
    failures: dict[int, list[str]] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)

    def add_day(self, day: DayResult) -> None:
        """Count one day."""
        self.days += 1
        self.kinds[day.kind] += 1
        self.sessions.add(day.session.isoformat())
        self.faults += day.faults
        self.happenings += day.happenings
        self.judged += day.judged
        self.points |= set(day.points)
        self.requests += day.requests
        self.worst_uncovered_s = max(self.worst_uncovered_s, day.worst_uncovered_s)
        if day.violations:
            self.failures[day.seed] = list(day.violations)
        self.digests[day.seed] = day.digest

    def add(self, other: Tally) -> None:
        """Count what another tally holds."""
        self.days += other.days
        self.kinds += other.kinds
        self.sessions |= other.sessions
        self.faults += other.faults
        self.happenings += other.happenings
        self.judged += other.judged
        self.points |= other.points
        self.requests += other.requests
        self.worst_uncovered_s = max(self.worst_uncovered_s, other.worst_uncovered_s)
        self.failures |= other.failures
        self.digests |= other.digests

    @property
    def digest(self) -> str:
        """One hash over the days in the order of their seeds."""
        lines = (f"{seed} {self.digests[seed]}" for seed in sorted(self.digests))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def broken(self) -> int:
        """How many promises were broken."""
        return sum(len(found) for found in self.failures.values())

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"sessions": sorted(self.sessions), "points": sorted(self.points)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Tally:
        """The inverse of `to_json`."""
        counters = ("kinds", "faults", "happenings", "judged")
        return cls(
            **(
                values
                | {name: Counter(values[name]) for name in counters}
                | {name: set(values[name]) for name in ("sessions", "points")}
                | {
                    name: {int(seed): found for seed, found in values[name].items()}
                    for name in ("failures", "digests")
                }
            )
        )


@dataclass(frozen=True, slots=True)
class BlockResult:
    """One block's tally, by its first seed."""

    first: int
    tally: Tally


# ----------------------------------------------------------------------------------- one process


@cache
def _books() -> MemoryBooks:
    return MemoryBooks()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Files of the days of this process: in memory where the system has such a place."""
    place = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    return tempfile.TemporaryDirectory(prefix="livekit-simulation-", dir=place)


@lru_cache(maxsize=2)
def _morning(number: int) -> Morning:
    return make_morning(number, Path(_folder().name), _books())


@lru_cache(maxsize=2)
def _dawn(number: int) -> Dawn:
    morning = _morning(number * DAYS_A_DAWN // DAYS_A_MORNING)
    return make_dawn(morning, number, _books())


def play_seed(seed: int, *, every_event: bool = False) -> DayResult:
    """Play one day from its number alone."""
    dawn = _dawn(seed // DAYS_A_DAWN)
    script = write_script(seed)
    return play(dawn, script, _books(), Path(_folder().name), every_event=every_event)


def play_block(first: int, last: int, *, every_event: bool) -> BlockResult:
    """Play the days ``first`` to ``last`` of one dawn."""
    tally = Tally()
    for seed in range(first, last + 1):
        tally.add_day(play_seed(seed, every_event=every_event))
    return BlockResult(first, tally)


# ------------------------------------------------------------------------------ several processes


def play_days(
    campaign: Campaign,
    *,
    jobs: int = 1,
    resume: Path | None = None,
    progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Play a campaign over ``jobs`` processes.

    With ``resume`` every finished block is written to that file, and blocks that it holds already
    are not played again. Raises `BadInput` when the file belongs to another campaign.
    """
    total = Tally()
    done = _read_finished(campaign, resume)
    for tally in done.values():
        total.add(tally)
    left = [block for block in campaign.blocks() if block[0] not in done]
    for result in _results(left, every_event=campaign.every_event, jobs=jobs):
        total.add(result.tally)
        if resume is not None:
            _append(resume, {"first": result.first, "tally": result.tally.to_json()})
        if progress is not None:
            progress(total)
    return total


def _results(
    blocks: Iterable[tuple[int, int]], *, every_event: bool, jobs: int
) -> Iterator[BlockResult]:
    if jobs <= 1:
        yield from (play_block(first, last, every_event=every_event) for first, last in blocks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = [
            pool.submit(play_block, first, last, every_event=every_event) for first, last in blocks
        ]
        for future in as_completed(waiting):
            yield future.result()


def _read_finished(campaign: Campaign, resume: Path | None) -> dict[int, Tally]:
    if resume is None:
        return {}
    if not resume.exists():
        _append(resume, asdict(campaign))
        return {}
    try:
        head, *rows = [json.loads(line) for line in resume.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise BadInput(resume, f"is not the file of a simulation ({error})") from error
    if head != asdict(campaign):
        raise BadInput(resume, f"belongs to another simulation: {head}")
    return {row["first"]: Tally.from_json(row["tally"]) for row in rows}


def _append(path: Path, values: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(values, sort_keys=True) + "\n")
