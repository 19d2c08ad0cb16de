"""The kill switch by hand: on at any time, off only with a clean reconciliation and a reason."""

from __future__ import annotations

from livekit.errors import UsageError
from livekit.trading.desk import Desk
from livekit.trading.protector import protect
from livekit.trading.reconciliation import reconcile, require_clean

__all__ = ["kill", "rearm"]


def kill(desk: Desk, reason: str, who: str) -> None:
    """Switch on: from now on nothing is sent but protection. Raises `UsageError` without reason."""
    _require(reason, who)
    now = desk.clock.now()
    with desk.db.transaction():
        desk.db.set_kill_switch(True, reason=reason, who=who, at=now)
        desk.db.add_alert("kill_switch", f"on: {reason} ({who})", at=now, severity="critical")


def rearm(desk: Desk, reason: str, who: str) -> None:
    """Switch off, after a reconciliation that finds no break.

    Raises `BooksDiffer` when it does, and `UsageError` without reason or name.
    """
    _require(reason, who)
    repaired = protect(desk).repaired
    require_clean(reconcile(desk, desk.order_session(), repaired=repaired))
    now = desk.clock.now()
    with desk.db.transaction():
        desk.db.set_kill_switch(False, reason=reason, who=who, at=now)
        desk.db.add_alert("kill_switch", f"off: {reason} ({who})", at=now, severity="warning")


def _require(reason: str, who: str) -> None:
    if not reason.strip() or not who.strip():
        raise UsageError("the kill switch wants a reason and a name")
