"""The record as a chain of hashes, one link a session, and the verdicts that were given on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from livekit.state.gateway import Gateway
from livekit.state.tables import record_links, verdicts

__all__ = ["RecordLink", "StoredVerdict", "Verdicts"]


@dataclass(frozen=True, slots=True)
class RecordLink:
    """What was recorded of a session: canonical JSON, chained to the link before by its hash."""

    session: date
    previous: str
    sha256: str
    body: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A verdict as it was given; ``body`` is its canonical JSON."""

    session: date
    registration_sha256: str
    state: str
    sentence: str
    body: str
    at: datetime


class Verdicts(Gateway):
    """``record_links`` and ``verdicts``; both only grow."""

    def add_link(self, link: RecordLink) -> None:
        """Append a session's link; raises `RecordRefused` when the session has one already."""
        values = {
            "session": link.session,
            "previous": link.previous,
            "sha256": link.sha256,
            "body": link.body,
            "linked_at": link.at,
        }
        self._insert(record_links, values)

    def get_links(self) -> tuple[RecordLink, ...]:
        """The chain in the order in which it grew."""
        rows = self._find(record_links, {}, "link_id")
        return tuple(
            RecordLink(row.session, row.previous, row.sha256, row.body, row.linked_at)
            for row in rows
        )

    def add_verdict(self, verdict: StoredVerdict) -> None:
        """Keep a verdict; one that says again what the session's last one said is not repeated."""
        same = [one for one in self.get_verdicts() if one.session == verdict.session][-1:]
        if any((one.body, one.state) == (verdict.body, verdict.state) for one in same):
            return
        values = {
            "session": verdict.session,
            "registration_sha256": verdict.registration_sha256,
            "state": verdict.state,
            "sentence": verdict.sentence,
            "body": verdict.body,
            "decided_at": verdict.at,
        }
        self._insert(verdicts, values)

    def get_verdicts(self) -> tuple[StoredVerdict, ...]:
        """Every verdict in the order in which they were given."""
        rows = self._find(verdicts, {}, "verdict_id")
        return tuple(
            StoredVerdict(
                row.session,
                row.registration_sha256,
                row.state,
                row.sentence,
                row.body,
                row.decided_at,
            )
            for row in rows
        )
