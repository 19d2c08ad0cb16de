"""Our client without alpaca-py's HTTP layer: it enters the venue's application directly.

What leaves are the paths, queries and bodies that alpaca-py would send, what comes back are the
venue's own answers, and errors are raised as alpaca-py and requests raise them, so everything of
ours above that seam runs unchanged. A part of the simulated days goes through alpaca-py itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

import requests
import urllib3
from alpaca.common.exceptions import APIError
from requests.structures import CaseInsensitiveDict

from livekit.broker import AlpacaClient, parsing
from livekit.broker.market_data import MarketData
from livekit.broker.outcomes import Failure, Outcomes
from livekit.broker.transport import UnusableAnswer
from livekit.broker.venue.api import KEY_HEADERS, VenueKeys
from livekit.broker.venue.wire import LOSSES, Answer, Request
from livekit.clock import Clock

__all__ = ["SeamClient", "VenueLine"]

T = TypeVar("T")


class VenueLine(Protocol):
    """What carries a request to the venue's application, and lets its time pass."""

    def answer(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Answer one request."""

    def pass_time(self, seconds: float) -> None:
        """Let the venue's clock run on."""


class SeamRest:
    """The calls that our client makes of an alpaca-py client, answered by the application."""

    def __init__(self, line: VenueLine, keys: VenueKeys, version: str) -> None:
        self._line = line
        self._prefix = f"/{version}"
        self._headers = dict(zip(KEY_HEADERS, (keys.api_key, keys.secret_key), strict=False))
        self.requests_sent = 0
        self.changes_sent = 0

    def get(self, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """One read."""
        return self._ask("GET", path, data, b"")

    def post(self, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """One order."""
        return self._ask("POST", path, None, json.dumps(data).encode())

    def delete(self, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """One cancel."""
        return self._ask("DELETE", path, data, b"")

    def get_account(self) -> Any:
        """As alpaca-py's trading client."""
        return self.get("/account")

    def get_all_positions(self) -> Any:
        """As alpaca-py's trading client."""
        return self.get("/positions")

    def get_clock(self) -> Any:
        """As alpaca-py's trading client."""
        return self.get("/clock")

    def _ask(self, method: str, path: str, data: Mapping[str, Any] | None, body: bytes) -> Any:
        self.requests_sent += 1
        self.changes_sent += method != "GET"
        query = {name: str(value) for name, value in data.items()} if data else {}
        request = Request(method, self._prefix + path, query, body)
        answer = self._line.answer(request, self._headers)
        if answer.delivery in LOSSES:
            raise _loss(answer)
        if answer.delivery == "drip":
            self._line.pass_time(answer.delay_s)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(answer)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise UnusableAnswer(f"HTTP {answer.status}, a redirect, was not followed")
        return _decoded(answer.body) if answer.body else None


@lru_cache(maxsize=64)
def _decoded(body: bytes) -> Any:
    """The value of a body, which readers do not change; the same body comes again and again."""
    return json.loads(body)


def _loss(answer: Answer) -> requests.RequestException:
    if answer.delivery == "silence":
        return requests.ReadTimeout("the venue stays silent")
    if answer.delivery == "reset":
        return requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted."))
    connection = urllib3.connection.HTTPConnection("127.0.0.1")
    return requests.ConnectionError(
        urllib3.exceptions.NewConnectionError(connection, "connection refused")
    )


def _refusal(answer: Answer) -> APIError:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    return APIError(answer.body.decode(), requests.HTTPError(response=response))


READ_AGAIN = frozenset(
    {parsing.account, parsing.fills, parsing.order, parsing.orders, parsing.positions}
)
MOST_KNOWN = 256


class SeamOutcomes(Outcomes):
    """`Outcomes` that read the very same answer only once: what it means does not change."""

    def __init__(self, clock: Clock, secrets: tuple[str, ...]) -> None:
        super().__init__(clock, secrets)
        self._known: dict[tuple[object, int], tuple[object, Any]] = {}

    def _attempt(self, call: Callable[[], object], parse: Callable[[object], T]) -> T | Failure:
        return super()._attempt(call, partial(self._meaning, parse))

    def _meaning(self, parse: Callable[[object], T], raw: object) -> T:
        if parse not in READ_AGAIN:
            return parse(raw)
        key = (parse, id(raw))
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = (raw, parse(raw))  # while it is kept, no other has its id
        found: T = self._known[key][1]
        return found


class SeamClient(AlpacaClient):
    """`AlpacaClient` over `SeamRest`: same requests, same outcomes, no HTTP objects."""

    def __init__(self, line: VenueLine, keys: VenueKeys, clock: Clock) -> None:
        self.base_url = "in process"
        self._outcomes = SeamOutcomes(clock, (keys.api_key, keys.secret_key))
        self._trading: Any = SeamRest(line, keys, "v2")
        stocks: Any = SeamRest(line, keys, "v2")
        actions: Any = SeamRest(line, keys, "v1")
        counters: Any = (self._trading, stocks, actions)  # they count as the HTTP adapters do
        self._adapters = counters
        self._market_data = MarketData(stocks, actions, self._outcomes, "iex")
