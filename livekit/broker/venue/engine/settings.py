"""What can be chosen about the venue, and what it does where Alpaca's behaviour is unconfirmed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

__all__ = ["FillModelName", "VenueSettings"]

FillModelName = Literal["parity", "paper", "rough"]


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """Choices that hold for the life of a book; percent fields are percents.

    The first five identify a book: it is never continued under others. The rest are switches for
    behaviour that no document confirms; each default is the one that is harder on the client.
    ``requests_a_minute`` is how many trading requests, and as many for data, are answered within a
    minute of the venue's clock before a 429; 0 sets no limit. ``data_plan`` ``basic`` refuses
    consolidated (``sip``) data younger than 15 minutes.
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
    requests_a_minute: int = 0
    leg_death_delay_s: float = 1.0
    held_leg_cancellable: bool = False
    canceled_order_cancellable: bool = False
    resting_leg_blocks_opposite: bool = True
    cash_nets_open_buys: bool = False
    splits_apply: bool = True
    splits_adjust_group_legs: bool = False
    partial_entry_activates_legs: bool = False
    activated_leg_status: Literal["new", "accepted"] = "new"
    group_leg_ends_as: Literal["expired", "canceled"] = "expired"
    activated_leg_replaceable: bool = False
    gtc_orders_are_done_for_day: bool = False
    halts_suspend_orders: bool = False
    data_plan: Literal["basic", "plus"] = "basic"
