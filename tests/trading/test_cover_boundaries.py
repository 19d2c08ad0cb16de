"""The protector at its edges: shares tied up, answers that fail, orders of somebody else."""

from datetime import timedelta
from decimal import Decimal

import pytest

from livekit.errors import OrderRefused, VenueUnavailable
from livekit.model import TradePrint
from livekit.trading.books import BASELINE_ORDERS, BASELINE_POSITIONS
from livekit.trading.protector import CoverWatch, place_stop, protect
from livekit.trading.splits import APPLIED_THROUGH
from tests.trading.quiet_broker import MONDAY, OPEN, TUESDAY, Quiet, quiet_desk, venue_order

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def sold(q: Quiet) -> list[tuple[int, str]]:
    """Shares and type of what was placed."""
    return [(item["quantity"], item.get("order_type", "market")) for item in q.broker.placed]


def elapsed_s(q: Quiet) -> float:
    return (q.clock.now() - OPEN).total_seconds()


# ---------------------------------------------------------------------- shares that are tied up


@pytest.mark.parametrize(
    ("free", "status", "stops"),
    [
        (60, 403, [100, 60]),
        (1, 403, [100, 1]),
        (0, 403, [100]),
        (100, 403, [100]),
        (60, 422, [100]),
    ],
)
def test_what_is_free_gets_its_stop_where_the_venue_holds_the_rest_back(
    free: int, status: int, stops: list[int]
) -> None:
    """No other refusal is answered with a smaller stop, and DEF's shares are no help."""
    with quiet_desk() as q:
        q.hold("DEF", 7)
        position = q.hold("ABC", 100)
        q.broker.tied["ABC"] = 100 - free
        q.broker.refusal = lambda asked: (
            OrderRefused("order", status, None, "insufficient qty available for order")
            if asked["quantity"] == 100
            else None
        )
        assert place_stop(q.desk, position, 100).outcome == "refused"
        assert sold(q) == [(shares, "stop") for shares in stops]


def test_a_stop_that_rests_is_not_followed_by_another_for_free_shares() -> None:
    with quiet_desk() as q:
        place_stop(q.desk, q.hold("ABC", 100), 40)
        assert sold(q) == [(40, "stop")]


@pytest.mark.parametrize(("age", "kind"), [(timedelta(0), "market"), (DAY, "stop")])
def test_only_a_price_of_today_says_that_a_stop_cannot_rest(age: timedelta, kind: str) -> None:
    with quiet_desk() as q:
        position = q.hold("ABC")
        q.broker.prints["ABC"] = TradePrint("ABC", Decimal(40), OPEN - age)
        place_stop(q.desk, position, 100)
        assert sold(q) == [(100, kind)]


def asked_to_go(q: Quiet) -> None:
    """Somebody cancels the stop of ABC; before the open the venue only takes note of it."""
    q.hold("ABC")
    q.broker.show(venue_order("stop", status="pending_cancel"))


def test_in_trading_hours_a_cancel_that_hangs_is_no_reason_to_wait() -> None:
    with quiet_desk() as q:
        asked_to_go(q)
        assert protect(q.desk).uncovered == ()
        assert (sold(q), elapsed_s(q)) == ([(100, "stop")], 0.0)


@pytest.mark.parametrize(("early_s", "waited_s"), [(1201, 0), (1200, 1200)])
def test_shares_that_are_tied_up_are_awaited_from_twenty_minutes_before_the_open(
    early_s: int, waited_s: int
) -> None:
    """They lack cover only at the open; nothing is sold or placed before, and no alarm given."""
    with quiet_desk(OPEN - early_s * SECOND) as q:
        asked_to_go(q)
        audit = protect(q.desk)
        assert (q.clock.now() - (OPEN - early_s * SECOND)).total_seconds() == waited_s
        assert sold(q) == ([(100, "stop")] if waited_s else [])
        assert (audit.uncovered, q.db.is_kill_switch_on()) == ((), False)


def test_a_buy_that_is_on_its_way_out_is_not_cancelled_again() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        q.broker.show(venue_order("buy", "ABC", "buy", status="pending_cancel"))
        CoverWatch(q.desk, grace_s=0.0).step()
        assert q.broker.asked("cancel buy") == 0
        assert sold(q) == []


# ------------------------------------------------------------------------------ answers that fail


def test_cover_waits_for_no_answer_that_it_can_do_without() -> None:
    """A working row that no list shows, a hidden stop, prices, fills: each is asked for once."""
    with quiet_desk() as q:
        position = q.hold("ABC", stop_order_id="leg")
        q.db.set_config(APPLIED_THROUGH, TUESDAY.isoformat())  # splits are known for today
        q.broker.show(venue_order("leg", status="expired"))
        q.row("ABC", "stop", position_id=position.position_id, trade_date=MONDAY)
        protect(q.desk)
        assert sold(q) == [(100, "stop")]
        assert {"read leg", "read v-ABC-stop"} <= set(q.broker.said)
        assert q.broker.patiently == []


def test_a_venue_that_shows_no_orders_is_given_up_after_a_minute_with_a_critical_alert() -> None:
    with quiet_desk() as q:
        q.hold("ABC")

        def silent(name: str) -> None:
            raise VenueUnavailable(name, "no answer")

        q.broker.before = silent
        with pytest.raises(VenueUnavailable):
            protect(q.desk)
        assert elapsed_s(q) == 60.0
        alerts = [(item.kind, item.severity) for item in q.db.get_alerts()]
        assert alerts == [("cover_unseen", "critical")]


def test_a_look_that_failed_says_why_until_one_succeeds() -> None:
    with quiet_desk() as q:
        trouble = [VenueUnavailable("list", "no answer")]

        def silent_once(name: str) -> None:
            if trouble:
                raise trouble.pop()

        q.broker.before = silent_once
        watch = CoverWatch(q.desk)
        assert watch.step() == ()
        assert "no answer" in str(watch.unread)
        watch.step()
        assert watch.unread is None


def test_whole_cover_is_seen_with_one_look() -> None:
    with quiet_desk() as q:
        q.hold("ABC")
        q.broker.show(venue_order("stop"))
        protect(q.desk)
        assert (q.broker.asked("list open"), q.broker.asked("positions")) == (1, 1)


def test_a_look_serves_for_what_comes_at_the_same_instant_too() -> None:
    with quiet_desk() as q:
        watch = CoverWatch(q.desk)
        for pause_s in (0.0, 0.0, 0.5):
            q.clock.sleep(pause_s)
            watch.step_if_due()
        assert q.broker.asked("list open") == 1


# ------------------------------------------------------------------------ orders of somebody else


@pytest.mark.parametrize(("his", "placed"), [("", 30), ("DEF:5", 30), ("ABC:1", 70)])
def test_an_order_left_alone_covers_our_shares_unless_he_holds_some_of_his_own(
    his: str, placed: int
) -> None:
    """Of 100 ABC our stop covers 30 and an order left alone 40, which may be for a share of his."""
    with quiet_desk() as q:
        q.hold("ABC")
        q.broker.show(
            venue_order("ours", quantity=Decimal(30)), venue_order("his", quantity=Decimal(40))
        )
        q.db.set_config(BASELINE_ORDERS, "his")
        q.db.set_config(BASELINE_POSITIONS, his)
        protect(q.desk)
        assert sold(q) == [(placed, "stop")]
