"""The protector, one decision at a time: what it cancels, what it places, how long it waits."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from livekit.errors import LivekitError, OrderRefused, OutcomeUnknown, VenueUnavailable
from livekit.model import VenueFill
from livekit.trading.protector import (
    CoverWatch,
    cancel_and_confirm,
    place_stop,
    protect,
    request_cancel,
)
from tests.trading.quiet_broker import MONDAY, OPEN, Quiet, quiet_desk, venue_order


def sent(q: Quiet) -> list[tuple[str, int, str, Decimal | None]]:
    """What was placed: ticker, shares, type, stop price."""
    return [
        (item["ticker"], item["quantity"], item.get("order_type", "market"), item.get("stop_price"))
        for item in q.broker.placed
    ]


def stop_of(ticker: str, shares: int = 100) -> tuple[str, int, str, Decimal]:
    return (ticker, shares, "stop", Decimal(45))


def refused(message: str) -> OrderRefused:
    return OrderRefused("order", 422, 42210000, message)


def elapsed_s(q: Quiet) -> float:
    return (q.clock.now() - OPEN).total_seconds()


# ------------------------------------------------------------------------------- placing one stop


def test_a_stop_rests_good_till_cancelled_at_the_price_due_and_is_the_positions_own() -> None:
    with quiet_desk() as q:
        position = q.hold("ABC")
        assert place_stop(q.desk, position, 40).outcome == "confirmed"
        assert q.broker.placed == [
            {
                "ticker": "ABC",
                "quantity": 40,
                "side": "sell",
                "client_order_id": "20200107_ABC_stop_sell",
                "order_type": "stop",
                "time_in_force": "gtc",
                "stop_price": Decimal(45),
            }
        ]
        (row,) = q.db.get_orders()
        assert (row.intent, row.order_type, row.time_in_force) == ("stop", "stop", "gtc")
        assert (row.stop_price, row.position_id) == (Decimal(45), position.position_id)
        assert row.reason == "protective_stop"
        assert q.db.get_open_positions()[0].stop_order_id == "placed-1"


@pytest.mark.parametrize(
    ("market", "kind"), [("45.01", "stop"), ("45", "market"), ("44", "market")]
)
def test_at_or_below_the_stop_price_the_shares_are_sold_at_the_market(
    market: str, kind: str
) -> None:
    with quiet_desk() as q:
        position = q.hold("ABC")
        q.price("ABC", market)
        place_stop(q.desk, position, 40)
        assert [(shares, kind_) for _, shares, kind_, _ in sent(q)] == [(40, kind)]
        (row,) = q.db.get_orders()
        assert row.intent == ("exit" if kind == "market" else "stop")
        assert (row.position_id, row.reason) == (position.position_id, "protective_stop")
        (asked,) = q.broker.placed
        assert (asked["side"], asked["client_order_id"]) == ("sell", row.client_order_id)


@pytest.mark.parametrize(
    ("message", "kinds", "outcome"),
    [
        ("stop price must be less than current price", ["stop", "market"], "confirmed"),
        ("insufficient qty available for order", ["stop"], "refused"),
    ],
)
def test_only_a_stop_that_cannot_rest_is_replaced_by_a_sale(
    message: str, kinds: list[str], outcome: str
) -> None:
    with quiet_desk() as q:
        position = q.hold("ABC")

        def no_stops(asked: Mapping[str, Any]) -> LivekitError | None:
            return refused(message) if asked.get("order_type") == "stop" else None

        q.broker.refusal = no_stops
        assert place_stop(q.desk, position, 40).outcome == outcome
        assert [kind for _, _, kind, _ in sent(q)] == kinds


@pytest.mark.parametrize("market", [None, "40"])
def test_protection_passes_the_kill_switch_and_never_waits_for_an_unclear_answer(
    market: str | None,
) -> None:
    """Neither the stop nor the sale at market is sent a second time while others wait."""
    with quiet_desk() as q:
        position = q.hold("ABC")
        q.kill()
        if market is not None:
            q.price("ABC", market)
        q.broker.refusal = lambda asked: OutcomeUnknown("order", "no answer")
        assert place_stop(q.desk, position, 40).outcome == "unknown"
        assert (len(q.broker.placed), elapsed_s(q)) == (1, 0.0)


@pytest.mark.parametrize("market", [None, "40"])
def test_protection_that_never_left_stays_an_open_intent(market: str | None) -> None:
    with quiet_desk() as q:
        position = q.hold("ABC")
        if market is not None:
            q.price("ABC", market)
        q.broker.refusal = lambda asked: VenueUnavailable("order", "refused connection")
        assert place_stop(q.desk, position, 40).outcome == "unknown"
        (row,) = q.db.get_orders()
        assert (row.outcome, row.alpaca_order_id) == ("intended", None)


# -------------------------------------------------------------------------------------- cancelling


def test_a_cancel_marks_a_working_row_and_leaves_a_finished_one() -> None:
    with quiet_desk() as q:
        q.at_venue(q.row("ABC", "stop"))
        q.at_venue(q.row("DEF", "stop", status="filled"), status="filled")
        assert request_cancel(q.desk, "v-ABC-stop")
        assert request_cancel(q.desk, "v-DEF-stop")
        rows = {row.ticker: row.status for row in q.db.get_orders()}
        assert rows == {"ABC": "pending_cancel", "DEF": "filled"}


@pytest.mark.parametrize(
    ("trouble", "taken"),
    [
        (refused("order is already filled"), False),
        (VenueUnavailable("cancel", "refused connection"), False),
        (OutcomeUnknown("cancel", "no answer"), True),
    ],
)
def test_a_cancel_with_an_unclear_answer_counts_as_asked_for(
    trouble: LivekitError, *, taken: bool
) -> None:
    with quiet_desk() as q:
        q.broker.show(venue_order("1"))
        q.broker.cancel_refusal = {"1": trouble}
        assert request_cancel(q.desk, "1") == taken


def test_a_cancel_is_confirmed_by_reading_within_ten_seconds() -> None:
    with quiet_desk() as q:
        q.broker.show(venue_order("1"), venue_order("2"))
        q.broker.deaf = frozenset({"1"})
        ended = cancel_and_confirm(q.desk, "2")
        assert (ended is not None, elapsed_s(q)) == (True, 0.0)
        assert cancel_and_confirm(q.desk, "1") is None
        assert elapsed_s(q) == 10.0


@pytest.mark.parametrize(("status", "requests"), [("new", 12), ("pending_cancel", 1)])
def test_a_cancel_without_an_effect_is_asked_for_again_and_a_pending_one_is_not(
    status: str, requests: int
) -> None:
    """Once to begin with, then at eleven looks in ten seconds, unless it is on its way out."""
    with quiet_desk() as q:
        q.broker.show(venue_order("1", status=status))
        q.broker.deaf = frozenset({"1"})
        cancel_and_confirm(q.desk, "1")
        assert q.broker.asked("cancel 1") == requests


# ------------------------------------------------------------------------------- misplaced stops


@pytest.mark.parametrize(
    ("price", "is_moved"),
    [("45.90", False), ("44.10", False), ("45.91", True), ("44.09", True), (None, False)],
)
def test_a_stop_may_lie_two_percent_off_and_not_a_cent_more(
    price: str | None, *, is_moved: bool
) -> None:
    """45 × 2 % = 0.90. A sale at market has no stop price and covers as well."""
    with quiet_desk(stop_anchor_tolerance_pct=2.0) as q:
        q.hold("ABC")
        q.broker.show(venue_order("1", stop_price=None if price is None else Decimal(price)))
        audit = protect(q.desk)
        assert sent(q) == ([stop_of("ABC")] if is_moved else [])
        assert bool(audit.repaired) == is_moved
        assert audit.uncovered == ()


def test_only_live_stops_of_ours_are_moved_and_none_while_its_buy_still_fills() -> None:
    """XYZ is a stranger's, DEF is being bought, GHI's leg sleeps; ABC's stop alone is replaced."""
    far = Decimal(40)
    with quiet_desk() as q:
        for ticker in ("ABC", "DEF", "GHI"):
            q.hold(ticker)
        q.broker.show(
            venue_order("x", "XYZ", stop_price=far),
            venue_order("d", "DEF", stop_price=far),
            venue_order("d-buy", "DEF", "buy"),
            venue_order("g", "GHI", stop_price=far, status="held"),
            venue_order("g-sale", "GHI", stop_price=None),
            venue_order("a", "ABC", stop_price=far),
        )
        audit = protect(q.desk)
        assert audit.repaired[0] == "ABC stop 40, due 45"
        assert sent(q) == [stop_of("ABC")]
        assert [name for name in q.broker.said if name.startswith("cancel")] == ["cancel a"]


