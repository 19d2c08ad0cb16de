"""Reconciliation: positions, open orders, fills and cash, ours against the broker's.

The comparison is pure and gives breaks; the acting part books the venue's fills first, since they
are the truth, then keeps the break ledger. Nothing is ever invented: a difference that the venue's
own fills and cash entries do not explain stays open and stops new orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from livekit.errors import BooksDiffer
from livekit.model import (
    STOP,
    Break,
    Fill,
    Order,
    Position,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from livekit.sessions import exchange_time, open_instant
from livekit.trading.books import (
    BASELINE_CASH,
    BASELINE_ORDERS,
    BASELINE_POSITIONS,
    RECONCILED_AT,
    baseline_instant,
    book_fill,
    reconcile_from,
)
from livekit.trading.break_ledger import baseline_shares, keep_ledger, note_found, note_healed
from livekit.trading.break_rules import (
    CASH,
    CASH_ENTRY,
    FOREIGN_FILL,
    FOREIGN_ORDER,
    MANUAL_SALE,
    ORDER_UNKNOWN,
    POSITION,
    REVIVED_ORDER,
    SPLIT,
    STOP_MISSING,
    STOPPED_OUT,
    STRANGE_ORDER,
    UNCOVERED,
    explains_cash,
    judge_fill,
    manual_order,
    position_proposal,
)
from livekit.trading.cover import cover_gaps, sleeps_until_open
from livekit.trading.day_counts import count_orders
from livekit.trading.desk import Desk
from livekit.trading.lease import require_lease
from livekit.trading.order_ids import parse_client_order_id
from livekit.trading.orders import LOCALLY_TERMINAL, adopt, fingerprint, sync_orders
from livekit.trading.protector import protect
from livekit.trading.splits import apply_splits
from livekit.trading.venue_look import VenueLook, current, look_at_venue, open_orders

__all__ = [
    "BookView",
    "VenueView",
    "compare_books",
    "reconcile",
    "require_clean",
]

CENT = Decimal("0.01")
STOP_ORDER_LIMIT = "stop_order_limit"
UNKNOWN_AFTER = timedelta(minutes=1)  # orders may become visible late


@dataclass(frozen=True, slots=True)
class BookView:
    """Our side: open positions, order rows, all fills, and the baseline."""

    positions: Sequence[Position]
    orders: Sequence[Order]
    fills: Sequence[Fill]
    baseline_cash: Decimal
    baseline_shares: Mapping[str, Decimal]
    baseline_orders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VenueView:
    """The broker's side, read in this run.

    ``unexplained`` are breaks found while its fills were booked, ``unknown`` our working rows whose
    order it does not know. Before the open (``awaits_open``) a stop may rest until then.
    """

    positions: Sequence[VenuePosition]
    open_orders: Sequence[VenueOrder]
    cash: Decimal
    unexplained: Sequence[Break]
    unknown: Sequence[Order] = ()
    awaits_open: bool = False


def compare_books(ours: BookView, theirs: VenueView) -> tuple[Break, ...]:
    """Every difference between the two sides, in a fixed order."""
    return (
        *_position_breaks(ours, theirs),
        *_order_breaks(ours, theirs),
        *theirs.unexplained,
        *_cash_breaks(ours, theirs),
    )


def _position_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    booked: dict[str, Decimal] = dict(ours.baseline_shares)
    for position in ours.positions:
        shares = booked.get(position.ticker, Decimal(0)) + position.shares_now
        booked[position.ticker] = shares
    shown = {item.ticker: item.quantity for item in theirs.positions}
    pairs = [
        (ticker, booked.get(ticker, Decimal(0)), shown.get(ticker, Decimal(0)))
        for ticker in sorted(set(booked) | set(shown))
    ]
    return [
        Break(
            kind=POSITION,
            ticker=ticker,
            facts=f"we hold {mine}, the broker shows {theirs_}",
            proposal=position_proposal(ticker, mine, theirs_, theirs.positions),
            detail={"ours": str(mine), "theirs": str(theirs_)},
        )
        for ticker, mine, theirs_ in pairs
        if mine != theirs_
    ]


def _order_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    rows = {row.alpaca_order_id: row for row in ours.orders if row.alpaca_order_id is not None}
    breaks = [
        _stranger(order)
        for order in theirs.open_orders
        if order.order_id not in rows and order.order_id not in ours.baseline_orders
    ]
    breaks += [
        _revived(rows[order.order_id], order)
        for order in theirs.open_orders
        if order.order_id in rows and rows[order.order_id].status in LOCALLY_TERMINAL
    ]
    breaks += [_unknown(row) for row in theirs.unknown]
    return breaks + _stop_breaks(ours, theirs)


def _stranger(order: VenueOrder) -> Break:
    if parse_client_order_id(order.client_order_id) is None:
        facts = f"{order.side} {order.quantity} as {order.client_order_id} is open, not ours"
        proposal = "cancel it at the broker, or resolve it to leave it alone"
        return Break(FOREIGN_ORDER, order.ticker, facts, proposal, subject=order.order_id)
    facts = f"{order.client_order_id} has our form but no intent row"
    proposal = "find the program that placed it before anything else is sent"
    return Break(STRANGE_ORDER, order.ticker, facts, proposal, subject=order.order_id)


def _revived(row: Order, order: VenueOrder) -> Break:
    facts = f"{row.client_order_id} is {row.status} here and {order.status} at the venue"
    proposal = "cancel it at the broker: our books take it for finished"
    return Break(REVIVED_ORDER, row.ticker, facts, proposal, subject=row.client_order_id)


def _unknown(row: Order) -> Break:
    facts = f"{row.client_order_id} is {row.status} here and unknown to the venue"
    proposal = "look for it at the broker; resolve it when it does not exist"
    return Break(ORDER_UNKNOWN, row.ticker, facts, proposal, subject=row.client_order_id)


def _stop_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    gaps = cover_gaps(ours.positions, theirs.positions, theirs.open_orders)
    return [
        Break(
            kind=UNCOVERED,
            ticker=gap.position.ticker,
            facts=str(gap),
            proposal="the protector places the stop; by hand if it cannot",
        )
        for gap in gaps
        if not (theirs.awaits_open and sleeps_until_open(gap, theirs.open_orders))
    ]


def _cash_breaks(ours: BookView, theirs: VenueView) -> list[Break]:
    expected = expected_cash(ours.baseline_cash, ours.fills)
    if abs(expected - theirs.cash) < CENT:  # the broker shows whole cents, fills are finer
        return []
    return [
        Break(
            kind=CASH,
            ticker=None,
            facts=f"{expected:.2f} USD by our fills, the broker shows {theirs.cash:.2f} USD",
            proposal="look for fees, dividends, deposits or manual trades",
            detail={"ours": str(expected), "theirs": str(theirs.cash)},
        )
    ]


def expected_cash(baseline: Decimal, fills: Sequence[Fill]) -> Decimal:
    """Cash in USD that the baseline and our fills imply."""
    flows = (fill.quantity * fill.price * (1 if fill.side == "sell" else -1) for fill in fills)
    return baseline + sum(flows, Decimal(0))


# ---------------------------------------------------------------------------------------- acting


def reconcile(
    desk: Desk,
    session: date,
    *,
    repaired: Sequence[str] = (),
    look: VenueLook | None = None,
) -> tuple[Break, ...]:
    """Book what the venue shows, heal what a rule knows, compare, and keep the break ledger.

    ``repaired`` says what the protector found uncovered in this run, for the record, and ``look``
    is what it saw last: the venue is read anew unless that still holds. Shares that
    only this look shows to be ours are covered at once. Returns the open breaks; those that are
    gone are resolved with the fact that they are.
    """
    started = desk.clock.now()
    _note_repairs(desk, session, repaired)
    splits = len(desk.db.get_breaks(SPLIT))
    found = _differences(desk, session, started, _shared(desk, look))
    has_split = len(desk.db.get_breaks(SPLIT)) > splits  # its stops may be of the old basis
    if has_split or any(item.kind == UNCOVERED for item in found):
        protection = protect(desk)
        _note_repairs(desk, session, protection.repaired)
        found = _differences(desk, session, started, _shared(desk, protection.look))
    require_lease(desk)  # a run that was taken over has read what is no more
    left = keep_ledger(desk, session, found)
    with desk.db.transaction():
        desk.db.set_config(RECONCILED_AT, started.isoformat())
        desk.db.add_reconciliation(session, token=desk.lease, at=started)
    return left


def _shared(desk: Desk, look: VenueLook | None) -> VenueLook | None:
    """The look while it holds; settling an intent that is still open takes too long for it."""
    working = desk.db.get_orders(working_only=True)
    return None if any(row.alpaca_order_id is None for row in working) else current(desk, look)


def _note_repairs(desk: Desk, session: date, repaired: Sequence[str]) -> None:
    for text in repaired:
        subject = f"{session} {text}"
        item = Break(STOP_MISSING, text.split()[0], text, "cover it", subject=subject)
        note_healed(desk, item, "the protector covered it")


def _differences(
    desk: Desk, session: date, started: datetime, look: VenueLook | None
) -> tuple[Break, ...]:
    """Bring our rows up to the venue's present state; what differs then."""
    orders = _adopt_late(desk, open_orders(desk) if look is None else look.orders)
    unknown = sync_orders(desk, orders)
    shown = look_at_venue(desk, orders) if look is None else look
    unexplained = _book_fills(desk, shown.fills)
    theirs = VenueView(
        shown.positions,
        _still_open(desk, orders),
        desk.client.get_account().cash,
        unexplained,
        [row for row in unknown if row.created_at is None or _is_old(row.created_at, started)],
        awaits_open=started < open_instant(desk.order_session()),
    )
    _watch_stop_count(desk, session, orders)
    found = compare_books(_book_view(desk), theirs)
    today = exchange_time(started).date()
    if any(item.kind == POSITION for item in found) and apply_splits(desk, today):
        found = compare_books(_book_view(desk), theirs)
    if any(item.kind == CASH for item in found) and _book_cash_entries(desk):
        found = compare_books(_book_view(desk), theirs)
    return found


