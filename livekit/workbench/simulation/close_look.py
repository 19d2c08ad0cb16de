"""All invariants after every event: the doctor's checks whenever the venue or the books changed.

The look goes to the venue's application beside the line, so that no fault strikes it and no request
is counted. Promises that compare the two sides may be open for as long as a run has not read what
happened; they are counted as seen then, and must hold again when the day has come to rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from livekit.broker.venue.api import VenueApp
from livekit.invariants import Violation
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.trading.desk import Desk
from livekit.trading.doctor import diagnose
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
        self._looking = False
        self.judged: Counter[str] = Counter()

    def __call__(self) -> None:
        """Judge, unless nothing has changed since the last look."""
        now = (self._stage.state.event_count, self._stage.books.raw.total_changes)
        if self._looking or now == self._seen:
            return
        self._seen = now
        self._looking = True
        try:
            self._judge(diagnose(self._desk()).violations)
        finally:
            self._looking = False

    def _judge(self, violations: tuple[Violation, ...]) -> None:
        self.judged["looks"] += 1
        for item in violations:
            if item.invariant.startswith(AT_REST):
                self.judged[f"open for a while: {item.invariant}"] += 1
            else:
                self._broken(item.invariant, item.facts)

    def _desk(self) -> Desk:
        client = SeamClient(self._app, KEYS, self._stage.clock)
        prices = AlpacaPriceSource(client, self._stage.clock)
        db = self._stage.books.open()
        return Desk(self._stage.profile, db, client, prices, self._stage.clock)
