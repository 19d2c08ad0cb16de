"""The engine: orders in, time forward, everything else follows.

A request changes the book at the clock's instant. `Engine.advance` moves the clock and processes on
the way, in time order, every instant at which something happens: 04:00 (splits; queued stops and
limits become ``new``), the steps of the price path, the close (day orders expire), 16:15 (GTC
orders end after 90 days), cancels that take effect and the rest of partial fills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from livekit.broker.venue.engine.account import close_of_day
from livekit.broker.venue.engine.admission import admit
from livekit.broker.venue.engine.corporate import apply_intervention
from livekit.broker.venue.engine.fills import Step, fill_model
from livekit.broker.venue.engine.history import PriceHistory, day_times
from livekit.broker.venue.engine.interventions import Intervention, changed
from livekit.broker.venue.engine.lifecycle import Lifecycle
from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.order_request import parse_order, refused_symbol
from livekit.broker.venue.engine.records import Order
from livekit.broker.venue.engine.refusals import Refusal, invalid, unprocessable
from livekit.broker.venue.engine.replacing import give_up, replacement, succeed, take_over
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.splits import apply_splits, pay_fractions
from livekit.broker.venue.engine.state import VenueState
from livekit.sessions import (
    LAST_DAY,
    exchange_time,
    is_session,
    next_session,
    session_on_or_after,
)

__all__ = ["Engine"]

Boundary = tuple[datetime, Callable[[date], None]]
UUID_LENGTH = 36
LAST_INSTANT = datetime(LAST_DAY.year, 12, 1, tzinfo=UTC)  # sessions beyond it must still exist
LOW_STEP, HIGH_STEP, CLOSE_STEP = 1, 2, 3
PARKINGS = ("done_for_day", "stopped", "suspended", "calculated", "accepted_for_bidding")
AUCTIONS, IMMEDIATE = ("opg", "cls"), ("ioc", "fok")


class Engine:
    """One exchange with one account. Not thread-safe; nothing in it reads a clock or a file."""

    def __init__(self, history: PriceHistory, settings: VenueSettings, state: VenueState) -> None:
        self.settings = settings
        self.state = state
        fills = fill_model(settings)
        self._file = history
        self.market = Market(changed(history, state.interventions), fills.indicative)
        self.orders = Lifecycle(state, self.market, fills, settings)
        self._arrived: list[Order] = []
        self._boundaries = self._boundaries_after(state.clock)
        self._next = next(self._boundaries)

    @classmethod
    def new(cls, history: PriceHistory, settings: VenueSettings, start: datetime) -> Engine:
        """An engine with an empty account whose clock stands at ``start`` (aware UTC)."""
        cash = settings.cash_usd
        return cls(history, settings, VenueState(start, cash, cash, start))

    @property
    def now(self) -> datetime:
        """The venue's clock."""
        return self.state.clock

    # ------------------------------------------------------------------------------- requests

    def submit(self, body: dict[str, Any]) -> Order:
        """Accept an order or raise `Refusal`; `settle` then lets it meet the market."""
        try:
            request = parse_order(self._with_symbol(body))
            price = admit(self.state, self.market, self.settings, request)
        except Refusal as refusal:
            ticker, client_id = refused_symbol(body)
            self.state.log_refusal(ticker, client_id, refusal)
            raise
        order = self.orders.accept(request, price)
        self._arrived.append(order)
        return order

    def _with_symbol(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with its ticker where it names the asset by its id."""
        name = body.get("symbol")
        if not isinstance(name, str) or len(name) != UUID_LENGTH:
            return body
        return body | {"symbol": self.market.ticker_of(name, self.now) or name}

    def cancel(self, order: Order, *, delay_s: float | None = None) -> None:
        """Request the cancel of an order; raises `Refusal` when its status forbids it.

        ``delay_s`` is how long it takes to be effective, if not what the settings say.
        """
        was_successor = order.is_successor
        self.orders.request_cancel(order, delay_s)
        if was_successor:
            give_up(self.orders, self.state.orders[order.replaces or ""])

    def replace(self, order: Order, body: dict[str, Any]) -> Order:
        """Replace an order by a new one; raises `Refusal` when that is not possible."""
        request = replacement(self.state, self.market, self.settings, order, body)
        new = succeed(self.orders, order, request)
        self._arrived.append(new)
        return new

    def settle(self) -> None:
        """Let the orders that arrived meet the market, after their answers were written."""
        arrived, self._arrived = self._arrived, []
        for order in arrived:
            if order.fate == "reject" and not order.is_terminal:
                self.orders.reject(order)
            if order.is_terminal or order.is_successor:
                continue
            if not self.market.phase(self.now).is_open:
                continue
            if order.status == "pending_new":
                self.orders.open_for_trading(order)
            price = self.market.path_price(order.ticker, self.now)
            if price is not None and order.time_in_force not in AUCTIONS:
                self.orders.match(order, Step(price))
            if order.time_in_force in IMMEDIATE and not order.is_terminal:
                self.orders.end_auction(order)

    # ----------------------------------------------------------------------------------- time

    def advance(self, to: datetime) -> None:
        """Move the clock to ``to`` (aware), processing what happens on the way.

        Raises `Refusal` when ``to`` lies before the clock or beyond the calendar.
        """
        if to < self.now:
            raise invalid("the clock never goes back")
        if to > LAST_INSTANT:
            raise invalid(f"the calendar of sessions ends on {LAST_DAY}")
        self.settle()
        while (due := self._next_due()) <= to:
            self.state.clock = due
            self._wake(due)
            while self._next[0] <= due:
                self._next[1](exchange_time(due).date())
                self._next = next(self._boundaries)
        self.state.clock = to

    def _next_due(self) -> datetime:
        return min((self._next[0], *self.state.timers.values()))

    def _wake(self, due: datetime) -> None:
        waiting = [self.state.orders[key] for key, at in self.state.timers.items() if at <= due]
        for order in sorted(waiting, key=lambda order: order.number):
            if order.is_successor:
                take_over(self.orders, self.state.orders[order.replaces or ""], order)
            if not order.is_terminal:
                self.orders.wake(order)

    def _boundaries_after(self, instant: datetime) -> Iterator[Boundary]:
        session = session_on_or_after(exchange_time(instant).date())
        while True:
            times = day_times(session)
            steps: tuple[Boundary, ...] = (
                (times.dawn, self._dawn),
                (times.open, self._open),
                (times.low, lambda day: self._move(day, LOW_STEP)),
                (times.high, lambda day: self._move(day, HIGH_STEP)),
                (times.close, self._close),
                (times.ageing, self._age),
            )
            yield from (step for step in steps if step[0] > instant)
            session = next_session(session)

    # ---------------------------------------------------------------------------- interventions

    def intervene(self, intervention: Intervention) -> None:
        """Let a corporate action happen on a day to come.

        Raises `Refusal` when the ticker is unknown or does not trade from then on, when the new
        name is taken, or when the day has begun.
        """
        ticker, day = intervention.ticker, intervention.day
        if ticker not in self.market.history or not is_session(day):
            raise invalid("the ticker is unknown or the day is no session")
        if day_times(day).dawn <= self.now:
            raise invalid("the day has begun")
        if intervention.is_new_name and intervention.value in self.market.history:
            raise invalid(f"{intervention.value} is taken")
        self.market.use(changed(self._file, [*self.state.interventions, intervention]))
        self.state.intervene(intervention)

    def halt(self, ticker: str) -> None:
        """Stop the trading of ``ticker``: orders are taken, none is matched."""
        self._require_known(ticker)
        self.state.halt(ticker)
        for order in self.state.working_on(ticker) if self.settings.halts_suspend_orders else ():
            self.orders.park(order, "suspended")

    def resume(self, ticker: str) -> None:
        """Trade ``ticker`` again; what waits meets the price of the moment."""
        self._require_known(ticker)
        self.state.resume(ticker)
        for order in self.state.working_on(ticker):
            self.orders.unpark(order, "suspended")
        price = self.market.path_price(ticker, self.now)
        for order in self.state.working_on(ticker) if price is not None else ():
            if order.time_in_force not in AUCTIONS and price is not None:
                self.orders.match(order, Step(price))

    def park(self, order: Order, status: str) -> None:
        """Give a working order one of the rare statuses (`PARKINGS`), or ``new`` it again.

        Raises `Refusal` when the order is not working, or not parked.
        """
        before = order.status
        if status == "new" and before in PARKINGS:
            self.orders.unpark(order, before)
        elif status in PARKINGS:
            self.orders.park(order, status)
        if order.status == before:
            raise invalid(f"an order in {before} status cannot become {status}")

    def block(self, *, blocked: bool) -> None:
        """Let the account trade, or not."""
        self.state.block(blocked=blocked)

    def _require_known(self, ticker: str) -> None:
        if ticker not in self.market.history:
            raise unprocessable(f'asset "{ticker}" not found')

    # ---------------------------------------------------------------------------------- the day

    def _dawn(self, day: date) -> None:
        for one in self.state.interventions:
            if one.day == day:
                apply_intervention(self.orders, one)
        apply_splits(self.orders)
        for order in self.state.working_orders():
            self.orders.unpark(order, "done_for_day")
            self.orders.unpark(order, "calculated")
            if order.status == "accepted" and order.type != "market":
                self.state.resubmit(order)
                self.orders.open_for_trading(order)

    def _open(self, day: date) -> None:
        pay_fractions(self.orders)
        for order in self.state.working_orders():
            if order.status == "accepted":
                self.orders.open_for_trading(order)
        for order in self.state.working_orders():
            path = self.market.path(order.ticker, day)
            misses = order.time_in_force == "opg" and self.orders.meets_nobody(order)
            if path is not None and order.time_in_force != "cls" and not misses:
                self.orders.match(order, Step(path[0]))
            if order.time_in_force in ("opg", *IMMEDIATE) and not order.is_terminal:
                self.orders.end_auction(order)

    def _move(self, day: date, step: int) -> None:
        for order in self.state.working_orders():
            path = self.market.path(order.ticker, day)
            if path is None or order.resume_at is not None:
                continue
            if order.time_in_force == "cls":
                if step == CLOSE_STEP and not self.orders.meets_nobody(order):
                    self.orders.match(order, Step(path[step]))
            else:
                self.orders.match(order, Step(path[step], came_from=path[step - 1]))

    def _close(self, day: date) -> None:
        self._move(day, CLOSE_STEP)
        for order in self.state.working_orders():
            ends = order.expires_at is not None and order.expires_at <= self.now
            if order.is_terminal:
                continue
            if order.time_in_force == "cls" and ends:
                self.orders.end_auction(order)
            elif order.fate == "dying" or (order.time_in_force == "day" and ends):
                self.orders.expire(order)
            elif self.settings.gtc_orders_are_done_for_day:
                self.orders.park(order, "done_for_day")
        self.state.closes.append(close_of_day(self.state, self.market))

    def _age(self, _day: date) -> None:
        for order in self.state.working_orders():
            if order.expires_at is not None and order.expires_at <= self.now:
                self.orders.cancel(order)
