"""The legs of order groups, and the distance of trailing stops.

OTO: one leg that wakes when its entry is filled. Bracket: a take-profit that wakes, and a stop that
stays ``held`` and watches, because the shares are reserved once, by the take-profit. OCO: the
take-profit is the order itself and the stop its leg, which watches from the start.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_UP, Decimal

from livekit.broker.venue.engine.identity import server_id
from livekit.broker.venue.engine.order_request import OrderRequest
from livekit.broker.venue.engine.records import Order, floor_to_tick, tick_of

__all__ = ["follow", "legs_of", "watches"]


def legs_of(parent: Order, request: OrderRequest, seed: int, name: str) -> list[Order]:
    """The legs that ``request`` asks for, ``held``, in the order of their numbers.

    Their ids are made from ``seed`` and ``name``.
    """
    legs: list[Order] = []
    if request.take_profit_price is not None and request.order_class != "oco":
        legs.append(
            _leg(parent, seed, name, len(legs) + 1, "limit", request.take_profit_price, None)
        )
    if request.stop_loss_price is not None:
        limit = request.stop_loss_limit
        kind = "stop" if limit is None else "stop_limit"
        stop = request.stop_loss_price
        legs.append(_leg(parent, seed, name, len(legs) + 1, kind, limit, stop))
    return legs


def _leg(
    parent: Order,
    seed: int,
    name: str,
    number: int,
    kind: str,
    limit: Decimal | None,
    stop: Decimal | None,
) -> Order:
    exits = parent.order_class == "oco"
    side = parent.side if exits else {"buy": "sell", "sell": "buy"}[parent.side]
    return replace(
        parent,
        order_id=server_id(seed, name, f"leg {number}"),
        number=parent.number + number,
        client_order_id=server_id(seed, name, f"leg {number} client id"),
        side=side,
        type=kind,
        status="held",
        limit_price=limit,
        stop_price=stop,
        parent_id=parent.order_id,
        reserve_price=(limit or stop or Decimal(0)) if side == "buy" else Decimal(0),
        fate=None,
        collar=None,
    )


def watches(leg: Order, parent: Order | None) -> bool:
    """Whether a ``held`` leg is a stop that triggers although it is not working."""
    if parent is None or leg.status != "held" or leg.stop_price is None or leg.fate == "stuck":
        return False
    if leg.fate == "awake":
        return True
    if leg.order_class == "oco":
        return parent.status in ("new", "partially_filled", "pending_cancel")
    return leg.order_class == "bracket" and parent.status == "filled"


def follow(order: Order, price: Decimal) -> bool:
    """Pull a trailing stop after ``price``; says whether it moved. It never moves back."""
    if order.type != "trailing_stop" or order.elected:
        return False
    best = max if order.side == "sell" else min
    high_water = price if order.high_water is None else best(order.high_water, price)
    if high_water == order.high_water:
        return False
    distance = order.trail_usd
    if distance is None:
        distance = high_water * (order.trail_percent or Decimal(0)) / 100
    order.high_water = high_water
    if order.side == "sell":
        order.stop_price = floor_to_tick(max(high_water - distance, Decimal("0.0001")))
    else:
        up = high_water + distance
        order.stop_price = up.quantize(tick_of(up), rounding=ROUND_UP)
    return True
