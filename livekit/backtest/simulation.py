"""One call for notebooks and scripts: frames in, a result out."""

from __future__ import annotations

import pandas as pd

from livekit.backtest.frames import bars_from_frame, candidates_from_frame
from livekit.backtest.modes import simulator_class
from livekit.backtest.results import BacktestResult
from livekit.backtest.settlement import Adjustment, StopFill
from livekit.config import LiveConfig

__all__ = ["simulate"]


def simulate(
    prices: pd.DataFrame,
    candidates: pd.DataFrame,
    config: LiveConfig | None = None,
    *,
    strategy: str = "ema_p10",
    mode: str = "portfolio",
    stop_fill: StopFill = "gap_aware",
    adjustment: Adjustment = "split",
) -> BacktestResult:
    """Simulate a strategy on daily bars and reported candidates.

    Args:
        prices: one row a ticker and session, see `bars_from_frame`.
        candidates: one row a reported candidate, see `candidates_from_frame`.
        config: trading parameters; default `LiveConfig()`.
        strategy: any ``ema_pN`` or ``nwl_pN``.
        mode: ``portfolio`` trades all candidates in one book, ``trades`` each alone.
        stop_fill: ``gap_aware`` or ``at_stop``.
        adjustment: ``split`` or ``all``.

    Returns:
        A result whose ``trades``, ``skipped`` and ``equity`` are frames.

    Raises:
        BadInput: a frame is not usable.
        UnknownParameter: a mode or strategy is not known.
    """
    simulator = simulator_class(mode)(
        config or LiveConfig(), strategy, stop_fill=stop_fill, adjustment=adjustment
    )
    return simulator.run(bars_from_frame(prices), candidates_from_frame(candidates))
