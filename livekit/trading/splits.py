"""Splits in the executed book: the shares held and the stop due move with the ratio.

A position's prices and shares stay on the basis of its entry session; ``split_factor`` says how
many of today's shares stand for one of them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from livekit.model import Break, Position, Split
from livekit.strategy.rules import stop_after_split
from livekit.trading.break_ledger import note_healed
from livekit.trading.break_rules import SPLIT
from livekit.trading.desk import Desk

__all__ = ["apply_splits"]

APPLIED_THROUGH = "splits_applied_through"


def apply_splits(desk: Desk, session: date) -> tuple[Split, ...]:
    """Apply the splits of held tickers with an ex-session after the last applied one."""
    positions = {item.ticker: item for item in desk.db.get_open_positions()}
    text = desk.db.get_config(APPLIED_THROUGH)
    first = date.fromisoformat(text) + timedelta(days=1) if text else session
    due: tuple[Split, ...] = ()
    if positions and first <= session:
        shown = desk.client.splits(sorted(positions), first, session)
        due = tuple(item for item in shown if _concerns(positions[item.ticker], item))
    with desk.db.transaction():
        for split in due:
            _apply(desk, positions[split.ticker], split)
        desk.db.set_config(APPLIED_THROUGH, session.isoformat())
    return due


def _concerns(position: Position, split: Split) -> bool:
    return position.entry_date < split.ex_session


def _apply(desk: Desk, position: Position, split: Split) -> None:
    if position.position_id is None:
        return
    stop = Decimal(repr(stop_after_split(float(position.stop_price), split.ratio)))
    factor = position.split_factor * split.ratio
    odd = round(position.odd_shares_sold * split.ratio)
    after = replace(position, split_factor=factor, stop_price=stop, odd_shares_sold=odd)
    desk.db.update_position(
        position.position_id, split_factor=factor, stop_price=stop, odd_shares_sold=odd
    )
    facts = (
        f"{split.ratio:g} for 1 on {split.ex_session}: {position.shares_now} shares become "
        f"{after.shares_now}, the stop {position.stop_price} becomes {stop}"
    )
    item = Break(SPLIT, split.ticker, facts, "follow it", subject=split.ex_session.isoformat())
    note_healed(desk, item, "applied from the venue's corporate actions")
