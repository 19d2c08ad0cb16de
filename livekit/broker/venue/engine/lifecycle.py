"""What happens to an order: acceptance, activation, fills, cancels, expiry, replacement.

`Lifecycle` holds the one state, market and fill model of an engine; each method is one transition
of the graph and writes one line of the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from livekit.broker.venue.engine.account import available
from livekit.broker.venue.engine.activities import adjustment_row, fill_row
from livekit.broker.venue.engine.admission import reserve_price
from livekit.broker.venue.engine.fills import REST_AFTER_S, FillModel, Step, matched_price
from livekit.broker.venue.engine.groups import follow, legs_of, watches
from livekit.broker.venue.engine.identity import chance, server_id
from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.order_request import OrderRequest
from livekit.broker.venue.engine.records import Order, floor_to_tick
from livekit.broker.venue.engine.refusals import unprocessable
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState
from livekit.broker.venue.engine.timing import (
    cancel_frozen_until,
    expiry_of,
    next_open,
)

__all__ = ["Lifecycle"]

LATE_FILL_S = 2.0
MISSED_AUCTIONS = 0.5
CANCELLABLE = frozenset(
    {
        "accepted",
        "new",
        "partially_filled",
        "calculated",
        "pending_new",
        "pending_cancel",
        "accepted_for_bidding",
    }
)
PAUSED = frozenset({"suspended", "calculated", "done_for_day"})


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The transitions of orders over one state."""

    state: VenueState
    market: Market
    fills: FillModel
    settings: VenueSettings

    # ------------------------------------------------------------------------------- arrival

    def accept(self, request: OrderRequest, price: Decimal | None) -> Order:
        """Take an admitted order in, with its legs ``held``; nothing is matched yet."""
        number, client_id = self.next_name(request)
        name = self._own_name(client_id, number)
        order = self.new_order(request, client_id, number)
        if order.side == "buy":
            order.reserve_price = reserve_price(request, price)
            if order.type == "market" and self.settings.market_buys_are_collared:
                order.collar = floor_to_tick(order.reserve_price)
        self.state.add(order)
        if order.type == "trailing_stop" and price is not None:
            follow(order, price)
        if self.fills.rejects(order):
            order.fate = "reject"
        self.state.log("accepted", order)
        for leg in legs_of(order, request, self.settings.seed, name):
            self.state.add(leg)
            self.state.log("accepted", leg)
        return order

    def next_name(self, request: OrderRequest) -> tuple[int, str]:
        """Number and client id of the next order; an id is made when none was given."""
        number = len(self.state.orders) + 1
        made = request.client_order_id or server_id(self.settings.seed, "unnamed", number)
        return number, made

    def _own_name(self, client_id: str, number: int) -> str:
        """What the ids of an order are made from; one that has its client id second is another."""
        return f"{client_id} {number}" if client_id in self.state.by_client_id else client_id

    def new_order(self, request: OrderRequest, client_id: str, number: int) -> Order:
        """The order that ``request`` asks for, not yet taken in."""
        now = self.state.clock
        return Order(
            order_id=server_id(self.settings.seed, self._own_name(client_id, number), "order"),
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
            trail_usd=request.trail_usd,
            trail_percent=request.trail_percent,
        )

    def open_for_trading(self, order: Order) -> None:
        """The order is working at the exchange, unless that rejects it."""
        if order.fate == "reject":
            self.reject(order)
            return
        order.status = "new"
        self.state.log("new", order)

    def park(self, order: Order, status: str) -> None:
        """A working order pauses: ``done_for_day`` until the morning, or ``suspended``."""
        if order.status in ("new", "partially_filled"):
            order.status = status
            self.state.log("parked", order)

    def unpark(self, order: Order, status: str) -> None:
        """An order that paused so works again."""
        if order.status == status:
            order.status = order.working_status
            self.state.log("new", order)

    # -------------------------------------------------------------------------------- fills

    def match(self, order: Order, step: Step) -> None:
        """Fill ``order`` if it meets ``step``; what becomes of its group follows."""
        if order.is_terminal or order.fate == "dying" or order.ticker in self.state.halted:
            return
        if order.status in PAUSED or order.is_successor:
            return
        if order.status == "held" and not self._triggers(order, step):
            return
        was_elected = order.elected
        if order.stop_price is None:
            follow(order, step.price)
        matched = matched_price(order, step)
        moved = follow(order, step.price)
        if matched is None:
            if moved or order.elected != was_elected:
                self.state.touch(order)
            return
        if order.fate == "swap" and order.elected:
            self._swap(order, step)
            return
        self._fill_some(order, self.fills.price(order, matched))
        if order.status == "filled":
            self._wake_legs(order, Step(step.price))

    def _swap(self, stop: Order, step: Step) -> None:
        """A stop that triggers is replaced by an order with an id of its own, which then fills."""
        seed, name, now = self.settings.seed, stop.client_order_id, self.state.clock
        successor = replace(
            stop,
            created_at=now,
            submitted_at=now,
            order_id=server_id(seed, name, "triggered"),
            client_order_id=server_id(seed, name, "triggered client id"),
            number=len(self.state.orders) + 1,
            status="new",
            replaces=stop.order_id,
            elected=False,
            fate=None,
        )
        self.mark_replaced(stop, successor)
        self.state.add(successor)
        self.state.log("accepted", successor)
        self.match(successor, step)

    def mark_replaced(self, order: Order, successor: Order) -> None:
        """``order`` ends because ``successor`` takes its place."""
        order.status, order.replaced_at = "replaced", self.state.clock
        order.replaced_by = successor.order_id
        order.resume_at, order.cancel_due = None, None
        self.state.log("replaced", order)

    def _triggers(self, leg: Order, step: Step) -> bool:
        """Whether a held stop that watches is reached: it then takes the place of its sibling."""
        parent = self.state.orders.get(leg.parent_id or "")
        if not watches(leg, parent) or matched_price(replace(leg), step) is None:
            return False
        for other in self._group(leg) if leg.fate != "both" else ():
            if other.cancel_due is not None:
                self._end(other, "canceled")
            elif not other.is_terminal:
                self.mark_replaced(other, leg)
        leg.status = "new"
        self.state.log("activated", leg)
        return True

    def _fill_some(self, order: Order, price: Decimal) -> None:
        quantity = self.fills.quantity(order)
        if order.side == "sell":
            quantity = max(0, min(quantity, self.state.held(order.ticker)))
        if order.fate == "partial":
            quantity, order.fate = order.remaining // 2, "dying"
            self.state.touch(order)
            if not quantity:
                return
        if not quantity or (order.time_in_force == "fok" and quantity < order.remaining):
            self._end(order, "canceled")
            return
        self._fill(order, quantity, price)
        if order.fate == "dying":
            order.resume_at = None
            self.state.touch(order)
        self._shrink_siblings(order)

    def _shrink_siblings(self, order: Order) -> None:
        """What a take-profit has sold its stop need not sell; when all is sold the stop dies."""
        for other in self._group(order) if self._is_exit(order) else ():
            if other.is_terminal or not self._is_exit(other):
                continue
            if order.status == "filled" and other.fate == "both":
                self._fill_too(other)
            elif order.status == "filled":
                self._end(other, "canceled")
            else:
                other.qty = other.filled_qty + order.remaining
                self.state.log("adjusted", other)

    def _fill_too(self, order: Order) -> None:
        """The market was too fast: the other exit is filled as well, which sells short."""
        price = order.limit_price or order.stop_price
        order.fate = None
        if price is not None:
            self._fill(order, order.remaining, price)

    def _is_exit(self, order: Order) -> bool:
        return order.order_class == "oco" or (
            order.order_class == "bracket" and order.parent_id is not None
        )

    def _group(self, order: Order) -> list[Order]:
        """The other members of an order's group."""
        head = order.parent_id or order.order_id
        members = [self.state.orders[head], *self.state.legs.get(head, ())]
        return [one for one in members if one.order_id != order.order_id]

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
        self._move_shares(order, quantity, price, amount)
        row = fill_row(self.state, self.settings.seed, order, quantity, price)
        self.state.add_activity(row)
        self.state.log("filled", order, fill=(quantity, price))

    def _move_shares(self, order: Order, quantity: int, price: Decimal, amount: Decimal) -> None:
        position = self.state.position(order.ticker)
        sign = 1 if order.side == "buy" else -1
        position.take(sign * quantity, price)
        self.state.cash_usd -= sign * amount
        self.state.drop_if_gone(order.ticker)

    def adjustment_activity(self, kind: str, ticker: str, qty: Decimal, net_usd: Decimal) -> None:
        """Record what a corporate action did to shares and cash (`Activity.kind`)."""
        seed = self.settings.seed
        self.state.add_activity(adjustment_row(self.state, seed, kind, ticker, qty, net_usd))

    def _wake_legs(self, parent: Order, step: Step) -> None:
        legs = self.state.legs.get(parent.order_id)
        if not legs:
            return
        free = available(self.state, parent.ticker)
        for leg in legs:
            if leg.status != "held" or leg.cancel_due is not None or leg.fate == "stuck":
                continue
            if leg.side == "sell" and leg.qty > free:  # a part was sold while the entry filled
                leg.qty = free
                if not free:
                    self._end(leg, "canceled")
                    continue
            if leg.fate == "reject":
                self.reject(leg)
                continue
            if not self._is_exit(leg) or leg.stop_price is None:
                self._activate(leg)
            self.match(leg, step)

    def _activate(self, leg: Order) -> None:
        """A leg works from now on, whatever it is called; only a stop may still be ``held``."""
        leg.status = self.settings.activated_leg_status
        if leg.status == "held":
            leg.status, leg.fate = (
                ("held", "awake") if leg.stop_price is not None else ("new", None)
            )
        self.state.log("activated", leg)

    def meets_nobody(self, order: Order) -> bool:
        """Whether an order for an auction finds no counterpart there."""
        if not self.settings.poor_auctions:
            return False
        return chance(self.settings.seed, order.client_order_id, "auction") < MISSED_AUCTIONS

    # ------------------------------------------------------------------------------ endings

    def request_cancel(self, order: Order, delay_s: float | None = None) -> None:
        """``DELETE`` of an order: accepted, or refused by its status.

        ``delay_s`` is how long it takes to be effective, if not what the settings say.
        """
        if order.status == "canceled" and self.settings.canceled_order_cancellable:
            return
        if order.is_terminal:
            raise unprocessable(f'order is already in "{order.status}" state')
        held = order.status == "held" and (
            self.settings.held_leg_cancellable or order.fate == "awake"
        )
        if order.status not in CANCELLABLE and not held:
            raise unprocessable(f'order is not cancelable in "{order.status}" state')
        if order.status == "pending_cancel":
            return
        due = self._cancel_due(order)
        if delay_s is not None:
            due = self.state.clock + timedelta(seconds=delay_s)
        if order.fate == "fill" and due is None:
            due = self.state.clock + timedelta(seconds=LATE_FILL_S)
        if due is None:
            self.cancel(order)
        else:
            order.status, order.cancel_due = "pending_cancel", due
            self.state.log("cancel_requested", order)

    def _cancel_due(self, order: Order) -> datetime | None:
        frozen_until = cancel_frozen_until(order.time_in_force, self.state.clock)
        if frozen_until is not None:
            return frozen_until
        phase = self.market.phase(self.state.clock)
        if not phase.is_open and self.settings.cancels_wait_for_open:
            return next_open(self.state.clock)
        delay_s = self.settings.cancel_delay_s
        return self.state.clock + timedelta(seconds=delay_s) if delay_s else None

    def cancel(self, order: Order) -> None:
        """The order ends unfilled or half filled, and with it the rest of its group."""
        if self._fills_instead(order):
            return
        self._end(order, "canceled")
        if order.filled_qty and self._covers_part(order):
            return
        for other in self._group(order) if order.order_class != "simple" else ():
            if other.is_terminal or other.cancel_due is not None:
                continue
            if other.parent_id is None:
                self.cancel(other)
            else:
                self._doom(other)

    def _fills_instead(self, order: Order) -> bool:
        """An order that a fault lets fill while its cancel is under way."""
        price = self.market.path_price(order.ticker, self.state.clock)
        if order.fate != "fill" or price is None:
            return False
        limit = order.working_limit
        order.fate, order.cancel_due = None, None
        self._fill(order, order.remaining, price if limit is None else limit)
        self._wake_legs(order, Step(price))
        return True

    def _covers_part(self, entry: Order) -> bool:
        """Let the legs of a half filled entry that died protect what it bought, if so set."""
        legs = [leg for leg in self.state.legs.get(entry.order_id, ()) if leg.status == "held"]
        if not self.settings.partial_entry_activates_legs or not legs:
            return False
        for leg in legs:
            leg.qty = entry.filled_qty
        entry_price = self.market.mark(entry.ticker, self.state.clock)
        self._wake_legs(entry, Step(entry_price or entry.filled_usd / entry.filled_qty))
        return True

    def _doom(self, leg: Order) -> None:
        delay_s = self.settings.leg_death_delay_s
        if not delay_s:
            self._end(leg, "canceled")
            return
        leg.cancel_due = self.state.clock + timedelta(seconds=delay_s)
        self.state.log("cancel_requested", leg)

    def expire(self, order: Order) -> None:
        """A day order ends at the close."""
        is_leg = order.parent_id is not None
        self._end(order, self.settings.group_leg_ends_as if is_leg else "expired")
        if order.filled_qty and self._covers_part(order):
            return
        for leg in self.state.legs.get(order.order_id, ()):
            if not leg.is_terminal and leg.time_in_force == "gtc":
                self._end(leg, "canceled")

    def end_auction(self, order: Order) -> None:
        """What an auction or an immediate order could not fill is cancelled."""
        in_auction = order.time_in_force in ("opg", "cls")
        self._end(order, self.settings.auction_rest_ends_as if in_auction else "canceled")

    def reject(self, order: Order) -> None:
        """The exchange rejects an order that the venue had accepted, and with it its legs."""
        self._end(order, "rejected")
        for leg in self.state.legs.get(order.order_id, ()):
            if not leg.is_terminal:
                self._end(leg, "canceled")

    def _end(self, order: Order, status: str) -> None:
        reserved = order.side == "sell" and order.status != "held" and status == "canceled"
        order.status, order.resume_at, order.cancel_due = status, None, None
        if reserved and self.settings.share_release_delay_s:
            delay = timedelta(seconds=self.settings.share_release_delay_s)
            self.state.linger(order, self.state.clock + delay)
        if status == "expired":
            order.expired_at = self.state.clock
        elif status == "rejected":
            order.failed_at = self.state.clock
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
