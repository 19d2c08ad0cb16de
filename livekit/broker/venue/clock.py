"""The venue's clock as a `livekit.clock.Clock`: reading asks the venue, sleeping moves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import requests

from livekit.broker.venue.api import VenueApp
from livekit.errors import VenueUnavailable

__all__ = ["InProcessClock", "RemoteClock"]

CONTROL_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class InProcessClock:
    """The clock of a venue in this process."""

    app: VenueApp

    def now(self) -> datetime:
        """The venue's instant, aware UTC."""
        return self.app.engine.now

    def sleep(self, seconds: float) -> None:
        """Move the venue's clock by ``seconds``; zero and below do nothing."""
        if seconds > 0:
            self.app.engine.advance(self.now() + timedelta(seconds=seconds))
            self.app.save()


class RemoteClock:
    """The clock of a served venue, over its control interface."""

    def __init__(self, control_url: str, control_key: str) -> None:
        self._url = control_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Control-Key"] = control_key

    def now(self) -> datetime:
        """The venue's instant, aware UTC."""
        return self._instant("reading the venue's clock", self._session.get, "clock")

    def sleep(self, seconds: float) -> None:
        """Move the venue's clock by ``seconds``; zero and below do nothing."""
        if seconds > 0:
            step = {"seconds": seconds}
            self._instant("moving the venue's clock", self._session.post, "advance", json=step)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _instant(
        self, what: str, call: Callable[..., requests.Response], name: str, **options: Any
    ) -> datetime:
        try:
            response = call(f"{self._url}/{name}", timeout=CONTROL_TIMEOUT_S, **options)
            response.raise_for_status()
            return datetime.fromisoformat(response.json()["now"])
        except (requests.RequestException, ValueError, KeyError) as error:
            raise VenueUnavailable(what, str(error)) from error
