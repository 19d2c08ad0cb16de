"""Hundreds of thousands of requests at one book under a random schedule of faults.

``LIVEKIT_SOAK`` is the number of requests, 20,000 unless set. Every 5,000 requests (a fiftieth of
many more) the venue is closed and opened again. At the end the log alone gives the positions and
the cash of the account, and every order went only where the life cycle allows.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from datetime import date
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import pytest

from livekit.broker.venue.api import VenueApp, VenueKeys
from livekit.broker.venue.faults import FaultKind, FaultSchedule
from livekit.broker.venue.ledger import LedgerEvent, read_ledger
from livekit.broker.venue.session import VenueSpec, open_app
from livekit.config import Profile

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("LIVEKIT_SOAK", "20000"))
ROUND = max(5_000, REQUESTS // 50)
TICKERS = ("AAPL", "F", "KO", "PFE", "T", "BAC", "GE", "INTC")
KEYS = VenueKeys("SIMKEY", "secret", "control")
HEADERS = {"apca-api-key-id": "SIMKEY", "apca-api-secret-key": "secret"}
READS = (
    ("/v2/account", ""),
    ("/v2/positions", ""),
    ("/v2/orders", "status=all&limit=100"),
    ("/v2/clock", ""),
    ("/v2/account/activities", ""),
    ("/v2/stocks/bars", "symbols=F,KO&timeframe=1Day&start=2018-11-01&feed=iex"),
)
SELDOM = {  # kinds that few requests are for
    *(FaultKind.BOTH_EXITS, FaultKind.STUCK_LEG, FaultKind.LEG_REJECTED, FaultKind.STOP_SWAPPED),
    *(FaultKind.CANCEL_OF_FINISHED, FaultKind.TRUNCATED_LIST, FaultKind.CANCEL_FILLS),
}
RULES = (
    *FaultSchedule.random(0, 0.02, sorted(SELDOM)).rules,
    *FaultSchedule.random(0, 0.002, [kind for kind in FaultKind if kind not in SELDOM]).rules,
)
WORKING = {"new", "partially_filled", "pending_cancel", "canceled", "expired", "replaced", "filled"}
ALLOWED = {
    None: {"pending_new", "accepted", "held", "new"},
    "pending_new": {"new", "canceled", "rejected", "pending_cancel"},
    "accepted": {"new", "canceled", "rejected", "pending_cancel", "expired"},
    "held": {"new", "canceled", "expired", "held", "pending_cancel", "rejected", "filled"},
    "new": WORKING | {"held"},
    "partially_filled": WORKING,
    "pending_cancel": {"canceled", "expired", "partially_filled", "filled", "pending_cancel"},
    "canceled": set(),
    "expired": set(),
    "rejected": set(),
    "replaced": set(),
    "filled": set(),
}


def pick(number: int, what: str, below: int) -> int:
    digest = blake2b(f"{number} {what}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % below


def order_of(number: int) -> dict[str, object]:
    kinds = (
        {"side": "buy", "type": "market", "time_in_force": "day"},
        {"side": "sell", "type": "market", "time_in_force": "day"},
        {"side": "buy", "type": "limit", "limit_price": "30.00", "time_in_force": "gtc"},
        {"side": "sell", "type": "stop", "stop_price": "5.00", "time_in_force": "gtc"},
        {
            "side": "buy",
            "type": "market",
            "time_in_force": "gtc",
            "order_class": "oto",
            "stop_loss": {"stop_price": "4.00"},
        },
        {
            "side": "buy",
            "type": "market",
            "time_in_force": "gtc",
            "order_class": "bracket",
            "take_profit": {"limit_price": "400.00"},
            "stop_loss": {"stop_price": "4.00"},
        },
        {"side": "sell", "type": "trailing_stop", "trail_percent": "3", "time_in_force": "gtc"},
        {"side": "buy", "type": "market", "time_in_force": "fok"},
        {
            "side": "sell",
            "type": "limit",
            "time_in_force": "gtc",
            "order_class": "oco",
            "take_profit": {"limit_price": "400.00"},
            "stop_loss": {"stop_price": "4.00"},
        },
    )
    chosen = kinds[pick(number, "kind", len(kinds))]
    ticker = TICKERS[pick(number, "ticker", len(TICKERS))]
    qty = str(1 + pick(number, "qty", 9))
    return {"symbol": ticker, "qty": qty, "client_order_id": f"soak-{number}"} | chosen


def one_request(app: VenueApp, number: int) -> int:
    what = pick(number, "request", 20)
    if what < 5:
        body = json.dumps(order_of(number)).encode()
        return app.handle("POST", "/v2/orders", "", HEADERS, body).status
    if what < 8:
        state = app.engine.state
        orders = [one for part in state.working.values() for one in part]
        if what == 7 and len(state.orders) > 20:
            orders = [order.order_id for order in islice(reversed(state.orders.values()), 20)]
        chosen = orders[pick(number, "order", len(orders))] if orders else "none"
        return app.handle("DELETE", f"/v2/orders/{chosen}", "", HEADERS, b"").status
    if what == 8:
        app.pass_time(pick(number, "seconds", 1200))
        return 200
    path, query = READS[what % len(READS)]
    return app.handle("GET", path, query, HEADERS, b"").status


def test_a_book_stays_true_under_a_storm_of_faults(tmp_path: Path, capsys):
    profile = Profile(
        venue="simulated",
        first_session=date(2018, 11, 26),
        fill_model="rough",
        outputs=tmp_path,
        seed=11,
    )
    spec = VenueSpec.of_profile(profile)
    statuses: Counter[int] = Counter()
    struck: dict[str, int] = {}
    for start in range(0, REQUESTS, ROUND):
        with open_app(spec, KEYS) as app:
            app.faults.install(FaultSchedule(RULES, start + 1))
            for number in range(start, min(start + ROUND, REQUESTS)):
                statuses[one_request(app, number)] += 1
            struck = app.faults.counts
    ledger = read_ledger(spec.book)
    assert ledger.positions_from_log == {
        ticker: int(shares) for ticker, shares in ledger.positions.items()
    }
    assert ledger.cash_from_log == ledger.cash
    assert {status for status in statuses if status >= 500} <= {500, 502, 504}
    assert wrong_turns(ledger.events) == []
    if REQUESTS >= 20_000:
        assert [kind for kind in FaultKind if not struck[kind]] == []
    with capsys.disabled():
        sys.stdout.write(f"\n{REQUESTS} requests, {ledger.clock:%Y-%m-%d} reached\n")
        sys.stdout.write(f"statuses {dict(sorted(statuses.items()))}\n")
        sys.stdout.writelines(f"{kind:24}{struck[kind]:7d}\n" for kind in FaultKind)


def wrong_turns(events: tuple[LedgerEvent, ...]) -> list[str]:
    """Steps of an order that the life cycle does not know."""
    last: dict[str, str] = {}
    wrong = []
    for event in events:
        if event.order_id is None or event.status is None:
            continue
        before = last.get(event.order_id)
        if event.status not in ALLOWED[before] and not (
            event.status == before and event.kind in ("adjusted", "filled")
        ):
            wrong.append(f"{event.number}: {before} to {event.status} ({event.kind})")
        last[event.order_id] = event.status
    return wrong
