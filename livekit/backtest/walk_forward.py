"""Walk-forward: choose on the past, trade the sessions that follow, move on.

The training window always starts with the data and grows (an expanding window); each fold's trial
is the best on it by one figure. Test windows follow one another without gap; a fold starts with an
empty book and its last positions are marked out at its end, so no fold knows of another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd

from livekit.backtest.metrics import Curve, Metrics, measure
from livekit.backtest.results import BacktestResult
from livekit.backtest.trials import Trial, Workload
from livekit.errors import UnknownParameter
from livekit.model import ClosedTrade

__all__ = ["Fold", "WalkForward", "walk_forward"]


@dataclass(frozen=True)
class Fold:
    """One step: windows (both ends included), what was chosen and what it then did.

    ``in_sample`` is the figure that chose the trial, ``out_of_sample`` the same figure of its test
    window; None = not available. Without any trial that has the figure the first one is taken.
    """

    number: int
    train: tuple[date, date]
    test: tuple[date, date]
    trial: Trial
    in_sample: float | None
    out_of_sample: float | None
    result: BacktestResult


@dataclass(frozen=True)
class WalkForward:
    """All folds, and the figures of their test windows put together."""

    objective: str
    folds: tuple[Fold, ...]
    trades: tuple[ClosedTrade, ...]
    curve: Curve
    pooled: Metrics

    @property
    def table(self) -> pd.DataFrame:
        """One row a fold."""
        rows = [
            (
                fold.number,
                *fold.train,
                *fold.test,
                fold.trial.strategy,
                fold.trial.key,
                len(fold.result.closed),
                fold.result.metrics().total_pnl_usd,
                fold.result.metrics().profit_factor,
                fold.in_sample,
                fold.out_of_sample,
            )
            for fold in self.folds
        ]
        return pd.DataFrame.from_records(rows, columns=list(_COLUMNS))


_COLUMNS = (
    "fold",
    "train_first",
    "train_last",
    "test_first",
    "test_last",
    "strategy",
    "key",
    "trades",
    "total_pnl_usd",
    "profit_factor",
    "in_sample",
    "out_of_sample",
)


def walk_forward(
    load: Workload,
    trials: Sequence[Trial],
    *,
    folds: int = 5,
    train_sessions: int = 504,
    objective: str = "daily_sharpe",
    progress: Callable[[int, int], None] | None = None,
) -> WalkForward:
    """Walk forward over the data of ``load`` with the simulator that it names.

    Args:
        load: the data, see `sweep.workload`; its mode chooses the simulator.
        trials: what each fold chooses from.
        folds: number of test windows of about equal length.
        train_sessions: length of the first training window.
        objective: a figure of `Metrics`; higher is better.
        progress: called with folds done and folds in all.

    Raises:
        UnknownParameter: the data are too short, or a trial or the objective is not known.
    """
    load.check(trials)
    windows = _windows(load.market.sessions, folds, train_sessions)
    if not trials:
        raise UnknownParameter("walk-forward", ["there is no trial to choose from"])
    run = load.runner()
    done: list[Fold] = []
    for number, (train, test) in enumerate(windows, start=1):
        done.append(_fold(run, trials, number, train, test, objective))
        if progress is not None:
            progress(number, len(windows))
    trades = tuple(trade for fold in done for trade in fold.result.closed)
    curve = _joined(done)
    capital_usd = max(fold.result.capital_usd for fold in done)
    return WalkForward(objective, tuple(done), trades, curve, measure(trades, curve, capital_usd))


Window = tuple[date, date]


def _windows(
    sessions: Sequence[date], folds: int, train_sessions: int
) -> tuple[tuple[Window, Window], ...]:
    left = len(sessions) - train_sessions
    if folds < 1 or train_sessions < 1 or left < folds:
        why = f"{len(sessions)} sessions do not hold {train_sessions} to train and {folds} folds"
        raise UnknownParameter("walk-forward", [why])
    starts = [train_sessions + left * number // folds for number in range(folds + 1)]
    return tuple(
        ((sessions[0], sessions[begin - 1]), (sessions[begin], sessions[end - 1]))
        for begin, end in pairwise(starts)
    )


def _fold(
    run: Callable[..., BacktestResult],
    trials: Sequence[Trial],
    number: int,
    train: Window,
    test: Window,
    objective: str,
) -> Fold:
    scored = [(_figure(run(one, first=train[0], last=train[1]), objective), one) for one in trials]
    known = [pair for pair in scored if pair[0] is not None]
    best, trial = max(known, key=lambda pair: pair[0] or 0.0) if known else scored[0]
    result = run(trial, first=test[0], last=test[1])
    return Fold(number, train, test, trial, best, _figure(result, objective), result)


def _figure(result: BacktestResult, objective: str) -> float | None:
    figures = result.metrics().figures()
    if objective not in figures:
        raise UnknownParameter("objective", [f"{objective!r} is no figure of a result"])
    return figures[objective]


def _joined(folds: Sequence[Fold]) -> Curve:
    """The curves of the test windows one after another, profits carried on."""
    curves = [fold.result.recording.curve() for fold in folds]
    carried = np.cumsum([0.0, *(sum(one.pnl_usd for one in fold.result.closed) for fold in folds)])
    return Curve(
        sessions=tuple(session for curve in curves for session in curve.sessions),
        pnl_usd=np.concatenate(
            [curve.pnl_usd + start for curve, start in zip(curves, carried, strict=False)]
        ),
        invested_usd=np.concatenate([curve.invested_usd for curve in curves]),
        open_positions=np.concatenate([curve.open_positions for curve in curves]),
    )
