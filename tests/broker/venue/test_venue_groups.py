"""Brackets, OCO, auction and immediate orders, trailing stops, the rough model."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from venue_kit import FRIDAY, MONDAY, THURSDAY, Venue, holding, ny, refusal

LEGS = {"take_profit": {"limit_price": "104"}, "stop_loss": {"stop_price": "95"}}


def bracket(venue: Venue, profit: str = "104", loss: str = "95", **fields):
    return venue.send(
        order_class="bracket",
        time_in_force="gtc",
        take_profit={"limit_price": profit},
        stop_loss={"stop_price": loss},
        **fields,
    )


def oco(venue: Venue, profit: str = "105", loss: str = "95", **fields):
    legs = {"take_profit": {"limit_price": profit}, "stop_loss": {"stop_price": loss}}
    return venue.sell(type="limit", time_in_force="gtc", order_class="oco", **(legs | fields))


def statuses(venue: Venue, shown) -> list[str]:
    order = venue.order(shown)
    return [order["status"], *(leg["status"] for leg in order["legs"])]


# ------------------------------------------------------------------------------------- bracket


def test_a_bracket_wakes_its_profit_and_keeps_its_stop_held():
    venue = Venue()
    venue.at(THURSDAY, 9)
    order = bracket(venue, profit="106", loss="90")
    assert [leg["type"] for leg in order["legs"]] == ["limit", "stop"]
    assert statuses(venue, order) == ["accepted", "held", "held"]
    venue.at(THURSDAY, 9, 31)
    assert statuses(venue, order) == ["filled", "new", "held"]
    assert venue.position()["qty_available"] == "0"  # reserved once, by the take-profit


def test_when_the_profit_is_taken_the_stop_dies():
    venue = Venue()
    venue.at(THURSDAY, 9)
    order = bracket(venue, profit="103.50", loss="90")  # Thursday's high is 104
    venue.at(THURSDAY, 16)
    assert statuses(venue, order) == ["filled", "filled", "canceled"]
    assert venue.fills()[-1] == ("AAA", "sell", "10", "103.5")


def test_when_the_stop_triggers_the_profit_is_replaced_by_it():
    venue = Venue()
    venue.at(THURSDAY, 9)
    order = bracket(venue, profit="106", loss="98")  # Thursday's low is 97
    venue.at(THURSDAY, 12)
    assert statuses(venue, order) == ["filled", "replaced", "filled"]
    profit, stop = venue.order(order)["legs"]
    assert profit["replaced_by"] == stop["id"]
    assert venue.fills()[-1][3] == "97.51"  # 98 less 0.5 %


def test_a_gap_below_the_stop_of_a_bracket_fills_at_the_open():
    venue = Venue()
    venue.at(FRIDAY, 9)
    order = bracket(venue, profit="120", loss="100")
    venue.at(MONDAY, 9, 30)
    assert statuses(venue, order) == ["filled", "replaced", "filled"]
    assert venue.fills()[-1][3] == "89.55"  # Monday's open of 90 less 0.5 %


def test_cancelling_the_profit_takes_the_stop_along():
    venue = Venue()
    venue.at(THURSDAY, 9, 31)
    order = bracket(venue, profit="120", loss="80")
    venue.cancel(venue.order(order)["legs"][0])
    venue.at(THURSDAY, 9, 32)
    assert statuses(venue, order) == ["filled", "canceled", "canceled"]


def test_a_day_bracket_dies_at_the_close_and_leaves_the_position_naked():
    venue = Venue()
    venue.at(THURSDAY, 9)
    order = venue.send(
        order_class="bracket",
        take_profit={"limit_price": "120"},
        stop_loss={"stop_price": "80"},
    )
    venue.at(THURSDAY, 16)
    assert statuses(venue, order) == ["filled", "expired", "expired"]
    assert venue.position()["qty_available"] == "10"


def test_the_profit_of_a_bracket_can_be_replaced():
    venue = Venue()
    venue.at(THURSDAY, 9, 31)
    order = bracket(venue, profit="120", loss="80")
    profit = venue.order(order)["legs"][0]
    new = venue.raw.patch(f"/orders/{profit['id']}", {"limit_price": "103"})
    assert (new["replaces"], new["limit_price"]) == (profit["id"], "103")
    venue.at(THURSDAY, 16)
    assert venue.status(new) == "filled"
    assert {leg["status"] for leg in venue.order(order)["legs"]} == {
        "replaced",
        "filled",
        "canceled",
    }


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"take_profit": None}, 422, 40010001, "bracket orders require take_profit.limit_price"),
        ({"stop_loss": {}}, 422, 40010001, "bracket orders require stop_loss.stop_price"),
        (
            {"time_in_force": "ioc"},
            422,
            40010001,
            'bracket orders support only "day" or "gtc" time_in_force',
        ),
        (
            {"extended_hours": True},
            403,
            40310000,
            "bracket orders do not support extended hours trading",
        ),
        ({"qty": "1.5"}, 422, 42210000, "fractional orders must be simple orders"),
        (
            {"take_profit": {"limit_price": "100"}},
            422,
            42210000,
            "take_profit.limit_price must be >= base_price + 0.01",
        ),
        (
            {"stop_loss": {"stop_price": "100"}},
            422,
            42210000,
            "stop_loss.stop_price must be <= base_price - 0.01",
        ),
        (
            {"stop_loss": {"stop_price": "130"}},
            422,
            42210000,
            "stop_loss.stop_price must be <= base_price - 0.01",
        ),
        ({"type": "stop", "stop_price": "110"}, 422, 40010001, "bracket orders require market"),
    ],
)
def test_a_malformed_bracket_creates_nothing(fields, status, code, message):
    venue = Venue()
    venue.at(THURSDAY, 10)  # the market is at 100
    body = {"order_class": "bracket", "time_in_force": "gtc"} | LEGS | fields
    given, answer = refusal(venue.send, **body)
    assert (given, answer["code"]) == (status, code)
    assert answer["message"].startswith(message)
    assert not venue.engine.state.orders


def test_a_bracket_opens_and_never_adds_or_closes():
    venue = holding(Venue())
    assert refusal(bracket, venue)[1]["message"] == "bracket orders must be entry orders"
    assert refusal(venue.sell, order_class="bracket", **LEGS)[0] == 422


# ----------------------------------------------------------------------------------------- oco


def test_an_oco_reserves_the_shares_once_and_one_side_ends_the_other():
    venue = holding(Venue())
    order = oco(venue, profit="103", loss="90")
    assert (order["type"], order["limit_price"]) == ("limit", "103")
    assert venue.position()["qty_available"] == "0"
    assert statuses(venue, order) == ["new", "held"]
    venue.at(THURSDAY, 16)
    assert statuses(venue, order) == ["filled", "canceled"]


def test_the_stop_of_an_oco_replaces_its_profit():
    venue = holding(Venue())
    order = oco(venue, profit="120", loss="98")
    venue.at(THURSDAY, 12)
    assert statuses(venue, order) == ["replaced", "filled"]
    assert refusal(venue.raw.get, "/positions/AAA")[0] == 404


def test_a_part_of_the_profit_shrinks_the_stop():
    for seed in range(400):
        venue = holding(Venue(fill_model="paper", seed=seed), 50)
        if venue.position()["qty"] != "50":
            continue
        order = oco(venue, profit="103", loss="90", qty="50", client_order_id="o1")
        venue.at(THURSDAY, 13, 50)  # two thirds of the session have passed: the high
        shown = venue.order(order)
        if shown["status"] == "partially_filled":
            left = 50 - int(shown["filled_qty"])
            assert (shown["legs"][0]["status"], shown["legs"][0]["qty"]) == ("held", str(left))
            return
    pytest.fail("no seed gave a partial fill")


def test_an_oco_needs_shares_both_prices_and_the_right_side():
    venue = holding(Venue())
    assert refusal(oco, venue, qty="11")[0] == 403
    assert refusal(oco, venue, stop_loss=None)[1]["code"] == 40010001
    assert refusal(oco, venue, take_profit=None)[1]["code"] == 40010001
    bought = {"order_class": "oco", "type": "limit"} | LEGS
    assert refusal(venue.send, **bought)[1]["message"] == "oco orders must be exit orders"
    bought["type"] = "market"
    assert refusal(venue.send, **bought)[1]["message"] == "oco orders must be limit orders"
    status, body = refusal(oco, venue, loss="100")
    assert (status, body["base_price"]) == (422, "100")


def test_both_groups_come_back_nested_and_are_forgotten_by_the_open_list():
    venue = Venue()
    venue.at(THURSDAY, 9, 31)
    order = bracket(venue, profit="120", loss="80")
    assert venue.raw.get("/orders", {"status": "open", "nested": True}) == []
    flat = venue.raw.get("/orders", {"status": "open"})
    assert [(row["parent"] if "parent" in row else row["type"]) for row in flat] == ["limit"]
    (nested,) = venue.raw.get("/orders", {"status": "all", "nested": True})
    assert nested["id"] == order["id"]
    assert len(nested["legs"]) == 2


# ---------------------------------------------------------------------- half filled and dead


def half_filled(**settings) -> tuple[Venue, dict]:
    for seed in range(400):
        venue = Venue(fill_model="paper", seed=seed, **settings)
        venue.at(THURSDAY, 9, 31)
        order = venue.buy_with_stop("90", qty="50", client_order_id="e1")
        if venue.status(order) == "partially_filled":
            venue.cancel(order)
            venue.at(THURSDAY, 9, 35)
            return venue, venue.order(order)
    pytest.fail("no seed gave a partial fill")


def test_a_half_filled_entry_that_dies_leaves_its_shares_without_a_stop():
    _, order = half_filled()
    assert (order["status"], order["legs"][0]["status"]) == ("canceled", "canceled")


def test_as_a_setting_the_leg_protects_what_was_bought():
    _, order = half_filled(partial_entry_activates_legs=True)
    assert order["legs"][0]["status"] == "new"
    assert order["legs"][0]["qty"] == order["filled_qty"]


def test_a_leg_covers_no_more_than_is_left_when_its_entry_is_complete():
    for seed in range(400):
        venue = Venue(fill_model="paper", seed=seed)
        venue.at(THURSDAY, 9, 31)
        order = venue.buy_with_stop("90", qty="50", client_order_id="e1")
        if venue.status(order) == "partially_filled":
            bought = int(venue.order(order)["filled_qty"])
            oco(venue, profit="99", loss="95", qty="1")  # at 100 the profit is taken at once
            venue.at(THURSDAY, 9, 40)
            leg = venue.order(order)["legs"][0]
            assert bought >= 1
            assert (leg["status"], leg["qty"], venue.position()["qty"]) == ("new", "49", "49")
            return
    pytest.fail("no seed gave a partial fill")


# -------------------------------------------------------------------------- opg, cls, ioc, fok


@pytest.mark.parametrize(
    ("tif", "hour", "minute", "accepted"),
    [
        ("opg", 9, 27, True),
        ("opg", 9, 28, False),
        ("opg", 18, 59, False),
        ("opg", 19, 0, True),
        ("cls", 15, 49, True),
        ("cls", 15, 50, False),
        ("cls", 18, 59, False),
        ("cls", 19, 0, True),
    ],
)
def test_auction_orders_have_their_hours(tif, hour, minute, accepted):
    venue = Venue()
    venue.at(THURSDAY, hour, minute)
    if accepted:
        venue.send(time_in_force=tif)
        return
    end = "9:28am" if tif == "opg" else "3:55pm"
    status, body = refusal(venue.send, time_in_force=tif)
    assert (status, body["code"]) == (403, 40310000)
    assert body["message"] == f"{tif} orders must be submitted after 7:00pm and before {end}"


def test_an_opening_order_fills_at_the_open_or_not_at_all():
    venue = Venue()
    venue.at(THURSDAY, 9)
    market = venue.send(time_in_force="opg")
    limit = venue.send(time_in_force="opg", type="limit", limit_price="99")
    venue.at(THURSDAY, 9, 30)
    assert (venue.order(market)["filled_avg_price"], venue.status(limit)) == ("100", "canceled")


def test_a_closing_order_fills_at_the_close_or_not_at_all():
    venue = Venue()
    venue.at(THURSDAY, 10)
    market = venue.send(time_in_force="cls")
    limit = venue.send(time_in_force="cls", type="limit", limit_price="101")
    venue.at(THURSDAY, 15, 59)
    assert (venue.status(market), venue.status(limit)) == ("new", "new")  # at its low it was 97
    venue.at(THURSDAY, 16)
    assert (venue.order(market)["filled_avg_price"], venue.status(limit)) == ("102", "canceled")


def test_an_immediate_order_is_filled_now_or_cancelled():
    venue = Venue()
    venue.at(THURSDAY, 10)
    filled = venue.send(time_in_force="ioc", type="limit", limit_price="100")
    missed = venue.send(time_in_force="fok", type="limit", limit_price="99")
    assert (venue.status(filled), venue.status(missed)) == ("filled", "canceled")


def test_fill_or_kill_takes_no_part_and_immediate_or_cancel_keeps_it():
    outcomes = Counter()
    for seed in range(100):
        venue = Venue(fill_model="rough", seed=seed)
        venue.at(THURSDAY, 10)
        for tif in ("ioc", "fok"):
            order = venue.send(time_in_force=tif, qty="50", client_order_id=tif)
            shown = venue.order(order)
            if shown["status"] == "canceled":
                outcomes[tif, shown["filled_qty"] != "0"] += 1
    assert outcomes["ioc", True] > 10
    assert outcomes["fok", False] > 10
    assert outcomes["fok", True] == 0


def test_auction_and_immediate_orders_are_simple_market_or_limit_orders():
    venue = holding(Venue())
    venue.at(THURSDAY, 10)
    status, body = refusal(venue.stop, "90", time_in_force="ioc")
    assert (status, body["message"]) == (422, "ioc orders must be market or limit orders")
    extended = {"type": "limit", "limit_price": "120", "extended_hours": True}
    status, body = refusal(venue.sell, time_in_force="ioc", **extended)
    assert body["message"] == "extended hours order must be DAY or GTC limit orders"


# ------------------------------------------------------------------------------- trailing stops


def test_a_trailing_stop_follows_the_high_and_never_falls():
    venue = holding(Venue())
    order = venue.sell(type="trailing_stop", trail_price="6", time_in_force="gtc")
    assert (order["hwm"], order["stop_price"]) == ("100", "94")
    venue.at(THURSDAY, 16)  # the high of the day was 104
    shown = venue.order(order)
    assert (shown["status"], shown["hwm"], shown["stop_price"]) == ("new", "104", "98")
    venue.at(MONDAY, 9, 30)  # Friday's high was 105, Monday opens at 90
    shown = venue.order(order)
    assert (shown["status"], shown["stop_price"]) == ("filled", "99")
    assert venue.fills()[-1][3] == "89.55"


def test_a_trail_in_percent_is_floored_to_the_tick():
    venue = holding(Venue())
    order = venue.sell(type="trailing_stop", trail_percent="7.777", time_in_force="gtc")
    assert order["stop_price"] == "92.22"  # 100 × (1 − 0.07777) = 92.223
    changed = venue.raw.patch(f"/orders/{order['id']}", {"trail": "5"})
    assert changed["trail_percent"] == "5"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"trail_price": "0"},
        {"trail_percent": "100"},
        {"trail_price": "1", "trail_percent": "1"},
        {"trail_price": "1", "stop_price": "90"},
    ],
)
def test_a_trailing_stop_has_one_distance(fields):
    venue = holding(Venue())
    assert refusal(venue.sell, type="trailing_stop", **fields)[0] == 422


# ---------------------------------------------------------------------------------- rough model


def test_the_rough_model_slips_fills_in_parts_and_rejects_by_its_seed():
    def day(seed: int) -> list[tuple[str, str, str]]:
        venue = Venue(fill_model="rough", seed=seed, cash_usd=Decimal(10_000_000))
        venue.at(THURSDAY, 10)
        for number in range(200):
            venue.send(client_order_id=f"r{number}")
        venue.at(THURSDAY, 11)
        rows = venue.raw.get("/orders", {"status": "all", "limit": 500})
        return [(row["client_order_id"], row["status"], row["filled_avg_price"]) for row in rows]

    rows = day(3)
    assert rows == day(3)
    assert rows != day(4)
    rejected = [row for row in rows if row[1] == "rejected"]
    prices = [Decimal(row[2]) for row in rows if row[1] == "filled"]
    assert 1 <= len(rejected) <= 12  # 2 % of 200 are 4
    assert len(prices) + len(rejected) == 200
    assert min(prices) >= 100
    assert max(prices) <= 101  # twice 0.5 %
    assert 100.4 < sum(prices) / len(prices) < 100.6


def test_a_rough_limit_order_never_pays_more_than_its_limit():
    for seed in range(50):
        venue = Venue(fill_model="rough", seed=seed)
        venue.at(THURSDAY, 10)
        order = venue.send(type="limit", limit_price="100.20")
        price = venue.order(order)["filled_avg_price"]
        assert price is None or Decimal(price) <= Decimal("100.20")


def test_halts_splits_and_fates_survive_a_restart(tmp_path):
    from livekit.broker.venue.book import Book
    from livekit.broker.venue.engine.engine import Engine
    from livekit.broker.venue.engine.interventions import Intervention
    from livekit.broker.venue.engine.settings import VenueSettings

    history, start = Venue().engine.market.history, ny(THURSDAY, 0)
    with Book(tmp_path / "b.db") as book:
        engine = Engine(history, VenueSettings(), book.open_state(VenueSettings(), history, start))
        engine.halt("BBB")
        engine.intervene(Intervention("split", "AAA", FRIDAY, "2:1"))
        book.save(engine.state)
    with Book(tmp_path / "b.db") as book:
        engine = Engine(history, VenueSettings(), book.open_state(VenueSettings(), history, start))
        assert engine.state.halted == {"BBB"}
        assert engine.market.path("AAA", FRIDAY) == tuple(
            Decimal(price) / 2 for price in ("103.0", "101.0", "105.0", "104.0")
        )
