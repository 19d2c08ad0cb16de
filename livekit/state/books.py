"""The broker books: positions, orders, fills.

An order row is written before its request leaves; fills, not statuses, say what was bought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, literal, select

from livekit.errors import DuplicateIntent, RecordRefused
from livekit.model import TERMINAL_STATUSES, Candidate, Fill, Order, Position
from livekit.state.gateway import Gateway
from livekit.state.tables import fills, orders, positions

__all__ = ["Books", "candidate_columns", "candidate_of"]

_CANDIDATE = ("score", "grade", "grade_source", "report_date", "company_name", "gap_size", "price")
_POSITION = tuple(f.name for f in fields(Position) if f.name not in ("candidate", "position_id"))
_ORDER = tuple(field.name for field in fields(Order) if field.name != "order_id")
_DONE = TERMINAL_STATUSES | {"refused", "denied"}
_LEFT_US = ("confirmed", "refused", "unknown")
_COUNTED = ("intended", "confirmed", "unknown")


def candidate_columns(candidate: Candidate) -> dict[str, Any]:
    """The candidate's columns in a position row; the ticker has its own."""
    return {name: getattr(candidate, name) for name in _CANDIDATE}


def candidate_of(row: Row[Any]) -> Candidate:
    """The candidate in a row that holds `candidate_columns`."""
    values = row._asdict()
    return Candidate(ticker=values["ticker"], **{name: values[name] for name in _CANDIDATE})


