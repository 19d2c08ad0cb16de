"""The rules over numbers and arrays: prices and rounding, stops, splits, rotation, entries.

Every function takes and returns plain numbers or numpy arrays, so it can be read aloud, called
for one position and run over years. Percent arguments are percents (10.0 means 10 %), prices
and amounts are USD, a missing number is nan.

Rounding tolerates float noise: 17.10 × 0.9 is 15.39 and 17.01 × 0.995 is the tie 16.92495,
whatever their binary forms say.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from livekit.model import FloatArray
from livekit.strategy.sizing import free_slots, whole_shares

__all__ = [
    "ENTER",
    "ROTATE_IN",
    "SKIP_CAPACITY_FULL",
    "SKIP_DAILY_LIMIT",
    "SKIP_DUPLICATE",
    "SKIP_EXITS_TODAY",
    "SKIP_FOREIGN",
    "SKIP_NO_PRICE",
    "SKIP_ZERO_SHARES",
    "entry_fill_price",
    "exit_fill_price",
    "floor_to_tick",
    "is_below",
    "plan_entries",
    "protective_stop_price",
    "reaches_stop",
    "round_cents",
    "round_fill",
    "score_beats",
    "snap_split_ratio",
    "split_shares",
    "stop_after_split",
    "stop_exit_price",
    "unrealised_pnl",
    "weakest_index",
]

IntArray = npt.NDArray[np.int64]
FlagArray = npt.NDArray[np.bool_]

# What the entry pass decides about a candidate.
ENTER = 0
ROTATE_IN = 1
SKIP_FOREIGN = 2
SKIP_DUPLICATE = 3
SKIP_EXITS_TODAY = 4
SKIP_NO_PRICE = 5
SKIP_ZERO_SHARES = 6
SKIP_CAPACITY_FULL = 7
SKIP_DAILY_LIMIT = 8

NO_LIMIT = -1
NOT_HELD = -1
NOBODY = -1

_FILL_UNITS = 10_000.0  # fills are multiples of $0.0001
_CENTS = 100.0
_UNIT_NOISE = 1e-6  # of the last digit kept: far above float error, far below any real price
_RELATIVE_NOISE = 1e-15
_SPLIT_TOLERANCE = 1e-4
_SPLIT_LARGEST = 10
_SHARE_NOISE = 1e-6
_PRICE_NOISE = 1e-9


# ------------------------------------------------------------------------------------- rounding


def _round_units(units: float) -> float:
    """``units`` to the nearest whole number, ties to even, float noise ignored."""
    halves = np.rint(2.0 * units) / 2.0
    noise = _UNIT_NOISE + _RELATIVE_NOISE * abs(units)
    return float(np.rint(halves if abs(units - halves) <= noise else units))


def round_fill(price: float) -> float:
    """A fill price: half-even to $0.0001."""
    return _round_units(price * _FILL_UNITS) / _FILL_UNITS


def round_cents(amount_usd: float) -> float:
    """A profit or loss: half-even to the cent."""
    return _round_units(amount_usd * _CENTS) / _CENTS


def floor_to_tick(price: float) -> float:
    """``price`` rounded down to the tick: $0.01 from $1 on, $0.0001 below."""
    per_usd = _CENTS if price >= 1.0 - _UNIT_NOISE / _FILL_UNITS else _FILL_UNITS
    units = price * per_usd
    return math.floor(units + _UNIT_NOISE + _RELATIVE_NOISE * abs(units)) / per_usd


# ---------------------------------------------------------------------------------------- fills


def entry_fill_price(open_price: float, slippage_pct: float) -> float:
    """What a buy at the open costs a share."""
    return round_fill(open_price * (1.0 + slippage_pct / 100.0))


def exit_fill_price(raw: float, slippage_pct: float) -> float:
    """What a sell at the raw price brings a share."""
    return round_fill(raw * (1.0 - slippage_pct / 100.0))


def unrealised_pnl(price: float, quantity: float, cash_usd: float, invested_usd: float) -> float:
    """Profit or loss in USD, to the cent, of ``quantity`` shares at ``price``.

    ``cash_usd`` was paid for fractions of shares at splits. To the cent, because only amounts that
    differ in money can rank positions.
    """
    return round_cents(quantity * price + cash_usd - invested_usd)


# ---------------------------------------------------------------------------------------- stops


def protective_stop_price(entry_price: float, stop_loss_pct: float) -> float:
    """The stop due for a position: the entry price less ``stop_loss_pct``, down to the tick."""
    return floor_to_tick(entry_price * (1.0 - stop_loss_pct / 100.0))


def reaches_stop(price: float, stop: float) -> bool:
    """Whether a price is at or below the stop."""
    return price <= stop * (1.0 + _PRICE_NOISE)


def stop_exit_price(
    open_price: float,
    low: float,
    stop: float,
    is_entry_session: bool,  # noqa: FBT001 - a compiled caller passes by position
    gap_aware: bool,  # noqa: FBT001
) -> float:
    """Raw price at which a session's bar stops a position out, or nan when it does not.

    The stop, or the open when a session after the entry's opened below it and ``gap_aware``. The
    entry session cannot open below its own stop: the entry is at that open.
    """
    if not reaches_stop(low, stop):
        return math.nan
    if gap_aware and not is_entry_session and open_price < stop:
        return open_price
    return stop


def is_below(close: float, indicator: float) -> bool:
    """Whether a weekly close is below its indicator; an undefined indicator (nan) is never broken.

    Both are products of the same adjustment factor, so a tie may differ by float noise.
    """
    return close < indicator * (1.0 - _PRICE_NOISE)


# --------------------------------------------------------------------------------------- splits


def snap_split_ratio(ratio: float) -> float:
    """The split n/m (both at most 10) that ``ratio`` means, or nan if it is no clean split.

    A ratio within 1e-4 of such a fraction is that fraction: 7.000007 is 7. Anything else, such as
    1.487, is the value of a spin-off.
    """
    for old in range(1, _SPLIT_LARGEST + 1):
        new = np.rint(ratio * old)
        if 1 <= new <= _SPLIT_LARGEST and abs(ratio - new / old) <= _SPLIT_TOLERANCE:
            return float(new / old)
    return math.nan


def split_shares(shares: int, ratio: float) -> tuple[int, float]:
    """Whole shares after a split, and the fraction of a share that is paid in cash."""
    exact = shares * ratio
    whole = math.floor(exact + _SHARE_NOISE)
    return whole, max(0.0, exact - whole)


def stop_after_split(stop: float, ratio: float) -> float:
    """The live stop on the new price basis, at a tick the venue accepts."""
    return floor_to_tick(stop / ratio)


# --------------------------------------------------------------------------- rotation and entries


def weakest_index(
    pnl_usd: FloatArray, score: FloatArray, ticker_rank: IntArray, eligible: FlagArray
) -> int:
    """Position with the lowest, strictly negative P&L among the eligible, or -1.

    Ties: the lower score, then the earlier ticker (``ticker_rank``).
    """
    weakest = NOBODY
    for i in range(len(pnl_usd)):
        if not eligible[i] or not pnl_usd[i] < 0.0:
            continue
        if weakest == NOBODY or _is_weaker(i, weakest, pnl_usd, score, ticker_rank):
            weakest = i
    return weakest


def _is_weaker(
    i: int, j: int, pnl_usd: FloatArray, score: FloatArray, ticker_rank: IntArray
) -> bool:
    if pnl_usd[i] != pnl_usd[j]:
        return bool(pnl_usd[i] < pnl_usd[j])
    if score[i] != score[j]:
        return bool(score[i] < score[j])
    return bool(ticker_rank[i] < ticker_rank[j])


def score_beats(challenger: float, holder: float) -> bool:
    """Whether a candidate's score is strictly higher; a missing score (nan) beats nobody."""
    return challenger > holder


