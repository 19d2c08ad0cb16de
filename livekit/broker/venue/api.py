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
from decimal import Decimal

from livekit.broker.venue import bars_api, data_api, trading_api
from livekit.broker.venue.book import Book
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.refusals import Refusal, invalid
from livekit.broker.venue.shapes import clock_json
from livekit.broker.venue.wire import (
    Answer,
    Request,
    json_answer,
    parse_instant,
    refusal_answer,
    stamp,
)

__all__ = ["VenueApp", "VenueKeys"]

Handler = Callable[[Engine, Request], Answer]

NO_KEYS_PAGE = (
    b"<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n"
    b"<center><h1>401 Authorization Required</h1></center>\r\n<hr><center>nginx</center>\r\n"
    b"</body>\r\n</html>\r\n"
)
LONGEST_STEP_S = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class VenueKeys:
    """The account's key pair, and the key of the control interface."""

    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    control_key: str = field(repr=False)


def control_clock(engine: Engine, _request: Request) -> Answer:
    """``GET /control/clock``: the venue's instant, to the microsecond."""
    return json_answer({"now": stamp(engine.now)} | clock_json(engine.now))


def control_advance(engine: Engine, request: Request) -> Answer:
    """``POST /control/advance`` with ``{"to": instant}`` or ``{"seconds": number}``."""
    body = request.json()
    to, seconds = body.get("to"), body.get("seconds")
    if isinstance(to, str):
        engine.advance(parse_instant(to, "to"))
    elif isinstance(seconds, int | Decimal) and 0 <= seconds <= LONGEST_STEP_S:
        engine.advance(engine.now + timedelta(microseconds=round(seconds * 1_000_000)))
    else:
        raise invalid("either to or seconds is required")
    return control_clock(engine, request)


CONTROL_ROUTES = (
    ("GET", "/control/clock", control_clock),
    ("POST", "/control/advance", control_advance),
)


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
        return methods[request.method], replace(request, captured=captured)

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
        self._keys = keys
        self._book = book
        self._api = Router((*trading_api.ROUTES, *bars_api.ROUTES, *data_api.ROUTES))
        self._control = Router(CONTROL_ROUTES)

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Answer one request. ``headers`` have lower-case names; every input gets an answer."""
        try:
            request = Request.read(method, path, query, body)
            is_control = request.path.startswith("/control/")
            denied = self._control_denied(headers) if is_control else self._denied(headers)
            if denied is not None:
                return denied
            handler, request = (self._control if is_control else self._api).find(request)
            answer = handler(self.engine, request)
        except Refusal as refusal:
            answer = refusal_answer(refusal)
        self.engine.settle()
        self.save()
        return answer

    def _denied(self, headers: Mapping[str, str]) -> Answer | None:
        key, secret = headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")
        if not key or not secret:
            return Answer(401, NO_KEYS_PAGE, "text/html")
        if _same(key, self._keys.api_key) & _same(secret, self._keys.secret_key):
            return None
        return json_answer({"message": "unauthorized."}, 401)

    def _control_denied(self, headers: Mapping[str, str]) -> Answer | None:
        if _same(headers.get("x-control-key", ""), self._keys.control_key):
            return None
        return json_answer({"message": "unauthorized."}, 401)

    def save(self) -> None:
        """Write what changed since the last save, in one transaction."""
        if self._book is not None:
            self._book.save(self.engine.state)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
