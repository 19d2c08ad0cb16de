"""The face: keys, hosts, sizes, and any bytes whatever."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_kit import FRIDAY, KEYS, THURSDAY, Venue, ny

from livekit.broker.venue.http import starlette_app

HEADERS = {"apca-api-key-id": KEYS.api_key, "apca-api-secret-key": KEYS.secret_key}
CONTROL = {"x-control-key": KEYS.control_key}
PORT = 4711


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """Requests to the ASGI application as a server would pass them on."""

    def __init__(self, venue: Venue) -> None:
        self._app = starlette_app(venue.app, PORT)

    def get(self, url: str, headers: dict[str, Any] | None = None) -> Reply:
        return self.send("GET", url, headers)

    def post(self, url: str, headers: dict[str, Any], body: bytes) -> Reply:
        return self.send("POST", url, headers, body)

    def send(
        self, method: str, url: str, headers: dict[str, Any] | None = None, body: bytes = b""
    ) -> Reply:
        return asyncio.run(self._send(method, url, headers or {}, body))

    async def _send(self, method: str, url: str, headers: dict[str, Any], body: bytes) -> Reply:
        path, _, query = url.partition("?")
        all_headers = {"host": f"127.0.0.1:{PORT}"} | headers
        pairs = [
            (name.encode(), text if isinstance(text, bytes) else text.encode())
            for name, text in all_headers.items()
        ]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": pairs,
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *parts = sent
        names = {name.decode(): text.decode() for name, text in start["headers"]}
        return Reply(start["status"], names, b"".join(part.get("body", b"") for part in parts))


def web(venue: Venue) -> Web:
    return Web(venue)


def test_without_keys_there_is_a_page_and_with_wrong_ones_an_object():
    client = web(Venue())
    bare = client.get("/v2/account")
    assert (bare.status, bare.headers["content-type"]) == (401, "text/html")
    for wrong in ({"apca-api-key-id": "x"}, {"apca-api-secret-key": "é"}):
        answer = client.get("/v2/account", headers=HEADERS | wrong)
        assert (answer.status, answer.json()) == (401, {"message": "unauthorized."})
    assert client.get("/v2/account", headers=HEADERS).status == 200


def test_a_page_in_a_browser_cannot_reach_it():
    client = web(Venue())
    assert client.get("/v2/account", headers=HEADERS | {"origin": "http://x"}).status == 403
    for host in ("localhost:4711", "127.0.0.1", "evil.example"):
        assert client.get("/v2/account", headers=HEADERS | {"host": host}).status == 421


def test_a_body_or_an_address_beyond_the_cap_is_refused():
    client = web(Venue())
    assert client.post("/v2/orders", HEADERS, b"x" * 300_000).status == 413
    assert client.get("/v2/orders?a=" + "x" * 40_000, headers=HEADERS).status == 414


def test_the_control_interface_has_a_key_of_its_own():
    venue = Venue()
    client = web(venue)
    assert client.get("/control/clock", headers=HEADERS).status == 401
    assert client.get("/v2/account", headers=CONTROL).status == 401
    answer = client.post("/control/advance", CONTROL, b'{"seconds": 0.25}')
    assert answer.json()["now"] == "2020-01-02T05:00:00.25Z"
    client.post("/control/advance", CONTROL, b'{"to": "2020-01-03T09:30:00-05:00"}')
    assert venue.engine.now == ny(FRIDAY, 9, 30)
    for wrong in (
        {"to": "2020-01-02T09:30:00-05:00"},
        {"seconds": -1},
        {},
        {"to": "soon"},
        {"seconds": 9e8},
    ):
        assert client.post("/control/advance", CONTROL, json.dumps(wrong).encode()).status == 422
    assert venue.engine.now == ny(FRIDAY, 9, 30)


def test_paths_and_methods_that_do_not_exist_are_refused():
    client = web(Venue())
    assert client.get("/v2/watchlists", headers=HEADERS).status == 404
    assert client.get("//v2/account", headers=HEADERS).status == 404
    assert client.send("PUT", "/v2/orders", HEADERS).status == 405


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"qty": NaN}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_a_bad_request(body):
    answer = web(Venue()).post("/v2/orders", HEADERS, body)
    assert (answer.status, answer.json()) == (
        400,
        {"code": 40010000, "message": "request body format is invalid"},
    )


words = st.text(max_size=12) | st.sampled_from(
    ["AAA", "buy", "sell", "market", "oto", "1e999", "-0"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    *("symbol", "qty", "side", "type", "time_in_force", "limit_price", "stop_price", "notional"),
    *("order_class", "stop_loss", "take_profit", "client_order_id", "extended_hours"),
    *("trail_price", "trail_percent", "rules", "seed", "ratio", "day", "to", "seconds", "trail"),
]
PATHS = [
    *("/v2/orders", "/v2/orders:by_client_order_id", "/v2/orders/x", "/v2/positions/AAA"),
    *("/v2/positions", "/v2/account/activities", "/v2/account/activities/FILL", "/v2/calendar"),
    *("/v2/account/portfolio/history", "/v2/stocks/bars", "/v2/stocks/AAA/trades/latest"),
    *("/v1/corporate-actions", "/v2/assets", "/control/advance"),
    *("/control/faults", "/control/halt", "/control/split", "/control/rename", "/control/clock"),
]
QUERY = [
    *("status", "limit", "after", "until", "direction", "nested", "symbols", "page_token", "start"),
    *("end", "timeframe", "adjustment", "feed", "page_size", "period", "date", "client_order_id"),
    *("qty", "percentage", "after_order_id", "cancel_orders", "types", "sort"),
]


def fuzzed(venue: Venue, method: str, path: str, query: str, body: bytes) -> int:
    return venue.app.handle(method, path, query, HEADERS | CONTROL, body).status


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    path=st.sampled_from(PATHS),
    query=st.dictionaries(st.sampled_from(QUERY), words, max_size=4),
    body=st.dictionaries(st.sampled_from(FIELDS), values, max_size=6),
)
def test_any_words_get_an_answer_and_never_an_exception(method, path, query, body):
    venue = Venue()
    venue.at(THURSDAY, 10)
    text = urlencode({name: word.encode("utf-8", "replace") for name, word in query.items()})
    status = fuzzed(venue, method, path, text, json.dumps(body).encode())
    assert 200 <= status < 500


@settings(deadline=None)
@given(query=st.text(), body=st.binary(), path=st.text())
def test_any_bytes_leave_the_book_as_it_was(query, body, path):
    venue = Venue()
    for where in (f"/{path}", "/v2/orders"):
        for method in ("POST", "PATCH", "DELETE"):
            status = fuzzed(venue, method, where, query, body)
            assert 400 <= status < 500 or status == 207
    assert not venue.engine.state.orders
    assert not venue.engine.state.positions