def _watch_stop_count(desk: Desk, session: date, orders: Sequence[VenueOrder]) -> None:
    """Say once a session that more stops were placed than expected; none is ever denied."""
    counts = count_orders(desk.db.get_orders(trade_date=session), orders, session)
    if counts.stops <= desk.config.max_daily_stop_orders:
        return
    if any(item.kind == STOP_ORDER_LIMIT for item in desk.db.get_alerts(session)):
        return
    text = f"{counts.stops} stop orders in {session}, {desk.config.max_daily_stop_orders} expected"
    desk.db.add_alert(STOP_ORDER_LIMIT, text, at=desk.clock.now())


def _book_view(desk: Desk) -> BookView:
    return BookView(
        desk.db.get_open_positions(),
        desk.db.get_orders(),
        desk.db.get_fills(),
        desk.db.read_config(BASELINE_CASH, Decimal) or Decimal(0),
        desk.db.read_config(BASELINE_POSITIONS, baseline_shares) or {},
        frozenset((desk.db.get_config(BASELINE_ORDERS) or "").split(",")),
    )


def _is_old(created_at: datetime, now: datetime) -> bool:
    return now - created_at > UNKNOWN_AFTER


def _still_open(desk: Desk, orders: Sequence[VenueOrder]) -> tuple[VenueOrder, ...]:
    """Open orders; one that our books take for finished is read once more, since a list may lag."""
    over = {
        row.alpaca_order_id
        for row in desk.db.get_orders()
        if row.alpaca_order_id is not None and row.status in LOCALLY_TERMINAL
    }
    again = [desk.client.get_order(item.order_id) for item in orders if item.order_id in over]
    alive = tuple(item for item in again if item is not None and not item.is_terminal)
    return (*(item for item in orders if item.order_id not in over), *alive)


