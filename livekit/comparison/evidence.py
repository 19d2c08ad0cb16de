"""How far the record has come towards its first look. Pure.

The first look is due after 90 calendar days or 100 closed trades in the book that has fewer. Until
then the state is CONTINUE, whatever the curves look like; a bare difference of two curves is no
evidence for either rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FIRST_LOOK_DAYS", "FIRST_LOOK_TRADES", "Condition", "Evidence", "first_look"]

FIRST_LOOK_DAYS = 90
FIRST_LOOK_TRADES = 100


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the first look: its value, what is needed, and whether it holds."""

    name: str
    value: str
    needed: str
    met: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the record stands; ``state`` is CONTINUE before the first look, then LOOK."""

    state: Literal["CONTINUE", "LOOK"]
    because: str
    conditions: tuple[Condition, ...]


def first_look(days: int, primary_trades: int, shadow_trades: int) -> Evidence:
    """Whether the first look is due.

    Args:
        days: Calendar days since registration.
        primary_trades: Closed trades of the primary twin.
        shadow_trades: Closed trades of the shadow twin.
    """
    fewer = min(primary_trades, shadow_trades)
    conditions = (
        Condition(
            "calendar days since registration",
            str(days),
            f"≥ {FIRST_LOOK_DAYS}",
            days >= FIRST_LOOK_DAYS,
        ),
        Condition(
            "closed trades in the book with fewer",
            str(fewer),
            f"≥ {FIRST_LOOK_TRADES}",
            fewer >= FIRST_LOOK_TRADES,
        ),
    )
    if any(condition.met for condition in conditions):
        return Evidence(
            "LOOK", f"{days} days and {fewer} trades: the first look is due", conditions
        )
    because = (
        f"not enough evidence: {days} of {FIRST_LOOK_DAYS} days and "
        f"{fewer} of {FIRST_LOOK_TRADES} trades"
    )
    return Evidence("CONTINUE", because, conditions)
