"""The desk itself: what a test leaves behind is gone afterwards, and nothing else is touched.

Alpaca paper is played by a simulated venue that answers at its addresses.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from conformance_desk import TERMINAL, Desk
from conformance_venues import IN_SESSION, KEYS, SYMBOL, Carrier, paper_desk, simulated_app

from livekit.broker.venue.api import VenueApp
from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.broker.venue.ledger import read_ledger
from livekit.broker.venue.transport import VenueTransport

ENVIRON = {"APCA_API_KEY_ID": KEYS.api_key, "APCA_API_SECRET_KEY": KEYS.secret_key}
LONGEST_S = 120


@pytest.fixture
def app() -> Iterator[VenueApp]:
    """A venue that allows 200 requests a minute, as Alpaca does."""
    with simulated_app(requests_a_minute=200) as app:
        yield app


def paper(app: VenueApp):
    return paper_desk(ENVIRON, Carrier(VenueTransport(app), InProcessClock(app).sleep))


def working(app: VenueApp) -> list[str]:
    return [order.client_order_id for order in app.engine.state.working_orders()]


def leave_a_mess(desk: Desk) -> None:
    """A share, a group on it, and an order that rests."""
    desk.resting()
    desk.bought()
    legs = {
        "take_profit": {"limit_price": desk.price("1.5")},
        "stop_loss": {"stop_price": desk.price("0.5")},
    }
    exits = {"side": "sell", "type": "limit", "time_in_force": "gtc", "order_class": "oco"}
    assert desk.send(**exits, **legs).status == 200


@pytest.mark.in_session
def test_orders_groups_and_shares_of_a_test_are_gone_after_it(desk):
    leave_a_mess(desk)
    desk.clean_up()
    assert desk.held() == 0
    for client_id in desk.sent:
        found = desk.get("/v2/orders:by_client_order_id", client_order_id=client_id)
        assert found.body["status"] in TERMINAL


@pytest.mark.parametrize("end", [AssertionError, KeyboardInterrupt, SystemExit])
def test_however_a_test_ends_nothing_of_it_stays(app, end):
    def test() -> None:
        with paper(app) as desk:
            leave_a_mess(desk)
            raise end

    with pytest.raises(end):
        test()
    assert (working(app), app.engine.state.positions) == ([], {})


def test_an_interrupt_from_the_keyboard_is_cleaned_up_after(tmp_path):
    """A whole run of pytest against a venue on file, interrupted in the middle of its test."""
    book = tmp_path / "venue.db"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--paper"),
            str(Path(__file__).with_name("conformance_interrupted.py")),
        ],
        env=ENVIRON | {"STAND_IN_BOOK": str(book), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert (run.returncode, "KeyboardInterrupt" in run.stdout) == (2, True)
    ledger = read_ledger(book)
    last = {one.order_id: one.status for one in ledger.events if one.order_id}
    assert ledger.positions == {}
    assert len(ledger.fills) == 2  # bought and sold
    assert set(last.values()) <= TERMINAL


def test_what_is_not_the_tests_own_is_left_alone(app):
    """Another symbol is held, another order rests, and both are there afterwards."""
    own = {"qty": "3", "side": "buy", "time_in_force": "gtc"}
    app.engine.submit(own | {"symbol": "KO", "type": "market", "client_order_id": "mine"})
    app.engine.settle()
    low = {"symbol": "PFE", "type": "limit", "limit_price": "5", "client_order_id": "None"}
    app.engine.submit(own | low)
    with paper(app) as desk:
        desk.resting(client_order_id=None)
        desk.bought()
    assert working(app) == ["None"]
    assert app.engine.state.held("KO") == 3
    assert app.engine.state.held(SYMBOL) == 0


def test_shares_that_are_gone_already_are_not_sold_again(app):
    with paper(app) as desk:
        desk.bought()
        assert desk.call("DELETE", f"/v2/positions/{SYMBOL}").status == 200  # and is not noted
    assert app.engine.state.positions == {}
    sells = [order for order in app.engine.state.orders.values() if order.side == "sell"]
    assert len(sells) == 1


@pytest.mark.parametrize("kind", [FaultKind.ANSWER_LOST, FaultKind.RESET_AFTER])
def test_an_order_whose_answer_was_lost_is_found_and_ended(app, kind):
    def test() -> None:
        with paper(app) as desk:
            app.control.inject(FaultRule(kind, method="POST"))
            desk.resting()

    with pytest.raises(requests.RequestException):
        test()
    assert len(app.engine.state.orders) == 1
    assert working(app) == []


def test_orders_that_are_seen_late_are_ended_too():
    with simulated_app(requests_a_minute=200, visibility_delay_s=5.0) as app:
        with paper(app) as desk:
            reply = desk.send(type="limit", limit_price=desk.price("0.5"), time_in_force="gtc")
            app.control.inject(FaultRule(FaultKind.ANSWER_LOST, method="POST"))
            with pytest.raises(requests.RequestException):
                desk.send(type="limit", limit_price=desk.price("0.4"), time_in_force="gtc")
        assert reply.status == 200
        assert len(app.engine.state.orders) == 2
        assert working(app) == []


def test_the_end_is_insisted_on_when_connections_break(app):
    with paper(app) as desk:
        leave_a_mess(desk)
        app.control.inject(
            FaultRule(FaultKind.RESET_BEFORE, method="DELETE", times=2),
            FaultRule(FaultKind.TIMEOUT_BEFORE, method="GET", times=2),
            FaultRule(FaultKind.RATE_LIMITED_BARE, method="GET", nth=4, times=2),
        )
    assert (working(app), app.engine.state.positions) == ([], {})


def test_what_cannot_be_ended_is_named_and_the_rest_is_ended(app):
    def test() -> None:
        with paper(app) as desk:
            stuck, _ = desk.resting(), desk.resting()
            ignored = FaultRule(FaultKind.CANCEL_IGNORED, path=f"*/{stuck['id']}", times=0)
            app.control.inject(ignored)

    with pytest.raises(AssertionError, match="left behind"):
        test()
    assert len(app.engine.state.orders) == 2
    assert len(working(app)) == 1


def test_no_minute_has_more_than_two_hundred_requests(app):
    limited: Counter[int] = Counter()
    with paper(app) as desk:
        for _ in range(450):
            limited[desk.get("/v2/account").status] += 1
    assert limited == {200: 450}
    took = (app.engine.now - IN_SESSION).total_seconds()
    assert 450 * 0.35 <= took < 450 * 0.35 + 10  # none of them had to wait for a new minute


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "http://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets.example",
        "https://paper-api.alpaca.markets@example.com",
    ],
)
def test_no_other_host_is_asked(app, url):
    with paper(app) as desk:
        asked = len(app.faults.strikes)
        stranger = replace(desk, base_url=url, sent=[])
        stranger.session = requests.Session()  # would leave for the network
        with pytest.raises(AssertionError, match="alpaca"):
            stranger.get("/v2/account")
    assert len(app.faults.strikes) == asked


def test_an_account_that_already_trades_the_symbol_ends_the_run(app):
    low = {"symbol": SYMBOL, "type": "limit", "limit_price": "2", "client_order_id": "mine"}
    app.engine.submit(low | {"qty": "1", "side": "buy", "time_in_force": "gtc"})
    with pytest.raises(pytest.exit.Exception, match="already trades F"), paper(app):
        pytest.fail("a test began")
    assert working(app) == ["mine"]


def test_keys_are_needed_and_those_of_a_live_account_refused(app):
    with pytest.raises(pytest.skip.Exception), paper_desk({}):
        pytest.fail("a test began")
    live = {"APCA_API_KEY_ID": "AKLIVE", "APCA_API_SECRET_KEY": "secret"}
    with pytest.raises(pytest.exit.Exception, match="live account"), paper_desk(live):
        pytest.fail("a test began")
    carrier = Carrier(VenueTransport(app), InProcessClock(app).sleep)
    wrong = ENVIRON | {"APCA_API_SECRET_KEY": "another"}
    with pytest.raises(pytest.exit.Exception, match="401"), paper_desk(wrong, carrier):
        pytest.fail("a test began")
    assert app.engine.state.orders == {}
