"""Charts of the executed book: exposure, P&L by kind of trade, slippage; each with its table."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from livekit.model import Position
from livekit.state import EquityPoint
from livekit.workbench.charts import (
    BLUE,
    ORANGE,
    VERMILION,
    Chart,
    chart_layout,
    value_axis,
)
from livekit.workbench.series import month_ticks
from livekit.workbench.tables import NOTHING, Column, Row, Table, pct, price, usd

__all__ = [
    "FillCost",
    "GroupProfit",
    "exposure_chart",
    "exposure_table",
    "group_profits",
    "profit_chart",
    "profit_table",
    "slippage_chart",
    "slippage_table",
]

LOSS_PATTERN = "/"
LAST_SHOWN = 10


# -------------------------------------------------------------------------------------- exposure


def _invested_usd(point: EquityPoint) -> float | None:
    if point.equity is None or point.cash is None:
        return None
    return float(point.equity - point.cash)


def exposure_chart(points: Sequence[EquityPoint], *, base_usd: float) -> Chart:
    """Market value held after each session as a percentage of ``base_usd``, and positions below.

    ``points`` are those of the broker's book, oldest first, at least one.
    """
    days = [point.session for point in points]
    names = [day.isoformat() for day in days]
    shares = [_share_pct(point, base_usd) for point in points]
    ticks, labels = month_ticks(days)
    axis: dict[str, Any] = {"type": "category", "anchor": "y2", "automargin": True}
    if ticks:
        axis |= {"tickvals": list(ticks), "ticktext": list(labels)}
    filled = {
        "type": "scatter",
        "mode": "lines",
        "name": "invested, % of capital",
        "x": names,
        "y": shares,
        "fill": "tozeroy",
        "line": {"color": BLUE, "width": 2, "shape": "hv"},
    }
    counts = {
        "type": "bar",
        "name": "positions",
        "x": names,
        "y": [point.positions for point in points],
        "yaxis": "y2",
        "marker": {"color": ORANGE},
    }
    meta = _exposure_words(points, shares)
    layout = chart_layout("Exposure of the broker's book", 420, meta) | {
        "xaxis": axis,
        "yaxis": value_axis("invested, %", domain=(0.42, 1)),
        "yaxis2": value_axis("positions", domain=(0, 0.32)),
    }
    return Chart((filled, counts), layout)


def _share_pct(point: EquityPoint, base_usd: float) -> float | None:
    invested = _invested_usd(point)
    return None if invested is None else round(invested / base_usd * 100.0, 2)


def _exposure_words(points: Sequence[EquityPoint], shares: Sequence[float | None]) -> str:
    last, known = points[-1], [share for share in shares if share is not None]
    most = f", at most {max(known):.1f} %" if known else ""
    return (
        f"Share of the capital that is invested, {points[0].session} to {last.session}: "
        f"{pct(shares[-1], signed=False)} in {last.positions} positions at the end{most}."
    )


def exposure_table(points: Sequence[EquityPoint], *, base_usd: float) -> Table:
    """The last ten sessions: market value, its share of the capital, positions, cash."""
    columns = (
        Column("session"),
        Column("invested, USD", number=True),
        Column("of capital", number=True),
        Column("positions", number=True),
        Column("cash, USD", number=True),
    )
    rows = tuple(
        Row(
            (
                point.session.isoformat(),
                usd(_invested_usd(point)),
                pct(_share_pct(point, base_usd), signed=False),
                str(point.positions),
                usd(point.cash),
            )
        )
        for point in reversed(points[-LAST_SHOWN:])
    )
    return Table(f"Exposure, newest first, capital {usd(base_usd)} USD", columns, rows)


# --------------------------------------------------------------------------------- P&L by a kind


@dataclass(frozen=True, slots=True)
class GroupProfit:
    """The closed trades of one kind: how many, how many won, P&L in USD."""

    name: str
    trades: int
    won: int
    pnl_usd: float


def group_profits(
    closed: Sequence[Position], kind: Callable[[Position], str]
) -> tuple[GroupProfit, ...]:
    """Closed positions by kind, in the order of the kinds' names."""
    names = sorted({kind(item) for item in closed})
    return tuple(_group(name, [item for item in closed if kind(item) == name]) for name in names)


def _group(name: str, members: Sequence[Position]) -> GroupProfit:
    results = [float(item.pnl or 0) for item in members]
    return GroupProfit(name, len(members), sum(result > 0 for result in results), sum(results))


