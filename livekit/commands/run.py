"""``livekit run``: one notebook, its parameters checked, its run sealed and archived."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from livekit.commands.options import DEMO_PARAMS, Outputs, Params, end_run
from livekit.config import Profile
from livekit.errors import UsageError

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Hang the command onto ``app``."""
    app.command("run")(run)


def run(
    notebook: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="Notebook to run.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="Parameter, repeatable."),
    ] = None,
    params: Params = DEMO_PARAMS,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name in the archive; default: the notebook's."),
    ] = None,
    cell_timeout: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, help="Longest time for one cell.")
    ] = 1800,
    start_timeout: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, help="Longest time for the kernel's start.")
    ] = 60,
    outputs: Outputs = None,
) -> None:
    """Run a notebook with checked parameters; seal and archive it whatever happens.

    A notebook of the day is that phase of the daily round: performed if it is due and not done.
    """
    from livekit.config import load_profile
    from livekit.workbench.runs.phases import NOTEBOOKS

    profile = load_profile(params, outputs=outputs)
    given = _pairs(parameter or [])
    phases = {file: phase for phase, file in NOTEBOOKS.items()}
    if notebook.name in phases:
        _run_phase(profile, notebook, phases[notebook.name], given)
    else:
        _run_own(profile, notebook, given, name, cell_timeout, start_timeout)


def _run_phase(profile: Profile, notebook: Path, phase: str, given: dict[str, str]) -> None:
    from livekit.commands.options import day_of
    from livekit.workbench.entry import daily_run
    from livekit.workbench.runs.phases import notebooks_dir
    from livekit.workbench.runs.run import typed_parameters
    from livekit.workbench.terminal import show_daily

    if notebook.resolve().parent != notebooks_dir():
        raise UsageError(f"{notebook} is named like a notebook of the day but is a copy of it")
    typed_parameters(notebook, given)
    if set(given) - {"session"}:
        raise UsageError("state_db and run_id of a notebook of the day are set by the run itself")
    report = daily_run(profile, day_of(given.get("session")), phases=(phase,))
    show_daily(report, profile)
    end_run(report.exit_code, report.trouble)


def _run_own(
    profile: Profile,
    notebook: Path,
    given: dict[str, str],
    name: str | None,
    cell_timeout: int,
    start_timeout: int,
) -> None:
    from livekit.clock import SystemClock
    from livekit.config import resolve_credentials
    from livekit.workbench.runs.own import Timeouts, run_own
    from livekit.workbench.runs.phases import environment_secrets
    from livekit.workbench.watching.watch import Watch

    keys = resolve_credentials() if profile.venue == "alpaca-paper" else ()
    result = run_own(
        profile,
        notebook,
        given,
        clock=SystemClock(),
        secrets=(*keys, *environment_secrets()),
        name=name,
        timeouts=Timeouts(cell_timeout, start_timeout),
    )
    if result.exit_code:
        Watch(profile).tell()
    print(f"run {result.run_id}: {result.page or 'not archived'}")
    end_run(result.exit_code, result.message)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name.isidentifier():
            raise UsageError("-p wants NAME=VALUE")
        if name in pairs:
            raise UsageError(f"parameter {name} is given twice")
        pairs[name] = value
    return pairs
