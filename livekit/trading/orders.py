"""Intent before send: an order row is committed, then the request goes out.

Every request ends as *confirmed*, *refused*, *denied* (by us, before sending) or *unknown*. Unknown
is settled only by asking the venue for the same client order id: what is found there is adopted,
and only after a settle window without it is the same id sent once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from livekit.errors import BooksDiffer, OrderRefused, OutcomeUnknown, VenueUnavailable
from livekit.model import PROTECTIVE_STOP, STOP, TERMINAL_STATUSES, Intent, Order, Side, VenueOrder
from livekit.trading.break_ledger import note_doubtful, note_ended, note_found
from livekit.trading.desk import Desk
from livekit.trading.lease import require_lease
from livekit.trading.order_ids import client_order_id

__all__ = [
    "Sent",
    "adopt",
    "deny",
    "fingerprint",
    "flat",
    "new_order",
    "resolve_unknown",
    "send",
    "sync_order",
    "sync_orders",
]

SETTLE_POLLS_S = (0.0, 1.0, 2.0, 3.0)
SETTLE_WINDOW = timedelta(seconds=10)
LOCALLY_TERMINAL = TERMINAL_STATUSES | {"refused", "denied"}

Outcome = Literal["confirmed", "refused", "denied", "unknown"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one intent."""

    order: Order
    outcome: Outcome
    venue: VenueOrder | None = None
    message: str = ""
    status_code: int | None = None


def fingerprint(order: Order) -> str:
    """Hash of everything the venue will be told of the order but its id."""
    facts = (order.ticker, order.side, order.quantity, order.order_type, order.time_in_force)
    stop = "" if order.stop_price is None else str(order.stop_price.normalize())
    return hashlib.sha256("|".join((*map(str, facts), stop)).encode()).hexdigest()


def new_order(
    desk: Desk,
    ticker: str,
    intent: Intent,
    side: Side,
    quantity: int,
    *,
    order_type: str = "market",
    time_in_force: str = "day",
    **facts: object,
) -> Order:
    """An order of the present session with its id, attempt and fingerprint; nothing is stored.

    An intent of today that never reached the venue is taken up again under its own id when it asks
    for the same thing; otherwise it is given up and the next attempt number is used. Raises
    `BooksDiffer` while the last attempt works, since another would double it. What protects may
    stand beside its like: it is only ever sent for shares that the venue shows without cover.
    """
    session = desk.order_session()
    earlier = _attempts(desk, session, ticker, intent, side)
    bare = Order(
        client_order_id="",
        intent=intent,
        side=side,
        ticker=ticker,
        trade_date=session,
        quantity=quantity,
        order_type=order_type,
        time_in_force=time_in_force,
        status="intended",
        **facts,  # type: ignore[arg-type]  # field names of Order, checked by its constructor
    )
    mark = fingerprint(bare)
    for order in earlier:
        if order.alpaca_order_id is None and order.status not in LOCALLY_TERMINAL:
            if order.fingerprint == mark:
                return order
            deny(desk, order, "given up for an order of another size or price")
        elif order.status not in LOCALLY_TERMINAL and not _protects(bare):
            raise BooksDiffer([f"{order.client_order_id} is still {order.status}"])
    attempt = max((order.attempt for order in earlier), default=0) + 1
    cid = client_order_id(session, ticker, intent, side, attempt)
    return replace(bare, client_order_id=cid, attempt=attempt, fingerprint=mark)


def _protects(order: Order) -> bool:
    return order.intent == STOP or order.reason == PROTECTIVE_STOP


def _attempts(desk: Desk, session: date, ticker: str, intent: Intent, side: Side) -> list[Order]:
    return [
        order
        for order in desk.db.get_orders(trade_date=session, ticker=ticker, intent=intent)
        if order.side == side and order.parent_client_order_id is None
    ]


def send(
    desk: Desk,
    order: Order,
    submit: Callable[[], VenueOrder],
    *,
    protective: bool = False,
    patient: bool = True,
    approved: Callable[[], int] | None = None,
    until: datetime | None = None,
) -> Sent:
    """Commit the intent, look the id up at the venue, then submit.

    ``approved`` tells how many shares a person allows; it is asked in the transaction that commits
    the intent, after which no decision is taken any more. ``protective`` orders pass a kill switch
    that is on; all others are denied by it, and from ``until`` (aware) on. Without ``patient`` an
    unclear outcome is asked for once and otherwise left to the next look, so that no other position
    waits for its stop.
    """
    require_lease(desk)
    with desk.db.transaction():
        if desk.db.get_order_by_client_id(order.client_order_id) is None:
            if approved is not None and approved() < order.quantity:
                return Sent(order, "denied", message="its approval was taken back")
            desk.db.add_order(replace(order, fencing_token=desk.lease), at=desk.clock.now())
    existing = desk.client.get_order_by_client_id(order.client_order_id)
    if existing is not None:
        return adopt(desk, order, existing)
    if why := _barred(desk, until, protective=protective):
        return deny(desk, order, why)
    require_lease(desk)
    return _submit(desk, order, submit, protective=protective, patient=patient, until=until)


