"""Splits on their ex-date: positions, resting orders, cash for fractions, marks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from alpaca.data.requests import CorporateActionsRequest
from venue_kit import FRIDAY, MONDAY, THURSDAY, Venue, bars_of, ny, refusal

from livekit.broker.venue.engine.history import PriceHistory, clean_ratio


def splitting(ratio: float, shares: int = 10, **settings: object) -> Venue:
    """``shares`` of AAA bought at 100 on Thursday; on Friday the split, at the same value."""
    opened = 100 / ratio
    rows = [(100.0, 100.0, 100.0, 100.0), (opened,) * 4, (opened,) * 4]
    bars = bars_of("AAA", rows, ratios=(1.0, ratio, 1.0))
    venue = Venue(PriceHistory({"AAA": bars}, "test"), **settings)
    venue.at(THURSDAY, 9)
    venue.send(qty=str(shares))
    venue.at(THURSDAY, 10)
    return venue


def test_a_forward_split_multiplies_shares_and_adjusts_a_plain_stop():
    venue = splitting(4.0)
    stop = venue.stop("90.01")
    venue.at(FRIDAY, 3, 59)
    assert venue.position()["qty"] == "10"
    venue.at(FRIDAY, 4)
    position, order = venue.position(), venue.order(stop)
    assert (position["qty"], position["avg_entry_price"], position["qty_available"]) == (
        "40",
        "25",
        "0",
    )
    assert (order["qty"], order["stop_price"]) == ("40", "22.5")  # 22.5025 down to the cent


def test_a_reverse_split_cancels_the_plain_gtc_orders_and_leaves_the_position_bare():
    venue = splitting(0.1, shares=20)
    stop = venue.stop("90", qty="20")
    venue.at(FRIDAY, 4)
    assert venue.status(stop) == "canceled"
    assert (venue.position()["qty"], venue.position()["qty_available"]) == ("2", "2")


@pytest.mark.parametrize(("adjusts", "leg"), [(False, ("10", "60")), (True, ("20", "30"))])
def test_the_leg_of_a_group_stays_as_it_is_unless_the_switch_is_on(adjusts, leg):
    venue = splitting(2.0, splits_adjust_group_legs=adjusts)
    venue.at(THURSDAY, 12)
    shown = venue.buy_with_stop("60")
    venue.at(FRIDAY, 4)
    order = venue.order(shown)["legs"][0]
    assert (order["qty"], order["stop_price"]) == leg


def test_a_leg_left_at_the_old_price_sells_at_the_open_after_the_split():
    venue = splitting(4.0)
    shown = venue.buy_with_stop("60")  # the price after the split is 25
    venue.at(FRIDAY, 9, 30)
    assert venue.order(shown)["legs"][0]["status"] == "filled"
    assert venue.fills()[-1] == ("AAA", "sell", "10", "24.875")  # 25 × 0.995


def test_a_stop_that_outgrew_its_position_sells_no_more_than_is_held():
    """Twenty shares with a leg for twenty become two; the leg sells two and ends."""
    rows = [(100.0,) * 4, (1000.0, 1000.0, 80.0, 80.0)]
    bars = bars_of("AAA", rows, ratios=(1.0, 0.1))
    venue = Venue(PriceHistory({"AAA": bars}, "test"))
    venue.at(THURSDAY, 9)
    shown = venue.buy_with_stop("90", qty="20")
    venue.at(FRIDAY, 12)
    assert venue.fills()[-1] == ("AAA", "sell", "2", "89.55")
    assert refusal(venue.position)[0] == 404
    venue.at(FRIDAY, 16)
    assert venue.order(shown)["legs"][0]["filled_qty"] == "2"


def test_a_fraction_of_a_share_is_paid_in_cash_at_the_open():
    venue = splitting(1.5, shares=11)  # 16 shares and a half; the open is 66.666…
    cash = venue.cash
    venue.at(FRIDAY, 4)
    assert (venue.position()["qty"], venue.cash) == ("16", cash)
    venue.at(FRIDAY, 9, 30)
    assert venue.cash - cash == Decimal("33.33")
    kinds = [row["activity_type"] for row in venue.raw.get("/account/activities")]
    assert kinds == ["CIL", "SPLIT", "FILL"]


def test_shares_too_few_for_one_new_share_become_cash():
    venue = splitting(0.1, shares=5)
    venue.at(FRIDAY, 10)
    assert refusal(venue.position)[0] == 404
    assert venue.cash == 100_000 - 500 + 500


def test_a_ratio_that_is_no_clean_split_moves_no_shares():
    venue = splitting(1.487)
    venue.at(FRIDAY, 10)
    assert venue.position()["qty"] == "10"
    assert [clean_ratio(ratio) for ratio in (1.0, 1.011, 7.000007)] == [None, None, 7]


def test_a_mark_before_the_first_trade_of_the_day_is_on_the_new_basis():
    venue = splitting(4.0)
    venue.at(FRIDAY, 5)  # no trade yet: the last one was 100 on the old basis
    position = venue.position()
    assert (position["current_price"], position["lastday_price"]) == ("25", "25")
    assert venue.raw.get("/account")["equity"] == "100000.00"


def test_a_split_is_announced_two_weeks_ahead_and_not_earlier():
    rows = [(100.0,) * 4] * 2
    far = date(2020, 1, 23)
    bars = bars_of("AAA", rows, (THURSDAY, far), ratios=(1.0, 3.0))
    venue = Venue(PriceHistory({"AAA": bars}, "test"))
    window = CorporateActionsRequest(symbols=["AAA"], start=THURSDAY, end=date(2020, 12, 31))
    venue.at(date(2020, 1, 8), 12)
    assert venue.actions.get_corporate_actions(window).data == {}
    venue.at(date(2020, 1, 9), 12)
    (split,) = venue.actions.get_corporate_actions(window).data["forward_splits"]
    assert (split.symbol, split.ex_date, split.new_rate, split.old_rate) == ("AAA", far, 3.0, 1.0)


def test_a_reverse_split_has_its_own_list():
    venue = splitting(1 / 3)
    venue.at(THURSDAY, 12)
    request = CorporateActionsRequest(start=FRIDAY, end=FRIDAY)
    (split,) = venue.actions.get_corporate_actions(request).data["reverse_splits"]
    assert (split.new_rate, split.old_rate, split.ex_date) == (1.0, 3.0, FRIDAY)


def test_nothing_is_split_twice_when_the_clock_passes_the_day_in_one_step():
    venue = splitting(2.0)
    venue.engine.advance(ny(MONDAY, 20))
    assert venue.position()["qty"] == "20"
