"""What happens to an order: acceptance, activation, fills, cancels, expiry, replacement.

`Lifecycle` holds the one state, market and fill model of an engine; each method is one transition
of the graph and writes one line of the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from livekit.broker.venue.engine.admission import reserve_price
from livekit.broker.venue.engine.fills import REST_AFTER_S, FillModel, Step, matched_price
from livekit.broker.venue.engine.identity import server_id
from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.order_request import OrderRequest
from livekit.broker.venue.engine.records import Activity, Order
from livekit.broker.venue.engine.refusals import unprocessable
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState
from livekit.sessions import (
    EXCHANGE_ZONE,
    close_instant,
    exchange_time,
    next_session,
    open_instant,
    session_of,
    session_on_or_after,
)

__all__ = ["Lifecycle"]

GTC_DAYS = 90
CANCELLABLE = frozenset(
    {"accepted", "new", "partially_filled", "calculated", "pending_new", "pending_cancel"}
)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The transitions of orders over one state."""

    state: VenueState
    market: Market
    fills: FillModel
    settings: VenueSettings

    # ------------------------------------------------------------------------------- arrival

    def accept(self, request: OrderRequest, price: Decimal | None) -> Order:
        """Take an admitted order in, with its leg ``held``; nothing is matched yet."""
        number = len(self.state.orders) + 1
        client_id = request.client_order_id or server_id(self.settings.seed, "unnamed", number)
        order = self._new_order(request, client_id, number)
        order.reserve_price = reserve_price(request, price) if order.side == "buy" else Decimal(0)
        self.state.add(order)
        self.state.log("accepted", order)
        if request.order_class == "oto":
            leg = self._leg_of(order, request)
            self.state.add(leg)
            self.state.log("accepted", leg)
        return order

    def _new_order(self, request: OrderRequest, client_id: str, number: int) -> Order:
        now = self.state.clock
        return Order(
            order_id=server_id(self.settings.seed, client_id, "order"),
            number=number,
            client_order_id=client_id,
            ticker=request.symbol,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            order_class=request.order_class,
            qty=request.qty,
            status="pending_new" if self.market.phase(now).is_open else "accepted",
            created_at=now,
            submitted_at=now,
            updated_at=now,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            extended_hours=request.extended_hours,
            expires_at=expiry_of(request.time_in_force, now),
        )

    def _leg_of(self, parent: Order, request: OrderRequest) -> Order:
        seed, client_id = self.settings.seed, parent.client_order_id
        stop, limit = request.stop_loss_price, request.stop_loss_limit
        if stop is None:
            kind, limit = "limit", request.take_profit_price
        else:
            kind = "stop" if limit is None else "stop_limit"
        return replace(
            parent,
            order_id=server_id(seed, client_id, "leg 1"),
            number=parent.number + 1,
            client_order_id=server_id(seed, client_id, "leg 1 client id"),
            side="sell" if parent.side == "buy" else "buy",
            type=kind,
            status="held",
            limit_price=limit,
            stop_price=stop,
            parent_id=parent.order_id,
            reserve_price=(limit or stop or Decimal(0)) if parent.side == "sell" else Decimal(0),
        )

    def open_for_trading(self, order: Order) -> None:
        """The order is working at the exchange."""
        order.status = "new"
        self.state.log("new", order)

    # -------------------------------------------------------------------------------- fills

    def match(self, order: Order, step: Step) -> None:
        """Fill ``order`` if it meets ``step``; a filled parent wakes its leg."""
        if order.status == "held" or order.is_terminal:
            return
        was_elected = order.elected
        matched = matched_price(order, step)
        if matched is None:
            if order.elected != was_elected:
                self.state.touch(order)
            return
        quantity = self.fills.quantity(order)
        if order.side == "sell":
            quantity = min(quantity, self.state.held(order.ticker))
        if quantity:
            self._fill(order, quantity, self.fills.price(order, matched))
        else:
            self._end(order, "canceled")
        if order.status == "filled":
            self._wake_legs(order, Step(step.price))

    def _fill(self, order: Order, quantity: int, price: Decimal) -> None:
        amount = price * quantity
        order.filled_qty += quantity
        order.filled_usd += amount
        order.fill_count += 1
        order.filled_at = self.state.clock
        whole = order.remaining == 0
        if whole:
            order.status, order.resume_at, order.cancel_due = "filled", None, None
        else:
            order.status = "partially_filled" if order.cancel_due is None else order.status
            order.resume_at = self.state.clock + timedelta(seconds=REST_AFTER_S)
        self._move_shares(order, quantity, amount)
        self._record_fill(order, quantity, price)
        self.state.log("filled", order, fill=(quantity, price))

    def _move_shares(self, order: Order, quantity: int, amount: Decimal) -> None:
        position = self.state.position(order.ticker)
        if order.side == "buy":
            position.cost_usd += amount
            position.qty += quantity
            self.state.cash_usd -= amount
        else:
            position.cost_usd -= position.average_entry_price * quantity
            position.qty -= quantity
            self.state.cash_usd += amount
            if not position.qty:
                position.cost_usd = Decimal(0)
        self.state.drop_if_gone(order.ticker)

    def _record_fill(self, order: Order, quantity: int, price: Decimal) -> None:
        self.state.add_activity(
            Activity(
                number=len(self.state.activities) + 1,
                activity_id=self._activity_id(order.client_order_id, order.fill_count),
                kind="FILL",
                at=self.state.clock,
                ticker=order.ticker,
                side=order.side,
                qty=Decimal(quantity),
                price=price,
                net_usd=price * (quantity if order.side == "sell" else -quantity),
                order_id=order.order_id,
                order_status=order.status,
                cumulative_qty=order.filled_qty,
                leaves_qty=order.remaining,
            )
        )

    def _activity_id(self, name: str, number: object) -> str:
        stamp = exchange_time(self.state.clock).strftime("%Y%m%d%H%M%S%f")[:-3]
        return f"{stamp}::{server_id(self.settings.seed, name, f'activity {number}')}"

    def adjustment_activity(self, kind: str, ticker: str, qty: Decimal, net_usd: Decimal) -> None:
        """Record what a split did: ``SPLIT`` shares, or ``CIL`` cash in lieu of a fraction."""
        number = len(self.state.activities) + 1
        self.state.add_activity(
            Activity(
                number=number,
                activity_id=self._activity_id(f"{kind} {ticker}", number),
                kind=kind,
                at=self.state.clock,
                ticker=ticker,
                side="",
                qty=qty,
                price=Decimal(0),
                net_usd=net_usd,
            )
        )

    def _wake_legs(self, parent: Order, step: Step) -> None:
        for leg in self.state.legs.get(parent.order_id, ()):
            if leg.status == "held" and leg.cancel_due is None:
                leg.status = "new"
                self.state.log("activated", leg)
                self.match(leg, step)

    # ------------------------------------------------------------------------------ endings

    def request_cancel(self, order: Order) -> None:
        """``DELETE`` of an order: accepted, or refused by its status."""
        if order.status == "canceled" and self.settings.canceled_order_cancellable:
            return
        if order.is_terminal:
            raise unprocessable(f'order is already in "{order.status}" state')
        held = order.status == "held" and self.settings.held_leg_cancellable
        if order.status not in CANCELLABLE and not held:
            raise unprocessable(f'order is not cancelable in "{order.status}" state')
        if order.status == "pending_cancel":
            return
        due = self._cancel_due()
        if due is None:
            self.cancel(order)
        else:
            order.status, order.cancel_due = "pending_cancel", due
            self.state.log("cancel_requested", order)

    def _cancel_due(self) -> datetime | None:
        phase = self.market.phase(self.state.clock)
        if not phase.is_open and self.settings.cancels_wait_for_open:
            return next_open(self.state.clock)
        delay_s = self.settings.cancel_delay_s
        return self.state.clock + timedelta(seconds=delay_s) if delay_s else None

    def cancel(self, order: Order) -> None:
        """The order ends unfilled or half filled, and with it the rest of its group."""
        self._end(order, "canceled")
        if order.parent_id is not None and not self.state.orders[order.parent_id].is_terminal:
            self.cancel(self.state.orders[order.parent_id])
        for leg in self.state.legs.get(order.order_id, ()):
            if not leg.is_terminal and leg.cancel_due is None:
                self._doom(leg)

    def _doom(self, leg: Order) -> None:
        delay_s = self.settings.leg_death_delay_s
        if not delay_s:
            self._end(leg, "canceled")
            return
        leg.cancel_due = self.state.clock + timedelta(seconds=delay_s)
        self.state.log("cancel_requested", leg)

    def expire(self, order: Order) -> None:
        """A day order ends at the close."""
        self._end(order, "expired")

    def _end(self, order: Order, status: str) -> None:
        order.status, order.resume_at, order.cancel_due = status, None, None
        if status == "expired":
            order.expired_at = self.state.clock
        else:
            order.canceled_at = self.state.clock
        self.state.log(status, order)

    def wake(self, order: Order) -> None:
        """A time that the order waited for has come: its cancel, or the rest of its fill."""
        now = self.state.clock
        if order.cancel_due is not None and order.cancel_due <= now:
            self.cancel(order)
            return
        order.resume_at = None
        price = self.market.path_price(order.ticker, self.state.clock)
        if price is not None:
            self.match(order, Step(price))
        self.state.touch(order)

    def replace_with(self, old: Order, request: OrderRequest) -> Order:
        """End ``old`` as replaced and take its successor in; what it reserved passes over.

        What ``old`` has filled counts towards the quantity asked for.
        """
        number = len(self.state.orders) + 1
        client_id = request.client_order_id or server_id(self.settings.seed, "unnamed", number)
        new = self._new_order(request, client_id, number)
        new.status, new.replaces, new.reserve_price = "new", old.order_id, old.reserve_price
        new.qty -= old.filled_qty
        old.status, old.replaced_at, old.replaced_by = "replaced", self.state.clock, new.order_id
        old.resume_at = None
        self.state.add(new)
        self.state.log("replaced", old)
        self.state.log("accepted", new)
        return new


def expiry_of(time_in_force: str, now: datetime) -> datetime:
    """When an order sent at ``now`` ages: the close of its session, or 16:00 after 90 days."""
    if time_in_force == "day":
        return close_instant(session_of(now))
    last = exchange_time(now).date() + timedelta(days=GTC_DAYS)
    return datetime.combine(last, time(16), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


def next_open(now: datetime) -> datetime:
    """The first opening instant after ``now``."""
    session = session_on_or_after(exchange_time(now).date())
    opens = open_instant(session)
    return opens if opens > now else open_instant(next_session(session))
