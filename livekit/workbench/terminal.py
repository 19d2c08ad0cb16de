"""What a person sees in the terminal: the progress bar, the summary, the day, the audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from livekit.config import Profile
from livekit.model import (
    END_OF_DATA,
    PROTECTIVE_STOP,
    ROTATED_OUT,
    TREND_BREAK,
    ClosedTrade,
    Plan,
)
from livekit.sessions import exchange_time
from livekit.state import EquityPoint
from livekit.trading.doctor import Diagnosis
from livekit.workbench.audit import COVER_LIMIT_S, Audit
from livekit.workbench.daily import DailyReport
from livekit.workbench.demo import DemoResult, Progress
from livekit.workbench.operator import PlanLine

__all__ = [
    "audit_trouble",
    "demo_progress",
    "show_audit",
    "show_daily",
    "show_demo",
    "show_diagnosis",
    "show_plan_lines",
]

Row = tuple[str, str, str]

_REASONS = {
    TREND_BREAK: "weekly trend break",
    ROTATED_OUT: "rotated out for a better score",
    PROTECTIVE_STOP: "protective stop",
    END_OF_DATA: "still open at the end",
}


def plain_console() -> Console:
    """A console on which ``entry:ABC:`` is text and no picture."""
    return Console(emoji=False, highlight=False)


def _say(console: Console, *lines: str) -> None:
    """Print lines as they are; a long one goes on, so that a pipe gets it whole."""
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


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
        task = bar.add_task("writing the daily reports", total=None)

        def show(session: date, done: int, total: int) -> None:
            bar.update(task, description=f"trading {session}", completed=done, total=total)

        yield show


# ------------------------------------------------------------------------------------------ demo


def show_demo(result: DemoResult, console: Console | None = None) -> None:
    """Print the summary table, whatever is wrong, and where the archive is."""
    console = console or plain_console()
    first, last = result.sessions[0], result.sessions[-1]
    console.print(
        f"\nSIMULATED venue, real prices: {len(result.sessions)} sessions, {first} to {last}",
        style="bold",
        highlight=False,
    )
    console.print(_demo_table(result))
    _show_failures(result, console)
    _say(
        console,
        f"verdict  {result.evidence.state}: {result.evidence.because}",
        "caution  only stocks of the index of spring 2021: returns are flattered",
        f"digest   {result.digest}",
        *_archive_lines(result),
    )


def _demo_table(result: DemoResult) -> Table:
    table = Table(box=SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column("what")
    table.add_column("result", justify="right")
    table.add_column("note")
    for rows in (_trade_rows(result), _profit_rows(result), _check_rows(result)):
        for row in rows:
            table.add_row(*row)
        table.add_section()
    return table


def _trade_rows(result: DemoResult) -> list[Row]:
    config = result.profile.trading
    gapped = str(len(result.gapped_stops))
    slots = f"most at once: {result.most_held} of {config.max_positions}"
    rows = [(f"trades of {config.primary_strategy}", str(len(result.trades)), slots)]
    for reason, text in _REASONS.items():
        ended = [item for item in result.trades if item.exit_reason == reason]
        rows.append((f"  {text}", str(len(ended)), _first_of(ended, reason)))
        if reason == PROTECTIVE_STOP:
            rows.append(("    opened below the stop", gapped, _worst_gap(result)))
    return rows


def _first_of(ended: Sequence[ClosedTrade], reason: str) -> str:
    if not ended:
        return ""
    if reason == END_OF_DATA:
        return "marked at the last close"
    first = min(ended, key=lambda item: (item.exit_session, item.ticker))
    return f"first {first.ticker} on {first.exit_session}"


def _worst_gap(result: DemoResult) -> str:
    if not result.gapped_stops:
        return ""
    worst = min(result.gapped_stops, key=lambda item: item.trade.exit_price / item.stop_price)
    below_pct = (1 - worst.trade.exit_price / worst.stop_price) * 100
    return f"worst {worst.trade.ticker}: {below_pct:.1f} % below it"


def _profit_rows(result: DemoResult) -> list[Row]:
    config = result.profile.trading
    names = {
        config.primary_strategy: f"twin {config.primary_strategy}, on official bars",
        config.shadow_strategy: f"shadow {config.shadow_strategy}, never sent",
    }
    return [
        (
            names.get(point.book, f"account that trades {config.primary_strategy}"),
            f"{_profit_usd(point):+,.0f} USD",
            f"{_profit_usd(point) / config.base_capital_usd * 100:+.1f} % of base capital",
        )
        for point in result.books
    ]


def _profit_usd(point: EquityPoint) -> float:
    return float(point.realised + point.unrealised)


def _check_rows(result: DemoResult) -> list[Row]:
    audit, unlike = result.audit, len(result.differences)
    compared = result.profile.fill_model == "parity"
    return [
        (
            "trades unlike the backtest's",
            str(unlike),
            _mark(good=not unlike) if compared else "expected: fills as on paper",
        ),
        (
            "differences between the books",
            str(len(audit.differences)),
            f"{_mark(good=not audit.differences)}, fills in the venue's: {audit.fills}",
        ),
        (
            "longest time without cover",
            f"{audit.worst_uncovered_s:.1f} s",
            f"{_mark(good=audit.worst_uncovered_s <= COVER_LIMIT_S)}, limit {COVER_LIMIT_S:.0f} s",
        ),
    ]


def _mark(*, good: bool) -> str:
    return "[green]ok[/green]" if good else "[bold red]FAILED[/bold red]"


def _show_failures(result: DemoResult, console: Console) -> None:
    for item in result.differences if result.profile.fill_model == "parity" else ():
        text = f"unlike the backtest: {item.ticker} of {item.entry_session}: {item.facts}"
        _say(console, text)
    for report in result.reports:
        for phase in report.phases:
            if phase.exit_code:
                text = f"{report.session} {phase.phase}: exit {phase.exit_code}: {phase.trouble}"
                _say(console, text)
    _show_differences(result.audit, console)


def _archive_lines(result: DemoResult) -> list[str]:
    if not result.telling:
        return [f"profile  {result.profile.home.resolve()} (no notebooks were run)"]
    days = ", ".join(day.isoformat() for day in result.telling)
    index = (result.profile.archive_dir / "index.html").resolve()
    return [f"pages    notebooks of {days}", f"archive  {index}"]


# ----------------------------------------------------------------------------------------- daily


def show_daily(report: DailyReport, profile: Profile, console: Console | None = None) -> None:
    """Print what each phase did, or why it did nothing."""
    console = console or plain_console()
    venue = "SIMULATED venue" if profile.venue == "simulated" else f"venue {profile.venue}"
    lines = [f"session {report.session}, profile {profile.name}, {venue}"]
    for phase in report.phases:
        lines.append(f"  {phase.phase}: {phase.status}, exit {phase.exit_code}")
        lines += [f"    {line}" for line in phase.lines]
    _say(console, *lines)


# ----------------------------------------------------------------------------------------- audit


def show_audit(result: Audit, console: Console | None = None) -> None:
    """Print what the two files agree on, and every difference."""
    console = console or plain_console()
    _say(
        console,
        f"fills {result.fills}, positions {result.positions}, cash {result.cash_usd:.2f} USD, "
        f"longest without cover {result.worst_uncovered_s:.1f} s",
    )
    _show_differences(result, console)
    if not result.exit_code:
        _say(console, "the books agree, every share was covered")


def audit_trouble(result: Audit) -> str:
    """Why the audit's exit code is not 0, as one line; empty when it is."""
    facts = []
    if result.worst_uncovered_s > COVER_LIMIT_S:
        facts.append(f"shares were without cover for {result.worst_uncovered_s:.0f} s")
    if result.differences:
        more = len(result.differences) - 1
        facts.append(result.differences[0] + (f" and {more} more differences" if more else ""))
    return "; ".join(facts)


