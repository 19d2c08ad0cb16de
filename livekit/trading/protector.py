"""The protector: makes cover equal to holdings, and does nothing else.

It runs at the start and the end of every run and on every fill, also with the kill switch on, and
no limit of ours denies it. A stop that would lie at or above the market is replaced by a sale at
market, since no stop can rest there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from livekit.errors import (
    BooksDiffer,
    UnknownParameter,
    VenueError,
    VenueUnavailable,
)
from livekit.model import (
    Position,
    VenueOrder,
    VenuePosition,
)
from livekit.sessions import open_instant
from livekit.trading.books import (
    BASELINE_POSITIONS,
    book_fills,
    book_new_fills,
    orders_left_alone,
    position_row,
)
from livekit.trading.break_ledger import baseline_shares
from livekit.trading.cover import CoverGap, cover_gaps, sleeps_until_open
from livekit.trading.desk import Desk
from livekit.trading.orders import sync_orders
from livekit.trading.splits import follow_splits
from livekit.trading.stops import (
    cancel_and_confirm,
    ended,
    place_stop,
    read_order,
    request_cancel,
)
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

SHARED_WAIT_S = 1.0  # for a cancel while others may need a stop
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
    stops are of one basis. Raises `VenueUnavailable` when orders, positions or fills could not be
    read for a minute; shares that were known by then are covered all the same.
    """
    with desk.client.protecting():
        follow_splits(desk)
        watch = CoverWatch(desk, grace_s=grace_s)
        moved = _drop_misplaced_stops(desk, _sight(desk, watch))
        if moved:
            _sight(desk, watch)
        left = _insist(desk, watch)
        if watch.repaired:
            _sight(desk, watch)  # a sale at the market has filled by now: it belongs in the books
    gaps = tuple(str(gap) for gap in left)
    return Protection((*moved, *watch.repaired), gaps, watch.last_look)


def _sight(desk: Desk, watch: CoverWatch) -> tuple[VenueOrder, ...]:
    """Look until the venue tells everything; give the alarm when it has not for a minute."""
    started = desk.clock.now()
    while True:
        orders = watch.step()
        if watch.unread is None:
            return orders
        now = desk.clock.now()
        started = min(started, now)
        if (now - started).total_seconds() >= KILL_AFTER_S:
            text = f"cover could not be seen for {KILL_AFTER_S:g} s: {watch.unread}"
            desk.db.add_alert("cover_unseen", text, at=now, severity="critical")
            raise watch.unread
        desk.clock.sleep(RETRY_S)


