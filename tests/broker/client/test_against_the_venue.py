"""The client over the simulated venue: a day of one stock, from the entry to the last sale.

AAPL opened on Thursday 2020-01-30 at 320.54; its stop at 10 % lies at 288.486, rounded down 288.48.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from livekit.broker import AlpacaClient
from livekit.broker.venue.session import VenueHandle, in_process_venue, served_venue
from livekit.clock import Clock, sleep_until
from livekit.config import Profile
from livekit.errors import CredentialsRefused, OrderRefused
from livekit.prices import ParquetPriceSource
from livekit.prices.alpaca_source import AlpacaPriceSource

BEFORE_THE_OPEN = datetime(2020, 1, 30, 14, 15, tzinfo=UTC)  # 09:15 in New York
PROFILE = Profile(venue="simulated", first_session=date(2020, 1, 30))
ENTRY = "20200130_AAPL_entry_buy"
STOP = Decimal("288.48")


@pytest.fixture
def venue_at_0915():
    with in_process_venue(PROFILE, in_memory=True) as venue:
        sleep_until(venue.clock, BEFORE_THE_OPEN)
        yield venue


@pytest.fixture
def time(venue_at_0915: VenueHandle) -> Clock:
    return venue_at_0915.clock


@pytest.fixture
def at_venue(venue_at_0915: VenueHandle) -> AlpacaClient:
    return client_of(venue_at_0915)


def client_of(venue: VenueHandle) -> AlpacaClient:
    return AlpacaClient(
        venue.api_key,
        venue.secret_key,
        venue.base_url,
        data_url=venue.data_url,
        transport=venue.transport,
        clock=venue.clock,
    )


def enter(client: AlpacaClient):
    return client.place_bracket_order("AAPL", 10, stop_price=STOP, client_order_id=ENTRY)


def test_the_venue_says_who_when_and_what(at_venue):
    assert at_venue.get_account().equity == 200_000
    clock = at_venue.get_clock()
    assert (clock.timestamp, clock.is_open) == (BEFORE_THE_OPEN, False)
    assert clock.next_open == datetime(2020, 1, 30, 14, 30, tzinfo=UTC)
    days = at_venue.get_calendar(date(2020, 1, 17), date(2020, 1, 21))
    assert [day.session for day in days] == [date(2020, 1, 17), date(2020, 1, 21)]  # King's day
    assert at_venue.get_asset("AAPL").tradable
    assert at_venue.get_asset("NOPE") is None
    assert list(at_venue.latest_trades(["AAPL", "NOPE"])) == ["AAPL"]


def test_an_entry_fills_at_the_open_and_its_leg_wakes_up(at_venue, time):
    placed = enter(at_venue)
    assert placed.legs[0].status == "held"
    time.sleep(20 * 60)
    found = at_venue.get_order_by_client_id(ENTRY)
    assert (found.order_id, found.status) == (placed.order_id, "filled")
    assert found.filled_average_price == Decimal("320.54")
    assert found.legs[0].is_live_cover
    (fill,) = at_venue.get_fills(after=BEFORE_THE_OPEN)
    assert (fill.quantity, fill.price, fill.order_id) == (10, Decimal("320.54"), found.order_id)
    (position,) = at_venue.get_positions()
    assert (position.quantity, position.quantity_available) == (10, 0)


def test_a_second_entry_of_the_same_id_is_told_as_a_duplicate(at_venue):
    enter(at_venue)
    with pytest.raises(OrderRefused) as caught:
        enter(at_venue)
    assert caught.value.is_duplicate_client_id


def test_a_working_leg_is_listed_however_old_its_group(at_venue, time):
    enter(at_venue)
    time.sleep(20 * 60)
    (order,) = at_venue.list_orders()
    assert [leg.stop_price for leg in order.legs] == [STOP]
    (leg,) = at_venue.list_orders(after=time.now())
    assert leg == order.legs[0]
    assert at_venue.list_orders(status="open") == (leg,)


def test_open_orders_cost_one_request_and_a_second_while_an_entry_has_a_leg(at_venue, time):
    enter(at_venue)
    before = at_venue.requests_sent
    (entry,) = at_venue.list_orders(status="open")
    assert [leg.status for leg in entry.legs] == ["held"]
    assert at_venue.requests_sent - before == 2
    time.sleep(20 * 60)
    before = at_venue.requests_sent
    assert len(at_venue.list_orders(status="open")) == 1  # the stop by itself
    assert at_venue.requests_sent - before == 1


def test_reserved_shares_are_sold_only_after_the_stop_is_gone(at_venue, time):
    enter(at_venue)
    time.sleep(20 * 60)
    with pytest.raises(OrderRefused, match="insufficient qty available"):
        at_venue.place_order("AAPL", 10, "sell", client_order_id="20200130_AAPL_exit_sell")
    leg = at_venue.get_order_by_client_id(ENTRY).legs[0]
    at_venue.cancel_order(leg.order_id)
    time.sleep(5)
    assert at_venue.get_order(leg.order_id).status == "canceled"
    at_venue.place_order("AAPL", 10, "sell", client_order_id="20200130_AAPL_exit_sell")
    assert at_venue.get_order_by_client_id("20200130_AAPL_exit_sell").status == "filled"
    assert at_venue.get_positions() == ()


def test_a_stop_above_the_market_and_a_cancel_of_a_filled_order_are_refused(at_venue, time):
    order = enter(at_venue)
    time.sleep(20 * 60)
    at_venue.cancel_order(at_venue.get_order(order.order_id).legs[0].order_id)
    with pytest.raises(OrderRefused, match="stop price must be less than current price"):
        at_venue.place_order(
            "AAPL",
            10,
            "sell",
            client_order_id="20200130_AAPL_stop_sell",
            order_type="stop",
            time_in_force="gtc",
            stop_price=Decimal("400.00"),
        )
    with pytest.raises(OrderRefused, match='already in "filled" state'):
        at_venue.cancel_order(order.order_id)


def test_other_keys_are_refused(venue_at_0915):
    with pytest.raises(CredentialsRefused):
        client_of(replace(venue_at_0915, secret_key="WRONG")).get_account()


def test_over_a_socket_the_venue_answers_the_same_and_connections_are_closed(tmp_path):
    profile = replace(PROFILE, outputs=tmp_path)
    profile.home.mkdir(parents=True)
    with served_venue(profile) as venue:
        sleep_until(venue.clock, BEFORE_THE_OPEN)
        client = client_of(venue)
        enter(client)
        venue.clock.sleep(20 * 60)
        order = client.get_order_by_client_id(ENTRY)
        assert (order.status, order.filled_average_price) == ("filled", Decimal("320.54"))
        assert client.get_clock().is_open
        client.close()


def test_prices_over_the_venue_are_those_of_the_file(at_venue, time):
    tickers, first, last = ["AAPL", "MSFT", "NOPE"], date(2019, 11, 1), date(2020, 1, 30)
    seen = AlpacaPriceSource(at_venue, time).daily_bars(tickers, first, last)
    stored = ParquetPriceSource().daily_bars(tickers, first, last)
    assert sorted(seen) == ["AAPL", "MSFT"]
    for ticker, bars in seen.items():
        known = stored[ticker].until(date(2020, 1, 29))  # the 30th has not opened
        assert bars.sessions.tolist() == known.sessions.tolist()
        assert bars.close.tolist() == known.close.tolist()
        # adjusted history is known up to a factor, which cancels in every ratio
        ratio = bars.adj_close / known.adj_close
        assert ratio == pytest.approx(ratio[0])
