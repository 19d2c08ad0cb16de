"""Answers that take their time: what has come to pass meanwhile is judged before anything goes."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.trading.orders import sync_orders
from livekit.trading.protector import CoverWatch
from tests.trading.faults import MONDAY, planned
from tests.trading.quiet_broker import quiet_desk, venue_order
from tests.trading.test_insistent_cover import MARKET
from tests.trading.world import world


@pytest.mark.parametrize(
    ("path", "nth"), [("/v2/account", 2), ("/v2/orders:by_client_order_id", 1)]
)
def test_a_buy_that_waited_for_an_answer_past_the_cutoff_is_not_sent(
    tmp_path: Path, path: str, nth: int
) -> None:
    """Five seconds are left, and one of the reads before the buy is throttled for 31 seconds.

    The first read of the account belongs to the reconciliation, the second to the buy.
    """
    with world(tmp_path, MARKET) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        plan = w.phase_plan(MONDAY)
        sleep_until(w.desk.clock, plan.expires_at - timedelta(seconds=5))
        w.strike(FaultRule(FaultKind.RATE_LIMITED_BARE, path=path, nth=nth, times=5))
        outcome = w.phase(MONDAY, "execution")
        assert w.desk.clock.now() > plan.expires_at
        assert w.bought("ABC") == []
        assert outcome.lines[-1] == "ABC: not bought, denied it is after 2020-01-06T14:35:00+00:00"


def test_an_order_that_replaces_ours_is_adopted_though_it_shows_late() -> None:
    with quiet_desk() as q:
        position = q.hold("ABC")
        row = q.row("ABC", "stop", position_id=position.position_id, stop_price=Decimal(45))
        q.at_venue(row, status="replaced", replaced_by="next")
        sync_orders(q.desk, ())
        assert [item.status for item in q.db.get_orders()] == ["new"]
        q.broker.show(venue_order("next"))
        sync_orders(q.desk, ())
        assert [item.status for item in q.db.get_orders()] == ["replaced", "new"]
        assert q.db.get_open_positions()[0].stop_order_id == "next"


def test_an_intent_that_is_still_open_delays_no_stop() -> None:
    """DEF's buy may show within six seconds; ABC's stop does not wait for that."""
    with quiet_desk() as q:
        q.hold("ABC")
        q.row("DEF", alpaca_order_id=None, status="unknown", outcome="unknown")
        CoverWatch(q.desk, grace_s=0.0).step()
        assert [item["ticker"] for item in q.broker.placed] == ["ABC"]
        assert q.clock.naps in ([], [0.0])
