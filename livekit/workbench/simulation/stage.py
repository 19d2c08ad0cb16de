"""A profile at its venue for one day, in memory: what outlives the processes that crash.

The venue's engine and the committed books live as long as the stage; every `Stage.start` is a new
process with a client, a clock and a database handle of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Protocol, cast

from livekit.broker import AlpacaClient
from livekit.broker.venue.api import VenueApp, VenueKeys
from livekit.broker.venue.book import Book
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState
from livekit.broker.venue.faults import FaultKind
from livekit.broker.venue.session import IN_PROCESS_URL
from livekit.broker.venue.transport import VenueTransport
from livekit.broker.venue.wire import Answer, Request
from livekit.config import Profile
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.prices.remembered import RememberedSource
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.seam import SeamClient

__all__ = ["Frozen", "Line", "Stage", "SteppedClock", "Watcher", "clone"]

KEYS = VenueKeys("SIMULATIONDAY", "secret-of-the-simulation", "control-of-the-simulation")
READ_TIMEOUT_S = 10.0  # as long as the client waits for a silent venue


class Watcher(Protocol):
    """Who looks at every point of a run."""

    def before_request(self, method: str, path: str, body: bytes) -> None:
        """A request is about to leave."""

    def after_request(self, method: str, asked_at: datetime, struck: FaultKind | None) -> None:
        """The venue has dealt with it; ``struck`` is the fault that had its hand in it."""

    def before_commit(self) -> None:
        """A transaction is about to be committed."""

    def after_commit(self) -> None:
        """It is committed."""


class Line:
    """The way from the client to the venue's application."""

    def __init__(self, app: VenueApp, watcher: Watcher) -> None:
        self.app = app
        self._watcher = watcher
        self.requests = 0

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Carry one request as HTTP has it."""
        return self.answer(Request.read(method, path, query, body), headers)

    def answer(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Carry one request. While the venue stays silent, its clock runs on."""
        self._watcher.before_request(request.method, request.path, request.body)
        self.requests += 1
        strikes = len(self.app.faults.strikes)
        asked_at = self.app.engine.now
        answer = self.app.answer(request, headers)
        if answer.delivery == "silence":
            self.app.pass_time(min(answer.delay_s, READ_TIMEOUT_S))
        struck = self.app.faults.strikes[strikes:]
        self._watcher.after_request(request.method, asked_at, struck[0].kind if struck else None)
        return answer

    def pass_time(self, seconds: float) -> None:
        """Let the venue's clock run on."""
        self.app.pass_time(seconds)


class SteppedClock:
    """The host's clock: the venue's, and off by ``offset`` from a step on."""

    def __init__(self, app: VenueApp) -> None:
        self._app = app
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """The host's instant, aware UTC."""
        return self._app.engine.now + self.offset

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        if seconds > 0:
            self._app.pass_time(seconds)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A stage between two sessions: the books' image and the venue's memory."""

    books: bytes
    venue: VenueState


class Stage:
    """One profile, its venue and its books."""

    def __init__(
        self,
        profile: Profile,
        settings: VenueSettings,
        history: PriceHistory,
        frozen: Frozen,
        books: MemoryBooks,
        watcher: Watcher,
        *,
        through_alpaca_py: bool = False,
    ) -> None:
        state = clone(frozen.venue)
        self.profile = profile
        self.app = VenueApp(Engine(history, settings, state), KEYS)
        self.line = Line(self.app, watcher)
        self.clock = SteppedClock(self.app)
        self._history, self._settings = history, settings
        self.books = books
        self._watcher = watcher
        self.through_alpaca_py = through_alpaca_py
        books.load(frozen.books)

    @property
    def state(self) -> VenueState:
        """The venue's memory."""
        return self.app.engine.state

    @contextmanager
    def process(self, *, watched: bool = True) -> Iterator[Desk]:
        """A process of its own, until it ends or crashes."""
        desk = self.start(watched=watched)
        try:
            yield desk
        finally:
            desk.db.close()

    def start(self, *, watched: bool = True) -> Desk:
        """The desk of a new process; one that is not ``watched`` makes no points by its commits."""
        db = self.open_books()
        if watched:
            db.before_commit = self._watcher.before_commit
            db.after_commit = self._watcher.after_commit
        client = self._client()
        prices = RememberedSource(AlpacaPriceSource(client, self.clock), self.clock)
        return Desk(self.profile, db, client, prices, self.clock)

    def open_books(self) -> StateDB:
        """Another handle of the books; a day that goes through alpaca-py reads them plainly."""
        return self.books.open(remembering=not self.through_alpaca_py)

    def freeze(self) -> Frozen:
        """Both memories as they are now."""
        return Frozen(self.books.image(), clone(self.state))

    def write_venue(self, book: Book) -> None:
        """Write the venue's memory into a new book."""
        book.open_state(self._settings, self._history, self.state.created_at)
        book.save(self.state)

    def _client(self) -> AlpacaClient:
        if not self.through_alpaca_py:
            return SeamClient(self.line, KEYS, self.clock)
        transport = VenueTransport(cast("VenueApp", self.line))
        return AlpacaClient(
            KEYS.api_key,
            KEYS.secret_key,
            IN_PROCESS_URL,
            data_url=IN_PROCESS_URL,
            transport=transport,
            clock=self.clock,
        )


def clone(state: VenueState) -> VenueState:
    """The same memory once more, with orders and positions of its own, all of it unsaved."""
    values = {item.name: copy.copy(getattr(state, item.name)) for item in fields(VenueState)}
    for name in ("orders", "positions"):
        values[name] = {key: copy.copy(row) for key, row in values[name].items()}
    values["activities"], values["closes"] = [], []
    new = VenueState(**values)
    for activity in state.activities:
        new.add_activity(activity)
    new.closes.extend(state.closes)
    for order in new.orders.values():
        new.touch(order)
    for ticker in tuple(new.positions):
        new.position(ticker)
    return new


class Unwatched:
    """A watcher that lets everything pass."""

    def before_request(self, method: str, path: str, body: bytes) -> None:
        """Nothing."""

    def after_request(self, method: str, asked_at: datetime, struck: FaultKind | None) -> None:
        """Nothing."""

    def before_commit(self) -> None:
        """Nothing."""

    def after_commit(self) -> None:
        """Nothing."""
