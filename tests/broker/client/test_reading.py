"""What the client makes of the venue's answers to reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from scripted_venue import ACCOUNT, Answer, a_group, a_leg, an_order, error

from livekit.errors import UnknownParameter, VenueUnavailable
from livekit.model import Account, Asset, VenueClock, VenueFill, VenuePosition

ORDER_ID = "61e69015-8549-4bfd-b9c3-01e75843f47d"


def test_an_account_is_read_in_decimals(client, venue):
    venue.on("GET", "/v2/account", ACCOUNT)
    assert client.get_account() == Account(
        account_number="PA3ABCDEFGHI",
        status="ACTIVE",
        cash=Decimal("100000"),
        equity=Decimal("100250.75"),
        buying_power=Decimal("400000.12"),
        trading_blocked=False,
    )


@pytest.mark.parametrize("block", ["trading_blocked", "account_blocked", "trade_suspended_by_user"])
def test_any_block_on_the_account_blocks_trading(client, venue, block):
    venue.on("GET", "/v2/account", ACCOUNT | {block: True})
    assert client.get_account().trading_blocked


def test_an_account_status_never_heard_of_passes_as_text(client, venue):
    venue.on("GET", "/v2/account", ACCOUNT | {"status": "ACCOUNT_CLOSED_PENDING"})
    assert client.get_account().status == "ACCOUNT_CLOSED_PENDING"


def test_an_account_without_cash_is_refused_and_the_field_named(client, venue):
    venue.on("GET", "/v2/account", {k: v for k, v in ACCOUNT.items() if k != "cash"})
    with pytest.raises(VenueUnavailable, match="cash: is absent"):
        client.get_account()


def test_a_position_keeps_fractions_and_what_is_available(client, venue):
    row = {
        "asset_id": "904837e3-3b76-47ec-b432-046db621571b",
        "symbol": "AAPL",
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "avg_entry_price": "17.1",
        "qty": "30.5",
        "qty_available": "0.5",
        "side": "long",
        "market_value": None,
        "current_price": None,
    }
    venue.on("GET", "/v2/positions", [row])
    assert client.get_positions() == (
        VenuePosition(
            "AAPL", Decimal("30.5"), Decimal("0.5"), Decimal("17.1"), None, row["asset_id"]
        ),
    )


def test_the_clock_is_read_in_utc_down_to_the_microsecond(client, venue):
    venue.on(
        "GET",
        "/v2/clock",
        {
            "timestamp": "2020-01-30T09:31:00.123456789-05:00",
            "is_open": True,
            "next_open": "2020-01-31T09:30:00-05:00",
            "next_close": "2020-01-30T16:00:00-05:00",
        },
    )
    # New York is five hours behind UTC in January
    assert client.get_clock() == VenueClock(
        timestamp=datetime(2020, 1, 30, 14, 31, 0, 123456, UTC),
        is_open=True,
        next_open=datetime(2020, 1, 31, 14, 30, tzinfo=UTC),
        next_close=datetime(2020, 1, 30, 21, 0, tzinfo=UTC),
    )


def test_the_calendar_times_are_new_york_times_also_on_the_half_day_after_thanksgiving(
    client, venue
):
    venue.on(
        "GET",
        "/v2/calendar",
        [
            {"date": "2019-11-27", "open": "09:30", "close": "16:00", "session_open": "0400"},
            {"date": "2019-11-29", "open": "09:30", "close": "13:00", "session_open": "0400"},
        ],
    )
    days = client.get_calendar(date(2019, 11, 27), date(2019, 11, 29))
    assert days[1] == (
        date(2019, 11, 29),
        datetime(2019, 11, 29, 14, 30, tzinfo=UTC),
        datetime(2019, 11, 29, 18, 0, tzinfo=UTC),
    )
    assert venue.seen[0].query == {"start": "2019-11-27", "end": "2019-11-29"}


def test_an_asset_without_easy_to_borrow_is_read(client, venue):
    venue.on(
        "GET",
        "/v2/assets/BRK.B",
        {
            "id": "5ab0ba3a",
            "class": "us_equity",
            "exchange": "MOON",
            "symbol": "BRK.B",
            "status": "active",
            "tradable": True,
            "borrow_status": "easy_to_borrow",
        },
    )
    assert client.get_asset("BRK.B") == Asset(
        ticker="BRK.B", asset_id="5ab0ba3a", tradable=True, status="active"
    )


def test_an_unknown_asset_is_none_and_a_malformed_ticker_is_not_even_asked_for(client, venue):
    venue.on("GET", "/v2/assets/NOPE", error(404, 40410000, "asset not found for NOPE"))
    assert client.get_asset("NOPE") is None
    assert client.get_asset("../account") is None
    assert len(venue.seen) == 1


# --------------------------------------------------------------------------------------- orders


def test_an_order_is_read_with_its_leg(client, venue):
    venue.on("GET", f"/v2/orders/{ORDER_ID}", a_group())
    order = client.get_order(ORDER_ID)
    assert venue.seen[0].query == {"nested": "true"}
    assert (order.order_class, order.quantity, order.remaining) == ("oto", 30, 30)
    assert order.submitted_at == datetime(2020, 1, 30, 14, 31, 0, 120001, UTC)
    assert order.expires_at == datetime(2020, 1, 30, 21, 0, tzinfo=UTC)
    (leg,) = order.legs
    assert (leg.status, leg.side, leg.stop_price) == ("held", "sell", Decimal("15.39"))
    assert not leg.is_live_cover


def test_a_simple_order_has_the_class_simple_whether_it_is_empty_null_or_absent(client, venue):
    bare = an_order()
    del bare["order_class"]
    for raw in (an_order(), an_order(order_class=None), bare):
        venue.on("GET", f"/v2/orders/{ORDER_ID}", raw)
        assert client.get_order(ORDER_ID).order_class == "simple"


def test_statuses_types_and_classes_never_heard_of_pass_as_text(client, venue):
    venue.on(
        "GET",
        f"/v2/orders/{ORDER_ID}",
        an_order(status="teleported", type="psychic", order_class="nonet", side="levitate"),
    )
    order = client.get_order(ORDER_ID)
    assert (order.status, order.order_type, order.order_class, order.side) == (
        "teleported",
        "psychic",
        "nonet",
        "levitate",
    )
    assert not order.is_live_cover
    assert not order.is_terminal


def test_a_null_submitted_at_is_no_instant(client, venue):
    venue.on("GET", f"/v2/orders/{ORDER_ID}", an_order(submitted_at=None))
    assert client.get_order(ORDER_ID).submitted_at is None


def test_an_order_by_notional_is_shown_with_what_it_has_filled(client, venue):
    venue.on("GET", f"/v2/orders/{ORDER_ID}", an_order(qty=None, notional="50", filled_qty="0.25"))
    assert client.get_order(ORDER_ID).quantity == Decimal("0.25")


def test_an_unknown_order_is_none(client, venue):
    venue.on(
        "GET", f"/v2/orders/{ORDER_ID}", error(404, 40410000, f"order not found for {ORDER_ID}")
    )
    assert client.get_order(ORDER_ID) is None


def test_the_404_of_a_gateway_does_not_mean_that_there_is_no_order(client, venue):
    venue.on("GET", "/v2/orders:by_client_order_id", Answer(b"<html>404 Not Found</html>", 404))
    with pytest.raises(VenueUnavailable, match="HTTP 404: 404 Not Found"):
        client.get_order_by_client_id("20200130_AAPL_entry_buy")


def test_an_order_id_that_could_lead_elsewhere_is_not_sent(client, venue):
    with pytest.raises(UnknownParameter):
        client.get_order("../positions")
    assert venue.seen == []


def test_an_order_by_client_id_is_read_again_for_its_legs_only_if_it_is_a_group(client, venue):
    venue.on("GET", "/v2/orders:by_client_order_id", a_group(legs=None), an_order())
    venue.on("GET", f"/v2/orders/{ORDER_ID}", a_group())
    group = client.get_order_by_client_id("20200130_AAPL_entry_buy")
    assert [leg.status for leg in group.legs] == ["held"]
    assert venue.seen[0].query == {"client_order_id": "20200130_AAPL_entry_buy"}
    assert client.get_order_by_client_id("20200130_AAPL_entry_buy").legs == ()
    assert [seen.path for seen in venue.seen].count(f"/v2/orders/{ORDER_ID}") == 1


def test_an_unknown_client_id_is_none(client, venue):
    venue.on("GET", "/v2/orders:by_client_order_id", error(404, 40410000, "order not found for x"))
    assert client.get_order_by_client_id("20200130_AAPL_entry_buy") is None


def _numbered(number: int, **changes: object) -> dict[str, object]:
    at = datetime(2020, 1, 2, 15, 0, tzinfo=UTC) + timedelta(minutes=number)
    return an_order(
        id=f"00000000-0000-4000-8000-{number:012d}",
        client_order_id=f"order-{number}",
        submitted_at=at.isoformat().replace("+00:00", "Z"),
        **changes,
    )


def _listing(orders: list[dict[str, object]]):
    """The venue's own paging: newest first, `until` and `after` exclusive, `limit` at most 500."""

    def answer(seen) -> Answer:
        rows = sorted(orders, key=lambda row: row["submitted_at"], reverse=True)
        if "until" in seen.query:
            until = datetime.fromisoformat(seen.query["until"])
            rows = [r for r in rows if datetime.fromisoformat(r["submitted_at"]) < until]
        if "after" in seen.query:
            after = datetime.fromisoformat(seen.query["after"])
            rows = [r for r in rows if datetime.fromisoformat(r["submitted_at"]) > after]
        if seen.query["status"] == "open":
            rows = [r for r in rows if r["status"] in ("new", "accepted", "partially_filled")]
            if seen.query["nested"] == "true":
                rows = [r for r in rows if r["order_class"] == ""]
        return Answer(rows[: int(seen.query["limit"])])

    return answer


