"""Decide one session from one report, and export the plans of both strategies."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from livekit.errors import (
    DecisionsWithheld,
    KillSwitchOn,
    PathUnusable,
    SharesUncovered,
    UsageError,
)
from livekit.workbench.command_line import OneLineParser, exit_code_of

if TYPE_CHECKING:
    from datetime import date

    from livekit.config import Profile
    from livekit.model import Plan
    from livekit.trading.signal_generator import Signals

__all__ = ["main"]

EXIT_CODES = (
    "exit codes: 0 done, 2 unusable input, 3 kill switch on (plans are stored as blocked), "
    "4 books differ, 5 done with decisions withheld, 6 locked by another run, "
    "7 uncovered shares, 1 anything else"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, generate the signals, and return the exit code."""
    return exit_code_of(lambda: _run(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m livekit.signal_generator", description=__doc__, epilog=EXIT_CODES
    )
    parser.add_argument("--report-file", type=Path, required=True, help="HTML report to trade")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the two plans")
    parser.add_argument("--state-db", type=Path, required=True, help="state database")
    parser.add_argument("--manifest", type=Path, required=True, help="registered run_manifest.json")
    parser.add_argument(
        "--force", action="store_true", help="go on past known position mismatches; wants --reason"
    )
    parser.add_argument("--reason", help="why --force is right, kept in the record")
    parser.add_argument("--dry-run", action="store_true", help="decide only; change nothing")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every order and skip")
    return parser


def _run(options: argparse.Namespace) -> int:
    """Refuse what can be refused from the arguments alone, then decide, print and warn."""
    from livekit.reports import parse_report
    from livekit.sessions import session_on_or_after
    from livekit.trading.opening import registered_profile

    if options.force and not options.reason:
        raise UsageError("--force wants --reason TEXT")
    _require_folder(options.output_dir)
    profile = registered_profile(options.state_db)
    profile.trading.verify_against_manifest(options.manifest)
    session = session_on_or_after(parse_report(options.report_file).report_date)
    signals = (_preview if options.dry_run else _generate)(profile, session, options)
    for plan in (signals.primary, signals.shadow):
        _print_plan(plan, verbose=options.verbose)
    for path in signals.files:
        print(f"written: {path}")
    if options.dry_run:
        print("dry run: nothing was sent, stored or written")
    _raise_trouble(signals)
    return 0


def _require_folder(folder: Path) -> None:
    """A folder that is there must take files; one that is not must have a place to be made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise PathUnusable(existing, "it is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PathUnusable(existing, "it cannot be written")


def _preview(profile: Profile, session: date, options: argparse.Namespace) -> Signals:
    """Decide at the clock as it stands and without a lock, since nothing is changed."""
    from livekit.trading.opening import open_desk
    from livekit.trading.signal_generator import generate_signals

    with open_desk(profile, who="signal_generator") as desk:
        return generate_signals(desk, session, reports=[options.report_file], dry_run=True)


def _generate(profile: Profile, session: date, options: argparse.Namespace) -> Signals:
    """Decide for good; at the simulated venue time passes until the signals are due."""
    from livekit.trading.opening import open_desk, sole_writer
    from livekit.trading.phases import SIGNALS, wait_until_due
    from livekit.trading.signal_generator import generate_signals

    with sole_writer(profile), open_desk(profile, who="signal_generator") as desk:
        wait_until_due(desk, SIGNALS, session)
        return generate_signals(
            desk,
            session,
            reports=[options.report_file],
            output_dir=options.output_dir,
            force_reason=options.reason if options.force else None,
        )


def _print_plan(plan: Plan, *, verbose: bool) -> None:
    sides = [order.side for order in plan.orders]
    print(
        f"{plan.strategy} {plan.session}: {sides.count('sell')} exits, "
        f"{sides.count('buy')} entries, {len(plan.skips)} skips, plan {plan.sha256[:12]}"
    )
    if verbose:
        for order in plan.orders:
            print(f"  {order.side} {order.quantity} {order.ticker} ({order.reason})")
        for skip in plan.skips:
            print(f"  skip {skip.candidate.ticker} ({skip.reason}) {skip.detail}".rstrip())


def _raise_trouble(signals: Signals) -> None:
    """What is wrong although both plans were made, the gravest first."""
    if signals.protection.uncovered:
        raise SharesUncovered(signals.protection.uncovered)
    if signals.blocked:
        raise KillSwitchOn("the primary plan is blocked")
    if signals.withheld:
        raise DecisionsWithheld(signals.withheld)


if __name__ == "__main__":
    sys.exit(main())
