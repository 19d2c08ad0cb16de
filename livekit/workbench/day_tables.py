"""The tables of a day: positions with cover, orders, trades, breaks, the books' results.

Each function turns frozen values into a `Table`; nothing here computes more than a difference
between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from livekit.model import Break, ClosedTrade, Order, Position
from livekit.trading.break_rules import age_of
from livekit.workbench.series import Curve, drawdown_pct
from livekit.workbench.tables import (
    NOTHING,
    Column,
    Row,
    Table,
    market_price,
    pct,
    price,
    usd,
)

__all__ = [
    "Cover",
    "breaks_table",
    "curves_table",
    "orders_table",
    "positions_table",
    "trades_table",
]

UNSETTLED = {"refused", "denied", "unknown"}

# ------------------------------------------------------------------------------------- positions


@dataclass(frozen=True, slots=True)
class Cover:
    """What protects a position's shares at the venue; the kind is stop, exit or none."""

    ticker: str
    covered_shares: int
    kind: str
    stop_price: Decimal | None = None
    order_id: str = ""


def positions_table(
    positions: Sequence[Position], closes: Sequence[float | None], covers: Sequence[Cover | None]
) -> Table:
    """Open positions: entry, last close, unrealised P&L, stop, cover at the venue, pending exit.

    The entry price is as traded on its session, shares and stop are today's. A cover
    that is None is not known; when none is known the table has no column for it.
    """
    with_cover = any(cover is not None for cover in covers)
    columns = (
        Column("ticker"),
        Column("shares", number=True),
        Column("entry, USD", number=True),
        Column("close, USD", number=True),
        Column("P&L, USD", number=True),
        Column("P&L", number=True),
        Column("stop, USD", number=True),
        *([Column("cover")] if with_cover else []),
        Column("pending exit"),
        Column("entered"),
        Column("grade"),
        Column("score", number=True),
    )
    rows = tuple(
        _position_row(position, close, cover, with_cover=with_cover)
        for position, close, cover in zip(positions, closes, covers, strict=True)
    )
    gains = [_gain(position, close) for position, close in zip(positions, closes, strict=True)]
    return Table(_positions_caption(gains), columns, rows)


def _positions_caption(gains: Sequence[float | None]) -> str:
    known = [gain for gain in gains if gain is not None]
    if not known:
        return "Open positions"
    missing = len(gains) - len(known)
    unknown = f" ({missing} without a price)" if missing else ""
    total = usd(sum(known), signed=True)
    return f"Open positions: {len(gains)}, unrealised P&L {total} USD{unknown}"


def _cost(position: Position) -> float:
    return float(position.entry_price) * (position.actual_shares - position.sold_shares)


def _gain(position: Position, close: float | None) -> float | None:
    """Unrealised P&L in USD; shares and close are today's, the cost is that of the entry."""
    return None if close is None else close * position.shares_now - _cost(position)


def _position_row(
    position: Position, close: float | None, cover: Cover | None, *, with_cover: bool
) -> Row:
    shares, cost, gain = position.shares_now, _cost(position), _gain(position, close)
    score = position.candidate.score
    uncovered = 0 if cover is None else shares - cover.covered_shares
    pending = position.pending_reason
    cells = (
        position.ticker,
        str(shares),
        price(position.entry_price),
        market_price(close),
        usd(gain, signed=True),
        pct(None if gain is None or not cost else gain / cost * 100.0),
        market_price(float(position.stop_price)),
        *((_cover_text(cover, uncovered),) if with_cover else ()),
        f"{pending} since {position.pending_since}" if pending else NOTHING,
        str(position.entry_date),
        position.candidate.grade,
        NOTHING if score is None else f"{score:.1f}",
    )
    return Row(cells, "bad" if uncovered > 0 else "warn" if pending else "")


def _cover_text(cover: Cover | None, uncovered: int) -> str:
    if cover is None:
        return "not known"
    if cover.covered_shares == 0:
        return f"NONE: {uncovered} shares uncovered"
    at = f" at {price(cover.stop_price)}" if cover.stop_price is not None else ""
    text = f"{cover.kind}{at} for {cover.covered_shares}"
    return f"{text}, {uncovered} UNCOVERED" if uncovered > 0 else text


# ------------------------------------------------------------------------------------- the books