def test_a_misplaced_stop_whose_cancel_is_not_confirmed_stays_in_force() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        q.broker.show(venue_order("a", stop_price=Decimal(40)))
        q.broker.deaf = frozenset({"a"})
        assert protect(q.desk).repaired == ()
        assert sent(q) == []


# ------------------------------------------------------------------------------------ covering


def test_an_audit_covers_at_once_and_a_watch_gives_four_seconds() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        audit = protect(q.desk)
        assert (sent(q), elapsed_s(q)) == ([stop_of("ABC")], 0.0)
        assert (audit.repaired, audit.uncovered) == (("ABC 100 shares, stop due 45",), ())
    with quiet_desk() as q:
        q.hold("ABC")
        watch = CoverWatch(q.desk)
        for _ in range(4):
            watch.step()
            q.clock.sleep(1.0)
        assert sent(q) == []
        watch.step()
        assert sent(q) == [stop_of("ABC")]


def test_a_leg_that_wakes_within_its_grace_is_left_alone() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        watch = CoverWatch(q.desk)
        watch.step()
        q.clock.sleep(3.0)
        q.broker.show(venue_order("leg"))
        watch.step()
        q.clock.sleep(3.0)
        watch.step()
        assert (sent(q), watch.repaired, watch.last_gaps) == ([], [], ())


