"""The owner of a simulated venue: opens a profile's book for the length of a command.

`in_process_venue` runs it in this process without a socket, `served_venue` as a child process on
loopback. Children of the command reach a served venue by the variables of
`VenueHandle.environment`; keys are random for each run and never appear in an argument.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path

from requests.adapters import BaseAdapter

from livekit.broker.venue.api import VenueApp, VenueKeys, looks_real
from livekit.broker.venue.book import Book
from livekit.broker.venue.clock import InProcessClock, RemoteClock
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.engine.settings import VenueSettings, worst_case
from livekit.broker.venue.transport import VenueTransport
from livekit.clock import Clock
from livekit.config import LOOPBACK_HOST, Profile, require_allowed_host
from livekit.errors import HostRefused, KeysMissing, NotASession, VenueUnavailable
from livekit.sessions import EXCHANGE_ZONE, is_session

__all__ = [
    "VenueHandle",
    "VenueSpec",
    "connect_venue",
    "fresh_keys",
    "in_process_venue",
    "keys_from",
    "open_app",
    "served_venue",
]

PACKAGED_PRICES = Path(__file__).parents[2] / "data" / "demo_prices.parquet"
IN_PROCESS_URL = (
    f"http://{LOOPBACK_HOST}:9"  # the discard port: a request that escaped finds nobody
)
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
KEY_VARIABLES = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "LIVEKIT_VENUE_CONTROL_KEY")
VARIABLES = (
    "APCA_API_BASE_URL",
    "APCA_API_DATA_URL",
    "APCA_API_KEY_ID",
    "APCA_API_SECRET_KEY",
    "LIVEKIT_VENUE_CONTROL_URL",
    "LIVEKIT_VENUE_CONTROL_KEY",
)


@dataclass(frozen=True, slots=True)
class VenueHandle:
    """A running venue.

    In process, ``transport`` and ``engine`` are set; ``process_id`` is that of a child of ours.
    """

    base_url: str
    data_url: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    control_key: str = field(repr=False)
    clock: Clock
    transport: BaseAdapter | None = None
    engine: Engine | None = None
    process_id: int | None = None

    @property
    def control_url(self) -> str:
        """Base of the control interface."""
        return f"{self.base_url}/control"

    def environment(self) -> dict[str, str]:
        """The variables by which a child process reaches this venue."""
        values = (
            self.base_url,
            self.data_url,
            self.api_key,
            self.secret_key,
            self.control_url,
            self.control_key,
        )
        return dict(zip(VARIABLES, values, strict=True))


@dataclass(frozen=True, slots=True)
class VenueSpec:
    """What a venue is made of. ``book`` None keeps it in memory."""

    settings: VenueSettings
    prices: Path
    start: datetime
    book: Path | None

    @classmethod
    def of_profile(cls, profile: Profile) -> VenueSpec:
        """The venue of a profile; its clock begins at midnight of the first session."""
        trading = profile.trading
        settings = VenueSettings(
            seed=profile.seed,
            fill_model=profile.fill_model,
            cash_usd=Decimal(repr(profile.venue_cash_usd)),
            slippage_pct=trading.slippage_pct,
            entry_slippage_pct=trading.entry_slippage_pct,
            data_plan="plus" if profile.data_feed == "sip" else "basic",
        )
        first = profile.first_session
        if first is None or not is_session(first):
            raise NotASession(first, "the profile's first_session must be a session")
        start = datetime.combine(first, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)
        if profile.fill_model == "rough":
            settings = worst_case(settings)
        return cls(settings, profile.prices or PACKAGED_PRICES, start, profile.venue_db)

    def arguments(self) -> list[str]:
        """The command line that makes the same venue in another process; it holds no secret."""
        values = asdict(self.settings) | {"cash_usd": f"{self.settings.cash_usd:f}"}
        options = {
            "--book": str(self.book),
            "--prices": str(self.prices),
            "--start": self.start.isoformat(),
            "--settings": json.dumps(values),
        }
        return [word for option in options.items() for word in option]

    @classmethod
    def of_arguments(cls, book: str, prices: str, start: str, settings: str) -> VenueSpec:
        """The inverse of `arguments`."""
        values = json.loads(settings)
        known = VenueSettings(**(values | {"cash_usd": Decimal(values["cash_usd"])}))
        return cls(known, Path(prices), datetime.fromisoformat(start), Path(book))


def fresh_keys() -> VenueKeys:
    """Random keys that cannot be mistaken for Alpaca's."""
    return VenueKeys(
        api_key=f"SIM{secrets.token_hex(10).upper()}",
        secret_key=secrets.token_urlsafe(32),
        control_key=secrets.token_urlsafe(32),
    )


