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
    ``data_plan`` ``basic`` refuses consolidated (``sip``) data younger than 15 minutes.
    """

    seed: int = 1
    fill_model: FillModelName = "parity"
    cash_usd: Decimal = Decimal(100_000)
    slippage_pct: float = 0.5
    entry_slippage_pct: float = 0.0
    cancel_delay_s: float = 0.0
    cancels_wait_for_open: bool = False
    leg_death_delay_s: float = 1.0
    held_leg_cancellable: bool = False
    canceled_order_cancellable: bool = False
    resting_leg_blocks_opposite: bool = True
    splits_adjust_group_legs: bool = False
    partial_entry_activates_legs: bool = False
    activated_leg_status: Literal["new", "accepted"] = "new"
    group_leg_ends_as: Literal["expired", "canceled"] = "expired"
    activated_leg_replaceable: bool = False
    gtc_orders_are_done_for_day: bool = False
    halts_suspend_orders: bool = False
    data_plan: Literal["basic", "plus"] = "basic"
