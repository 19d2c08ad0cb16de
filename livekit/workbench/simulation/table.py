"""The result of a simulation as lines of text."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator

from livekit.broker.venue.faults import FaultKind
from livekit.workbench.simulation.campaign import Campaign, Tally
from livekit.workbench.simulation.traits import TRAITS

__all__ = ["progress_line", "replay_command", "result_lines"]

RUNS = ("crashes", "runs")


def replay_command(seed: int, *, every_event: bool) -> str:
    """The command that plays one day again."""
    check = " --check every-event" if every_event else ""
    return f"livekit simulate --seed {seed} --days 1{check}"


def result_lines(campaign: Campaign, tally: Tally, seconds: float, jobs: int) -> Iterator[str]:
    """What was played, what struck, what was judged, what was broken."""
    check = "after every event" if campaign.every_event else "at run ends"
    yield f"days                 {tally.days} ({_counts(tally.kinds)}), seeds from {campaign.first}"
    yield f"sessions             {len(tally.sessions)} different dates"
    yield f"requests             {tally.requests}"
    yield f"process runs         {tally.happenings['runs'] + tally.happenings['crashes']}"
    yield f"crashes              {tally.happenings['crashes']} at {len(tally.points)} points"
    seen = sum(tally.happenings[name] > 0 for name in TRAITS)
    yield f"traits of the days   {seen} of {len(TRAITS)}"
    for name in TRAITS:
        yield f"  {name:<34} {tally.happenings[name]:>8}"
    others = {name for name, count in tally.happenings.items() if count} - {*RUNS, *TRAITS}
    for name in sorted(others):
        yield f"  {name:<34} {tally.happenings[name]:>8}"
    yield f"faults struck        {sum(tally.faults.values())} of {len(tally.faults)} kinds"
    for kind in FaultKind:
        yield f"  {kind.value:<34} {tally.faults[kind.value]:>8}"
    yield f"invariants judged    {sum(tally.judged.values())}, all of them {check}"
    for name, count in sorted(tally.judged.items()):
        yield f"  {name:<34} {count:>8}"
    yield f"longest uncovered    {tally.worst_uncovered_s:.1f} s, hindrances by faults included"
    yield f"violations           {tally.broken}"
    for seed, found in sorted(tally.failures.items()):
        yield f"  seed {seed}: {replay_command(seed, every_event=campaign.every_event)}"
        yield from (f"    {text}" for text in found)
    yield f"digest               {tally.digest}"
    rate = tally.days / seconds if seconds else 0.0
    yield f"time                 {seconds:.1f} s, {rate:.1f} days a second in {jobs} processes"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def progress_line(campaign: Campaign) -> Callable[[Tally], None]:
    """Says on a terminal how far the simulation is; silent anywhere else."""

    def show(tally: Tally) -> None:
        if sys.stderr.isatty():
            text = f"\r{tally.days} of {campaign.days} days, {tally.broken} violations"
            print(text, end="", file=sys.stderr, flush=True)  # noqa: T201
            if tally.days >= campaign.days:
                print(file=sys.stderr)  # noqa: T201

    return show
