"""The venue's book read back from its file alone: fills, positions, cash, and the cover of shares.

Nothing of the engine is used: this is the other side of an audit. Positions are the sum of the
fills and splits in the log, cash the opening cash and the fills, and a sell covers shares only
while it is live. ``held`` and ``pending_cancel`` never count, nor does a limit sell, which does not
protect from a fall.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from livekit.errors import BadInput
from livekit.sessions import close_instant, exchange_time, open_instant, sessions_between

__all__ = [
    "LedgerEvent",
    "LedgerFill",
    "UncoveredInterval",
    "VenueLedger",
    "ledger_of",
    "read_ledger",
    "uncovered_intervals",
]

LIVE = frozenset({"new", "accepted", "pending_new", "partially_filled"})
COVERING_TYPES = frozenset({"market", "stop", "stop_limit", "trailing_stop"})


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """One line of the venue's log: an order's facts after it, or a position's."""

    number: int
    at: datetime
    kind: str
    ticker: str
    order_id: str | None = None
    client_order_id: str | None = None
    parent_id: str | None = None
    side: str | None = None
    type: str | None = None
    status: str | None = None
    qty: int | None = None
    filled_qty: int | None = None
    stop_price: Decimal | None = None
    fill_qty: int | None = None
    fill_price: Decimal | None = None
    position: int | None = None
    cash_usd: Decimal | None = None
    amount_usd: Decimal | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerFill:
    """One fill; ``client_order_id`` is the order's own (a leg's was made by the venue)."""

    activity_id: str
    order_id: str
    client_order_id: str
    parent_id: str | None
    ticker: str
    side: str
    quantity: Decimal
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class UncoveredInterval:
    """A time in which fewer live sells than shares existed.

    ``seconds`` counts regular trading hours only, when a price can fall; ``clock_seconds`` is the
    whole length on the venue's clock. ``shares`` is the most that was uncovered at once.
    """

    ticker: str
    start: datetime
    end: datetime
    seconds: float
    shares: int
    clock_seconds: float


@dataclass(frozen=True, slots=True)
class VenueLedger:
    """Everything that the file tells. Cash in USD, positions in shares."""

    clock: datetime
    cash: Decimal
    opening_cash: Decimal
    positions: dict[str, Decimal]
    fills: tuple[LedgerFill, ...]
    events: tuple[LedgerEvent, ...]
    fill_model: str
    seed: str

    @property
    def uncovered(self) -> tuple[UncoveredInterval, ...]:
        """`uncovered_intervals` of the log, up to the venue's clock."""
        return tuple(uncovered_intervals(self.events, self.clock))

    @property
    def cash_from_log(self) -> Decimal:
        """Opening cash, plus sales, less purchases, plus cash in lieu of fractions."""
        cash = self.opening_cash
        for event in self.events:
            cash += event.amount_usd or 0
        return cash

    @property
    def positions_from_log(self) -> dict[str, int]:
        """Shares by ticker as the fills and splits of the log leave them."""
        held: dict[str, int] = {}
        for event in self.events:
            held[event.ticker] = _position_after(event, held.get(event.ticker, 0))
        return {ticker: shares for ticker, shares in held.items() if shares}


def _position_after(event: LedgerEvent, before: int) -> int:
    if event.kind == "filled" and event.fill_qty is not None:
        return before + (event.fill_qty if event.side == "buy" else -event.fill_qty)
    if event.kind in ("split", "renamed", "merged") and event.position is not None:
        return event.position
    return before


# --------------------------------------------------------------------------------------- reading


def read_ledger(path: Path) -> VenueLedger:
    """Read the venue's file, which may be in use; raises `BadInput` if it is none."""
    if not path.is_file():
        raise BadInput(path, "there is no book of the simulated venue")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")  # one snapshot for all tables
            return ledger_of(db)
    except (sqlite3.DatabaseError, KeyError, ValueError, ArithmeticError) as error:
        raise BadInput(path, f"is not a book of the simulated venue ({error})") from error


def ledger_of(db: sqlite3.Connection) -> VenueLedger:
    """Read the venue's book by a connection to it, whose rows are named from now on."""
    db.row_factory = sqlite3.Row
    values = {row["key"]: row["value"] for row in db.execute("SELECT key, value FROM state")}
    held = db.execute("SELECT ticker, qty FROM positions WHERE qty <> 0 ORDER BY ticker")
    return VenueLedger(
        clock=datetime.fromisoformat(values["clock"]),
        cash=Decimal(values["cash_usd"]),
        opening_cash=Decimal(values["opening_cash_usd"]),
        positions={row["ticker"]: Decimal(row["qty"]) for row in held},
        fills=tuple(_fills(db)),
        events=tuple(_event(row) for row in db.execute("SELECT * FROM events ORDER BY number")),
        fill_model=values["fill_model"],
        seed=values["seed"],
    )


