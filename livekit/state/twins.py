"""The twin books: simulated positions of each strategy, and the signals of the tracked one.

Both twins share ``shadow_positions`` and are told apart by ``strategy``. Settling a session is one
transaction and happens once; the open rows are then exactly the holdings that were handed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select

from livekit.errors import RecordRefused
from livekit.model import ClosedTrade, Holding
from livekit.state.books import candidate_columns, candidate_of
from livekit.state.gateway import Gateway
from livekit.state.records import ShadowPosition, ShadowSignal
from livekit.state.tables import equity, shadow_positions, shadow_signals, twin_sessions

__all__ = ["Twins"]

_Lot = tuple[str, date]  # ticker and entry session name a position of a twin book


class Twins(Gateway):
    """``shadow_positions``, ``shadow_signals`` and ``twin_sessions``."""

    # ------------------------------------------------------------------------ single positions

    def add_shadow_position(self, strategy: str, holding: Holding) -> int:
        """Store an open holding and return its id; one per strategy and ticker."""
        return self._insert(shadow_positions, {"strategy": strategy, **_holding_columns(holding)})

    def get_shadow_positions(
        self, strategy: str, status: str | None = "open"
    ) -> list[ShadowPosition]:
        """Positions of one twin in the order in which they were stored; status None means all."""
        where = [shadow_positions.c.strategy == strategy]
        if status is not None:
            where.append(shadow_positions.c.status == status)
        query = select(shadow_positions).where(*where).order_by(shadow_positions.c.position_id)
        return [_shadow_position(row) for row in self._rows(query)]

    def update_shadow_position(self, strategy: str, holding: Holding) -> None:
        """Store a new state of the open position of the holding's ticker."""
        self._change(strategy, holding.ticker, _holding_columns(holding))

    def close_shadow_position(self, strategy: str, ticker: str, trade: ClosedTrade) -> None:
        """Turn the open position of ``ticker`` into a trade."""
        self._change(strategy, ticker, _exit_columns(trade))

    def _change(self, strategy: str, ticker: str, values: Mapping[str, Any]) -> None:
        what = f"open {strategy} position in {ticker}"
        self._update_one(shadow_positions, _open(strategy, ticker), values, what)

    # ------------------------------------------------------------------------------- the books

    def load_twin(self, strategy: str) -> tuple[Holding, ...]:
        """The open holdings of a twin, in the order in which they were opened."""
        return tuple(position.holding for position in self.get_shadow_positions(strategy))

    def save_twin(
        self,
        strategy: str,
        session: date,
        holdings: Sequence[Holding],
        trades: Sequence[ClosedTrade],
        *,
        realised_usd: float,
        unrealised_usd: float,
        at: datetime,
    ) -> bool:
        """Settle a session: ``holdings`` are all that remain, ``trades`` what was closed in it.

        Returns False, and changes nothing, when that session is settled already. Raises
        `RecordRefused` when a later one is, or when a position would vanish without a trade.
        """
        with self.transaction():
            last = self.last_settled(strategy)
            if last is not None and last >= session:
                return self._refuse_unless_settled(strategy, session, last)
            self._settle(strategy, session, holdings, trades)
            settled = {"strategy": strategy, "session": session, "settled_at": at}
            self._insert(twin_sessions, settled)
            values = {
                "realised": Decimal(repr(realised_usd)),
                "unrealised": Decimal(repr(unrealised_usd)),
                "positions": len(holdings),
            }
            identity = {"book": strategy, "session": session}
            where = and_(equity.c.book == strategy, equity.c.session == session)
            self._upsert(equity, where, identity, values)
            return True

    def _refuse_unless_settled(self, strategy: str, session: date, last: date) -> bool:
        where = and_(twin_sessions.c.strategy == strategy, twin_sessions.c.session == session)
        if self._row(select(twin_sessions.c.session).where(where)) is None:
            raise RecordRefused(f"{strategy} of {session}", f"{last} is settled already")
        return False

    def _settle(
        self,
        strategy: str,
        session: date,
        holdings: Sequence[Holding],
        trades: Sequence[ClosedTrade],
    ) -> None:
        before = self._open_lots(strategy)
        kept = {_lot(holding): _holding_columns(holding) for holding in holdings}
        closed = {_lot(trade): trade for trade in trades}
        problems = [
            *(
                f"no trade closes {t}"
                for t, _ in sorted(before.keys() - kept.keys() - closed.keys())
            ),
            *(f"{t} is held and closed" for t, _ in sorted(kept.keys() & closed.keys())),
        ]
        if problems:
            raise RecordRefused(f"{strategy} of {session}", "; ".join(problems))
        ours = {"strategy": strategy}
        ended = {before[lot]: _exit_columns(closed[lot]) for lot in closed if lot in before}
        day_trades = [ours | _day_trade_columns(closed[lot]) for lot in closed if lot not in before]
        self._update_many(shadow_positions, ended)
        self._insert_many(shadow_positions, day_trades)
        self._update_many(
            shadow_positions, {before[lot]: kept[lot] for lot in kept if lot in before}
        )
        opened = [ours | columns for lot, columns in kept.items() if lot not in before]
        self._insert_many(shadow_positions, opened)

    def _open_lots(self, strategy: str) -> dict[_Lot, int]:
        columns = shadow_positions.c
        query = select(columns.ticker, columns.entry_date, columns.position_id).where(
            columns.strategy == strategy, columns.status == "open"
        )
        return {(row.ticker, row.entry_date): row.position_id for row in self._rows(query)}

    def last_settled(self, strategy: str) -> date | None:
        """The latest settled session of a twin."""
        latest = func.max(twin_sessions.c.session, type_=twin_sessions.c.session.type)
        found: date | None = self._scalar(
            select(latest).where(twin_sessions.c.strategy == strategy)
        )
        return found

    # --------------------------------------------------------------------------------- signals

    def save_shadow_signal(
        self, strategy: str, session: date, body: str, sha256: str, at: datetime
    ) -> int:
        """Keep the signal text of a tracked strategy, the same text once; returns its id."""
        columns = shadow_signals.c
        same = and_(
            columns.strategy == strategy, columns.session == session, columns.sha256 == sha256
        )
        values = {
            "strategy": strategy,
            "session": session,
            "sha256": sha256,
            "body": body,
            "created_at": at,
        }
        with self.transaction():
            known = self._scalar(select(columns.signal_id).where(same))
            return int(known) if known is not None else self._insert(shadow_signals, values)

    def get_shadow_signals(self, strategy: str, session: date | None = None) -> list[ShadowSignal]:
        """Kept signals, oldest first."""
        columns = shadow_signals.c
        query = select(shadow_signals).where(columns.strategy == strategy)
        if session is not None:
            query = query.where(columns.session == session)
        return [
            ShadowSignal(row.strategy, row.session, row.sha256, row.body, row.created_at)
            for row in self._rows(query.order_by(columns.signal_id))
        ]


