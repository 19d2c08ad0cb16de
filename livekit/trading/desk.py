"""The desk: everything acting code is handed, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from livekit.broker import AlpacaClient
from livekit.clock import Clock
from livekit.config import LiveConfig, Profile
from livekit.prices.source import PriceSource
from livekit.sessions import session_of
from livekit.state import StateDB

__all__ = ["Desk"]


@dataclass(frozen=True, slots=True)
class Desk:
    """A profile with its open books, its broker, its prices and its clock.

    ``who`` names the actor that decisions are recorded under, ``lease`` is the fencing token of
    the run that acts, if one does.
    """

    profile: Profile
    db: StateDB
    client: AlpacaClient
    prices: PriceSource
    clock: Clock
    who: str = "livekit"
    lease: int | None = None

    @property
    def config(self) -> LiveConfig:
        """The trading parameters."""
        return self.profile.trading

    def order_session(self) -> date:
        """The session that an order sent now belongs to."""
        return session_of(self.clock.now())
