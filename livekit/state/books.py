"""The broker books: positions, orders, fills.

An order row is written before its request leaves; fills, not statuses, say what was bought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import bindparam, case, func, or_, select, update

from livekit.errors import DuplicateIntent, RecordRefused
from livekit.model import TERMINAL_STATUSES, Candidate, Fill, Order, Position
from livekit.state.gateway import Gateway
from livekit.state.prepared import Prepared, Wanted, given, matches, named, wanting
from livekit.state.tables import fills, orders, positions

__all__ = ["Books", "candidate_columns", "candidate_of"]

_CANDIDATE = ("score", "grade", "grade_source", "report_date", "company_name", "gap_size", "price")
_POSITION = tuple(field.name for field in fields(Position) if field.name != "candidate")
_CHANGEABLE = {*_POSITION, "candidate"} - {"position_id"}
_ORDER = tuple(field.name for field in fields(Order))
_FILL = tuple({"at": "filled_at"}.get(field.name, field.name) for field in fields(Fill))
_DONE = TERMINAL_STATUSES | {"refused", "denied"}
_LEFT_US = ("confirmed", "refused", "unknown")
_COUNTED = ("intended", "confirmed", "unknown")

_Changed = tuple[str, ...]


@cache
def _orders(wanted: Wanted, *, working_only: bool) -> Prepared:
    """Orders in the shape of `Order`."""
    query = select(*(orders.c[name] for name in _ORDER)).where(*matches(orders, wanted))
    if working_only:
        query = query.where(*(orders.c.status != status for status in sorted(_DONE)))
    return Prepared(query.order_by(orders.c.order_id), shape=lambda row: Order(*row))


@cache
def _positions(wanted: Wanted) -> Prepared:
    """Positions in the shape of `Position`, followed by the candidate's columns."""
    columns = [positions.c[name] for name in (*_POSITION, *_CANDIDATE)]
    query = select(*columns).where(*matches(positions, wanted))
    return Prepared(query.order_by(positions.c.position_id), shape=_position)


@cache
def _fills(wanted: Wanted, *, since: bool) -> Prepared:
    """Fills in the shape of `Fill`."""
    query = select(*(fills.c[name] for name in _FILL)).where(*matches(fills, wanted))
    if since:
        query = query.where(fills.c.filled_at >= bindparam("since"))
    by_time = query.order_by(fills.c.filled_at, fills.c.fill_id)
    return Prepared(by_time, shape=lambda row: Fill(*row))


@cache
def _counted(wanted: Wanted) -> Prepared:
    exists = or_(*(orders.c.outcome == outcome for outcome in _COUNTED))
    return Prepared(
        select(func.count()).select_from(orders).where(exists, *matches(orders, wanted))
    )


@cache
def _new_state(columns: _Changed, *, left_us: bool, filled: bool) -> Prepared:
    """What the venue made of an order: a filled quantity only grows, ``sent_at`` is set once."""
    change = update(orders).where(orders.c.client_order_id == bindparam("of"))
    if left_us:
        change = change.values(sent_at=func.coalesce(orders.c.sent_at, bindparam("now", type_=_AT)))
    if filled:
        shown = bindparam("shown", type_=orders.c.filled_qty.type)
        higher = orders.c.filled_qty < shown
        change = change.values(filled_qty=case((higher, shown), else_=orders.c.filled_qty))
    return Prepared(change, columns)


_AT = orders.c.sent_at.type
_LAST_FILL = Prepared(select(fills.c.filled_at).order_by(fills.c.filled_at.desc()).limit(1))


def candidate_columns(candidate: Candidate) -> dict[str, Any]:
    """The candidate's columns in a position row; the ticker has its own."""
    return {name: getattr(candidate, name) for name in _CANDIDATE}


def candidate_of(row: Any) -> Candidate:
    """The candidate in a row that holds `candidate_columns`."""
    values = row._asdict()
    return Candidate(ticker=values["ticker"], **{name: values[name] for name in _CANDIDATE})


