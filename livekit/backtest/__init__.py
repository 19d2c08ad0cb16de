"""Simulations on historical bars, made of the same rules as the live books.

`simulate` is the one call for notebooks and scripts; `PortfolioSimulator` and `TradeSimulator` are
the same on frozen values. `settle_session` is one session of one book and also carries the paper
account's twins.
"""

from livekit.backtest.market import Market
from livekit.backtest.portfolio_simulator import PortfolioSimulator
from livekit.backtest.results import BacktestResult
from livekit.backtest.settlement import Book, Settlement, settle_session
from livekit.backtest.simulation import simulate
from livekit.backtest.trade_simulator import TradeSimulator

__all__ = [
    "BacktestResult",
    "Book",
    "Market",
    "PortfolioSimulator",
    "Settlement",
    "TradeSimulator",
    "settle_session",
    "simulate",
]
