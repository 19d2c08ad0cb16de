"""Differences that a rule heals with what the venue shows, and those that it must leave alone."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from livekit.model import Break, Split, VenueCashEntry, VenueFill
from livekit.trading.books import BASELINE_CASH, BASELINE_ORDERS, BASELINE_POSITIONS
from livekit.trading.lease import take_lease
from livekit.trading.orders import fingerprint
from livekit.trading.protector import protect
from livekit.trading.reconciliation import reconcile
from tests.trading.quiet_broker import MONDAY, OPEN, TUESDAY, Quiet, quiet_desk, venue_order

BASELINE = OPEN - timedelta(days=1)  # when the profile was registered


def names(found: tuple[Break, ...]) -> list[tuple[str, str | None, str]]:
    return [(item.kind, item.ticker, item.subject) for item in found]


def fill_of(order_id: str, side: Any, shares: int, price: str, **facts: Any) -> VenueFill:
    known = {"activity_id": f"fill-{order_id}", "ticker": "ABC", "at": OPEN} | facts
    return VenueFill(
        order_id=order_id, side=side, quantity=Decimal(shares), price=Decimal(price), **known
    )


def healed(q: Quiet, kind: str) -> list[tuple[str | None, str, str]]:
    found = q.db.get_breaks(kind)
    assert all(item.status == "resolved" and item.proposal for item in found)
    return [(item.ticker, item.subject, item.facts) for item in found]


def test_what_the_protector_covered_is_in_the_ledger_with_its_session() -> None:
    with quiet_desk() as q:
        text = "ABC 100 shares, stop due 45"
        assert reconcile(q.desk, TUESDAY, repaired=[text]) == ()
        assert healed(q, "stop_missing") == [("ABC", f"2020-01-07 {text}", text)]


def test_shares_that_only_reconciliation_finds_uncovered_are_covered_at_once() -> None:
    with quiet_desk() as q:
        position = q.hold("ABC", 100)
        q.db.set_config(BASELINE_CASH, "100000")
        q.broker.prints.clear()
        assert reconcile(q.desk, TUESDAY) == ()
        assert [(item["ticker"], item["quantity"]) for item in q.broker.placed] == [("ABC", 100)]
        facts = "ABC 100 shares, stop due 45"
        assert healed(q, "stop_missing") == [(position.ticker, f"2020-01-07 {facts}", facts)]
        assert q.db.get_config("reconciled_at") == OPEN.isoformat()
        # its own and the protector's before, at and after the stop; the last of them serves again
        assert q.broker.asked("list open") == 4


@pytest.mark.parametrize(("early_s", "stops"), [(1, []), (0, [100])])
def test_a_stop_that_rests_until_the_open_is_a_difference_from_the_open_on(
    early_s: int, stops: list[int]
) -> None:
    with quiet_desk(OPEN - timedelta(seconds=early_s)) as q:
        q.hold("ABC")
        q.broker.show(venue_order("stop", status="pending_cancel"))
        q.db.set_config(BASELINE_ORDERS, "stop")
        assert reconcile(q.desk, TUESDAY) == ()
        assert [item["quantity"] for item in q.broker.placed] == stops


def test_a_reconciliation_is_on_record_under_the_lease_of_its_run() -> None:
    with quiet_desk() as q:
        desk = take_lease(q.desk)
        reconcile(desk, TUESDAY)
        assert q.db.first_reconciliations() == {desk.lease: 0}


def test_a_profile_may_begin_without_a_cent() -> None:
    """A dividend of 5.00 is then all the cash there is."""
    with quiet_desk() as q:
        q.db.set_config(BASELINE_CASH, "0")
        q.broker.cash = Decimal(0)
        assert reconcile(q.desk, TUESDAY) == ()
        q.broker.cash = Decimal("5.00")
        q.broker.entries = [entry("1", "DIV", "5.00")]
        assert reconcile(q.desk, TUESDAY) == ()
        assert q.db.get_config(BASELINE_CASH) == "5.00"


def test_a_stop_that_filled_is_booked_and_noted_and_other_fills_are_booked_alone() -> None:
    """100 bought at 50 on Monday, 60 of them stopped out at 44.50: 40 are left."""
    with quiet_desk() as q:
        entry = q.row("ABC", client_order_id="20200106_ABC_entry_buy", trade_date=MONDAY)
        stop = q.row("ABC", "stop", parent_client_order_id=entry.client_order_id)
        q.at_venue(stop, filled_quantity=Decimal(60), status="partially_filled")
        q.at_venue(entry, status="filled", filled_quantity=Decimal(100))
        q.broker.fills = [
            fill_of("v-ABC-entry", "buy", 100, "50", at=OPEN - timedelta(minutes=5)),
            fill_of("v-ABC-stop", "sell", 60, "44.50"),
        ]
        q.broker.positions["ABC"] = 40
        q.broker.cash = Decimal(100_000) - 100 * Decimal(50) + 60 * Decimal("44.50")
        assert reconcile(q.desk, TUESDAY) == ()
        (position,) = q.db.get_open_positions()
        assert position.shares_now == 40
        facts = "20200107_ABC_stop_sell sold 60 at 44.50 on 2020-01-07 14:30Z"
        assert healed(q, "stop_filled") == [("ABC", "fill-v-ABC-stop", facts)]


@pytest.mark.parametrize(
    ("last", "at", "is_found"),
    [
        (None, BASELINE, True),
        (None, BASELINE - timedelta(seconds=1), False),
        (OPEN - timedelta(hours=2), OPEN - timedelta(hours=2, minutes=10), True),
        (OPEN - timedelta(hours=2), OPEN - timedelta(hours=2, minutes=10, seconds=1), False),
        (BASELINE + timedelta(minutes=1), BASELINE, True),
        (BASELINE + timedelta(minutes=1), BASELINE - timedelta(seconds=1), False),
    ],
)
def test_fills_are_looked_for_from_ten_minutes_before_the_last_look_and_from_the_baseline_on(
    last: datetime | None, at: datetime, *, is_found: bool
) -> None:
    with quiet_desk() as q:
        if last is not None:
            q.db.set_config("reconciled_at", last.isoformat())
        q.broker.fills = [fill_of("hand", "buy", 1, "50", at=at)]
        found = [item.subject for item in reconcile(q.desk, TUESDAY) if item.kind == "foreign_fill"]
        assert found == (["fill-hand"] if is_found else [])


def test_fills_of_strangers_count_from_the_baseline_on_and_once() -> None:
    """One trade before the registration, two at it and after: two breaks, which stay two."""
    with quiet_desk() as q:
        q.broker.fills = [
            fill_of("old", "buy", 1, "50", at=BASELINE - timedelta(seconds=1)),
            fill_of("first", "buy", 1, "50", at=BASELINE),
            fill_of("second", "sell", 1, "50"),
        ]
        subjects = ["fill-first", "fill-second"]
        assert [item.subject for item in reconcile(q.desk, TUESDAY)] == subjects
        assert [item.subject for item in reconcile(q.desk, TUESDAY)] == subjects
        assert len(q.db.get_breaks("foreign_fill")) == 2


def test_a_strangers_fill_that_was_settled_by_a_word_is_not_opened_again() -> None:
    """It stays within the ten minutes that every look reads once more."""
    with quiet_desk() as q:
        q.broker.fills = [fill_of("hand", "buy", 1, "50")]
        (item,) = reconcile(q.desk, TUESDAY)
        assert item.break_id is not None
        q.db.resolve_break(item.break_id, "mine", q.clock.now())
        assert reconcile(q.desk, TUESDAY) == ()


def test_a_strange_order_that_was_settled_by_a_word_is_not_opened_again() -> None:
    with quiet_desk() as q:
        q.broker.show(
            venue_order(
                "like-ours", "JKL", "buy", client_order_id="20200107_JKL_entry_buy", status="filled"
            )
        )
        q.broker.fills = [fill_of("like-ours", "buy", 1, "50", ticker="JKL")]
        (item,) = reconcile(q.desk, TUESDAY)
        assert item.break_id is not None
        q.db.resolve_break(item.break_id, "a test of mine", q.clock.now())
        assert reconcile(q.desk, TUESDAY) == ()


def test_what_the_protector_saw_last_is_reconciled_without_asking_again() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        q.broker.show(venue_order("stop"))
        q.db.set_config(BASELINE_ORDERS, "stop")
        q.broker.fills = [fill_of("hand", "buy", 1, "50")]
        q.row("XYZ", alpaca_order_id=None, status="rejected", outcome="refused")
        look = protect(q.desk).look
        before = list(q.broker.said)
        assert [item.kind for item in reconcile(q.desk, TUESDAY, look=look)] == ["foreign_fill"]
        assert [name for name in q.broker.said[len(before) :] if name != "read hand"] == []


def fills_late(q: Quiet, client_order_id: str) -> None:
    """100 ABC were bought at 50 under that id; 100,000 − 5,000 = 95,000 USD are left."""
    filled: dict[str, Any] = {"status": "filled", "filled_quantity": Decimal(100)}
    q.broker.show(venue_order("late", "ABC", "buy", client_order_id=client_order_id, **filled))
    q.broker.fills = [fill_of("late", "buy", 100, "50")]
    q.broker.positions["ABC"] = 100
    q.broker.cash = Decimal(95_000)


def test_an_intent_that_shows_only_now_is_settled_from_a_fresh_look() -> None:
    """Its order filled since the protector looked: 100 ABC at 50, which need their stop."""
    with quiet_desk() as q:
        look = protect(q.desk).look
        row = q.row("ABC", alpaca_order_id=None, status="intended", outcome="intended")
        fills_late(q, row.client_order_id)
        assert reconcile(q.desk, TUESDAY, look=look) == ()
        assert [item.shares_now for item in q.db.get_open_positions()] == [100]
        assert [item["quantity"] for item in q.broker.placed] == [100]


def test_shares_and_orders_from_before_the_registration_are_no_differences() -> None:
    with quiet_desk() as q:
        q.db.set_config(BASELINE_POSITIONS, "ABC:50,XYZ:7")
        q.db.set_config(BASELINE_ORDERS, "old-1,old-2")
        q.broker.positions |= {"ABC": 50, "XYZ": 7}
        q.broker.show(venue_order("old-1", "XYZ", "buy"), venue_order("old-2", "XYZ", "buy"))
        assert reconcile(q.desk, TUESDAY) == ()


def test_a_filled_order_of_our_form_without_an_intent_is_one_break_by_its_order() -> None:
    with quiet_desk() as q:
        q.broker.show(
            venue_order(
                "like-ours", "JKL", "buy", client_order_id="20200107_JKL_entry_buy", status="filled"
            )
        )
        q.broker.fills = [
            fill_of("like-ours", "buy", 1, "50", ticker="JKL", activity_id=name) for name in "ab"
        ]
        for _ in range(2):
            found = reconcile(q.desk, TUESDAY)
            assert ("order_without_intent", "JKL", "like-ours") in names(found)
        assert len(q.db.get_breaks("order_without_intent")) == 1
        assert q.db.is_kill_switch_on()


def test_an_intent_that_was_given_up_and_filled_after_all_is_adopted_with_its_fill() -> None:
    """100 ABC were bought at 50; 100,000 − 5,000 = 95,000 USD are left."""
    with quiet_desk() as q:
        row = q.row("ABC", alpaca_order_id=None, status="denied", outcome="denied")
        fills_late(q, row.client_order_id)
        assert reconcile(q.desk, TUESDAY) == ()
        adopted = q.db.get_order_by_client_id(row.client_order_id)
        assert adopted is not None
        assert (adopted.alpaca_order_id, adopted.outcome) == ("late", "confirmed")
        assert [item.shares_now for item in q.db.get_open_positions()] == [100]
        assert [item[0] for item in healed(q, "found_order")] == ["ABC"]


@pytest.mark.parametrize("status", ["new", "filled"])
def test_an_order_under_our_id_that_is_not_the_one_intended_is_not_adopted(status: str) -> None:
    with quiet_desk() as q:
        row = q.row("ABC", alpaca_order_id=None, status="denied", outcome="denied")
        other = venue_order(
            "other",
            "ABC",
            "buy",
            client_order_id=row.client_order_id,
            status=status,
            quantity=Decimal(99),
        )
        q.broker.show(other)
        q.broker.fills = [fill_of("other", "buy", 99, "50")] * (status == "filled")
        kinds = {item.kind for item in reconcile(q.desk, TUESDAY)}
        assert "order_without_intent" in kinds
        found = q.db.get_order_by_client_id(row.client_order_id)
        assert found is not None
        assert found.alpaca_order_id is None
        assert q.db.get_fills() == []


def test_an_open_order_that_we_gave_up_is_adopted_when_it_shows_after_all() -> None:
    with quiet_desk() as q:
        row = q.row("ABC", alpaca_order_id=None, status="denied", outcome="denied")
        known = q.row("DEF")
        q.at_venue(known)
        q.broker.show(venue_order("late", "ABC", "buy", client_order_id=row.client_order_id))
        assert reconcile(q.desk, TUESDAY) == ()
        adopted = q.db.get_order_by_client_id(row.client_order_id)
        assert adopted is not None
        assert adopted.alpaca_order_id == "late"
        assert [item[0] for item in healed(q, "found_order")] == ["ABC"]


def test_a_sale_by_hand_is_booked_from_the_venues_fill_as_an_order_of_its_own() -> None:
    """30 of 100 shares are sold at 52: 70 stay, 100,000 + 1,560 USD."""
    with quiet_desk() as q:
        position = q.hold("ABC", 100)
        q.broker.show(
            venue_order("stop", quantity=Decimal(70)),
            venue_order(
                "hand",
                status="filled",
                quantity=Decimal(30),
                filled_quantity=Decimal(30),
                order_type="market",
                stop_price=None,
            ),
        )
        q.db.set_config(BASELINE_ORDERS, "stop,another")
        q.broker.fills = [fill_of("hand", "sell", 30, "52")]
        q.broker.positions["ABC"] = 70
        q.broker.cash = Decimal(101_560)
        assert reconcile(q.desk, TUESDAY) == ()
        row = q.db.get_order_by_alpaca_id("hand")
        assert row is not None
        assert (row.intent, row.quantity, row.reason) == ("exit", 30, "manual")
        assert row.fingerprint == fingerprint(row)
        assert q.db.get_open_positions()[0].shares_now == 70
        facts = f"30 of {position.shares_now} sold by hand at 52"
        assert healed(q, "manual_sale") == [("ABC", "hand", facts)]


def test_a_sale_of_a_ticker_that_strangers_hold_too_is_not_taken_for_ours() -> None:
    with quiet_desk() as q:
        q.hold("ABC", 100)
        q.db.set_config(BASELINE_POSITIONS, "ABC:50")
        q.broker.show(
            venue_order("stop"), venue_order("hand", status="filled", quantity=Decimal(30))
        )
        q.db.set_config(BASELINE_ORDERS, "stop")
        q.broker.fills = [fill_of("hand", "sell", 30, "52")]
        q.broker.positions["ABC"] = 120
        q.broker.cash = Decimal(101_560)
        kinds = {item.kind for item in reconcile(q.desk, TUESDAY)}
        assert kinds == {"foreign_fill", "position", "cash"}
        assert q.db.get_open_positions()[0].shares_now == 100


def test_a_split_that_is_announced_explains_the_shares_at_the_broker() -> None:
    """2 for 1: 100 shares are 200, and the venue has moved the stop with them, to 200 at 22.50."""
    with quiet_desk() as q:
        q.hold("ABC", 100)
        q.broker.positions["ABC"] = 200
        q.broker.show(venue_order("stop", quantity=Decimal(200), stop_price=Decimal("22.5")))
        q.db.set_config(BASELINE_ORDERS, "stop")
        q.broker.announced = [Split("ABC", TUESDAY, 2.0)]
        assert reconcile(q.desk, TUESDAY) == ()
        (position,) = q.db.get_open_positions()
        assert (position.shares_now, position.stop_price) == (200, Decimal("22.5"))


def test_a_stop_that_a_split_left_at_its_old_price_is_replaced_by_the_reconciliation_itself() -> (
    None
):
    """2 for 1: 200 shares, all covered, by a stop at 45 where 22.50 is due."""
    with quiet_desk() as q:
        position = q.hold("ABC", 100)
        q.broker.positions["ABC"] = 200
        row = q.row("ABC", "stop", position_id=position.position_id, stop_price=Decimal(45))
        q.at_venue(row, quantity=Decimal(200))
        q.broker.announced = [Split("ABC", TUESDAY, 2.0)]
        assert reconcile(q.desk, TUESDAY) == ()
        placed = [(item["quantity"], item["stop_price"]) for item in q.broker.placed]
        assert placed == [(200, Decimal("22.5"))]


def test_a_split_that_the_broker_has_not_followed_yet_changes_no_books() -> None:
    with quiet_desk() as q:
        q.hold("ABC", 100)
        q.broker.show(venue_order("stop"))
        q.db.set_config(BASELINE_ORDERS, "stop")
        q.broker.announced = [Split("ABC", TUESDAY, 2.0)]
        assert reconcile(q.desk, TUESDAY) == ()
        assert q.db.get_open_positions()[0].shares_now == 100


def entry(activity_id: str, kind: str, amount: str, ticker: str | None = None) -> VenueCashEntry:
    return VenueCashEntry(activity_id, kind, ticker, Decimal(amount))


def test_dividends_and_fees_move_the_expected_cash_once_and_deposits_never() -> None:
    """100,000 + 12.50 − 0.40 = 100,012.10; the deposit of 500 stays a difference."""
    with quiet_desk() as q:
        q.broker.entries = [
            entry("1", "DIV", "12.50", "ABC"),
            entry("2", "FEE", "-0.40"),
            entry("3", "DIVNRA", "0"),
            entry("4", "CSD", "500"),
        ]
        q.broker.cash = Decimal("100012.10")
        assert reconcile(q.desk, TUESDAY) == ()
        assert Decimal(str(q.db.get_config(BASELINE_CASH))) == Decimal("100012.10")
        assert healed(q, "cash_entry") == [
            ("ABC", "1", "DIV of 12.50 USD"),
            (None, "2", "FEE of -0.40 USD"),
        ]
        q.broker.cash = Decimal("100512.10")
        (left,) = reconcile(q.desk, TUESDAY)
        assert dict(left.detail) == {"ours": "100012.10", "theirs": "100512.10"}
        assert len(q.db.get_breaks("cash_entry")) == 2


def test_cash_entries_are_asked_for_only_when_the_cash_differs() -> None:
    """Interest that the balance does not show yet is left for the look that needs it."""
    with quiet_desk() as q:
        q.broker.entries = [entry("1", "INT", "3.00")]
        reconcile(q.desk, TUESDAY)
        assert q.db.get_config(BASELINE_CASH) == "100000"


@pytest.mark.parametrize(("age_s", "is_break"), [(60, False), (61, True)])
def test_an_order_row_that_the_venue_does_not_know_is_given_a_minute(
    age_s: int, *, is_break: bool
) -> None:
    with quiet_desk() as q:
        q.row("ABC")
        q.clock.sleep(age_s)
        kinds = [item.kind for item in reconcile(q.desk, TUESDAY)]
        assert kinds == (["order_unknown"] if is_break else [])


def test_a_finished_order_that_a_list_still_shows_is_read_once_more() -> None:
    """The list lags for ABC; DEF lives in truth, and is a break."""
    with quiet_desk() as q:
        for ticker in ("ABC", "DEF"):
            q.at_venue(q.row(ticker, status="canceled"), status="new")
        q.at_venue(q.row("GHI"))

        def the_list_lags(name: str) -> None:
            if name == "read v-ABC-entry":
                q.broker.show(venue_order("v-ABC-entry", "ABC", "buy", status="canceled"))

        q.broker.before = the_list_lags
        assert names(reconcile(q.desk, TUESDAY)) == [
            ("order_revived", "DEF", "20200107_DEF_entry_buy")
        ]
        assert q.broker.asked("read v-GHI-entry") == 0


@pytest.mark.parametrize(("limit", "alerts"), [(2, []), (1, ["stop_order_limit"])])
def test_more_stops_than_expected_are_told_once_a_session(limit: int, alerts: list[str]) -> None:
    """Two stops of Tuesday; the one of Monday and Monday's own alert do not count."""
    with quiet_desk(OPEN - timedelta(days=1), max_daily_stop_orders=limit) as q:
        q.row("JKL", "stop", trade_date=MONDAY, status="canceled")
        q.db.add_alert("stop_order_limit", "on Monday", at=q.clock.now())
        q.clock.sleep(86_400)
        for ticker in ("ABC", "DEF"):
            q.at_venue(q.row(ticker, "stop"))
        q.at_venue(
            q.row("GHI", "stop", client_order_id="20200106_GHI_stop_sell", trade_date=MONDAY)
        )
        q.db.add_alert("something_else", "on Tuesday", at=q.clock.now())
        for _ in range(2):
            reconcile(q.desk, TUESDAY)
        found = [item.kind for item in q.db.get_alerts(TUESDAY)]
        assert found == ["something_else", *alerts]
