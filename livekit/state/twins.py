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

from sqlalchemy import bindparam, func, select

from livekit.errors import RecordRefused
from livekit.model import ClosedTrade, Holding
from livekit.state.books import candidate_columns, candidate_of
from livekit.state.gateway import Gateway
from livekit.state.prepared import Prepared, given
from livekit.state.records import ShadowPosition, ShadowSignal
from livekit.state.tables import equity, shadow_positions, shadow_signals, twin_sessions

__all__ = ["Twins"]

_Lot = tuple[str, date]  # ticker and entry session name a position of a twin book
_LAST_SETTLED = Prepared(
    select(func.max(twin_sessions.c.session, type_=twin_sessions.c.session.type)).where(
        twin_sessions.c.strategy == bindparam("strategy")
    )
)


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
        wanted = given(strategy=strategy, status=status)
        rows = self._find(shadow_positions, wanted, "position_id")
        return [_shadow_position(row) for row in rows]

    def update_shadow_position(self, strategy: str, holding: Holding) -> None:
        """Store a new state of the open position of the holding's ticker."""
        self._change(strategy, holding.ticker, _holding_columns(holding))

    def close_shadow_position(self, strategy: str, ticker: str, trade: ClosedTrade) -> None:
        """Turn the open position of ``ticker`` into a trade."""
        self._change(strategy, ticker, _exit_columns(trade))

    def _change(self, strategy: str, ticker: str, values: Mapping[str, Any]) -> None:
        wanted = {"strategy": strategy, "ticker": ticker, "status": "open"}
        what = f"open {strategy} position in {ticker}"
        self._update_one(shadow_positions, wanted, values, what)

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
            self._upsert(equity, {"book": strategy, "session": session}, values)
            return True

    def _refuse_unless_settled(self, strategy: str, session: date, last: date) -> bool:
        if not self._find(twin_sessions, {"strategy": strategy, "session": session}):
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
        rows = self._find(shadow_positions, {"strategy": strategy, "status": "open"})
        return {(row.ticker, row.entry_date): row.position_id for row in rows}

    def last_settled(self, strategy: str) -> date | None:
        """The latest settled session of a twin."""
        found: date | None = self._scalar(_LAST_SETTLED, {"strategy": strategy})
        return found

    # --------------------------------------------------------------------------------- signals

    def save_shadow_signal(
        self, strategy: str, session: date, body: str, sha256: str, at: datetime
    ) -> int:
        """Keep the signal text of a tracked strategy, the same text once; returns its id."""
        same = {"strategy": strategy, "session": session, "sha256": sha256}
        with self.transaction():
            known = self._find(shadow_signals, same)
            if known:
                return int(known[0].signal_id)
            return self._insert(shadow_signals, same | {"body": body, "created_at": at})

    def get_shadow_signals(self, strategy: str, session: date | None = None) -> list[ShadowSignal]:
        """Kept signals, oldest first."""
        wanted = given(strategy=strategy, session=session)
        return [
            ShadowSignal(row.strategy, row.session, row.sha256, row.body, row.created_at)
            for row in self._find(shadow_signals, wanted, "signal_id")
        ]


def _lot(item: Holding | ClosedTrade) -> _Lot:
    return item.ticker, item.entry_session


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


def _shadow_position(row: Any) -> ShadowPosition:
    closed = row.status == "closed"
    return ShadowPosition(
        id=row.position_id,
        strategy=row.strategy,
        holding=_holding(row),
        status=row.status,
        trade=_trade(row) if closed else None,
    )


def _holding(row: Any) -> Holding:
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


def _trade(row: Any) -> ClosedTrade:
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
