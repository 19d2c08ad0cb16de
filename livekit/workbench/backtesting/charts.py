"""The charts of a backtest: its curve, all trades at once, single trades on their candles."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from livekit.backtest.results import BacktestResult
from livekit.config import LiveConfig
from livekit.model import (
    END_OF_DATA,
    MAX_HOLDING,
    PROTECTIVE_STOP,
    ROTATED_OUT,
    TREND_BREAK,
    ClosedTrade,
    DailyBars,
)
from livekit.strategy.rules import protective_stop_price
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator
from livekit.workbench.charts import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    Chart,
    ExitMark,
    chart_layout,
    position_figure,
    profit_curves,
    value_axis,
)
from livekit.workbench.series import Curve, price_view

__all__ = ["equity_chart", "scatter_chart", "trade_chart"]

SESSIONS_BEFORE, SESSIONS_AFTER = 25, 10
_REASONS = (
    (TREND_BREAK, BLUE, "circle"),
    (PROTECTIVE_STOP, VERMILION, "x"),
    (ROTATED_OUT, ORANGE, "diamond"),
    (MAX_HOLDING, PURPLE, "square"),
    (END_OF_DATA, GREEN, "triangle-up"),
)


def equity_chart(result: BacktestResult) -> Chart:
    """P&L of the book above, its drawdown below; spans of years are drawn weekly."""
    curve = result.recording.curve()
    nobody = Curve("", (), np.empty(0))
    return profit_curves(
        Curve(result.strategy, curve.sessions, curve.pnl_usd),
        nobody,
        nobody,
        base_usd=result.capital_usd,
        title=f"{result.strategy}: P&L and drawdown",
    )


def scatter_chart(trades: Sequence[ClosedTrade]) -> Chart:
    """Return of each trade over the session it entered on, marked by the reason of its exit."""
    traces = [
        _points([trade for trade in trades if trade.exit_reason == reason], reason, colour, symbol)
        for reason, colour, symbol in _REASONS
    ]
    title = "Return of each trade by its entry"
    meta = _scatter_description(trades)
    layout = chart_layout(title, 380, meta, hovermode="closest") | {
        "xaxis": {"type": "date", "automargin": True},
        "yaxis": value_axis("return, %", ".1f"),
    }
    return Chart(tuple(trace for trace in traces if trace["x"]), layout)


def _points(trades: Sequence[ClosedTrade], reason: str, colour: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{reason} ({len(trades)})",
        "x": [trade.entry_session.isoformat() for trade in trades],
        "y": [round(trade.return_pct, 1) for trade in trades],
        "text": [html.escape(trade.ticker, quote=False) for trade in trades],
        "marker": {"symbol": symbol, "size": 7, "color": colour, "opacity": 0.75},
    }


def _scatter_description(trades: Sequence[ClosedTrade]) -> str:
    if not trades:
        return "Return of each trade: there are no trades."
    returns = [trade.return_pct for trade in trades]
    return (
        f"Returns of {len(trades)} trades by entry session, from {min(returns):.1f} % "
        f"to {max(returns):.1f} %."
    )


# --------------------------------------------------------------------------------- single trades


def trade_chart(
    trade: ClosedTrade, bars: DailyBars, strategy: str, config: LiveConfig, adjustment: str
) -> Chart:
    """One trade on the candles around it, with both indicators, stop, entry and exit.

    Prices are adjusted to the last session shown; the stop is right from the exit on and, where
    dividends were paid in between, a little high before. The other indicator is the configured one.
    """
    begin, end = bars.index_of(trade.entry_session), bars.until(trade.exit_session)
    first = max(0, begin - SESSIONS_BEFORE)
    known = bars.sliced(0, min(len(bars), len(end) + SESSIONS_AFTER))
    weekly = aggregate_daily_to_weekly(known, cut_at=_asked_from(bars))
    periods = _periods(strategy, config)
    view = price_view(
        known,
        weekly,
        indicator(weekly, "weekly_ema", periods[0]),
        indicator(weekly, "weekly_nweek_low", periods[1]),
        shown=len(known) - first,
        names=(f"EMA({periods[0]})", f"NWL({periods[1]})"),
    )
    factor = _basis_change(trade, bars, adjustment)
    stop = protective_stop_price(trade.entry_price, config.stop_loss_pct)
    mark = ExitMark(end.sessions[-1].item(), trade.exit_price / factor, trade.exit_reason)
    return position_figure(
        view,
        entry_session=trade.entry_session,
        entry_price=trade.entry_price,
        stop_price=stop / factor,
        title=f"{trade.ticker}: {trade.pnl_usd:+,.0f} USD, {trade.return_pct:+.1f} %",
        exit_mark=mark,
    )


def _asked_from(bars: DailyBars) -> Any:
    """The day that bars begin on, as if asked from its Monday: no week of theirs is cut."""
    first = bars.sessions[0].item()
    return first - timedelta(days=first.weekday())


def _periods(strategy: str, config: LiveConfig) -> tuple[int, int]:
    """Periods of the EMA and of the low: the strategy's own, the other one as configured."""
    kind, period = config.trailing(strategy)
    configured = (config.primary_strategy, config.shadow_strategy)
    others = dict(config.trailing(name) for name in configured)
    chosen = {"weekly_ema": 10, "weekly_nweek_low": 4} | others | {kind: period}
    return chosen["weekly_ema"], chosen["weekly_nweek_low"]


def _basis_change(trade: ClosedTrade, bars: DailyBars, adjustment: str) -> float:
    """Shares at the exit for one at the entry, as the simulation counted them."""
    begin, end = bars.index_of(trade.entry_session), len(bars.until(trade.exit_session))
    if adjustment == "all":
        adjusted = bars.adj_close / bars.close
        return float(adjusted[end - 1] / adjusted[begin])
    return float(np.prod(bars.split_ratio[begin + 1 : end]))
