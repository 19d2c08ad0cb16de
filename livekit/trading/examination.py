"""The doctor's word where a run starts and where it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

from livekit.errors import VenueError
from livekit.trading.desk import Desk
from livekit.trading.doctor import Diagnosis, diagnose
from livekit.trading.phases import PhaseOutcome, worst_exit_code
from livekit.trading.venue_look import VenueLook

__all__ = ["AT_THE_END", "AT_THE_START", "Examination", "examine", "with_examinations"]

AT_THE_START = "at the start"
AT_THE_END = "at the end"


@dataclass(frozen=True, slots=True)
class Examination:
    """What the doctor found, as lines; no diagnosis where the venue could not be read."""

    lines: tuple[str, ...]
    diagnosis: Diagnosis | None

    @property
    def exit_code(self) -> int:
        """The diagnosis' exit code if a promise is broken, else 0."""
        if self.diagnosis is None or not self.diagnosis.violations:
            return 0
        return self.diagnosis.exit_code


def examine(desk: Desk, when: str, look: VenueLook | None = None) -> Examination:
    """Check every promise now, against a ``look`` at the venue while it holds.

    A venue that cannot be read is the phases' trouble: they have met it themselves.
    """
    try:
        found = diagnose(desk, look)
    except VenueError as error:
        return Examination((f"{when}: {error}",), None)
    if not found.violations:
        return Examination((f"{when}: {len(found.checks)} promises hold",), found)
    return Examination(tuple(f"broken {when}: {item}" for item in found.violations), found)


def with_examinations(
    outcome: PhaseOutcome, before: Examination, after: Examination
) -> PhaseOutcome:
    """The outcome of a run between two examinations; only the last decides its exit code too.

    Beside a failure a sound examination is not worth a line.
    """
    code = worst_exit_code([outcome.exit_code, after.exit_code])
    first, last = (item.lines if item.exit_code or not code else () for item in (before, after))
    return replace(outcome, lines=(*first, *outcome.lines, *last), exit_code=code)
