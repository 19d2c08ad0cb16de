"""The seventeen statuses, replacements that take their time, and what a cancel leaves behind."""

from __future__ import annotations

from datetime import date

import pytest
from venue_kit import FRIDAY, MONDAY, THURSDAY, Venue, bars_of, holding, ny, refusal, week_history

from livekit.broker.venue.engine.refusals import Refusal

PARKED = ("done_for_day", "stopped", "suspended", "calculated", "accepted_for_bidding")


def resting(venue: Venue, **fields: object) -> dict[str, object]:
    return venue.send(**({"type": "limit", "limit_price": "80", "time_in_force": "gtc"} | fields))


def seen_in_an_eventful_week() -> set[str]:
    """Every status that an order has been shown with, by ways that the account can meet."""
    venue = Venue(replace_delay_s=2.0, cancel_delay_s=3.0)
    seen = set()

    def see(shown: dict[str, object]) -> None:
        order = venue.order(shown)
        seen.update(one["status"] for one in (order, *(order["legs"] or ())))

    venue.at(THURSDAY, 9)
    entry = venue.buy_with_stop("40", symbol="BBB")
    see(entry)  # accepted, held
    venue.at(THURSDAY, 10)
    see(entry)  # filled, new
    day = venue.send(type="limit", limit_price="90", client_order_id="day")
    seen.add(str(day["status"]))  # pending_new
    rest = resting(venue, limit_price="95", client_order_id="rest")
    successor = venue.raw.patch(f"/orders/{rest['id']}", {"limit_price": "96"})
    see(rest)  # pending_replace
    venue.at(THURSDAY, 10, 0, 2)
    see(rest)  # replaced
    venue.cancel(successor)
    see(successor)  # pending_cancel
    venue.at(THURSDAY, 10, 0, 5)
    see(successor)  # canceled
    for status in PARKED:
        venue.app.control.park(str(day["id"]), status)
        see(day)
        venue.app.control.park(str(day["id"]), "new")
    venue.at(THURSDAY, 16)
    see(day)  # expired
    return seen


def test_every_status_of_the_specification_can_be_reached():
    rough = Venue(fill_model="rough")
    rough.at(THURSDAY, 10)
    shown = [rough.send(client_order_id=f"r{number}") for number in range(120)]
    seen = {rough.status(order) for order in shown}  # a third in parts, one in fifty rejected
    assert {"partially_filled", "rejected"} <= seen
    assert seen_in_an_eventful_week() | seen == {
        *("new", "partially_filled", "filled", "done_for_day", "canceled", "expired", "replaced"),
        *("pending_cancel", "pending_replace", "accepted", "pending_new", "accepted_for_bidding"),
        *("stopped", "rejected", "suspended", "calculated", "held"),
    }


@pytest.mark.parametrize(
    ("status", "fills"),
    [
        ("stopped", True),
        ("accepted_for_bidding", True),
        ("suspended", False),
        ("calculated", False),
    ],
)
def test_a_parked_order_fills_or_waits_by_its_status(status, fills):
    venue = Venue()
    venue.at(THURSDAY, 10)
    order = resting(venue, limit_price="98")
    venue.app.control.park(order["id"], status)
    venue.at(THURSDAY, 15)  # the low of the day is 97
    assert venue.status(order) == ("filled" if fills else status)


@pytest.mark.parametrize(
    ("status", "accepted"),
    [
        ("calculated", True),
        ("accepted_for_bidding", True),
        ("stopped", False),
        ("suspended", False),
        ("done_for_day", False),
    ],
)
def test_which_parked_orders_can_be_cancelled(status, accepted):
    venue = Venue()
    venue.at(THURSDAY, 10)
    order = resting(venue)
    venue.app.control.park(order["id"], status)
    if accepted:
        venue.cancel(order)
        assert venue.status(order) == "canceled"
    else:
        assert refusal(venue.cancel, order)[0] == 422


def test_only_what_works_is_parked_and_only_what_is_parked_goes_on():
    venue = holding(Venue())
    filled = venue.raw.get("/orders", {"status": "closed"})[0]
    for status in ("stopped", "new", "gone fishing"):
        with pytest.raises(Refusal):
            venue.app.control.park(filled["id"], status)


# -------------------------------------------------------------------------------- replacements


def replacing(venue: Venue) -> tuple[dict[str, object], dict[str, object]]:
    """A limit buy of 10 at 98 at Thursday 10:00, and its successor at 99 that is on the way."""
    venue.at(THURSDAY, 10)
    old = resting(venue, limit_price="98")
    new = venue.raw.patch(f"/orders/{old['id']}", {"limit_price": "99"})
    return old, new


def test_while_a_replacement_is_under_way_the_order_can_be_neither_cancelled_nor_replaced():
    venue = Venue(replace_delay_s=5.0)
    old, new = replacing(venue)
    assert (venue.status(old), venue.status(new)) == ("pending_replace", "pending_new")
    assert refusal(venue.cancel, old)[1]["message"] == (
        'order is not cancelable in "pending_replace" state'
    )
    assert refusal(venue.raw.patch, f"/orders/{old['id']}", {"limit_price": "97"})[1][
        "message"
    ] == ("cannot replace order in pending_replace status")
    venue.at(THURSDAY, 10, 0, 5)
    assert (venue.status(old), venue.status(new)) == ("replaced", "new")
    assert venue.order(old)["replaced_by"] == new["id"]