def orders_table(orders: Sequence[Order], caption: str) -> Table:
    """Orders of ours, what was filled, and the fill against the price that was planned."""
    columns = (
        Column("ticker"),
        Column("order"),
        Column("shares", number=True),
        Column("filled", number=True),
        Column("fill, USD", number=True),
        Column("against reference", number=True),
        Column("status"),
        Column("reason"),
        Column("client order id"),
    )
    return Table(caption, columns, tuple(_order_row(order) for order in orders))


def _order_row(order: Order) -> Row:
    slip = None
    if order.filled_avg_price is not None and order.reference_price:
        slip = float(order.filled_avg_price / order.reference_price - 1) * 100.0
    trigger = f" at {price(order.stop_price)}" if order.order_type == "stop" else ""
    cells = (
        order.ticker,
        f"{order.intent}: {order.side} {order.order_type}{trigger} {order.time_in_force}",
        str(order.quantity),
        str(order.filled_qty),
        price(order.filled_avg_price),
        NOTHING if slip is None else f"{slip:+.2f} %",
        order.status,
        order.reason or NOTHING,
        order.client_order_id,
    )
    failed = order.status in {"rejected", "expired"} or order.outcome in UNSETTLED
    return Row(cells, "warn" if failed else "")


def trades_table(trades: Sequence[ClosedTrade], caption: str) -> Table:
    """Finished trades with their result, added up in the caption."""
    columns = (
        Column("ticker"),
        Column("reason"),
        Column("P&L, USD", number=True),
        Column("P&L", number=True),
        Column("shares", number=True),
        Column("entered"),
        Column("entry, USD", number=True),
        Column("left"),
        Column("exit, USD", number=True),
        Column("grade"),
    )
    if trades:
        count = f"{len(trades)} trade{'s' if len(trades) > 1 else ''}"
        total = usd(sum(trade.pnl_usd for trade in trades), signed=True)
        caption = f"{caption}: {count}, P&L {total} USD"
    return Table(caption, columns, tuple(_trade_row(trade) for trade in trades))


def _trade_row(trade: ClosedTrade) -> Row:
    return Row(
        (
            trade.ticker,
            trade.exit_reason,
            usd(trade.pnl_usd, signed=True),
            pct(trade.return_pct),
            str(trade.shares),
            str(trade.entry_session),
            price(trade.entry_price),
            str(trade.exit_session),
            price(trade.exit_price),
            trade.candidate.grade,
        )
    )


def breaks_table(breaks: Sequence[Break], now: datetime) -> Table:
    """Differences between our books and the broker's: number, age, and what is proposed.

    ``now`` (aware) is the instant up to which an open one has its age.
    """
    columns = (
        Column("break"),
        Column("age"),
        Column("kind"),
        Column("ticker"),
        Column("facts"),
        Column("proposal"),
        Column("status"),
    )
    rows = tuple(
        Row(
            (
                NOTHING if item.break_id is None else str(item.break_id),
                age_of(item, now) or NOTHING,
                item.kind,
                item.ticker or NOTHING,
                item.facts,
                item.proposal or NOTHING,
                item.resolution or item.status,
            ),
            "bad" if item.status == "open" else "",
        )
        for item in breaks
    )
    return Table("Breaks between our books and the broker's", columns, rows)


# ------------------------------------------------------------------------------------ comparison


def curves_table(curves: Sequence[Curve], *, base_usd: float) -> Table:
    """The last P&L and the deepest drawdown of each book."""
    columns = (
        Column("book"),
        Column("sessions", number=True),
        Column("P&L, USD", number=True),
        Column("P&L of capital", number=True),
        Column("deepest drawdown", number=True),
    )
    rows = tuple(_curve_row(curve, base_usd) for curve in curves)
    return Table(f"Result on a capital of {usd(base_usd)} USD", columns, rows)


def _curve_row(curve: Curve, base_usd: float) -> Row:
    if not curve.sessions:
        return Row((curve.name, "0", NOTHING, NOTHING, NOTHING))
    last = float(curve.pnl_usd[-1])
    deepest = float(drawdown_pct(curve.pnl_usd, base_usd).min())
    cells = (
        curve.name,
        str(len(curve.sessions)),
        usd(last, signed=True),
        f"{last / base_usd * 100.0:+.2f} %",
        f"{deepest:.2f} %",
    )
    return Row(cells)
