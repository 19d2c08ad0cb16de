"""Fill models and the matching of one order with one step of the path.

``parity`` gives exactly the prices of the backtest's rules: entries at the open, sells less the
slippage, and before the open an indicative price equal to the open, so that a day decided live and
the same day simulated are one trade. ``paper`` gives what Alpaca documents for paper accounts: the
touch price, no slippage, and one eligible fill in ten only in part, the rest two seconds later.
``rough`` is a bad day: slippage up to twice the settings', a third of the fills in part, and one
order in fifty rejected after it was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from livekit.broker.venue.engine.identity import chance
from livekit.broker.venue.engine.market import exact, half_way
from livekit.broker.venue.engine.records import Order
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.strategy.rules import entry_fill_price, exit_fill_price, round_fill

__all__ = [
    "REST_AFTER_S",
    "FillModel",
    "Paper",
    "Parity",
    "Rough",
    "Step",
    "fill_model",
    "matched_price",
]

PARTIAL_FILLS = 0.10
ROUGH_PARTIAL_FILLS = 1 / 3
ROUGH_REJECTIONS = 0.02
REST_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """The path arrives at ``price``.

    ``came_from`` is the price before when the path moved continuously, so that every price between
    was traded; None when it jumped there (an open), or when an order finds it there.
    """

    price: Decimal
    came_from: Decimal | None = None


class FillModel(Protocol):
    """What a matched order is filled at, and how much of it."""

    def price(self, order: Order, matched: Decimal) -> Decimal:
        """Fill price in USD for an order matched at ``matched``."""

    def quantity(self, order: Order) -> int:
        """Shares filled at this match, at least one."""

    def rejects(self, order: Order) -> bool:
        """Whether the exchange rejects an order that the venue has accepted."""

    def indicative(self, previous_close: float | None, opened: float) -> float:
        """The price traded before the open of a day that will open at ``opened``."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The backtest's prices and slippage (percent)."""

    slippage_pct: float
    entry_slippage_pct: float

    def price(self, order: Order, matched: Decimal) -> Decimal:
        """``matched`` with the slippage of its side; a limit price is never exceeded."""
        if order.limit_price is not None:
            return exact(round_fill(float(matched)))
        if order.side == "buy":
            return exact(entry_fill_price(float(matched), self.entry_slippage_pct))
        return exact(exit_fill_price(float(matched), self.slippage_pct))

    def quantity(self, order: Order) -> int:
        """Everything."""
        return order.remaining

    def rejects(self, order: Order) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def indicative(self, previous_close: float | None, opened: float) -> float:  # noqa: ARG002
        """The open itself."""
        return opened


@dataclass(frozen=True, slots=True)
class Paper:
    """Alpaca's paper account, with its chance keyed by order and fill."""

    seed: int

    def price(self, order: Order, matched: Decimal) -> Decimal:  # noqa: ARG002
        """``matched`` as it is."""
        return exact(round_fill(float(matched)))

    def quantity(self, order: Order) -> int:
        """One match in ten fills a random part of what remains."""
        return _part(self.seed, order, PARTIAL_FILLS)

    def rejects(self, order: Order) -> bool:  # noqa: ARG002
        """Never: paper accounts refuse before they accept."""
        return False

    def indicative(self, previous_close: float | None, opened: float) -> float:
        """Half-way between the previous close and the open, to the cent."""
        return half_way(previous_close, opened)


@dataclass(frozen=True, slots=True)
class Rough:
    """Slippage (percent, its mean), partial fills and rejections, keyed by order and fill."""

    seed: int
    slippage_pct: float

    def price(self, order: Order, matched: Decimal) -> Decimal:
        """``matched`` moved against the order by 0 to 2 × the slippage, never past its limit."""
        luck = chance(self.seed, order.client_order_id, f"slippage {order.fill_count}")
        share = 2 * luck * self.slippage_pct / 100
        moved = float(matched) * (1 + share if order.side == "buy" else 1 - share)
        limit = order.working_limit
        if limit is not None:
            bound = min if order.side == "buy" else max
            moved = bound(moved, float(limit))
        return exact(round_fill(moved))

    def quantity(self, order: Order) -> int:
        """One match in three fills a random part of what remains."""
        return _part(self.seed, order, ROUGH_PARTIAL_FILLS)

    def rejects(self, order: Order) -> bool:
        """One order in fifty."""
        return chance(self.seed, order.client_order_id, "rejection") < ROUGH_REJECTIONS

    def indicative(self, previous_close: float | None, opened: float) -> float:
        """Half-way between the previous close and the open, to the cent."""
        return half_way(previous_close, opened)


def _part(seed: int, order: Order, share_of_matches: float) -> int:
    """A random part of what remains, at least one share, in that share of matches; else all."""
    key = order.client_order_id
    if order.remaining == 1 or chance(seed, key, order.fill_count) >= share_of_matches:
        return order.remaining
    share = chance(seed, key, f"size {order.fill_count}")
    return 1 + int(share * (order.remaining - 1))


def fill_model(settings: VenueSettings) -> FillModel:
    """The model that the settings name."""
    if settings.fill_model == "rough":
        return Rough(settings.seed, settings.slippage_pct)
    if settings.fill_model == "paper":
        return Paper(settings.seed)
    return Parity(settings.slippage_pct, settings.entry_slippage_pct)


def matched_price(order: Order, step: Step) -> Decimal | None:
    """The price at which ``order`` meets ``step``, or None; a stop that triggers is marked.

    A stop triggers when the path reaches it and is then a market order (with a limit price, a
    limit order). Reached by a jump, an order is matched where the path landed; passed
    continuously, at its own price.
    """
    price = step.price
    if order.stop_price is not None and not order.elected:
        if not _reaches(order.side, price, order.stop_price):
            return None
        order.elected = True
        return _if_within(order, _met(order.stop_price, step))
    if order.working_limit is None:
        return price
    return _if_within(order, price) and _met(order.working_limit, step)


def _reaches(side: str, price: Decimal, stop: Decimal) -> bool:
    return price <= stop if side == "sell" else price >= stop


def _met(level: Decimal, step: Step) -> Decimal:
    """``level`` if the path passed it, else the end of the path that is nearer to it."""
    if step.came_from is None:
        return step.price
    lowest, highest = sorted((step.came_from, step.price))
    return min(max(level, lowest), highest)


def _if_within(order: Order, price: Decimal) -> Decimal | None:
    limit = order.working_limit
    if limit is None:
        return price
    return price if (price >= limit if order.side == "sell" else price <= limit) else None