def _show_differences(result: Audit, console: Console) -> None:
    _say(console, *(f"difference: {text}" for text in result.differences))
    for item in result.uncovered:
        if item.seconds > COVER_LIMIT_S:
            _say(
                console,
                f"UNCOVERED: {item.shares} {item.ticker} for {item.seconds:.0f} s "
                f"from {item.start.isoformat()}",
            )


def show_diagnosis(result: Diagnosis, console: Console | None = None) -> None:
    """Print every check with its number, and each violation below it."""
    console = console or plain_console()
    for check in result.checks:
        broken = [item.facts for item in result.violations if item.invariant == check]
        _say(console, f"{'BROKEN' if broken else 'holds '}  {check}")
        _say(console, *(f"        {facts}" for facts in broken))
    _say(console, *(f"not applicable here  {check}: {why}" for check, why in result.elsewhere))
    _say(console, f"kill switch is {'on' if result.kill_switch_on else 'off'}")


def show_plan_lines(plan: Plan, lines: Sequence[PlanLine], console: Console | None = None) -> None:
    """Print a plan: one line an order, with its item and the shares allowed."""
    console = console or plain_console()
    until = exchange_time(plan.expires_at)
    _say(
        console,
        f"{plan.strategy} {plan.session}, {plan.status}, plan {plan.sha256[:12]}, "
        f"decisions until {until:%H:%M} New York",
    )
    for line in lines:
        allowed = f"allowed {line.allowed}" if line.needs_approval else "needs no approval"
        late = f"; {line.too_late}" if line.too_late and not line.allowed else ""
        _say(
            console,
            f"  {line.item}: {line.order.side} {line.order.quantity} {line.order.ticker} "
            f"({line.order.reason}), {allowed}{late}",
        )
    if not lines:
        _say(console, "  no orders")