def test_a_look_serves_for_two_seconds() -> None:
    with quiet_desk() as q:
        watch = CoverWatch(q.desk)
        for pause_s, looks in ((0.0, 1), (1.9, 1), (0.1, 2)):
            q.clock.sleep(pause_s)
            watch.step_if_due()
            assert q.broker.asked("list open") == looks


def test_what_is_repaired_at_several_looks_adds_up() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        watch = CoverWatch(q.desk, grace_s=0.0)
        watch.step()
        q.hold("DEF", 30)
        watch.step()
        assert watch.repaired == ["ABC 100 shares, stop due 45", "DEF 30 shares, stop due 45"]


def test_a_stop_that_the_list_leaves_out_still_counts_as_cover() -> None:
    """A filled parent hides its leg: 60 shares are covered by it and 40 by a stop in the list."""
    with quiet_desk() as q:
        q.hold("ABC", stop_order_id="leg")
        q.broker.show(
            venue_order("leg", quantity=Decimal(60)), venue_order("beside", quantity=Decimal(40))
        )
        q.broker.unlisted = frozenset({"leg"})
        assert protect(q.desk).repaired == ()
        assert sent(q) == []


def test_a_leg_is_not_asked_for_while_its_buy_works() -> None:
    with quiet_desk() as q:
        q.hold("ABC", stop_order_id="leg")
        q.broker.show(venue_order("leg", status="held"), venue_order("buy", "ABC", "buy"))
        q.broker.unlisted = frozenset({"leg"})
        CoverWatch(q.desk).step()
        assert q.broker.asked("read leg") == 0


def uncovered_after(q: Quiet, *fills: VenueFill) -> None:
    """Fills that become known only between the look and the stop."""

    def now_known(name: str) -> None:
        if name == "positions":
            q.broker.fills = list(fills)

    q.broker.before = now_known


def fill(side: Any, shares: int) -> VenueFill:
    order = "v-ABC-entry" if side == "buy" else "v-ABC-exit"
    return VenueFill(f"late-{side}", order, "ABC", side, Decimal(shares), Decimal(50), OPEN)


@pytest.mark.parametrize(
    ("side", "late", "placed"),
    [("buy", 5, [105]), ("sell", 99, [1]), ("sell", 100, []), ("sell", 40, [60])],
)
def test_a_fill_between_the_look_and_the_stop_changes_its_size(
    side: Any, late: int, placed: list[int]
) -> None:
    """100 shares lack cover; the late fill adds to them or takes from them."""
    with quiet_desk() as q:
        position = q.hold("ABC")
        for intent in ("entry", "exit"):
            q.row(
                "ABC", intent, position_id=position.position_id, trade_date=MONDAY, status="filled"
            )
        uncovered_after(q, fill(side, late))
        watch = CoverWatch(q.desk, grace_s=0.0)
        watch.step()
        assert [shares for _, shares, _, _ in sent(q)] == placed
        assert watch.repaired == ["ABC 100 shares, stop due 45"]


