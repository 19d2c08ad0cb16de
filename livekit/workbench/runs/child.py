"""The executor as a process of its own, which goes on when the one that started it dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date

from livekit.errors import RunIncomplete
from livekit.model import Plan
from livekit.trading.desk import Desk
from livekit.trading.executor import execution_parts
from livekit.trading.phases import EXECUTION, PhaseOutcome, current_plan, joined
from livekit.trading.plans import plan_file_name

__all__ = ["execute_as_child"]

LOOKS_A_SECOND = 2


def execute_as_child(
    desk: Desk,
    session: date,
    environment: Mapping[str, str],
    *,
    meanwhile: Callable[[], None],
) -> PhaseOutcome:
    """Carry out the session's stored plan, one process after the other for each of its parts.

    ``environment`` is what a process needs to reach the venue; ``meanwhile`` is called twice a
    second. Raises `PlanRefused` without a plan and `RunIncomplete` when a process ended silently.
    """
    plan = current_plan(desk, session)
    parts = execution_parts(desk.config)
    children = (_start(desk, plan, part, environment) for part in parts)
    return joined([_ended(child, plan, meanwhile) for child in children])


def _start(
    desk: Desk, plan: Plan, part: str, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    profile = desk.profile
    options = {
        "--signals-file": profile.signals_dir / plan_file_name(plan.strategy, plan.session),
        "--state-db": profile.state_db,
        "--manifest": profile.manifest,
        "--phase": part,
    }
    words = [str(word) for pair in options.items() for word in pair]
    return subprocess.Popen(
        [sys.executable, "-m", "livekit.executor", *words, "-v"],
        env={**os.environ, **environment},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ended(child: subprocess.Popen[str], plan: Plan, meanwhile: Callable[[], None]) -> PhaseOutcome:
    while True:
        try:
            out, err = child.communicate(timeout=1 / LOOKS_A_SECOND)
        except subprocess.TimeoutExpired:
            meanwhile()
        else:
            break
    lines = tuple(f"{out}{err}".splitlines())
    if child.returncode == 1 and not lines:
        raise RunIncomplete(EXECUTION, plan.session, "the executor ended without a word")
    return PhaseOutcome(EXECUTION, plan.session, child.returncode, lines)
