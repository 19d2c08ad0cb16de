"""The ``livekit`` command: every way in, each one line long where it can be.

Errors of the package's own tree end as one line on standard error and their exit code.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livekit.errors import LivekitError

if TYPE_CHECKING:
    from livekit.workbench.demo import DemoResult

__all__ = ["app", "main"]

app = typer.Typer(
    help="Proves or refutes an earnings-gap strategy on a paper account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Params = Annotated[Path, typer.Option("--params", help="parameter file of the profile")]
Outputs = Annotated[Path | None, typer.Option("--outputs", help="folder that holds all profiles")]
DEMO_PARAMS = Path("params/demo.yaml")


def main() -> None:
    """Run the command line; never shows a traceback for an error of our own tree."""
    try:
        app()
    except LivekitError as error:
        print(error.operator_line(), file=sys.stderr)
        sys.exit(error.exit_code)


@app.command()
def demo(
    params: Params = DEMO_PARAMS,
    outputs: Outputs = None,
    notebooks: Annotated[bool, typer.Option(help="run the notebooks on four sessions")] = True,
    seed: Annotated[int | None, typer.Option(help="another seed than the parameter file's")] = None,
) -> None:
    """Trade a simulated quarter on real prices, check the books, and build the archive."""
    from dataclasses import replace

    from livekit.config import load_profile
    from livekit.workbench.demo import run_demo
    from livekit.workbench.notebook_runs import notebook_performer
    from livekit.workbench.terminal import demo_progress, show_demo

    profile = load_profile(params, outputs=outputs)
    if seed is not None:
        profile = replace(profile, seed=seed)
    with demo_progress() as progress:
        result: DemoResult = run_demo(
            profile, notebooks=notebook_performer if notebooks else None, progress=progress
        )
    show_demo(result)
    raise typer.Exit(result.exit_code)


@app.command()
def init(params: Params, outputs: Outputs = None) -> None:
    """Check the account and create the profile's database and manifest."""
    from livekit.config import load_profile
    from livekit.trading.opening import open_link
    from livekit.trading.registration import register_profile

    profile = load_profile(params, outputs=outputs)
    with open_link(profile) as link:
        register_profile(profile, link.client, link.clock)
    print(f"profile {profile.name} registered in {profile.home}")


@app.command()
def daily(
    params: Params,
    session: Annotated[str | None, typer.Option(help="session, YYYY-MM-DD; default: now's")] = None,
    phase: Annotated[list[str] | None, typer.Option(help="only this phase; repeatable")] = None,
    notebooks: Annotated[bool, typer.Option(help="run the phases as notebooks")] = True,
    outputs: Outputs = None,
) -> None:
    """Run the phases of one session that are due; safe to run twice."""
    from livekit.config import load_profile
    from livekit.workbench.entry import daily_run

    profile = load_profile(params, outputs=outputs)
    report = daily_run(profile, _day(session), phases=tuple(phase or ()), notebooks=notebooks)
    print(f"session {report.session}, profile {profile.name}, venue {profile.venue}")
    for item in report.phases:
        print(f"  {item.phase}: {item.status}, exit {item.exit_code}")
        for line in item.lines:
            print(f"    {line}")
    raise typer.Exit(report.exit_code)


@app.command()
def audit(params: Params = DEMO_PARAMS, outputs: Outputs = None) -> None:
    """Compare the simulated venue's file with the state file, and compute cover at every event."""
    from livekit.config import load_profile
    from livekit.workbench.audit import audit_files
    from livekit.workbench.terminal import show_audit

    profile = load_profile(params, outputs=outputs)
    result = audit_files(profile.venue_db, profile.state_db)
    show_audit(result)
    raise typer.Exit(result.exit_code)


@app.command()
def lab(params: Params = DEMO_PARAMS, outputs: Outputs = None) -> None:
    """Open JupyterLab on the notebooks, connected to the profile's venue."""
    from livekit.config import load_profile
    from livekit.workbench.lab import run_lab

    raise typer.Exit(run_lab(load_profile(params, outputs=outputs)))


def _day(text: str | None) -> date | None:
    from livekit.errors import NotASession

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotASession(repr(text), "not a date of the form YYYY-MM-DD") from None
