"""The portfolio simulation: one book carried through every session, and what came of it."""

from __future__ import annotations

from typing import ClassVar

from livekit.backtest.market import Market
from livekit.backtest.settlement import Book, Settlement, settle_session
from livekit.backtest.simulator import Simulator

__all__ = ["Book", "Market", "PortfolioSimulator", "Settlement", "settle_session"]


class PortfolioSimulator(Simulator):
    """All candidates in one book of ``max_positions`` places, with rotation.

    Entries are at the open of the session that a report is for (``report_open``).
    """

    mode: ClassVar[str] = "portfolio"
