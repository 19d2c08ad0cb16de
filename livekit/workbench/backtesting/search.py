"""Many trials from the terminal: the space that options span, a sweep, a walk-forward.

An option is a list of values with commas between them. One that is not given is the base
configuration's own value, except for strategies, transition weeks and stops, which have a range
worth searching.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from livekit.backtest.metrics import Metrics
from livekit.backtest.modes import simulator_class
from livekit.backtest.settlement import Adjustment, StopFill
from livekit.backtest.sweep import Winner, run_sweep, winner_of, workload
from livekit.backtest.trials import Space, Workload
from livekit.backtest.walk_forward import WalkForward, walk_forward
from livekit.config import LiveConfig
from livekit.errors import UnknownParameter
from livekit.sessions import session_on_or_after
from livekit.workbench.backtesting.inputs import BacktestInputs
from livekit.workbench.backtesting.runs import write_files

__all__ = ["Search", "SweepResult", "space_of", "sweep", "walk", "write_walk"]

SEARCHED: dict[str, tuple[Any, ...]] = {
    "strategy": (
        *(f"ema_p{period}" for period in (4, 6, 8, 10, 12, 15, 20)),
        *(f"nwl_p{period}" for period in (2, 3, 4, 6, 8)),
    ),
    "transition_weeks": (1, 2, 3),
    "stop_loss_pct": (5.0, 8.0, 10.0, 15.0),
}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Search:
    """What to search: the space, over which data and on which base configuration."""

    inputs: BacktestInputs
    space: Space
    base: LiveConfig = field(default_factory=LiveConfig)
    mode: str = "portfolio"
    adjustment: Adjustment = "split"
    objective: str = "daily_sharpe"

    def checked(self) -> Search:
        """The same, with its mode's own name; raises `UnknownParameter` before data are laid out.

        An objective is a figure of `Metrics` for which more is better.
        """
        known = [name for name in Metrics.__dataclass_fields__ if name not in _NO_OBJECTIVE]
        if self.objective not in known:
            raise UnknownParameter("objective", [f"{self.objective!r}, known: {', '.join(known)}"])
        return replace(self, mode=simulator_class(self.mode).mode)

    def load(self) -> Workload:
        """The data laid out for all trials."""
        return workload(
            self.inputs.bars,
            self.inputs.candidates,
            self.base,
            mode="portfolio" if self.mode == "portfolio" else "trade",
            adjustment=self.adjustment,
        )


# Constant over trials, or no better for being more.
_NO_OBJECTIVE = frozenset(
    {
        "capital_usd",
        "average_hold_days",
        "drawdown_usd",
        "drawdown_pct",
        "exposure_time_pct",
        "exposure_capital_pct",
        "peak_positions",
        "capital_requirement_usd",
        "score_return",
        "grades_ab_against_cd",
    }
)


# ----------------------------------------------------------------------------------------- space


def space_of(base: LiveConfig, given: dict[str, str | None]) -> Space:
    """The space that options span.

    Args:
        base: where values come from that are neither given nor searched by default.
        given: text by field of `Space`; None = not given.

    Raises:
        UnknownParameter: naming every option whose text is not understood.
    """
    own: dict[str, tuple[Any, ...]] = {
        "stop_mode": (base.stop_mode,),
        "min_grade": (base.min_grade,),
        "max_holding_days": (base.max_holding_days,),
        "rotation": (base.rotation,),
    }
    problems: list[str] = []
    for name, text in given.items():
        if text is not None:
            own[name] = _values(name, text, problems)
    if problems:
        raise UnknownParameter("sweep", problems)
    return Space(**{**SEARCHED, **own})


def _values(name: str, text: str, problems: list[str]) -> tuple[Any, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = []
    for part in parts:
        try:
            found.append(_PARSERS[name](part))
        except ValueError:
            problems.append(f"{name.replace('_', '-')} {part!r} is not understood")
    if not parts:
        problems.append(f"{name.replace('_', '-')} has no value")
    return tuple(found)


def _or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text == "none" else parse(text)


def _on_or_off(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError(text)
    return text == "on"


def _stop_fill(text: str) -> str:
    if text not in get_args(StopFill):
        raise ValueError(text)
    return text


_PARSERS: dict[str, Callable[[str], Any]] = {
    "strategy": str,
    "transition_weeks": int,
    "stop_loss_pct": float,
    "stop_mode": str,
    "stop_fill": _stop_fill,
    "min_grade": str,
    "min_gap_pct": _or_none(float),
    "min_score": _or_none(float),
    "max_holding_days": _or_none(int),
    "rotation": _on_or_off,
}


# ----------------------------------------------------------------------------------------- sweep


@dataclass(frozen=True)
class SweepResult:
    """All rows of a sweep, best first by its objective, and its winner, if any trial has it."""

    rows: pd.DataFrame
    objective: str
    winner: Winner | None
    path: Path


def sweep(
    search: Search,
    path: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Run the trials that ``path`` does not hold, and judge the best of all of them.

    Raises what `run_sweep` raises.
    """
    search = search.checked()
    trials = search.space.trials()
    rows = run_sweep(
        search.load(), trials, path, workers=workers, scheduler=scheduler, progress=progress
    )
    ranked = rows.assign(_by=rows[search.objective].astype("float64"))
    ranked = ranked.sort_values(["_by", "key"], ascending=[False, True], ignore_index=True)
    winner = winner_of(rows, objective=search.objective)
    return SweepResult(ranked.drop(columns="_by"), search.objective, winner, path)


# ---------------------------------------------------------------------------------- walk-forward


def walk(
    search: Search,
    *,
    folds: int = 5,
    train_sessions: int | None = None,
    progress: Progress | None = None,
) -> WalkForward:
    """Walk forward; by default the first training ends half-way from the first candidate on.

    Raises what `walk_forward` raises.
    """
    search = search.checked()
    load, trials = search.load(), search.space.trials()
    return walk_forward(
        load,
        trials,
        folds=folds,
        train_sessions=train_sessions or _half_way(load),
        objective=search.objective,
        progress=progress,
    )


def _half_way(load: Workload) -> int:
    sessions = load.market.sessions
    first = min(session_on_or_after(one.report_date) for one in load.candidates)
    begin = min(bisect_left(sessions, first), len(sessions) - 1)
    return max(1, begin + (len(sessions) - begin) // 2)


def write_walk(folder: Path, found: WalkForward, search: Search, *, now: datetime) -> Path:
    """Write ``folds.csv``, ``trades.csv`` and the manifest; returns the manifest's path.

    Raises `BadInput` when the folder cannot be written.
    """
    trades = pd.concat([fold.result.trades.assign(fold=fold.number) for fold in found.folds])
    return write_files(
        folder,
        {"folds": found.table, "trades": trades},
        config=search.base,
        inputs=search.inputs,
        now=now,
        counts={
            "folds": len(found.folds),
            "trials": len(search.space.trials()),
            "candidates": len(search.inputs.candidates),
            "trades": len(found.trades),
        },
        metrics=found.pooled.figures(),
        simulation={
            "mode": search.mode,
            "adjustment": search.adjustment,
            "objective": found.objective,
        },
    )