def test_1201_orders_are_listed_on_three_pages_each_once(client, venue):
    # pages of 500: 500, then 499 new ones beside the overlap, then the last 202
    venue.on("GET", "/v2/orders", _listing([_numbered(n) for n in range(1201)]))
    orders = client.list_orders()
    assert [order.client_order_id for order in orders] == [
        f"order-{n}" for n in range(1200, -1, -1)
    ]
    assert len(venue.seen) == 3
    assert venue.seen[0].query["limit"] == "500"


def test_orders_of_one_instant_on_both_sides_of_a_page_break_are_all_listed(client, venue):
    # 600 orders, newest first: the 500th and the 501st were submitted at the same microsecond
    orders = [_numbered(n) for n in range(600)]
    orders[99]["submitted_at"] = orders[100]["submitted_at"]
    venue.on("GET", "/v2/orders", _listing(orders))
    assert len(client.list_orders()) == 600


def test_orders_submitted_exactly_at_the_bound_are_listed(client, venue):
    venue.on("GET", "/v2/orders", _listing([_numbered(n, status="filled") for n in range(10)]))
    bound = datetime(2020, 1, 2, 15, 7, tzinfo=UTC)
    assert [o.client_order_id for o in client.list_orders(after=bound)] == [
        "order-9",
        "order-8",
        "order-7",
    ]


