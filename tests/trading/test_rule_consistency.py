"""Golden tests: the simulated book and the live checker decide alike, week by week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from livekit.backtest import PortfolioSimulator
from livekit.config import LiveConfig
from livekit.model import Candidate, ClosedTrade, DailyBars
from livekit.sessions import next_session, sessions_between, week_end
from livekit.strategy.weekly_bars import (
    aggregate_daily_to_weekly,
    compute_weekly_ema,
    compute_weekly_nweek_low,
    is_week_end_by_date,
)
from livekit.trading.trailing_stop_checker import TrailingStopChecker

SESSIONS = sessions_between(date(2019, 1, 7), date(2019, 6, 28))
ENTRY = date(2019, 4, 3)
UPTREND = 100.0 * 1.002 ** np.arange(len(SESSIONS))


def bars_of(closes: np.ndarray, sessions: Sequence[date] = SESSIONS) -> DailyBars:
    count = len(sessions)
    nothing = np.zeros(count)
    return DailyBars(
        "AA",
        np.array(sessions, dtype="datetime64[D]"),
        closes,
        closes * 1.004,
        closes * 0.996,
        closes,
        closes,
        nothing,
        nothing,
        nothing + 1.0,
    )


def slide_after(day: date, percent_a_day: float) -> np.ndarray:
    """The uptrend up to ``day``, then a steady fall too slow for the protective stop."""
    closes = UPTREND.copy()
    start = SESSIONS.index(day)
    falls = np.arange(1, len(SESSIONS) - start)
    closes[start + 1 :] = closes[start] * (1 - percent_a_day / 100) ** falls
    return closes


class Prices:
    def __init__(self, bars: DailyBars) -> None:
        self.bars = bars

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        start = int(np.searchsorted(self.bars.sessions, np.datetime64(first, "D")))
        return {tickers[0]: self.bars.sliced(start, len(self.bars)).until(last)}


def simulated(bars: DailyBars, strategy: str) -> ClosedTrade:
    candidate = Candidate("AA", ENTRY, "A", 80.0)
    (trade,) = PortfolioSimulator(LiveConfig(), strategy).run({"AA": bars}, [candidate]).closed
    return trade


def first_live_exit(bars: DailyBars, trailing_stop: str, period: int) -> date | None:
    """The first session after which the checker wants to leave, asked after every close."""
    checker = TrailingStopChecker(Prices(bars), LiveConfig())
    for session in (day for day in SESSIONS if day >= ENTRY):
        if checker.check_position("AA", ENTRY, session, trailing_stop, period).should_exit:
            return session
    return None


EMA = ("ema_p10", "weekly_ema", 10)
NWL = ("nwl_p4", "weekly_nweek_low", 4)


@pytest.mark.parametrize(("strategy", "trailing_stop", "period"), [EMA, NWL])
@pytest.mark.parametrize("turn", [date(2019, 4, 8), date(2019, 4, 17), date(2019, 5, 24)])
def test_a_break_is_seen_in_the_same_iso_week_by_backtest_and_checker(
    strategy: str, trailing_stop: str, period: int, turn: date
) -> None:
    bars = bars_of(slide_after(turn, 0.4))
    decided = first_live_exit(bars, trailing_stop, period)
    trade = simulated(bars, strategy)
    assert decided is not None
    assert decided == week_end(decided)
    assert trade.exit_reason == "trend_break"
    assert trade.exit_session == next_session(decided)


@pytest.mark.parametrize(("strategy", "trailing_stop", "period"), [EMA, NWL])
def test_a_steady_uptrend_leaves_by_neither(strategy: str, trailing_stop: str, period: int) -> None:
    bars = bars_of(UPTREND)
    assert first_live_exit(bars, trailing_stop, period) is None
    assert simulated(bars, strategy).exit_reason == "end_of_data"


@pytest.mark.parametrize(("strategy", "trailing_stop", "period"), [EMA, NWL])
def test_holes_in_the_bars_move_both_alike(strategy: str, trailing_stop: str, period: int) -> None:
    # The ticker is halted over two week ends around Good Friday.
    halted = {date(2019, 4, 18), date(2019, 4, 22), date(2019, 4, 26)}
    kept = [index for index, day in enumerate(SESSIONS) if day not in halted]
    closes = slide_after(date(2019, 4, 8), 0.4)[kept]
    bars = bars_of(closes, [SESSIONS[index] for index in kept])
    decided = first_live_exit(bars, trailing_stop, period)
    assert decided is not None
    traded = [SESSIONS[index] for index in kept]
    assert simulated(bars, strategy).exit_session == traded[traded.index(decided) + 1]


def test_the_shared_functions_answer_alike_every_time() -> None:
    bars = bars_of(slide_after(date(2019, 4, 17), 0.4))
    first, second = (aggregate_daily_to_weekly(bars) for _ in range(2))
    assert first.close.tolist() == second.close.tolist()
    for compute, values in (
        (compute_weekly_ema, first.close),
        (compute_weekly_nweek_low, first.low),
    ):
        assert repr(compute(values, 4).tolist()) == repr(compute(values, 4).tolist())
    assert [is_week_end_by_date(day) for day in SESSIONS] == [
        week_end(day) == day for day in SESSIONS
    ]
