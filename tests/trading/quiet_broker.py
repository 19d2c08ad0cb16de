"""A desk on books in memory and a broker that does as it is told: for one decision at a time.

The broker keeps orders as values, fills nothing by itself, and writes down what it is asked, so
that a test sees the quantity, the price and the order of the requests. Its clock moves only by
sleeping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from livekit.broker import AlpacaClient
from livekit.config import LiveConfig, Profile
from livekit.errors import LivekitError
from livekit.model import (
    Account,
    Candidate,
    EntryDecision,
    ExitDecision,
    Order,
    Plan,
    Position,
    SessionDecision,
    Split,
    TradePrint,
    VenueCashEntry,
    VenueClock,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from livekit.prices.source import PriceSource
from livekit.sessions import close_instant, open_instant
from livekit.state import StateDB
from livekit.trading.books import BASELINE_AT, BASELINE_CASH
from livekit.trading.desk import Desk
from livekit.trading.plans import PlanInputs, build_plan

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)
OPEN = datetime(2020, 1, 7, 14, 30, tzinfo=UTC)  # of Tuesday, 09:30 in New York
CUTOFF = OPEN + timedelta(minutes=5)


class HandClock:
    """A clock that stands until somebody sleeps."""

    def __init__(self, now: datetime) -> None:
        self.instant = now
        self.naps: list[float] = []

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        assert len(self.naps) < 500, "it waits for ever"
        self.naps.append(seconds)
        self.instant += timedelta(seconds=max(0.0, seconds))


def venue_order(order_id: str, ticker: str = "ABC", side: str = "sell", **facts: Any) -> VenueOrder:
    """A resting stop of 100 shares at 45 unless ``facts`` say otherwise."""
    plain = VenueOrder(
        order_id=order_id,
        client_order_id=f"by-hand-{order_id}",
        ticker=ticker,
        side="buy" if side == "buy" else "sell",
        order_type="stop",
        order_class="simple",
        time_in_force="gtc",
        status="new",
        quantity=Decimal(100),
        filled_quantity=Decimal(0),
        filled_average_price=None,
        stop_price=Decimal(45),
        limit_price=None,
        submitted_at=None,
        created_at=None,
        expires_at=None,
    )
    return replace(plain, **facts)


@dataclass
class QuietBroker:
    """Everything that acting code asks a broker, from lists that the test fills.

    ``said`` is every request in order, ``placed`` what was sent. ``before`` is called with the name
    of a request before it is answered; ``refusal`` is raised for an order. ``deaf`` are the ids of
    orders whose cancel is taken and has no effect, ``unlisted`` of those that no list shows.
    ``tied`` are shares of a ticker that are not free to be sold, ``patiently`` the reads that would
    have been tried again and again, had they failed.
    """

    clock: HandClock
    orders: dict[str, VenueOrder] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    prints: dict[str, TradePrint] = field(default_factory=dict)
    fills: list[VenueFill] = field(default_factory=list)
    entries: list[VenueCashEntry] = field(default_factory=list)
    announced: list[Split] = field(default_factory=list)
    cash: Decimal = Decimal(100_000)
    buying_power: Decimal = Decimal(100_000)
    wait_s: Callable[[int], float] = lambda requests: 0.0
    before: Callable[[str], None] = lambda name: None
    refusal: Callable[[Mapping[str, Any]], LivekitError | None] = lambda asked: None
    cancel_refusal: Mapping[str, LivekitError] = field(default_factory=dict)
    deaf: frozenset[str] = frozenset()
    unlisted: frozenset[str] = frozenset()
    tied: dict[str, int] = field(default_factory=dict)
    patiently: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    placed: list[dict[str, Any]] = field(default_factory=list)

    def _note(self, name: str) -> None:
        self.before(name)
        self.said.append(name)

    def _note_patience(self, name: str, patient: bool) -> None:
        if patient:
            self.patiently.append(name)

    @contextmanager
    def protecting(self) -> Iterator[None]:
        yield

    @property
    def changes_sent(self) -> int:
        return sum(name.startswith(("place ", "cancel ")) for name in self.said)

    def splits(
        self,
        tickers: Sequence[str],
        first: date,
        last: date,
        *,
        patient: bool = True,
    ) -> tuple[Split, ...]:
        self._note_patience("splits", patient)
        return tuple(item for item in self.announced if first <= item.ex_session <= last)

    def seconds_to_wait(self, requests: int) -> float:
        return self.wait_s(requests)

    def show(self, *orders: VenueOrder) -> None:
        self.orders |= {order.order_id: order for order in orders}

    def list_orders(
        self, *, status: str = "all", after: datetime | None = None, still_open: bool = True
    ) -> tuple[VenueOrder, ...]:
        assert status in ("all", "open", "closed")
        self._note(f"list {status}")
        return tuple(
            order
            for order in self.orders.values()
            if order.order_id not in self.unlisted
            if status == "all" or not order.is_terminal
        )

    def get_order(self, order_id: str, *, patient: bool = True) -> VenueOrder | None:
        self._note(f"read {order_id}")
        self._note_patience(f"read {order_id}", patient)
        return self.orders.get(order_id)

    def get_order_by_client_id(self, client_order_id: str) -> VenueOrder | None:
        found = (item for item in self.orders.values() if item.client_order_id == client_order_id)
        return next(found, None)

    def get_positions(self) -> tuple[VenuePosition, ...]:
        self._note("positions")
        return tuple(
            VenuePosition(
                ticker,
                Decimal(shares),
                Decimal(shares - self.tied.get(ticker, 0)),
                Decimal(50),
                None,
            )
            for ticker, shares in self.positions.items()
        )

    def get_account(self) -> Account:
        return Account(
            "1", "ACTIVE", self.cash, self.cash, self.buying_power, trading_blocked=False
        )

    def get_clock(self) -> VenueClock:
        return VenueClock(
            self.clock.now(), is_open=True, next_open=OPEN, next_close=close_instant(TUESDAY)
        )

    def latest_trades(
        self, tickers: Sequence[str], *, patient: bool = True
    ) -> dict[str, TradePrint]:
        self._note_patience("prices", patient)
        return {ticker: self.prints[ticker] for ticker in tickers if ticker in self.prints}

    def get_fills(
        self, *, after: datetime | None = None, patient: bool = True
    ) -> tuple[VenueFill, ...]:
        self._note_patience("fills", patient)
        return tuple(item for item in self.fills if after is None or item.at >= after)

    def get_cash_entries(self, *, after: datetime) -> tuple[VenueCashEntry, ...]:
        return tuple(self.entries)

    def place_order(self, ticker: str, quantity: int, side: str, **facts: Any) -> VenueOrder:
        return self._place({"ticker": ticker, "quantity": quantity, "side": side, **facts})

    def place_bracket_order(self, ticker: str, quantity: int, **facts: Any) -> VenueOrder:
        asked = {"ticker": ticker, "quantity": quantity, "side": "buy", "group": True}
        return self._place(asked | facts)

    def _place(self, asked: dict[str, Any]) -> VenueOrder:
        self._note(f"place {asked['ticker']}")
        self.placed.append(asked)
        refusal = self.refusal(asked)
        if refusal is not None:
            raise refusal
        placed = venue_order(
            f"placed-{len(self.placed)}",
            asked["ticker"],
            asked["side"],
            client_order_id=asked["client_order_id"],
            quantity=Decimal(asked["quantity"]),
            order_type=asked.get("order_type", "market"),
            stop_price=asked.get("stop_price"),
        )
        self.show(placed)
        return placed

    def cancel_order(self, order_id: str) -> None:
        self._note(f"cancel {order_id}")
        if order_id in self.cancel_refusal:
            raise self.cancel_refusal[order_id]
        if order_id not in self.deaf:
            self.show(replace(self.orders[order_id], status="canceled"))

    def asked(self, name: str) -> int:
        return self.said.count(name)


@dataclass
class Quiet:
    """A desk with its parts at hand."""

    desk: Desk
    db: StateDB
    broker: QuietBroker
    clock: HandClock

    def hold(self, ticker: str = "ABC", shares: int = 100, **facts: Any) -> Position:
        """A position bought at 50, its stop due at 45, also held at the broker."""
        self.broker.positions[ticker] = shares
        candidate = Candidate(ticker, MONDAY, "A", 80.0, Decimal(50))
        plain = Position(
            ticker=ticker,
            entry_date=MONDAY,
            entry_price=Decimal(50),
            target_shares=shares,
            actual_shares=shares,
            invested=Decimal(50) * shares,
            stop_price=Decimal(45),
            stop_order_id=None,
            candidate=candidate,
        )
        position_id = self.db.add_position(replace(plain, **facts))
        found = self.db.get_position(position_id)
        assert found is not None
        return found

    def row(self, ticker: str = "ABC", intent: str = "entry", **facts: Any) -> Order:
        """An order row of Tuesday, 100 shares, working at the venue as ``v-TICKER-intent``."""
        side = "buy" if intent == "entry" else "sell"
        plain = Order(
            client_order_id=f"20200107_{ticker}_{intent}_{side}",
            intent=cast("Any", intent),
            side=cast("Any", side),
            ticker=ticker,
            trade_date=TUESDAY,
            quantity=100,
            order_type="market",
            time_in_force="day",
            status="new",
            alpaca_order_id=f"v-{ticker}-{intent}",
            outcome="confirmed",
        )
        order = replace(plain, **facts)
        self.db.add_order(order, at=self.clock.now())
        return order

    def at_venue(self, row: Order, **facts: Any) -> VenueOrder:
        """Let the broker show the order of a row."""
        shown = venue_order(
            str(row.alpaca_order_id),
            row.ticker,
            row.side,
            client_order_id=row.client_order_id,
            quantity=Decimal(row.quantity),
            status=row.status,
            stop_price=row.stop_price,
        )
        self.broker.show(replace(shown, **facts))
        return self.broker.orders[shown.order_id]

    def price(self, ticker: str, price: str) -> None:
        self.broker.prints[ticker] = TradePrint(ticker, Decimal(price), self.clock.now())

    def store(self, plan: Plan) -> Plan:
        """Store a plan as the current one of Tuesday."""
        stored = self.db.save_plan(plan, at=self.clock.now())
        return replace(plan, plan_id=stored.plan_id)

    def approve(self, plan: Plan, item: str, shares: int, decision: str = "approve") -> None:
        self.db.add_approval(
            plan_sha256=plan.sha256,
            item=item,
            decision=cast("Any", decision),
            max_quantity=shares,
            who="ann",
            reason="",
            at=self.clock.now(),
        )

    def kill(self) -> None:
        self.db.set_kill_switch(True, reason="drill", who="test", at=self.clock.now())


@contextmanager
def quiet_desk(at: datetime = OPEN, *, venue: str = "simulated", **trading: Any) -> Iterator[Quiet]:
    """A desk of Tuesday morning; ``trading`` are parameters of `LiveConfig`."""
    clock = HandClock(at)
    broker = QuietBroker(clock)
    profile = Profile(
        venue=cast("Any", venue), outputs=Path("nowhere"), trading=LiveConfig(**trading)
    )
    with StateDB(":memory:") as db:
        db.set_config(BASELINE_AT, open_instant(MONDAY).isoformat())
        db.set_config(BASELINE_CASH, "100000")
        db.set_kill_switch(False, reason="registered", who="test", at=at)
        client = cast("AlpacaClient", broker)
        desk = Desk(profile, db, client, cast("PriceSource", None), clock)
        yield Quiet(desk, db, broker, clock)


def planned(
    *,
    config: LiveConfig,
    buys: Sequence[tuple[str, int, float, str | None]] = (),
    sells: Sequence[tuple[str, int, str, str | None]] = (),
) -> Plan:
    """A plan of Tuesday: buys as (ticker, shares, price, rotates out), sells as (ticker, shares,
    reason, rotated in).
    """
    decision = SessionDecision(
        TUESDAY,
        tuple(ExitDecision(ticker, why, MONDAY, pair) for ticker, _, why, pair in sells),
        tuple(
            EntryDecision(Candidate(ticker, TUESDAY, "A", 80.0), shares, price, pair)
            for ticker, shares, price, pair in buys
        ),
        (),
    )
    quantities = {ticker: shares for ticker, shares, _, _ in sells}
    inputs = PlanInputs("ok", (), "0" * 64)
    return build_plan(config.primary_strategy, decision, quantities, config, inputs)
