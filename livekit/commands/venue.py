"""``livekit venue``: the simulated venue by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from livekit.commands.options import day_of
from livekit.errors import UsageError

__all__ = ["add_to"]

venue = typer.Typer(help="The simulated venue by itself.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Hang the commands onto ``app``."""
    app.add_typer(venue, name="venue")


@venue.command("serve")
def serve(
    session: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Session to begin with.")
    ] = None,
    at: Annotated[str, typer.Option("--time", metavar="HH:MM", help="New York time.")] = "09:25",
    speed: Annotated[
        float, typer.Option(metavar="FACTOR", help="Venue seconds a second; 0 stands still.")
    ] = 1.0,
    port: Annotated[int, typer.Option(metavar="PORT", help="0 takes any free one.")] = 0,
    book: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Book to begin or to go on with.")
    ] = None,
    fill_model: Annotated[
        str, typer.Option(metavar="MODEL", help="paper, parity or rough.")
    ] = "paper",
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="What chance depends on.")] = 1,
    show_control: Annotated[
        bool, typer.Option("--show-control", help="Print address and key of the controls too.")
    ] = False,
) -> None:
    """Serve the simulated venue on 127.0.0.1 and print the variables that clients need."""
    from datetime import time
    from typing import get_args

    from livekit.broker.venue.engine.settings import FillModelName
    from livekit.broker.venue.serve import ServeOptions, serve_venue

    try:
        start = time.fromisoformat(at)
    except ValueError:
        raise UsageError(f"--time {at!r} is not a time of the form HH:MM") from None
    models: dict[str, FillModelName] = {name: name for name in get_args(FillModelName)}
    if fill_model not in models:
        raise UsageError(f"--fill-model {fill_model!r} is none of {', '.join(models)}")
    options = ServeOptions(
        session=day_of(session),
        at=start,
        speed=speed,
        port=port,
        book=book,
        fill_model=models[fill_model],
        seed=seed,
        show_control=show_control,
    )
    serve_venue(options, lambda line: print(line, flush=True))