def _barred(desk: Desk, until: datetime | None, *, protective: bool) -> str:
    """Why an order may not be sent at this instant; empty if it may."""
    if not protective and desk.db.is_kill_switch_on():
        return "kill switch is on"
    if until is not None and desk.clock.now() >= until:
        return f"it is after {until.isoformat()}"
    return ""


def deny(desk: Desk, order: Order, why: str) -> Sent:
    """Record that we ourselves held an intent back."""
    desk.db.update_order_status(
        order.client_order_id, "denied", at=desk.clock.now(), outcome="denied"
    )
    return Sent(order, "denied", message=why)


def _submit(
    desk: Desk,
    order: Order,
    submit: Callable[[], VenueOrder],
    *,
    protective: bool,
    patient: bool,
    until: datetime | None,
) -> Sent:
    try:
        return adopt(desk, order, submit())
    except OrderRefused as refusal:
        return _refused(desk, order, refusal, patient=patient)
    except VenueUnavailable as absent:  # not taken: its id stays free for the next try
        if not protective:
            raise
        return Sent(order, "unknown", message=str(absent))
    except OutcomeUnknown as unknown:
        desk.db.update_order_status(
            order.client_order_id, "unknown", at=desk.clock.now(), outcome="unknown"
        )
        found = resolve_unknown(desk, order, patient=patient)
        held_back = not patient or _barred(desk, until, protective=protective)
        if found.outcome != "unknown" or held_back:
            return found
        return _resend(desk, order, submit, str(unknown))


def _resend(desk: Desk, order: Order, submit: Callable[[], VenueOrder], cause: str) -> Sent:
    """One more try with the same id, which the venue refuses if the first one landed after all."""
    try:
        return adopt(desk, order, submit())
    except OrderRefused as refusal:
        return _refused(desk, order, refusal)
    except (OutcomeUnknown, VenueUnavailable):
        return Sent(order, "unknown", message=cause)


def _refused(desk: Desk, order: Order, refusal: OrderRefused, *, patient: bool = True) -> Sent:
    if refusal.is_duplicate_client_id:  # it is there, whether it shows already or not
        return resolve_unknown(desk, order, patient=patient)
    desk.db.update_order_status(
        order.client_order_id, "refused", at=desk.clock.now(), outcome="refused"
    )
    return Sent(order, "refused", message=refusal.message, status_code=refusal.status)


def resolve_unknown(desk: Desk, order: Order, *, patient: bool = True) -> Sent:
    """Ask the venue for the id over the settle window; adopt it when found.

    An accepted order may stay invisible for some seconds. An intent older than that is asked for
    once, and so is any without ``patient``: repeated under its id, it can never be doubled.
    """
    now = desk.clock.now()
    settled = order.created_at is not None and now - order.created_at > SETTLE_WINDOW
    for pause_s in SETTLE_POLLS_S[:1] if settled or not patient else SETTLE_POLLS_S:
        desk.clock.sleep(pause_s)
        found = desk.client.get_order_by_client_id(order.client_order_id)
        if found is not None:
            return adopt(desk, order, found)
    return Sent(order, "unknown", message="the venue does not show it")


def adopt(desk: Desk, order: Order, found: VenueOrder) -> Sent:
    """Take the venue's order as the outcome of our intent, its stop leg included.

    A stop becomes the one that its position names. Raises `BooksDiffer` when the venue's order is
    not the one we intended.
    """
    same = (found.ticker, found.side, found.quantity) == (
        order.ticker,
        order.side,
        Decimal(order.quantity),
    )
    if not same:
        raise BooksDiffer([f"{order.client_order_id} at the venue is another order"])
    with desk.db.transaction():
        _write_state(desk, order.client_order_id, found)
        for leg in found.legs:
            _adopt_leg(desk, order, leg)
        if order.intent == STOP and order.position_id is not None:
            desk.db.update_position(order.position_id, stop_order_id=found.order_id)
    return Sent(order, "confirmed", found)


def _write_state(desk: Desk, known_as: str, found: VenueOrder) -> None:
    desk.db.update_order_status(
        known_as,
        found.status,
        at=desk.clock.now(),
        outcome="confirmed",
        filled_qty=int(found.filled_quantity),
        filled_avg_price=found.filled_average_price,
        alpaca_order_id=found.order_id,
    )


