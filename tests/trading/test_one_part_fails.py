"""One interface of the venue fails, or one position gives trouble: every other share stays covered.

Cover needs orders and positions alone. Prices, announcements and fills may be silent, and so may
everything for some seconds.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.sessions import open_instant
from livekit.trading.break_ledger import resolve
from livekit.trading.lease import take_lease
from livekit.trading.phases import audit_cover, run_executor
from livekit.trading.reconciliation import reconcile
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    holding,
    inject,
    longest_uncovered_s,
    planned,
)
from tests.trading.test_insistent_cover import (
    MARKET,
    Meddled,
    held_without_a_stop,
    seconds_uncovered,
    three_held_without_stops,
)
from tests.trading.world import World, with_clock, world

PRICES, ANNOUNCEMENTS = "/v2/stocks/*", "/v1/corporate-actions*"
FILLS = "/v2/account/activities*"


def all_covered(w: World) -> bool:
    return all(w.held(ticker) == w.live_sells(ticker) == 200 for ticker in MARKET)


@pytest.mark.parametrize(
    "kind", [FaultKind.SERVER_ERROR, FaultKind.RATE_LIMITED_BARE, FaultKind.UNAUTHORIZED]
)
def test_without_prices_stops_are_placed_all_the_same(tmp_path: Path, kind: FaultKind) -> None:
    with world(tmp_path, MARKET) as w:
        three_held_without_stops(w)
        inject(w, FaultRule(kind, path=PRICES, times=0))
        assert audit_cover(w.desk, TUESDAY).exit_code == 0
        assert all_covered(w)
        assert longest_uncovered_s(w) == 0.0


def test_without_the_fills_what_is_known_is_covered_and_the_run_says_that_they_are_missing(
    tmp_path: Path,
) -> None:
    with world(tmp_path, MARKET) as w:
        three_held_without_stops(w)
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path=FILLS, times=0))
        outcome = audit_cover(w.desk, TUESDAY)
        assert (outcome.exit_code, outcome.lines[0][:12]) == (1, "fills failed")
        assert all_covered(w)
        assert longest_uncovered_s(w) == 0.0
        assert {item.kind for item in w.db.get_alerts()} == {"cover_unseen"}
        inject(w)
        assert audit_cover(w.desk, TUESDAY).exit_code == 0


def test_keys_without_a_right_to_announcements_protect_all_the_same_and_an_alert_says_so_once(
    tmp_path: Path,
) -> None:
    with world(tmp_path, MARKET) as w:
        held_without_a_stop(w)
        w.go_to(TUESDAY, "protect")
        inject(w, FaultRule(FaultKind.UNAUTHORIZED, path=ANNOUNCEMENTS, times=0))
        for _ in range(2):
            assert audit_cover(w.desk, TUESDAY).exit_code == 0
        assert w.live_sells("ABC") == 200
        alerts = [item.kind for item in w.db.get_alerts(TUESDAY)]
        assert alerts == ["announcements_unread"]


def test_an_order_that_cannot_be_read_holds_up_no_other_stop(tmp_path: Path) -> None:
    """ABC's stop is gone from the list of open orders, and what became of it cannot be read."""
    with world(tmp_path, MARKET) as w:
        three_held_without_stops(w)
        stop = w.db.get_open_positions()[0].stop_order_id
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path=f"/v2/orders/{stop}", times=0))
        assert audit_cover(w.desk, TUESDAY).exit_code == 0
        assert all_covered(w)
        assert longest_uncovered_s(w) <= 10.0


def test_a_venue_that_is_silent_for_seconds_after_a_fill_ends_no_run(tmp_path: Path) -> None:
    """100 of 200 are bought, and for six seconds no read is answered; then the rest is cancelled.

    Four attempts of a read give up after 3.5 s, and the next look begins after the silence.
    """
    with world(tmp_path, MARKET) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        inject(w, FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, symbol="ABC"))
        silent_until = [w.desk.clock.now()]

        def rule(method: str, path: str) -> str | None:
            now = w.desk.clock.now()
            if method == "POST":
                silent_until[0] = now + timedelta(seconds=6)
            return "504" if method == "GET" and now < silent_until[0] else None

        w.wire.rule = rule
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 100
        assert longest_uncovered_s(w) <= 6 + 10


