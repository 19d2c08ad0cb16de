"""The venue as one function: `VenueApp.handle` turns a request into an answer.

Keys are checked, the request is routed, refusals become Alpaca's error bodies, and whatever the
book changed is saved before the answer leaves. An order's answer shows it as accepted; only then
does it meet the market.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from livekit.broker.venue import actions_api, bars_api, data_api, trading_api
from livekit.broker.venue.book import Book
from livekit.broker.venue.control import VenueControl
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.fault_gate import FaultGate
from livekit.broker.venue.rate_limit import RateLimit
from livekit.broker.venue.wire import Answer, Request, json_answer, refusal_answer

__all__ = ["KEY_HEADERS", "VenueApp", "VenueKeys", "looks_real"]

Handler = Callable[[Engine, Request], Answer]

NO_KEYS_PAGE = (
    b"<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n"
    b"<center><h1>401 Authorization Required</h1></center>\r\n<hr><center>nginx</center>\r\n"
    b"</body>\r\n</html>\r\n"
)


@dataclass(frozen=True, slots=True)
class VenueKeys:
    """The account's key pair, and the key of the control interface."""

    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    control_key: str = field(repr=False)


REAL_KEYS = re.compile(r"(PK|AK|CK)[A-Z0-9]{16,}")
REAL_KEY = "unauthorized. this is a simulation: it takes its own keys, never those of an account."


KEY_HEADERS = ("apca-api-key-id", "apca-api-secret-key", "x-control-key")


class Router:
    """Finds the handler of a method and path; ``{name}`` in a pattern captures one segment."""

    def __init__(self, routes: tuple[tuple[str, str, Handler], ...]) -> None:
        self._fixed: dict[str, dict[str, Handler]] = {}
        self._patterns: dict[re.Pattern[str], dict[str, Handler]] = {}
        for method, pattern, handler in routes:
            if "{" in pattern:
                regex = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))
                self._patterns.setdefault(regex, {})[method] = handler
            else:
                self._fixed.setdefault(pattern, {})[method] = handler

    def find(self, request: Request) -> tuple[Handler, Request]:
        """The handler, and the request with its captures; raises `Refusal` when there is none."""
        methods, captured = self._match(request.path)
        if not methods:
            raise Refusal(404, None, "endpoint not found.")
        if request.method not in methods:
            raise Refusal(405, None, "method not allowed.")
        if captured:
            request = replace(request, captured=captured)
        return methods[request.method], request

    def _match(self, path: str) -> tuple[dict[str, Handler], dict[str, str]]:
        if path in self._fixed:
            return self._fixed[path], {}
        for regex, methods in self._patterns.items():
            found = regex.fullmatch(path)
            if found:
                return methods, found.groupdict()
        return {}, {}


class VenueApp:
    """An engine behind Alpaca's interface. ``book`` saves it; without one it lives in memory."""

    def __init__(self, engine: Engine, keys: VenueKeys, book: Book | None = None) -> None:
        self.engine = engine
        self._key, self._secret = keys.api_key.encode(), keys.secret_key.encode()
        self._control_key = keys.control_key.encode()
        self._book = book
        self._api = Router(
            (*trading_api.ROUTES, *bars_api.ROUTES, *data_api.ROUTES, *actions_api.ROUTES)
        )
        self.faults = FaultGate(engine)
        self.control = VenueControl(engine, self.faults)
        limit, told = engine.settings.requests_a_minute, engine.settings.limit_headers_on_429
        self._limit = RateLimit(limit, told=told) if limit else None
        self._control_api = Router(self.control.routes)

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Answer one request. ``headers`` have lower-case names; every input gets an answer."""
        return self.answer(Request.read(method, path, query, body), headers)

    def answer(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Answer a request that is decoded already."""
        try:
            is_control = request.path.startswith("/control/")
            denied = self._control_denied(headers) if is_control else self._denied(headers)
            if denied is not None:
                return denied
            if is_control:
                answer = self._answer(self._control_api, request)
            elif self._limit is None:
                answer = self.faults.pass_through(request, self._take)
            else:
                passed = partial(self.faults.pass_through, request, self._take)
                answer = self._limit.pass_through(request.path, self.engine.now, passed)
        except Refusal as refusal:
            answer = refusal_answer(refusal)
        self.engine.settle()
        self.save()
        return answer

    def _take(self, request: Request) -> Answer:
        return self._answer(self._api, request)

    def _answer(self, router: Router, request: Request) -> Answer:
        try:
            handler, request = router.find(request)
            return handler(self.engine, request)
        except Refusal as refusal:
            return refusal_answer(refusal)

    def pass_time(self, seconds: float) -> None:
        """Let the venue's clock run on by ``seconds`` and save."""
        self.engine.advance(self.engine.now + timedelta(seconds=seconds))
        self.save()

    def _denied(self, headers: Mapping[str, str]) -> Answer | None:
        key, secret, _ = map(headers.get, KEY_HEADERS)
        if not key or not secret:
            return Answer(401, NO_KEYS_PAGE, "text/html")
        if looks_real(key):
            return json_answer({"message": REAL_KEY}, 401)
        if _same(key, self._key) & _same(secret, self._secret):
            return None
        return json_answer({"message": "unauthorized."}, 401)

    def _control_denied(self, headers: Mapping[str, str]) -> Answer | None:
        if _same(headers.get("x-control-key", ""), self._control_key):
            return None
        return json_answer({"message": "unauthorized."}, 401)

    def save(self) -> None:
        """Write what changed since the last save, in one transaction."""
        if self._book is not None:
            self._book.save(self.engine.state)


def looks_real(key: str) -> bool:
    """Whether an API key has the form of one that Alpaca gives out; ours begin with SIM."""
    return REAL_KEYS.fullmatch(key) is not None


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected)
