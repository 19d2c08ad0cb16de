"""How many orders of a session there are: trades (entry and exit) and stops, each on its own. Pure.

Our rows and the venue's orders are counted together, each order once: a row that never got out
does not count, nor does an order that was refused, and an order that only one side knows does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from livekit.model import MANUAL, STOP, Order, VenueOrder
from livekit.trading.order_ids import parse_client_order_id

__all__ = ["DayCounts", "count_orders"]

COUNTED = ("intended", "confirmed", "unknown")


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Orders of one session over all its runs."""

    trades: int
    stops: int


def count_orders(
    rows: Iterable[Order], shown: Iterable[VenueOrder], session: date, *, sending: str = ""
) -> DayCounts:
    """Count the orders of a session.

    Args:
        rows: Our order rows.
        shown: Orders at the venue with their legs nested, those of the session at least.
        session: The session whose orders count.
        sending: Ticker of the entry about to be sent: an intent for it that never left is the
            order itself, and does not count against it.
    """
    stops: set[str] = set()
    trades: set[str] = set()
    for row in rows:
        waits = row.outcome == "intended" and row.ticker == sending
        if row.trade_date != session or row.outcome not in COUNTED or row.reason == MANUAL or waits:
            continue
        (stops if row.intent == STOP else trades).add(row.client_order_id)
    for order in shown:
        named = parse_client_order_id(order.client_order_id)
        if named is None or named.session != session or order.status == "rejected":
            continue
        (stops if named.intent == STOP else trades).add(order.client_order_id)
        stops |= {leg.client_order_id for leg in order.legs}
    return DayCounts(len(trades), len(stops))