def _adopt_late(desk: Desk, orders: tuple[VenueOrder, ...]) -> tuple[VenueOrder, ...]:
    """Adopt open orders that we had given up because the venue did not show them in time."""
    for order in orders:
        row = desk.db.get_order_by_client_id(order.client_order_id)
        if row is not None and row.alpaca_order_id is None and _is_intended(row, order):
            adopt(desk, row, order)
            note_found(desk, row, order)
    return orders


def _is_intended(row: Order, order: VenueOrder) -> bool:
    asked = (row.ticker, row.side, Decimal(row.quantity))
    return asked == (order.ticker, order.side, order.quantity)


def _book_fills(desk: Desk, fills: Sequence[VenueFill]) -> tuple[Break, ...]:
    """Book every fill since the last reconciliation; returns what nobody can explain."""
    baseline = baseline_instant(desk)
    since = reconcile_from(desk)
    known = {item.subject for item in desk.db.get_breaks(FOREIGN_FILL, STRANGE_ORDER)}
    unexplained = []
    for fill in (item for item in fills if item.at >= since):
        row = desk.db.get_order_by_alpaca_id(fill.order_id)
        if row is not None:
            book_fill(desk, row, fill)
            _note_stop(desk, row, fill)
        elif fill.at >= baseline and not known & {fill.activity_id, fill.order_id}:
            unexplained += _settle_stranger(desk, fill)
    return tuple({item.subject: item for item in unexplained}.values())


