"""The ``livekit`` command: every way in, each one line long where it can be.

Errors of the package's own tree end as one line on standard error and their exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from livekit.commands import (
    archive,
    backtest,
    breaks,
    operations,
    reports,
    run,
    simulate,
    venue,
    verdict,
)
from livekit.commands.options import DEMO_PARAMS, Outputs, Params, Reason, day_of, end_run
from livekit.errors import UsageError
from livekit.workbench.command_line import exit_code_of

__all__ = ["app", "main"]

EXIT_CODES = """
Exit codes:

- 0 done, market closed, or no report
- 1 crash or no run record
- 2 unusable input, nothing was written
- 3 kill switch on
- 4 the books differ
- 5 done, but decisions were withheld
- 6 locked by another run
- 7 shares without cover: act now
"""

app = typer.Typer(
    help="Proves or refutes an earnings-gap strategy on an Alpaca paper account, every trading "
    "day, with a record that can be audited. Begin with livekit demo: it needs neither keys nor "
    "network.",
    epilog=EXIT_CODES,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Item = Annotated[str, typer.Argument(metavar="ITEM", help="Name of the item, see livekit plan.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; without arguments it shows the help."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code_of(lambda: _invoke(given or ["--help"]))


def _invoke(arguments: list[str]) -> int:
    try:
        return int(app(arguments, prog_name="livekit", standalone_mode=False) or 0)
    except typer.TyperException as error:
        raise UsageError(error.format_message()) from error


@app.command()
def demo(
    params: Params = DEMO_PARAMS,
    outputs: Outputs = None,
    notebooks: Annotated[
        bool, typer.Option(metavar="", help="Run four telling sessions as notebooks.")
    ] = True,
    seed: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Seed of the venue's chance, instead of the file's."),
    ] = None,
) -> None:
    """Trade the first quarter of 2020 on real prices, check the books, build the archive.

    The venue is simulated; neither keys nor network are needed. Each demo begins anew: the
    profile's folder of the demo before is replaced.
    """
    from dataclasses import replace

    from livekit.config import load_profile
    from livekit.workbench.demo import run_demo
    from livekit.workbench.runs.phases import notebook_performer
    from livekit.workbench.terminal import demo_progress, show_demo

    profile = load_profile(params, outputs=outputs)
    if seed is not None:
        profile = replace(profile, seed=seed)
    with demo_progress() as progress:
        result = run_demo(
            profile, notebooks=notebook_performer if notebooks else None, progress=progress
        )
    show_demo(result)
    end_run(result.exit_code, result.trouble)


@app.command()
def init(params: Params, outputs: Outputs = None) -> None:
    """Check account, data rights and equity; create the profile's database and manifest.

    A simulated profile also gets the daily reports of the packaged quarter.
    """
    from livekit.config import load_profile
    from livekit.workbench.entry import register
    from livekit.workbench.verdict.reading import registered_lines

    profile = load_profile(params, outputs=outputs)
    register(profile)
    print(f"profile {profile.name} is registered in {profile.home} (venue {profile.venue})")
    print(f"daily reports are read from {profile.reports_dir}")
    for line in registered_lines(profile):
        print(line)


@app.command()
def daily(
    params: Params,
    session: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Session to run; by default the one trading now."),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHASE",
            help="Only this phase, repeatable: signals, execution, protect, reconciliation, "
            "comparison.",
        ),
    ] = None,
    notebooks: Annotated[
        bool, typer.Option(metavar="", help="Run the phases as notebooks.")
    ] = True,
    outputs: Outputs = None,
) -> None:
    """Run the phases of one session that are due, and say what was not done and why.

    Safe to run twice: a phase that is done is not run again. At the simulated venue time passes
    until each phase is due.
    """
    from livekit.config import load_profile
    from livekit.workbench.entry import daily_run
    from livekit.workbench.terminal import show_daily
    from livekit.workbench.watching.live_view import terminal_view

    profile, day = load_profile(params, outputs=outputs), day_of(session)
    with terminal_view(profile.state_db, day):
        report = daily_run(profile, day, phases=tuple(phase or ()), notebooks=notebooks)
    show_daily(report, profile)
    end_run(report.exit_code, report.trouble)


@app.command()
def audit(params: Params = DEMO_PARAMS, outputs: Outputs = None) -> None:
    """Compare the simulated venue's file with the state file, and prove cover at every event.

    Reads the two files alone. Exit 4 when they differ, 7 when shares were uncovered too long.
    """
    from livekit.config import load_profile
    from livekit.workbench.audit import audit_files
    from livekit.workbench.terminal import audit_trouble, show_audit

    profile = load_profile(params, outputs=outputs)
    result = audit_files(profile.venue_db, profile.state_db)
    show_audit(result)
    end_run(result.exit_code, audit_trouble(result))


@app.command()
def doctor(params: Params = DEMO_PARAMS, outputs: Outputs = None) -> None:
    """Check every promise that books and broker can show, and print each with its number.

    Reads only. Exit 0 when all hold, 7 for uncovered shares, 4 for any other, 3 for the switch.
    """
    from livekit.config import load_profile
    from livekit.workbench.operator import diagnose_profile
    from livekit.workbench.terminal import show_diagnosis

    result = diagnose_profile(load_profile(params, outputs=outputs))
    show_diagnosis(result)
    end_run(result.exit_code, "; ".join(map(str, result.violations)) or "the kill switch is on")


@app.command()
def plan(params: Params, outputs: Outputs = None) -> None:
    """Show the present plan: every order, the name to approve it by, and what is allowed."""
    from livekit.config import load_profile
    from livekit.workbench.operator import plan_lines
    from livekit.workbench.terminal import show_plan_lines

    show_plan_lines(*plan_lines(load_profile(params, outputs=outputs)))


@app.command()
def approve(
    item: Item,
    params: Params,
    quantity: Annotated[
        int | None, typer.Option(metavar="SHARES", help="At most so many; default: as planned.")
    ] = None,
    reason: Reason = "",
    outputs: Outputs = None,
) -> None:
    """Allow one item of the present plan, wholly or up to a quantity, until the cut-off."""
    from livekit.config import load_profile
    from livekit.workbench.operator import decide_item

    profile = load_profile(params, outputs=outputs)
    decide_item(profile, item, "approve", quantity=quantity, reason=reason)
    print(f"approved {item}")


@app.command()
def reject(item: Item, params: Params, reason: Reason = "", outputs: Outputs = None) -> None:
    """Refuse one item of the present plan."""
    from livekit.config import load_profile
    from livekit.workbench.operator import decide_item

    decide_item(load_profile(params, outputs=outputs), item, "reject", reason=reason)
    print(f"rejected {item}")


@app.command()
def kill(params: Params, reason: Reason, outputs: Outputs = None) -> None:
    """Switch on the kill switch: nothing is sent any more but what keeps shares covered."""
    from livekit.config import load_profile
    from livekit.workbench.operator import switch_on

    switch_on(load_profile(params, outputs=outputs), reason)
    print("kill switch is on")


@app.command()
def rearm(params: Params, reason: Reason, outputs: Outputs = None) -> None:
    """Switch the kill switch off; refused unless a reconciliation finds no difference."""
    from livekit.config import load_profile
    from livekit.workbench.operator import switch_off

    switch_off(load_profile(params, outputs=outputs), reason)
    print("kill switch is off")


@app.command()
def lab(params: Params = DEMO_PARAMS, outputs: Outputs = None) -> None:
    """Open JupyterLab on the notebooks, connected to the profile's venue.

    A simulated profile that does not exist yet is registered first.
    """
    from livekit.config import load_profile
    from livekit.workbench.lab import run_lab

    raise typer.Exit(run_lab(load_profile(params, outputs=outputs)))


for room in (operations, run, archive, breaks, backtest, verdict, simulate, reports, venue):
    room.add_to(app)
