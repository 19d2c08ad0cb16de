"""What must hold between our books and the broker's, as pure functions of values.

Each check answers with the violations it found; an empty answer means that it holds. The same
checks run at the end of production runs, in the doctor and in the tests. `CHECKS` are those that
the two sides show by themselves, and `ELSEWHERE` names the promises about several runs or other
material, with what proves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from livekit.config import LiveConfig
from livekit.invariants.facts import (
    ApprovedItem,
    BooksView,
    Facts,
    LoggedRun,
    PlanFacts,
    SwitchFacts,
    VenueView,
    Violation,
    WeekFacts,
)
from livekit.invariants.orders import ORDER_CHECKS
from livekit.invariants.record import OBSERVING, RECORD_CHECKS

__all__ = [
    "CHECKS",
    "ELSEWHERE",
    "OBSERVING",
    "ApprovedItem",
    "Ask",
    "BooksView",
    "Check",
    "Facts",
    "LoggedRun",
    "PlanFacts",
    "SwitchFacts",
    "VenueView",
    "Violation",
    "WeekFacts",
    "asked",
    "broken_invariants",
]

Check = Callable[[Facts], Iterable[str]]
Ask = Callable[[Check, Facts], Iterable[str]]

CHECKS: Mapping[str, Check] = dict(sorted({**ORDER_CHECKS, **RECORD_CHECKS}.items()))

ELSEWHERE: Mapping[str, str] = {
    "I21 idempotent": "compares two runs; the tests do",
    "I22 crash equivalence": "compares crashed runs with a quiet one; the tests do",
    "I23 liveness": "wants runs until quiet; the tests make them",
    "I25 backtest parity": "wants a replay; the comparison of the twins makes it",
    "I30 total parsers": "concerns input before it is in the books",
    "I31 secrecy": "concerns every file; the archive scans before it writes",
    "I32 archive": "concerns the archive; its own verification checks it",
}


def asked(check: Check, facts: Facts) -> Iterable[str]:
    """What a check finds."""
    return check(facts)


def broken_invariants(
    ours: BooksView,
    theirs: VenueView,
    config: LiveConfig,
    *,
    own_id: Callable[[str], tuple[str, str, str] | None],
    due_stop: Callable[[Decimal], Decimal],
    ask: Ask = asked,
) -> tuple[Violation, ...]:
    """Every violation of every check.

    Args:
        ours: Our books.
        theirs: The broker's, read after the books were brought up to date.
        config: Limits and tolerances.
        own_id: Reads a client order id of ours as (ticker, intent, side); None for any other.
        due_stop: The protective stop due from an entry price.
        ask: How a check is asked.
    """
    facts = Facts(ours, theirs, config, own_id, due_stop)
    return tuple(
        Violation(name, text) for name, check in CHECKS.items() for text in ask(check, facts)
    )
