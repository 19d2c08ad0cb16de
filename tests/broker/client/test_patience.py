"""How long the client tries to read, and that it waits on the clock it was given."""

from __future__ import annotations

import pytest
import requests
from scripted_venue import ACCOUNT, OPEN, Answer, error

from livekit.errors import VenueUnavailable

PASSING = [
    Answer(b"<html>502 Bad Gateway</html>", 502),
    Answer({"code": 50010000, "message": "internal server error occurred"}, 500),
    Answer(b"", 302),
    Answer(b"not JSON", 200),
    Answer(b"", 200),
    requests.ReadTimeout("read timed out"),
    requests.ConnectTimeout("connect timed out"),
    requests.ConnectionError("connection reset by peer"),
]


@pytest.mark.parametrize("trouble", PASSING, ids=[str(n) for n in range(len(PASSING))])
def test_a_read_is_repeated_after_trouble_that_may_pass(client, venue, clock, trouble):
    venue.on("GET", "/v2/account", trouble, trouble, ACCOUNT)
    assert client.get_account().status == "ACTIVE"
    assert clock.slept_s == [0.5, 1.0]
    assert client.requests_sent == 3


@pytest.mark.parametrize("trouble", PASSING, ids=[str(n) for n in range(len(PASSING))])
def test_a_read_gives_up_after_four_attempts(client, venue, clock, trouble):
    venue.on("GET", "/v2/account", trouble)
    with pytest.raises(VenueUnavailable, match="account failed"):
        client.get_account()
    assert len(venue.seen) == 4
    assert clock.slept_s == [0.5, 1.0, 2.0]


def test_a_refused_read_is_not_repeated(client, venue, clock):
    venue.on("GET", "/v2/account", error(403, 40310000, "account is restricted"))
    with pytest.raises(VenueUnavailable, match="HTTP 403 code 40310000: account is restricted"):
        client.get_account()
    assert len(venue.seen) == 1
    assert clock.slept_s == []


def test_a_rate_limit_is_waited_for_until_its_reset(client, venue, clock):
    reset = str(int(OPEN.timestamp()) + 17)
    venue.on("GET", "/v2/account", Answer({}, 429, {"X-RateLimit-Reset": reset}), ACCOUNT)
    client.get_account()
    assert clock.slept_s == [17.0]


def test_retry_after_is_honoured(client, venue, clock):
    venue.on("GET", "/v2/account", Answer({}, 429, {"Retry-After": "9"}), ACCOUNT)
    client.get_account()
    assert clock.slept_s == [9.0]


@pytest.mark.parametrize("reset", ["99999999999999", "0", "soon", "-5", "١٢", ""])
def test_a_senseless_reset_never_waits_longer_than_the_window(client, venue, clock, reset):
    headers = {"X-RateLimit-Reset": reset.encode().decode("latin-1")}
    venue.on("GET", "/v2/account", Answer({}, 429, headers), ACCOUNT)
    client.get_account()
    assert 0 < clock.slept_s[0] <= 61


def test_a_rate_limit_without_headers_is_outlasted_for_its_minute(client, venue, clock):
    # 1 + 2 + 4 + 8 + 16 + 32 = 63 s, longer than the venue's window of 60 s
    venue.on("GET", "/v2/account", *[Answer({}, 429)] * 6, ACCOUNT)
    client.get_account()
    assert sum(clock.slept_s) == 63


def test_a_rate_limit_for_ever_ends_in_a_typed_error(client, venue, clock):
    venue.on("GET", "/v2/account", error(429, 42910000, "rate limit exceeded"))
    with pytest.raises(VenueUnavailable, match="HTTP 429 code 42910000: rate limit exceeded"):
        client.get_account()
    assert len(venue.seen) == 7
