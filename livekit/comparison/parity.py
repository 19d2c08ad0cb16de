"""Parity: the executed book against the portfolio simulator, trade by trade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from livekit.model import ClosedTrade

__all__ = ["TradeDifference", "compare_trades"]

_FIELDS = ("shares", "entry_price", "exit_session", "exit_price", "exit_reason", "pnl_usd")


@dataclass(frozen=True, slots=True)
class TradeDifference:
    """One trade that the two sides do not share, or not in full."""

    ticker: str
    entry_session: date
    facts: str


def compare_trades(
    live: Sequence[ClosedTrade], simulated: Sequence[ClosedTrade]
) -> tuple[TradeDifference, ...]:
    """Every difference between two lists of trades, matched by ticker and entry session.

    Prices must be equal to $0.0001 and profit to the cent, which is how fills are rounded.
    """
    ours = {(trade.ticker, trade.entry_session): trade for trade in live}
    theirs = {(trade.ticker, trade.entry_session): trade for trade in simulated}
    differences = []
    for key in sorted(set(ours) | set(theirs)):
        facts = _difference(ours.get(key), theirs.get(key))
        if facts:
            differences.append(TradeDifference(*key, facts))
    return tuple(differences)


def _difference(live: ClosedTrade | None, simulated: ClosedTrade | None) -> str:
    if simulated is None:
        return "only in the executed book"
    if live is None:
        return "only in the simulation"
    return ", ".join(
        f"{name} {getattr(live, name)} against {getattr(simulated, name)}"
        for name in _FIELDS
        if not _equal(getattr(live, name), getattr(simulated, name))
    )


def _equal(ours: object, theirs: object) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) < 5e-5
    return ours == theirs
