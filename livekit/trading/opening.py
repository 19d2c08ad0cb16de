"""Opening a desk: the venue that a profile names, its books, its prices and its clock."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from livekit.broker import AlpacaClient
from livekit.broker.venue.session import (
    VenueHandle,
    connect_venue,
    in_process_venue,
    served_venue,
)
from livekit.clock import Clock, SystemClock
from livekit.config import Profile, resolve_credentials
from livekit.errors import LockHeld, PathUnusable, StateUnusable
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.prices.fmp_source import FmpPriceSource
from livekit.prices.point_in_time import PointInTimeCache
from livekit.prices.remembered import RememberedSource
from livekit.prices.source import PriceSource
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.registration import profile_from_registration

__all__ = [
    "Link",
    "desk_on",
    "open_desk",
    "open_link",
    "price_source",
    "registered_profile",
    "sole_runner",
    "sole_writer",
]

CONTROL_URL = "LIVEKIT_VENUE_CONTROL_URL"


class Link:
    """A live connection: the client, the clock that goes with it, and what children need of it."""

    def __init__(
        self,
        client: AlpacaClient,
        clock: Clock,
        environment: Mapping[str, str],
        venue: VenueHandle | None = None,
    ) -> None:
        self.client = client
        self.clock = clock
        self.environment = environment
        self.venue = venue


@contextmanager
def open_link(
    profile: Profile,
    *,
    mode: Literal["in_process", "served"] = "in_process",
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Link]:
    """Connect to the profile's venue.

    A simulated venue that a parent process already runs is joined through the environment;
    otherwise this command owns it, in process or as a child that others can reach.
    """
    if profile.venue == "alpaca-paper":
        yield _paper_link(profile)
    elif CONTROL_URL in environ:
        yield _venue_link(profile, connect_venue(environ))
    else:
        owner = in_process_venue if mode == "in_process" else served_venue
        with owner(profile) as venue:
            yield _venue_link(profile, venue)


def _paper_link(profile: Profile) -> Link:
    key, secret = resolve_credentials()
    clock = SystemClock()
    client = AlpacaClient(
        key, secret, profile.trading.alpaca_base_url, clock=clock, data_feed=profile.data_feed
    )
    return Link(client, clock, {})


def _venue_link(profile: Profile, venue: VenueHandle) -> Link:
    client = AlpacaClient(
        venue.api_key,
        venue.secret_key,
        venue.base_url,
        data_url=venue.data_url,
        transport=venue.transport,
        clock=venue.clock,
        data_feed=profile.data_feed,
    )
    return Link(client, venue.clock, venue.environment(), venue)


def desk_on(profile: Profile, link: Link, db: StateDB, *, who: str = "livekit") -> Desk:
    """A desk on an open link and an open database."""
    prices = RememberedSource(price_source(profile, link.client, link.clock), link.clock)
    return Desk(profile, db, link.client, prices, link.clock, who)


def price_source(profile: Profile, client: AlpacaClient, clock: Clock) -> PriceSource:
    """Who tells the profile's daily bars; FMP's answers are kept as they were on each day.

    Raises `KeysMissing` when FMP is asked for and its key is nowhere.
    """
    if profile.price_source == "fmp":
        source = FmpPriceSource.from_environment(clock)
        return PointInTimeCache(source, profile.home / "prices" / "fmp", clock)
    return AlpacaPriceSource(client, clock)


@contextmanager
def open_desk(
    profile: Profile,
    *,
    mode: Literal["in_process", "served"] = "in_process",
    who: str = "livekit",
) -> Iterator[Desk]:
    """Open the profile's database and venue; raises `StateUnusable` before `livekit init`."""
    with StateDB(profile.state_db) as db, open_link(profile, mode=mode) as link:
        yield desk_on(profile, link, db, who=who)


def registered_profile(state_db: Path) -> Profile:
    """The profile that a state database was registered with."""
    with StateDB(state_db) as db:
        registration = db.registration()
    if registration is None:
        raise StateUnusable(state_db, "holds no registration")
    return profile_from_registration(state_db, json.loads(registration.body))


@contextmanager
def sole_writer(profile: Profile) -> Iterator[None]:
    """Hold the profile's lock while orders are sent or books changed; raises `LockHeld`."""
    with _locked(profile.home / "writer.lock"):
        yield


@contextmanager
def sole_runner(profile: Profile) -> Iterator[None]:
    """Hold the lock of the daily run, so that no phase is started twice; raises `LockHeld`."""
    with _locked(profile.home / "daily.lock"):
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockHeld(str(path)) from error
    except OSError as error:
        raise PathUnusable(path, error.strerror or str(error)) from error
    try:
        yield
    finally:
        lock.release()
