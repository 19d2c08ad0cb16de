"""``python -m livekit.signal_generator``: decide one session from one report and export two plans."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from livekit.errors import LivekitError, UsageError
from livekit.model import Plan

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, generate the signals, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LivekitError as error:
        print(error.operator_line(), file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m livekit.signal_generator", description=__doc__)
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
    from livekit.trading.opening import open_desk, registered_profile, sole_writer
    from livekit.trading.signal_generator import generate_signals

    if options.force and not options.reason:
        raise UsageError("--force wants --reason TEXT")
    profile = registered_profile(options.state_db)
    profile.trading.verify_against_manifest(options.manifest)
    with sole_writer(profile), open_desk(profile, who="signal_generator") as desk:
        signals = generate_signals(
            desk,
            desk.order_session(),
            reports=[options.report_file],
            output_dir=options.output_dir,
            force_reason=options.reason if options.force else None,
            dry_run=options.dry_run,
        )
    for plan in (signals.primary, signals.shadow):
        _print_plan(plan, verbose=options.verbose)
    for text in signals.withheld:
        print(f"withheld: {text}")
    if options.dry_run:
        print("dry run: nothing was sent, stored or written")
    return signals.exit_code


def _print_plan(plan: Plan, *, verbose: bool) -> None:
    print(f"{plan.strategy} {plan.session}: {len(plan.orders)} orders, {plan.sha256[:12]}")
    if verbose:
        for order in plan.orders:
            print(f"  {order.side} {order.quantity} {order.ticker} ({order.reason})")
        for skip in plan.skips:
            print(f"  skip {skip.candidate.ticker} ({skip.reason}) {skip.detail}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
