"""The arrays that a pass over sessions reads and fills; plain numbers only, so that it compiles.

T sessions, N tickers in alphabetical order, W weekly bars of all tickers one after another, C
candidates in the order of their sessions and, within one, best first. Sessions are numbered from
the first; a missing price is nan.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from livekit.config import LiveConfig
from livekit.model import FloatArray
from livekit.strategy import position_rules, rules

__all__ = [
    "Book",
    "Ledger",
    "Marks",
    "Prices",
    "Reports",
    "Settings",
    "new_book",
    "new_ledger",
    "new_marks",
    "settings_of",
]

IntArray = npt.NDArray[np.int64]
CountArray = npt.NDArray[np.int32]  # small, because a pass reads it for every position's day

# Few arrays with named columns, because compiled code counts references to each array it passes.

# Last axis of `Prices.bars`.
OPEN, LOW, CLOSE, SPLIT_RATIO, ADJUSTED_GROWTH = range(5)
# Last axis of `Prices.counts`.
WEEKS_DUE, WEEKS_ENDED_BEFORE, WEEKS_STARTED, DAY = range(4)
# Columns of `Prices.weeks`.
WEEK_CLOSE, WEEK_LINE = range(2)

# Columns of `Book.whole`.
TICKER, CANDIDATE, ENTERED, ENTRY_DAY, PENDING = range(5)
WEEKS_DONE, WEEKS_BEFORE, SHARES, SHARES_NOW, SPUN_OFF = range(5, 10)
# Columns of `Book.real`.
ENTRY_PRICE, STOP_PRICE, SPLIT_FACTOR, REINVESTED_FACTOR, CASH_USD, LAST_CLOSE, PNL_USD = range(7)

# Columns of `Ledger.whole`.
CODE, BOUGHT, ENTRY_SESSION, EXIT_SESSION, REASON, STEP, FLAGGED = range(7)
# Columns of `Ledger.real`.
PAID_PRICE, EXIT_PRICE, GAIN_USD, RETURN_PCT = range(4)


class Prices(NamedTuple):
    """What the pass knows of the market under one trailing stop.

    Attributes:
        bars: [N, T, 5] open, low, close (USD as traded), split ratio, growth of the adjusted
            against the traded price since the bar before.
        counts: [N, T, 4] numbers of weeks, counted through all tickers: those due once this
            session's bar exists, those that ended before the session, those that started up to
            it; and the day number, for calendar days between sessions.
        weeks: [W, 2] adjusted close and indicator, nan while undefined.
    """

    bars: FloatArray
    counts: CountArray
    weeks: FloatArray


class Reports(NamedTuple):
    """Candidates: [T + 1] where a session's begin, [C] ticker number (-1 = no bars), [C] score."""

    first: IntArray
    ticker: IntArray
    score: FloatArray


class Settings(NamedTuple):
    """The configuration as numbers; see `LiveConfig` for units. -1 = no limit."""

    max_positions: int
    position_size_usd: float
    rotation: bool
    daily_limit: int
    stop_mode: int
    stop_loss_pct: float
    slippage_pct: float
    entry_slippage_pct: float
    transition_weeks: int
    longest_days: int
    gap_aware: bool
    adjust_all: bool


class Book(NamedTuple):
    """Open positions, one a row, in the first rows; ``row_of`` finds a ticker's, or -1.

    ``whole`` and ``real`` have the columns named above.
    """

    whole: IntArray
    real: FloatArray
    row_of: IntArray


class Ledger(NamedTuple):
    """What became of each of the C candidates, one a row.

    The code is that of `rules.plan_entries`, -1 before its session. For those that entered:
    sessions by number, prices on the basis of the entry session, the reason of the exit and the
    step of the session at which it took place.
    """

    whole: IntArray
    real: FloatArray


class Marks(NamedTuple):
    """The book at each of the T closes: profit, cost of the open positions, their number."""

    realised_usd: FloatArray
    unrealised_usd: FloatArray
    invested_usd: FloatArray
    open_positions: IntArray


def settings_of(config: LiveConfig, stop_fill: str, adjustment: str) -> Settings:
    """The numbers that a pass reads of a checked configuration."""
    limit, longest = config.daily_entry_limit, config.max_holding_days
    return Settings(
        max_positions=config.max_positions,
        position_size_usd=float(config.position_size),
        rotation=config.rotation,
        daily_limit=rules.NO_LIMIT if limit is None else limit,
        stop_mode=position_rules.STOP_MODES.index(config.stop_mode),
        stop_loss_pct=float(config.stop_loss_pct),
        slippage_pct=float(config.slippage_pct),
        entry_slippage_pct=float(config.entry_slippage_pct),
        transition_weeks=config.trailing_transition_weeks,
        longest_days=position_rules.NO_LONGEST_HOLDING if longest is None else longest,
        gap_aware=stop_fill == "gap_aware",
        adjust_all=adjustment == "all",
    )


def new_book(places: int, tickers: int) -> Book:
    """An empty book."""
    row_of = np.full(tickers, rules.NOT_HELD, dtype=np.int64)
    return Book(np.zeros((places, 10), dtype=np.int64), np.zeros((places, 7)), row_of)


def new_ledger(candidates: int) -> Ledger:
    """A ledger of candidates whose sessions have not come."""
    return Ledger(np.full((candidates, 7), -1, dtype=np.int64), np.full((candidates, 4), np.nan))


def new_marks(sessions: int) -> Marks:
    """Marks of nothing at all."""
    realised, unrealised, invested = (np.zeros(sessions) for _ in range(3))
    return Marks(realised, unrealised, invested, np.zeros(sessions, dtype=np.int64))
