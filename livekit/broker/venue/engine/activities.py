"""The rows of the account's history that fills and corporate actions leave."""

from __future__ import annotations

from decimal import Decimal

from livekit.broker.venue.engine.identity import server_id
from livekit.broker.venue.engine.records import Activity, Order
from livekit.broker.venue.engine.state import VenueState
from livekit.broker.venue.engine.timing import local_stamp

__all__ = ["adjustment_row", "fill_row"]


def fill_row(state: VenueState, seed: int, order: Order, quantity: int, price: Decimal) -> Activity:
    """The ``FILL`` of ``quantity`` shares at ``price`` USD that ``order`` has just had."""
    return Activity(
        number=len(state.activities) + 1,
        activity_id=_row_id(state, seed, order.client_order_id, order.fill_count),
        kind="FILL",
        at=state.clock,
        ticker=order.ticker,
        side=order.side,
        qty=Decimal(quantity),
        price=price,
        net_usd=price * (quantity if order.side == "sell" else -quantity),
        order_id=order.order_id,
        order_status=order.status,
        cumulative_qty=order.filled_qty,
        leaves_qty=order.remaining,
    )


def adjustment_row(
    state: VenueState, seed: int, kind: str, ticker: str, qty: Decimal, net_usd: Decimal
) -> Activity:
    """What a corporate action did to shares and cash (`Activity.kind`)."""
    number = len(state.activities) + 1
    return Activity(
        number=number,
        activity_id=_row_id(state, seed, f"{kind} {ticker}", number),
        kind=kind,
        at=state.clock,
        ticker=ticker,
        side="",
        qty=qty,
        price=Decimal(0),
        net_usd=net_usd,
    )


def _row_id(state: VenueState, seed: int, name: str, number: int) -> str:
    own = server_id(seed, name, f"activity {number}")
    return f"{local_stamp(state.clock)}::{own}"
