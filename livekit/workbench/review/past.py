"""A phase that is done already, as the books tell it: what was held, closed and earned then.

A person who opens the notebook of such a phase sees it and changes nothing. What the broker's
live orders were is not in the books, so nothing here speaks of cover.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np

from livekit.config import LiveConfig
from livekit.model import ClosedTrade, DailyBars, Position
from livekit.sessions import previous_session
from livekit.state import EquityPoint, Run, StateDB
from livekit.trading.phases import BROKER, EXECUTION, SIGNALS, Curves
from livekit.workbench.daily import DONE

__all__ = [
    "as_it_was",
    "closed_in",
    "completed_run",
    "curves_until",
    "held_after",
    "known_until",
    "recorded_lines",
    "twin_trades",
]


def completed_run(db: StateDB, session: date, phase: str) -> Run | None:
    """The run that did the phase, the last one if there are several; None if it is to be done."""
    done = [run for run in db.get_runs(session=session, phase=phase) if run.status == DONE]
    return done[-1] if done else None


def recorded_lines(run: Run) -> tuple[str, ...]:
    """What a run reported, one line a fact."""
    return tuple(json.loads(run.record_json)["lines"]) if run.record_json else ()


def known_until(session: date, phase: str) -> date:
    """The last session whose bars the phase knew: its own once the close is over."""
    return previous_session(session) if phase in (SIGNALS, EXECUTION) else session


def held_after(db: StateDB, session: date, phase: str) -> list[Position]:
    """The positions that the executed book held when the phase had ended."""
    positions = db.get_positions()
    if phase == SIGNALS:
        return [item for item in positions if item.entry_date < session <= _left(item)]
    return [item for item in positions if item.entry_date <= session < _left(item)]


def _left(position: Position) -> date:
    return position.exit_date or date.max


def as_it_was(position: Position, bars: DailyBars) -> Position:
    """The position on the price basis of the last of ``bars``, with nothing sold yet.

    ``bars`` begin before the entry; splits after them are taken back. The pending exit is kept if
    it was decided by then.
    """
    last = bars.sessions[-1].item()
    held = bars.sessions > np.datetime64(position.entry_date, "D")
    factor = float(np.prod(bars.split_ratio[held]))
    later = Decimal(repr(position.split_factor / factor))
    pending = position.pending_since is not None and position.pending_since <= last
    return replace(
        position,
        split_factor=factor,
        stop_price=position.stop_price * later,
        sold_shares=0,
        pending_reason=position.pending_reason if pending else None,
        pending_since=position.pending_since if pending else None,
    )


def closed_in(db: StateDB, session: date) -> tuple[ClosedTrade, ...]:
    """The trades that the executed book closed in a session."""
    closed = (item for item in db.get_positions("closed") if item.exit_date == session)
    return tuple(_trade(item, session) for item in closed)


def _trade(position: Position, exit_session: date) -> ClosedTrade:
    return ClosedTrade(
        candidate=position.candidate,
        entry_session=position.entry_date,
        entry_price=float(position.entry_price),
        shares=position.actual_shares,
        exit_session=exit_session,
        exit_price=float(position.exit_price or 0),
        exit_reason=position.exit_reason or "",
        pnl_usd=float(position.pnl or 0),
        return_pct=position.return_pct or 0.0,
        hold_days=(exit_session - position.entry_date).days,
    )


def twin_trades(db: StateDB, strategy: str, session: date) -> tuple[ClosedTrade, ...]:
    """The trades that a twin closed in a session."""
    trades = (item.trade for item in db.get_shadow_positions(strategy, status="closed"))
    return tuple(trade for trade in trades if trade and trade.exit_session == session)


def curves_until(db: StateDB, config: LiveConfig, session: date) -> Curves:
    """Daily equity of the three books up to a session, oldest first."""
    return Curves(
        _points(db, BROKER, session),
        _points(db, config.primary_strategy, session),
        _points(db, config.shadow_strategy, session),
    )


def _points(db: StateDB, book: str, session: date) -> tuple[EquityPoint, ...]:
    return tuple(point for point in db.get_equity(book) if point.session <= session)