def _refusal(foreign: bool, held: bool, leaves: bool, price: float, shares: int) -> int:  # noqa: FBT001
    """The first gate that a candidate fails, or `ENTER` if it passes all."""
    if foreign:
        return SKIP_FOREIGN
    if held:
        return SKIP_EXITS_TODAY if leaves else SKIP_DUPLICATE
    if not price > 0.0:
        return SKIP_NO_PRICE
    return ENTER if shares > 0 else SKIP_ZERO_SHARES


def _way_in(slots: int, may_rotate: bool, limit_reached: bool) -> int:  # noqa: FBT001
    """How a candidate that passed its own gates gets in, or why it does not."""
    if slots <= 0 and not may_rotate:
        return SKIP_CAPACITY_FULL
    if limit_reached:
        return SKIP_DAILY_LIMIT
    return ENTER if slots > 0 else ROTATE_IN


def plan_entries(
    score: FloatArray,
    price: FloatArray,
    foreign: FlagArray,
    held_as: IntArray,
    held_pnl_usd: FloatArray,
    held_score: FloatArray,
    held_rank: IntArray,
    held_leaves: FlagArray,
    held_may_rotate: FlagArray,
    max_positions: int,
    position_size_usd: float,
    rotation: bool,  # noqa: FBT001 - a compiled caller passes by position
    daily_limit: int,
) -> tuple[IntArray, IntArray, int]:
    """Decide every candidate of a session in its order; at most one rotates a holding out.

    Args:
        score: scores of the n candidates, best first; nan = missing.
        price: reference prices in USD; nan = the ticker does not trade.
        foreign: candidates that coincide with holdings outside all books.
        held_as: index of the holding of the same ticker, or -1.
        held_pnl_usd: unrealised P&L of the m holdings at their last close.
        held_score: scores of the holdings; nan = missing.
        held_rank: place of the holdings' tickers in alphabetical order.
        held_leaves: holdings that leave at this open: pending exits that trade.
        held_may_rotate: holdings that trade, have no pending exit and are not of this session.
        max_positions: places in the book.
        position_size_usd: money for one position.
        rotation: whether a holding may be rotated out at all.
        daily_limit: entries and rotations allowed; -1 = no limit.

    Returns:
        Code and shares for each candidate, and the index of the holding rotated out or -1.
    """
    n = len(score)
    codes, shares = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    leaves = held_leaves.copy()
    scored = held_may_rotate & ~np.isnan(held_score)
    weakest = weakest_index(held_pnl_usd, held_score, held_rank, scored) if rotation else NOBODY
    slots = free_slots(max_positions, len(held_score), int(leaves.sum()))
    rotated, bought = NOBODY, 0
    for i in range(n):
        held = held_as[i] != NOT_HELD
        count = whole_shares(position_size_usd, price[i]) if price[i] > 0.0 else 0
        code = _refusal(foreign[i], held, held and leaves[held_as[i]], price[i], count)
        if code == ENTER:
            free = weakest != NOBODY and rotated == NOBODY
            may_rotate = free and score_beats(score[i], held_score[weakest])
            code = _way_in(slots, may_rotate, daily_limit != NO_LIMIT and bought >= daily_limit)
        if code <= ROTATE_IN:
            bought += 1
            shares[i] = count
        if code == ENTER:
            slots -= 1
        if code == ROTATE_IN:
            rotated = weakest
            leaves[weakest] = True
        codes[i] = code
    return codes, shares, rotated
