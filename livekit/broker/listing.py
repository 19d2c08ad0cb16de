"""Lists of orders: the bounds they are asked for with, and one list from several answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from livekit.model import VenueOrder

__all__ = ["each_once", "may_have_legs", "stamp"]


def stamp(instant: datetime) -> str:
    """An instant as the venue reads it."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def may_have_legs(order: VenueOrder) -> bool:
    """Whether an order of a flat list can be the head of a group: an entry, or an OCO."""
    is_leg_of_ours = order.order_class == "oto" and order.side == "sell"
    return order.order_class != "simple" and not is_leg_of_ours


def each_once(orders: Sequence[VenueOrder]) -> tuple[VenueOrder, ...]:
    """Each order once, newest first; a leg that is shown under its parent only there."""
    legs = {leg.order_id for order in orders for leg in order.legs}
    found: dict[str, VenueOrder] = {}
    for order in orders:
        if order.order_id not in legs:
            found.setdefault(order.order_id, order)
    return tuple(sorted(found.values(), key=_age, reverse=True))


def _age(order: VenueOrder) -> datetime:
    return order.submitted_at or order.created_at or datetime.max.replace(tzinfo=UTC)
