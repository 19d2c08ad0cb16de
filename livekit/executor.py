"""Carry out one exported plan: recover first, sell, buy with cover, cancel what is late."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from livekit.clock import SystemClock
from livekit.errors import KillSwitchOn
from livekit.workbench.command_line import OneLineParser, exit_code_of

if TYPE_CHECKING:
    from livekit.config import Profile
    from livekit.model import Plan
    from livekit.trading.phases import PhaseOutcome

__all__ = ["main"]

EXIT_CODES = (
    "exit codes: 0 done, 2 unusable input or refused plan, 3 kill switch on, 4 books differ, "
    "5 an order could not be carried out, 6 locked by another run, 7 uncovered shares, "
    "1 anything else"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, execute the plan, and return the exit code."""
    return exit_code_of(lambda: _run(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m livekit.executor", description=__doc__, epilog=EXIT_CODES
    )
    parser.add_argument("--signals-file", type=Path, required=True, help="exported primary plan")
    parser.add_argument("--state-db", type=Path, required=True, help="state database")
    parser.add_argument("--manifest", type=Path, required=True, help="registered run_manifest.json")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be sent; change nothing"
    )
    parser.add_argument(
        "--skip-time-check", action="store_true", help="simulated venue only: ignore the cut-off"
    )
    parser.add_argument(
        "--phase",
        choices=("all", "place", "poll"),
        default="all",
        help="place ends before the open, poll begins there; auction entries need both",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print every order")
    return parser


def _run(options: argparse.Namespace) -> int:
    from livekit.trading.opening import registered_profile
    from livekit.trading.plans import read_plan_file

    profile = registered_profile(options.state_db)
    profile.trading.verify_against_manifest(options.manifest)
    plan = read_plan_file(options.signals_file)
    if options.dry_run:
        return _preview(profile, plan)
    outcome = _execute(profile, plan, part=options.phase, skip_time_check=options.skip_time_check)
    if outcome.exit_code:
        _print(outcome.lines, sys.stderr)
    else:
        _print((*(outcome.lines if options.verbose else ()), _summary(outcome)))
    return outcome.exit_code


def _preview(profile: Profile, plan: Plan) -> int:
    from livekit.trading.executor import preview_plan
    from livekit.trading.opening import open_desk

    with open_desk(profile, who="executor") as desk:
        if desk.db.is_kill_switch_on():
            raise KillSwitchOn(desk.db.kill_switch_reason())
        _print(("dry run: nothing is sent", *preview_plan(desk, plan)))
    return 0


def _execute(profile: Profile, plan: Plan, *, part: str, skip_time_check: bool) -> PhaseOutcome:
    """Execute, or attach to the executor that is at work on this plan already."""
    from livekit.trading.following import alone_or_attached

    def alone() -> PhaseOutcome:
        return _execute_alone(profile, plan, part=part, skip_time_check=skip_time_check)

    return alone_or_attached(profile, plan, part, alone, sleep=SystemClock().sleep)


def _execute_alone(
    profile: Profile, plan: Plan, *, part: str, skip_time_check: bool
) -> PhaseOutcome:
    from livekit.trading.examination import AT_THE_END, AT_THE_START, examine, with_examinations
    from livekit.trading.opening import open_desk, sole_writer
    from livekit.trading.phases import EXECUTION, run_executor, wait_until_due

    with sole_writer(profile), open_desk(profile, who="executor") as desk:
        if plan.session == desk.order_session():  # another session's plan is refused, not awaited
            wait_until_due(desk, EXECUTION, plan.session)
        before = examine(desk, AT_THE_START)
        outcome = run_executor(desk, plan, part=part, skip_time_check=skip_time_check)
        look = outcome.execution.look if outcome.execution else None
        return with_examinations(outcome, before, examine(desk, AT_THE_END, look))


def _summary(outcome: PhaseOutcome) -> str:
    run = outcome.execution
    if run is None:
        return f"executed {outcome.session}"
    sold = sum(item.state == "sent" for item in run.exits)
    bought = sum(item.state == "sent" for item in run.entries)
    held_back = len(run.exits) + len(run.entries) - sold - bought
    return (
        f"{run.plan.strategy} {run.plan.session}: {sold} exits and {bought} entries with the "
        f"broker, {held_back} held back, {len(run.cancelled)} cancelled at the cut-off"
    )


def _print(lines: Sequence[str], stream: TextIO | None = None) -> None:
    for line in lines:
        print(line, file=stream)


if __name__ == "__main__":
    sys.exit(main())
