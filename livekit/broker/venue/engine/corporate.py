"""What a corporate action other than a split does to shares and orders, at 04:00 of its day.

A new name takes shares and orders along and shows as a pair of ``NC`` activities, out and in. A
merger turns shares into cash by one ``MA`` activity. After a merger or a delisting no order works,
and after a delisting the shares stay where they are.
"""

from __future__ import annotations

from decimal import Decimal

from livekit.broker.venue.engine.interventions import Intervention, parse_price
from livekit.broker.venue.engine.lifecycle import Lifecycle

__all__ = ["apply_intervention"]

NOTHING = Decimal(0)


def apply_intervention(orders: Lifecycle, one: Intervention) -> None:
    """Do to the account what ``one`` says; a split is seen in the prices and done there."""
    if one.is_new_name:
        _rename(orders, one.ticker, one.value)
    elif one.kind in ("delist", "merger"):
        for order in orders.state.working_on(one.ticker):
            if not order.is_terminal:
                orders.cancel(order)
        if one.kind == "merger":
            _pay(orders, one.ticker, parse_price(one.value))


def _rename(orders: Lifecycle, old: str, new: str) -> None:
    held = Decimal(orders.state.held(old))
    orders.state.rename(old, new)
    if held:
        orders.adjustment_activity("NC", old, -held, NOTHING)
        orders.adjustment_activity("NC", new, held, NOTHING)


def _pay(orders: Lifecycle, ticker: str, price_usd: Decimal) -> None:
    position = orders.state.positions.get(ticker)
    if position is None:
        return
    shares = position.qty + position.fraction_due
    orders.adjustment_activity("MA", ticker, -shares, shares * price_usd)
    orders.state.merge(ticker, shares * price_usd)
