"""What a person sees in the terminal: the progress bar, the summary, the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from livekit.workbench.audit import COVER_LIMIT_S, Audit
from livekit.workbench.demo import DemoResult, Progress

__all__ = ["demo_progress", "show_audit", "show_demo"]


@contextmanager
def demo_progress() -> Iterator[Progress]:
    """A progress bar that names the session being traded."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns) as bar:
        task = bar.add_task("preparing reports", total=None)

        def show(session: date, done: int, total: int) -> None:
            bar.update(task, description=f"trading {session}", completed=done, total=total)

        yield show


def show_demo(result: DemoResult, console: Console | None = None) -> None:
    """Print the summary table, whatever is wrong, and where the archive is."""
    console = console or Console()
    table = Table(title="Simulated quarter (SIMULATED venue, real prices)", title_justify="left")
    table.add_column("what")
    table.add_column("result", justify="right")
    for name, value in _summary(result):
        table.add_row(name, value)
    console.print(table)
    for item in result.differences:
        console.print(f"parity: {item.ticker} {item.entry_session}: {item.facts}", markup=False)
    for report in result.reports:
        for phase in report.phases:
            if phase.exit_code:
                console.print(
                    f"{report.session} {phase.phase}: exit {phase.exit_code}: "
                    f"{'; '.join(phase.lines)}",
                    markup=False,
                )
    _show_differences(result.audit, console)
    console.print(
        "Stocks are those of the index in spring 2021 (survivorship bias): returns flatter.",
        markup=False,
    )
    console.print(f"digest  {result.digest}", markup=False, soft_wrap=True)
    index = (result.profile.archive_dir / "index.html").resolve()
    console.print(f"archive {index}", markup=False, soft_wrap=True)


def _summary(result: DemoResult) -> list[tuple[str, str]]:
    reasons = Counter(trade.exit_reason for trade in result.trades)
    pnl = sum(trade.pnl_usd for trade in result.trades)
    config = result.profile.trading
    return [
        ("sessions", f"{len(result.sessions)}, {result.sessions[0]} to {result.sessions[-1]}"),
        ("fill model, seed", f"{result.profile.fill_model}, {result.profile.seed}"),
        (f"trades of {config.primary_strategy}", str(len(result.trades))),
        *((f"  {reason}", str(count)) for reason, count in sorted(reasons.items())),
        ("most positions held", str(max(p.open_positions for p in result.simulated.curve))),
        ("profit or loss, marked", f"{pnl:+,.2f} USD"),
        ("trades unlike the backtest", str(len(result.differences))),
        ("fills in both books", str(result.audit.fills)),
        ("differences between the books", str(len(result.audit.differences))),
        ("longest without cover", f"{result.audit.worst_uncovered_s:.1f} s"),
        ("verdict", "CONTINUE: 90 days or 100 trades not reached"),
    ]


def show_audit(result: Audit, console: Console | None = None) -> None:
    """Print what the two files agree on, and every difference."""
    console = console or Console()
    console.print(
        f"fills {result.fills}, positions {result.positions}, cash {result.cash_usd:.2f} USD, "
        f"longest without cover {result.worst_uncovered_s:.1f} s",
        markup=False,
    )
    _show_differences(result, console)
    console.print("books agree" if not result.differences else "BOOKS DIFFER", markup=False)


def _show_differences(result: Audit, console: Console) -> None:
    for text in result.differences:
        console.print(f"difference: {text}", markup=False)
    for item in result.uncovered:
        if item.seconds > COVER_LIMIT_S:
            console.print(
                f"UNCOVERED: {item.shares} {item.ticker} for {item.seconds:.0f} s "
                f"from {item.start.isoformat()}",
                markup=False,
            )
