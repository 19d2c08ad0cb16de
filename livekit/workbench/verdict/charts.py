"""The charts of the comparison: waterfall of the attribution, pairs of exits, sensitivity.

In the style of `livekit.workbench.charts`: no template, no fonts, a description as ``meta``, and a
colour never the only mark.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from livekit.comparison.attribution import Attribution
from livekit.comparison.decision import Interval, Sensitivity
from livekit.comparison.twins import Pair
from livekit.workbench.charts import BLUE, CANDLE, GREEN, ORANGE, VERMILION, Chart

__all__ = ["pairs_chart", "sensitivity_chart", "waterfall_chart"]

_SMALL = 0.25  # of the books themselves: smaller differences get an axis of their own
_LEGEND = {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"}


def _layout(title: str, height: int, meta: str) -> dict[str, Any]:
    return {
        "title": {"text": html.escape(title, quote=False), "x": 0, "font": {"size": 15}},
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
        "legend": _LEGEND,
        "hovermode": "closest",
        "dragmode": False,
        "meta": meta,
    }


def _axis(title: str, numbers: str) -> dict[str, Any]:
    return {
        "title": {"text": html.escape(title, quote=False)},
        "hoverformat": numbers,
        "automargin": True,
        "zeroline": True,
    }


# ------------------------------------------------------------------------------------- waterfall


def waterfall_chart(attribution: Attribution, names: tuple[str, str]) -> Chart:
    """From one book's P&L to the other's by cause; causes without a share are left out.

    ``names`` are those of the book that is begun with and of the one that is reached.
    """
    parts = [(part.cause, part.usd) for part in attribution.totals if part.usd]
    if attribution.rest_usd:
        parts.append(("rest without a cause", attribution.rest_usd))
    begin, end = attribution.backtest_usd, attribution.live_usd
    steps = [(names[0], begin, Decimal(0), CANDLE)]
    reached = begin
    for cause, usd in parts:
        steps.append((cause, usd, reached, GREEN if usd > 0 else VERMILION))
        reached += usd
    steps.append((names[1], end, Decimal(0), CANDLE))
    meta = (
        f"From {names[0]} {begin:+,.2f} USD to {names[1]} {end:+,.2f} USD: "
        + (", ".join(f"{cause} {usd:+,.2f}" for cause, usd in parts) or "no difference")
        + "."
    )
    layout = _layout(f"From {names[0]} to {names[1]}", 360, meta) | {
        "xaxis": {"type": "category", "automargin": True},
        "yaxis": _axis("P&L, USD", ",.2f") | _window(begin, end, [usd for _, usd in parts]),
        "showlegend": False,
    }
    return Chart((_bars(steps),), layout)


def _window(begin: Decimal, end: Decimal, parts: Sequence[Decimal]) -> dict[str, Any]:
    """The range that the steps take, where bars from zero would leave them too small to see."""
    levels = [begin, end]
    for usd in parts:
        levels.append(levels[-1] + usd if len(levels) > 2 else begin + usd)
    low, high = float(min(levels)), float(max(levels))
    if not high - low > 0 or high - low > _SMALL * max(abs(low), abs(high)):
        return {}
    room = 0.25 * (high - low)
    return {"range": [low - room, high + room]}


def _bars(steps: Sequence[tuple[str, Decimal, Decimal, str]]) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": "USD",
        "x": [html.escape(name, quote=False) for name, *_ in steps],
        "y": [float(usd) for _, usd, *_ in steps],
        "base": [float(base) for _, _, base, _ in steps],
        "text": [f"{usd:+,.2f}" for _, usd, *_ in steps],
        "textposition": "outside",
        "cliponaxis": False,
        "hoverinfo": "x+text",
        "marker": {"color": [colour for *_, colour in steps]},
    }


# ----------------------------------------------------------------------------------------- pairs


def pairs_chart(pairs: Sequence[Pair], names: tuple[str, str]) -> Chart:
    """The same entry under two exits: return of the primary across, of the shadow upwards."""
    divergent = [pair for pair in pairs if pair.is_divergent]
    equal = [pair for pair in pairs if not pair.is_divergent]
    returns = [value for pair in pairs for value in pair_returns(pair)]
    ends = [round(min(returns, default=0.0), 1), round(max(returns, default=0.0), 1)]
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "both alike",
        "x": ends,
        "y": ends,
        "line": {"color": CANDLE, "dash": "dot", "width": 1},
        "hoverinfo": "skip",
    }
    traces = (
        line,
        _points(equal, f"left together ({len(equal)})", CANDLE, "circle-open"),
        _points(divergent, f"left apart ({len(divergent)})", BLUE, "circle"),
    )
    meta = (
        f"{len(pairs)} entries that both books made, {len(divergent)} of them left on different "
        "sessions or by one book only."
    )
    layout = _layout("Same entry, two exits", 400, meta) | {
        "xaxis": _axis(f"{names[0]}, return %", ".1f"),
        "yaxis": _axis(f"{names[1]}, return %", ".1f"),
    }
    return Chart(tuple(trace for trace in traces if trace["x"]), layout)


def pair_returns(pair: Pair) -> tuple[float, float]:
    """Profit of both sides in percent of what the entry cost."""
    primary, shadow = (
        100 * side.profit_usd / (side.entry_price * side.shares)
        for side in (pair.primary, pair.shadow)
    )
    return primary, shadow


def _points(pairs: Sequence[Pair], name: str, colour: str, symbol: str) -> dict[str, Any]:
    returns = [pair_returns(pair) for pair in pairs]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [round(primary, 1) for primary, _ in returns],
        "y": [round(shadow, 1) for _, shadow in returns],
        "text": [
            html.escape(f"{pair.primary.ticker} {pair.primary.entry_session}", quote=False)
            for pair in pairs
        ],
        "marker": {"symbol": symbol, "size": 8, "color": colour},
    }


# ----------------------------------------------------------------------------------- sensitivity


def sensitivity_chart(
    value: float, interval: Interval | None, others: Sequence[Sensitivity], needed: float
) -> Chart:
    """The difference in percent of the base under other choices, each with its interval."""
    rows = [Sensitivity("as registered", value, interval), *others]
    names = [html.escape(row.name, quote=False) for row in rows]
    ends = [row.interval or Interval(row.value, row.value, "") for row in rows]
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": "difference",
        "x": [round(row.value, 2) for row in rows],
        "y": names,
        "marker": {"size": 10, "color": BLUE, "symbol": "diamond"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [round(max(0.0, end.high - row.value), 2) for row, end in _both(rows, ends)],
            "arrayminus": [
                round(max(0.0, row.value - end.low), 2) for row, end in _both(rows, ends)
            ],
            "color": BLUE,
        },
    }
    mark = {
        "type": "scatter",
        "mode": "lines",
        "name": f"needed: {needed:+g} %",
        "x": [needed, needed],
        "y": [names[0], names[-1]],
        "line": {"color": ORANGE, "dash": "dash", "width": 2},
    }
    meta = "Difference of P&L in percent of the base: " + "; ".join(
        f"{row.name} {row.value:+.2f}" for row in rows
    )
    layout = _layout("Sensitivity of the P&L difference", 320, f"{meta}.") | {
        "xaxis": _axis("shadow − primary, % of the base", "+.2f"),
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
    }
    return Chart((points, mark), layout)


def _both(
    rows: Sequence[Sensitivity], ends: Sequence[Interval]
) -> list[tuple[Sensitivity, Interval]]:
    return list(zip(rows, ends, strict=True))
