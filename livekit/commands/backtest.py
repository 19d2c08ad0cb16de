"""``livekit backtest``, ``livekit sweep``, ``livekit walk-forward``: simulations on past prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livekit.commands.options import day_of, end_run

if TYPE_CHECKING:
    from livekit.config import LiveConfig
    from livekit.workbench.backtesting.runs import Simulation
    from livekit.workbench.backtesting.search import Search

__all__ = ["add_to"]

OUT = Path("outputs/backtest")

Prices = Annotated[
    Path | None,
    typer.Option("--prices", metavar="PARQUET", help="Daily bars; default: the packaged ones."),
]
Candidates = Annotated[
    Path | None,
    typer.Option(
        "--candidates",
        metavar="FILE|DIR",
        help="Candidates (CSV, parquet), a folder of daily reports, or earnings filings "
        "(ticker,filing_date); default: those of the packaged prices.",
    ),
]
Params = Annotated[
    Path | None,
    typer.Option("--params", metavar="FILE", help="Parameter file; its trading part is used."),
]
Mode = Annotated[
    str,
    typer.Option("--mode", metavar="MODE", help="portfolio: one book; trades: each alone."),
]
Adjustment = Annotated[
    str,
    typer.Option(
        "--adjustment", metavar="BASIS", help="split, or all: dividends count as reinvested."
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the record is written.")]
Objective = Annotated[
    str, typer.Option("--objective", metavar="FIGURE", help="What the best has most of.")
]
Strategies = Annotated[
    str | None, typer.Option("--strategy", metavar="LIST", help="For example ema_p8,ema_p10.")
]
Weeks = Annotated[
    str | None, typer.Option("--transition-weeks", metavar="LIST", help="For example 1,2,3.")
]
Losses = Annotated[
    str | None, typer.Option("--stop-loss-pct", metavar="LIST", help="For example 5,10.")
]
StopModes = Annotated[
    str | None,
    typer.Option(
        "--stop-mode", metavar="LIST", help="intraday, close, close_next_open, skip_entry_day."
    ),
]
StopFills = Annotated[
    str | None, typer.Option("--stop-fill", metavar="LIST", help="gap_aware, at_stop.")
]
Grades = Annotated[str | None, typer.Option("--min-grade", metavar="LIST", help="For example B,D.")]
Gaps = Annotated[
    str | None, typer.Option("--min-gap-pct", metavar="LIST", help="For example none,5.")
]
Scores = Annotated[
    str | None, typer.Option("--min-score", metavar="LIST", help="For example none,70.")
]
Holdings = Annotated[
    str | None, typer.Option("--max-holding-days", metavar="LIST", help="For example none,90.")
]
Rotations = Annotated[str | None, typer.Option("--rotation", metavar="LIST", help="on, off.")]


def add_to(app: typer.Typer) -> None:
    """Hang the commands onto ``app``."""
    app.command("backtest")(backtest)
    app.command("sweep")(sweep)
    app.command("walk-forward")(walk_forward)


def backtest(
    prices: Prices = None,
    candidates: Candidates = None,
    strategy: Annotated[
        str, typer.Option("--strategy", metavar="NAME", help="Any ema_pN or nwl_pN.")
    ] = "ema_p10",
    stop_fill: Annotated[
        str, typer.Option("--stop-fill", metavar="HOW", help="gap_aware, or at_stop.")
    ] = "gap_aware",
    adjustment: Adjustment = "split",
    mode: Mode = "portfolio",
    begin: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First session to trade.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last session to trade.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", metavar="", help="Look-ahead, warm-up and data gates; exit 1 on look-ahead."
        ),
    ] = False,
    notebook: Annotated[
        bool,
        typer.Option("--notebook", help="Run 05_backtest, checks included, and archive its page."),
    ] = False,
    params: Params = None,
    out: Out = OUT,
) -> None:
    """Simulate a strategy on past prices; without options on the packaged ones.

    Trades, skips, equity and run_manifest.json are written to the folder of the record.
    """
    from typing import Any, cast

    from livekit.workbench.backtesting.runs import Simulation

    simulation = Simulation(
        config=_trading(params),
        strategy=strategy,
        mode=mode,
        stop_fill=cast("Any", stop_fill),  # the simulator checks the text
        adjustment=cast("Any", adjustment),
        first=day_of(begin),
        last=day_of(end),
    )
    if notebook:
        _run_notebook(simulation, prices, candidates, params, out)
    else:
        _run_here(simulation, prices, candidates, out, check=check)


def _run_here(
    simulation: Simulation,
    prices: Path | None,
    candidates: Path | None,
    out: Path,
    *,
    check: bool,
) -> None:
    from livekit.clock import SystemClock
    from livekit.workbench.backtesting.inputs import load_inputs
    from livekit.workbench.backtesting.runs import LOOKS_AHEAD, run_checks, write_record
    from livekit.workbench.backtesting.terminal import show_backtest

    simulation.simulator()
    inputs = load_inputs(prices, candidates)
    result = simulation.run(inputs)
    checks = run_checks(simulation, inputs) if check else None
    manifest = write_record(out, result, inputs, now=SystemClock().now(), checks=checks)
    show_backtest(result, inputs, manifest=manifest, checks=checks)
    if checks is not None and checks.failed:
        end_run(1, LOOKS_AHEAD)


def _run_notebook(
    simulation: Simulation,
    prices: Path | None,
    candidates: Path | None,
    params: Path | None,
    out: Path,
) -> None:
    from livekit.clock import SystemClock
    from livekit.workbench.backtesting.archive import archived_backtest
    from livekit.workbench.backtesting.terminal import show_page

    page = archived_backtest(
        simulation,
        prices=prices,
        candidates=candidates,
        params=params,
        out=out,
        clock=SystemClock(),
    )
    show_page(page)
    end_run(page.exit_code, page.trouble)


def _trading(params: Path | None) -> LiveConfig:
    from livekit.config import LiveConfig, load_profile

    return LiveConfig() if params is None else load_profile(params).trading


# ---------------------------------------------------------------------------------------- search


def sweep(
    prices: Prices = None,
    candidates: Candidates = None,
    strategy: Strategies = None,
    transition_weeks: Weeks = None,
    stop_loss_pct: Losses = None,
    stop_mode: StopModes = None,
    stop_fill: StopFills = None,
    min_grade: Grades = None,
    min_gap_pct: Gaps = None,
    min_score: Scores = None,
    max_holding_days: Holdings = None,
    rotation: Rotations = None,
    adjustment: Adjustment = "split",
    mode: Mode = "portfolio",
    objective: Objective = "daily_sharpe",
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Default: all cores.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="tcp://…", help="A dask.distributed cluster instead."),
    ] = None,
    params: Params = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="PARQUET", help="File of all trials; gone on with.")
    ] = OUT / "sweep.parquet",
) -> None:
    """Try many configurations, and tell how much of the best is luck.

    Values of an option stand in a list with commas, each is combined with each. A sweep that was
    interrupted goes on where it stopped when the same command is given again.
    """
    from livekit.workbench.backtesting.search import sweep as run
    from livekit.workbench.backtesting.terminal import search_progress, show_sweep

    given = {
        "strategy": strategy,
        "transition_weeks": transition_weeks,
        "stop_loss_pct": stop_loss_pct,
        "stop_mode": stop_mode,
        "stop_fill": stop_fill,
        "min_grade": min_grade,
        "min_gap_pct": min_gap_pct,
        "min_score": min_score,
        "max_holding_days": max_holding_days,
        "rotation": rotation,
    }
    search = _search(given, prices, candidates, params, adjustment, mode, objective)
    try:
        with search_progress("trials") as progress:
            found = run(search, out, workers=workers, scheduler=scheduler, progress=progress)
    except KeyboardInterrupt:
        end_run(1, f"interrupted; finished trials are in {out}, the same command goes on")
    show_sweep(found)


def walk_forward(
    prices: Prices = None,
    candidates: Candidates = None,
    strategy: Strategies = None,
    transition_weeks: Weeks = None,
    stop_loss_pct: Losses = None,
    min_gap_pct: Gaps = None,
    min_score: Scores = None,
    adjustment: Adjustment = "split",
    mode: Mode = "portfolio",
    objective: Objective = "daily_sharpe",
    folds: Annotated[int, typer.Option("--folds", metavar="N", min=1, help="Test windows.")] = 5,
    train_sessions: Annotated[
        int | None,
        typer.Option(
            "--train-sessions", metavar="N", min=1, help="First training; default: half the data."
        ),
    ] = None,
    params: Params = None,
    out: Out = OUT / "walk-forward",
) -> None:
    """Choose on the past, trade what follows, move on: figures of the test windows alone."""
    from livekit.clock import SystemClock
    from livekit.workbench.backtesting.search import walk, write_walk
    from livekit.workbench.backtesting.terminal import search_progress, show_walk

    given = {
        "strategy": strategy,
        "transition_weeks": transition_weeks,
        "stop_loss_pct": stop_loss_pct,
        "min_gap_pct": min_gap_pct,
        "min_score": min_score,
    }
    search = _search(given, prices, candidates, params, adjustment, mode, objective)
    with search_progress("folds") as progress:
        found = walk(search, folds=folds, train_sessions=train_sessions, progress=progress)
    manifest = write_walk(out, found, search, now=SystemClock().now())
    show_walk(found, manifest)


def _search(
    given: dict[str, str | None],
    prices: Path | None,
    candidates: Path | None,
    params: Path | None,
    adjustment: str,
    mode: str,
    objective: str,
) -> Search:
    from typing import Any, cast

    from livekit.workbench.backtesting.inputs import load_inputs
    from livekit.workbench.backtesting.search import Search, space_of

    base = _trading(params)
    space = space_of(base, given)
    return Search(
        load_inputs(prices, candidates),
        space,
        base,
        mode,
        cast("Any", adjustment),  # checked with the trials
        objective,
    ).checked()
