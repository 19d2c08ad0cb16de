"""Trades in groups: by grade, score range, gap range, exit reason and month of exit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from livekit.backtest.metrics import average, median, profit_factor, win_rate_pct
from livekit.errors import UnknownParameter
from livekit.model import ClosedTrade

__all__ = ["GROUPINGS", "Grouping", "breakdown"]

Grouping = Literal["grade", "score_range", "gap_range", "exit_reason", "month"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

NOT_GIVEN = "not given"
_SCORE_FLOORS = (55.0, 70.0, 85.0)  # the floors of the grades C, B and A
_GAP_FLOORS_PCT = (0.0, 2.0, 5.0, 10.0, 20.0)


def breakdown(trades: Sequence[ClosedTrade], by: Grouping) -> pd.DataFrame:
    """One row a group, in the order of the groups.

    Args:
        trades: closed trades.
        by: ``grade``, ``score_range``, ``gap_range`` (percent), ``exit_reason`` or ``month``. The
            month is that of the exit, where the profit is booked. A range includes its lower end.

    Returns:
        Columns ``by``, ``trades``, ``win_rate_pct``, ``profit_factor``, ``total_pnl_usd``,
        ``expectancy_usd``, ``average_return_pct`` and ``median_return_pct``; <NA> = not available.

    Raises:
        UnknownParameter: the grouping is not known.
    """
    if by not in _KEYS:
        raise UnknownParameter("breakdown", [f"{by!r} is none of {', '.join(GROUPINGS)}"])
    groups: dict[tuple[int, str], list[ClosedTrade]] = {}
    for trade in trades:
        groups.setdefault(_KEYS[by](trade), []).append(trade)
    rows = [(label, *_figures(groups[place, label])) for place, label in sorted(groups)]
    frame = pd.DataFrame.from_records(rows, columns=[by, "trades", *_FLOATS])
    return frame.astype({"trades": "int64", **dict.fromkeys(_FLOATS, "Float64")})


_FLOATS = (
    "win_rate_pct",
    "profit_factor",
    "total_pnl_usd",
    "expectancy_usd",
    "average_return_pct",
    "median_return_pct",
)


def _figures(trades: Sequence[ClosedTrade]) -> tuple[float | None, ...]:
    pnl = np.array([trade.pnl_usd for trade in trades])
    returns = np.array([trade.return_pct for trade in trades])
    return (
        len(trades),
        win_rate_pct(pnl),
        profit_factor(pnl),
        round(float(pnl.sum()), 2),
        average(pnl),
        average(returns),
        median(returns),
    )


def _range(value: float | None, floors: Sequence[float]) -> tuple[int, str]:
    if value is None:
        return len(floors) + 1, NOT_GIVEN
    step = bisect_right(floors, value)
    if step == 0:
        return step, f"below {floors[0]:g}"
    if step == len(floors):
        return step, f"from {floors[-1]:g}"
    return step, f"{floors[step - 1]:g} to {floors[step]:g}"


_KEYS: dict[str, Callable[[ClosedTrade], tuple[int, str]]] = {
    "grade": lambda trade: (not trade.candidate.grade, trade.candidate.grade or NOT_GIVEN),
    "score_range": lambda trade: _range(trade.candidate.score, _SCORE_FLOORS),
    "gap_range": lambda trade: _range(trade.candidate.gap_size, _GAP_FLOORS_PCT),
    "exit_reason": lambda trade: (0, trade.exit_reason),
    "month": lambda trade: (0, f"{trade.exit_session:%Y-%m}"),
}
