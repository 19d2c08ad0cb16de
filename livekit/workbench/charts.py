"""Charts from values, as plotly reads them.

Charts carry no template and no fonts: the archive's script holds one for light and one for dark.
What identifies a line is its colour **and** its dash or symbol; the hues are those of Okabe and
Ito (2008), which people with any colour vision tell apart. Candles are neutral, hollow when the
close is above the open. Dates are categories, so that weekends and holidays take no room.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from livekit.model import FloatArray
from livekit.workbench.series import (
    DAILY_CURVE_SESSIONS,
    Curve,
    PriceView,
    drawdown_pct,
    grouped,
    month_ticks,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "Chart",
    "ExitMark",
    "chart_layout",
    "position_figure",
    "profit_curves",
    "value_axis",
]

PLOTLY_MIME = "application/vnd.plotly.v1+json"

CANDLE = "#808a94"
BLUE = "#0b7fc4"
ORANGE = "#e08e00"
VERMILION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#b25f96"

CURVE_STYLES = ((BLUE, "solid"), (ORANGE, "dash"), (PURPLE, "dot"))


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in plotly's own terms: its traces, and its layout with a description as ``meta``."""

    data: tuple[dict[str, Any], ...]
    layout: dict[str, Any]

    def figure(self) -> go.Figure:
        """The chart as plotly's object, which refuses what plotly does not know."""
        import plotly.graph_objects as go  # noqa: PLC0415 - half a second that a page can spare

        return go.Figure(data=list(self.data), layout={**self.layout, "template": {}})

    def bundle(self) -> dict[str, Any]:
        """The mimebundle that notebooks and pages read, with the description as its text."""
        return {
            PLOTLY_MIME: {"data": list(self.data), "layout": self.layout},
            "text/plain": str(self.layout.get("meta", "chart")),
        }


@dataclass(frozen=True, slots=True)
class ExitMark:
    """Where a position left: the session, the price as traded, and the reason."""

    session: date
    price: float
    reason: str


def position_figure(
    view: PriceView,
    *,
    entry_session: date,
    entry_price: float,
    stop_price: float,
    title: str,
    exit_mark: ExitMark | None = None,
) -> Chart:
    """One position: candles, weekly EMA and low, protective stop, entry and exit.

    ``entry_price`` is on the basis of its session, ``stop_price`` on that of the last bar. An
    indicator steps at a week's end to the value known from then on.
    """
    traces = [
        _candles(view),
        _steps(view, view.ema, view.ema_name, (BLUE, "solid")),
        _steps(view, view.nwl, view.nwl_name, (ORANGE, "dash")),
        *_trade_lines(view, entry_session, entry_price, stop_price),
        *([_exit_marker(view, exit_mark)] if exit_mark else []),
    ]
    positions, labels = month_ticks(view.sessions)
    meta = _description(view, entry_session, entry_price, stop_price)
    layout = chart_layout(title, 330, meta) | {
        "xaxis": _date_axis(positions, labels) | {"rangeslider": {"visible": False}},
        "yaxis": {"hoverformat": f".{view.decimals}f", "side": "right", "automargin": True},
    }
    return Chart(tuple(trace for trace in traces if trace), layout)


def chart_layout(
    title: str, height: int, meta: str, *, hovermode: str = "x unified"
) -> dict[str, Any]:
    """What all charts share; ``meta`` is the description for those who cannot see one."""
    return {
        "title": {"text": html.escape(title, quote=False), "x": 0, "font": {"size": 15}},
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        "hovermode": hovermode,
        "dragmode": False,
        "meta": meta,
    }


def value_axis(
    title: str, numbers: str = "", *, domain: tuple[float, float] = (0, 1)
) -> dict[str, Any]:
    """A vertical axis with zero marked; ``numbers`` is the format of a value that is pointed at."""
    return {
        "domain": list(domain),
        "title": {"text": html.escape(title, quote=False)},
        "hoverformat": numbers,
        "automargin": True,
        "zeroline": True,
    }


def _date_axis(positions: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "category",
        "tickvals": list(positions),
        "ticktext": list(labels),
        "automargin": True,
    }


def _rounded(values: FloatArray, decimals: int) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), decimals) for value in values]


def _iso(sessions: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in sessions]


def _candles(view: PriceView) -> dict[str, Any]:
    outline = {"color": CANDLE, "width": 1}
    return {
        "type": "candlestick",
        "name": "day",
        "x": _iso(view.sessions),
        "open": _rounded(view.open, view.decimals),
        "high": _rounded(view.high, view.decimals),
        "low": _rounded(view.low, view.decimals),
        "close": _rounded(view.close, view.decimals),
        "increasing": {"line": outline, "fillcolor": "rgba(0,0,0,0)"},
        "decreasing": {"line": outline, "fillcolor": CANDLE},
        "showlegend": False,
    }


def _steps(
    view: PriceView, values: FloatArray, name: str, style: tuple[str, str]
) -> dict[str, Any] | None:
    """An indicator from its first defined week to the last session shown; None if there is none."""
    known = ~np.isnan(values)
    if not known.any():
        return None
    days = [day for day, is_known in zip(view.week_sessions, known, strict=True) if is_known]
    heights = _rounded(values[known], view.decimals)
    if days[-1] != view.sessions[-1]:
        days.append(view.sessions[-1])
        heights.append(heights[-1])
    line = _line(f"{name} {heights[-1]:.{view.decimals}f}", _iso(days), heights, style)
    return line | {"line": line["line"] | {"shape": "hv"}}


