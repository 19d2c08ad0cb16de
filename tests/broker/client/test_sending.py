"""Orders and cancels: what leaves, what is verified, and what each answer becomes."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from scripted_venue import Answer, a_group, a_leg, an_order, error

from livekit.broker.order_request import OrderRequest, tick_size
from livekit.errors import (
    CredentialsRefused,
    OrderRefused,
    OutcomeUnknown,
    UnknownParameter,
    VenueUnavailable,
)

ORDERS = "/v2/orders"
ORDER_ID = "61e69015-8549-4bfd-b9c3-01e75843f47d"
ENTRY = "20200130_AAPL_entry_buy"
STOP = "20200130_AAPL_stop_sell"


def buy(client):
    return client.place_order("AAPL", 30, "buy", client_order_id=ENTRY)


def buy_with_stop(client):
    return client.place_bracket_order(
        "AAPL", 30, stop_price=Decimal("15.39"), client_order_id=ENTRY
    )


# ------------------------------------------------------------------------------- what leaves


def test_a_market_buy_leaves_with_its_id_and_whole_shares_and_nothing_else(client, venue):
    venue.on("POST", ORDERS, an_order())
    order = buy(client)
    assert (order.order_id, order.status) == (ORDER_ID, "pending_new")
    assert venue.seen[0].body == {
        "symbol": "AAPL",
        "qty": "30",
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": ENTRY,
    }


def test_a_stop_price_leaves_as_the_exact_decimal(client, venue):
    venue.on(
        "POST",
        ORDERS,
        an_order(
            client_order_id=STOP, side="sell", type="stop", time_in_force="gtc", stop_price="15.39"
        ),
    )
    client.place_order(
        "AAPL",
        30,
        "sell",
        client_order_id=STOP,
        order_type="stop",
        time_in_force="gtc",
        stop_price=Decimal("15.390"),
    )
    assert '"stop_price": "15.39"' in venue.seen[0].text


def test_a_buy_with_its_stop_leaves_as_an_oto_group_that_lasts_overnight(client, venue):
    venue.on("POST", ORDERS, a_group())
    order = buy_with_stop(client)
    assert venue.seen[0].body == {
        "symbol": "AAPL",
        "qty": "30",
        "side": "buy",
        "type": "market",
        "time_in_force": "gtc",
        "client_order_id": ENTRY,
        "order_class": "oto",
        "stop_loss": {"stop_price": "15.39"},
    }
    assert order.legs[0].order_id == a_leg()["id"]


@given(cents=st.integers(min_value=100, max_value=10**9))
def test_every_price_in_cents_leaves_as_its_own_text(cents):
    price = Decimal(cents) / 100
    fields = OrderRequest("AAPL", 1, "sell", STOP, "stop", "gtc", price).fields()
    assert fields["stop_price"] == f"{cents // 100}.{cents % 100:02d}"


@pytest.mark.parametrize(
    ("price", "tick"), [("1", "0.01"), ("0.9999", "0.0001"), ("250.01", "0.01")]
)
def test_the_tick_is_a_cent_from_a_dollar_on_and_a_hundredth_of_it_below(price, tick):
    assert tick_size(Decimal(price)) == Decimal(tick)


@pytest.mark.parametrize(
    "price", ["15.391", "0.99995", "1.0001", "0", "-1", "NaN", "Infinity", "1e-7"]
)
def test_a_price_off_the_tick_is_refused_before_anything_leaves(client, venue, price):
    with pytest.raises(UnknownParameter, match="stop_price"):
        client.place_bracket_order("AAPL", 30, stop_price=Decimal(price), client_order_id=ENTRY)
    assert venue.seen == []


def test_a_float_is_not_taken_for_a_price(client, venue):
    with pytest.raises(UnknownParameter, match="not a positive Decimal"):
        client.place_bracket_order("AAPL", 30, stop_price=15.39, client_order_id=ENTRY)
    assert venue.seen == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"ticker": "aapl"},
        {"ticker": "BRK-B"},
        {"ticker": ""},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": True},
        {"side": "hold"},
        {"client_order_id": ""},
        {"client_order_id": "x" * 129},
        {"client_order_id": "20200130:AAPL"},
        {"order_type": "limit"},
        {"order_type": "stop"},
        {"stop_price": Decimal("15.39")},
        {"time_in_force": "always"},
    ],
    ids=str,
)
def test_an_order_that_cannot_be_meant_is_refused_before_anything_leaves(client, venue, wrong):
    given_order = {"ticker": "AAPL", "quantity": 30, "side": "buy", "client_order_id": ENTRY}
    order = given_order | wrong
    with pytest.raises(UnknownParameter):
        client.place_order(order.pop("ticker"), order.pop("quantity"), order.pop("side"), **order)
    assert venue.seen == []


def test_a_group_is_day_or_gtc(client, venue):
    with pytest.raises(UnknownParameter, match="day or gtc"):
        client.place_bracket_order(
            "AAPL", 30, stop_price=Decimal("15.39"), client_order_id=ENTRY, time_in_force="opg"
        )
    assert venue.seen == []


# --------------------------------------------------------------------- what is verified after


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"client_order_id": "other"}, "client_order_id is other"),
        ({"symbol": "AAL"}, "ticker is AAL, not AAPL"),
        ({"side": "sell"}, "side is sell"),
        ({"qty": "300"}, "quantity is 300, not 30"),
        ({"time_in_force": "gtc"}, "time_in_force is gtc, not day"),
        ({"type": "limit"}, "type is limit"),
        ({"stop_price": "1"}, "stop_price is 1"),
    ],
    ids=str,
)
def test_an_order_other_than_the_one_sent_is_an_unknown_outcome_that_names_it(
    client, venue, change, named
):
    venue.on("POST", ORDERS, an_order(**change))
    with pytest.raises(OutcomeUnknown, match=re.escape(named)):
        buy(client)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (a_group(legs=None), "it has 0 legs, not 1"),
        (a_group(legs=[a_leg(), a_leg()]), "it has 2 legs"),
        (a_group(order_class=""), "order_class is simple, not oto"),
        (a_group(legs=[a_leg(time_in_force="day")]), "leg's time_in_force is day, not gtc"),
        (a_group(legs=[a_leg(stop_price="15.38")]), "leg's stop_price is 15.38, not 15.39"),
        (a_group(legs=[a_leg(stop_price=None)]), "leg's stop_price is None"),
        (a_group(legs=[a_leg(type="limit")]), "leg's type is limit, not stop"),
        (a_group(legs=[a_leg(qty="3")]), "leg's quantity is 3, not 30"),
        (a_group(legs=[a_leg(side="buy")]), "leg's side is buy, not sell"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_group_without_the_stop_that_was_asked_for_is_an_unknown_outcome(
    client, venue, answer, named
):
    venue.on("POST", ORDERS, answer)
    with pytest.raises(OutcomeUnknown, match=re.escape(named)):
        buy_with_stop(client)


def test_a_status_never_heard_of_after_submission_is_no_reason_to_lose_the_order(client, venue):
    venue.on("POST", ORDERS, an_order(status="queued_on_mars", asset_class="ipo", new_field=[1]))
    assert buy(client).status == "queued_on_mars"


# ------------------------------------------------------------------------- what answers become


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (error(403, 40310000, "insufficient buying power"), 40310000, "insufficient buying power"),
        (error(422, 42210000, "sub-penny increment", price="1"), 42210000, "sub-penny increment"),
        (error(422, None, "no code here"), None, "no code here"),
        (error(404, 40410000, "asset not found"), 40410000, "asset not found"),
        (error(400, 40010000, "request body format is invalid"), 40010000, "request body"),
        (Answer(b"<html><h1>403</h1>\n<p>denied</p></html>", 403), None, "403 denied"),
        (Answer(b"", 422), None, "no message"),
        (Answer(b'["a list"]', 422), None, '["a list"]'),
        (Answer({"code": "42210000", "message": None}, 422), None, "None"),
    ],
    ids=["money", "penny", "no code", "404", "400", "html", "empty", "list", "odd types"],
)
def test_a_refusal_is_told_with_status_code_and_message_however_its_body_looks(
    client, venue, answer, code, message
):
    venue.on("POST", ORDERS, answer)
    with pytest.raises(OrderRefused) as caught:
        buy(client)
    assert (caught.value.status, caught.value.code) == (answer.status, code)
    assert caught.value.message.startswith(message)
    assert not caught.value.is_duplicate_client_id


@pytest.mark.parametrize(("status", "code"), [(422, 40010001), (422, 42210000), (409, 40910000)])
def test_a_spent_client_id_is_recognised_by_its_text(client, venue, status, code):
    venue.on("POST", ORDERS, error(status, code, "client_order_id must be unique"))
    with pytest.raises(OrderRefused) as caught:
        buy(client)
    assert caught.value.is_duplicate_client_id


def test_an_id_that_is_too_long_is_not_mistaken_for_a_spent_one(client, venue):
    venue.on(
        "POST",
        ORDERS,
        error(422, 40010001, "client_order_id must be no more than 128 characters"),
    )
    with pytest.raises(OrderRefused) as caught:
        buy(client)
    assert not caught.value.is_duplicate_client_id


LOST = [
    Answer({"code": 50410000, "message": "request timed out"}, 504),
    Answer({"code": 50010000, "message": "internal server error occurred"}, 500),
    Answer(b"<html>502 Bad Gateway</html>", 502),
    Answer(b"", 503),
    Answer(b"", 408),
    Answer(b"", 302, {"Location": "https://evil.example/"}),
    Answer(an_order(), 307, {"Location": "https://evil.example/"}),
    Answer(b"<html>welcome</html>", 200),
    Answer(b"", 200),
    Answer(b'{"id": ', 200),
    Answer(b"[" * 100_000, 200),
    Answer(b'{"id": ' + b"9" * 5000 + b"}", 200),
    Answer(an_order(qty="many"), 200),
    Answer([an_order()], 200),
    requests.ReadTimeout("read timed out"),
    requests.ConnectionError("connection reset by peer"),
    requests.exceptions.ChunkedEncodingError("cut"),
]


@pytest.mark.parametrize("lost", LOST, ids=[str(n) for n in range(len(LOST))])
def test_a_lost_answer_to_an_order_is_an_unknown_outcome_and_is_never_sent_again(
    client, venue, clock, lost
):
    venue.on("POST", ORDERS, lost, an_order())
    with pytest.raises(OutcomeUnknown, match=ENTRY):
        buy(client)
    assert len(venue.seen) == 1
    assert clock.slept_s == []


@pytest.mark.parametrize("lost", LOST[:6] + LOST[-3:], ids=str)
def test_a_lost_answer_to_a_cancel_is_an_unknown_outcome_and_is_never_sent_again(
    client, venue, lost
):
    venue.on("DELETE", f"{ORDERS}/{ORDER_ID}", lost, Answer(None, 204))
    with pytest.raises(OutcomeUnknown):
        client.cancel_order(ORDER_ID)
    assert len(venue.seen) == 1


@pytest.mark.parametrize(
    "unsent",
    [
        requests.ConnectTimeout("connect timed out"),
        requests.ConnectionError(
            urllib3.exceptions.MaxRetryError(
                None, "/v2/orders", urllib3.exceptions.NewConnectionError(None, "refused")
            )
        ),
        error(429, 42910000, "rate limit exceeded"),
    ],
    ids=["connect time-out", "connection refused", "rate limit"],
)
def test_an_order_that_was_not_taken_says_so(client, venue, unsent):
    venue.on("POST", ORDERS, unsent)
    with pytest.raises(VenueUnavailable):
        buy(client)
    assert len(venue.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        error(401, None, "unauthorized."),
        error(401, 40110000, "access key verification failed"),
        Answer(b"<html><title>401 Authorization Required</title></html>", 401),
        error(403, None, "forbidden."),
    ],
    ids=["no code", "code", "html", "403"],
)
def test_wrong_keys_are_told_apart_from_a_refused_order(client, venue, answer):
    venue.on("POST", ORDERS, answer)
    venue.on("GET", "/v2/account", answer)
    with pytest.raises(CredentialsRefused):
        buy(client)
    with pytest.raises(CredentialsRefused):
        client.get_account()
    assert len(venue.seen) == 2


def test_a_cancel_is_taken_with_204(client, venue):
    venue.on("DELETE", f"{ORDERS}/{ORDER_ID}", Answer(None, 204))
    assert client.cancel_order(ORDER_ID) is None


@pytest.mark.parametrize(
    "answer",
    [
        error(422, 42210000, 'order is already in "filled" state'),
        error(404, 40410000, f"order not found for {ORDER_ID}"),
    ],
    ids=["filled", "unknown"],
)
def test_a_refused_cancel_keeps_the_reason(client, venue, answer):
    venue.on("DELETE", f"{ORDERS}/{ORDER_ID}", answer)
    with pytest.raises(OrderRefused) as caught:
        client.cancel_order(ORDER_ID)
    assert caught.value.message == answer.body["message"]
