"""What changed in the executed book since the previous session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from livekit.model import Break, Order, Position
from livekit.sessions import previous_session
from livekit.state import Alert, StateDB
from livekit.trading.phases import BROKER
from livekit.workbench.tables import NOTHING, Column, Row, Table, Tone, price, usd

__all__ = ["Changes", "StopMove", "changes_since", "changes_table"]


@dataclass(frozen=True, slots=True)
class StopMove:
    """A protective stop of a position that was held before: its price then and now."""

    ticker: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Changes:
    """The books of one session against those after the session before it.

    ``equity_from`` and ``equity_to`` are the sessions of the last two values of the broker's book,
    None while there are not two.
    """

    session: date
    previous: date
    opened: tuple[Position, ...]
    closed: tuple[Position, ...]
    stops: tuple[StopMove, ...]
    alerts: tuple[Alert, ...]
    breaks: tuple[Break, ...]
    equity_usd: Decimal | None = None
    equity_from: date | None = None
    equity_to: date | None = None


def changes_since(db: StateDB, session: date) -> Changes:
    """What the books of ``session`` hold that those of the previous session did not."""
    previous = previous_session(session)
    positions = db.get_positions()
    held = [item for item in positions if item.entry_date < session and item.status == "open"]
    points = [point for point in db.get_equity(BROKER) if point.session <= session][-2:]
    values = [point.equity for point in points if point.equity is not None]
    known = len(values) == 2
    return Changes(
        session=session,
        previous=previous,
        opened=tuple(item for item in positions if item.entry_date == session),
        closed=tuple(item for item in positions if item.exit_date == session),
        stops=tuple(_moves(held, db.get_orders(), session)),
        alerts=tuple(
            alert
            for alert in db.get_alerts()
            if previous < alert.session <= session and alert.severity != "info"
        ),
        breaks=tuple(db.open_breaks()),
        equity_usd=values[1] - values[0] if known else None,
        equity_from=points[0].session if known else None,
        equity_to=points[1].session if known else None,
    )


def _moves(held: list[Position], orders: list[Order], session: date) -> list[StopMove]:
    """Stops whose last order of the session has another price than the last one before."""
    moves = []
    for position in held:
        stops = [
            order
            for order in orders
            if order.ticker == position.ticker
            and order.stop_price is not None
            and order.trade_date >= position.entry_date
        ]
        before = [order.stop_price for order in stops if order.trade_date < session]
        now = [order.stop_price for order in stops if order.trade_date == session]
        if before and now and before[-1] and now[-1] and before[-1] != now[-1]:
            moves.append(StopMove(position.ticker, before[-1], now[-1]))
    return moves


# --------------------------------------------------------------------------------------- showing


def changes_table(changes: Changes) -> Table:
    """One row a change, trouble first; empty when nothing changed."""
    rows = (
        *(_alert_row(alert) for alert in changes.alerts),
        *(
            _row("open break", item.ticker, f"{item.kind}: {item.facts}", "bad")
            for item in changes.breaks
        ),
        *(_row("opened", item.ticker, _bought(item)) for item in changes.opened),
        *(_row("closed", item.ticker, _sold(item)) for item in changes.closed),
        *(
            _row("stop moved", item.ticker, f"{price(item.before)} to {price(item.after)} USD")
            for item in changes.stops
        ),
        *_equity_rows(changes),
    )
    columns = (Column("what"), Column("ticker"), Column("detail"))
    return Table(f"What changed since {changes.previous}", columns, rows)


def _row(what: str, ticker: str | None, detail: str, tone: Tone = "") -> Row:
    return Row((what, ticker or NOTHING, detail), tone)


def _alert_row(alert: Alert) -> Row:
    tone: Tone = "bad" if alert.severity == "critical" else "warn"
    return _row("alert", None, f"{alert.kind.replace('_', ' ')}: {alert.text}", tone)


def _bought(position: Position) -> str:
    stop = f", stop {price(position.stop_price)}"
    return f"{position.actual_shares} shares at {price(position.entry_price)} USD{stop}"


def _sold(position: Position) -> str:
    return f"{position.exit_reason}, {usd(position.pnl, signed=True)} USD"


def _equity_rows(changes: Changes) -> list[Row]:
    if changes.equity_usd is None:
        return []
    span = f"{changes.equity_from} to {changes.equity_to}"
    return [_row("equity", None, f"{usd(changes.equity_usd, signed=True)} USD, {span}")]
