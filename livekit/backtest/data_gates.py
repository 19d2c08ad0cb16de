"""Gates that price data must pass before a backtest on them says anything.

Nothing is repaired: each finding names a ticker, a session and the numbers, for a person to judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from livekit.model import DailyBars, FloatArray
from livekit.sessions import sessions_between
from livekit.strategy.rules import snap_split_ratio

__all__ = ["GATES", "Finding", "check_data", "findings_frame"]

GATES = (
    "missing_bar",
    "ohlc_order",
    "split_not_applied",
    "split_without_move",
    "spin_off",
    "adjustment_jump",
    "spike",
    "large_dividend",
)

_SPLIT_MOVE = math.log(1.45)  # smaller moves of a session happen without a split
_SPLIT_NOISE = math.log(1.06)  # how far a split session's open may lie from the ratio
_FAR_OFF = math.log(1.30)
_ADJUSTMENT_PCT = 2.0
_LARGE_DIVIDEND = 0.05  # of the close before it: no regular dividend, and it can reach a stop
_SPIKE = math.log(1.30)
_RETURNED = 0.75  # of a spike is taken back on the next session


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    gate: str
    ticker: str
    session: date
    facts: str


def check_data(prices: Mapping[str, DailyBars]) -> tuple[Finding, ...]:
    """All findings, by ticker and session.

    ``missing_bar``: a session inside the ticker's range without a bar. ``ohlc_order``: the high is
    not the highest or the low not the lowest. ``split_not_applied``: the price moved by a clean
    split's ratio and no split is recorded. ``split_without_move``: a split is recorded and the
    price did not move. ``spin_off``: a ratio that is no clean split. ``adjustment_jump``: the
    adjusted close moved otherwise than price, split and dividend together. ``spike``: a move by
    more than a factor of 1.3 that the next session takes back. ``large_dividend``: one above 5 % of
    the price, often a spin-off in the wrong column; it moves a price, and so a stop, unadjusted.
    """
    found = [
        finding
        for ticker in sorted(prices)
        if len(prices[ticker])
        for gate in (_missing, _order, _splits, _jumps, _spikes, _dividends)
        for finding in gate(prices[ticker])
    ]
    return tuple(sorted(found, key=lambda one: (one.ticker, one.session, one.gate)))


def findings_frame(findings: tuple[Finding, ...]) -> pd.DataFrame:
    """The findings as a table."""
    rows = [(one.gate, one.ticker, one.session, one.facts) for one in findings]
    return pd.DataFrame.from_records(rows, columns=["gate", "ticker", "session", "facts"])


def _missing(bars: DailyBars) -> Iterator[Finding]:
    first, last = bars.sessions[0].item(), bars.sessions[-1].item()
    known = set(bars.sessions.tolist())
    for session in sessions_between(first, last):
        if session not in known:
            yield Finding("missing_bar", bars.ticker, session, "no bar inside the ticker's range")


def _order(bars: DailyBars) -> Iterator[Finding]:
    highest = np.maximum.reduce((bars.open, bars.close, bars.low))
    lowest = np.minimum.reduce((bars.open, bars.close, bars.high))
    for at in np.flatnonzero((bars.high < highest) | (bars.low > lowest)):
        facts = (
            f"open {bars.open[at]} high {bars.high[at]} low {bars.low[at]} close {bars.close[at]}"
        )
        yield _finding("ohlc_order", bars, int(at), facts)


def _splits(bars: DailyBars) -> Iterator[Finding]:
    moves = np.log(bars.open[1:] / bars.close[:-1])
    for at in np.flatnonzero((bars.split_ratio[1:] != 1.0) | (np.abs(moves) > _SPLIT_MOVE)) + 1:
        move, ratio = float(moves[at - 1]), float(bars.split_ratio[at])
        opened = f"opened at {bars.open[at]} after {bars.close[at - 1]}"
        if ratio == 1.0:
            meant = _split_of(move)
            if not math.isnan(meant):
                facts = f"{opened}, as after a split of {meant:g}; none is recorded"
                yield _finding("split_not_applied", bars, int(at), facts)
        elif math.isnan(snap_split_ratio(ratio)):
            yield _finding("spin_off", bars, int(at), f"ratio {ratio}, {opened}")
        elif abs(move + math.log(ratio)) > _FAR_OFF:
            facts = f"split of {ratio:g} recorded, {opened}"
            yield _finding("split_without_move", bars, int(at), facts)


def _split_of(move: float) -> float:
    """The ratio of the whole split (2 for 1 … 10 for 1, or reverse) that a move is near to."""
    ratio = math.exp(abs(move))
    whole = round(ratio)
    near = 2 <= whole <= 10 and abs(math.log(ratio / whole)) <= _SPLIT_NOISE
    return (float(whole) if move < 0 else 1.0 / whole) if near else math.nan


def _jumps(bars: DailyBars) -> Iterator[Finding]:
    adjusted = bars.adj_close[1:] / bars.adj_close[:-1]
    traded = (bars.close[1:] * bars.split_ratio[1:] + bars.dividend_usd[1:]) / bars.close[:-1]
    apart = 100.0 * np.abs(adjusted / traded - 1.0)
    for at in np.flatnonzero(apart > _ADJUSTMENT_PCT) + 1:
        facts = (
            f"adjusted close {_pct(adjusted[at - 1])}, "
            f"price with split and dividend {_pct(traded[at - 1])}"
        )
        yield _finding("adjustment_jump", bars, int(at), facts)


def _spikes(bars: DailyBars) -> Iterator[Finding]:
    moves: FloatArray = np.diff(np.log(bars.adj_close))
    back = moves[:-1] * moves[1:] < 0
    taken_back = back & (np.abs(moves[1:]) >= _RETURNED * np.abs(moves[:-1]))
    for at in np.flatnonzero(taken_back & (np.abs(moves[:-1]) > _SPIKE)) + 1:
        facts = f"{_pct(math.exp(moves[at - 1]))}, then {_pct(math.exp(moves[at]))}"
        yield _finding("spike", bars, int(at), facts)


def _dividends(bars: DailyBars) -> Iterator[Finding]:
    for at in np.flatnonzero(bars.dividend_usd[1:] > _LARGE_DIVIDEND * bars.close[:-1]) + 1:
        facts = f"{bars.dividend_usd[at]} USD a share after a close of {bars.close[at - 1]}"
        yield _finding("large_dividend", bars, int(at), facts)


def _pct(factor: float) -> str:
    return f"{100.0 * (factor - 1.0):+.1f} %"


def _finding(gate: str, bars: DailyBars, at: int, facts: str) -> Finding:
    return Finding(gate, bars.ticker, bars.sessions[at].item(), facts)
