"""All invariants after every event: the doctor's checks whenever the venue or the books changed.

The look goes to the venue's application beside the line, so that no fault strikes it and no request
is counted. A side on which nothing has happened since the last look is not read again. Promises
that compare the two sides may be open for as long as a run has not read what happened; they are
counted as seen then, and must hold again when the day has come to rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from livekit.broker.venue.api import VenueApp
from livekit.invariants import BooksView, VenueView, Violation
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.trading.desk import Desk
from livekit.trading.doctor import Diagnosis, compared, our_side, their_side
from livekit.workbench.simulation.seam import SeamClient
from livekit.workbench.simulation.stage import KEYS, Stage

__all__ = ["AT_REST", "CloseLook"]

# Compared between the sides, or closed by the record that ends a run.
AT_REST = ("I02", "I03", "I05", "I06", "I08", "I09", "I11", "I12", "I27", "I29")


class CloseLook:
    """The doctor after every event of one day."""

    def __init__(self, stage: Stage, broken: Callable[[str, str], None]) -> None:
        self._stage = stage
        self._app = VenueApp(stage.app.engine, KEYS)  # the same venue through another gate
        self._broken = broken
        self._seen: tuple[int, int] = (-1, -1)
        self._ours: BooksView | None = None
        self._theirs: VenueView | None = None
        self.splitting: str | None = None  # its ex-date is today: a leg may exceed the shares
        self.excused: Callable[[str], bool] = _never
        self._looking = False
        self.judged: Counter[str] = Counter()

    def __call__(self) -> None:
        """Judge, unless nothing has changed since the last look."""
        now = (self._stage.state.event_count, self._stage.books.raw.total_changes)
        if self._looking or now == self._seen:
            return
        if now[0] != self._seen[0]:
            self._theirs = None
        if now[1] != self._seen[1]:
            self._ours = None
        self._seen = now
        self._looking = True
        try:
            self._judge(self._diagnosis().violations)
        finally:
            self._looking = False

    def _diagnosis(self) -> Diagnosis:
        desk = self._desk()
        ours = self._ours = self._ours or our_side(desk)
        theirs = self._theirs = self._theirs or their_side(desk)
        return compared(ours, replace(theirs, now=desk.clock.now()), desk.config)

    def _judge(self, violations: tuple[Violation, ...]) -> None:
        self.judged["looks"] += 1
        for item in violations:
            if item.invariant.startswith(AT_REST) or self._is_of_old_basis(item):
                self.judged[f"open for a while: {item.invariant}"] += 1
            elif not self.excused(item.facts):
                self._broken(item.invariant, item.facts)

    def _is_of_old_basis(self, item: Violation) -> bool:
        return item.invariant.startswith("I07") and item.facts.startswith(f"{self.splitting}:")

    def _desk(self) -> Desk:
        client = SeamClient(self._app, KEYS, self._stage.clock)
        prices = AlpacaPriceSource(client, self._stage.clock)
        db = self._stage.open_books()
        return Desk(self._stage.profile, db, client, prices, self._stage.clock)


def _never(text: str) -> bool:
    del text
    return False
