"""Verdict and replay of a profile, for the command line: the books are opened, nothing is sent."""

from __future__ import annotations

from datetime import date

from livekit.config import Profile
from livekit.errors import NotASession
from livekit.prices import ParquetPriceSource
from livekit.sessions import parse_session
from livekit.state import StateDB
from livekit.trading.opening import open_desk
from livekit.trading.registration_record import read_registration, registration_lines
from livekit.trading.replay import ReplayReport, replay_record
from livekit.trading.verdict_inputs import FullVerdict, full_verdict

__all__ = ["registered_lines", "replay_of_profile", "verdict_of_profile"]


def verdict_of_profile(profile: Profile, session: date | None) -> FullVerdict:
    """The verdict up to ``session``, by default the last recorded one.

    Raises `StateUnusable` before ``livekit init`` and `NotASession` before the first session is
    settled, or for a date that is none.
    """
    with StateDB(profile.state_db) as db:
        recorded = [link.session for link in db.get_links()]
        chosen = parse_session(session.isoformat()) if session else max(recorded, default=None)
        if chosen is None:
            raise NotASession("the record", "no session is settled yet")
        return full_verdict(db, profile.home, profile.trading, chosen)


def replay_of_profile(
    profile: Profile, first: date | None, last: date | None, *, present: bool = False
) -> ReplayReport:
    """Replay a profile's record; raises what `replay_record` raises."""
    if first is None or last is None:
        raise NotASession("replay", "needs its first and its last session")
    if present and profile.venue != "simulated":
        with open_desk(profile) as desk:
            return replay_record(
                desk.db, profile.home, profile.trading, first, last, present=desk.prices
            )
    prices = ParquetPriceSource(profile.prices) if present else None
    with StateDB(profile.state_db) as db:
        return replay_record(db, profile.home, profile.trading, first, last, present=prices)


def registered_lines(profile: Profile) -> tuple[str, ...]:
    """What was registered about the decision, for a person."""
    with StateDB(profile.state_db) as db:
        return registration_lines(read_registration(db.registration(), profile.state_db))