def test_a_venue_that_stays_silent_is_given_up_after_a_minute_with_an_alert(tmp_path: Path) -> None:
    with world(tmp_path, MARKET) as w:
        held_without_a_stop(w)
        w.go_to(TUESDAY, "protect")
        inject(w, FaultRule(FaultKind.UNREACHABLE, times=0))
        before = w.desk.clock.now()
        assert audit_cover(w.desk, TUESDAY).exit_code == 1
        assert 60 <= (w.desk.clock.now() - before).total_seconds() <= 75
        (alert,) = (item for item in w.db.get_alerts() if item.kind == "cover_unseen")
        assert alert.severity == "critical"


def test_stops_that_lie_off_are_replaced_one_after_the_other_while_cancels_are_slow(
    tmp_path: Path,
) -> None:
    """Six cancels of two seconds each: no share waits for the stop of another."""
    tickers = [f"T{letter}" for letter in "ABCDEF"]
    prices = dict.fromkeys(tickers, 50.0)
    with world(tmp_path, prices, max_positions=6, position_size=5000) as w:
        holding(w, *((ticker, 80.0, 50.0) for ticker in tickers))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=30))
        for position in w.db.get_open_positions():
            w.db.update_position(int(position.position_id or 0), stop_price=Decimal(40))
        inject(w, FaultRule(FaultKind.CANCEL_SLOW, times=0, seconds=2))
        assert audit_cover(w.desk, TUESDAY).exit_code == 0
        assert set(seconds_uncovered(w).values()) == {2.0}
        stops = w.db.get_orders(intent="stop", working_only=True)
        assert {item.stop_price for item in stops} == {Decimal(40)}


def test_a_slow_cancel_delays_no_stop_that_goes_missing_meanwhile(tmp_path: Path) -> None:
    """ABC is bought by half, and the cancel of its rest takes 30 s; at 9:30:05 DEF's stop goes."""
    with world(tmp_path, MARKET) as w:
        position = holding(w, ("DEF", 80.0, 50.0))
        planned(w, TUESDAY, ("ABC", 80.0, 50.0))

        def meddle() -> None:
            w.desk.client.cancel_order(str(position.stop_order_id))

        clock = Meddled(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=5), meddle)
        inject(
            w,
            FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, symbol="ABC"),
            FaultRule(FaultKind.CANCEL_SLOW, symbol="ABC", seconds=30),
        )
        desk = with_clock(w.desk, clock)
        assert run_executor(desk, w.phase_plan(TUESDAY)).exit_code == 0
        assert 0 < seconds_uncovered(w)["DEF"] <= 10.0


def test_a_stop_that_an_operator_keeps_for_shares_of_his_own_is_left_alone(tmp_path: Path) -> None:
    """He buys 50 ABC beside our 200, with a stop at 30, and resolves what differs then."""
    with world(tmp_path, MARKET) as w:
        holding(w)
        assert w.trade(TUESDAY, "signals", "execution").exit_code == 0
        his = w.desk.client.place_bracket_order(
            "ABC", 50, stop_price=Decimal(30), client_order_id="by-hand"
        )
        desk = take_lease(w.desk)
        for kind in ("foreign_order", "foreign_fill"):
            (found,) = (item for item in reconcile(desk, TUESDAY) if item.kind == kind)
            resolve(desk, int(found.break_id or 0), "his own", "ann")
        assert reconcile(desk, TUESDAY) == ()
        assert w.trade(TUESDAY, "protect", "reconciliation").exit_code == 0
        shown = w.desk.client.get_order(his.legs[0].order_id)
        assert shown is not None
        assert (shown.status, shown.stop_price) == ("new", Decimal(30))
        assert (w.held("ABC"), w.live_sells("ABC")) == (250, 250)


def test_stops_that_are_done_for_the_day_rest_until_the_next_without_an_alarm(
    tmp_path: Path,
) -> None:
    """Such a venue shows every resting stop so from the close until dawn."""
    with world(tmp_path, MARKET) as w:
        clock = w.venue.clock
        assert isinstance(clock, InProcessClock)
        engine = clock.app.engine
        engine.settings = replace(engine.settings, gtc_orders_are_done_for_day=True)
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        report = w.trade(MONDAY)
        assert report.exit_code == 0, report.trouble
        shown = [item.status for item in w.desk.client.list_orders(status="open")]
        assert shown == ["done_for_day"]
        assert w.db.get_alerts() == []
        assert w.trade(TUESDAY).exit_code == 0
        assert len(w.db.get_orders()) == 2  # the buy and its leg
