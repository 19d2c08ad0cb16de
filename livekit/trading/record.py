"""What the record holds so far, read from the books."""

from __future__ import annotations

from datetime import date

from livekit.comparison.evidence import Evidence, first_look
from livekit.config import LiveConfig
from livekit.state import StateDB
from livekit.trading.settlement import REGISTERED_SESSION

__all__ = ["evidence_so_far"]


def evidence_so_far(db: StateDB, config: LiveConfig, session: date) -> Evidence:
    """Days and closed twin trades from registration to ``session``, against the first look."""
    first = db.read_config(REGISTERED_SESSION, date.fromisoformat) or session
    closed = [
        len(db.get_shadow_positions(strategy, status="closed"))
        for strategy in (config.primary_strategy, config.shadow_strategy)
    ]
    return first_look((session - first).days, *closed)
