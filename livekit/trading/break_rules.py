"""What to do about a difference between our books and the broker's, decided. Pure.

A fill that belongs to no order row of ours is one of three things: the late fill of an intent of
ours, a person's sale of shares of ours, or something nobody here can explain. Only the first two
are healed, and only with the fills that the venue shows. A resolution by an operator re-bases the
books on what the venue shows and is worked out here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from livekit.model import (
    EXIT,
    MANUAL,
    Break,
    Order,
    Position,
    VenueCashEntry,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from livekit.sessions import session_of
from livekit.strategy.rules import snap_split_ratio
from livekit.trading.order_ids import parse_client_order_id

__all__ = [
    "CASH",
    "CASH_ENTRY",
    "FOREIGN_FILL",
    "FOREIGN_ORDER",
    "FOUND_ORDER",
    "MANUAL_SALE",
    "ORDER_ENDED",
    "ORDER_UNKNOWN",
    "POSITION",
    "REVIVED_ORDER",
    "SPLIT",
    "STICKY",
    "STOPPED_OUT",
    "STOP_MISSING",
    "STRANGE_ORDER",
    "SUSPICIOUS",
    "UNCOVERED",
    "WRITTEN_OFF_SHARES",
    "FillVerdict",
    "Rebase",
    "age_of",
    "age_text",
    "explains_cash",
    "judge_fill",
    "manual_order",
    "position_proposal",
    "rebase",
]

# Differences that stay open until they are gone or an operator resolves them.
POSITION = "position"
CASH = "cash"
UNCOVERED = "uncovered"
FOREIGN_ORDER = "foreign_order"
FOREIGN_FILL = "foreign_fill"
STRANGE_ORDER = "order_without_intent"
ORDER_UNKNOWN = "order_unknown"
REVIVED_ORDER = "order_revived"

# Differences that a rule heals; they enter the ledger with their resolution.
STOPPED_OUT = "stop_filled"
MANUAL_SALE = "manual_sale"
FOUND_ORDER = "found_order"
ORDER_ENDED = "order_ended"
STOP_MISSING = "stop_missing"
SPLIT = "split"
CASH_ENTRY = "cash_entry"

STICKY = frozenset({FOREIGN_FILL, STRANGE_ORDER})  # events stay though later looks show them not
SUSPICIOUS = frozenset({STRANGE_ORDER, ORDER_UNKNOWN})  # the kill switch goes on

WRITTEN_OFF_SHARES = "written_off_shares"  # in the detail of a break of a position
CASH_KINDS = frozenset({"CIL", "FEE", "INT"})  # beside all whose name begins with DIV


@dataclass(frozen=True, slots=True)
class FillVerdict:
    """What a fill of no order row of ours is.

    ``adopt`` an intent of ours, ``sale`` of a position by hand, or ``unexplained``, with the break
    that it opens.
    """

    kind: Literal["adopt", "sale", "unexplained"]
    position: Position | None = None
    unexplained: Break | None = None


def judge_fill(
    fill: VenueFill,
    order: VenueOrder | None,
    row: Order | None,
    positions: Sequence[Position],
    baseline: Mapping[str, Decimal],
) -> FillVerdict:
    """Decide what a fill is.

    Args:
        fill: The venue's fill.
        order: Its order as the venue shows it, if it does.
        row: Our row with that order's client id, which never got the venue's id.
        positions: Our open positions.
        baseline: Shares by ticker that were never ours.
    """
    if order is not None and row is not None and row.alpaca_order_id is None:
        return FillVerdict("adopt")
    if order is not None and parse_client_order_id(order.client_order_id) is not None:
        return FillVerdict("unexplained", unexplained=_strange_fill(fill, order))
    position = next((item for item in positions if item.ticker == fill.ticker), None)
    unshared = not baseline.get(fill.ticker, Decimal(0))
    if position is not None and order is not None and unshared and _sells(fill, order, position):
        return FillVerdict("sale", position=position)
    return FillVerdict("unexplained", unexplained=_foreign_fill(fill))


def _sells(fill: VenueFill, order: VenueOrder, position: Position) -> bool:
    """Whether an order sells whole shares and no more of them than the position has."""
    whole = fill.quantity == int(fill.quantity)
    return fill.side == "sell" and whole and order.quantity <= position.shares_now


def _foreign_fill(fill: VenueFill) -> Break:
    return Break(
        kind=FOREIGN_FILL,
        ticker=fill.ticker,
        facts=f"{fill.side} {fill.quantity} at {fill.price} belongs to no order of ours",
        proposal="a manual trade: reverse it, or resolve it to keep it outside our books",
        subject=fill.activity_id,
        detail={
            "side": fill.side,
            "quantity": str(fill.quantity),
            "price": str(fill.price),
            "at": fill.at.isoformat(),
        },
    )


def _strange_fill(fill: VenueFill, order: VenueOrder) -> Break:
    return Break(
        kind=STRANGE_ORDER,
        ticker=fill.ticker,
        facts=f"{order.client_order_id} has our form but no intent row, and filled {fill.quantity}",
        proposal="find the program that placed it before anything else is sent",
        subject=order.order_id,
    )


def manual_order(order: VenueOrder, position: Position, fill: VenueFill) -> Order:
    """The row under which a person's sale of a position of ours is booked."""
    return Order(
        client_order_id=order.client_order_id,
        intent=EXIT,
        side="sell",
        ticker=order.ticker,
        trade_date=session_of(fill.at),
        quantity=int(order.quantity),
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        status=order.status,
        stop_price=order.stop_price,
        filled_qty=int(order.filled_quantity),
        filled_avg_price=order.filled_average_price,
        alpaca_order_id=order.order_id,
        position_id=position.position_id,
        reason=MANUAL,
        outcome="confirmed",
    )


