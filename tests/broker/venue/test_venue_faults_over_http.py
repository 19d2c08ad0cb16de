"""Faults over a socket: injected with the control key, felt by an ordinary client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from venue_kit import KEYS, THURSDAY, Venue

from livekit.broker.venue.http import http_server, loopback_socket

ORDER = {"symbol": "AAA", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day"}


@dataclass
class Served:
    """A venue behind a real server."""

    venue: Venue
    url: str

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["APCA-API-KEY-ID"] = KEYS.api_key
        self.session.headers["APCA-API-SECRET-KEY"] = KEYS.secret_key

    def control(self, method: str, path: str, body: object = None) -> requests.Response:
        keys = {"X-Control-Key": KEYS.control_key}
        return requests.request(
            method, f"{self.url}/control/{path}", json=body, headers=keys, timeout=5
        )

    def inject(self, kind: str, **options: object) -> None:
        rule = {"kind": kind, "path": "/v2/orders"} | options
        assert self.control("POST", "faults", {"rules": [rule], "seed": 5}).status_code == 200

    def post(self, timeout: float = 5.0) -> requests.Response:
        return self.session.post(f"{self.url}/v2/orders", json=ORDER, timeout=timeout)

    @property
    def taken(self) -> bool:
        return bool(self.venue.engine.state.orders)


@pytest.fixture
def served() -> Iterator[Served]:
    venue = Venue()
    venue.at(THURSDAY, 10)
    with loopback_socket(0) as listening:
        port = listening.getsockname()[1]
        server = http_server(venue.app, port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        one = Served(venue, f"http://127.0.0.1:{port}")
        try:
            yield one
        finally:
            one.session.close()
            server.should_exit = True
            thread.join(10)


@pytest.mark.parametrize(
    ("kind", "taken"), [("reset_before", False), ("reset_after", True), ("unreachable", False)]
)
def test_a_cut_connection_is_a_cut_connection(served, kind, taken):
    served.inject(kind)
    with pytest.raises(requests.ConnectionError):
        served.post()
    assert served.taken is taken
    assert served.post().status_code == 200


@pytest.mark.parametrize(("kind", "taken"), [("timeout_before", False), ("answer_lost", True)])
def test_a_silent_venue_runs_into_the_clients_time_out(served, kind, taken):
    served.inject(kind, seconds=30)
    with pytest.raises(requests.ReadTimeout):
        served.post(timeout=0.3)
    assert served.taken is taken
    assert served.post().status_code == 200


def test_a_silence_that_ends_is_a_cut_connection(served):
    served.inject("answer_lost", seconds=0.1)
    with pytest.raises(requests.ConnectionError):
        served.post()


def test_a_dripping_body_arrives_whole_and_late(served):
    served.inject("slow_drip", seconds=0.5)
    before = time.monotonic()
    answer = served.post()
    assert answer.json()["symbol"] == "AAA"
    assert time.monotonic() - before >= 0.5


def test_error_pages_and_rate_limits_look_like_theirs(served):
    served.inject("bad_gateway")
    answer = served.post()
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    served.inject("rate_limited", seconds=60)
    answer = served.post()
    now = served.venue.engine.now.timestamp()
    assert (answer.status_code, answer.json()["code"]) == (429, 42910000)
    assert int(answer.headers["X-RateLimit-Reset"]) == int(now) + 60
    served.inject("redirect")
    assert served.session.post(
        f"{served.url}/v2/orders", json=ORDER, allow_redirects=False
    ).is_redirect


def test_the_schedule_and_what_it_struck_can_be_read_and_ended(served):
    served.inject("server_error", times=0)
    served.post()
    shown = served.control("GET", "faults").json()
    assert (shown["seed"], shown["counts"]["server_error"]) == (5, 1)
    assert shown["strikes"] == ["fault server_error (seed 5) struck request 1: POST /v2/orders"]
    served.control("DELETE", "faults")
    assert served.post().status_code == 200


def test_nothing_is_injected_without_the_second_key(served):
    for path in ("faults", "halt", "split", "rename", "advance"):
        assert served.session.post(f"{served.url}/control/{path}", json={}).status_code == 401


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"kind": "earthquake"},
        {"kind": "server_error", "nth": "1"},
        {"kind": "server_error", "nth": True},
        {"kind": "server_error", "chance": -1},
        {"kind": "server_error", "seconds": 1e9},
        {"kind": "server_error", "phase": "noon"},
        {"kind": "server_error", "path": None},
        {"kind": "server_error", "colour": "red"},
        [],
        None,
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(served, rule):
    assert served.control("POST", "faults", {"rules": [rule]}).status_code == 422
    assert not served.venue.app.faults.schedule.rules


def test_halt_split_and_rename_are_at_hand(served):
    assert served.control("POST", "halt", {"symbol": "AAA"}).status_code == 204
    assert served.venue.engine.state.halted == {"AAA"}
    assert served.control("POST", "resume", {"symbol": "AAA"}).status_code == 204
    assert served.control("POST", "block").status_code == 204
    assert served.post().status_code == 403
    assert served.control("POST", "unblock").status_code == 204
    split = {"symbol": "AAA", "ratio": "1:8", "day": "2020-01-03"}
    assert served.control("POST", "split", split).status_code == 204
    rename = {"symbol": "BBB", "to": "CCC", "day": "2020-01-03"}
    assert served.control("POST", "rename", rename).status_code == 204
    for path, wrong in (
        ("halt", {"symbol": "NONE"}),
        ("halt", {}),
        ("split", split | {"ratio": "0:1"}),
        ("split", split | {"ratio": "1"}),
        ("split", split | {"day": "2020-01-04"}),
        ("split", split | {"day": "2020-01-02"}),
        ("split", split | {"day": "soon"}),
        ("rename", rename | {"to": "AAA"}),
        ("rename", rename | {"to": "not one"}),
    ):
        assert served.control("POST", path, wrong).status_code == 422
