"""The two venues that a desk can stand at: the simulated one and Alpaca paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Any

import pytest
import requests
from conformance_desk import Desk
from requests.adapters import BaseAdapter

from livekit.broker.venue.api import VenueApp, VenueKeys
from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.engine.settings import FillModelName
from livekit.broker.venue.session import VenueSpec, open_app
from livekit.broker.venue.transport import VenueTransport
from livekit.clock import SystemClock, sleep_until
from livekit.config import DATA_HOST, PAPER_HOST, Profile

SYMBOL = "F"
PAPER_URL, DATA_URL = f"https://{PAPER_HOST}", f"https://{DATA_HOST}"
IN_SESSION = datetime(2020, 1, 30, 15, 0, tzinfo=UTC)  # Thursday, 10:00 in New York
LIVE_KEYS = ("AK", "CK")
KEYS = VenueKeys("SIMDESK", "secret", "control")
SIMULATED_URL = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Carrier:
    """A stand-in for Alpaca paper: it takes the requests for its addresses, and waits for us."""

    adapter: BaseAdapter
    wait: Callable[[float], None]


def _session(key: str, secret: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["APCA-API-KEY-ID"] = key
    session.headers["APCA-API-SECRET-KEY"] = secret
    return session


@contextmanager
def _cleaned(desk: Desk) -> Iterator[Desk]:
    """The desk, which is cleaned up whatever ends its test, also an interrupt."""
    try:
        yield desk
    finally:
        desk.clean_up()


@contextmanager
def simulated_app(fill_model: FillModelName = "paper", **settings: Any) -> Iterator[VenueApp]:
    """A new account in memory, in the middle of a session, under these settings."""
    profile = Profile(venue="simulated", first_session=date(2020, 1, 30), fill_model=fill_model)
    spec = VenueSpec.of_profile(profile)
    chosen = replace(spec, settings=replace(spec.settings, **settings), book=None)
    with open_app(chosen, KEYS) as app:
        app.engine.advance(IN_SESSION)
        yield app


@contextmanager
def simulated_desk(fill_model: FillModelName = "paper", **settings: Any) -> Iterator[Desk]:
    """A desk at a venue of its own."""
    with (
        simulated_app(fill_model, **settings) as app,
        _session(KEYS.api_key, KEYS.secret_key) as session,
    ):
        session.mount(SIMULATED_URL, VenueTransport(app))
        clock = InProcessClock(app)
        urls = SIMULATED_URL, SIMULATED_URL
        desk = Desk(session, *urls, SYMBOL, clock.sleep, is_paper=False)
        desk.app, desk.advance = app, lambda instant: sleep_until(clock, instant)
        with _cleaned(desk):
            yield desk


@contextmanager
def paper_desk(environ: Mapping[str, str], carrier: Carrier | None = None) -> Iterator[Desk]:
    """The paper account whose keys the environment holds, flat in the symbol before and after."""
    key, secret = environ.get("APCA_API_KEY_ID"), environ.get("APCA_API_SECRET_KEY")
    if not key or not secret:
        pytest.skip("APCA_API_KEY_ID and APCA_API_SECRET_KEY are not set")
    if key.startswith(LIVE_KEYS):
        pytest.exit("these are the keys of a live account", returncode=2)
    wait = carrier.wait if carrier else SystemClock().sleep
    with _session(key, secret) as session:
        for url in (PAPER_URL, DATA_URL) if carrier else ():
            session.mount(url, carrier.adapter)
        desk = Desk(session, PAPER_URL, DATA_URL, SYMBOL, wait, is_paper=True)
        open_orders = desk.get("/v2/orders", status="open", symbols=SYMBOL)
        if open_orders.status != HTTPStatus.OK:
            pytest.exit(f"Alpaca paper refuses the keys ({open_orders.status})", returncode=2)
        if desk.held() or open_orders.body:
            pytest.exit(f"the account already trades {SYMBOL}", returncode=2)
        with _cleaned(desk):
            yield desk
