"""One look at the venue: open orders, fills and positions, read together and shared.

Whoever is handed a look judges the same state as everybody else of that moment. A look ends with
the first request of ours that may have changed what it shows, and some seconds after it was taken:
`current` gives it up then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from livekit.model import VenueFill, VenueOrder, VenuePosition
from livekit.trading.books import fills_due_from
from livekit.trading.desk import Desk
from livekit.trading.orders import flat

__all__ = ["VenueLook", "current", "look_at_venue", "open_orders"]

LASTS = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class VenueLook:
    """What the venue showed at one instant.

    ``orders`` are open, their legs laid flat; ``fills`` are those that may not be booked or
    reconciled yet, oldest first; ``changes_sent`` counts our changing requests up to the look.
    """

    at: datetime
    orders: tuple[VenueOrder, ...]
    fills: tuple[VenueFill, ...]
    positions: tuple[VenuePosition, ...]
    changes_sent: int


def look_at_venue(
    desk: Desk, orders: tuple[VenueOrder, ...] | None = None, *, patient: bool = True
) -> VenueLook:
    """Read orders, fills and positions, in this order; ``orders`` where they were read just now.

    The fills are asked for once only unless ``patient``.
    """
    return VenueLook(
        at=desk.clock.now(),
        changes_sent=desk.client.changes_sent,
        orders=open_orders(desk) if orders is None else orders,
        fills=desk.client.get_fills(after=fills_due_from(desk), patient=patient),
        positions=desk.client.get_positions(),
    )


def current(desk: Desk, look: VenueLook | None) -> VenueLook | None:
    """The look while it holds: young, and nothing of ours went out since that changes anything."""
    if look is None or look.changes_sent != desk.client.changes_sent:
        return None
    return look if timedelta(0) <= desk.clock.now() - look.at <= LASTS else None


def open_orders(desk: Desk) -> tuple[VenueOrder, ...]:
    """Every open order at the venue with its legs laid flat, each once."""
    return tuple(flat(desk.client.list_orders(status="open")))
