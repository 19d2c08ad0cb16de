"""Positions of the books as the rules see them, and the weekly evaluations that are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from livekit.model import TREND_BREAK, DailyBars, Holding, Position
from livekit.strategy.decisions import Deferral, WeekEvaluation, deferral, evaluate_weeks
from livekit.trading.desk import Desk

__all__ = ["Evaluated", "as_holdings", "evaluate_positions", "look_back_start", "recent_bars"]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One holding after its due weekly evaluations."""

    holding: Holding
    position_id: int
    evaluations: tuple[WeekEvaluation, ...]
    deferral: Deferral | None


def look_back_start(desk: Desk, session: date) -> date:
    """First calendar day of the look-back window of a session."""
    return session - timedelta(days=desk.config.fmp_lookback_days)


def recent_bars(
    desk: Desk, tickers: Sequence[str], session: date, last: date
) -> dict[str, DailyBars]:
    """Bars of the look-back window of ``session`` to ``last``; tickers without any are absent."""
    if not tickers:
        return {}
    return desk.prices.daily_bars(sorted(set(tickers)), look_back_start(desk, session), last)


def as_holdings(
    desk: Desk, positions: Sequence[Position], bars: Mapping[str, DailyBars]
) -> tuple[tuple[int, Holding], ...]:
    """Map open positions to the values that the rules decide on, with their row ids."""
    return tuple(
        (position.position_id, _holding(desk, position, bars.get(position.ticker)))
        for position in positions
        if position.position_id is not None
    )


def _holding(desk: Desk, position: Position, bars: DailyBars | None) -> Holding:
    evaluated = desk.db.get_evaluations(desk.config.primary_strategy, str(position.position_id))
    last_close = float(bars.close[-1]) if bars is not None and len(bars) else float("nan")
    return Holding(
        candidate=position.candidate,
        entry_session=position.entry_date,
        entry_price=float(position.entry_price),
        shares=position.actual_shares - position.sold_shares,
        stop_price=float(position.stop_price),
        last_close=last_close,
        split_factor=position.split_factor,
        shares_now=position.shares_now,
        pending_reason=position.pending_reason,
        pending_since=position.pending_since,
        evaluated_week=max((item.week_end for item in evaluated), default=None),
    )


def evaluate_positions(
    desk: Desk,
    holdings: Sequence[tuple[int, Holding]],
    bars: Mapping[str, DailyBars],
    session: date,
    through: date,
) -> tuple[Evaluated, ...]:
    """Evaluate every due week of every holding on data up to ``through``, oldest first."""
    return tuple(
        _evaluate(desk, position_id, holding, bars, session, through)
        for position_id, holding in holdings
    )


def _evaluate(
    desk: Desk,
    position_id: int,
    holding: Holding,
    bars: Mapping[str, DailyBars],
    session: date,
    through: date,
) -> Evaluated:
    known = bars.get(holding.ticker)
    waiting = deferral(holding, known, through)
    if known is None:
        return Evaluated(holding, position_id, (), waiting)
    weeks = evaluate_weeks(
        holding,
        known,
        through,
        strategy=desk.config.primary_strategy,
        config=desk.config,
        cut_at=look_back_start(desk, session),
    )
    leaves = next((week for week in weeks if week.exits), None)
    if leaves is not None and holding.pending_reason is None:
        holding = replace(holding, pending_reason=TREND_BREAK, pending_since=leaves.evaluated_on)
    return Evaluated(holding, position_id, weeks, waiting)
