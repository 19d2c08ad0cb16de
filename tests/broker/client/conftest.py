from __future__ import annotations

import pytest
from scripted_venue import KEY, SECRET, ScriptedVenue, StandingClock

from livekit.broker import AlpacaClient


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def client(venue: ScriptedVenue, clock: StandingClock) -> AlpacaClient:
    return AlpacaClient(KEY, SECRET, transport=venue, clock=clock)
