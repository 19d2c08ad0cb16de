"""The fault matrix, rows 66 to 69: proxies, hosts, silence and endless answers."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from livekit.broker import AlpacaClient
from livekit.broker.transport import HardenedAdapter, UnusableAnswer
from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import SystemClock, sleep_until
from livekit.errors import HostRefused, OutcomeUnknown, VenueUnavailable
from livekit.sessions import open_instant
from tests.trading.faults import MONDAY, inject, planned, struck
from tests.trading.world import world


def test_row_66_proxies_and_netrc_of_the_environment_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with answering(b'{"status": "ACTIVE"}') as (url, seen):
        client = AlpacaClient("SIM1", "secret", url, clock=Impatient())  # type: ignore[arg-type]
        with pytest.raises(VenueUnavailable):
            client.get_account()  # the answer is no account, but it came from the venue itself
        client.close()
    assert seen
    assert all(b"authorization" not in heard.lower() for heard in seen)
    assert all(heard.startswith(b"GET /v2/account ") for heard in seen)  # a proxy is asked for URLs


def test_row_67_a_host_without_tls_or_another_host_is_refused() -> None:
    for url in (
        "http://paper-api.alpaca.markets",
        "https://api.alpaca.markets",
        "https://paper-api.alpaca.markets.evil.example",
        "https://paper-api.alpaca.markets:8443",
        "https://user@paper-api.alpaca.markets",
    ):
        with pytest.raises(HostRefused):
            AlpacaClient("PK1", "secret", url, clock=SystemClock())


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A key and a certificate for ``host`` that nobody but itself has signed."""
    key, signed = folder / "key.pem", folder / "certificate.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    words += ["-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(signed)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    return key, signed


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("host", ["paper-api.alpaca.markets", "elsewhere.example"])
def test_row_67_a_wrong_certificate_is_refused_before_a_key_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Somebody answers in the broker's place: with its name, signed by himself, or with another.

    The environment names his certificate as one to trust, and is not listened to.
    """
    key, signed = certificate(tmp_path, host)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(signed))
    with impostor(key, signed) as (port, heard):

        def led_astray(address: object, *words: object, **options: object) -> socket.socket:
            del address, words, options
            return socket.create_connection(("127.0.0.1", port), timeout=5.0)

        monkeypatch.setattr("urllib3.util.connection.create_connection", led_astray)
        client = AlpacaClient(
            "PKTEST",
            "secret",
            "https://paper-api.alpaca.markets",
            clock=Impatient(),  # type: ignore[arg-type]
        )
        with pytest.raises(VenueUnavailable, match=r"(?i)certificate|ssl"):
            client.get_account()
        client.close()
    assert heard == []


def _end(server: socket.socket, thread: threading.Thread) -> None:
    """Close a server whose thread waits for the next connection."""
    address = server.getsockname()
    server.close()
    with contextlib.suppress(OSError):
        socket.create_connection(address, timeout=0.1).close()
    thread.join(2.0)


@contextmanager
def impostor(key: Path, signed: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Takes connections over TLS and notes what is said to it."""
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.3)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as spoken:
                    heard.append(spoken.recv(65536))
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], heard
    finally:
        _end(server, thread)


@contextmanager
def answering(body: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that takes connections and answers with ``body``, or never (None)."""
    seen: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.3)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                seen.append(connection.recv(65536))
                if body is None:
                    done.wait(3.0)
                    continue
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                connection.sendall(head + body)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", seen
    finally:
        done.set()
        _end(server, thread)


class Impatient:
    """A clock on which waiting costs nothing."""

    def now(self) -> object:
        return SystemClock().now()

    def sleep(self, seconds: float) -> None:
        del seconds


def buy(client: AlpacaClient) -> None:
    client.place_order("ABC", 5, "buy", client_order_id="20200106_ABC_entry_buy")


def cancel(client: AlpacaClient) -> None:
    client.cancel_order("11111111-0000-4000-8000-000000000000")


@pytest.mark.parametrize(
    ("ask", "outcome"),
    [
        (AlpacaClient.get_account, VenueUnavailable),
        (AlpacaClient.get_positions, VenueUnavailable),
        (buy, OutcomeUnknown),  # it may have been taken
        (
            lambda client: client.cancel_order("11111111-0000-4000-8000-000000000000"),
            OutcomeUnknown,
        ),
    ],
    ids=["account", "positions", "order", "cancel"],
)
def test_row_68_a_venue_that_never_answers_is_given_up(
    ask: Callable[[AlpacaClient], object], outcome: type[Exception]
) -> None:
    with answering(None) as (url, _):
        client = AlpacaClient(
            "SIM1",
            "secret",
            url,
            clock=Impatient(),  # type: ignore[arg-type]
            read_timeout_s=0.05,
        )
        with pytest.raises(outcome):
            ask(client)
        client.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_row_68_a_run_whose_venue_falls_silent_ends_before_its_deadline(
    tmp_path: Path, method: str
) -> None:
    """Each silence costs the ten seconds of the read timeout on the venue's own clock."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        sleep_until(w.desk.clock, open_instant(MONDAY))
        silence = FaultRule(FaultKind.TIMEOUT_BEFORE, method=method, times=0, seconds=10.0)
        inject(w, silence)

        def waited(asked: str, path: str) -> None:
            if asked == method:
                w.desk.clock.sleep(10.0)

        w.wire.rule = waited
        outcome = w.phase(MONDAY, "execution")
        assert struck(w)
        assert w.desk.clock.now() < w.phase_plan(MONDAY).expires_at + timedelta(minutes=2)
        assert outcome.exit_code == (1 if method == "GET" else 0)
        assert dict(w.venue.engine.state.orders) == {}  # type: ignore[union-attr]
        (run,) = w.db.get_runs(session=MONDAY, phase="execution")
        assert run.finished_at is not None


def test_row_69_an_answer_without_an_end_is_cut_off() -> None:
    """More than a gibibyte is announced and sent as long as somebody takes it."""
    taken = [0]
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(5.0)

    def pour() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1100000000\r\n\r\n")
            with contextlib.suppress(OSError):
                for _ in range(1100):
                    connection.sendall(b" " * 1_000_000)
                    taken[0] += 1

    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    session = requests.Session()
    session.mount("http://", HardenedAdapter(url, data=False))
    with pytest.raises(UnusableAnswer, match="longer than 67108864 bytes"):
        session.get(f"{url}/v2/account")
    session.close()
    server.close()
    thread.join(5.0)
    assert taken[0] < 100  # million bytes: 64 MiB and what the sockets hold


def test_row_69_an_answer_that_drips_is_cut_off() -> None:
    """A stopwatch that jumps a minute with each look stands for a byte a second."""
    minutes = iter(range(0, 10_000, 61))
    with answering(b" " * 100) as (url, _):
        adapter = HardenedAdapter(url, data=False, stopwatch_s=lambda: float(next(minutes)))
        session = requests.Session()
        session.mount("http://", adapter)
        with pytest.raises(UnusableAnswer, match="took over"):
            session.get(f"{url}/v2/account")
        session.close()
