"""``livekit archive``: the archive checked, rendered anew, relieved of old attempts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from livekit.commands.options import DEMO_PARAMS, Outputs, Params, end_run

__all__ = ["add_to"]

archive = typer.Typer(help="The archive of executed notebooks and pages.", no_args_is_help=True)

DIFFERS = 4


def add_to(app: typer.Typer) -> None:
    """Hang the commands onto ``app``."""
    app.add_typer(archive, name="archive")


@archive.command("verify")
def verify_archive(params: Params = DEMO_PARAMS, outputs: Outputs = None) -> None:
    """Compare every file with the hash in the run log and name every stranger.

    Exit 4 when a file is missing, changed, or there without a run that names it.
    """
    from livekit.config import load_profile
    from livekit.state import StateDB
    from livekit.workbench.archiving.upkeep import archived_run, verify

    profile = load_profile(params, outputs=outputs)
    with StateDB(profile.state_db) as db:
        problems = verify(profile, db)
        count = sum(archived_run(run) is not None for run in db.get_runs())
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{count} archived runs agree with the run log")
    end_run(DIFFERS if problems else 0, f"{len(problems)} files do not agree with the run log")


@archive.command("rebuild")
def rebuild_archive(
    params: Params = DEMO_PARAMS,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Empty folder; default: beside the archive."),
    ] = None,
    outputs: Outputs = None,
) -> None:
    """Render pages and index anew from the archived notebooks, without touching them.

    The pages go into a folder of their own; a page that is missing in the archive is put back if
    it comes out as it was. Exit 4 when a notebook is missing or was changed.
    """
    from livekit.clock import SystemClock
    from livekit.config import load_profile
    from livekit.state import StateDB
    from livekit.workbench.archiving.upkeep import rebuild

    profile = load_profile(params, outputs=outputs)
    target = into or profile.home / "archive-rebuilt"
    with StateDB(profile.state_db) as db:
        result = rebuild(profile, db, target, made_at=SystemClock().now())
    for problem in result.problems:
        print(problem)
    for name in result.restored:
        print(f"{name}: was missing and is back")
    print(f"{result.pages} pages in {result.folder}, {len(result.changed)} look different now")
    end_run(DIFFERS if result.problems else 0, f"{len(result.problems)} pages were not made")


@archive.command("prune")
def prune_archive(
    days: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", min=1, help="Age of the session.")
    ],
    params: Params = DEMO_PARAMS,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove them; without this they are only listed.")
    ] = False,
    outputs: Outputs = None,
) -> None:
    """List or remove old attempts that a later one replaced; the last of a session stays."""
    from datetime import timedelta

    from livekit.clock import SystemClock
    from livekit.config import load_profile
    from livekit.sessions import exchange_time
    from livekit.state import StateDB
    from livekit.trading.opening import sole_runner
    from livekit.workbench.archiving.upkeep import prunable, prune

    profile = load_profile(params, outputs=outputs)
    before = exchange_time(SystemClock().now()).date() - timedelta(days=days)
    with StateDB(profile.state_db) as db, sole_runner(profile):
        chosen = prunable(db.get_runs(), before)
        for run in chosen:
            print(f"{run.archive_path}: attempt {run.attempt}, {run.status}")
        if delete:
            prune(profile, db, chosen)
    done = "removed" if delete else "would be removed; --delete does it"
    print(f"{len(chosen)} runs of sessions before {before} {done}")
