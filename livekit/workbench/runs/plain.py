"""Phases performed without notebooks: what is decided and stored is the same as with them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from livekit.errors import LockHeld
from livekit.model import Plan
from livekit.trading.desk import Desk
from livekit.trading.executor import execution_parts
from livekit.trading.following import alone_or_attached
from livekit.trading.opening import sole_writer
from livekit.trading.phases import (
    COMPARISON,
    EXECUTION,
    PhaseOutcome,
    current_plan,
    joined,
    perform,
    run_executor,
)
from livekit.workbench.daily import Performer, perform_recorded, recorded
from livekit.workbench.verdict.view import read_verdict

__all__ = ["plain_performer"]


def plain_performer(*, sleep: Callable[[float], None]) -> Performer:
    """A performer that runs every phase in this process.

    As with notebooks, an execution attaches to an executor that is at work already, and a
    comparison keeps its verdict. ``sleep`` is the host's, between two looks at that executor.
    """

    def performed(desk: Desk, phase: str, session: date) -> PhaseOutcome:
        if phase == EXECUTION:
            return _execution(desk, session, sleep)
        if phase == COMPARISON:
            with sole_writer(desk.profile):
                return recorded(desk, phase, session, lambda: _compared(desk, session))
        return perform_recorded(desk, phase, session)

    return performed


def _execution(desk: Desk, session: date, sleep: Callable[[float], None]) -> PhaseOutcome:
    try:
        return perform_recorded(desk, EXECUTION, session)
    except LockHeld:
        return recorded(desk, EXECUTION, session, lambda: _attached(desk, session, sleep))


def _attached(desk: Desk, session: date, sleep: Callable[[float], None]) -> PhaseOutcome:
    """Each part by the executor that is at work on it; what nobody carries out is done here."""
    plan = current_plan(desk, session)

    def ended(part: str) -> PhaseOutcome:
        return alone_or_attached(
            desk.profile, plan, part, lambda: _alone(desk, plan, part), sleep=sleep
        )

    return joined([ended(part) for part in execution_parts(desk.config)])


def _alone(desk: Desk, plan: Plan, part: str) -> PhaseOutcome:
    with sole_writer(desk.profile):
        return run_executor(desk, plan, part=part)


def _compared(desk: Desk, session: date) -> PhaseOutcome:
    outcome = perform(desk, COMPARISON, session)
    read_verdict(desk, session, keep=True)
    return outcome