def explains_cash(entry: VenueCashEntry) -> bool:
    """Whether a cash entry books itself: dividends, fees, interest, cash for a split's fraction.

    A deposit or a correction does not: somebody has to say what it is.
    """
    return entry.kind.startswith("DIV") or entry.kind in CASH_KINDS


def position_proposal(
    ticker: str, booked: Decimal, shown: Decimal, positions: Iterable[VenuePosition]
) -> str:
    """What a difference in shares may be: a split, a new name, or a trade of somebody else."""
    if booked > 0 and shown > 0:
        ratio = snap_split_ratio(float(shown / booked))
        if not math.isnan(ratio) and ratio != 1.0:
            return f"looks like a split of {ratio:g} new shares for one; check the announcement"
    if shown == 0:
        renamed = [item.ticker for item in positions if item.quantity == booked != 0]
        if renamed:
            return f"looks like a new name of {ticker}: the same count is held as {renamed[0]}"
    if shown != int(shown):
        return "a fraction of a share: wait for the cash in lieu, or sell it by hand"
    return "find the fill or manual trade that explains it"


@dataclass(frozen=True, slots=True)
class Rebase:
    """What a resolution changes in the books: foreign shares, cash, or shares written off."""

    ticker: str | None = None
    foreign_shares: Decimal = Decimal(0)
    cash_usd: Decimal = Decimal(0)
    written_off: int = 0

    def detail(self, who: str, reason: str) -> dict[str, str]:
        """The change as the ledger keeps it."""
        return {
            "who": who,
            "reason": reason,
            "foreign_shares": str(self.foreign_shares),
            "cash_usd": str(self.cash_usd),
            WRITTEN_OFF_SHARES: str(self.written_off),
        }

    def __str__(self) -> str:
        parts = [
            f"{self.foreign_shares:+} foreign shares of {self.ticker}" * bool(self.foreign_shares),
            f"{self.cash_usd:+.2f} USD of foreign cash" * bool(self.cash_usd),
            f"{self.written_off} shares of {self.ticker} written off" * bool(self.written_off),
        ]
        return ", ".join(part for part in parts if part) or "nothing changed in the books"


def rebase(item: Break, position: Position | None) -> Rebase:
    """What resolving a break changes, from the facts that it holds now.

    Shares that we hold and the venue does not are written off against our position; shares that
    only the venue holds become foreign. A foreign fill moves foreign shares and cash by itself.
    """
    detail = item.detail
    if item.kind == POSITION:
        missing = Decimal(detail["ours"]) - Decimal(detail["theirs"])
        ours = 0 if position is None else position.shares_now
        lost = int(min(max(missing, Decimal(0)), Decimal(ours)))
        return Rebase(item.ticker, foreign_shares=lost - missing, written_off=lost)
    if item.kind == CASH:
        return Rebase(cash_usd=Decimal(detail["theirs"]) - Decimal(detail["ours"]))
    if item.kind == FOREIGN_FILL:
        shares = Decimal(detail["quantity"]) * (1 if detail["side"] == "buy" else -1)
        return Rebase(item.ticker, shares, -shares * Decimal(detail["price"]))
    return Rebase(item.ticker)


def age_of(item: Break, now: datetime) -> str:
    """How long a break has been open, or was until it was settled; empty outside the ledger."""
    return "" if item.opened_at is None else age_text((item.resolved_at or now) - item.opened_at)


def age_text(age: timedelta) -> str:
    """An age in its largest unit: ``3 days``, ``5 h`` or ``12 min``."""
    if age >= timedelta(days=1):
        return f"{age.days} day{'s' * (age.days > 1)}"
    hours, seconds = divmod(int(age.total_seconds()), 3600)
    return f"{hours} h" if hours else f"{seconds // 60} min"
