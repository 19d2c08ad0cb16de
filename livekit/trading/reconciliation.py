"""Reconciliation: positions, open orders, fills and cash, ours against the broker's.

The comparison is pure and gives breaks; the acting part books the venue's fills first, since they
are the truth, then keeps the break ledger. Nothing is ever invented: a difference that booking the
venue's own fills does not explain stays open and stops new orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from livekit.errors import BooksDiffer
from livekit.model import Break, Fill, Order, Position, VenueFill, VenueOrder, VenuePosition
from livekit.trading.books import BASELINE_CASH, BASELINE_POSITIONS, book_new_fills
from livekit.trading.cover import cover_gaps
from livekit.trading.desk import Desk
from livekit.trading.order_ids import parse_client_order_id
from livekit.trading.orders import sync_orders
from livekit.trading.protector import open_orders

__all__ = ["BookView", "VenueView", "compare_books", "reconcile", "require_clean"]

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class BookView:
    """Our side: open positions, working order rows, all fills, and the baseline."""

    positions: Sequence[Position]
    working: Sequence[Order]
    fills: Sequence[Fill]
    baseline_cash: Decimal
    baseline_shares: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class VenueView:
    """The broker's side, read in this run."""

    positions: Sequence[VenuePosition]
    open_orders: Sequence[VenueOrder]
    cash: Decimal
    foreign_fills: Sequence[VenueFill]


def compare_books(ours: BookView, theirs: VenueView) -> tuple[Break, ...]:
    """Every difference between the two sides, in a fixed order."""
    return (
        *_position_breaks(ours, theirs),
        *_order_breaks(ours, theirs),
        *_fill_breaks(theirs),
        *_cash_breaks(ours, theirs),
    )


def _position_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    booked: dict[str, Decimal] = dict(ours.baseline_shares)
    for position in ours.positions:
        shares = booked.get(position.ticker, Decimal(0)) + position.shares_now
        booked[position.ticker] = shares
    shown = {item.ticker: item.quantity for item in theirs.positions}
    return [
        Break(
            kind="position",
            ticker=ticker,
            facts=f"we hold {booked.get(ticker, 0)}, the broker shows {shown.get(ticker, 0)}",
            proposal="find the fill or manual trade that explains it",
        )
        for ticker in sorted(set(booked) | set(shown))
        if booked.get(ticker, Decimal(0)) != shown.get(ticker, Decimal(0))
    ]


def _order_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    known = {order.alpaca_order_id for order in ours.working}
    strangers = [order for order in theirs.open_orders if order.order_id not in known]
    breaks = [
        Break(
            kind="foreign_order",
            ticker=order.ticker,
            facts=f"{order.side} {order.quantity} as {order.client_order_id} is open, not ours",
            proposal="cancel it at the broker, or take it into the baseline",
        )
        for order in strangers
        if parse_client_order_id(order.client_order_id) is None
    ]
    breaks += [
        Break(
            kind="order_without_intent",
            ticker=order.ticker,
            facts=f"{order.client_order_id} has our form but no intent row",
            proposal="find the program that placed it before anything else is sent",
        )
        for order in strangers
        if parse_client_order_id(order.client_order_id) is not None
    ]
    return breaks + _stop_breaks(ours, theirs)


def _stop_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    gaps = cover_gaps(ours.positions, theirs.positions, theirs.open_orders)
    return [
        Break(
            kind="uncovered",
            ticker=gap.position.ticker,
            facts=str(gap),
            proposal="the protector places the stop; by hand if it cannot",
        )
        for gap in gaps
    ]


def _fill_breaks(theirs: VenueView) -> list[Break]:
    return [
        Break(
            kind="foreign_fill",
            ticker=fill.ticker,
            facts=f"{fill.side} {fill.quantity} at {fill.price} belongs to no order of ours",
            proposal="a manual trade: book or reverse it by hand",
        )
        for fill in theirs.foreign_fills
    ]


def _cash_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    expected = expected_cash(ours.baseline_cash, ours.fills)
    if abs(expected - theirs.cash) < CENT:  # the broker shows whole cents, fills are finer
        return []
    facts = f"{expected:.2f} USD by our fills, the broker shows {theirs.cash:.2f} USD"
    return [Break("cash", None, facts, "look for fees, dividends, deposits or manual trades")]


def expected_cash(baseline: Decimal, fills: Sequence[Fill]) -> Decimal:
    """Cash in USD that the baseline and our fills imply."""
    flows = (fill.quantity * fill.price * (1 if fill.side == "sell" else -1) for fill in fills)
    return baseline + sum(flows, Decimal(0))


def baseline_shares(text: str | None) -> dict[str, Decimal]:
    """Parse the baseline holdings, ``TICKER:quantity`` joined by commas."""
    parts = (part.split(":") for part in (text or "").split(",") if part)
    return {ticker: Decimal(quantity) for ticker, quantity in parts}


def reconcile(desk: Desk, session: date) -> tuple[Break, ...]:
    """Book what the venue shows, compare, and bring the break ledger up to date.

    Returns the open breaks. Breaks that are gone are resolved with the fact that they are.
    """
    orders = open_orders(desk)
    sync_orders(desk, orders)
    foreign = book_new_fills(desk)
    ours = BookView(
        desk.db.get_open_positions(),
        desk.db.get_orders(working_only=True),
        desk.db.get_fills(),
        Decimal(desk.db.get_config(BASELINE_CASH) or "0"),
        baseline_shares(desk.db.get_config(BASELINE_POSITIONS)),
    )
    theirs = VenueView(desk.client.get_positions(), orders, desk.client.get_account().cash, foreign)
    found = compare_books(ours, theirs)
    _keep_ledger(desk, session, found)
    return found


def _keep_ledger(desk: Desk, session: date, found: Sequence[Break]) -> None:
    present = {(item.kind, item.ticker) for item in found}
    now = desk.clock.now()
    with desk.db.transaction():
        for known in desk.db.open_breaks():
            if (known.kind, known.ticker) not in present and known.break_id is not None:
                desk.db.resolve_break(known.break_id, "no longer present", now)
        for item in found:
            desk.db.add_break(item, session=session, at=now)


def require_clean(found: Sequence[Break]) -> None:
    """Raise `BooksDiffer` naming every break, if there is one."""
    if found:
        raise BooksDiffer([f"{item.kind} {item.ticker or ''}: {item.facts}" for item in found])