class Books(Gateway):
    """``positions``, ``orders`` and ``fills``."""

    # -------------------------------------------------------------------------------- positions

    def add_position(self, p: Position) -> int:
        """Store a position and return its id; one open position per ticker."""
        values = {name: getattr(p, name) for name in _POSITION}
        return self._insert(positions, values | candidate_columns(p.candidate))

    def get_position(self, position_id: int) -> Position | None:
        """The position with that id."""
        found = self._positions(positions.c.position_id == position_id)
        return found[0] if found else None

    def get_open_positions(self) -> list[Position]:
        """Open positions in the order in which they were stored."""
        return self.get_positions("open")

    def get_positions(self, status: str | None = None) -> list[Position]:
        """Positions in the order in which they were stored."""
        return self._positions(*([] if status is None else [positions.c.status == status]))

    def _positions(self, *where: ColumnElement[bool]) -> list[Position]:
        query = select(positions).where(*where).order_by(positions.c.position_id)
        return [_position(row) for row in self._rows(query)]

    def update_position(self, position_id: int, **columns: Any) -> None:
        """Change fields of a position; raises `RecordRefused` if it does not exist."""
        unknown = sorted(set(columns) - set(_POSITION) - {"candidate"})
        if unknown:
            raise RecordRefused(f"position {position_id}", f"has no column {', '.join(unknown)}")
        if candidate := columns.pop("candidate", None):
            columns |= candidate_columns(candidate)
        where = positions.c.position_id == position_id
        self._update_one(positions, where, columns, f"position {position_id}")

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
        where = and_(positions.c.position_id == position_id, positions.c.status == "open")
        self._update_one(positions, where, values, f"open position {position_id}")

    # ----------------------------------------------------------------------------------- orders

    def add_order(self, o: Order, *, at: datetime) -> int:
        """Store an intent and return its row's id; raises `DuplicateIntent` if its id is known."""
        values = {name: getattr(o, name) for name in _ORDER} | {"created_at": at, "updated_at": at}
        try:
            return self._insert(orders, values)
        except RecordRefused as error:
            if self.get_order_by_client_id(o.client_order_id) is None:
                raise
            raise DuplicateIntent(o.client_order_id) from error

    def get_order_by_client_id(self, client_order_id: str) -> Order | None:
        """The order with that client order id."""
        return self._order(orders.c.client_order_id == client_order_id)

    def get_order_by_alpaca_id(self, alpaca_order_id: str) -> Order | None:
        """The order with that id at the venue."""
        return self._order(orders.c.alpaca_order_id == alpaca_order_id)

    def _order(self, where: ColumnElement[bool]) -> Order | None:
        row = self._row(select(orders).where(where))
        return None if row is None else _order(row)

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
        values |= _given(
            outcome=outcome, filled_avg_price=filled_avg_price, alpaca_order_id=alpaca_order_id
        )
        if outcome in _LEFT_US:
            values["sent_at"] = func.coalesce(orders.c.sent_at, literal(at, orders.c.sent_at.type))
        if filled_qty is not None:
            higher = orders.c.filled_qty < filled_qty
            values["filled_qty"] = case((higher, filled_qty), else_=orders.c.filled_qty)
        where = orders.c.client_order_id == client_order_id
        self._update_one(orders, where, values, f"order {client_order_id}")

    def link_order(self, client_order_id: str, position_id: int) -> None:
        """Say which position an order belongs to; raises `RecordRefused` for an unknown order."""
        where = orders.c.client_order_id == client_order_id
        self._update_one(orders, where, {"position_id": position_id}, f"order {client_order_id}")

    def adjust_order(
        self, client_order_id: str, *, quantity: int, stop_price: Decimal | None, at: datetime
    ) -> None:
        """Take over what a split made of a resting order; raises `RecordRefused` if unknown."""
        where = orders.c.client_order_id == client_order_id
        values = {"quantity": quantity, "stop_price": stop_price, "updated_at": at}
        self._update_one(orders, where, values, f"order {client_order_id}")

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
        wanted = _given(
            trade_date=trade_date, ticker=ticker, intent=intent, position_id=position_id
        )
        query = _matching(select(orders), orders.c, wanted).order_by(orders.c.order_id)
        if working_only:
            query = query.where(orders.c.status.not_in(sorted(_DONE)))
        return [_order(row) for row in self._rows(query)]

    def get_daily_order_count(self, trade_date: date, intent: str | None = None) -> int:
        """Orders of a trade date that exist at the venue or may; refused and denied ones do not."""
        query = select(func.count()).select_from(orders).where(orders.c.outcome.in_(_COUNTED))
        wanted = _given(trade_date=trade_date, intent=intent)
        return int(self._scalar(_matching(query, orders.c, wanted)))

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
        known = select(fills.c.fill_id).where(fills.c.activity_id == f.activity_id)
        with self.transaction():
            if self._row(known) is not None:
                return False
            self._insert(fills, values)
            return True

    def assign_fill(self, activity_id: str, position_id: int) -> None:
        """Say which position a stored fill belongs to, where that was not known at first."""
        where = and_(fills.c.activity_id == activity_id, fills.c.position_id.is_(None))
        what = f"unassigned fill {activity_id}"
        self._update_one(fills, where, {"position_id": position_id}, what)

    def get_fills(
        self,
        *,
        position_id: int | None = None,
        client_order_id: str | None = None,
        since: datetime | None = None,
    ) -> list[Fill]:
        """Fills by time; ``since`` is included."""
        wanted = _given(position_id=position_id, client_order_id=client_order_id)
        query = _matching(select(fills), fills.c, wanted)
        if since is not None:
            query = query.where(fills.c.filled_at >= since)
        return [
            _fill(row) for row in self._rows(query.order_by(fills.c.filled_at, fills.c.fill_id))
        ]

    def last_fill_at(self) -> datetime | None:
        """The instant of the latest fill."""
        query = select(fills.c.filled_at).order_by(fills.c.filled_at.desc()).limit(1)
        found: datetime | None = self._scalar(query)
        return found


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _matching(query: Select[Any], columns: Any, wanted: Mapping[str, Any]) -> Select[Any]:
    return query.where(*(columns[name] == value for name, value in wanted.items()))


def _position(row: Row[Any]) -> Position:
    values = row._asdict()
    return Position(
        candidate=candidate_of(row),
        position_id=values["position_id"],
        **{name: values[name] for name in _POSITION},
    )


def _order(row: Row[Any]) -> Order:
    values = row._asdict()
    return Order(order_id=values["order_id"], **{name: values[name] for name in _ORDER})


def _fill(row: Row[Any]) -> Fill:
    return Fill(
        activity_id=row.activity_id,
        client_order_id=row.client_order_id,
        ticker=row.ticker,
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        at=row.filled_at,
        position_id=row.position_id,
    )