@contextmanager
def open_app(spec: VenueSpec, keys: VenueKeys) -> Iterator[VenueApp]:
    """Open the book (or begin one) and put the application on it.

    Raises `BadInput` for an unusable price file or a book of another venue, and `LockHeld` when
    another process has the book.
    """
    history = PriceHistory.from_parquet(spec.prices)
    if spec.book is None:
        yield VenueApp(Engine.new(history, spec.settings, spec.start), keys)
        return
    with Book(spec.book) as book:
        state = book.open_state(spec.settings, history, spec.start)
        yield VenueApp(Engine(history, spec.settings, state), keys, book)


@contextmanager
def in_process_venue(profile: Profile, *, in_memory: bool = False) -> Iterator[VenueHandle]:
    """The profile's venue in this process, reached through ``transport``.

    With ``in_memory`` nothing is read or written: a new account that is gone afterwards.
    """
    spec, keys = VenueSpec.of_profile(profile), fresh_keys()
    if in_memory:
        spec = VenueSpec(spec.settings, spec.prices, spec.start, None)
    with open_app(spec, keys) as app:
        yield VenueHandle(
            IN_PROCESS_URL,
            IN_PROCESS_URL,
            keys.api_key,
            keys.secret_key,
            keys.control_key,
            InProcessClock(app),
            VenueTransport(app),
            app.engine,
        )


@contextmanager
def served_venue(profile: Profile, *, port: int = 0) -> Iterator[VenueHandle]:
    """The profile's venue as a child process, in a process session of its own, on loopback.

    The child ends when this context does, or when this process dies. Raises as `open_app` does,
    and `VenueUnavailable` when the child does not come up.
    """
    spec, keys = VenueSpec.of_profile(profile), fresh_keys()
    with open_app(spec, keys):  # refuses here, with a typed error, what the child would refuse
        pass
    child = subprocess.Popen(
        [sys.executable, "-m", "livekit.broker.venue", *spec.arguments(), "--port", str(port)],
        env=os.environ | _key_environment(keys),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with _ended(child):
        base_url = f"http://{LOOPBACK_HOST}:{_ready_port(child)}"
        clock = RemoteClock(f"{base_url}/control", keys.control_key)
        with closing(clock):
            yield VenueHandle(
                base_url,
                base_url,
                keys.api_key,
                keys.secret_key,
                keys.control_key,
                clock,
                process_id=child.pid,
            )


def _key_environment(keys: VenueKeys) -> dict[str, str]:
    values = (keys.api_key, keys.secret_key, keys.control_key)
    return dict(zip(KEY_VARIABLES, values, strict=True))


def keys_from(environ: Mapping[str, str]) -> VenueKeys:
    """The keys that the owner put into a child's environment; raises `KeysMissing`."""
    missing = [name for name in KEY_VARIABLES if not environ.get(name)]
    if missing:
        raise KeysMissing(missing)
    if looks_real(environ[KEY_VARIABLES[0]]):
        raise KeysMissing(KEY_VARIABLES[:1], "look like those of a real account")
    return VenueKeys(*(environ[name] for name in KEY_VARIABLES))


def _ready_port(child: subprocess.Popen[bytes]) -> int:
    """The port that the child reports in its first line."""
    assert child.stdout is not None  # noqa: S101 - it was opened as a pipe
    ready, _, _ = select.select([child.stdout], [], [], READY_TIMEOUT_S)
    line = child.stdout.readline() if ready else b""
    if not line.strip().isdigit():
        raise VenueUnavailable("starting the simulated venue", "it did not report a port")
    return int(line)


@contextmanager
def _ended(child: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()  # the end of its input tells the child to stop
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def connect_venue(environ: Mapping[str, str]) -> VenueHandle:
    """The venue that the owner of this process serves, by the variables it was given.

    Raises `KeysMissing` naming the variables that are absent and `HostRefused` for a venue that is
    not on loopback.
    """
    missing = [name for name in VARIABLES if not environ.get(name)]
    if missing:
        raise KeysMissing(missing)
    base_url, data_url, api_key, secret_key, control_url, control_key = (
        environ[name] for name in VARIABLES
    )
    for url in (base_url, data_url, control_url):
        if not url.startswith(f"http://{LOOPBACK_HOST}:"):
            raise HostRefused(url)
        require_allowed_host(url)
    clock = RemoteClock(control_url, control_key)
    return VenueHandle(base_url, data_url, api_key, secret_key, control_key, clock)
