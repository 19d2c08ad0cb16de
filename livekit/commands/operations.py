"""``livekit status``, ``notify`` and ``schedule``: what runs by itself, and how it is doing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from livekit.commands.options import DEMO_PARAMS, Outputs, Params, end_run
from livekit.errors import DecisionsWithheld, UsageError

__all__ = ["add_to"]


class Timers(StrEnum):
    """What starts the daily run."""

    SYSTEMD = "systemd"
    CRON = "cron"


def add_to(app: typer.Typer) -> None:
    """Hang the commands onto ``app``."""
    app.command("status")(status)
    app.command("notify")(notify)
    app.command("schedule")(schedule)


def status(params: Params = DEMO_PARAMS, outputs: Outputs = None) -> None:
    """Show kill switch, breaks, alerts, positions with the distance to their stop, and runs.

    Reads only. Exit 3 with the kill switch on, 4 with open breaks.
    """
    from livekit.config import load_profile
    from livekit.workbench.tables import to_text
    from livekit.workbench.watching.status import profile_status, status_tables

    found = profile_status(load_profile(params, outputs=outputs))
    print("\n\n".join(to_text(table) for table in status_tables(found)))
    breaks = f"{len(found.breaks)} open breaks"
    end_run(found.exit_code, found.kill_switch or breaks)


def notify(
    params: Params = DEMO_PARAMS,
    test: Annotated[
        bool, typer.Option("--test", help="Send one message to every target now.")
    ] = False,
    outputs: Outputs = None,
) -> None:
    """Look for missed runs and suspicious quiet; deliver the alerts that are due.

    Addresses come from LIVEKIT_NOTIFY_URLS or APPRISE_URLS. Exit 5 when a message did not arrive:
    it will be tried again.
    """
    from livekit.config import load_profile
    from livekit.workbench.watching.watch import Watch

    profile = load_profile(params, outputs=outputs)
    if test:
        _send_test(profile.name)
        return
    told = Watch(profile).tell()
    print(f"delivered {told.arrived}, failed {told.failed}, on their way {told.still_open}")
    if told.failed:
        end_run(DecisionsWithheld.exit_code, f"{told.failed} messages did not arrive")


def _send_test(profile: str) -> None:
    from livekit.workbench.notify import apprise_send, targets_of

    targets = targets_of()
    if not targets:
        raise UsageError("no target: set LIVEKIT_NOTIFY_URLS to one or more apprise addresses")
    failed = 0
    for target in targets:
        trouble = apprise_send(target, f"[{profile}] test", "This target hears of alerts.")
        failed += bool(trouble)
        print(f"{target.name}: {trouble or 'arrived'}")
    if failed:
        end_run(DecisionsWithheld.exit_code, f"{failed} of {len(targets)} targets failed")


def schedule(
    params: Params,
    print_: Annotated[
        Timers, typer.Option("--print", metavar="systemd|cron", help="Which timers.")
    ],
    into: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the unit files there instead of printing."),
    ] = None,
    outputs: Outputs = None,
) -> None:
    """Print timers that call the daily run at the exchange's times.

    What is due, holidays and half days are decided by livekit daily itself.
    """
    import sys

    from livekit.config import load_profile
    from livekit.files import write_whole
    from livekit.workbench.watching.schedule import Call, cron_text, systemd_units

    call = Call(
        load_profile(params, outputs=outputs).name,
        Path(sys.executable).absolute(),
        params.resolve(),
        Path.cwd(),
        outputs.resolve() if outputs else None,
    )
    files = (
        {f"livekit-{call.profile}.cron": cron_text(call)}
        if print_ is Timers.CRON
        else systemd_units(call)
    )
    for name, text in files.items():
        if into is None:
            print(f"# {name}\n{text}" if len(files) > 1 else text)
        else:
            write_whole(into / name, text.encode(), mode=0o644)
            print(into / name)
