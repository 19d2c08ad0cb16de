"""``livekit verdict`` and ``livekit replay``: what the record says, and the record run again."""

from __future__ import annotations

from typing import Annotated

import typer

from livekit.commands.options import DEMO_PARAMS, Outputs, Params, day_of, end_run

__all__ = ["add_to"]

Session = Annotated[
    str | None,
    typer.Option(metavar="YYYY-MM-DD", help="Last session to read; default: the last recorded."),
]


def add_to(app: typer.Typer) -> None:
    """Hang the commands onto ``app``."""
    app.command("verdict")(verdict)
    app.command("replay")(replay)


def verdict(
    params: Params = DEMO_PARAMS,
    session: Session = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    outputs: Outputs = None,
) -> None:
    """Say whether the shadow should replace the primary, with every criterion and what is missing.

    Reads the books and the kept inputs alone. Exit 2 when the record is INVALID: then the reasons
    are printed and no number.
    """
    from livekit.config import load_profile
    from livekit.workbench.verdict.lines import verdict_json, verdict_lines
    from livekit.workbench.verdict.reading import verdict_of_profile

    found = verdict_of_profile(load_profile(params, outputs=outputs), day_of(session))
    if as_json:
        print(verdict_json(found))
    else:
        for line in verdict_lines(found):
            print(line)
    invalid = found.verdict.state == "INVALID"
    end_run(2 if invalid else 0, "the record cannot carry a verdict")


def replay(
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First session.")],
    last: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last session.")],
    params: Params = DEMO_PARAMS,
    present: Annotated[
        bool,
        typer.Option("--present-data", help="Also run it on prices as they are known now."),
    ] = False,
    outputs: Outputs = None,
) -> None:
    """Run the backtest over recorded days and match its trades with the executed book, one by one.

    Inputs are those that each day stored, compared with their hashes. Exit 2 and no number when
    the record has a hole, an input was changed, or the configuration is another one; exit 4 when a
    part of the difference has no cause.
    """
    from livekit.config import load_profile
    from livekit.workbench.verdict.lines import replay_lines
    from livekit.workbench.verdict.reading import replay_of_profile

    days = day_of(first), day_of(last)
    profile = load_profile(params, outputs=outputs)
    report = replay_of_profile(profile, days[0], days[1], present=present)
    for line in replay_lines(report):
        print(line)
    rest = report.attribution.breaks
    end_run(4 if rest else 0, f"{len(rest)} trades differ without a cause")
