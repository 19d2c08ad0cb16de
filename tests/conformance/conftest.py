"""``pytest tests/conformance`` asks the simulated venue; ``--paper`` asks Alpaca paper instead.

Paper wants ``APCA_API_KEY_ID`` and ``APCA_API_SECRET_KEY`` of a paper account that holds nothing in
the symbol and has no open order in it; each test trades one share at most.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from conformance_desk import Desk
from conformance_venues import Carrier, paper_desk, simulated_desk


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
def carrier() -> Carrier | None:
    """What carries requests for Alpaca paper elsewhere: nothing, unless a test says so."""
    return None


@pytest.fixture
def desk(request: pytest.FixtureRequest, carrier: Carrier | None) -> Iterator[Desk]:
    asks_paper = _asks_paper(request.config)
    with paper_desk(os.environ, carrier) if asks_paper else simulated_desk() as desk:
        if request.node.get_closest_marker("in_session") and not desk.is_open:
            pytest.skip("the market is closed")
        yield desk