def _line(
    name: str, x: list[str], y: list[float | None], style: tuple[str, str], *, width: float = 2
) -> dict[str, Any]:
    colour, dash = style
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "line": {"color": colour, "dash": dash, "width": width},
    }


def _trade_lines(
    view: PriceView, entry_session: date, entry_price: float, stop_price: float
) -> list[dict[str, Any]]:
    factor = view.factor_on(entry_session)
    start = entry_session if factor is not None else view.sessions[0]
    ends = _iso((start, view.sessions[-1]))
    digits = view.decimals
    stop = _line(f"stop {stop_price:.{digits}f}", ends, [stop_price] * 2, (VERMILION, "dashdot"))
    # a dash at its end, since the line has no length yet on the day of the entry
    dash = {
        "symbol": "line-ew",
        "size": [0, 14],
        "opacity": 1,
        "line": {"color": VERMILION, "width": 2},
    }
    stop |= {"mode": "lines+markers", "marker": dash}
    if factor is None:
        return [stop]
    level = round(entry_price * factor, digits)
    name = f"entry {entry_session} at {entry_price:.{digits}f}"
    entry = _line(name, ends, [level] * 2, (GREEN, "dot"), width=1.5)
    marker = {"symbol": "triangle-up", "size": [13, 0]}
    return [stop, entry | {"mode": "lines+markers", "marker": marker}]


def _exit_marker(view: PriceView, mark: ExitMark) -> dict[str, Any] | None:
    factor = view.factor_on(mark.session)
    if factor is None:
        return None
    return {
        "type": "scatter",
        "mode": "markers",
        "name": html.escape(f"exit {mark.session} at {mark.price:.2f}, {mark.reason}", quote=False),
        "x": [mark.session.isoformat()],
        "y": [round(mark.price * factor, view.decimals)],
        "marker": {"symbol": "x", "size": 11, "color": PURPLE},
    }


def _description(
    view: PriceView, entry_session: date, entry_price: float, stop_price: float
) -> str:
    return (
        f"Daily candles of {view.ticker} from {view.sessions[0]} to {view.sessions[-1]}, "
        f"last close {view.last_close:.2f}; entered {entry_session} at {entry_price:.2f}, "
        f"protective stop {stop_price:.2f}."
    )


# --------------------------------------------------------------------------------------- curves


def profit_curves(
    broker: Curve, primary: Curve, shadow: Curve, *, base_usd: float, title: str
) -> Chart:
    """P&L of broker book, primary twin and shadow twin above, drawdown below.

    ``base_usd`` is the capital that drawdowns are a percentage of. Spans of more than 130 sessions
    are drawn weekly: the week's last P&L and its deepest drawdown.
    """
    styled = [
        (curve, style)
        for curve, style in zip((broker, primary, shadow), CURVE_STYLES, strict=True)
        if curve.sessions
    ]
    long = len({day for curve, _ in styled for day in curve.sessions}) > DAILY_CURVE_SESSIONS
    points = [(_points(curve, base_usd, weekly=long), style) for curve, style in styled]
    days = sorted({day for point, _ in points for day in point.days})
    positions, labels = month_ticks(days)
    axis = _date_axis(positions, labels) | {"anchor": "y2", "categoryarray": _iso(days)}
    meta = _curves_description([curve for curve, _ in styled])
    layout = chart_layout(title, 460, meta) | {
        "xaxis": axis,
        "yaxis": value_axis("P&L, USD", ",.0f", domain=(0.36, 1)),
        "yaxis2": value_axis("drawdown, %", ".2f", domain=(0, 0.28)),
    }
    lines = (line for point, style in points for line in _curve_lines(point, style))
    return Chart(tuple(lines), layout)


@dataclass(frozen=True, slots=True)
class _Points:
    name: str
    days: tuple[date, ...]
    pnl_usd: FloatArray
    drawdown_pct: FloatArray


def _points(curve: Curve, base_usd: float, *, weekly: bool) -> _Points:
    groups = grouped(curve.sessions, weekly=weekly)
    fall = drawdown_pct(curve.pnl_usd, base_usd)
    ends = [group[-1] for group in groups]
    return _Points(
        html.escape(curve.name, quote=False),
        tuple(curve.sessions[end] for end in ends),
        curve.pnl_usd[ends],
        np.array([fall[group].min() for group in groups]),
    )


def _curve_lines(points: _Points, style: tuple[str, str]) -> list[dict[str, Any]]:
    days = _iso(points.days)
    group = {"legendgroup": points.name}
    below = {"yaxis": "y2", "showlegend": False}
    return [
        _line(points.name, days, _rounded(points.pnl_usd, 2), style) | group,
        _line(points.name, days, _rounded(points.drawdown_pct, 2), style, width=1.5)
        | group
        | below,
    ]


def _curves_description(curves: Sequence[Curve]) -> str:
    ends = [f"{curve.name} {float(curve.pnl_usd[-1]):+,.2f} USD" for curve in curves]
    span = f" from {curves[0].sessions[0]} to {curves[0].sessions[-1]}" if curves else ""
    return f"Cumulative P&L and drawdown{span}: {', '.join(ends) or 'no session yet'}."
