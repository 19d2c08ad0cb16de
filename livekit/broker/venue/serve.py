"""A venue of its own in the foreground, for any client that speaks Alpaca's interface.

It prints the environment that points a client at it and serves until it is interrupted. Its clock
starts at a minute of a session of the past and runs ``speed`` times as fast as the host's; with a
book it goes on where it was, whatever ended it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import uvicorn

from livekit.broker.venue.api import VenueApp
from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.engine.settings import FillModelName, VenueSettings, worst_case
from livekit.broker.venue.http import http_server, loopback_socket
from livekit.broker.venue.session import (
    PACKAGED_PRICES,
    VARIABLES,
    VenueSpec,
    fresh_keys,
    open_app,
)
from livekit.clock import Clock, SystemClock
from livekit.config import LOOPBACK_HOST
from livekit.errors import BadInput, NotASession
from livekit.sessions import EXCHANGE_ZONE, is_session, sessions_between

__all__ = ["ServeOptions", "serve_venue"]

TICK_S = 0.1
SESSIONS_AHEAD = 40
FASTEST = 100_000.0
ACCOUNT_VARIABLES = 4  # the rest of VARIABLES is the control interface


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What to serve.

    Without ``session`` a book goes on where it was; a new venue begins 40 sessions before the last
    one of its prices. ``at`` is a time of day in New York. ``speed`` 0 lets the clock stand until
    the control interface moves it. ``port`` 0 takes any free one. ``show_control`` prints the
    address and key of the control interface as well.
    """

    session: date | None = None
    at: time = time(9, 25)
    speed: float = 1.0
    port: int = 0
    book: Path | None = None
    prices: Path = PACKAGED_PRICES
    fill_model: FillModelName = "paper"
    cash_usd: Decimal = Decimal(100_000)
    seed: int = 1
    show_control: bool = False


def serve_venue(
    options: ServeOptions, say: Callable[[str], object], clock: Clock | None = None
) -> None:
    """Serve until interrupted; ``say`` is given one line of ``NAME=value`` at a time.

    Raises:
        NotASession: ``session`` is none.
        BadInput: the price file or the book is unusable, or the book is already past the start.
        LockHeld: another process has the book.
    """
    if not 0 <= options.speed <= FASTEST:
        raise BadInput("--speed", f"must be between 0 and {FASTEST:g}")
    keys, start = fresh_keys(), _start(options)
    settings = VenueSettings(
        seed=options.seed, fill_model=options.fill_model, cash_usd=options.cash_usd
    )
    if options.fill_model == "rough":
        settings = worst_case(settings)
    spec = VenueSpec(settings, options.prices, start, options.book)
    with open_app(spec, keys) as app, loopback_socket(options.port) as listening:
        _bring_to(app, start, options)
        port = listening.getsockname()[1]
        url = f"http://{LOOPBACK_HOST}:{port}"
        values = (url, url, keys.api_key, keys.secret_key, f"{url}/control", keys.control_key)
        shown = len(VARIABLES) if options.show_control else ACCOUNT_VARIABLES
        for name, value in list(zip(VARIABLES, values, strict=True))[:shown]:
            say(f"{name}={value}")
        server = http_server(app, port)
        running = _Running(app, server, options.speed, clock or SystemClock())
        with suppress(KeyboardInterrupt):
            asyncio.run(running.until_stopped(server.serve(sockets=[listening])))


def _start(options: ServeOptions) -> datetime:
    session = options.session
    if session is None:
        last = _last_day(options.prices)
        session = sessions_between(last - 2 * timedelta(days=SESSIONS_AHEAD), last)[-SESSIONS_AHEAD]
    if not is_session(session):
        raise NotASession(session, "the venue starts on a session")
    return datetime.combine(session, options.at, tzinfo=EXCHANGE_ZONE).astimezone(UTC)


def _last_day(prices: Path) -> date:
    try:
        last = pc.max(pq.read_table(prices, columns=["session"])["session"]).as_py()
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(prices, "is not a price file") from error
    return last.date() if isinstance(last, datetime) else date.fromisoformat(str(last))


def _bring_to(app: VenueApp, start: datetime, options: ServeOptions) -> None:
    """Move a continued book forward to the start asked for; without one it stays where it is."""
    now = app.engine.now
    if options.session is None or now == start:
        return
    if now > start:
        raise BadInput(options.book or "the book", f"has already come to {now.isoformat()}")
    app.engine.advance(start)
    app.save()


@dataclass(frozen=True, slots=True)
class _Running:
    """A server, and a venue whose clock runs beside it in the same loop."""

    app: VenueApp
    server: uvicorn.Server
    speed: float
    clock: Clock

    async def until_stopped(self, serving: Coroutine[Any, Any, None]) -> None:
        """Serve, and let the clock run until that ends."""
        ticking = asyncio.create_task(self._tick())
        try:
            await serving
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking

    async def _tick(self) -> None:
        if not self.speed:
            return
        last = self.clock.now()
        while True:
            await asyncio.sleep(TICK_S)
            now = self.clock.now()
            passed = max(timedelta(0), now - last)
            last = now
            try:
                self.app.pass_time((passed * self.speed).total_seconds())
            except Refusal:  # the calendar of sessions has ended
                self.server.should_exit = True
                return
