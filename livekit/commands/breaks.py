"""``livekit breaks``: the differences between our books and the broker's, and settling them."""

from __future__ import annotations

from typing import Annotated

import typer

from livekit.commands.options import DEMO_PARAMS, Outputs, Params, Reason

__all__ = ["add_to"]

breaks = typer.Typer(
    help="Show the differences between our books and the broker's, or settle one.",
    invoke_without_command=True,
)


def add_to(app: typer.Typer) -> None:
    """Hang the commands onto ``app``."""
    app.add_typer(breaks, name="breaks")


@breaks.callback()
def show_breaks(
    context: typer.Context,
    params: Params = DEMO_PARAMS,
    outputs: Outputs = None,
    healed: Annotated[
        bool,
        typer.Option(
            "--all", metavar="", help="Settled and healed ones too, with their resolution."
        ),
    ] = False,
) -> None:
    """Show every open break with its number, age, facts and proposal; exit 4 when there is one."""
    if context.invoked_subcommand is not None:
        return
    from livekit.config import load_profile
    from livekit.errors import BooksDiffer
    from livekit.trading.break_ledger import break_line
    from livekit.trading.opening import open_desk

    with open_desk(load_profile(params, outputs=outputs)) as desk:
        now = desk.clock.now()
        known = desk.db.get_breaks() if healed else desk.db.open_breaks()
    for item in known:
        print(break_line(item, now))
    still_open = sum(item.status == "open" for item in known)
    print(f"{still_open} open breaks")
    raise typer.Exit(BooksDiffer.exit_code if still_open else 0)


@breaks.command("resolve")
def resolve_break(
    number: Annotated[int, typer.Argument(metavar="ID", help="Number of the break.")],
    params: Params,
    reason: Reason,
    outputs: Outputs = None,
) -> None:
    """Settle one break by your word: the books are re-based on what the broker shows.

    Reconciles first, so that the break is as it stands now. Shares that we hold and the broker does
    not are written off; shares and cash that only the broker shows count as foreign from then on.
    """
    import getpass

    from livekit.config import load_profile
    from livekit.trading.break_ledger import resolve
    from livekit.trading.lease import take_lease
    from livekit.trading.opening import open_desk, sole_writer
    from livekit.trading.protector import protect
    from livekit.trading.reconciliation import reconcile

    profile = load_profile(params, outputs=outputs)
    with sole_writer(profile), open_desk(profile, who=getpass.getuser()) as opened:
        desk = take_lease(opened)
        reconcile(desk, desk.order_session(), repaired=protect(desk).repaired)
        change = resolve(desk, number, reason, desk.who)
        left = reconcile(desk, desk.order_session())
    print(f"break {number} is resolved: {change}; {len(left)} open breaks")
