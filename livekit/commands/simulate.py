"""``livekit simulate``: the real code through seeded random days, judged by the invariants."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["add_to"]


class Check(StrEnum):
    """When all invariants are judged."""

    ENDS = "ends"
    EVERY_EVENT = "every-event"


def add_to(app: typer.Typer) -> None:
    """Hang the command onto ``app``."""
    app.command()(simulate)


def simulate(
    days: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many days.")] = 1000,
    seed: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Seed of the first day.")] = 0,
    jobs: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="Processes; 0 takes one for each core.")
    ] = 0,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write finished blocks there; go on with what it holds."),
    ] = None,
    check: Annotated[
        Check, typer.Option(metavar="ends|every-event", help="When all invariants are judged.")
    ] = Check.ENDS,
    pairs: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=0, help="Pairs of crashes instead; 0 takes all."),
    ] = None,
) -> None:
    """Play random days with faults, crashes and operators; exit 1 when a promise is broken.

    Each seed is one day and always the same one. A day that breaks a promise is printed with the
    command that plays it again.
    """
    import os

    count = jobs or len(os.sched_getaffinity(0))
    broken = (
        _play_days(days, seed, count, resume, every_event=check is Check.EVERY_EVENT)
        if pairs is None
        else _play_pairs(pairs, seed, count)
    )
    if broken:
        raise typer.Exit(1)


def _play_days(days: int, seed: int, jobs: int, resume: Path | None, *, every_event: bool) -> int:
    from time import monotonic

    from livekit.workbench.simulation.campaign import Campaign, play_days
    from livekit.workbench.simulation.table import progress_line, result_lines

    campaign = Campaign(seed, days, every_event)
    began = monotonic()
    tally = play_days(campaign, jobs=jobs, resume=resume, progress=progress_line(campaign))
    for line in result_lines(campaign, tally, monotonic() - began, jobs):
        print(line)
    return tally.broken


def _play_pairs(pairs: int, seed: int, jobs: int) -> int:
    from livekit.workbench.simulation.pairs import pair_lines, play_pairs

    result = play_pairs(pairs or None, seed=seed, jobs=jobs)
    for line in pair_lines(result):
        print(line)
    return len(result.failures)
