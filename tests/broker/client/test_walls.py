"""Where requests may go, how long they may take, and that keys never show."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import requests
from scripted_venue import ACCOUNT, KEY, PAPER, SECRET, Answer, ScriptedVenue, error

from livekit import broker
from livekit.broker import AlpacaClient
from livekit.broker.transport import MAX_BODY_BYTES, HardenedAdapter, UnusableAnswer
from livekit.errors import (
    HostRefused,
    KeysMissing,
    LivekitError,
    OutcomeUnknown,
    VenueUnavailable,
)

BYPASSES = [
    "https://api.alpaca.markets",
    "https://api.alpaca.markets/?paper",
    "https://api.alpaca.markets/#paper",
    "https://paper@api.alpaca.markets",
    "http://paper.evil.example",
    "https://evil.example/paper",
    "https://paper-api.alpaca.markets.evil.example",
    "https://paper-api.alpaca.markets.",
    "https://PAPER-API.alpaca.markets",
    "https://paper-api.alpaca.markets@evil.example",
    "https://user:pass@paper-api.alpaca.markets",
    "https://paper-api.alpaca.markets#@evil.example",
    "https://paper-api.alpaca.markets\\@evil.example",
    "https://evil.example\\@paper-api.alpaca.markets",
    "https://paper-api\t.alpaca.markets",
    "\thttps://paper-api.alpaca.markets",
    "https://paper-api.alpaca.markets\n",
    "https://paper-api\u3002alpaca\uff0emarkets",
    "https://p\u0430per-api.alpaca.markets",
    "https://paper-api.alpaca.markets:8443",
    "https://paper-api.alpaca.markets:443",
    "https://paper-api.alpaca.markets/",
    "https://paper-api.alpaca.markets/v2",
    "https://paper-api.alpaca.markets?x=1",
    "http://paper-api.alpaca.markets",
    "ftp://paper-api.alpaca.markets",
    "paper-api.alpaca.markets",
    "https://",
    "",
    " ",
    "http://127.0.0.1",
    "http://127.0.0.1:0x50",
    "http://127.0.0.2:8000",
    "http://localhost:8000",
    "http://0.0.0.0:8000",
    "http://[::1]:8000",
    "http://2130706433:8000",
    "https://127.0.0.1:8000",
    "http://127.0.0.1:8000/",
    "http://127.0.0.1:8000@evil.example",
    "http://127.0.0.1:8000\\.evil.example",
    "http://127.0.0.1.evil.example:8000",
]


@pytest.mark.parametrize("url", BYPASSES, ids=ascii)
def test_non_paper_url_rejected(url, clock):
    with pytest.raises(HostRefused):
        AlpacaClient(KEY, SECRET, url, clock=clock)
    with pytest.raises(ValueError, match="host refused"):
        AlpacaClient(KEY, SECRET, url, allow_live=True, clock=clock)


@pytest.mark.parametrize(
    ("base_url", "data_url"),
    [
        (PAPER, "https://evil.example"),
        (PAPER, "https://data.alpaca.markets/"),
        (PAPER, "https://data.sandbox.alpaca.markets"),
        (PAPER, PAPER),
        (PAPER, "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "https://data.alpaca.markets"),
        ("https://data.alpaca.markets", None),
    ],
)
def test_market_data_come_from_the_host_that_belongs_to_the_venue(base_url, data_url, clock):
    with pytest.raises(HostRefused):
        AlpacaClient(KEY, SECRET, base_url, data_url=data_url, clock=clock)


def test_paper_trades_at_one_host_and_reads_prices_at_the_other(client, venue):
    venue.on("GET", "/v2/account", ACCOUNT)
    venue.on("GET", "/v2/stocks/trades/latest", {"trades": {}})
    client.get_account()
    client.latest_trades(["AAPL"])
    assert [seen.host for seen in venue.seen] == [
        "paper-api.alpaca.markets",
        "data.alpaca.markets",
    ]


def test_the_simulated_venue_is_asked_for_everything(venue, clock):
    client = AlpacaClient(KEY, SECRET, "http://127.0.0.1:8000", transport=venue, clock=clock)
    venue.on("GET", "/v2/account", ACCOUNT)
    venue.on("GET", "/v2/stocks/trades/latest", {"trades": {}})
    client.get_account()
    client.latest_trades(["AAPL"])
    assert {seen.host for seen in venue.seen} == {"127.0.0.1:8000"}


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets/v2/account",
        "https://evil.example/v2/account",
        "https://paper-api.alpaca.markets@evil.example/v2/account",
        "https://data.alpaca.markets/v2/account",
        "http://127.0.0.1:8000/v2/account",
        "https://paper-api.alpaca.markets",
    ],
)
def test_every_single_request_is_checked_again_before_it_leaves(url, venue):
    adapter = HardenedAdapter(PAPER, data=False, inner=venue)
    request = requests.PreparedRequest()
    request.method, request.url, request.headers = "GET", url, {}
    with pytest.raises(HostRefused):
        adapter.send(request)
    assert (venue.seen, adapter.requests_sent) == ([], 0)


def test_an_adapter_made_for_a_live_host_sends_nothing_either(venue):
    adapter = HardenedAdapter("https://api.alpaca.markets", data=False, inner=venue)
    with pytest.raises(HostRefused):
        _get(adapter, "https://api.alpaca.markets/v2/account")
    assert venue.seen == []


def test_a_client_whose_address_was_changed_afterwards_sends_nothing(client, venue):
    client._trading._base_url = "https://api.alpaca.markets"
    with pytest.raises(HostRefused):
        client.get_account()
    assert venue.seen == []


@pytest.mark.parametrize(
    ("key", "secret"),
    [("", SECRET), (KEY, ""), ("AKLIVE0000000000000", SECRET), (KEY + "\n", SECRET), (KEY, "a b")],
)
def test_keys_that_are_missing_malformed_or_live_are_refused(key, secret, clock):
    with pytest.raises(KeysMissing) as caught:
        AlpacaClient(key, secret, clock=clock)
    assert SECRET not in str(caught.value)


# ------------------------------------------------------------------------- over real sockets


@contextmanager
def served(serve) -> Iterator[str]:
    """A server on loopback that hands each connection to ``serve``; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            try:
                serve(connection)
            except OSError:
                continue

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            connection.close()
        thread.join()


