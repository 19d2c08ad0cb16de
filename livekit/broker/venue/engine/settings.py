"""What can be chosen about the venue, and what it does where Alpaca's behaviour is unconfirmed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

__all__ = ["FillModelName", "VenueSettings", "worst_case"]

FillModelName = Literal["parity", "paper", "rough"]


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """Choices that hold for the life of a book; percent fields are percents.

    The first five identify a book: it is never continued under others. The rest are switches for
    behaviour that no document confirms. Each default is the one that is harder on the client,
    except that nothing takes time and auctions are complete: parity with the backtest has to be
    exact. `worst_case` turns that round. ``requests_a_minute`` is how many trading requests, and as
    many for data, are answered within a minute of the venue's clock before a 429; 0 sets no limit.
    ``data_plan`` ``basic`` refuses consolidated (``sip``) data younger than 15 minutes.

    ``visibility_delay_s`` is the longest time for which an order that was taken cannot be read,
    while its fills can. ``poor_auctions`` lets half of the orders for an auction find nobody.
    ``market_buys_are_collared`` bounds a market buy 4 % (from $50: 2.5 %) above the last price at
    its submission. ``spent_ids_reusable`` frees the client ids of expired and rejected orders.
    """

    seed: int = 1
    fill_model: FillModelName = "parity"
    cash_usd: Decimal = Decimal(100_000)
    slippage_pct: float = 0.5
    entry_slippage_pct: float = 0.0
    cancel_delay_s: float = 0.0
    cancels_wait_for_open: bool = False
    replace_delay_s: float = 0.0
    share_release_delay_s: float = 0.0
    visibility_delay_s: float = 0.0
    requests_a_minute: int = 0
    limit_headers_on_429: bool = False
    leg_death_delay_s: float = 1.0
    held_leg_cancellable: bool = False
    canceled_order_cancellable: bool = False
    resting_leg_blocks_opposite: bool = True
    cash_nets_open_buys: bool = False
    splits_apply: bool = True
    splits_adjust_group_legs: bool = False
    partial_entry_activates_legs: bool = False
    spent_ids_reusable: bool = False
    poor_auctions: bool = False
    auction_rest_ends_as: Literal["canceled", "expired"] = "canceled"
    market_buys_are_collared: bool = False
    activated_leg_status: Literal["new", "accepted", "held"] = "new"
    group_leg_ends_as: Literal["expired", "canceled"] = "expired"
    activated_leg_replaceable: bool = False
    gtc_orders_are_done_for_day: bool = False
    halts_suspend_orders: bool = False
    data_plan: Literal["basic", "plus"] = "basic"


def worst_case(settings: VenueSettings) -> VenueSettings:
    """The same venue where everything that may take time does, and auctions are thin."""
    return replace(
        settings,
        visibility_delay_s=3.0,
        share_release_delay_s=3.0,
        cancels_wait_for_open=True,
        poor_auctions=True,
        auction_rest_ends_as="expired",
        market_buys_are_collared=True,
    )
