"""What a notebook cell calls: the tables and figures of one part of the day.

Each function shows frozen values and returns nothing. Tables go out as HTML and as plain text,
figures as the raw plotly value with a description, so that the notebook, its page and a terminal
all have something to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from IPython.display import publish_display_data

from livekit.model import (
    Break,
    ClosedTrade,
    DailyBars,
    FloatArray,
    Order,
    Plan,
    Position,
    WeeklyBars,
)
from livekit.workbench.archiving.assets import lab_style
from livekit.workbench.charts import Chart, position_figure, profit_curves
from livekit.workbench.day_tables import (
    Cover,
    breaks_table,
    curves_table,
    orders_table,
    positions_table,
    trades_table,
)
from livekit.workbench.distances import distance_table, position_distance_rows
from livekit.workbench.plan_tables import Approval, entries_table, exits_table, skips_table
from livekit.workbench.series import Curve, PriceView, price_view
from livekit.workbench.tables import Table, exchange_text, facts_table, to_html, to_text

__all__ = [
    "PositionView",
    "show_breaks",
    "show_chart",
    "show_curves",
    "show_facts",
    "show_items",
    "show_orders",
    "show_plan",
    "show_positions",
    "show_settlement",
    "show_style",
    "show_table",
]


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position with what its chart needs; ``bars`` up to the last known session, not empty.

    ``ema`` and ``nwl`` are indicators over ``weekly``. ``bars`` is None when the price source has
    nothing for the ticker: the position then stands in the table without a chart. ``cover`` is
    None when it is not known.
    """

    position: Position
    bars: DailyBars | None
    weekly: WeeklyBars | None = None
    ema: FloatArray | None = None
    nwl: FloatArray | None = None
    cover: Cover | None = None


def show_table(table: Table) -> None:
    """Show one table."""
    publish_display_data({"text/html": to_html(table), "text/plain": to_text(table)})


def show_style() -> None:
    """Give the tables of a notebook that a person has open their alignment and colours."""
    publish_display_data({"text/html": f"<style>{lab_style()}</style>", "text/plain": ""})


def show_chart(chart: Chart) -> None:
    """Show one chart as its raw plotly value."""
    publish_display_data(chart.bundle())


def show_items(items: Iterable[Chart | Table]) -> None:
    """Show charts and tables one after the other."""
    for item in items:
        if isinstance(item, Chart):
            show_chart(item)
        else:
            show_table(item)


def show_facts(caption: str, facts: Iterable[tuple[str, str]]) -> None:
    """Show names and values."""
    show_table(facts_table(caption, facts))


def show_plan(plan: Plan, approvals: Sequence[Approval] | None = None) -> None:
    """Show a plan: its identity, exits, entries with the decision on each, and skips.

    Without ``approvals`` the plan is shown as one that is never executed.
    """
    facts = (
        ("status", plan.status),
        ("expires", exchange_text(plan.expires_at)),
        ("sha256", plan.sha256),
    )
    show_facts(f"Plan of {plan.strategy} for {plan.session}", facts)
    show_table(exits_table(plan, approvals))
    show_table(entries_table(plan, approvals))
    show_table(skips_table(plan))


def show_positions(
    views: Sequence[PositionView], *, names: tuple[str, str] = ("weekly EMA", "N-week low")
) -> None:
    """Show all positions in one table, then a chart and the distances of each.

    ``names`` are those of the two indicators, for example ``("EMA(10)", "NWL(4)")``.
    """
    shown = [(view, _prices(view, names)) for view in views]
    closes = [prices.last_close if prices else None for _, prices in shown]
    positions = [view.position for view in views]
    show_table(positions_table(positions, closes, [view.cover for view in views]))
    for view, prices in shown:
        if prices is not None:
            _show_position(view.position, prices)


def _prices(view: PositionView, names: tuple[str, str]) -> PriceView | None:
    if view.bars is None or view.weekly is None or view.ema is None or view.nwl is None:
        return None
    return price_view(view.bars, view.weekly, view.ema, view.nwl, names=names)


def _show_position(position: Position, prices: PriceView) -> None:
    stop = float(position.stop_price)
    company = position.candidate.company_name
    chart = position_figure(
        prices,
        entry_session=position.entry_date,
        entry_price=float(position.entry_price),
        stop_price=stop,
        title=_title(position.ticker, company),
    )
    rows = position_distance_rows(prices, stop_price=stop, shares=position.shares_now)
    show_chart(chart)
    show_table(distance_table(position.ticker, rows, prices.last_close))


def _title(ticker: str, company: str | None) -> str:
    """Ticker and company, once each."""
    name = company or ticker
    return name if name.split()[:1] == [ticker] else f"{ticker}, {name}"


def show_orders(orders: Sequence[Order], caption: str = "Orders of this session") -> None:
    """Show orders with what was filled at which price."""
    show_table(orders_table(orders, caption))


def show_breaks(breaks: Sequence[Break], now: datetime) -> None:
    """Show the differences between our books and the broker's, as old as they are ``now``."""
    show_table(breaks_table(breaks, now))


def show_settlement(closed: Sequence[ClosedTrade], caption: str) -> None:
    """Show the trades that a book closed."""
    show_table(trades_table(closed, caption))


def show_curves(broker: Curve, primary: Curve, shadow: Curve, *, base_usd: float) -> None:
    """Show P&L and drawdown of the three books, and their last values as a table."""
    title = "Broker's book, twin and shadow"
    show_chart(profit_curves(broker, primary, shadow, base_usd=base_usd, title=title))
    show_table(curves_table((broker, primary, shadow), base_usd=base_usd))
