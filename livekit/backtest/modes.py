"""The two simulations by name."""

from __future__ import annotations

from livekit.backtest.portfolio_simulator import PortfolioSimulator
from livekit.backtest.simulator import Simulator
from livekit.backtest.trade_simulator import TradeSimulator
from livekit.errors import UnknownParameter

__all__ = ["MODES", "simulator_class"]

_SIMULATORS: dict[str, type[Simulator]] = {
    "portfolio": PortfolioSimulator,
    "trade": TradeSimulator,
    "trades": TradeSimulator,
}
MODES = ("portfolio", "trades")


def simulator_class(mode: str) -> type[Simulator]:
    """The simulator of a mode: ``portfolio``, or ``trades`` (also ``trade``).

    Raises `UnknownParameter` for any other.
    """
    if mode not in _SIMULATORS:
        raise UnknownParameter("simulation", [f"mode is {mode!r}, known: {', '.join(MODES)}"])
    return _SIMULATORS[mode]