def _insist(desk: Desk, watch: CoverWatch) -> tuple[CoverGap, ...]:
    """Repair until nothing is uncovered or the alarm was given; returns the gaps left.

    A cancel or a stop may rest with the venue until the open. Its shares can then be neither
    covered nor sold, and no trade can harm them: shortly before the open it is awaited, earlier
    left to others.
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
        _sight(desk, watch)
    return ()


def _until_open(desk: Desk) -> timedelta:
    """Time until the exchange opens next; zero while it is open."""
    session, now = desk.order_session(), desk.clock.now()
    return max(open_instant(session) - now, timedelta(0))


def _drop_misplaced_stops(desk: Desk, orders: tuple[VenueOrder, ...]) -> tuple[str, ...]:
    """Replace stops that lie too far from the stop due, each at once; orders left alone stay.

    A stop sent before its fill was known may lie off by more than ``stop_anchor_tolerance_pct``,
    and the leg of a group keeps its price through a split.
    """
    alone = orders_left_alone(desk)
    buying = {order.ticker for order in orders if order.side == "buy"}
    due = {item.ticker: item for item in desk.db.get_open_positions() if item.ticker not in buying}
    moved = []
    for order in orders:
        position = due.get(order.ticker)
        if position is None or not order.is_live_cover or not _misplaced(desk, position, order):
            continue
        if order.order_id not in alone and cancel_and_confirm(desk, order.order_id) is not None:
            moved.append(f"{order.ticker} stop {order.stop_price}, due {position.stop_price}")
            cover(desk, CoverGap(position, int(order.remaining), position.stop_price))
    return tuple(moved)


def _misplaced(desk: Desk, position: Position, order: VenueOrder) -> bool:
    if order.stop_price is None:
        return False
    allowed = position.stop_price * Decimal(str(desk.config.stop_anchor_tolerance_pct)) / 100
    return abs(order.stop_price - position.stop_price) > allowed


class CoverWatch:
    """Watches cover while orders work, and repairs a gap that outlives its grace.

    The grace lets a partial fill complete and a sleeping leg wake. A gap of a minute switches the
    kill switch on. ``unread`` is why the last look did not see everything; the next tries again.
    """

    def __init__(self, desk: Desk, *, grace_s: float = GRACE_S) -> None:
        self._desk = desk
        self._grace_s = grace_s
        self._first_seen: dict[str, datetime] = {}
        self.repaired: list[str] = []
        self.alarmed: set[str] = set()
        self.last_gaps: tuple[CoverGap, ...] = ()
        self.last_look: VenueLook | None = None
        self.unread: VenueUnavailable | None = None
        self.asleep: frozenset[str] = frozenset()  # gaps whose sell rests until the open

    def step(self) -> tuple[VenueOrder, ...]:
        """One look: book what happened, repair what is due; returns the open orders seen.

        Its requests may use the part of the rate budget that is kept for protection.
        """
        self.unread = None
        with self._desk.client.protecting():
            try:
                return self._look()
            except VenueUnavailable as absent:
                self.unread = absent
                return ()

    def step_if_due(self) -> None:
        """A look, unless the last one is younger than two seconds: one list serves all orders."""
        now, last = self._desk.clock.now(), self.last_look
        if last is None or not 0 <= (now - last.at).total_seconds() < LOOK_EVERY_S:
            self.step()

    def _look(self) -> tuple[VenueOrder, ...]:
        orders = open_orders(self._desk)
        sync_orders(self._desk, orders, tolerant=True)
        self.last_gaps = self._gaps_in(orders, self._held(orders))
        now = self._desk.clock.now()
        open_gaps = {gap.position.ticker for gap in self.last_gaps}
        self.asleep = self._asleep_in(orders)
        self._first_seen = {  # a clock that was set back makes no gap younger than new
            ticker: min(self._first_seen.get(ticker, now), now)
            for ticker in sorted(open_gaps - self.asleep)
        }
        self._repair(orders, now)
        return orders

    def _held(self, orders: tuple[VenueOrder, ...]) -> tuple[VenuePosition, ...]:
        """The positions, once fills are booked; without these what is known is kept covered."""
        try:
            look = look_at_venue(self._desk, orders, patient=False)
        except VenueUnavailable as absent:
            self.last_look, self.unread = None, absent
            return self._desk.client.get_positions()
        book_fills(self._desk, look.fills)
        self.last_look = look
        return look.positions

    def gaps(self) -> tuple[CoverGap, ...]:
        """The gaps of this instant, from a fresh read; those seen last where it fails."""
        try:
            return self._gaps_in(open_orders(self._desk), self._desk.client.get_positions())
        except VenueUnavailable:
            return self.last_gaps

    def _gaps_in(
        self, orders: tuple[VenueOrder, ...], held: tuple[VenuePosition, ...]
    ) -> tuple[CoverGap, ...]:
        ours = self._desk.db.get_open_positions()
        return cover_gaps(
            ours, held, _without_his(self._desk, _with_legs(self._desk, ours, orders))
        )

    def _asleep_in(self, orders: tuple[VenueOrder, ...]) -> frozenset[str]:
        """Tickers whose gap is a sell that rests at the venue until the open."""
        if not self.last_gaps or not _until_open(self._desk):
            return frozenset()
        shown = _with_legs(self._desk, [gap.position for gap in self.last_gaps], orders)
        waiting = (gap for gap in self.last_gaps if sleeps_until_open(gap, shown))
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
        if (order := read_order(desk, position.stop_order_id)) is not None
    ]
    return (*orders, *hidden)


def _without_his(desk: Desk, orders: tuple[VenueOrder, ...]) -> tuple[VenueOrder, ...]:
    """The orders but those that an operator keeps for shares of his own beside ours."""
    alone = orders_left_alone(desk)
    if not alone:
        return orders
    his = desk.db.read_config(BASELINE_POSITIONS, baseline_shares) or {}
    return tuple(
        order for order in orders if order.order_id not in alone or his.get(order.ticker, 0) <= 0
    )


def _cover_all(
    desk: Desk, gaps: Sequence[CoverGap], orders: tuple[VenueOrder, ...]
) -> list[CoverGap]:
    """Cover gaps, each as soon as its own shares are free; returns those that are covered now.

    A buy that still works on the ticker is cancelled first, legs and all, and so is a leg that
    sleeps: all are asked for at once, and none waits for another. A cancel that takes its time is
    left to the next look, which may find other gaps. Where a sleeping leg cannot be cancelled, the
    new stop is placed beside it.
    """
    blocked = [(gap, _clear_the_way(desk, gap, orders)) for gap in gaps]
    covered: list[CoverGap] = []
    started = desk.clock.now()
    while blocked:
        free = [gap for gap, blocking in blocked if all(ended(desk, item) for item in blocking)]
        blocked = [item for item in blocked if item[0] not in free]
        covered += [gap for gap in free if cover(desk, gap)]
        started = min(started, desk.clock.now())
        if not blocked or (desk.clock.now() - started).total_seconds() >= SHARED_WAIT_S:
            break
        desk.clock.sleep(SHARED_WAIT_S)
    return covered


def _clear_the_way(desk: Desk, gap: CoverGap, orders: tuple[VenueOrder, ...]) -> tuple[str, ...]:
    """Cancel what holds the shares of a gap or would fight with its stop; returns the ids."""
    position = gap.position
    buys = [item for item in orders if (item.ticker, item.side) == (position.ticker, "buy")]
    blocking = [item.order_id for item in buys]
    for order in buys:
        _ask_to_go(desk, order)
    leg = read_order(desk, position.stop_order_id) if position.stop_order_id else None
    asleep = leg and not leg.is_terminal and not leg.is_live_cover
    if leg and asleep and _ask_to_go(desk, leg):
        blocking.append(leg.order_id)
    return tuple(blocking)


def _ask_to_go(desk: Desk, order: VenueOrder) -> bool:
    """Ask for a cancel that was not taken yet; False when it is not now."""
    return order.status == "pending_cancel" or request_cancel(desk, order.order_id)


def cover(desk: Desk, gap: CoverGap) -> bool:
    """Place the stop of a gap; False if it could not be had.

    What goes wrong with one position holds up no other.
    """
    with suppress(VenueUnavailable):  # without new fills, cover is kept for what is known
        book_new_fills(desk, patient=False)
    fresh = position_row(desk, gap.position.position_id)
    shares = gap.missing_shares + fresh.shares_now - gap.position.shares_now
    try:
        return shares <= 0 or place_stop(desk, fresh, shares).outcome == "confirmed"
    except (BooksDiffer, VenueError, UnknownParameter):  # it gives the alarm after a minute
        return False
