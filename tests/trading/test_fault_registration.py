"""Registering a profile: whole or not at all, and what was there before stays outside our books."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from livekit.broker import AlpacaClient
from livekit.broker.venue.session import VenueHandle, in_process_venue
from livekit.config import LiveConfig, Profile
from livekit.errors import PathUnusable, StateUnusable
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.opening import sole_writer
from livekit.trading.reconciliation import reconcile
from livekit.trading.registration import register_profile
from tests.trading.crashing import Crash
from tests.trading.faults import MONDAY
from tests.trading.world import FIRST, World, market_file, world


class Dying:
    """An amount of cash at which the process dies."""

    def __str__(self) -> str:
        raise Crash("while the registration is written")


class DyingClient:
    """A client whose account kills whoever writes it down."""

    def __init__(self, client: AlpacaClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_account(self) -> Any:
        return replace(self._client.get_account(), cash=Dying())  # type: ignore[arg-type]


def new_profile(folder: Path) -> Profile:
    market = market_file(folder / "market.parquet", {"AAPL": 100.0, "ABC": 50.0})
    return Profile(
        venue="simulated",
        first_session=FIRST,
        prices=market,
        name="world",
        outputs=folder,
        trading=LiveConfig(max_positions=3),
    )


def client_of(venue: VenueHandle) -> AlpacaClient:
    return AlpacaClient(
        venue.api_key,
        venue.secret_key,
        venue.base_url,
        data_url=venue.data_url,
        transport=venue.transport,
        clock=venue.clock,
    )


def test_a_registration_that_dies_half_way_can_be_made_again(tmp_path: Path) -> None:
    profile = new_profile(tmp_path)
    with in_process_venue(profile) as venue:
        with pytest.raises(Crash):
            register_profile(profile, DyingClient(client_of(venue)), venue.clock)  # type: ignore[arg-type]
        assert not profile.state_db.exists()
        register_profile(profile, client_of(venue), venue.clock)
        with StateDB(profile.state_db) as db:
            assert db.registration() is not None
            assert not db.is_kill_switch_on()
    left = [item.name for item in profile.home.iterdir() if item.name.endswith((".new", "-wal"))]
    assert left == []


def test_orders_that_were_open_before_are_outside_our_books(tmp_path: Path) -> None:
    profile = new_profile(tmp_path)
    with in_process_venue(profile) as venue:
        client = client_of(venue)
        client.place_order("ABC", 5, "buy", client_order_id="from-before")
        register_profile(profile, client, venue.clock)
        with StateDB(profile.state_db) as db:
            desk = Desk(profile, db, client, None, venue.clock)  # type: ignore[arg-type]
            assert reconcile(desk, MONDAY) == ()


@pytest.fixture
def registered(tmp_path: Path) -> World:
    with world(tmp_path, {"ABC": 50.0}) as w:
        return w


def test_a_database_marked_read_only_is_refused_even_to_a_user_who_could_write_it(
    registered: World,
) -> None:
    path = registered.profile.state_db
    path.chmod(0o400)
    before = path.read_bytes()
    with pytest.raises(StateUnusable, match="is read-only"):
        StateDB(path)
    assert path.read_bytes() == before


def test_a_database_in_a_folder_marked_read_only_is_refused(registered: World) -> None:
    home = registered.profile.home
    before = {item.name for item in home.iterdir()}
    home.chmod(0o500)
    try:
        with pytest.raises(StateUnusable, match="read-only folder"):
            StateDB(registered.profile.state_db)
        assert {item.name for item in home.iterdir()} == before
    finally:
        home.chmod(0o700)


def test_a_lock_that_cannot_be_made_is_one_clear_error(registered: World) -> None:
    lock = registered.profile.home / "writer.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(PathUnusable, match=r"writer\.lock"), sole_writer(registered.profile):
        pass