def _fills(db: sqlite3.Connection) -> Iterable[LedgerFill]:
    rows = db.execute(
        "SELECT a.activity_id, a.order_id, o.client_order_id, o.parent_id, a.ticker, a.side, "
        "a.qty, a.price, a.at FROM activities a JOIN orders o ON o.order_id = a.order_id "
        "WHERE a.kind = 'FILL' ORDER BY a.number"
    )
    for row in rows:
        yield LedgerFill(
            activity_id=row["activity_id"],
            order_id=row["order_id"],
            client_order_id=row["client_order_id"],
            parent_id=row["parent_id"],
            ticker=row["ticker"],
            side=row["side"],
            quantity=Decimal(row["qty"]),
            price=Decimal(row["price"]),
            at=datetime.fromisoformat(row["at"]),
        )


def _event(row: sqlite3.Row) -> LedgerEvent:
    return LedgerEvent(
        number=row["number"],
        at=datetime.fromisoformat(row["at"]),
        kind=row["kind"],
        ticker=row["ticker"],
        order_id=row["order_id"],
        client_order_id=row["client_order_id"],
        parent_id=row["parent_id"],
        side=row["side"],
        type=row["type"],
        status=row["status"],
        qty=row["qty"],
        filled_qty=row["filled_qty"],
        stop_price=_decimal(row["stop_price"]),
        fill_qty=row["fill_qty"],
        fill_price=_decimal(row["fill_price"]),
        position=row["position"],
        cash_usd=_decimal(row["cash_usd"]),
        amount_usd=_decimal(row["amount_usd"]),
        message=row["message"],
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# ----------------------------------------------------------------------------------------- cover


@dataclass(slots=True)
class _Cover:
    """What is known of a ticker while the log is read; ``since`` is when cover began to lack."""

    held: int
    live: dict[str, int]
    since: datetime | None = None
    most: int = 0

    def take(self, event: LedgerEvent) -> None:
        self.held = _position_after(event, self.held)
        if event.order_id is None or event.side != "sell" or event.qty is None:
            return
        remaining = event.qty - (event.filled_qty or 0)
        live = event.status in LIVE and event.type in COVERING_TYPES
        self.live[event.order_id] = remaining if live else 0

    @property
    def lacking(self) -> int:
        return max(0, self.held - sum(self.live.values()))


def uncovered_intervals(
    events: Sequence[LedgerEvent], until: datetime | None = None
) -> list[UncoveredInterval]:
    """Every time in which the live stops and exits of a ticker were fewer than its shares.

    Computed from the log alone, at every event; changes within one instant are one change, so an
    entry whose stop wakes with the fill is covered at once. An interval that is still open ends at
    ``until`` (the last event by default).
    """
    covers: dict[str, _Cover] = {}
    found: list[UncoveredInterval] = []
    touched: set[str] = set()
    for index, event in enumerate(events):
        cover = covers.setdefault(event.ticker, _Cover(0, {}))
        cover.take(event)
        touched.add(event.ticker)
        following = events[index + 1] if index + 1 < len(events) else None
        if following is None or following.at > event.at:
            found += _judged({name: covers[name] for name in touched}, event.at)
            touched.clear()
    last = until or (events[-1].at if events else None)
    if last is not None:
        found += [_interval(name, cover, last) for name, cover in covers.items() if cover.since]
    return sorted((one for one in found if one.clock_seconds > 0), key=lambda one: one.start)


def _judged(covers: Mapping[str, _Cover], at: datetime) -> list[UncoveredInterval]:
    """The intervals that end with the instant in which these tickers changed."""
    found = []
    for ticker, cover in covers.items():
        lacking = cover.lacking
        if lacking:
            cover.since = cover.since or at
            cover.most = max(cover.most, lacking)
        elif cover.since is not None:
            found.append(_interval(ticker, cover, at))
            cover.since, cover.most = None, 0
    return found


def _interval(ticker: str, cover: _Cover, end: datetime) -> UncoveredInterval:
    start = cover.since or end
    length = (end - start).total_seconds()
    return UncoveredInterval(ticker, start, end, _open_seconds(start, end), cover.most, length)


def _open_seconds(start: datetime, end: datetime) -> float:
    """Seconds of regular trading between two instants."""
    total = 0.0
    for session in sessions_between(exchange_time(start).date(), exchange_time(end).date()):
        first = max(start, open_instant(session))
        last = min(end, close_instant(session))
        total += max(0.0, (last - first).total_seconds())
    return total
