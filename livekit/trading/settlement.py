"""The twins: both strategies settled on the official bars, by the simulator's own step.

They start empty at registration, send nothing to the broker, and are settled session by session
from stored candidates, so a missed evening is made up exactly as it would have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from livekit.backtest.portfolio_simulator import Book, Market, Settlement, settle_session
from livekit.errors import StateUnusable
from livekit.model import ClosedTrade
from livekit.sessions import next_session, previous_session, sessions_between
from livekit.trading.desk import Desk
from livekit.trading.holdings import look_back_start, recent_bars
from livekit.trading.record_chain import append_link
from livekit.trading.snapshots import store_settlement

__all__ = ["REGISTERED_SESSION", "TwinStep", "settle_twins", "unsettled_sessions"]

REGISTERED_SESSION = "registered_session"


@dataclass(frozen=True, slots=True)
class TwinStep:
    """One twin after one session; money in USD, cumulative since registration."""

    strategy: str
    session: date
    trades: tuple[ClosedTrade, ...]
    positions: int
    realised_usd: float
    unrealised_usd: float


def registered_session(desk: Desk) -> date:
    """The first session of the record; raises `StateUnusable` without a registration."""
    found = desk.db.read_config(REGISTERED_SESSION, date.fromisoformat)
    if found is None:
        raise StateUnusable(desk.profile.state_db, "holds no registration")
    return found


def unsettled_sessions(desk: Desk, strategy: str, through: date) -> tuple[date, ...]:
    """Sessions up to ``through`` that a twin has not settled yet, oldest first."""
    last = desk.db.last_settled(strategy)
    first = registered_session(desk) if last is None else next_session(last)
    return sessions_between(first, through) if first <= through else ()


def settle_twins(desk: Desk, session: date) -> tuple[TwinStep, ...]:
    """Settle both twins up to and including ``session``; settled sessions are left alone.

    The bars that a session is settled on are kept, and the session becomes a link of the record.
    """
    due = {
        strategy: unsettled_sessions(desk, strategy, session)
        for strategy in (desk.config.primary_strategy, desk.config.shadow_strategy)
    }
    days = sorted({day for sessions in due.values() for day in sessions})
    return tuple(
        step
        for day in days
        for step in _settle(desk, day, [name for name, missing in due.items() if day in missing])
    )


def _settle(desk: Desk, session: date, strategies: Sequence[str]) -> list[TwinStep]:
    holdings = {strategy: desk.db.load_twin(strategy) for strategy in strategies}
    candidates = desk.db.get_candidates(session) or ()
    tickers = {item.ticker for held in holdings.values() for item in held}
    tickers |= {item.ticker for item in candidates}
    tickers |= {item.ticker for item in desk.db.get_open_positions()}
    bars = recent_bars(desk, sorted(tickers), session, session)
    store_settlement(desk, session, bars)
    market = Market(bars, cut_at=look_back_start(desk, session))
    with desk.db.transaction():
        steps = [
            _store(
                desk,
                strategy,
                session,
                settle_session(Book(strategy, held), session, market, candidates, desk.config),
            )
            for strategy, held in holdings.items()
        ]
        append_link(desk, session)
    return steps


def _store(desk: Desk, strategy: str, session: date, settled: Settlement) -> TwinStep:
    realised = _realised_before(desk, strategy) + settled.realised_usd
    now = desk.clock.now()
    with desk.db.transaction():
        desk.db.save_twin(
            strategy,
            session,
            settled.book.holdings,
            settled.trades,
            realised_usd=realised,
            unrealised_usd=settled.unrealised_usd,
            at=now,
        )
        if desk.db.get_candidates(session) is None:
            desk.db.save_candidates(session, (), at=now)
        base = Decimal(repr(desk.config.base_capital_usd))
        desk.db.save_equity(
            session,
            strategy,
            cash=base + _money(realised) - _invested(settled),
            equity=base + _money(realised + settled.unrealised_usd),
            realised=_money(realised),
            unrealised=_money(settled.unrealised_usd),
            positions=len(settled.book.holdings),
        )
    return TwinStep(
        strategy,
        session,
        settled.trades,
        len(settled.book.holdings),
        realised,
        settled.unrealised_usd,
    )


def _realised_before(desk: Desk, strategy: str) -> float:
    points = desk.db.get_equity(strategy)
    return float(points[-1].realised) if points else 0.0


def _invested(settled: Settlement) -> Decimal:
    total = sum(item.entry_price * item.shares for item in settled.book.holdings)
    return _money(total)


def _money(amount: float) -> Decimal:
    return Decimal(repr(amount)).quantize(Decimal("0.01"))


def evaluated_session(session: date) -> date:
    """The last session whose bars are known before the open of ``session``."""
    return previous_session(session)
