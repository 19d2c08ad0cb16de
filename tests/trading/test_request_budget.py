"""How many requests a session costs: 8 a phase and 6 an order; bars and polls are counted apart.

Bars cost two requests (as traded, adjusted) for each 200 tickers. A poll is a look at the open
orders while a buy or a sell of ours works, with the fills, the positions and the orders that have
left the list.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from livekit.prices.remembered import RememberedSource
from livekit.trading.desk import Desk
from livekit.trading.phases import EXECUTION, PHASES
from livekit.workbench.daily import run_daily
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)
HELD = ("AAA", "BBB", "CCC")
OFFERED = ("DDD", "EEE", "FFF")
FIXED, PER_ORDER, PER_BARS = 8, 6, 2

OPEN_LIST = "/v2/orders?status=open"
OF_A_LOOK = ("/v2/account/activities", "/v2/positions", "/v2/orders/", OPEN_LIST)


@dataclass
class Meter:
    """Counts the requests of a phase by what they are for."""

    w: World
    counts: Counter[str] = field(default_factory=Counter)
    polling: bool = False

    def __call__(self, method: str, path: str) -> None:
        if path.startswith(OPEN_LIST):
            self.polling = self.works()
        elif method != "GET" or not path.startswith(OF_A_LOOK):
            self.polling = False
        bars = path.startswith("/v2/stocks/bars")
        self.counts["bars" if bars else "polls" if self.polling else "others"] += 1

    def works(self) -> bool:
        """Whether a buy or a sell of ours is with the venue."""
        working = self.w.db.get_orders(working_only=True)
        return any(row.intent != "stop" and row.alpaca_order_id for row in working)


def spent(w: World, desk: Desk, phase: str) -> Counter[str]:
    """What a phase of Tuesday asks the venue for."""
    meter = Meter(w)
    w.wire.rule = meter
    assert run_daily(desk, TUESDAY, phases=(phase,)).exit_code == 0
    return meter.counts


@pytest.mark.parametrize(
    ("sells", "buys"), [(0, 0), (0, 1), (0, 3), (1, 0), (3, 0), (1, 1)], ids=str
)
def test_a_phase_costs_eight_requests_and_six_an_order(
    tmp_path: Path, sells: int, buys: int
) -> None:
    """Three positions are held from Monday; on Tuesday some leave and some others come."""
    with world(tmp_path, dict.fromkeys(HELD + OFFERED, 50.0), max_positions=6) as w:
        w.report(MONDAY, *((ticker, 80.0, 50.0) for ticker in HELD))
        assert w.trade(MONDAY).exit_code == 0
        for position in w.db.get_open_positions()[:sells]:
            w.db.update_position(
                int(position.position_id or 0), pending_reason="trend_break", pending_since=MONDAY
            )
        w.report(TUESDAY, *((ticker, 70.0, 50.0) for ticker in OFFERED[:buys]))
        desk = replace(w.desk, prices=RememberedSource(w.desk.prices, w.desk.clock))
        posts = len(w.wire.posts())
        for phase in PHASES:
            counts = spent(w, desk, phase)
            orders = sells + buys if phase == EXECUTION else 0
            assert counts["bars"] <= PER_BARS, (phase, counts)
            assert counts["others"] <= FIXED + PER_ORDER * orders, (phase, counts)
            assert orders or not counts["polls"], (phase, counts)
        assert len(w.wire.posts()) - posts == sells + buys  # every order that counts was sent
        assert len(w.db.get_open_positions()) == 3 - sells + buys
