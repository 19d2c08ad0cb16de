"""A test that is interrupted while it holds a share; run by `test_conformance_desk` alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from conformance_venues import IN_SESSION, Carrier

from livekit.broker.venue.api import VenueKeys
from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.session import VenueSpec, open_app
from livekit.broker.venue.transport import VenueTransport
from livekit.clock import sleep_until
from livekit.config import Profile


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    names = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
    book = Path(os.environ["STAND_IN_BOOK"])
    profile = Profile(venue="simulated", first_session=date(2020, 1, 30), outputs=book.parent)
    spec = VenueSpec.of_profile(profile)
    keys = VenueKeys(*(os.environ[name] for name in names), "control")
    with open_app(VenueSpec(spec.settings, spec.prices, spec.start, book), keys) as app:
        clock = InProcessClock(app)
        sleep_until(clock, IN_SESSION)
        yield Carrier(VenueTransport(app), clock.sleep)


def test_a_hand_reaches_for_the_keyboard(desk):
    desk.resting()
    desk.bought()
    raise KeyboardInterrupt
