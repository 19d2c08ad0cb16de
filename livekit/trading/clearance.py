"""Reconciled before acting: no order of a plan goes out while our books and the broker's differ.

A person may force the signals past known position differences; the tickers concerned are then left
alone. Protection never waits for any of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from livekit.model import Break
from livekit.trading.break_rules import CASH, POSITION
from livekit.trading.desk import Desk
from livekit.trading.protector import Protection
from livekit.trading.reconciliation import reconcile, require_clean

__all__ = ["forced_past", "note_forced", "tickers_to_avoid"]

FORCED_PAST = "forced_past"
PASSING = frozenset({POSITION, CASH})  # a fill whose activity shows late leaves these, and no other
SETTLE_POLLS_S = (1.0, 2.0, 3.0)


def note_forced(desk: Desk, session: date, tickers: Iterable[str]) -> None:
    """Keep for the executor which differing tickers the session's signals were forced past."""
    desk.db.set_config(FORCED_PAST, " ".join((session.isoformat(), *sorted(tickers))))


def forced_past(desk: Desk, session: date) -> frozenset[str]:
    """Tickers that `note_forced` has kept for the session."""
    noted, *tickers = (desk.db.get_config(FORCED_PAST) or "").split(" ")
    return frozenset(tickers) if noted == session.isoformat() else frozenset()


def tickers_to_avoid(desk: Desk, session: date, protection: Protection) -> frozenset[str]:
    """Reconcile after protection, and return the tickers that were forced past.

    Raises `BooksDiffer` for any other difference, once it has had the seconds in which a fill may
    become visible late, and `VenueError` when the venue cannot be read.
    """
    found = reconcile(desk, session, repaired=protection.repaired, look=protection.look)
    forced = forced_past(desk, session)
    for pause_s in SETTLE_POLLS_S:
        left = _not_forced(found, forced)
        if not left or not PASSING.issuperset(item.kind for item in left):
            break
        desk.clock.sleep(pause_s)
        found = reconcile(desk, session)
    require_clean(_not_forced(found, forced))
    return frozenset(item.ticker for item in found if item.ticker is not None)


def _not_forced(found: Iterable[Break], forced: frozenset[str]) -> list[Break]:
    return [item for item in found if item.kind != POSITION or item.ticker not in forced]
