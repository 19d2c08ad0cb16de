"""Hundreds of thousands of requests at one book under a random schedule of faults.

``LIVEKIT_SOAK`` is the number of requests, 20,000 unless set. Every 5,000 requests (a twentieth of
many more) the venue is closed and opened again. At the end the log alone gives the positions and
the cash of the account, the fills of each order are its filled quantity, every order went only
where the life cycle allows, and every kind of fault has struck.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import pytest

from livekit.broker.venue.api import VenueApp, VenueKeys
from livekit.broker.venue.faults import FaultKind, FaultSchedule, suits
from livekit.broker.venue.ledger import LedgerEvent, VenueLedger, read_ledger
from livekit.broker.venue.session import VenueSpec, open_app
from livekit.config import Profile

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("LIVEKIT_SOAK", "20000"))
ROUND = max(5_000, REQUESTS // 20)
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
    ("/v2/stocks/trades/latest", "symbols=F,KO&feed=iex"),
)
ROUTINE = {kind for kind in FaultKind if suits(kind, "POST", "/v2/any")}  # any may meet these
SELDOM = {  # kinds that few requests are for
    *(FaultKind.BOTH_EXITS, FaultKind.CLOCK_SKEW, FaultKind.PARTIAL_THEN_EXPIRY),
    *(FaultKind.CANCEL_OF_FINISHED, FaultKind.RELEASE_LATE, FaultKind.MISSING_SYMBOLS),
    *(FaultKind.STALE_BARS, FaultKind.PAGE_LOOP, FaultKind.LATE_VISIBILITY),
}
RULES = (
    *FaultSchedule.random(0, 0.05, sorted(SELDOM)).rules,
    *FaultSchedule.random(0, 0.02, sorted(set(FaultKind) - SELDOM - ROUTINE)).rules,
    *FaultSchedule.random(0, 0.002, sorted(ROUTINE)).rules,
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
    if what == 9:
        return replaced(app, number)
    return read(app, what)


def replaced(app: VenueApp, number: int) -> int:
    """Ask for another quantity of an order that works."""
    ticker = TICKERS[pick(number, "ticker", len(TICKERS))]
    chosen = next(app.engine.state.working_on(ticker), None)
    body = json.dumps({"qty": str(1 + pick(number, "qty", 9))}).encode()
    path = f"/v2/orders/{chosen.order_id if chosen else 'none'}"
    return app.handle("PATCH", path, "", HEADERS, body).status


def read(app: VenueApp, number: int) -> int:
    path, query = READS[number % len(READS)]
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
    measured = [f"before: {rss_mib():.0f} MiB"]
    for start in range(0, REQUESTS, ROUND):
        with open_app(spec, KEYS) as app:
            app.faults.install(FaultSchedule(RULES, start + 1))
            used_s = time.process_time()
            for number in range(start, min(start + ROUND, REQUESTS)):
                statuses[one_request(app, number)] += 1
            used_s = time.process_time() - used_s
            struck, orders = app.faults.counts, len(app.engine.state.orders)
            measured.append(
                f"{min(start + ROUND, REQUESTS):8d} requests: {ROUND / used_s:5.0f} a second of"
                f" CPU, {rss_mib():.0f} MiB, {orders} orders"
            )
    measured.append(f"the book: {spec.book.stat().st_size / orders:.0f} bytes an order")
    measured.append(memory_of_reads(spec))
    ledger = read_ledger(spec.book)
    with capsys.disabled():
        sys.stdout.write(f"\n{REQUESTS} requests, {ledger.clock:%Y-%m-%d} reached\n")
        sys.stdout.write("\n".join(measured))
        sys.stdout.write(f"\nstatuses {dict(sorted(statuses.items()))}\n")
        sys.stdout.writelines(f"{kind:24}{struck[kind]:7d}\n" for kind in FaultKind)
    assert ledger.positions_from_log == {
        ticker: int(shares) for ticker, shares in ledger.positions.items()
    }
    assert ledger.cash_from_log == ledger.cash
    assert_fills_are_the_filled_quantities(ledger)
    assert {status for status in statuses if status >= 500} <= {500, 502, 504}
    assert wrong_turns(ledger.events) == []
    if REQUESTS >= 20_000:
        assert [kind for kind in FaultKind if not struck[kind]] == []


def memory_of_reads(spec: VenueSpec) -> str:
    """Many reads of the book as the storm left it take no memory."""
    count = min(100_000, REQUESTS // 2)
    with open_app(spec, KEYS) as app:
        app.control.inject()
        for number in range(count // 4):  # until the allocator and the caches have settled
            read(app, number)
        before, used_s = rss_mib(), time.process_time()
        for number in range(count):
            read(app, number)
        grown, used_s = rss_mib() - before, time.process_time() - used_s
    assert grown < 2
    return f"{count} reads: {grown:+.1f} MiB, {count / used_s:.0f} a second of CPU"


def rss_mib() -> float:
    text = Path("/proc/self/status").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def assert_fills_are_the_filled_quantities(ledger: VenueLedger) -> None:
    filled: dict[str, Decimal] = {}
    for fill in ledger.fills:
        filled[fill.order_id] = filled.get(fill.order_id, Decimal(0)) + fill.quantity
    said = {event.order_id: event.filled_qty for event in ledger.events if event.filled_qty}
    assert filled == said


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