def test_a_stop_of_a_filled_group_from_before_the_bound_is_listed_too(client, venue):
    old_leg = _numbered(0, status="new", type="stop", side="sell", order_class="oto")
    venue.on("GET", "/v2/orders", _listing([old_leg, _numbered(9, status="filled")]))
    listed = client.list_orders(after=datetime(2020, 1, 2, 15, 5, tzinfo=UTC))
    assert [order.client_order_id for order in listed] == ["order-9", "order-0"]
    assert listed[1].is_live_cover


def test_a_leg_is_listed_under_its_parent_and_not_a_second_time(client, venue):
    def answer(seen) -> Answer:
        flat = seen.query["nested"] == "false"
        return Answer([a_group(legs=None), a_leg()] if flat else [a_group()])

    venue.on("GET", "/v2/orders", answer)
    listed = client.list_orders(status="open")
    assert [order.order_class for order in listed] == ["oto"]
    assert len(listed[0].legs) == 1


def test_a_venue_that_repeats_a_full_page_of_orders_is_not_followed_for_ever(client, venue):
    page = [_numbered(n) for n in range(500)]
    venue.on("GET", "/v2/orders", page)
    with pytest.raises(VenueUnavailable, match="repeats a full page"):
        client.list_orders()


def test_orders_are_asked_for_by_ticker(client, venue):
    venue.on("GET", "/v2/orders", [])
    client.list_orders(tickers=["AAPL", "BRK.B"])
    assert venue.seen[0].query["symbols"] == "AAPL,BRK.B"


