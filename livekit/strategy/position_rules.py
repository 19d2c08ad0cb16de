"""The rules of one open position over plain numbers: its basis, its stop, its end.

The session step on frozen values and the pass over arrays call these, so a position lives by one
copy of them in every book. Percents are percents, prices USD, a missing number is nan.
"""

from __future__ import annotations

import math

from livekit.strategy import rules

__all__ = [
    "STOP_AT_CLOSE",
    "STOP_AT_NEXT_OPEN",
    "STOP_INTRADAY",
    "STOP_MODES",
    "STOP_SKIPS_ENTRY_DAY",
    "awaits_next_open",
    "carry_basis",
    "close_out",
    "completed_weeks",
    "held_quantity",
    "is_held_too_long",
    "is_transition_over",
    "stop_hit_price",
]

STOP_MODES = ("intraday", "close", "close_next_open", "skip_entry_day")
STOP_INTRADAY, STOP_AT_CLOSE, STOP_AT_NEXT_OPEN, STOP_SKIPS_ENTRY_DAY = range(4)

NO_LONGEST_HOLDING = -1


# ---------------------------------------------------------------------------------- price basis


def held_quantity(shares_now: int, reinvested_factor: float) -> float:
    """Shares held today; fractional only after a spin-off was reinvested."""
    return shares_now * reinvested_factor


def carry_basis(
    shares_now: int,
    split_factor: float,
    reinvested_factor: float,
    stop_price: float,
    cash_usd: float,
    split_ratio: float,
    growth: float,
    open_price: float,
    adjust_all: bool,  # noqa: FBT001 - a compiled caller passes by position
) -> tuple[int, float, float, float, float, bool]:
    """The position at the open, after a split or whatever else moved the price basis.

    With ``adjust_all`` the price moves by ``growth`` (of the adjusted against the traded price),
    without by ``split_ratio``: a clean split leaves whole shares and pays the fraction in cash at
    this open; any other ratio is a spin-off and its value buys more of the same share.

    Returns:
        Shares, split factor, reinvested factor, stop, cash, and whether it was a spin-off.
    """
    ratio = growth if adjust_all else rules.snap_split_ratio(split_ratio)
    spun_off = not adjust_all and math.isnan(ratio)
    if spun_off:
        ratio = split_ratio
    if adjust_all or spun_off:
        more = reinvested_factor * ratio
        return shares_now, split_factor * ratio, more, stop_price / ratio, cash_usd, spun_off
    whole, fraction = rules.split_shares(shares_now, ratio)
    cash_usd += fraction * reinvested_factor * open_price
    stop = rules.stop_after_split(stop_price, ratio)
    return whole, split_factor * ratio, reinvested_factor, stop, cash_usd, False


# ------------------------------------------------------------------------------------------ stop


def stop_hit_price(
    mode: int,
    open_price: float,
    low: float,
    close: float,
    stop: float,
    is_entry_session: bool,  # noqa: FBT001
    gap_aware: bool,  # noqa: FBT001
) -> float:
    """Raw price at which the stop takes the position out on this bar, or nan."""
    if mode == STOP_AT_NEXT_OPEN or (mode == STOP_SKIPS_ENTRY_DAY and is_entry_session):
        return math.nan
    if mode == STOP_AT_CLOSE:
        return close if rules.reaches_stop(close, stop) else math.nan
    return rules.stop_exit_price(open_price, low, stop, is_entry_session, gap_aware)


def awaits_next_open(mode: int, close: float, stop: float) -> bool:
    """Whether this close makes the position leave at the next open (``close_next_open``)."""
    return mode == STOP_AT_NEXT_OPEN and rules.reaches_stop(close, stop)


# ----------------------------------------------------------------------------- weeks and the end


def completed_weeks(week: int, started_before: int) -> int:
    """Weeks up to number ``week`` that started after the entry.

    ``started_before`` is the number of weeks whose first session is not after the entry session.
    """
    return max(0, week + 1 - started_before)


def is_transition_over(completed: int, transition_weeks: int) -> bool:
    """Whether enough weeks have completed for the trailing stop to take over.

    The week that decides is one of them, so even without a transition the week of the entry, or
    one that began before it, decides nothing.
    """
    return completed >= max(1, transition_weeks)


def is_held_too_long(days_held: int, longest_days: int) -> bool:
    """Whether the maximal holding in calendar days is reached; -1 = there is none."""
    return longest_days != NO_LONGEST_HOLDING and days_held >= longest_days


def close_out(
    fill: float,
    entry_price: float,
    shares: int,
    quantity: float,
    cash_usd: float,
    split_factor: float,
) -> tuple[float, float, float]:
    """Exit price on the basis of the entry session, profit in USD and return in percent.

    The profit is that of the money: proceeds of the ``quantity`` held today at ``fill`` and cash
    paid for fractions, less what the entry of ``shares`` cost.
    """
    exit_price = rules.round_fill(fill * split_factor)
    pnl_usd = rules.unrealised_pnl(fill, quantity, cash_usd, shares * entry_price)
    return exit_price, pnl_usd, 100.0 * (exit_price / entry_price - 1.0)
