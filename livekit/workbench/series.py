"""Prices, indicators and curves on the basis that a chart shows.

Stored bars are as traded, weekly bars are adjusted, a stop stands on today's basis and an entry
price on the basis of its entry session. A chart needs one basis: **the last session shown**. With
the adjustment factor ``f = adj_close / close`` of a session, anything dated t is multiplied by
``f_t / f_last`` and anything adjusted by ``1 / f_last``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from livekit.model import DailyBars, FloatArray, SessionArray, WeeklyBars

__all__ = ["Curve", "PriceView", "drawdown_pct", "grouped", "month_ticks", "price_view"]

SHOWN_SESSIONS = 120
DAILY_CURVE_SESSIONS = 130
ROOM_FOR_A_LABEL = 8


@dataclass(frozen=True, slots=True)
class PriceView:
    """What one position's chart shows; prices in USD on the basis of the last session.

    ``sessions`` and ``open`` to ``close`` have one length, ``week_sessions``, ``ema`` and ``nwl``
    another; an indicator is NaN where it is not defined yet. ``factors`` maps each shown session's
    traded price to the chart's basis.
    """

    ticker: str
    sessions: tuple[date, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    factors: FloatArray
    week_sessions: tuple[date, ...]
    ema: FloatArray
    nwl: FloatArray
    ema_name: str = "weekly EMA"
    nwl_name: str = "N-week low"

    @property
    def last_close(self) -> float:
        """Close of the last session shown."""
        return float(self.close[-1])

    @property
    def decimals(self) -> int:
        """Decimals that a price of this share needs: cents, or the finer tick below $1."""
        return 2 if float(np.nanmin(self.low)) >= 1.0 else 4

    def factor_on(self, session: date) -> float | None:
        """What a price traded on ``session`` is multiplied by; None if it is not shown."""
        return float(self.factors[self.sessions.index(session)]) if self.shows(session) else None

    def shows(self, session: date) -> bool:
        """Whether the chart has a candle for ``session``."""
        return session in self.sessions


@dataclass(frozen=True, slots=True)
class Curve:
    """Cumulative P&L of one book in USD after each session."""

    name: str
    sessions: tuple[date, ...]
    pnl_usd: FloatArray


def price_view(
    bars: DailyBars,
    weekly: WeeklyBars,
    ema: FloatArray,
    nwl: FloatArray,
    *,
    shown: int = SHOWN_SESSIONS,
    names: tuple[str, str] = ("weekly EMA", "N-week low"),
) -> PriceView:
    """The last ``shown`` sessions of a ticker and the indicators of the weeks that ended in them.

    A week belongs to the chart once its week-end session is no later than the last bar; its value
    stands at the ticker's own last bar of that week. ``bars`` must not be empty.
    """
    part = bars.sliced(max(0, len(bars) - shown), len(bars))
    factors = part.adj_close / part.close
    relative = factors / factors[-1]
    weeks = _ended_weeks(weekly, part.sessions)
    return PriceView(
        ticker=bars.ticker,
        sessions=_dates(part.sessions),
        open=part.open * relative,
        high=part.high * relative,
        low=part.low * relative,
        close=part.close * relative,
        factors=relative,
        week_sessions=_dates(weekly.last_bar[weeks]),
        ema=ema[weeks] / factors[-1],
        nwl=nwl[weeks] / factors[-1],
        ema_name=names[0],
        nwl_name=names[1],
    )


def _ended_weeks(weekly: WeeklyBars, sessions: SessionArray) -> slice:
    first = int(np.searchsorted(weekly.last_bar, sessions[0]))
    ended = int(np.searchsorted(weekly.last_session, sessions[-1], side="right"))
    return slice(min(first, ended), ended)


def _dates(stamps: SessionArray) -> tuple[date, ...]:
    return tuple(stamps.astype("datetime64[D]").astype(object))


def month_ticks(sessions: Sequence[date]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Axis positions (the first session of each month) and their labels, the year where it turns.

    The first session itself is labelled when its month has room for it. At most eight labels:
    longer spans keep every second, third … month.
    """
    starts = [day for day in sessions[:1] if _shown_of_month(sessions, day) >= ROOM_FOR_A_LABEL]
    starts += [
        day
        for before, day in pairwise(sessions)
        if (before.year, before.month) != (day.year, day.month)
    ]
    starts = starts[:: max(1, -(-len(starts) // 8))]
    labels: list[str] = []
    for number, day in enumerate(starts):
        turned = number == 0 or day.year != starts[number - 1].year
        labels.append(f"{day:%b}<br>{day.year}" if turned else f"{day:%b}")
    return tuple(day.isoformat() for day in starts), tuple(labels)


def _shown_of_month(sessions: Sequence[date], day: date) -> int:
    return sum((other.year, other.month) == (day.year, day.month) for other in sessions)


def drawdown_pct(pnl_usd: FloatArray, base_usd: float) -> FloatArray:
    """Fall of the equity ``base_usd + pnl_usd`` below its highest value so far, percent, ≤ 0.

    The highest value starts at ``base_usd``, so a book that only ever loses shows its loss.
    """
    equity = base_usd + pnl_usd
    peak = np.maximum(np.maximum.accumulate(equity), base_usd)
    return (equity / peak - 1.0) * 100.0


def grouped(sessions: Sequence[date], *, weekly: bool) -> list[list[int]]:
    """Positions of the sessions behind each point of a curve: one, or those of one ISO week."""
    if not weekly:
        return [[index] for index in range(len(sessions))]
    groups: dict[tuple[int, int], list[int]] = {}
    for index, day in enumerate(sessions):
        groups.setdefault(day.isocalendar()[:2], []).append(index)
    return list(groups.values())