def test_no_tickers_are_not_all_tickers(client, venue):
    assert client.list_orders(tickers=[]) == ()
    assert venue.seen == []


def test_a_status_that_the_list_does_not_know_is_refused(client, venue):
    with pytest.raises(UnknownParameter):
        client.list_orders(status="held")


# ---------------------------------------------------------------------------------------- fills


def _fill_row(number: int, **changes: object) -> dict[str, object]:
    at = datetime(2020, 1, 30, 14, 30, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "id": f"20200130093000000::{number:08d}",
        "activity_type": "FILL",
        "transaction_time": at.isoformat().replace("+00:00", "Z"),
        "type": "fill",
        "price": "17.1",
        "qty": "10",
        "side": "buy",
        "symbol": "AAPL",
        "leaves_qty": "0",
        "order_id": ORDER_ID,
        "cum_qty": "10",
        "order_status": "filled",
        **changes,
    }


def test_fills_are_read_oldest_first_over_all_pages(client, venue):
    rows = [_fill_row(n) for n in range(230)]

    def answer(seen) -> Answer:
        token = seen.query.get("page_token")
        start = 0 if token is None else int(token.partition("::")[2]) + 1
        return Answer(rows[start : start + int(seen.query["page_size"])])

    venue.on("GET", "/v2/account/activities/FILL", answer)
    fills = client.get_fills()
    assert [fill.activity_id for fill in fills] == [row["id"] for row in rows]
    assert len(venue.seen) == 3  # 100 + 100 + 30
    assert fills[0] == VenueFill(
        "20200130093000000::00000000",
        ORDER_ID,
        "AAPL",
        "buy",
        Decimal(10),
        Decimal("17.1"),
        datetime(2020, 1, 30, 14, 30, tzinfo=UTC),
    )


def test_a_short_sale_is_a_sale(client, venue):
    venue.on("GET", "/v2/account/activities/FILL", [_fill_row(0, side="sell_short")])
    assert client.get_fills()[0].side == "sell"


def test_a_venue_that_repeats_a_full_page_of_fills_is_not_followed_for_ever(client, venue):
    venue.on("GET", "/v2/account/activities/FILL", [_fill_row(n) for n in range(100)])
    with pytest.raises(VenueUnavailable, match="repeats a full page"):
        client.get_fills()


def test_fills_are_asked_for_from_a_second_before_the_bound(client, venue):
    venue.on("GET", "/v2/account/activities/FILL", [])
    client.get_fills(after=datetime(2020, 1, 30, 14, 30, tzinfo=UTC))
    assert venue.seen[0].query["after"] == "2020-01-30T14:29:59.000000Z"
