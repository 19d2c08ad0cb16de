"""A second run attaches to the executor that is at work: it waits, and gives that one's outcome.

Watching needs no lease and changes nothing. Time passes on the host's clock here, since sleeping
on a simulated venue's clock would move it under the executor's feet.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

from livekit.config import Profile
from livekit.errors import LockHeld
from livekit.model import Plan
from livekit.state import Run, StateDB
from livekit.trading.executor import ALL
from livekit.trading.living import is_living
from livekit.trading.phases import EXECUTION, PhaseOutcome

__all__ = ["EXECUTOR", "RUNNING", "alone_or_attached", "follow_executor", "living_executor"]

EXECUTOR = "executor"  # how the executor's own rows of the run log are named
RUNNING = "running"
POLL_S = 0.2
FIRST_SIGN_S = 2.0  # an executor that has just taken the lock opens its row within this time


def living_executor(db: StateDB, profile: Profile, session: date | None = None) -> Run | None:
    """The open run of an executor whose process lives, on one session if it is given."""
    runs = db.get_runs(session=session, phase=EXECUTOR)
    open_ones = [run for run in runs if run.status == RUNNING]
    return next((run for run in open_ones if is_living(profile, run.run_id)), None)


def alone_or_attached(
    profile: Profile,
    plan: Plan,
    part: str,
    act: Callable[[], PhaseOutcome],
    *,
    sleep: Callable[[float], None],
) -> PhaseOutcome:
    """Do ``act``, which carries out the part under the lock; else attach to who does it already.

    Raises `LockHeld` while another run has the lock for something else.
    """
    try:
        return act()
    except LockHeld:
        followed = follow_executor(profile, plan.session, plan.sha256, part=part, sleep=sleep)
    return act() if followed is None else followed


def follow_executor(
    profile: Profile,
    session: date,
    plan_sha256: str,
    *,
    sleep: Callable[[float], None],
    part: str = ALL,
) -> PhaseOutcome | None:
    """Wait for the executor that carries out the session's plan, and tell what it did.

    Returns None when no executor is at work on it, when the plan is another one than the current,
    when it was another part that has ended now, and when the executor died: then whoever asks may
    run one, which recovers.
    """
    with StateDB(profile.state_db) as db:
        stored = db.get_plan(profile.trading.primary_strategy, session)
        if stored is None or stored.sha256 != plan_sha256:
            return None
        run, waited_s = living_executor(db, profile, session), 0.0
        while run is None and waited_s < FIRST_SIGN_S:
            sleep(POLL_S)
            run, waited_s = living_executor(db, profile, session), waited_s + POLL_S
        if run is None:
            return None
        outcome = _ended(db, profile, run, sleep)
        return outcome if run.part in (None, ALL, part) else None


def _ended(
    db: StateDB, profile: Profile, run: Run, sleep: Callable[[float], None]
) -> PhaseOutcome | None:
    while is_living(profile, run.run_id):
        sleep(POLL_S)
    runs = db.get_runs(session=run.session, phase=EXECUTOR)
    last = next(item for item in runs if item.run_id == run.run_id)
    return None if last.status == RUNNING else _outcome(last)


def _outcome(run: Run) -> PhaseOutcome:
    lines = tuple(json.loads(run.record_json)["lines"]) if run.record_json else (run.message,)
    told = (f"attached to the executor of run {run.run_id}, which was at work already", *lines)
    return PhaseOutcome(EXECUTION, run.session, run.exit_code or 0, told)
