"""``pytest tests/conformance`` asks the simulated venue; ``--paper`` asks Alpaca paper instead.

Paper wants ``APCA_API_KEY_ID`` and ``APCA_API_SECRET_KEY`` of a paper account that holds nothing in
the symbol and has no open order in it; each test trades one share at most.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
import requests
from conformance_desk import Desk

from livekit.broker.venue.session import in_process_venue
from livekit.clock import SystemClock, sleep_until
from livekit.config import DATA_HOST, PAPER_HOST, Profile

SYMBOL = "F"
IN_SESSION = datetime(2020, 1, 30, 15, 0, tzinfo=UTC)  # Thursday, 10:00 in New York


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--paper", action="store_true", help="ask Alpaca paper")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simulated_only: moves the clock of the venue")
    config.addinivalue_line("markers", "in_session: needs an open market")


def _asks_paper(config: pytest.Config) -> bool:
    return bool(config.getoption("--paper", default=False))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not _asks_paper(config):
        return
    for item in items:
        if item.get_closest_marker("simulated_only"):
            item.add_marker(pytest.mark.skip(reason="the clock of Alpaca does not move for us"))


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    source = _paper() if _asks_paper(request.config) else _simulated()
    for desk in source:
        if request.node.get_closest_marker("in_session") and not desk.is_open:
            pytest.skip("the market is closed")
        yield desk
        desk.clean_up()


def _session(key: str, secret: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["APCA-API-KEY-ID"] = key
    session.headers["APCA-API-SECRET-KEY"] = secret
    return session


def _simulated() -> Iterator[Desk]:
    profile = Profile(venue="simulated", first_session=date(2020, 1, 30), fill_model="paper")
    with in_process_venue(profile, in_memory=True) as venue:
        sleep_until(venue.clock, IN_SESSION)
        session = _session(venue.api_key, venue.secret_key)
        session.mount(venue.base_url, venue.transport)
        wait = venue.clock.sleep
        desk = Desk(session, venue.base_url, venue.data_url, SYMBOL, wait, is_paper=False)
        desk.engine = venue.engine
        desk.advance = lambda instant: sleep_until(venue.clock, instant)
        yield desk


def _paper() -> Iterator[Desk]:
    key, secret = os.environ.get("APCA_API_KEY_ID"), os.environ.get("APCA_API_SECRET_KEY")
    if not key or not secret:
        pytest.skip("APCA_API_KEY_ID and APCA_API_SECRET_KEY are not set")
    if key.startswith("AK"):
        pytest.exit("these are the keys of a live account", returncode=2)
    with _session(key, secret) as session:
        wait = SystemClock().sleep
        urls = f"https://{PAPER_HOST}", f"https://{DATA_HOST}"
        desk = Desk(session, *urls, SYMBOL, wait, is_paper=True)
        open_orders = desk.get("/v2/orders", status="open", symbols=SYMBOL).body
        if desk.held() or open_orders:
            pytest.exit(f"the account already trades {SYMBOL}", returncode=2)
        yield desk