def _adopt_leg(desk: Desk, parent: Order, leg: VenueOrder) -> None:
    if desk.db.get_order_by_alpaca_id(leg.order_id) is not None:
        return
    row = Order(
        client_order_id=leg.client_order_id,
        intent=STOP,
        side=leg.side,
        ticker=leg.ticker,
        trade_date=parent.trade_date,
        quantity=int(leg.quantity),
        order_type=leg.order_type,
        time_in_force=leg.time_in_force,
        status=leg.status,
        stop_price=leg.stop_price,
        alpaca_order_id=leg.order_id,
        parent_client_order_id=parent.client_order_id,
        position_id=parent.position_id,
        plan_id=parent.plan_id,
        reason="leg",
        outcome="confirmed",
    )
    desk.db.add_order(replace(row, fingerprint=fingerprint(row)), at=desk.clock.now())


def flat(orders: Iterable[VenueOrder]) -> Iterator[VenueOrder]:
    """Orders with their legs, each once."""
    for order in orders:
        yield order
        yield from order.legs


def sync_orders(
    desk: Desk, shown: Iterable[VenueOrder], *, tolerant: bool = False
) -> tuple[Order, ...]:
    """Bring our working order rows up to what the venue shows; returns rows that it does not know.

    With ``tolerant`` an order that cannot be read stays as it is, and no intent is waited for.
    A row that the venue's list does not contain is read by its id: a list may be a window. A leg
    sleeps as long as its entry works, so it is not asked for until then. A split changes quantity
    and price of a resting stop; the row follows.
    """
    by_id = {order.order_id: order for order in flat(shown)}
    working = desk.db.get_orders(working_only=True)
    unfilled = {row.client_order_id for row in working if row.side == "buy"}
    unknown = []
    for row in working:
        if row.status == "held" and row.parent_client_order_id in unfilled:
            continue
        try:
            if not _synced(desk, row, by_id, patient=not tolerant):
                unknown.append(row)
        except VenueUnavailable:
            if not tolerant:
                raise
    return tuple(unknown)


def _synced(desk: Desk, row: Order, by_id: Mapping[str, VenueOrder], *, patient: bool) -> bool:
    """Bring one working row up to date; False when the venue does not know it."""
    if row.alpaca_order_id is None:
        return _settled(desk, row, patient=patient and row.intent != STOP)
    order_id = row.alpaca_order_id
    found = by_id.get(order_id) or desk.client.get_order(order_id, patient=patient)
    if found is not None:
        _follow(desk, row, found)
    return found is not None


def _settled(desk: Desk, row: Order, *, patient: bool) -> bool:
    """Settle an open intent; False when its id belongs to another order at the venue."""
    try:
        resolve_intent(desk, row, patient=patient)
    except BooksDiffer:
        return False
    return True


def sync_order(desk: Desk, found: VenueOrder) -> None:
    """Bring the rows of one order and its legs up to what the venue shows, and no others."""
    for shown in flat([found]):
        row = desk.db.get_order_by_alpaca_id(shown.order_id)
        if row is not None and row.status not in LOCALLY_TERMINAL:
            _follow(desk, row, shown)


def _follow(desk: Desk, row: Order, found: VenueOrder) -> None:
    if int(found.quantity) != row.quantity:
        desk.db.adjust_order(
            row.client_order_id,
            quantity=int(found.quantity),
            stop_price=found.stop_price,
            at=desk.clock.now(),
        )
    if (found.status, int(found.filled_quantity)) != (row.status, row.filled_qty):
        if not _follow_replacement(desk, row, found):
            return
        _write_state(desk, row.client_order_id, found)
        note_ended(desk, row, found)
        note_doubtful(desk, row, found)


def _follow_replacement(desk: Desk, row: Order, found: VenueOrder) -> bool:
    """Adopt what the venue put in an order's place; False while that does not show yet.

    Until then the row stays as it is, so that the next look asks again.
    """
    if found.status != "replaced" or found.replaced_by is None:
        return True
    successor = desk.client.get_order(found.replaced_by)
    if successor is None:
        return False
    if desk.db.get_order_by_alpaca_id(successor.order_id) is not None:
        return True
    with desk.db.transaction():
        _adopt_leg(desk, row, successor)
        if row.position_id is not None:
            desk.db.update_position(row.position_id, stop_order_id=successor.order_id)
    return True


def resolve_intent(desk: Desk, row: Order, *, patient: bool = True) -> Sent:
    """Settle an intent that an earlier run left open: adopt it if the venue shows it.

    One that the venue does not know after the settle window stays open while its session lasts, so
    that it can only be sent again under the same id; once the session is over it ends as denied.
    """
    found = resolve_unknown(desk, row, patient=patient)
    if found.outcome == "unknown" and row.trade_date < desk.order_session():
        return deny(desk, row, "never reached the venue")
    if found.venue is not None:
        note_found(desk, row, found.venue)
    return found
