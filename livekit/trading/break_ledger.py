"""The break ledger: every difference that was ever found, how old it is, and how it was settled.

A difference that a rule heals is entered together with its resolution. One that no rule knows is
open until the venue shows it no more or an operator resolves it with a reason; an event, such as a
stranger's trade, stays open until then in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from livekit.errors import RecordRefused, UsageError
from livekit.model import (
    LIVE_STATUSES,
    STOP,
    TERMINAL_STATUSES,
    Break,
    Order,
    Position,
    VenueOrder,
)
from livekit.trading.books import BASELINE_CASH, BASELINE_ORDERS, BASELINE_POSITIONS
from livekit.trading.break_rules import (
    CASH,
    FOREIGN_FILL,
    FOREIGN_ORDER,
    FOUND_ORDER,
    ORDER_ENDED,
    ORDER_UNKNOWN,
    POSITION,
    STICKY,
    STOP_MISSING,
    STRANGE_ORDER,
    SUSPICIOUS,
    UNCOVERED,
    Rebase,
    age_of,
    rebase,
)
from livekit.trading.desk import Desk

__all__ = [
    "baseline_shares",
    "break_line",
    "keep_ledger",
    "note_doubtful",
    "note_ended",
    "note_found",
    "note_healed",
    "resolve",
    "shares_text",
]

WRITTEN_OFF = "written_off"
CENT = Decimal("0.01")
PRICE_STEP = Decimal("0.00000001")
ENDED_BY_VENUE = frozenset({"canceled", "expired", "rejected"})
WAITING = frozenset({"held", "pending_cancel", "pending_replace", "done_for_day"})
UNDOUBTED = TERMINAL_STATUSES | LIVE_STATUSES | WAITING
SELF_CAUSED = frozenset({"pending_cancel", "canceled"})


# ---------------------------------------------------------------------------------------- healed


def note_healed(desk: Desk, item: Break, resolution: str) -> None:
    """Enter a difference that a rule has healed; the same one is entered once."""
    known = {(old.ticker, old.subject) for old in desk.db.get_breaks(item.kind)}
    if (item.ticker, item.subject) in known:
        return
    now = desk.clock.now()
    with desk.db.transaction():
        break_id = desk.db.add_break(item, session=desk.order_session(), at=now)
        desk.db.resolve_break(break_id, f"healed: {resolution}", now)


def note_found(desk: Desk, row: Order, found: VenueOrder) -> None:
    """Enter an intent of an earlier run whose order was found at the venue and adopted."""
    facts = f"{row.client_order_id} was {row.status} here and is {found.status} at the venue"
    item = Break(FOUND_ORDER, row.ticker, facts, "adopt it", subject=row.client_order_id)
    note_healed(desk, item, f"adopted, {found.filled_quantity} of {found.quantity} filled")


def note_ended(desk: Desk, row: Order, found: VenueOrder) -> None:
    """Enter an order of ours that the venue ended without a request of ours."""
    if found.status not in ENDED_BY_VENUE or row.status == "pending_cancel":
        return
    parent = _parent(desk, row)
    if parent is not None and parent.status in SELF_CAUSED:
        return
    stops = row.intent == STOP and row.position_id is not None
    left = f"{found.remaining} of {found.quantity} shares left"
    facts = f"{row.client_order_id} was {row.status} here and is {found.status}, {left}"
    proposal = "the protector places another stop" if stops else "nothing: it is over"
    kind = STOP_MISSING if stops else ORDER_ENDED
    item = Break(kind, row.ticker, facts, proposal, subject=row.client_order_id)
    note_healed(desk, item, "the row follows the venue; the protector covers what is held")


def note_doubtful(desk: Desk, row: Order, found: VenueOrder) -> None:
    """Say that a stop came into a status in which nobody knows whether it will sell."""
    replaced_by_nothing = found.status == "replaced" and found.replaced_by is None
    if row.intent == STOP and (found.status not in UNDOUBTED or replaced_by_nothing):
        text = f"{row.client_order_id} of {row.ticker} is {found.status} and counts as no cover"
        desk.db.add_alert("doubtful_stop", text, at=desk.clock.now())


def _parent(desk: Desk, row: Order) -> Order | None:
    if row.parent_client_order_id is None:
        return None
    return desk.db.get_order_by_client_id(row.parent_client_order_id)


# ------------------------------------------------------------------------------------------ open


def keep_ledger(desk: Desk, session: date, found: Sequence[Break]) -> tuple[Break, ...]:
    """Bring the ledger up to date with what a reconciliation found; returns what is open then.

    What looks like another program on the account switches the kill switch on.
    """
    present = {_name(item): item for item in found}
    now = desk.clock.now()
    with desk.db.transaction():
        known = {_name(item): item for item in desk.db.open_breaks()}
        for name, old in known.items():
            _follow(desk, old, present.get(name), now)
        fresh = [item for name, item in present.items() if name not in known]
        for item in fresh:
            desk.db.add_break(item, session=session, at=now)
        _alarm(desk, [item for item in fresh if item.kind in SUSPICIOUS], now)
    return tuple(desk.db.open_breaks())


def _name(item: Break) -> tuple[str, str | None, str]:
    return item.kind, item.ticker, item.subject


def _follow(desk: Desk, old: Break, now_found: Break | None, now: datetime) -> None:
    if old.break_id is None:
        return
    if now_found is None:
        if old.kind not in STICKY:
            desk.db.resolve_break(old.break_id, "no longer present", now)
    elif now_found.facts != old.facts:
        desk.db.restate_break(old.break_id, now_found)


def _alarm(desk: Desk, suspicious: Sequence[Break], now: datetime) -> None:
    if not suspicious:
        return
    text = "; ".join(f"{item.kind} {item.ticker}: {item.facts}" for item in suspicious)
    desk.db.set_kill_switch(True, reason=text, who="reconciliation", at=now)
    desk.db.add_alert("suspicious_order", text, at=now, severity="critical")


def break_line(item: Break, now: datetime) -> str:
    """One line for the operator: number, age, what and where, and what is proposed or was done."""
    ticker = f" {item.ticker}" if item.ticker else ""
    what = f"{item.kind}{ticker}: {item.facts}"
    if item.status == "resolved":
        return (
            f"break {item.break_id}, settled after {age_of(item, now)}: {what} ({item.resolution})"
        )
    age = "" if item.opened_at is None else f", open for {age_of(item, now)}"
    return f"break {item.break_id}{age}: {what} ({item.proposal})"


# -------------------------------------------------------------------------------------- resolving


def resolve(desk: Desk, break_id: int, reason: str, who: str) -> Rebase:
    """Settle an open break by an operator's word; returns what it changed in the books.

    The ledger must be fresh: reconcile first. A real difference re-bases the books on what the
    venue shows and is recorded as that. Raises `UsageError` without reason or name, and for a
    difference that no word can settle, `RecordRefused` for a break that is not open.
    """
    if not reason.strip() or not who.strip():
        raise UsageError("resolving a break wants a reason and a name")
    item = desk.db.get_break(break_id)
    if item is None or item.status != "open":
        raise RecordRefused(f"break {break_id}", "is not open")
    _require_settleable(desk, item)
    position = _open_position(desk, item.ticker)
    change = rebase(item, position)
    now = desk.clock.now()
    with desk.db.transaction():
        _apply(desk, item, change, position)
        detail = dict(item.detail) | change.detail(who, reason)
        if position is not None:
            detail["position_id"] = str(position.position_id)
        desk.db.resolve_break(break_id, f"{who}: {reason} ({change})", now, detail)
        text = f"break {break_id} {item.kind} {item.ticker or ''} resolved by {who}: {reason}"
        desk.db.add_alert("break_resolved", text, at=now)
    return change


def _require_settleable(desk: Desk, item: Break) -> None:
    if item.kind == UNCOVERED:
        raise UsageError(f"break {item.break_id}: place the stop; no word covers shares")
    if item.kind not in (POSITION, CASH):
        return
    first = [
        str(other.break_id)
        for other in desk.db.open_breaks()
        if other.kind == FOREIGN_FILL and item.ticker in (None, other.ticker)
    ]
    if first:
        raise UsageError(f"resolve break {' and '.join(first)} first: it may explain this one")


def _open_position(desk: Desk, ticker: str | None) -> Position | None:
    return next((item for item in desk.db.get_open_positions() if item.ticker == ticker), None)


def _apply(desk: Desk, item: Break, change: Rebase, position: Position | None) -> None:
    if change.cash_usd:
        cash = (desk.db.read_config(BASELINE_CASH, Decimal) or Decimal(0)) + change.cash_usd
        desk.db.set_config(BASELINE_CASH, str(cash))
    if change.foreign_shares and item.ticker is not None:
        shares = desk.db.read_config(BASELINE_POSITIONS, baseline_shares) or {}
        shares[item.ticker] = shares.get(item.ticker, Decimal(0)) + change.foreign_shares
        desk.db.set_config(BASELINE_POSITIONS, shares_text(shares))
    if change.written_off and position is not None:
        _write_off(desk, position, change.written_off)
    if item.kind in (FOREIGN_ORDER, STRANGE_ORDER):
        known = desk.db.get_config(BASELINE_ORDERS) or ""
        desk.db.set_config(BASELINE_ORDERS, ",".join((*known.split(","), item.subject)).strip(","))
    if item.kind == ORDER_UNKNOWN:
        desk.db.update_order_status(item.subject, "canceled", at=desk.clock.now())


def _write_off(desk: Desk, position: Position, shares: int) -> None:
    """Take shares out of a position without a fill; what is left without any is closed."""
    position_id = position.position_id
    if position_id is None:
        return
    if shares < position.shares_now:
        sold, odd = position.after_sale(shares)
        desk.db.update_position(position_id, sold_shares=sold, odd_shares_sold=odd)
        return
    desk.db.update_position(position_id, sold_shares=position.actual_shares, odd_shares_sold=0)
    fills = desk.db.get_fills(position_id=position_id)
    proceeds = sum(
        (fill.quantity * fill.price for fill in fills if fill.side == "sell"), Decimal(0)
    )
    pnl = (proceeds - position.invested).quantize(CENT, ROUND_HALF_EVEN)
    desk.db.close_position(
        position_id,
        exit_date=desk.order_session(),
        exit_price=(proceeds / position.actual_shares).quantize(PRICE_STEP).normalize(),
        exit_reason=WRITTEN_OFF,
        pnl=pnl,
        return_pct=float(pnl / position.invested * 100),
    )


def baseline_shares(text: str) -> dict[str, Decimal]:
    """Parse foreign holdings, ``TICKER:quantity`` joined by commas."""
    parts = (part.split(":") for part in text.split(",") if part)
    return {ticker: Decimal(quantity) for ticker, quantity in parts}


def shares_text(shares: dict[str, Decimal]) -> str:
    """The text that `baseline_shares` reads; a ticker without shares is left out."""
    return ",".join(f"{ticker}:{count}" for ticker, count in sorted(shares.items()) if count)