def _note_stop(desk: Desk, row: Order, fill: VenueFill) -> None:
    if row.intent != STOP:
        return
    facts = (
        f"{row.client_order_id} sold {fill.quantity} at {fill.price} on {fill.at:%Y-%m-%d %H:%M}Z"
    )
    item = Break(STOPPED_OUT, row.ticker, facts, "book it", subject=fill.activity_id)
    note_healed(desk, item, "booked from the venue's fill")


def _settle_stranger(desk: Desk, fill: VenueFill) -> list[Break]:
    """Book a fill of an order that has no venue id with us, if a rule knows what it is."""
    order = desk.client.get_order(fill.order_id)
    row = None if order is None else desk.db.get_order_by_client_id(order.client_order_id)
    if row is not None and (order is None or not _is_intended(row, order)):
        row = None
    baseline = desk.db.read_config(BASELINE_POSITIONS, baseline_shares) or {}
    verdict = judge_fill(fill, order, row, desk.db.get_open_positions(), baseline)
    if verdict.unexplained is not None or order is None:
        return [] if verdict.unexplained is None else [verdict.unexplained]
    if verdict.kind == "adopt" and row is not None:
        adopt(desk, row, order)
        note_found(desk, row, order)
        book_fill(desk, replace(row, alpaca_order_id=order.order_id), fill)
    elif verdict.position is not None:
        _book_manual_sale(desk, verdict.position, order, fill)
    return []


def _book_manual_sale(desk: Desk, position: Position, order: VenueOrder, fill: VenueFill) -> None:
    row = manual_order(order, position, fill)
    with desk.db.transaction():
        desk.db.add_order(replace(row, fingerprint=fingerprint(row)), at=desk.clock.now())
        book_fill(desk, row, fill)
        facts = f"{order.filled_quantity} of {position.shares_now} sold by hand at {fill.price}"
        item = Break(MANUAL_SALE, row.ticker, facts, "book it", subject=order.order_id)
        note_healed(desk, item, f"booked as {row.client_order_id} from the venue's fills")


def _book_cash_entries(desk: Desk) -> bool:
    """Take dividends, fees and the like into the cash we expect; True if there were any."""
    baseline = baseline_instant(desk)
    known = {item.subject for item in desk.db.get_breaks(CASH_ENTRY)}
    fresh = [
        entry
        for entry in desk.client.get_cash_entries(after=baseline)
        if entry.activity_id not in known and entry.amount and explains_cash(entry)
    ]
    with desk.db.transaction():
        for entry in fresh:
            cash = (desk.db.read_config(BASELINE_CASH, Decimal) or Decimal(0)) + entry.amount
            desk.db.set_config(BASELINE_CASH, str(cash))
            facts = f"{entry.kind} of {entry.amount} USD"
            item = Break(CASH_ENTRY, entry.ticker, facts, "book it", subject=entry.activity_id)
            note_healed(desk, item, "taken into the expected cash")
    return bool(fresh)


def require_clean(found: Sequence[Break]) -> None:
    """Raise `BooksDiffer` naming every break, if there is one."""
    if found:
        raise BooksDiffer([_named(item) for item in found])


def _named(item: Break) -> str:
    ticker = f" {item.ticker}" if item.ticker else ""
    return f"break {item.break_id}, {item.kind}{ticker}: {item.facts}"
