"""``python -m livekit.executor``: carry out one exported plan, and recover first."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from livekit.errors import KillSwitchOn, LivekitError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, execute the plan, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LivekitError as error:
        print(error.operator_line(), file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m livekit.executor", description=__doc__)
    parser.add_argument("--signals-file", type=Path, required=True, help="exported primary plan")
    parser.add_argument("--state-db", type=Path, required=True, help="state database")
    parser.add_argument("--manifest", type=Path, required=True, help="registered run_manifest.json")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be sent, send nothing"
    )
    parser.add_argument(
        "--skip-time-check", action="store_true", help="simulated venue only: ignore the cut-off"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print every order")
    return parser


def _run(options: argparse.Namespace) -> int:
    from livekit.trading.executor import preview_plan
    from livekit.trading.opening import open_desk, registered_profile, sole_writer
    from livekit.trading.phases import run_executor
    from livekit.trading.plans import read_plan_file

    profile = registered_profile(options.state_db)
    profile.trading.verify_against_manifest(options.manifest)
    plan = read_plan_file(options.signals_file)
    with sole_writer(profile), open_desk(profile, who="executor") as desk:
        if options.dry_run:
            if desk.db.is_kill_switch_on():
                raise KillSwitchOn(desk.db.kill_switch_reason())
            _print(("dry run: nothing is sent", *preview_plan(desk, plan)))
            return 0
        outcome = run_executor(desk, plan, skip_time_check=options.skip_time_check)
    stream = sys.stderr if outcome.exit_code else sys.stdout
    if outcome.exit_code or options.verbose:
        _print(outcome.lines, stream)
    return outcome.exit_code


def _print(lines: Sequence[str], stream: TextIO | None = None) -> None:
    for line in lines:
        print(line, file=stream)


if __name__ == "__main__":
    sys.exit(main())