def test_buys_that_still_work_and_a_leg_that_sleeps_are_cancelled_before_the_stop() -> None:
    """DEF's buy is another matter, and so are a live leg and one that has ended."""
    with quiet_desk() as q:
        q.hold("ABC", stop_order_id="leg")
        q.hold("DEF", 10, stop_order_id="live")
        q.hold("GHI", 10, stop_order_id="gone")
        q.broker.show(
            venue_order("a-buy", "ABC", "buy"),
            venue_order("leg", "ABC", status="held"),
            venue_order("live", "DEF", quantity=Decimal(4)),
            venue_order("gone", "GHI", status="expired"),
            venue_order("x-buy", "XYZ", "buy"),
        )
        CoverWatch(q.desk, grace_s=0.0).step()
        cancelled = {name for name in q.broker.said if name.startswith("cancel")}
        assert cancelled == {"cancel a-buy", "cancel leg"}
        assert sorted(sent(q)) == [stop_of("ABC"), stop_of("DEF", 6), stop_of("GHI", 10)]


def test_a_sleeping_leg_that_cannot_be_cancelled_gets_a_stop_beside_it() -> None:
    with quiet_desk() as q:
        q.hold("ABC", stop_order_id="leg")
        q.broker.show(venue_order("leg", status="held"))
        q.broker.cancel_refusal = {"leg": refused("not cancelable")}
        CoverWatch(q.desk, grace_s=0.0).step()
        assert (sent(q), elapsed_s(q)) == ([stop_of("ABC")], 0.0)


def test_a_cancel_that_hangs_is_left_to_the_next_look_and_holds_up_no_other_stop() -> None:
    """ABC's buy never ends; DEF's ends after three seconds; GHI has none."""
    with quiet_desk() as q:
        for ticker in ("ABC", "DEF", "GHI"):
            q.hold(ticker)
        q.broker.show(venue_order("a", "ABC", "buy"), venue_order("d", "DEF", "buy"))
        q.broker.deaf = frozenset({"a", "d"})
        placed_at: dict[str, float] = {}

        def watch_time(name: str) -> None:
            if name.startswith("place"):
                placed_at[name] = elapsed_s(q)
            if elapsed_s(q) == 3.0:
                q.broker.show(replace(q.broker.orders["d"], status="canceled"))

        q.broker.before = watch_time
        watch = CoverWatch(q.desk, grace_s=0.0)
        watch.step()
        assert (placed_at, elapsed_s(q)) == ({"place GHI": 0.0}, 1.0)
        q.clock.sleep(2.0)
        watch.step()
        assert placed_at == {"place GHI": 0.0, "place DEF": 3.0}
        assert elapsed_s(q) == 4.0
        assert watch.repaired == ["GHI 100 shares, stop due 45", "DEF 100 shares, stop due 45"]


def test_a_stop_id_that_is_taken_by_another_order_leaves_only_its_own_position_open() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        q.hold("DEF")
        q.broker.show(
            venue_order(
                "strange", "ABC", "buy", client_order_id="20200107_ABC_stop_sell", status="filled"
            )
        )
        watch = CoverWatch(q.desk, grace_s=0.0)
        watch.step()
        assert sent(q) == [stop_of("DEF")]
        assert watch.repaired == ["DEF 100 shares, stop due 45"]


# ------------------------------------------------------------------------------------ the alarm


def test_after_a_minute_without_cover_the_kill_switch_goes_on_once() -> None:
    """ABC and DEF get none, GHI does; the alarm names two gaps, at 60 s and not before."""
    with quiet_desk() as q:
        for ticker in ("GHI", "ABC", "DEF"):
            q.hold(ticker)
        q.broker.refusal = lambda asked: (
            None if asked["ticker"] == "GHI" else refused("insufficient qty available")
        )
        watch = CoverWatch(q.desk, grace_s=0.0)
        watch.step()
        q.clock.sleep(59.0)
        watch.step()
        assert (q.db.is_kill_switch_on(), q.db.get_alerts()) == (False, [])
        q.clock.sleep(1.0)
        q.broker.orders.clear()  # GHI's stop is gone again, and is placed again
        watch.step()
        assert watch.alarmed == {"ABC", "DEF"}
        assert q.db.kill_switch_reason().endswith("(protector)")
        q.clock.sleep(1.0)
        watch.step()
        alerts = [(item.kind, item.severity, item.text.split()[0]) for item in q.db.get_alerts()]
        assert alerts == [("uncovered", "critical", "ABC"), ("uncovered", "critical", "DEF")]
        assert q.db.is_kill_switch_on()


def test_an_audit_insists_for_a_minute_and_then_says_what_is_uncovered() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        q.broker.refusal = lambda asked: refused("insufficient qty available")
        audit = protect(q.desk)
        assert (audit.repaired, audit.uncovered) == ((), ("ABC 100 shares, stop due 45",))
        assert elapsed_s(q) == 60.0
        assert q.db.is_kill_switch_on()
