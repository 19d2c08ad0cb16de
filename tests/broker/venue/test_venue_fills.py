"""What orders are filled at: the path of a day, and the two fill models."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_kit import (
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    Venue,
    bars_of,
    holding,
)

from livekit.broker.venue.engine.history import PriceHistory, day_times
from livekit.sessions import exchange_time
from livekit.strategy.rules import exit_fill_price, protective_stop_price, stop_exit_price


def path_times(day: date) -> list[str]:
    times = day_times(day)
    instants = (times.open, times.low, times.high, times.close)
    return [exchange_time(instant).strftime("%H:%M") for instant in instants]


def test_a_day_goes_from_the_open_to_the_low_to_the_high_to_the_close():
    assert path_times(THURSDAY) == ["09:30", "11:40", "13:50", "16:00"]  # thirds of 6 h 30 min


def test_a_half_day_is_cut_into_thirds_too():
    assert path_times(date(2019, 11, 29)) == ["09:30", "10:40", "11:50", "13:00"]  # of 3 h 30 min


@pytest.mark.parametrize(
    ("hour", "minute", "price"),
    [(9, 30, 103), (11, 39, 103), (11, 40, 101), (13, 50, 105), (15, 59, 105), (16, 0, 104)],
)
def test_the_last_trade_follows_the_path(hour, minute, price):
    venue = Venue()
    venue.at(FRIDAY, hour, minute)
    assert venue.last_trade()["p"] == price


@pytest.mark.parametrize(
    ("model", "price"),
    [("parity", 103.0), ("paper", 102.5)],  # paper: (102.00 + 103.00) / 2
)
def test_before_the_open_the_trade_of_the_day_has_the_models_indicative_price(model, price):
    venue = Venue(fill_model=model)
    venue.at(FRIDAY, 7, 59)
    assert (venue.last_trade()["t"], venue.last_trade()["p"]) == ("2020-01-02T21:00:00Z", 102.0)
    venue.at(FRIDAY, 8)
    assert (venue.last_trade()["t"], venue.last_trade()["p"]) == ("2020-01-03T13:00:00Z", price)


def test_a_ticker_without_a_bar_keeps_the_trade_of_the_session_before():
    venue = Venue()
    venue.at(MONDAY, 12)
    assert venue.last_trade("BBB")["t"] == "2020-01-03T21:00:00Z"
    assert venue.last_trade("BBB")["p"] == 52.0


# --------------------------------------------------------------------------------------- parity


def test_a_buy_queued_before_the_open_is_filled_at_the_open():
    venue = holding(Venue())
    assert venue.fills() == [("AAA", "buy", "10", "100")]
    assert venue.cash == 100_000 - 10 * 100


def test_an_entry_costs_its_slippage_when_one_is_set():
    venue = holding(Venue(entry_slippage_pct=0.25))
    assert venue.fills() == [("AAA", "buy", "10", "100.25")]


def test_a_sell_at_the_open_brings_the_open_less_the_slippage():
    venue = holding(Venue())
    venue.at(FRIDAY, 9)
    venue.sell()
    venue.at(FRIDAY, 9, 30)
    assert venue.fills()[-1] == ("AAA", "sell", "10", "102.485")  # 103 × 0.995
    assert exit_fill_price(103.0, 0.5) == 102.485
    assert venue.cash == Decimal("100024.85")  # 100,000 − 1,000 + 1,024.85


def test_a_buy_within_the_session_is_filled_at_once_at_the_price_of_the_path():
    venue = Venue()
    venue.at(FRIDAY, 9, 34)
    shown = venue.send()
    assert shown["status"] == "pending_new"
    assert venue.status(shown) == "filled"
    assert venue.fills() == [("AAA", "buy", "10", "103")]


def test_the_stop_of_a_position_bought_at_the_open_works_in_the_same_session():
    venue = Venue()
    venue.at(THURSDAY, 9)
    venue.buy_with_stop("98")  # the low of the day is 97
    venue.at(THURSDAY, 11, 39)
    assert len(venue.fills()) == 1
    venue.at(THURSDAY, 11, 40)
    assert venue.fills()[-1] == ("AAA", "sell", "10", "97.51")  # 98 × 0.995


def test_a_later_session_that_opens_below_the_stop_fills_at_the_open():
    venue = Venue()
    venue.at(THURSDAY, 9)
    venue.buy_with_stop("96")
    venue.at(MONDAY, 9, 29)
    assert len(venue.fills()) == 1
    venue.at(MONDAY, 9, 30)
    assert venue.fills()[-1] == ("AAA", "sell", "10", "89.55")  # 90 × 0.995


def test_a_stop_at_the_low_to_the_cent_is_reached():
    venue = holding(Venue())
    venue.stop("97")
    venue.at(THURSDAY, 11, 40)
    assert venue.fills()[-1] == ("AAA", "sell", "10", "96.515")  # 97 × 0.995


def test_a_stop_above_the_low_of_a_ticker_without_a_bar_waits():
    venue = holding(Venue(), ticker="BBB")
    shown = venue.stop("48", symbol="BBB")
    venue.at(MONDAY, 16)
    assert venue.status(shown) == "new"


cents = st.integers(500, 40_000).map(lambda units: units / 100)


@settings(deadline=None, max_examples=60)
@given(opens=cents, later=cents, drop=st.integers(0, 3000), loss_pct=st.sampled_from([3.0, 10.0]))
def test_parity_fills_are_those_of_the_rules_whatever_the_bars(opens, later, drop, loss_pct):
    """Bought at the open with its stop; the next session falls by ``drop`` cents."""
    low = round(max(0.01, later - drop / 100), 2)
    rows = [(opens, opens, opens, opens), (later, later, low, low)]
    stop = protective_stop_price(opens, loss_pct)
    venue = Venue(PriceHistory({"AAA": bars_of("AAA", rows)}, "test"))
    venue.at(THURSDAY, 9)
    venue.buy_with_stop(repr(stop))
    venue.at(FRIDAY, 16)
    raw = stop_exit_price(later, low, stop, False, True)  # noqa: FBT003 - entry session, gap aware
    expected = [] if math.isnan(raw) else [Decimal(repr(exit_fill_price(raw, 0.5)))]
    assert [Decimal(price) for _, side, _, price in venue.fills() if side == "sell"] == expected


# ---------------------------------------------------------------------------------------- paper


def test_paper_fills_at_the_touch_without_slippage():
    venue = holding(Venue(fill_model="paper"), shares=1)
    venue.at(FRIDAY, 9)
    venue.sell(qty="1")
    venue.at(FRIDAY, 9, 30)
    assert venue.fills()[-1] == ("AAA", "sell", "1", "103")


def test_paper_stops_are_filled_at_the_stop():
    venue = holding(Venue(fill_model="paper"), shares=1)
    venue.stop("98", qty="1")
    venue.at(THURSDAY, 11, 40)
    assert venue.fills()[-1] == ("AAA", "sell", "1", "98")


def many_orders(seed: int) -> Venue:
    venue = Venue(fill_model="paper", seed=seed)
    venue.at(THURSDAY, 10)
    for number in range(400):
        venue.send(client_order_id=f"entry-{number}", qty="9")
    return venue


def test_one_eligible_paper_fill_in_ten_is_partial_and_the_rest_follows_two_seconds_later():
    venue = many_orders(seed=7)
    orders = venue.engine.state.orders.values()
    partial = [order for order in orders if order.status == "partially_filled"]
    assert 25 <= len(partial) <= 55  # 400 × 0.1 = 40, three standard deviations are 18
    assert all(0 < order.filled_qty < order.qty for order in partial)
    row = venue.raw.get("/account/activities/FILL", {"order_id": partial[0].order_id})[0]
    assert (row["type"], int(row["cum_qty"]) + int(row["leaves_qty"])) == ("partial_fill", 9)
    venue.at(THURSDAY, 10, 0, 1)
    assert partial[0].status == "partially_filled"
    venue.at(THURSDAY, 10, 1)
    assert {order.status for order in orders} == {"filled"}
    assert venue.position()["qty"] == str(400 * 9)


def test_chance_belongs_to_the_order_so_that_another_request_changes_nothing_else():
    lone = Venue(fill_model="paper", seed=7)
    lone.at(THURSDAY, 10)
    lone.send(client_order_id="entry-399", qty="9")
    crowd = many_orders(seed=7)
    both = [venue.engine.state.by_client_id["entry-399"] for venue in (lone, crowd)]
    assert both[0].filled_qty == both[1].filled_qty
    assert both[0].order_id == both[1].order_id


def test_the_same_seed_gives_the_same_book_and_another_seed_another():
    same, again, other = (many_orders(seed) for seed in (7, 7, 8))
    assert same.fills() == again.fills()
    assert same.engine.state.orders.keys() == again.engine.state.orders.keys()
    assert same.fills() != other.fills()
    assert not same.engine.state.orders.keys() & other.engine.state.orders.keys()


# --------------------------------------------------------------------------------------- limits


def test_a_limit_buy_rests_until_the_path_passes_it():
    venue = Venue()
    venue.at(FRIDAY, 10)
    shown = venue.send(type="limit", limit_price="102")
    assert venue.status(shown) == "new"
    venue.at(FRIDAY, 11, 40)  # 103 → 101
    assert venue.fills() == [("AAA", "buy", "10", "102")]


def test_a_limit_buy_above_the_market_is_filled_at_the_market():
    venue = Venue()
    venue.at(FRIDAY, 10)
    venue.send(type="limit", limit_price="110")
    assert venue.fills() == [("AAA", "buy", "10", "103")]


def test_a_stop_limit_that_is_jumped_over_stays_open():
    venue = holding(Venue())
    shown = venue.stop("96", type="stop_limit", limit_price="95.5")
    venue.at(MONDAY, 9, 30)  # opens at 90: triggered, but 90 < 95.5
    assert venue.status(shown) == "new"
    venue.at(TUESDAY, 13, 50)  # the first path to pass 95.5 goes from 93 to 96
    assert venue.fills()[-1] == ("AAA", "sell", "10", "95.5")


def test_an_order_on_a_ticker_without_a_bar_expires_unfilled_at_the_close():
    venue = Venue()
    venue.at(MONDAY, 9)
    shown = venue.send(symbol="BBB")
    venue.at(MONDAY, 9, 31)
    assert venue.status(shown) == "new"
    venue.at(MONDAY, 16)
    assert venue.status(shown) == "expired"
    assert venue.fills() == []


def test_a_buy_stop_becomes_a_limit_order_when_it_triggers():
    """A stop at 104 triggers at Friday's high of 105 and is filled at 104; a gap leaves it open."""
    venue = Venue()
    venue.at(FRIDAY, 10)
    venue.send(type="stop", stop_price="104")
    venue.at(FRIDAY, 13, 50)
    assert venue.fills() == [("AAA", "buy", "10", "104")]
    rows = [(100.0,) * 4, (110.0, 110.0, 104.0, 106.0)]
    gapped = Venue(PriceHistory({"AAA": bars_of("AAA", rows)}, "test"))
    gapped.at(THURSDAY, 10)
    shown = gapped.send(type="stop", stop_price="103", time_in_force="gtc")
    gapped.at(FRIDAY, 9, 30)  # 110 lies above 103 × 1.025, down to 105.57
    assert gapped.status(shown) == "new"
    gapped.at(FRIDAY, 11, 40)
    assert gapped.fills() == [("AAA", "buy", "10", "105.57")]
