"""Cover, decided: which shares of ours lack a live stop or a live exit. Pure.

Cover of a ticker is the remaining quantity of its live sell orders at the venue. ``held``,
``pending_cancel``, ``pending_replace`` and unknown statuses are no cover: they may never act.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from livekit.model import Position, VenueOrder, VenuePosition

__all__ = ["CoverGap", "cover_gaps", "live_cover", "sleeps_until_open"]


@dataclass(frozen=True, slots=True)
class CoverGap:
    """Shares of one position without cover and the stop price due for them."""

    position: Position
    missing_shares: int
    stop_price: Decimal

    def __str__(self) -> str:
        return f"{self.position.ticker} {self.missing_shares} shares, stop due {self.stop_price}"


def live_cover(ticker: str, orders: Iterable[VenueOrder]) -> int:
    """Shares of ``ticker`` that live sells at the venue would dispose of."""
    return int(
        sum(
            (order.remaining for order in orders if order.ticker == ticker and order.is_live_cover),
            Decimal(0),
        )
    )


def cover_gaps(
    positions: Sequence[Position],
    held: Iterable[VenuePosition],
    orders: Sequence[VenueOrder],
) -> tuple[CoverGap, ...]:
    """Positions of ours that are not fully covered.

    Only shares that the venue still holds need cover, and never more than are ours. ``orders``
    are the venue's orders with their legs laid flat.
    """
    at_venue = {item.ticker: int(item.quantity) for item in held}
    gaps = []
    for position in positions:
        ours = min(position.shares_now, at_venue.get(position.ticker, 0))
        missing = ours - live_cover(position.ticker, orders)
        if missing > 0:
            gaps.append(CoverGap(position, missing, position.stop_price))
    return tuple(gaps)


def sleeps_until_open(gap: CoverGap, orders: Iterable[VenueOrder]) -> bool:
    """Whether, with the exchange closed, all shares of a gap are tied up in sells that rest.

    A cancel may not be carried out before the open, and a stop that is done for the day works
    again by then. ``orders`` are the venue's orders with their legs laid flat.
    """
    tied = sum(
        order.remaining
        for order in orders
        if (order.ticker, order.side) == (gap.position.ticker, "sell") and order.rests_when_closed
    )
    return tied >= gap.missing_shares
