"""What a person sees of backtest, sweep and walk-forward in the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table as RichTable
from rich.text import Text

from livekit.backtest.metrics import SESSIONS_A_YEAR
from livekit.backtest.results import BacktestResult
from livekit.backtest.sweep import Winner
from livekit.backtest.trials import Trial
from livekit.backtest.walk_forward import WalkForward
from livekit.workbench.backtesting.archive import BacktestPage
from livekit.workbench.backtesting.inputs import BacktestInputs
from livekit.workbench.backtesting.runs import Checks
from livekit.workbench.backtesting.search import SweepResult
from livekit.workbench.backtesting.tables import (
    breakdown_table,
    checks_table,
    findings_table,
    metrics_table,
    ratio,
    run_table,
    skips_table,
)
from livekit.workbench.tables import Column, Row, Table, facts_table, usd

__all__ = ["search_progress", "show_backtest", "show_page", "show_sweep", "show_walk"]

BEST_SHOWN = 10
WIDTH = 110
_TONES = {"": "", "warn": "yellow", "bad": "bold red"}
_COLUMNS = ("trades", "total_pnl_usd", "profit_factor", "daily_sharpe", "drawdown_pct")
_TITLES = ("trades", "P&L USD", "profit factor", "Sharpe", "drawdown %")


def _console() -> Console:
    """Wide enough for every digit: a narrow terminal breaks lines, a figure is never cut."""
    console = Console(emoji=False, highlight=False)
    console.width = max(console.width, WIDTH)
    return console


def print_table(table: Table, console: Console) -> None:
    """Print a table; text is text, whatever marks it contains."""
    if not table.rows:
        console.print(Text(f"\n{table.caption}: none"))
        return
    titled = any(column.title for column in table.columns)
    shown = RichTable(
        box=SIMPLE_HEAD,
        title=Text(table.caption, style="bold"),
        title_justify="left",
        show_header=titled,
        pad_edge=False,
    )
    for column in table.columns:
        shown.add_column(Text(column.title), justify="right" if column.number else "left")
    for row in table.rows:
        shown.add_row(*(Text(cell, style=_TONES[row.tone]) for cell in row.cells))
    console.print(shown)


@contextmanager
def search_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, so that the result alone is on standard output."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


# -------------------------------------------------------------------------------------- backtest


def show_backtest(
    result: BacktestResult,
    inputs: BacktestInputs,
    *,
    manifest: Path,
    checks: Checks | None = None,
) -> None:
    """Print the figures, the groups, the checks, and where the record is."""
    console = _console()
    for table in (
        run_table(result, inputs),
        metrics_table(result.metrics()),
        breakdown_table(result.breakdown("exit_reason")),
        breakdown_table(result.breakdown("grade")),
        skips_table(result),
        *((checks_table(checks), findings_table(checks)) if checks else ()),
    ):
        print_table(table, console)
    console.print(Text(f"record   {manifest.resolve()}"), soft_wrap=True)


def show_page(found: BacktestPage) -> None:
    """Print where the page of a backtest and its record are."""
    console = _console()
    console.print(Text(f"page     {found.page.resolve()}"), soft_wrap=True)
    if not found.exit_code:
        console.print(Text(f"record   {found.manifest.resolve()}"), soft_wrap=True)


# ----------------------------------------------------------------------------------------- sweep


def show_sweep(found: SweepResult) -> None:
    """Print the best trials and how much of the winner is luck."""
    console = _console()
    best = found.rows.head(BEST_SHOWN)
    caption = f"The best {len(best)} of {len(found.rows)} trials by {found.objective}"
    print_table(Table(caption, _trial_columns(found), _trial_rows(found, best)), console)
    if found.winner is None:
        console.print(Text(f"no trial has a {found.objective}"))
    else:
        print_table(_winner_table(found.winner), console)
    console.print(Text(f"all trials   {found.path.resolve()}"), soft_wrap=True)


def _differing(rows: pd.DataFrame) -> list[str]:
    """The parameters in which trials differ at all."""
    names = list(Trial.__dataclass_fields__)
    return [name for name in names if rows[name].nunique(dropna=False) > 1] or ["strategy"]


def _trial_columns(found: SweepResult) -> tuple[Column, ...]:
    names = (*_differing(found.rows), *_extra(found))
    return tuple(Column(name.replace("_", " ")) for name in names) + tuple(
        Column(title, number=True) for title in _TITLES
    )


def _extra(found: SweepResult) -> tuple[str, ...]:
    return () if found.objective in _COLUMNS else (found.objective,)


def _trial_rows(found: SweepResult, rows: pd.DataFrame) -> tuple[Row, ...]:
    names = (*_differing(found.rows), *_extra(found))
    return tuple(
        Row((*(_parameter(row[name]) for name in names), *_figures(row)))
        for row in rows.to_dict("records")
    )


def _parameter(value: object) -> str:
    if value is None or value is pd.NA or value != value:  # noqa: PLR0124 - nan
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _figures(row: dict[str, object]) -> tuple[str, ...]:
    numbers = [None if pd.isna(row[name]) else float(str(row[name])) for name in _COLUMNS]
    trades, pnl_usd, *rest = numbers
    return (f"{trades:.0f}", usd(pnl_usd, signed=True), *(ratio(one) for one in rest))


def _winner_table(winner: Winner) -> Table:
    facts = [("winner", f"{winner.objective} {winner.value:.4g}, trial {winner.key}")]
    deflated, tested, halves = winner.deflated, winner.superiority, winner.overfitting
    if deflated is not None:
        year = math.sqrt(SESSIONS_A_YEAR)
        luck = f"{year * deflated.expected_best:.2f} a year by luck, its own is"
        more = f"the best of {deflated.trials} trials has {luck} {year * deflated.sharpe:.2f}"
        facts.append(("deflated Sharpe ratio", f"{deflated.probability:.3f}: {more}"))
        counted = f"N = {deflated.trials}: every trial with a Sharpe ratio, taken as independent"
        facts.append(("trials counted", f"{counted}; alike trials make it too strict"))
    if tested is not None:
        facts.append(("SPA, against cash", f"p {tested.spa_p_value:.3f}"))
        better = f"{len(tested.superior)} of {tested.compared} trials are better"
        facts.append(("StepM, against cash", f"{better} at {100 * tested.size:g} %"))
    if halves is not None:
        text = f"{halves.probability:.0%} of {halves.splits:,} halvings"
        more = f"the best of one half is at or below the median of {halves.trials} in the other"
        facts.append(("probability of overfitting", f"{text}: {more}"))
    return facts_table("Corrected for the number of trials", facts)


# ---------------------------------------------------------------------------------- walk-forward


def show_walk(found: WalkForward, manifest: Path) -> None:
    """Print each fold, and the figures of all test windows together."""
    console = _console()
    titles = ("fold", "trained to", "tested", "strategy", "transition", "stop %")
    numbers = ("trades", "P&L USD", "profit factor", "in sample", "out of sample")
    columns = (
        *(Column(title) for title in titles),
        *(Column(title, number=True) for title in numbers),
    )
    print_table(Table(f"Folds, by {found.objective}", columns, _fold_rows(found)), console)
    print_table(metrics_table(found.pooled), console)
    console.print(Text(f"record   {manifest.resolve()}"), soft_wrap=True)


def _fold_rows(found: WalkForward) -> tuple[Row, ...]:
    rows: list[Row] = []
    for fold in found.folds:
        metrics = fold.result.metrics()
        cells: Sequence[str] = (
            str(fold.number),
            str(fold.train[1]),
            f"{fold.test[0]} – {fold.test[1]}",
            fold.trial.strategy,
            str(fold.trial.transition_weeks),
            f"{fold.trial.stop_loss_pct:g}",
            str(metrics.trades),
            usd(metrics.total_pnl_usd, signed=True),
            ratio(metrics.profit_factor),
            ratio(fold.in_sample, 3),
            ratio(fold.out_of_sample, 3),
        )
        rows.append(Row(tuple(cells)))
    return tuple(rows)
