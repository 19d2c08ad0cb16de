"""The rate budget: who waits, for how long, and what protection may still send."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_venue import ACCOUNT, KEY, OPEN, SECRET, StandingClock

from livekit.broker import AlpacaClient
from livekit.broker.pacing import Pace
from livekit.broker.venue.api import VenueApp, VenueKeys
from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.session import IN_PROCESS_URL, PACKAGED_PRICES
from livekit.broker.venue.transport import VenueTransport

ORDER_ID = "61e69015-8549-4bfd-b9c3-01e75843f47d"


@pytest.fixture
def patient(venue, clock) -> AlpacaClient:
    venue.on("GET", "/v2/account", ACCOUNT)
    venue.on("DELETE", f"/v2/orders/{ORDER_ID}", b"")
    return AlpacaClient(KEY, SECRET, transport=venue, clock=clock)


def test_the_hundred_and_fifty_first_ordinary_request_of_a_minute_waits(patient, clock):
    for _ in range(150):  # three quarters of 200
        patient.get_account()
    assert clock.slept_s == []
    clock.instant += timedelta(seconds=20)
    patient.get_account()
    assert clock.slept_s == [40.0]  # until the first is a minute old


def test_protection_goes_on_when_everything_else_waits(patient, clock):
    for _ in range(150):
        patient.get_account()
    for _ in range(40):
        patient.cancel_order(ORDER_ID)
    with patient.protecting():
        for _ in range(10):
            patient.get_account()
    assert clock.slept_s == []
    patient.cancel_order(ORDER_ID)  # the 201st
    assert clock.slept_s == [60.0]


def test_an_ordinary_request_after_much_protection_waits_for_its_own_share(patient, clock):
    with patient.protecting():
        for _ in range(200):
            patient.get_account()
            clock.instant += timedelta(seconds=0.1)
    assert clock.slept_s == []  # 20 seconds have passed
    patient.get_account()  # 149 may be left in the last minute: the 51st must be a minute old
    assert clock.slept_s == [pytest.approx(45.0)]  # it left 5 s after the first: 65 - 20


def test_requests_are_not_slowed_down_below_their_share(patient, clock):
    for _ in range(600):
        patient.get_account()
        clock.instant += timedelta(seconds=0.41)  # 146 a minute
    assert clock.slept_s == []


def test_a_clock_that_is_set_back_makes_nobody_wait_for_the_past():
    clock = StandingClock()
    pace = Pace(clock, 4)
    for _ in range(3):
        pace.take_turn()
    clock.instant = OPEN - timedelta(hours=3)
    for _ in range(3):
        pace.take_turn()
    assert clock.slept_s == []


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=120))
def test_no_minute_ever_holds_more_than_its_budget(requests):
    clock, left = StandingClock(), []
    pace = Pace(clock, 20)
    for protective, pause_s in requests:
        clock.instant += timedelta(seconds=pause_s if pause_s > 20 else 0)
        if protective:
            with pace.protecting():
                pace.take_turn()
        else:
            pace.take_turn()
            recent = [at for at in left if at > clock.instant - timedelta(minutes=1)]
            assert len(recent) < 15
        left.append(clock.instant)
    for index, at in enumerate(left):
        assert sum(at <= other < at + timedelta(minutes=1) for other in left[index:]) <= 20


class Watched(VenueTransport):
    """Remembers the status of every answer."""

    def __init__(self, app: VenueApp) -> None:
        super().__init__(app)
        self.statuses: list[int] = []

    def send(self, request, **options):
        response = super().send(request, **options)
        self.statuses.append(response.status_code)
        return response


def limited(a_minute: int) -> tuple[VenueApp, AlpacaClient, Watched]:
    """A venue on the packaged prices that answers so many requests a minute, and a client."""
    history = PriceHistory.from_parquet(Path(PACKAGED_PRICES))
    engine = Engine.new(history, VenueSettings(requests_a_minute=a_minute), OPEN)
    keys = VenueKeys("SIMKEY", "secret", "control")
    app = VenueApp(engine, keys)
    transport = Watched(app)
    client = AlpacaClient(
        keys.api_key,
        keys.secret_key,
        IN_PROCESS_URL,
        transport=transport,
        clock=InProcessClock(app),
        requests_a_minute=200,
    )
    return app, client, transport


def test_a_paced_client_never_meets_the_limit_of_the_venue():
    app, client, transport = limited(200)
    for number in range(500):
        client.get_account()
        if number % 3 == 0:
            client.latest_trades(["F"])
    assert set(transport.statuses) == {200}
    assert app.engine.now - OPEN >= timedelta(minutes=3)  # 500 at 150 a minute


def test_a_venue_that_limits_harder_than_told_is_waited_for():
    app, client, transport = limited(30)
    for _ in range(70):
        client.get_account()
    assert 429 in transport.statuses
    assert timedelta(minutes=2) <= app.engine.now - OPEN <= timedelta(minutes=4)


def test_the_data_interface_tells_what_is_left_and_refuses_in_its_own_words():
    app, _, _ = limited(2)
    headers = {"apca-api-key-id": "SIMKEY", "apca-api-secret-key": "secret"}
    path, query = "/v2/stocks/trades/latest", "symbols=F"
    answers = [app.handle("GET", path, query, headers, b"") for _ in range(3)]
    assert [one.headers["x-ratelimit-remaining"] for one in answers] == ["1", "0", "0"]
    assert (answers[2].status, answers[2].body) == (429, b'{"message":"too many requests."}')
    clock = app.handle("GET", "/v2/clock", "", headers, b"")
    assert clock.headers["x-ratelimit-limit"] == "2"
    for _ in range(2):
        refused = app.handle("GET", "/v2/account", "", headers, b"")
    assert (refused.status, refused.headers.keys()) == (429, {"content-type"})
    assert b"42910000" in refused.body


def test_what_a_day_of_entries_and_stops_asks_for_is_far_below_the_budget(capsys):
    """Twenty entries with their stops, read until they are filled, then twenty replaced stops."""
    app, client, _ = limited(200)
    tickers = ["F", "KO", "PFE", "T", "BAC", "GE", "INTC"]
    before = client.requests_sent
    placed = [
        client.place_bracket_order(
            ticker, 10, stop_price=Decimal("1.00"), client_order_id=f"20200130_{ticker}_entry_buy"
        )
        for ticker in tickers
    ]
    filled = {order.order_id: order for order in client.list_orders(status="all")}
    for order in placed:
        leg = filled[order.order_id].legs[0]
        client.cancel_order(leg.order_id)
        client.get_order(leg.order_id)
        client.place_order(
            order.ticker,
            10,
            "sell",
            client_order_id=f"20200130_{order.ticker}_stop_sell",
            order_type="stop",
            time_in_force="gtc",
            stop_price=Decimal("2.00"),
        )
    spent = client.requests_sent - before
    with capsys.disabled():
        sys.stdout.write(f"\n{spent} requests for {len(tickers)} entries\n")
    assert spent == len(tickers) * 4 + 1  # entry, cancel, read, stop; one list for all
    assert date(2020, 1, 30) == app.engine.now.date()
