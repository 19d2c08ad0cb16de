"""The trade simulation: each candidate alone, whatever else is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from livekit.backtest.engine import Engine
from livekit.backtest.pass_arrays import Settings
from livekit.backtest.settlement import ENTRY_MODES, NEXT_OPEN
from livekit.backtest.simulator import Simulator

__all__ = ["TradeSimulator"]


class TradeSimulator(Simulator):
    """Every candidate is a trade of its own: no places, no rotation, tickers may overlap.

    What remains are the rules of one position and the daily limit of entries, best first. Entry
    modes: ``report_open`` enters at the open of the session that a report is for, ``next_open`` at
    that of the session after it, for reports that are only read after the open; a candidate whose
    ticker does not trade then is skipped.
    """

    mode: ClassVar[str] = "trade"
    entry_modes: ClassVar[tuple[str, ...]] = (*ENTRY_MODES, NEXT_OPEN)

    def _sized(self, settings: Settings, candidates: int) -> tuple[Settings, int]:
        return settings._replace(max_positions=max(1, candidates), rotation=False), 1

    def _pass(self, engine: Engine) -> Callable[..., None]:
        return engine.trade_alone