def adapter_client(url: str, clock, **timeouts: float) -> AlpacaClient:
    return AlpacaClient(KEY, SECRET, url, clock=clock, **timeouts)


def answering(head: str, body: bytes = b""):
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        length = f"Content-Length: {len(body)}\r\n" if "chunked" not in head else ""
        connection.sendall(f"HTTP/1.1 {head}\r\n{length}\r\n".encode() + body)

    return serve


def test_a_venue_that_takes_the_connection_and_never_answers_is_given_up(clock):
    with served(lambda connection: connection.recv(65536)) as url:
        client = adapter_client(url, clock, read_timeout_s=0.2)
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            client.place_order("AAPL", 1, "buy", client_order_id="20200130_AAPL_entry_buy")
        with pytest.raises(VenueUnavailable, match="no answer in time"):
            client.get_account()
        assert time.monotonic() - started < 3
        client.close()


def test_a_venue_that_is_not_there_leaves_the_order_unsent(clock):
    with served(lambda _: None) as url:
        pass
    client = adapter_client(url, clock)
    with pytest.raises(VenueUnavailable, match="no connection"):
        client.place_order("AAPL", 1, "buy", client_order_id="20200130_AAPL_entry_buy")


def test_a_connection_that_is_reset_is_an_unknown_outcome(clock):
    def reset(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    with served(reset) as url:
        client = adapter_client(url, clock)
        with pytest.raises(OutcomeUnknown, match="connection broke"):
            client.cancel_order("61e69015-8549-4bfd-b9c3-01e75843f47d")
        client.close()


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00 this is TLS",
        b"HTTP/9.9 what\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=klingon\r\n\r\n\xff\xfe",
        b"",
    ],
    ids=[str(number) for number in range(9)],
)
def test_noise_instead_of_an_answer_is_an_unknown_outcome(clock, noise):
    def shout(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(noise)
        connection.close()

    with served(shout) as url:
        client = adapter_client(url, clock)
        with pytest.raises(OutcomeUnknown):
            client.place_order("AAPL", 1, "buy", client_order_id="20200130_AAPL_entry_buy")
        client.close()


def test_a_redirect_is_not_followed_and_the_keys_stay_here(clock):
    visits: list[bytes] = []
    with served(lambda connection: visits.append(connection.recv(65536))) as elsewhere:
        redirect = answering(f"302 Found\r\nLocation: {elsewhere}/v2/account")
        with served(redirect) as url:
            client = adapter_client(url, clock)
            with pytest.raises(VenueUnavailable, match="a redirect, was not followed"):
                client.get_account()
            client.close()
    assert visits == []


def test_proxy_variables_and_netrc_are_ignored(clock, monkeypatch, tmp_path):
    visits: list[bytes] = []
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login intruder password intruder\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    requests_seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests_seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with served(lambda connection: visits.append(connection.recv(65536))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with served(serve) as url:
            client = adapter_client(url, clock)
            with pytest.raises(LivekitError):
                client.get_account()
            client.close()
    assert visits == []
    assert len(requests_seen) == 1
    assert b"authorization" not in requests_seen[0].lower()


def _in_chunks(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


PLAIN = json.dumps(ACCOUNT).encode()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("200 OK", PLAIN),
        ("200 OK\r\nTransfer-Encoding: chunked", _in_chunks(PLAIN, 20)),
        ("200 OK\r\nContent-Encoding: gzip", gzip.compress(PLAIN)),
    ],
    ids=["length", "chunked", "gzip"],
)
def test_a_body_is_read_whole_in_any_encoding(clock, head, body):
    with served(answering(head, body)) as url:
        client = adapter_client(url, clock)
        assert client.get_account().account_number == ACCOUNT["account_number"]
        client.close()


def test_a_bomb_of_compressed_blanks_is_given_up_at_its_limit(clock):
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 1))  # 65 kB on the wire
    with served(answering("200 OK\r\nContent-Encoding: gzip", bomb)) as url:
        adapter = HardenedAdapter(url, data=False)
        with pytest.raises(UnusableAnswer, match=str(MAX_BODY_BYTES)):
            _get(adapter, url + "/v2/account")