def profit_chart(groups: Sequence[GroupProfit], title: str) -> Chart:
    """One bar for each kind; losses differ from gains in colour, pattern and direction."""
    bars = {
        "type": "bar",
        "name": "P&L, USD",
        "x": [html.escape(group.name, quote=False) for group in groups],
        "y": [round(group.pnl_usd, 2) for group in groups],
        "text": [f"{group.pnl_usd:+,.0f}" for group in groups],
        "marker": _gain_marker([group.pnl_usd >= 0 for group in groups]),
    }
    words = "; ".join(
        f"{group.name}: {usd(group.pnl_usd, signed=True)} USD in {group.trades} trades"
        for group in groups
    )
    layout = chart_layout(title, 330, f"{title}: {words}.") | {
        "xaxis": {"type": "category", "automargin": True},
        "yaxis": value_axis("P&L, USD"),
        "showlegend": False,
    }
    return Chart((bars,), layout)


def _gain_marker(gains: Sequence[bool]) -> dict[str, Any]:
    return {
        "color": [BLUE if gain else VERMILION for gain in gains],
        "pattern": {"shape": ["" if gain else LOSS_PATTERN for gain in gains]},
    }


def profit_table(groups: Sequence[GroupProfit], title: str) -> Table:
    """The numbers of `profit_chart`."""
    columns = (
        Column("kind"),
        Column("trades", number=True),
        Column("won", number=True),
        Column("P&L, USD", number=True),
        Column("per trade, USD", number=True),
    )
    rows = tuple(
        Row(
            (
                group.name,
                str(group.trades),
                f"{group.won / group.trades * 100:.0f} %",
                usd(group.pnl_usd, signed=True),
                usd(group.pnl_usd / group.trades, signed=True),
            )
        )
        for group in groups
    )
    return Table(f"{title}, closed trades", columns, rows)


# -------------------------------------------------------------------------------------- slippage


@dataclass(frozen=True, slots=True)
class FillCost:
    """A fill beside the official open of its session; prices in USD as traded."""

    ticker: str
    intent: str
    side: str
    quantity: int
    price: float
    open_usd: float

    @property
    def slippage_pct(self) -> float:
        """How much worse than the open, percent; a fill that was better is negative."""
        worse = self.price - self.open_usd if self.side == "buy" else self.open_usd - self.price
        return worse / self.open_usd * 100.0

    @property
    def cost_usd(self) -> float:
        """What the difference came to for all shares of the fill; a gain is negative."""
        return self.slippage_pct / 100.0 * self.open_usd * self.quantity


def slippage_chart(costs: Sequence[FillCost]) -> Chart:
    """One bar for each fill: percent worse than the open, better ones below zero."""
    bars = {
        "type": "bar",
        "name": "worse than the open, %",
        "x": [f"{number}. {cost.ticker} {cost.intent}" for number, cost in enumerate(costs, 1)],
        "y": [round(cost.slippage_pct, 4) for cost in costs],
        "marker": _gain_marker([cost.slippage_pct <= 0 for cost in costs]),
    }
    total = sum(cost.cost_usd for cost in costs)
    meta = (
        f"Slippage of {len(costs)} fills against the official open; "
        f"together {usd(total, signed=True)} USD, a cost if positive."
    )
    layout = chart_layout("Slippage against the open", 330, meta) | {
        "xaxis": {"type": "category", "automargin": True},
        "yaxis": value_axis("worse than the open, %"),
        "showlegend": False,
    }
    return Chart((bars,), layout)


def slippage_table(costs: Sequence[FillCost]) -> Table:
    """Every fill with its price, the open, the difference in percent and its cost in USD."""
    columns = (
        Column("ticker"),
        Column("order"),
        Column("shares", number=True),
        Column("fill, USD", number=True),
        Column("open, USD", number=True),
        Column("worse than open", number=True),
        Column("cost, USD", number=True),
    )
    rows = tuple(
        Row(
            (
                cost.ticker,
                f"{cost.intent}: {cost.side}",
                str(cost.quantity),
                price(cost.price),
                price(cost.open_usd),
                f"{cost.slippage_pct:+.3f} %",
                usd(cost.cost_usd, signed=True),
            )
        )
        for cost in costs
    )
    total = usd(sum(cost.cost_usd for cost in costs), signed=True) if costs else NOTHING
    return Table(f"Every fill against the official open: cost {total} USD", columns, rows)
