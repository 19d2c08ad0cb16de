"""The numbered points of a run: before and after every request and every commit.

A run can be cut at any of them, or something else can happen there: the operator's kill switch, a
step of the clock. A `Crash` is caught by no code of the package, so nothing after the cut runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Act", "Crash", "Cut", "Points", "crash_at", "every_cut"]

Act = Callable[[], None]


class Crash(BaseException):
    """The power goes out."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The n-th request or commit (from 1), before or after it took effect."""

    kind: str  # "request" or "commit"
    number: int
    position: str  # "before" or "after"

    def __str__(self) -> str:
        return f"{self.position} {self.kind} {self.number}"

    @classmethod
    def parse(cls, text: str) -> Cut:
        """The inverse of ``str``."""
        position, kind, number = text.split(" ")
        return cls(kind, int(number), position)


def every_cut(counts: Mapping[str, int]) -> list[Cut]:
    """Every point of a run that made so many requests and commits."""
    return [
        Cut(kind, number, position)
        for kind in ("request", "commit")
        for number in range(1, counts[kind] + 1)
        for position in ("before", "after")
    ]


class Points:
    """Counts requests and commits, and does at each what is due there, once."""

    def __init__(self) -> None:
        self._due: dict[Cut, Act] = {}
        self.counts = {"request": 0, "commit": 0}
        self.reached: list[Cut] = []

    def plan(self, acts: Mapping[Cut, Act]) -> None:
        """From now on count from nought and do these acts."""
        self._due = dict(acts)
        self.counts = {"request": 0, "commit": 0}

    def arrive(self, kind: str, position: str) -> None:
        """A run has come to its next point; what is due there may end it."""
        if position == "before":
            self.counts[kind] += 1
        if not self._due:
            return
        here = Cut(kind, self.counts[kind], position)
        act = self._due.pop(here, None)
        if act is not None:
            self.reached.append(here)
            act()


def crash_at(cut: Cut) -> Act:
    """An act that ends the process."""

    def act() -> None:
        raise Crash(str(cut))

    return act
