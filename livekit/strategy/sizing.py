"""How many shares, and how many places for them."""

from __future__ import annotations

import math

__all__ = ["free_slots", "whole_shares"]

# A quotient such as 10000 / 0.1 may land a hair below the whole number it stands for.
_QUOTIENT_NOISE = 1e-9


def whole_shares(position_size_usd: float, price: float) -> int:
    """Shares that ``position_size_usd`` buys at ``price`` USD: the quotient, rounded down."""
    return math.floor(position_size_usd / price + _QUOTIENT_NOISE)


def free_slots(max_positions: int, held: int, leaving: int) -> int:
    """Places for new positions: those that are empty and those that empty at this open.

    ``leaving`` counts pending exits whose ticker trades on the session. Below 0 when a book holds
    more than it may.
    """
    return max_positions - held + leaving
