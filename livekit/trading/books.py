"""Fills are the truth: the venue's FILL activities make, extend, shrink and close positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from livekit.errors import StateUnusable
from livekit.model import (
    PROTECTIVE_STOP,
    STOP,
    Break,
    Candidate,
    Fill,
    Order,
    Position,
    VenueFill,
)
from livekit.sessions import session_of
from livekit.state import candidate_from_json
from livekit.strategy.rules import protective_stop_price
from livekit.trading.break_rules import POSITION, WRITTEN_OFF_SHARES
from livekit.trading.desk import Desk

__all__ = [
    "BASELINE_AT",
    "BASELINE_CASH",
    "BASELINE_ORDERS",
    "BASELINE_POSITIONS",
    "RECONCILED_AT",
    "book_fill",
    "book_fills",
    "book_new_fills",
    "due_stop",
    "fills_due_from",
    "orders_left_alone",
    "position_row",
    "reconcile_from",
]

BASELINE_AT = "baseline_at"
BASELINE_CASH = "baseline_cash_usd"
BASELINE_POSITIONS = "baseline_positions"
BASELINE_ORDERS = "baseline_orders"
RECONCILED_AT = "reconciled_at"

OVERLAP = timedelta(minutes=10)
CENT = Decimal("0.01")
PRICE_STEP = Decimal("0.00000001")


def due_stop(entry_price: Decimal, stop_loss_pct: float) -> Decimal:
    """The protective stop due from an entry price, on the tick."""
    return Decimal(repr(protective_stop_price(float(entry_price), stop_loss_pct)))


def book_new_fills(
    desk: Desk, *, before: datetime | None = None, patient: bool = True
) -> tuple[VenueFill, ...]:
    """Book every fill of our orders that is not booked yet; returns those of no order of ours.

    With ``before`` (aware) later fills are left for another time. Reading overlaps what is known by
    ten minutes, since activities may become visible late; an activity is booked once, by its id.
    They are asked for once only unless ``patient``.
    """
    shown = desk.client.get_fills(after=_read_from(desk), patient=patient)
    return book_fills(desk, shown, before=before)


def book_fills(
    desk: Desk, fills: Iterable[VenueFill], *, before: datetime | None = None
) -> tuple[VenueFill, ...]:
    """As `book_new_fills`, from fills that were read already."""
    since = _read_from(desk)
    due = [one for one in fills if one.at >= since and (before is None or one.at < before)]
    booked = {known.activity_id for known in desk.db.get_fills(since=since)} if due else set()
    foreign = []
    for shown in due:
        if shown.activity_id in booked:
            continue
        order = desk.db.get_order_by_alpaca_id(shown.order_id)
        if order is None:
            foreign.append(shown)
        else:
            book_fill(desk, order, shown)
    return tuple(foreign)


def baseline_instant(desk: Desk) -> datetime:
    """When the profile was registered; what the account did before is not ours."""
    return desk.db.require_config(BASELINE_AT, datetime.fromisoformat)


def fills_due_from(desk: Desk) -> datetime:
    """From here on fills may be unknown to the books or to the last reconciliation."""
    return min(_read_from(desk), reconcile_from(desk))


def reconcile_from(desk: Desk) -> datetime:
    """From here on fills were not yet reconciled; they too may become visible late."""
    baseline = baseline_instant(desk)
    last = desk.db.read_config(RECONCILED_AT, datetime.fromisoformat)
    return baseline if last is None else max(baseline, last - OVERLAP)


def _read_from(desk: Desk) -> datetime:
    baseline = baseline_instant(desk)
    last = desk.db.last_fill_at()
    return baseline if last is None else max(baseline, last - OVERLAP)


def book_fill(desk: Desk, order: Order, shown: VenueFill) -> bool:
    """Book one fill and what follows from it in one transaction; False if it is known."""
    fill = Fill(
        activity_id=shown.activity_id,
        client_order_id=order.client_order_id,
        ticker=shown.ticker,
        side=shown.side,
        quantity=int(shown.quantity),
        price=shown.price,
        at=shown.at,
    )
    if any(
        known.activity_id == fill.activity_id
        for known in desk.db.get_fills(client_order_id=order.client_order_id)
    ):
        return False
    with desk.db.transaction():
        position_id = _book_buy(desk, order, fill) if fill.side == "buy" else order.position_id
        desk.db.add_fill(replace(fill, position_id=position_id))
        if fill.side == "sell" and position_id is not None:
            _book_sell(desk, order, fill, position_id)
    return True


def _book_buy(desk: Desk, order: Order, fill: Fill) -> int:
    if order.position_id is None:
        return _open_position(desk, order, fill)
    position = position_row(desk, order.position_id)
    shares = position.actual_shares + fill.quantity
    invested = position.invested + fill.quantity * fill.price
    price = (invested / shares).quantize(PRICE_STEP, ROUND_HALF_EVEN).normalize()
    desk.db.update_position(
        order.position_id,
        actual_shares=shares,
        invested=invested,
        entry_price=price,
        stop_price=due_stop(price, desk.config.stop_loss_pct),
    )
    if position.status == "closed":
        _work_out_again(desk, position_row(desk, order.position_id))
    return order.position_id


def _open_position(desk: Desk, order: Order, fill: Fill) -> int:
    legs = [
        leg
        for leg in desk.db.get_orders(ticker=order.ticker, intent=STOP)
        if leg.parent_client_order_id == order.client_order_id
    ]
    position_id = desk.db.add_position(
        Position(
            ticker=order.ticker,
            entry_date=order.trade_date,
            entry_price=fill.price,
            target_shares=order.quantity,
            actual_shares=fill.quantity,
            invested=fill.quantity * fill.price,
            stop_price=due_stop(fill.price, desk.config.stop_loss_pct),
            stop_order_id=legs[-1].alpaca_order_id if legs else None,
            candidate=_candidate_of(order),
        )
    )
    for row in (order, *legs):
        desk.db.link_order(row.client_order_id, position_id)
    return position_id


def orders_left_alone(desk: Desk) -> frozenset[str]:
    """Venue ids of open orders that are not ours: there before us, or resolved to stay."""
    return frozenset((desk.db.get_config(BASELINE_ORDERS) or "").split(",")) - {""}


def position_row(desk: Desk, position_id: int | None) -> Position:
    """The position of a row id; raises `StateUnusable` when the books have lost it."""
    position = None if position_id is None else desk.db.get_position(position_id)
    if position is None:
        raise StateUnusable(desk.profile.state_db, f"position {position_id} is missing")
    return position


def _candidate_of(order: Order) -> Candidate:
    if order.candidate_json is None:
        return Candidate(order.ticker, order.trade_date, "D", None)
    return candidate_from_json(order.candidate_json)


def _book_sell(desk: Desk, order: Order, fill: Fill, position_id: int) -> None:
    position = position_row(desk, position_id)
    shares = fill.quantity - _found_again(desk, fill, position)
    if position.status == "closed":
        _work_out_again(desk, position, order, session_of(fill.at))
    elif position.shares_now > shares:
        sold, odd = position.after_sale(shares)
        desk.db.update_position(position_id, sold_shares=sold, odd_shares_sold=odd)
    else:
        desk.db.update_position(position_id, sold_shares=position.actual_shares, odd_shares_sold=0)
        result = _result(desk, position, order)
        desk.db.close_position(position_id, exit_date=session_of(fill.at), **result)


def _result(desk: Desk, position: Position, order: Order | None) -> dict[str, Any]:
    """What a position that is closed has come to, by the columns of its row."""
    fills = desk.db.get_fills(position_id=position.position_id)
    sells = (known for known in fills if known.side == "sell")
    proceeds = sum((known.quantity * known.price for known in sells), Decimal(0))
    pnl = (proceeds - position.invested).quantize(CENT, ROUND_HALF_EVEN)
    price = (proceeds / position.actual_shares).quantize(PRICE_STEP, ROUND_HALF_EVEN)
    return {
        "exit_price": price.normalize(),
        "exit_reason": position.exit_reason if order is None else _exit_reason(order, position),
        "pnl": pnl,
        "return_pct": float(pnl / position.invested * 100),
    }


def _work_out_again(
    desk: Desk, position: Position, order: Order | None = None, on: date | None = None
) -> None:
    """Bring a closed position in line with a fill that shows late; shares left make it open again.

    ``order`` is what sold, where the fill is a sale, and ``on`` its session.
    """
    fills = desk.db.get_fills(position_id=position.position_id)
    gone = sum(known.quantity for known in fills if known.side == "sell")
    gone += sum(shares for _, shares in _written_off(desk, position))
    taken = {item.ticker for item in desk.db.get_open_positions()}
    opens = position.split_factor == 1.0 and gone < position.actual_shares
    if opens and position.ticker not in taken:
        nothing = dict.fromkeys(("exit_date", "exit_price", "exit_reason", "pnl", "return_pct"))
        values: dict[str, Any] = {"status": "open", "sold_shares": gone, **nothing}
    else:
        values = {"sold_shares": position.actual_shares, **_result(desk, position, order)}
        values |= {} if on is None else {"exit_date": on}
    desk.db.update_position(position.position_id or 0, **values)


def _written_off(desk: Desk, position: Position) -> list[tuple[datetime, int]]:
    """When and how many shares of a position were written off; fewer than none were found again."""
    return [
        (item.resolved_at, int(item.detail.get(WRITTEN_OFF_SHARES, "0")))
        for item in desk.db.get_breaks(POSITION)
        if item.detail.get("position_id") == str(position.position_id)
        if item.resolved_at is not None
    ]


def _found_again(desk: Desk, fill: Fill, position: Position) -> int:
    """Shares of a sale that were written off since, because it did not show; noted as found."""
    lost = sum(shares for at, shares in _written_off(desk, position) if at > fill.at)
    found = min(max(lost, 0), fill.quantity)
    if found:
        facts = f"{found} shares that were written off had been sold at {fill.price}"
        detail = {"position_id": str(position.position_id), WRITTEN_OFF_SHARES: str(-found)}
        item = Break(POSITION, fill.ticker, facts, "book it", subject=fill.activity_id)
        now = desk.clock.now()
        session = desk.order_session()
        break_id = desk.db.add_break(replace(item, detail=detail), session=session, at=now)
        desk.db.resolve_break(break_id, "healed: booked from the venue's fill", now)
    return found


def _exit_reason(order: Order, position: Position) -> str:
    if order.intent == STOP:
        return PROTECTIVE_STOP
    return order.reason or position.pending_reason or "exit"
