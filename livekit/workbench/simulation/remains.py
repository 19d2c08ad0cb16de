"""What a crash leaves behind, kept at every point of a process while it runs on.

Of a process that dies only the venue's memory and the committed books stay. Both are copied at each
numbered point, so that one run of a process shows every crash that it could have had, and each can
be played on from there. Points between which nothing has changed leave the same behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from livekit.broker.venue.faults import FaultKind
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.points import Cut
from livekit.workbench.simulation.referee import Notes, Referee
from livekit.workbench.simulation.stage import Frozen, clone

__all__ = ["Recorder", "Remains"]


@dataclass(frozen=True, slots=True)
class Remains:
    """What a crash at ``cut`` leaves; ``cuts`` are all points that leave the same."""

    cuts: list[Cut]
    frozen: Frozen
    notes: Notes

    @property
    def cut(self) -> Cut:
        """The first of the points."""
        return self.cuts[0]


class Recorder:
    """A watcher that keeps the remains of every point and passes each event on to the referee."""

    def __init__(self, referee: Referee, books: MemoryBooks, image: bytes) -> None:
        self._referee, self._books, self._image = referee, books, image
        self._counts = {"request": 0, "commit": 0}
        self._mark: tuple[object, ...] = ()
        self._is_over = False
        self.found: list[Remains] = []

    def stop(self) -> None:
        """The process has ended; what follows is not kept."""
        self._is_over = True

    def before_request(self, method: str, path: str, body: bytes) -> None:
        """A point, and the referee's."""
        self._keep("request", "before")
        self._referee.before_request(method, path, body)

    def after_request(self, method: str, asked_at: datetime, struck: FaultKind | None) -> None:
        """The referee's, and a point."""
        self._referee.after_request(method, asked_at, struck)
        self._keep("request", "after")

    def before_commit(self) -> None:
        """A point at which what is about to be committed would be lost."""
        self._keep("commit", "before")
        self._referee.before_commit()

    def after_commit(self) -> None:
        """The referee's, and a point with other books than the one before."""
        self._referee.after_commit()
        if not self._is_over:
            self._image = self._books.image()
        self._keep("commit", "after")

    def _keep(self, kind: str, position: str) -> None:
        if self._is_over:
            return
        self._counts[kind] += position == "before"
        cut = Cut(kind, self._counts[kind], position)
        state, hindrances = self._referee.state(), self._referee.hindrances
        served = hindrances[-1].end if hindrances else None
        mark = (id(self._image), state.event_count, state.clock, len(hindrances), served)
        if mark == self._mark:
            self.found[-1].cuts.append(cut)
            return
        self._mark = mark
        frozen = Frozen(self._image, clone(state))
        self.found.append(Remains([cut], frozen, self._referee.notes()))
