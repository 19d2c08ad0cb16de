"""The executed book as a notebook shows it: slippage, exposure, P&L by kind of trade."""

from __future__ import annotations

from datetime import date, timedelta

from livekit.errors import LivekitError
from livekit.model import Fill
from livekit.sessions import close_instant, open_instant
from livekit.trading.desk import Desk
from livekit.trading.phases import BROKER
from livekit.workbench.book_charts import (
    FillCost,
    exposure_chart,
    exposure_table,
    group_profits,
    profit_chart,
    profit_table,
    slippage_chart,
    slippage_table,
)
from livekit.workbench.charts import Chart
from livekit.workbench.tables import Table, facts_table

__all__ = ["exposure_of", "profits_of", "slippage_of"]

BEFORE_OPEN = timedelta(hours=6)  # no fill of an earlier session is younger


def exposure_of(desk: Desk, session: date) -> tuple[Chart | Table, ...]:
    """What part of the capital was invested after each session."""
    base = desk.config.base_capital_usd
    points = [point for point in desk.db.get_equity(BROKER) if point.session <= session]
    table = exposure_table(points, base_usd=base)
    return (exposure_chart(points, base_usd=base), table) if points else (table,)


def profits_of(desk: Desk, session: date) -> tuple[Chart | Table, ...]:
    """P&L of the closed trades by grade and by exit reason."""
    closed = [
        item
        for item in desk.db.get_positions("closed")
        if item.exit_date is not None and item.exit_date <= session
    ]
    shown: list[Chart | Table] = []
    for title, groups in (
        ("P&L by grade", group_profits(closed, lambda item: item.candidate.grade)),
        ("P&L by exit reason", group_profits(closed, lambda item: item.exit_reason or "unknown")),
    ):
        shown += [profit_chart(groups, title)] if groups else []
        shown.append(profit_table(groups, title))
    return tuple(shown)


def slippage_of(desk: Desk, session: date) -> tuple[Chart | Table, ...]:
    """Every fill of the session against the official open."""
    since, until = open_instant(session) - BEFORE_OPEN, close_instant(session)
    fills = [fill for fill in desk.db.get_fills(since=since) if fill.at <= until]
    try:
        opens = _opens(desk, [fill.ticker for fill in fills], session)
    except LivekitError as error:
        return (facts_table("Slippage is not known", [("because", str(error))]),)
    costs = [
        _cost(fill, _intent(desk, fill), opens[fill.ticker])
        for fill in fills
        if fill.ticker in opens
    ]
    chart = [slippage_chart(costs)] if any(cost.slippage_pct for cost in costs) else []
    return (*chart, slippage_table(costs))


def _intent(desk: Desk, fill: Fill) -> str:
    order = desk.db.get_order_by_client_id(fill.client_order_id)
    return order.intent if order else "unknown"


def _opens(desk: Desk, tickers: list[str], session: date) -> dict[str, float]:
    if not tickers:
        return {}
    bars = desk.prices.daily_bars(sorted(set(tickers)), session, session)
    return {ticker: float(found.open[-1]) for ticker, found in bars.items() if len(found)}


def _cost(fill: Fill, intent: str, open_usd: float) -> FillCost:
    return FillCost(fill.ticker, intent, fill.side, fill.quantity, float(fill.price), open_usd)