def test_a_body_that_is_cut_off_is_not_half_read(clock):
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n[{"half": 1}]'

    def cut(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head)
        connection.close()

    with served(cut) as url:
        client = adapter_client(url, clock)
        with pytest.raises(VenueUnavailable, match="cut off"):
            client.get_positions()
        client.close()


def _get(adapter: HardenedAdapter, url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session.get(url, allow_redirects=False)


def test_a_body_that_drips_is_given_up_after_its_time(clock):
    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b" ")
            time.sleep(0.01)

    with served(drip) as url:
        adapter = HardenedAdapter(url, data=False, answer_timeout_s=0.2)
        started = time.monotonic()
        with pytest.raises(UnusableAnswer, match=r"took over 0\.2 s"):
            _get(adapter, url + "/v2/account")
        assert time.monotonic() - started < 3


def test_a_body_that_never_ends_is_given_up_at_its_limit(clock):
    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        block = b" " * (1 << 20)
        for _ in range(1024):
            connection.sendall(block)

    with served(flood) as url:
        adapter = HardenedAdapter(url, data=False)
        with pytest.raises(UnusableAnswer, match=str(MAX_BODY_BYTES)):
            _get(adapter, url + "/v2/account")


def test_connections_are_used_again(clock):
    accepted: list[int] = []

    def twice(connection: socket.socket) -> None:
        accepted.append(1)
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    with served(twice) as url:
        client = adapter_client(url, clock)
        assert client.get_positions() == client.get_positions() == ()
        client.close()
    assert len(accepted) == 1


# ------------------------------------------------------------------------------------ secrets


def _forms(secret: str) -> list[str]:
    return [
        secret,
        secret[::-1],
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
    ]


