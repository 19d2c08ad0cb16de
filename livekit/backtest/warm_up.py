"""Fill the cache of compiled passes: ``python -m livekit.backtest.warm_up``.

Run once after installing, so that no simulation waits for the compiler. Without numba there is
nothing to do.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from livekit.backtest.engine import compiled_engine
from livekit.backtest.portfolio_simulator import PortfolioSimulator
from livekit.backtest.prepared import prepare_market
from livekit.backtest.simulator import Simulator
from livekit.backtest.trade_simulator import TradeSimulator
from livekit.model import Candidate, DailyBars
from livekit.sessions import sessions_between

__all__ = ["warm_up"]

_FIRST, _LAST = date(2020, 1, 6), date(2020, 1, 17)


def warm_up() -> bool:
    """Compile every pass, or load it from the cache; False when numba is not installed."""
    engine = compiled_engine()
    sessions = np.array(sessions_between(_FIRST, _LAST), dtype="datetime64[D]")
    price, nothing = np.full(len(sessions), 10.0), np.zeros(len(sessions))
    bars = DailyBars(
        "AA", sessions, price, price, price, price, price, nothing, nothing, nothing + 1.0
    )
    candidates = [Candidate("AA", _FIRST, "A", 50.0)]
    market = prepare_market({"AA": bars}, ["AA"])
    simulators: tuple[Simulator, ...] = (PortfolioSimulator(), TradeSimulator(strategy="nwl_p4"))
    for simulator in simulators:
        simulator.run_prepared(market, simulator.prepare(market, candidates), engine=engine)
    return engine.is_compiled


if __name__ == "__main__":
    warm_up()
