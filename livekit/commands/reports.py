"""``livekit reports``: look at earnings-trade reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["add_to"]

reports = typer.Typer(help="Look at earnings-trade reports.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Hang the commands onto ``app``."""
    app.add_typer(reports, name="reports")


@reports.command("inspect")
def inspect_reports(
    target: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A report or a folder.")],
) -> None:
    """Show what was read from a report, where, and why; exit 2 when one is suspect."""
    from livekit.reports.inspection import exit_code, inspect, inspection_lines

    found = inspect(target)
    for line in inspection_lines(found):
        print(line)
    raise typer.Exit(exit_code(found))


@reports.command("score")
def score_reports(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of reports.")],
    truth: Annotated[Path, typer.Option("--truth", metavar="FILE", help="Reference values.")],
) -> None:
    """Compare what is read from a folder with reference values: recall, exact and invented rows."""
    from livekit.reports.inspection import score, score_lines

    for line in score_lines(score(folder, truth)):
        print(line)