def _lot(item: Holding | ClosedTrade) -> _Lot:
    return item.ticker, item.entry_session


def _open(strategy: str, ticker: str) -> ColumnElement[bool]:
    columns = shadow_positions.c
    return and_(columns.strategy == strategy, columns.ticker == ticker, columns.status == "open")


def _entry_columns(item: Holding | ClosedTrade) -> dict[str, Any]:
    return {
        "ticker": item.ticker,
        "entry_date": item.entry_session,
        "entry_price": item.entry_price,
        "target_shares": item.shares,
        "actual_shares": item.shares,
        "invested": item.entry_price * item.shares,
        **candidate_columns(item.candidate),
    }


def _holding_columns(holding: Holding) -> dict[str, Any]:
    return {
        **_entry_columns(holding),
        "status": "open",
        "stop_price": holding.stop_price,
        "last_close": holding.last_close,
        "split_factor": holding.split_factor,
        "reinvested_factor": holding.reinvested_factor,
        "shares_now": holding.shares_now,
        "cash_in_lieu_usd": holding.cash_in_lieu_usd,
        "pending_reason": holding.pending_reason,
        "pending_since": holding.pending_since,
        "evaluated_week": holding.evaluated_week,
        "flags": json.dumps(holding.flags),
    }


def _exit_columns(trade: ClosedTrade) -> dict[str, Any]:
    return {
        "status": "closed",
        "exit_date": trade.exit_session,
        "exit_price": trade.exit_price,
        "exit_reason": trade.exit_reason,
        "pnl": trade.pnl_usd,
        "return_pct": trade.return_pct,
        "hold_days": trade.hold_days,
        "exit_flags": json.dumps(trade.flags),
    }


def _day_trade_columns(trade: ClosedTrade) -> dict[str, Any]:
    """A trade that was never held overnight: no stop was stored, and nothing is held now."""
    return {
        **_entry_columns(trade),
        "last_close": trade.exit_price,
        "split_factor": 1.0,
        "reinvested_factor": 1.0,
        "shares_now": 0,
        "cash_in_lieu_usd": 0.0,
        "flags": "[]",
        **_exit_columns(trade),
    }


def _shadow_position(row: Row[Any]) -> ShadowPosition:
    closed = row.status == "closed"
    return ShadowPosition(
        id=row.position_id,
        strategy=row.strategy,
        holding=_holding(row),
        status=row.status,
        trade=_trade(row) if closed else None,
    )


def _holding(row: Row[Any]) -> Holding:
    return Holding(
        candidate=candidate_of(row),
        entry_session=row.entry_date,
        entry_price=row.entry_price,
        shares=row.actual_shares,
        stop_price=0.0 if row.stop_price is None else row.stop_price,
        last_close=row.last_close,
        split_factor=row.split_factor,
        reinvested_factor=row.reinvested_factor,
        shares_now=row.shares_now,
        cash_in_lieu_usd=row.cash_in_lieu_usd,
        pending_reason=row.pending_reason,
        pending_since=row.pending_since,
        evaluated_week=row.evaluated_week,
        flags=tuple(json.loads(row.flags)),
    )


def _trade(row: Row[Any]) -> ClosedTrade:
    return ClosedTrade(
        candidate=candidate_of(row),
        entry_session=row.entry_date,
        entry_price=row.entry_price,
        shares=row.actual_shares,
        exit_session=row.exit_date,
        exit_price=row.exit_price,
        exit_reason=row.exit_reason,
        pnl_usd=row.pnl,
        return_pct=row.return_pct,
        hold_days=row.hold_days,
        flags=tuple(json.loads(row.exit_flags)),
    )
