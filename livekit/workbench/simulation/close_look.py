"""All invariants after every event: the doctor's checks whenever the venue or the books changed.

The look goes to the venue's application beside the line, so that no fault strikes it and no request
is counted. A side on which nothing has happened since the last look is not read again, and a check
is not asked again about the very same facts. Promises that compare the two sides may be open for as
long as a run has not read what happened; they are counted as seen then, and must hold again when
the day has come to rest. One thing is left to the ends of the runs and of the day: SQLite's own
verdict on the pages of the database, which no event of a day in memory can damage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, cast

from livekit.broker.venue.api import VenueApp
from livekit.config import LiveConfig
from livekit.invariants import BooksView, Check, Facts, VenueView, Violation
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.trading.desk import Desk
from livekit.trading.doctor import BOOK_FACTS, Diagnosis, compared, their_side
from livekit.workbench.simulation.seam import SeamClient
from livekit.workbench.simulation.stage import KEYS, Stage

__all__ = ["AT_REST", "CloseLook", "KnownAnswers"]

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
        self._ask = KnownAnswers()
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

    def close(self) -> None:
        """Give back the handle of the books."""
        self._desk.db.close()

    def _diagnosis(self) -> Diagnosis:
        ours = self._ours = self._ours or self._our_side()
        theirs, now = self._theirs or their_side(self._desk), self._desk.clock.now()
        self._theirs = theirs if theirs.now == now else replace(theirs, now=now)
        return compared(ours, self._theirs, self._desk.config, ask=self._ask)

    def _our_side(self) -> BooksView:
        known = self._stage.books.answers.derived
        return BooksView(
            **{name: known(name, partial(read, self._desk)) for name, read in BOOK_FACTS.items()}
        )

    def _judge(self, violations: tuple[Violation, ...]) -> None:
        self.judged["looks"] += 1
        for item in violations:
            if item.invariant.startswith(AT_REST) or self._is_of_old_basis(item):
                self.judged[f"open for a while: {item.invariant}"] += 1
            elif not self.excused(item.facts):
                self._broken(item.invariant, item.facts)

    def _is_of_old_basis(self, item: Violation) -> bool:
        return item.invariant.startswith("I07") and item.facts.startswith(f"{self.splitting}:")

    @cached_property
    def _desk(self) -> Desk:
        client = SeamClient(self._app, KEYS, self._stage.clock)
        prices = AlpacaPriceSource(client, self._stage.clock)
        db = self._stage.open_books()
        return Desk(self._stage.profile, db, client, prices, self._stage.clock)


def _never(text: str) -> bool:
    del text
    return False


# ------------------------------------------------------------------------------ answers of checks


class _Noting:
    """One side; ``looked_at`` are those of its facts that a check has used."""

    __slots__ = ("_side", "looked_at")

    def __init__(self, side: BooksView | VenueView) -> None:
        self._side = side
        self.looked_at: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        value = self.looked_at[name] = getattr(self._side, name)
        return value


@dataclass(frozen=True, slots=True)
class _Answer:
    config: LiveConfig
    ours: Mapping[str, Any]
    theirs: Mapping[str, Any]
    found: tuple[str, ...]

    def holds(self, facts: Facts) -> bool:
        """Whether everything that the check used is the very same object."""
        return (
            facts.config is self.config
            and all(getattr(facts.ours, name) is fact for name, fact in self.ours.items())
            and all(getattr(facts.theirs, name) is fact for name, fact in self.theirs.items())
        )


class KnownAnswers:
    """Asks a check again only when a fact that it used the last time is another object.

    Checks are pure and facts immutable, so a check that would come to look at anything else would
    first have to meet a fact that has changed.
    """

    def __init__(self) -> None:
        self._known: dict[Check, _Answer] = {}

    def __call__(self, check: Check, facts: Facts) -> Iterable[str]:
        """What the check finds."""
        known = self._known.get(check)
        if known is None or not known.holds(facts):
            ours, theirs = _Noting(facts.ours), _Noting(facts.theirs)
            noted = replace(facts, ours=cast("BooksView", ours), theirs=cast("VenueView", theirs))
            found = tuple(check(noted))
            known = _Answer(facts.config, ours.looked_at, theirs.looked_at, found)
            self._known[check] = known
        return known.found
