"""What the runner adds to a page beside the cells: changes, slippage, exposure, P&L by kind."""

from __future__ import annotations

from datetime import date, timedelta

from livekit.errors import LivekitError
from livekit.model import Fill
from livekit.sessions import close_instant, open_instant
from livekit.trading.desk import Desk
from livekit.trading.phases import BROKER, COMPARISON, RECONCILIATION
from livekit.workbench.archiving.changes import changes_since, changes_table
from livekit.workbench.archiving.page import Section
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
from livekit.workbench.tables import facts_table

__all__ = ["page_sections"]

BEFORE_OPEN = timedelta(hours=6)  # no fill of an earlier session is younger


def page_sections(desk: Desk, phase: str, session: date) -> tuple[Section, ...]:
    """The sections of a phase's page, from the books as they are when it has ended."""
    changed = changes_table(changes_since(desk.db, session))
    first = Section("Since the previous session", (changed,), first=True)
    more = {RECONCILIATION: _slippage, COMPARISON: _result}.get(phase)
    return (first, *(more(desk, session) if more else ()))


def _result(desk: Desk, session: date) -> tuple[Section, ...]:
    """Exposure over time, and P&L of the closed trades by grade and by exit reason."""
    points = [point for point in desk.db.get_equity(BROKER) if point.session <= session]
    closed = [
        item
        for item in desk.db.get_positions("closed")
        if item.exit_date is not None and item.exit_date <= session
    ]
    base = desk.config.base_capital_usd
    sections = []
    if points:
        shown = (exposure_chart(points, base_usd=base), exposure_table(points, base_usd=base))
        sections.append(Section("Exposure", shown))
    if closed:
        grades = group_profits(closed, lambda item: item.candidate.grade)
        reasons = group_profits(closed, lambda item: item.exit_reason or "unknown")
        sections.append(
            Section(
                "Where the profit comes from",
                (
                    profit_chart(grades, "P&L by grade"),
                    profit_table(grades, "P&L by grade"),
                    profit_chart(reasons, "P&L by exit reason"),
                    profit_table(reasons, "P&L by exit reason"),
                ),
            )
        )
    return tuple(sections)


def _slippage(desk: Desk, session: date) -> tuple[Section, ...]:
    """Every fill of the session against the official open."""
    since, until = open_instant(session) - BEFORE_OPEN, close_instant(session)
    fills = [fill for fill in desk.db.get_fills(since=since) if fill.at <= until]
    if not fills:
        return ()
    try:
        opens = _opens(desk, [fill.ticker for fill in fills], session)
    except LivekitError as error:
        facts = facts_table("Slippage is not known", [("because", str(error))])
        return (Section("Slippage", (facts,)),)
    costs = [
        _cost(fill, _intent(desk, fill), opens[fill.ticker])
        for fill in fills
        if fill.ticker in opens
    ]
    chart = [slippage_chart(costs)] if any(cost.slippage_pct for cost in costs) else []
    return (Section("Slippage", (*chart, slippage_table(costs))),)


def _intent(desk: Desk, fill: Fill) -> str:
    order = desk.db.get_order_by_client_id(fill.client_order_id)
    return order.intent if order else "unknown"


def _opens(desk: Desk, tickers: list[str], session: date) -> dict[str, float]:
    bars = desk.prices.daily_bars(sorted(set(tickers)), session, session)
    return {ticker: float(found.open[-1]) for ticker, found in bars.items() if len(found)}


def _cost(fill: Fill, intent: str, open_usd: float) -> FillCost:
    return FillCost(fill.ticker, intent, fill.side, fill.quantity, float(fill.price), open_usd)
