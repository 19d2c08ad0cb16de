"""Bytes at a real socket: a 4xx or a closed connection, and never a changed book."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_kit import KEYS, THURSDAY, Venue

from livekit.broker.venue import http
from livekit.broker.venue.http import http_server, loopback_socket
from livekit.broker.venue.session import keys_from
from livekit.errors import KeysMissing


class Face:
    """A served venue and raw connections to it."""

    def __init__(self, venue: Venue, port: int) -> None:
        self.venue, self.port = venue, port

    def say(self, data: bytes) -> bytes:
        """Send bytes, close our side, and read what comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as line:
            try:
                line.sendall(data)
                line.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: line.recv(65536), b""))
            except (BrokenPipeError, ConnectionResetError):
                return b""

    @property
    def is_untouched(self) -> bool:
        state = self.venue.engine.state
        return not state.orders and not state.positions and state.cash_usd == 100_000


@pytest.fixture(scope="module")
def face() -> Iterator[Face]:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    venue = Venue()
    venue.at(THURSDAY, 10)
    with loopback_socket(0) as listening:
        port = listening.getsockname()[1]
        server = http_server(venue.app, port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Face(venue, port)
        server.should_exit = True
        thread.join(10)


def status_of(reply: bytes) -> int | None:
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/1.1 ") else None


calm = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@calm
@given(data=st.binary(max_size=400))
def test_any_bytes_are_refused(face, data):
    assert status_of(face.say(data)) in (None, 400, 404, 405, 421)
    assert face.is_untouched


tokens = st.binary(min_size=1, max_size=20).map(
    lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")
)


@calm
@given(
    method=st.sampled_from([b"GET", b"POST", b"PATCH", b"DELETE", b"TRACE", b"CONNECT", b"get"]),
    path=st.sampled_from([b"/v2/orders", b"/control/faults", b"/", b"*", b"//v2/account"]) | tokens,
    headers=st.lists(st.tuples(tokens, tokens), max_size=5),
    body=st.binary(max_size=200),
)
def test_requests_without_keys_change_nothing(face, method, path, headers, body):
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: 127.0.0.1:%d" % face.port]
    lines += [name + b": " + value for name, value in headers]
    lines += [b"Content-Length: %d" % len(body)]
    status = status_of(face.say(b"\r\n".join(lines) + b"\r\n\r\n" + body))
    assert status is None or 400 <= status < 500
    assert face.is_untouched


@pytest.mark.parametrize("target", [b"?", b"?a=1"])
def test_a_target_without_a_path_is_refused_and_not_redirected(face, target):
    head = b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % face.port
    assert status_of(face.say(head)) == 404
    assert face.is_untouched


@calm
@given(body=st.binary(max_size=300))
def test_any_body_with_keys_is_refused_or_reported(face, body):
    reply = requests.post(
        f"http://127.0.0.1:{face.port}/v2/orders", data=body, headers=account_keys(), timeout=10
    )
    assert 400 <= reply.status_code < 500
    assert face.is_untouched


def account_keys() -> dict[str, str]:
    return {"APCA-API-KEY-ID": KEYS.api_key, "APCA-API-SECRET-KEY": KEYS.secret_key}


@pytest.mark.parametrize(
    "name", ["Origin", "Sec-Fetch-Site"], ids=["a page", "a browser without an origin"]
)
def test_what_comes_from_a_browser_is_refused(face, name):
    headers = account_keys() | {name: "cross-site"}
    url = f"http://127.0.0.1:{face.port}/v2/account"
    assert requests.get(url, headers=headers, timeout=5).status_code == 403


UPGRADES = [
    (
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    ),
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    b"Upgrade: \xff\r\nConnection: upgrade\r\n",
]


@pytest.mark.parametrize("path", [b"/stream", b"/v2/orders", b"/control/advance"])
@pytest.mark.parametrize("upgrade", UPGRADES, ids=["websocket", "h2c", "noise"])
def test_no_connection_becomes_another_protocol(face, path, upgrade):
    keys = b"".join(b"%s: %s\r\n" % (a.encode(), b.encode()) for a, b in account_keys().items())
    head = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (path, face.port)
    reply = face.say(head + keys + upgrade + b"\r\n\x81\x85hello")
    status = status_of(reply)
    assert status is not None
    assert 400 <= status < 500
    assert face.is_untouched


@calm
@given(
    path=st.sampled_from(["orders", "orders/x", "account", "stocks/bars", "positions/AAA"])
    | st.text(),
    query=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4),
    method=st.sampled_from(["GET", "DELETE", "PATCH", "PUT", "HEAD", "OPTIONS"]),
)
def test_any_address_with_keys_gets_an_answer_of_the_venues_own(face, path, query, method):
    url = f"http://127.0.0.1:{face.port}/v2/{path}"
    with requests.Session() as session:
        session.trust_env = False
        reply = session.request(
            method, url, params=query, headers=account_keys(), timeout=10, allow_redirects=False
        )
    assert reply.status_code in (200, 204, 207) or 400 <= reply.status_code < 500
    assert face.is_untouched


