"""A stop asked to go rests until 9:30, or keeps its shares for seconds: exits are sold anyhow.

The broker's partner takes cancels in trading hours only.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from livekit.broker.venue.clock import InProcessClock
from livekit.clock import sleep_until
from livekit.sessions import open_instant
from livekit.trading.lease import take_lease
from livekit.trading.phases import audit_cover
from livekit.trading.protector import protect
from tests.trading.faults import deletes, dies, holding, leaving, sold
from tests.trading.test_insistent_cover import seconds_uncovered
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)
MARKET = {"ABC": 50.0, "DEF": 50.0, "GHI": 50.0}


def set_venue(w: World, **settings: Any) -> None:
    clock = w.venue.clock
    assert isinstance(clock, InProcessClock)
    engine = clock.app.engine
    engine.orders = replace(engine.orders, settings=replace(engine.settings, **settings))


def three_held_two_leaving(w: World, **settings: Any) -> None:
    holding(w, *((ticker, 80.0, 50.0) for ticker in MARKET))
    abc, def_, _ = w.db.get_open_positions()
    w.db.update_position(
        int(abc.position_id or 0), pending_reason="trend_break", pending_since=MONDAY
    )
    leaving(w, def_)
    set_venue(w, **(settings or {"cancels_wait_for_open": True}))


def all_well(w: World) -> None:
    """ABC and DEF left on Tuesday, GHI stays covered, and no share was bare for ten seconds."""
    assert not w.db.is_kill_switch_on()
    assert {item.ticker for item in w.db.get_open_positions()} == {"GHI"}
    assert (sold(w, "ABC"), sold(w, "DEF"), w.live_sells("GHI")) == (200, 200, 200)
    assert max(seconds_uncovered(w).values(), default=0.0) <= 10.0


def test_exits_are_sold_at_the_open_when_their_stops_are_gone(tmp_path: Path) -> None:
    with world(tmp_path, MARKET) as w:
        three_held_two_leaving(w)
        report = w.trade(TUESDAY, "execution")
        assert report.exit_code == 0, report.trouble
        all_well(w)


def test_exits_are_sold_once_when_their_shares_are_free_seconds_later(tmp_path: Path) -> None:
    with world(tmp_path, MARKET) as w:
        three_held_two_leaving(w, share_release_delay_s=3.0)
        assert w.trade(TUESDAY, "execution").exit_code == 0
        all_well(w)
        sells = [item for item in w.db.get_orders(trade_date=TUESDAY) if item.side == "sell"]
        assert [(item.ticker, item.quantity, item.order_type) for item in sells] == [
            ("ABC", 200, "market"),
            ("DEF", 200, "market"),
        ]


@pytest.mark.parametrize("strike", ["die before", "die after"])
def test_a_crash_at_the_cancel_ends_the_same(tmp_path: Path, strike: str) -> None:
    with world(tmp_path, MARKET) as w:
        three_held_two_leaving(w)
        dies(w, TUESDAY, "execution", deletes, strike)
        assert w.trade(TUESDAY, "execution").exit_code == 0
        all_well(w)


def test_a_stop_that_somebody_cancels_overnight_is_placed_anew_at_the_open(tmp_path: Path) -> None:
    with world(tmp_path, MARKET) as w:
        position = holding(w, ("GHI", 80.0, 50.0))
        set_venue(w, cancels_wait_for_open=True)
        w.desk.client.cancel_order(str(position.stop_order_id))
        assert w.live_sells("GHI") == 0
        sleep_until(w.desk.clock, open_instant(TUESDAY) - timedelta(minutes=15))
        assert audit_cover(w.desk, TUESDAY).exit_code == 0
        assert w.live_sells("GHI") == 200
        assert not w.db.is_kill_switch_on()
        assert max(seconds_uncovered(w).values(), default=0.0) <= 10.0


def test_what_is_free_is_covered_while_the_rest_is_tied_up_until_the_open(tmp_path: Path) -> None:
    """80 of 200 shares hang in a cancel that rests: 120 get their stop now, 80 at the open."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "execution")
        client = w.desk.client
        client.cancel_order(str(position.stop_order_id))
        part = client.place_order(
            "ABC",
            80,
            "sell",
            client_order_id="by-hand",
            order_type="stop",
            time_in_force="gtc",
            stop_price=position.stop_price,
        )
        set_venue(w, cancels_wait_for_open=True)
        client.cancel_order(part.order_id)
        assert protect(take_lease(w.desk)).uncovered == ()
        assert not w.db.is_kill_switch_on()
        assert w.live_sells("ABC") == 200
        stops = [row for row in w.db.get_orders(trade_date=TUESDAY) if row.status == "new"]
        assert sorted(row.quantity for row in stops) == [80, 120]
        assert max(seconds_uncovered(w).values(), default=0.0) <= 10.0
