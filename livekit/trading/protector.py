"""The protector: makes cover equal to holdings, and does nothing else.

It runs at the start and the end of every run and on every fill, also with the kill switch on, and
no limit of ours denies it. A stop that would lie at or above the market is replaced by a sale at
market, since no stop can rest there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from livekit.errors import BooksDiffer, OrderRefused, OutcomeUnknown, VenueUnavailable
from livekit.model import EXIT, PROTECTIVE_STOP, STOP, Order, Position, VenueOrder, VenuePosition
from livekit.sessions import open_instant
from livekit.trading.books import book_fills, book_new_fills, position_row
from livekit.trading.cover import CoverGap, cover_gaps, is_being_cancelled
from livekit.trading.desk import Desk
from livekit.trading.lease import require_lease
from livekit.trading.orders import (
    LOCALLY_TERMINAL,
    Sent,
    new_order,
    send,
    sync_order,
    sync_orders,
)
from livekit.trading.splits import follow_splits
from livekit.trading.venue_look import VenueLook, look_at_venue, open_orders

__all__ = [
    "GRACE_S",
    "LOOK_EVERY_S",
    "CoverWatch",
    "Protection",
    "cancel_and_confirm",
    "cover",
    "place_stop",
    "protect",
    "request_cancel",
]

CONFIRM_POLL_S = 1.0
CONFIRM_LIMIT_S = 10.0
GRACE_S = 4.0
KILL_AFTER_S = 60.0
RETRY_S = 1.0
ASLEEP_POLL_S = 5.0
AWAIT_OPEN = timedelta(minutes=20)
LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Protection:
    """What an audit of cover found and did, and its last look at the venue."""

    repaired: tuple[str, ...]
    uncovered: tuple[str, ...]
    look: VenueLook | None = None


def protect(desk: Desk, *, grace_s: float = 0.0) -> Protection:
    """Read orders, fills and positions, then cover every share of ours at the stop due for it.

    What cannot be covered at once is tried again until the kill switch goes on after a minute.
    ``grace_s`` lets a leg wake up by itself. A split is followed first, so that shares, fills and
    stops are of one basis.
    """
    follow_splits(desk)
    watch = CoverWatch(desk, grace_s=grace_s)
    moved = _drop_misplaced_stops(desk, watch.step())
    if moved:
        watch.step()
    left = _insist(desk, watch)
    if watch.repaired:
        watch.step()  # a sale at the market has filled by now and is to be in the books
    gaps = tuple(str(gap) for gap in left)
    return Protection((*moved, *watch.repaired), gaps, watch.last_look)


def _insist(desk: Desk, watch: CoverWatch) -> tuple[CoverGap, ...]:
    """Repair until nothing is uncovered or the alarm was given; returns the gaps left.

    A cancel may rest with the venue until the open. Its shares can then be neither covered nor
    sold, and no trade can harm them: shortly before the open it is awaited, earlier left to others.
    """
    while left := (watch.gaps() if watch.last_gaps else ()):
        if watch.alarmed:
            return left
        if watch.asleep.issuperset(gap.position.ticker for gap in left):
            if _until_open(desk) > AWAIT_OPEN:
                return ()
            desk.clock.sleep(ASLEEP_POLL_S)
        else:
            desk.clock.sleep(RETRY_S)
        watch.step()
    return ()


def _until_open(desk: Desk) -> timedelta:
    """Time until the exchange opens next; zero while it is open."""
    session, now = desk.order_session(), desk.clock.now()
    return max(open_instant(session) - now, timedelta(0))


def _drop_misplaced_stops(desk: Desk, orders: tuple[VenueOrder, ...]) -> tuple[str, ...]:
    """Cancel stops that lie too far from the stop due; the gap they leave is covered next.

    A stop sent before its fill was known may lie off by more than ``stop_anchor_tolerance_pct``,
    and the leg of a group keeps its price through a split.
    """
    buying = {order.ticker for order in orders if order.side == "buy"}
    due = {item.ticker: item for item in desk.db.get_open_positions() if item.ticker not in buying}
    moved = []
    for order in orders:
        position = due.get(order.ticker)
        if position is None or not order.is_live_cover or not _misplaced(desk, position, order):
            continue
        if cancel_and_confirm(desk, order.order_id) is not None:
            moved.append(f"{order.ticker} stop {order.stop_price}, due {position.stop_price}")
    return tuple(moved)


def _misplaced(desk: Desk, position: Position, order: VenueOrder) -> bool:
    if order.stop_price is None:
        return False
    allowed = position.stop_price * Decimal(str(desk.config.stop_anchor_tolerance_pct)) / 100
    return abs(order.stop_price - position.stop_price) > allowed


class CoverWatch:
    """Watches cover while orders work, and repairs a gap that outlives its grace.

    The grace lets a partial fill complete and a sleeping leg wake. A gap of a minute switches the
    kill switch on.
    """

    def __init__(self, desk: Desk, *, grace_s: float = GRACE_S) -> None:
        self._desk = desk
        self._grace_s = grace_s
        self._first_seen: dict[str, datetime] = {}
        self.repaired: list[str] = []
        self.alarmed: set[str] = set()
        self.last_gaps: tuple[CoverGap, ...] = ()
        self.last_look: VenueLook | None = None
        self.asleep: frozenset[str] = frozenset()  # gaps whose cancel awaits the open

    def step(self) -> tuple[VenueOrder, ...]:
        """One look: book what happened, repair what is due; returns the open orders seen.

        Its requests may use the part of the rate budget that is kept for protection.
        """
        with self._desk.client.protecting():
            return self._look()

    def step_if_due(self) -> None:
        """A look, unless the last one is younger than two seconds: one list serves all orders."""
        now, last = self._desk.clock.now(), self.last_look
        if last is None or not 0 <= (now - last.at).total_seconds() < LOOK_EVERY_S:
            self.step()

    def _look(self) -> tuple[VenueOrder, ...]:
        orders = open_orders(self._desk)
        sync_orders(self._desk, orders)
        look = look_at_venue(self._desk, orders)
        book_fills(self._desk, look.fills)
        self.last_look, self.last_gaps = look, self._gaps_in(orders, look.positions)
        now = self._desk.clock.now()
        open_gaps = {gap.position.ticker for gap in self.last_gaps}
        self.asleep = self._asleep_in(orders)
        self._first_seen = {  # a clock that was set back makes no gap younger than new
            ticker: min(self._first_seen.get(ticker, now), now)
            for ticker in sorted(open_gaps - self.asleep)
        }
        self._repair(orders, now)
        return orders

    def gaps(self) -> tuple[CoverGap, ...]:
        """The gaps of this instant, from a fresh read of orders and positions."""
        return self._gaps_in(open_orders(self._desk), self._desk.client.get_positions())

    def _gaps_in(
        self, orders: tuple[VenueOrder, ...], held: tuple[VenuePosition, ...]
    ) -> tuple[CoverGap, ...]:
        ours = self._desk.db.get_open_positions()
        return cover_gaps(ours, held, _with_legs(self._desk, ours, orders))

    def _asleep_in(self, orders: tuple[VenueOrder, ...]) -> frozenset[str]:
        """Tickers whose gap is a cancel that the venue carries out at the open."""
        if not self.last_gaps or not _until_open(self._desk):
            return frozenset()
        shown = _with_legs(self._desk, [gap.position for gap in self.last_gaps], orders)
        waiting = (gap for gap in self.last_gaps if is_being_cancelled(gap, shown))
        return frozenset(gap.position.ticker for gap in waiting)

    def _repair(self, orders: tuple[VenueOrder, ...], now: datetime) -> None:
        """Cover every gap that outlived the grace; give the alarm for one that is a minute old."""
        ages_s = {ticker: (now - seen).total_seconds() for ticker, seen in self._first_seen.items()}
        due = [
            gap for gap in self.last_gaps if ages_s.get(gap.position.ticker, -1) >= self._grace_s
        ]
        covered = _cover_all(self._desk, due, orders)
        self.repaired += [str(gap) for gap in due if gap in covered]
        for gap in due:
            ticker = gap.position.ticker
            if gap in covered or ages_s[ticker] < KILL_AFTER_S or ticker in self.alarmed:
                continue
            self.alarmed.add(ticker)
            _give_alarm(self._desk, gap, ages_s[ticker])


def _give_alarm(desk: Desk, gap: CoverGap, age_s: float) -> None:
    text = f"{gap} uncovered for {age_s:.0f} s"
    now = desk.clock.now()
    with desk.db.transaction():
        desk.db.set_kill_switch(True, reason=text, who="protector", at=now)
        desk.db.add_alert("uncovered", text, at=now, severity="critical")


def _with_legs(
    desk: Desk, positions: list[Position], orders: tuple[VenueOrder, ...]
) -> tuple[VenueOrder, ...]:
    """Add the positions' own stops that a listing left out: a filled parent hides its leg there.

    A leg sleeps as long as its buy works, and is not asked for.
    """
    shown = {order.order_id for order in orders}
    buying = {order.ticker for order in orders if order.side == "buy"}
    hidden = [
        order
        for position in positions
        if position.stop_order_id is not None and position.stop_order_id not in shown
        if position.ticker not in buying
        if (order := desk.client.get_order(position.stop_order_id)) is not None
    ]
    return (*orders, *hidden)


def _cover_all(
    desk: Desk, gaps: Sequence[CoverGap], orders: tuple[VenueOrder, ...]
) -> list[CoverGap]:
    """Cover gaps, each as soon as its own shares are free; returns those that are covered now.

    A buy that still works on the ticker is cancelled first, legs and all, and so is a leg that
    sleeps: all are asked for at once, and none waits for another. Where a sleeping leg cannot be
    cancelled, the new stop is placed beside it.
    """
    blocked = [(gap, _clear_the_way(desk, gap, orders)) for gap in gaps]
    covered: list[CoverGap] = []
    started = desk.clock.now()
    while blocked:
        free = [gap for gap, blocking in blocked if all(_ended(desk, item) for item in blocking)]
        blocked = [item for item in blocked if item[0] not in free]
        covered += [gap for gap in free if cover(desk, gap)]
        started = min(started, desk.clock.now())
        if not blocked or (desk.clock.now() - started).total_seconds() >= CONFIRM_LIMIT_S:
            break
        desk.clock.sleep(CONFIRM_POLL_S)
    return covered


def _clear_the_way(desk: Desk, gap: CoverGap, orders: tuple[VenueOrder, ...]) -> tuple[str, ...]:
    """Cancel what holds the shares of a gap or would fight with its stop; returns the ids."""
    position = gap.position
    buys = [
        item.order_id for item in orders if (item.ticker, item.side) == (position.ticker, "buy")
    ]
    for order_id in buys:
        request_cancel(desk, order_id)
    leg = position.stop_order_id and desk.client.get_order(position.stop_order_id)
    asleep = leg and not leg.is_terminal and not leg.is_live_cover
    if leg and asleep and request_cancel(desk, leg.order_id):
        return (*buys, leg.order_id)
    return tuple(buys)


def cover(desk: Desk, gap: CoverGap) -> bool:
    """Place the stop of a gap; False if it could not be had.

    Books that differ on one position hold up no other.
    """
    book_new_fills(desk)
    fresh = position_row(desk, gap.position.position_id)
    shares = gap.missing_shares + fresh.shares_now - gap.position.shares_now
    try:
        return shares <= 0 or place_stop(desk, fresh, shares).outcome == "confirmed"
    except BooksDiffer:  # left uncovered, it gives the alarm after a minute
        return False


def place_stop(desk: Desk, position: Position, shares: int) -> Sent:
    """Place a simple GTC stop for ``shares``; sell at market when the market is at or below it."""
    market = desk.client.latest_trades([position.ticker]).get(position.ticker)
    if market is not None and position.stop_price >= market.price:
        return _sell_at_market(desk, position, shares)
    order = new_order(
        desk,
        position.ticker,
        STOP,
        "sell",
        shares,
        order_type="stop",
        time_in_force="gtc",
        stop_price=position.stop_price,
        position_id=position.position_id,
        reason=PROTECTIVE_STOP,
    )
    sent = send(desk, order, lambda: _submit_stop(desk, order), protective=True, patient=False)
    if sent.outcome == "refused" and "stop price must be" in sent.message:
        return _sell_at_market(desk, position, shares)
    return sent


def _submit_stop(desk: Desk, order: Order) -> VenueOrder:
    return desk.client.place_order(
        order.ticker,
        order.quantity,
        order.side,
        client_order_id=order.client_order_id,
        order_type="stop",
        time_in_force="gtc",
        stop_price=order.stop_price,
    )


def _sell_at_market(desk: Desk, position: Position, shares: int) -> Sent:
    order = new_order(
        desk,
        position.ticker,
        EXIT,
        "sell",
        shares,
        position_id=position.position_id,
        reason=PROTECTIVE_STOP,
    )
    return send(
        desk,
        order,
        lambda: desk.client.place_order(
            order.ticker, order.quantity, "sell", client_order_id=order.client_order_id
        ),
        protective=True,
        patient=False,
    )


def cancel_and_confirm(desk: Desk, order_id: str) -> VenueOrder | None:
    """Ask for a cancel and read the order until it is terminal; None if it is not in ten seconds.

    The state comes from reading the order, never from the answer to the cancel.
    """
    request_cancel(desk, order_id)
    started = desk.clock.now()
    while True:
        order = _ended(desk, order_id)
        if order is not None:
            return order
        now = desk.clock.now()
        started = min(started, now)
        if (now - started).total_seconds() >= CONFIRM_LIMIT_S:
            return None
        desk.clock.sleep(CONFIRM_POLL_S)


def request_cancel(desk: Desk, order_id: str) -> bool:
    """Ask for a cancel; False when it is not taken. A read tells what became of the order."""
    require_lease(desk)
    row = desk.db.get_order_by_alpaca_id(order_id)
    if row is not None and row.status not in LOCALLY_TERMINAL:
        desk.db.update_order_status(row.client_order_id, "pending_cancel", at=desk.clock.now())
    try:
        desk.client.cancel_order(order_id)
    except (OrderRefused, VenueUnavailable):
        return False
    except OutcomeUnknown:
        pass
    return True


def _ended(desk: Desk, order_id: str) -> VenueOrder | None:
    """The order as it ended, its row brought up to date; None while it lives.

    An order that shows no sign of its cancel is asked to go again: the request may be lost.
    """
    order = desk.client.get_order(order_id)
    if order is None:
        return None
    if order.is_terminal:
        sync_order(desk, order)
        return order
    if order.status != "pending_cancel":
        request_cancel(desk, order_id)
    return None