@pytest.mark.parametrize("path", ["clock", "advance", "faults", "halt", "split", "merge", "park"])
def test_the_account_keys_open_no_control(face, path):
    url = f"http://127.0.0.1:{face.port}/control/{path}"
    before = face.venue.engine.now
    for headers in (account_keys(), {}, {"X-Control-Key": KEYS.secret_key}):
        assert requests.post(url, headers=headers, json={}, timeout=5).status_code == 401
        assert requests.get(url, headers=headers, timeout=5).status_code == 401
    assert face.venue.engine.now == before


@calm
@given(
    path=st.sampled_from(
        ["advance", "faults", "halt", "resume", "split", "rename", "delist", "merge", "park"]
    ),
    body=st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just("AAA"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["symbol", "day", "ratio", "rules", "seed", "seconds", "to"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ),
)
def test_no_body_with_the_control_key_breaks_the_venue(face, path, body):
    url, headers = (
        f"http://127.0.0.1:{face.port}/control/{path}",
        {"X-Control-Key": "control-secret"},
    )
    reply = requests.post(url, headers=headers, json=body, timeout=10)
    assert reply.status_code in (200, 204) or 400 <= reply.status_code < 500
    requests.delete(f"http://127.0.0.1:{face.port}/control/faults", headers=headers, timeout=5)
    assert face.is_untouched


def test_another_name_for_the_same_machine_is_refused(face):
    headers = account_keys() | {"Host": f"rebound.example:{face.port}"}
    url = f"http://127.0.0.1:{face.port}/v2/account"
    assert requests.get(url, headers=headers, timeout=5).status_code == 421


def test_keys_that_look_real_are_told_so(face):
    headers = account_keys() | {"APCA-API-KEY-ID": "PK0123456789ABCDEFGH"}
    url = f"http://127.0.0.1:{face.port}/v2/account"
    answer = requests.get(url, headers=headers, timeout=5)
    assert answer.status_code == 401
    assert "never those of an account" in answer.json()["message"]
    environ = {
        "APCA_API_KEY_ID": "AKABCDEFGHIJKLMNOPQR",
        "APCA_API_SECRET_KEY": "x",
        "LIVEKIT_VENUE_CONTROL_KEY": "y",
    }
    with pytest.raises(KeysMissing, match="real account"):
        keys_from(environ)


def test_a_head_beyond_the_cap_is_refused(face):
    reply = face.say(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 100_000 + b"\r\n\r\n")
    assert status_of(reply) in (None, 431)


def test_a_body_that_does_not_come_is_not_waited_for(face, monkeypatch):
    monkeypatch.setattr(http, "BODY_TIMEOUT_S", 0.2)
    head = (
        b"POST /v2/orders HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 9\r\n\r\n" % face.port
    )
    with socket.create_connection(("127.0.0.1", face.port), timeout=10) as line:
        line.sendall(head)
        assert status_of(line.recv(4096)) == 408
    assert face.is_untouched


def test_a_connection_that_says_nothing_is_closed(face, monkeypatch):
    monkeypatch.setattr(http, "HEAD_TIMEOUT_S", 0.2)
    with socket.create_connection(("127.0.0.1", face.port), timeout=10) as line:
        assert line.recv(10) == b""


def test_only_loopback_is_listened_on():
    with loopback_socket(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