class Books(Gateway):
    """``positions``, ``orders`` and ``fills``."""

    # -------------------------------------------------------------------------------- positions

    def add_position(self, p: Position) -> int:
        """Store a position and return its id; one open position per ticker."""
        values = {name: getattr(p, name) for name in _POSITION if name != "position_id"}
        return self._insert(positions, values | candidate_columns(p.candidate))

    def get_position(self, position_id: int) -> Position | None:
        """The position with that id."""
        found = self._positions({"position_id": position_id})
        return found[0] if found else None

    def get_open_positions(self) -> list[Position]:
        """Open positions in the order in which they were stored."""
        return self.get_positions("open")

    def get_positions(self, status: str | None = None) -> list[Position]:
        """Positions in the order in which they were stored."""
        return self._positions(given(status=status))

    def _positions(self, wanted: Mapping[str, Any]) -> list[Position]:
        return list(self._rows(_positions(wanting(wanted)), named(wanted)))

    def update_position(self, position_id: int, **columns: Any) -> None:
        """Change fields of a position; raises `RecordRefused` if it does not exist."""
        unknown = sorted(columns.keys() - _CHANGEABLE)
        if unknown:
            raise RecordRefused(f"position {position_id}", f"has no column {', '.join(unknown)}")
        if candidate := columns.pop("candidate", None):
            columns |= candidate_columns(candidate)
        wanted = {"position_id": position_id}
        self._update_one(positions, wanted, columns, f"position {position_id}")

    def close_position(
        self,
        position_id: int,
        *,
        exit_date: date,
        exit_price: Decimal,
        exit_reason: str,
        pnl: Decimal,
        return_pct: float,
    ) -> None:
        """Close an open position; raises `RecordRefused` if it is not open."""
        values = {
            "status": "closed",
            "exit_date": exit_date,
            "exit_price": exit_price,
            "exit_reason": exit_reason,
            "pnl": pnl,
            "return_pct": return_pct,
        }
        wanted = {"position_id": position_id, "status": "open"}
        self._update_one(positions, wanted, values, f"open position {position_id}")

    # ----------------------------------------------------------------------------------- orders

    def add_order(self, o: Order, *, at: datetime) -> int:
        """Store an intent and return its row's id; raises `DuplicateIntent` if its id is known."""
        values = {name: getattr(o, name) for name in _ORDER if name != "order_id"}
        values |= {"created_at": at, "updated_at": at}
        try:
            return self._insert(orders, values)
        except RecordRefused as error:
            if self.get_order_by_client_id(o.client_order_id) is None:
                raise
            raise DuplicateIntent(o.client_order_id) from error

    def get_order_by_client_id(self, client_order_id: str) -> Order | None:
        """The order with that client order id."""
        return self._order({"client_order_id": client_order_id})

    def get_order_by_alpaca_id(self, alpaca_order_id: str) -> Order | None:
        """The order with that id at the venue."""
        return self._order({"alpaca_order_id": alpaca_order_id})

    def _order(self, wanted: Mapping[str, Any]) -> Order | None:
        found: Order | None = self._row(_orders(wanting(wanted), working_only=False), named(wanted))
        return found

    def update_order_status(
        self,
        client_order_id: str,
        status: str,
        *,
        at: datetime,
        outcome: str | None = None,
        filled_qty: int | None = None,
        filled_avg_price: Decimal | None = None,
        alpaca_order_id: str | None = None,
    ) -> None:
        """Store what the venue made of an order; what is None stays as it is.

        A filled quantity never falls: a stale answer that names less leaves it. The first outcome
        that shows the request has left sets ``sent_at``. Raises `RecordRefused` for an unknown id.
        """
        values: dict[str, Any] = {"status": status, "updated_at": at}
        values |= given(
            outcome=outcome, filled_avg_price=filled_avg_price, alpaca_order_id=alpaca_order_id
        )
        left_us, filled = outcome in _LEFT_US, filled_qty is not None
        change = _new_state(tuple(values), left_us=left_us, filled=filled)
        values |= {"of": client_order_id}
        values |= {"now": at} if left_us else {}
        values |= {"shown": filled_qty} if filled else {}
        if self._execute(change, values) != 1:
            raise RecordRefused(f"order {client_order_id}", "there is no such row")

    def link_order(self, client_order_id: str, position_id: int) -> None:
        """Say which position an order belongs to; raises `RecordRefused` for an unknown order."""
        self._change_order(client_order_id, {"position_id": position_id})

    def adjust_order(
        self, client_order_id: str, *, quantity: int, stop_price: Decimal | None, at: datetime
    ) -> None:
        """Take over what a split made of a resting order; raises `RecordRefused` if unknown."""
        values = {"quantity": quantity, "stop_price": stop_price, "updated_at": at}
        self._change_order(client_order_id, values)

    def _change_order(self, client_order_id: str, values: Mapping[str, Any]) -> None:
        wanted = {"client_order_id": client_order_id}
        self._update_one(orders, wanted, values, f"order {client_order_id}")

    def get_orders(
        self,
        *,
        trade_date: date | None = None,
        ticker: str | None = None,
        intent: str | None = None,
        position_id: int | None = None,
        working_only: bool = False,
    ) -> list[Order]:
        """Orders as they were intended; ``working_only`` leaves out those that are final."""
        wanted = given(trade_date=trade_date, ticker=ticker, intent=intent, position_id=position_id)
        query = _orders(wanting(wanted), working_only=working_only)
        return list(self._rows(query, named(wanted)))

    def get_daily_order_count(self, trade_date: date, intent: str | None = None) -> int:
        """Orders of a trade date that exist at the venue or may; refused and denied ones do not."""
        wanted = given(trade_date=trade_date, intent=intent)
        return int(self._scalar(_counted(wanting(wanted)), named(wanted)))

    # ------------------------------------------------------------------------------------ fills

    def add_fill(self, f: Fill) -> bool:
        """Store a fill; False when its activity is known already."""
        values = {
            "activity_id": f.activity_id,
            "client_order_id": f.client_order_id,
            "ticker": f.ticker,
            "side": f.side,
            "quantity": f.quantity,
            "price": f.price,
            "filled_at": f.at,
            "position_id": f.position_id,
        }
        with self.transaction():
            if self._find(fills, {"activity_id": f.activity_id}):
                return False
            self._insert(fills, values)
            return True

    def assign_fill(self, activity_id: str, position_id: int) -> None:
        """Say which position a stored fill belongs to, where that was not known at first."""
        wanted = {"activity_id": activity_id, "position_id": None}
        what = f"unassigned fill {activity_id}"
        self._update_one(fills, wanted, {"position_id": position_id}, what)

    def get_fills(
        self,
        *,
        position_id: int | None = None,
        client_order_id: str | None = None,
        since: datetime | None = None,
    ) -> list[Fill]:
        """Fills by time; ``since`` is included."""
        wanted = given(position_id=position_id, client_order_id=client_order_id)
        query = _fills(wanting(wanted), since=since is not None)
        return list(self._rows(query, named(wanted) | given(since=since)))

    def last_fill_at(self) -> datetime | None:
        """The instant of the latest fill."""
        found: datetime | None = self._scalar(_LAST_FILL)
        return found


def _position(row: Any) -> Position:
    own = dict(zip(_POSITION, row, strict=False))
    candidate = dict(zip(_CANDIDATE, row[len(_POSITION) :], strict=True))
    return Position(candidate=Candidate(ticker=own["ticker"], **candidate), **own)