def test_a_replacement_whose_order_fills_first_is_rejected():
    venue = Venue(replace_delay_s=3 * 3600.0)
    old, new = replacing(venue)
    venue.at(THURSDAY, 13, 1)  # the low of 97 came at 11:40
    assert (venue.status(old), venue.status(new)) == ("filled", "rejected")
    assert venue.position()["qty"] == "10"


def test_a_successor_that_is_cancelled_leaves_the_order_as_it_was():
    venue = Venue(replace_delay_s=5.0)
    old, new = replacing(venue)
    venue.cancel(new)
    venue.at(THURSDAY, 10, 1)
    assert (venue.status(old), venue.status(new)) == ("new", "canceled")


def test_a_replacement_under_way_survives_a_restart(tmp_path):
    from livekit.broker.venue.book import Book
    from livekit.broker.venue.engine.engine import Engine

    source = Venue(replace_delay_s=5.0)
    old, new = replacing(source)
    settings, history = source.engine.settings, source.engine.market.history
    with Book(tmp_path / "b.db") as book:
        book.open_state(settings, history, ny(THURSDAY, 0))
        book.save(source.engine.state)
    with Book(tmp_path / "b.db") as book:
        engine = Engine(history, settings, book.open_state(settings, history, ny(THURSDAY, 0)))
        engine.advance(ny(THURSDAY, 10, 1))
        orders = engine.state.orders
        assert (orders[old["id"]].status, orders[new["id"]].status) == ("replaced", "new")


def test_during_a_replacement_buying_power_holds_the_dearer_of_the_two():
    venue = Venue(replace_delay_s=5.0)
    replacing(venue)  # 10 at 98 are to be 10 at 99
    held = 400_000 - float(venue.raw.get("/account")["buying_power"])
    assert held == 990.0


def test_a_dearer_replacement_needs_the_buying_power():
    venue = Venue()
    venue.at(THURSDAY, 10)
    order = resting(venue, qty="4000", limit_price="90")  # 360,000 of 400,000
    status, body = refusal(venue.raw.patch, f"/orders/{order['id']}", {"qty": "4500"})
    assert (status, body["message"]) == (403, "insufficient buying power")


# ---------------------------------------------------------------------------- after the cancel


def test_as_a_setting_shares_are_free_some_seconds_after_the_cancel():
    venue = holding(Venue(share_release_delay_s=4.0))
    stop = venue.stop("90")
    venue.cancel(stop)
    assert venue.status(stop) == "canceled"
    assert venue.position()["qty_available"] == "0"
    assert refusal(venue.sell)[1]["held_for_orders"] == "10"
    venue.at(THURSDAY, 9, 30, 4)
    assert venue.position()["qty_available"] == "10"


@pytest.mark.parametrize(
    ("tif", "asked", "frozen"),
    [
        ("opg", (9, 27, 59), False),
        ("opg", (9, 28), True),
        ("cls", (15, 49, 59), False),
        ("cls", (15, 50), True),
    ],
)
def test_shortly_before_its_auction_an_order_cannot_be_taken_back(tif, asked, frozen):
    venue = Venue()
    venue.at(THURSDAY, 9)
    order = venue.send(time_in_force=tif)
    venue.at(THURSDAY, *asked)
    venue.cancel(order)
    assert venue.status(order) == ("pending_cancel" if frozen else "canceled")
    venue.at(THURSDAY, 17)
    assert venue.status(order) == ("filled" if frozen else "canceled")


def test_a_day_order_of_a_half_day_ends_at_one_in_the_afternoon():
    half_day = date(2019, 11, 29)  # the day after Thanksgiving
    rows = [(100.0, 104.0, 97.0, 102.0)] * 2
    days = [date(2019, 11, 27), half_day]
    venue = Venue(week_history(bars_of("HALF", rows, days)), start=date(2019, 11, 27))
    venue.at(half_day, 10)
    order = venue.send(symbol="HALF", type="limit", limit_price="90")
    assert order["expires_at"] == "2019-11-29T18:00:00Z"  # 13:00 in New York
    venue.at(half_day, 12, 59)
    assert venue.status(order) == "new"
    venue.at(half_day, 13)
    assert venue.status(order) == "expired"


def test_a_sale_of_everything_and_a_buy_back_keep_their_costs_apart():
    venue = holding(Venue())  # 10 at 100.00
    venue.at(FRIDAY, 10)
    venue.sell(qty="4")
    assert venue.position()["cost_basis"] == "600"  # 6 at 100.00
    venue.sell(qty="6")
    venue.at(MONDAY, 10)
    venue.send(qty="2")
    assert venue.position()["avg_entry_price"] == "90"