ECHO = f"the key {KEY} with secret {SECRET} is wrong"
TROUBLES = [
    error(403, 40310000, ECHO),
    error(422, 42210000, ECHO),
    error(404, None, ECHO),
    error(401, None, ECHO),
    error(429, None, ECHO),
    error(500, 50010000, ECHO),
    Answer(f"<html>{ECHO}</html>".encode(), 502),
    Answer({"id": ECHO, "status": ECHO, "cash": ECHO}, 200),
    Answer(ECHO.encode(), 200),
    Answer(b"", 302, {"Location": f"https://evil.example/?{SECRET}"}),
    requests.ReadTimeout(ECHO),
    requests.ConnectTimeout(ECHO),
    requests.ConnectionError(ECHO),
    requests.TooManyRedirects(ECHO),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=[str(n) for n in range(len(TROUBLES))])
def test_no_error_shows_a_key_in_its_text_its_repr_or_its_traceback(client, venue, trouble, caplog):
    caplog.set_level(logging.DEBUG)
    venue.on("GET", "/v2/account", trouble)
    venue.on("POST", "/v2/orders", trouble)
    for act in (
        client.get_account,
        lambda: client.place_order("AAPL", 1, "buy", client_order_id="20200130_AAPL_entry_buy"),
    ):
        with pytest.raises(LivekitError) as caught:
            act()
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        shown += caught.value.operator_line() + caplog.text
        assert not [form for key in (KEY, SECRET) for form in _forms(key) if form in shown]


@pytest.mark.parametrize("trouble", TROUBLES, ids=[str(n) for n in range(len(TROUBLES))])
def test_no_frame_of_the_http_layer_hangs_on_an_error(client, venue, trouble):
    # IPython's verbose tracebacks print the variables of every frame that they can reach
    venue.on("GET", "/v2/account", trouble)
    with pytest.raises(LivekitError) as caught:
        client.get_account()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    modules = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not [name for name in modules if "/alpaca/" in name or "/requests/" in name]


def test_a_verbose_ipython_traceback_shows_no_key(tmp_path):
    script = tmp_path / "cell.py"
    script.write_text(
        f"""
import requests
from IPython.core.ultratb import VerboseTB
from livekit import broker
from livekit.broker import AlpacaClient
from livekit.clock import SystemClock

client = AlpacaClient({KEY!r}, {SECRET!r}, "http://127.0.0.1:9", clock=SystemClock())
try:
    client.place_order("AAPL", 1, "buy", client_order_id="20200130_AAPL_entry_buy")
except Exception as error:
    print(VerboseTB(theme_name="nocolor").text(type(error), error, error.__traceback__))
    print(vars(error), repr(client), str(client))
"""
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)], capture_output=True, text=True, check=True
    )
    assert "VenueUnavailable" in done.stdout
    lines = [line for line in done.stdout.splitlines() if "AlpacaClient(" not in line]
    assert not [line for line in lines if KEY in line or SECRET in line]


def test_only_the_client_is_exported():
    assert broker.__all__ == ["AlpacaClient"]
    assert broker.AlpacaClient is AlpacaClient
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = broker.Nonsense


def test_the_client_shows_no_keys_of_its_own(client):
    for shown in (repr(client), str(client), f"{client}", repr(client._outcomes)):
        assert "***" in shown
        assert KEY not in shown
        assert SECRET not in shown


def test_timeouts_are_set_on_every_request(clock):
    venue = ScriptedVenue()
    client = AlpacaClient(
        KEY, SECRET, transport=venue, clock=clock, connect_timeout_s=1.5, read_timeout_s=4.0
    )
    venue.on("GET", "/v2/account", ACCOUNT)
    venue.on("GET", "/v2/stocks/trades/latest", {"trades": {}})
    venue.on("GET", "/v1/corporate-actions", {"corporate_actions": {}, "next_page_token": None})
    client.get_account()
    client.latest_trades(["AAPL"])
    client.splits(["AAPL"], clock.now().date(), clock.now().date())
    assert [seen.timeout for seen in venue.seen] == [(1.5, 4.0)] * 3
