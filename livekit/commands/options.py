"""What several commands share: their options, and how a run ends."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from livekit.errors import NotASession

__all__ = ["DEMO_PARAMS", "Outputs", "Params", "Reason", "day_of", "end_run"]

DEMO_PARAMS = Path("params/demo.yaml")

Params = Annotated[
    Path, typer.Option("--params", metavar="FILE", help="Parameter file, named as its profile.")
]
Outputs = Annotated[
    Path | None,
    typer.Option(
        "--outputs", metavar="FOLDER", help="Folder of all profiles, instead of the file's."
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the record.")]


def end_run(exit_code: int, trouble: str) -> None:
    """Leave with ``exit_code``, saying why on standard error; returns when it is 0."""
    if exit_code:
        print(f"exit {exit_code}: {trouble}", file=sys.stderr)
        raise typer.Exit(exit_code)


def day_of(text: str | None) -> date | None:
    """The date that an option names; raises `NotASession` for text that is none."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:  # 20200130 would be a number elsewhere
        raise NotASession(repr(text), "not a date of the form YYYY-MM-DD")
    return day
