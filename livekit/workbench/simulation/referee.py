"""The referee: looks at every request and every commit of a simulated day and notes what is broken.

Some promises can be judged at the instant of an event from the venue's memory and the committed
books alone, without asking anything over the line; they are judged there, whatever the code of the
day believes. The rest compare both sides and are judged when a run has come to its end.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from livekit.broker.venue.engine.records import Order as VenueRow
from livekit.broker.venue.engine.state import VenueState
from livekit.broker.venue.faults import FaultKind
from livekit.model import PROTECTIVE_STOP, STOP
from livekit.sessions import exchange_time
from livekit.trading.order_ids import parse_client_order_id
from livekit.workbench.simulation.points import Points

__all__ = ["Hindrance", "Notes", "Referee"]

LIVE_SELLS = frozenset({"new", "accepted", "pending_new", "partially_filled", "pending_cancel"})
NEVER_AGAIN = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
UNTRUE = frozenset({FaultKind.STALE_READ, FaultKind.TRUNCATED_LIST, FaultKind.LATE_VISIBILITY})
EVENT_RULES = (
    "I01 single entry",
    "I02 intent before send",
    "I05 monotone life cycle",
    "I07 never short",
    "I10 no exposure without a stop rule",
    "I13 kill switch",
    "I14 approval",
    "I16 reconcile before act",
    "I18 single writer",
)


@dataclass(slots=True)
class Hindrance:
    """A time in which the venue or the line withheld its service from us.

    It begins with a struck request or a crash and ends with the next request that was answered as
    it should be. ``uncertain`` counts what left us not knowing, or believing what is not so: struck
    orders and cancels, untrue answers to reads, and crashes.
    """

    start: datetime
    end: datetime | None = None
    uncertain: int = 0


@dataclass(slots=True)
class _Seen:
    status: str
    filled: int


@dataclass(frozen=True, slots=True)
class Notes:
    """What a referee knows of a day up to an instant."""

    violations: tuple[str, ...]
    hindrances: tuple[Hindrance, ...]
    orders: Mapping[str, _Seen]
    events: int
    token: int


@dataclass(slots=True)
class Referee:
    """Watches one day. ``raw`` is the books' own connection, read only between transactions.

    ``outside`` are tickers about which the two sides may differ, since somebody else or a company
    has acted on them. ``before_cancel`` is told of each cancel that is about to leave, until it
    has done its work. ``splitting`` is the ticker whose ex-date the ``session`` is: at its dawn a
    reverse split leaves the leg of a group larger than the shares, until a run takes it down.
    """

    points: Points
    state: Callable[[], VenueState]
    raw: sqlite3.Connection
    after_event: Callable[[], None] | None = None
    violations: list[str] = field(default_factory=list)
    judged: Counter[str] = field(default_factory=Counter)
    hindrances: list[Hindrance] = field(default_factory=list)
    changes: int = 0
    outside: set[str] = field(default_factory=set)
    before_cancel: Callable[[str], bool] | None = None
    splitting: str | None = None
    session: date | None = None
    _orders: dict[str, _Seen] = field(default_factory=dict)
    _events: int = -1
    _token: int = 0

    # ------------------------------------------------------------------------------ the watcher

    def before_request(self, method: str, path: str, body: bytes) -> None:
        """A request is about to leave: a point, and the promises about sending."""
        self.points.arrive("request", "before")
        if method == "DELETE" and self.before_cancel is not None:
            self.before_cancel = None if self.before_cancel(path) else self.before_cancel
        self.changes += method != "GET"
        if method == "POST" and path == "/v2/orders":
            self._judge_sending(json.loads(body))

    def after_request(self, method: str, asked_at: datetime, struck: FaultKind | None) -> None:
        """The venue has answered: the promises about what exists there, and a point."""
        if struck is None:
            self._served()
        else:
            self._hindered(asked_at, uncertain=method != "GET" or struck in UNTRUE)
        self._judge_venue()
        if self.after_event is not None:
            self.after_event()
        self.points.arrive("request", "after")

    def before_commit(self) -> None:
        """A point."""
        self.points.arrive("commit", "before")

    def after_commit(self) -> None:
        """The books have changed: the promises about them, and a point."""
        self._judge_books()
        if self.after_event is not None:
            self.after_event()
        self.points.arrive("commit", "after")

    def notes(self) -> Notes:
        """A copy of what has been noted so far."""
        return Notes(
            tuple(self.violations),
            tuple(map(replace, self.hindrances)),
            {key: replace(seen) for key, seen in self._orders.items()},
            self._events,
            self._token,
        )

    def take_up(self, notes: Notes) -> None:
        """Go on from notes, which stay as they are."""
        self.violations = list(notes.violations)
        self.hindrances = list(map(replace, notes.hindrances))
        self._orders = {key: replace(seen) for key, seen in notes.orders.items()}
        self._events, self._token = notes.events, notes.token

    def crashed(self) -> None:
        """The process has died."""
        self._hindered(self.state().clock, uncertain=True)

    def idle(self, since: datetime, until: datetime) -> None:
        """Nobody was there, or the machine slept: nothing could be covered meanwhile."""
        self.hindrances.append(Hindrance(since, until, uncertain=1))

    def is_outside(self, text: str) -> bool:
        """Whether a text speaks of a ticker that is outside our books."""
        return any(re.search(rf"\b{re.escape(one)}\b", text) for one in self.outside)

    def broken(self, promise: str, facts: str) -> None:
        """Note a violation, once."""
        text = f"{promise}: {facts}"
        if text not in self.violations:
            self.violations.append(text)

    # ------------------------------------------------------------------------------- hindrances

    def _hindered(self, since: datetime, *, uncertain: bool) -> None:
        if not self.hindrances or self.hindrances[-1].end is not None:
            self.hindrances.append(Hindrance(since))
        self.hindrances[-1].uncertain += uncertain

    def _served(self) -> None:
        if self.hindrances and self.hindrances[-1].end is None:
            self.hindrances[-1].end = self.state().clock

    # ---------------------------------------------------------------------------------- sending

    def _judge_sending(self, body: Mapping[str, object]) -> None:
        self.judged["sending"] += 1
        client_id = str(body.get("client_order_id"))
        row = self.raw.execute(
            "SELECT ticker, side, quantity, intent, plan_id, reason FROM orders"
            " WHERE client_order_id = ?",
            (client_id,),
        ).fetchone()
        if row is None:
            self.broken("I02 intent before send", f"{client_id} leaves without an intent row")
        elif (row[0], row[1], row[2]) != (body["symbol"], body["side"], int(str(body["qty"]))):
            self.broken("I02 intent before send", f"{client_id} leaves as another order: {body}")
        if row is not None and row[3] != STOP and row[5] != PROTECTIVE_STOP:
            self._judge_reconciled(client_id)
        if body.get("side") == "buy":
            self._judge_buy(client_id, body, None if row is None else row[4])

    def _judge_reconciled(self, client_id: str) -> None:
        """What follows a plan leaves only when the run that sends it has reconciled.

        That run is the newest, or the one that began the order and was taken over at this instant.
        """
        found = self.raw.execute(
            "SELECT 1 FROM reconciliations WHERE fencing_token IN ("
            "(SELECT CAST(value AS INTEGER) FROM system_config WHERE key = 'fencing_token'),"
            " (SELECT fencing_token FROM orders WHERE client_order_id = ?)) LIMIT 1",
            (client_id,),
        ).fetchone()
        if found is None:
            self.broken("I16 reconcile before act", f"{client_id} leaves before it")

    def _judge_buy(self, client_id: str, body: Mapping[str, object], plan_id: object) -> None:
        switch = self.raw.execute(
            "SELECT value FROM system_config WHERE key = 'kill_switch'"
        ).fetchone()
        if switch is None or switch[0] != "off":
            self.broken("I13 kill switch", f"buy {client_id} leaves while it is on")
        ticker = str(body["symbol"])
        if not body.get("stop_loss") and self._stop_rule(client_id) is None:
            self.broken("I10 no exposure without a stop rule", client_id)
        shares, allowed = int(str(body["qty"])), self._approved_shares(plan_id, ticker)
        if shares > allowed:
            self.broken("I14 approval", f"buy {client_id} of {shares} leaves, {allowed} approved")

    def _stop_rule(self, client_id: str) -> object:
        row = self.raw.execute(
            "SELECT reference_price FROM orders WHERE client_order_id = ?", (client_id,)
        ).fetchone()
        return None if row is None else row[0]

    def _approved_shares(self, plan_id: object, ticker: str) -> int:
        """Shares that the latest decision on the ticker's item of the plan allows to buy."""
        rows = self.raw.execute(
            "SELECT item, decision, max_quantity FROM approvals WHERE plan_id = ? AND void = 0 "
            "ORDER BY approval_id DESC",
            (plan_id,),
        )
        for item, decision, shares in rows:
            if item.endswith((f":{ticker}", f">{ticker}")):
                return int(shares) if decision == "approve" else 0
        return 0

    # -------------------------------------------------------------------------------- the venue

    def _judge_venue(self) -> None:
        self.judged["venue"] += 1
        state = self.state()
        if state.event_count == self._events:
            return  # nothing has happened there since it was judged
        self._events = state.event_count
        self._judge_exposure(state)
        for order in state.orders.values():
            seen = self._orders.get(order.order_id)
            if seen is None:
                self._orders[order.order_id] = _Seen(order.status, order.filled_qty)
                continue
            if order.filled_qty < seen.filled or (
                seen.status in NEVER_AGAIN and order.status != seen.status
            ):
                self.broken(
                    "I05 monotone life cycle",
                    f"{order.client_order_id} went from {seen.status} to {order.status}",
                )
            seen.status, seen.filled = order.status, order.filled_qty

    def _judge_exposure(self, state: VenueState) -> None:
        """No short position, no more live sells than shares, one live entry a ticker."""
        for ticker, position in state.positions.items():
            if position.qty < 0 and ticker not in self.outside:
                self.broken("I07 never short", f"{ticker} is short {position.qty}")
        for ticker, working in state.working.items():
            if ticker in self.outside:
                continue
            orders = working.values()
            sells = [one for one in orders if one.side == "sell" and one.status in LIVE_SELLS]
            shares = sum(one.remaining for one in sells)
            if shares > state.held(ticker) and not self._is_of_old_basis(ticker, sells):
                self.broken("I07 never short", f"{ticker}: {shares} sold of {state.held(ticker)}")
            buys = [one for one in orders if one.side == "buy" and _is_ours(one.client_order_id)]
            if len(buys) > 1:
                self.broken("I01 single entry", f"{len(buys)} buys of {ticker} work at once")

    def _is_of_old_basis(self, ticker: str, sells: Sequence[VenueRow]) -> bool:
        days = {exchange_time(one.created_at).date() for one in sells}
        return ticker == self.splitting and self.session not in days

    # -------------------------------------------------------------------------------- the books

    def _judge_books(self) -> None:
        self.judged["books"] += 1
        row = self.raw.execute(
            "SELECT value FROM system_config WHERE key = 'fencing_token'"
        ).fetchone()
        token = 0 if row is None else int(row[0])
        if token < self._token:
            self.broken("I18 single writer", f"the token fell from {self._token} to {token}")
        self._token = token


def _is_ours(client_id: str) -> bool:
    return parse_client_order_id(client_id) is not None
