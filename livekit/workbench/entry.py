"""Entry to the daily run: which venue process it needs, and who performs the phases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from livekit.config import Profile
from livekit.errors import UnknownParameter
from livekit.state import StateDB
from livekit.trading.opening import desk_on, open_link
from livekit.trading.phases import PHASES
from livekit.workbench.daily import DailyReport, perform_recorded, run_daily
from livekit.workbench.notebook_runs import notebook_performer

__all__ = ["daily_run"]


def daily_run(
    profile: Profile,
    session: date | None,
    *,
    phases: Sequence[str] = (),
    notebooks: bool = True,
) -> DailyReport:
    """Run a session's due phases for a profile; no ``session`` means the one that trades now.

    Raises `UnknownParameter` for a phase that does not exist and `StateUnusable` before
    ``livekit init``.
    """
    unknown = [phase for phase in phases if phase not in PHASES]
    if unknown:
        raise UnknownParameter("--phase", [f"{unknown} not among {', '.join(PHASES)}"])
    chosen = tuple(phase for phase in PHASES if not phases or phase in phases)
    with (
        StateDB(profile.state_db) as db,
        open_link(profile, mode="served" if notebooks else "in_process") as link,
    ):
        desk = desk_on(profile, link, db, who="daily")
        performer = notebook_performer(profile, link) if notebooks else perform_recorded
        return run_daily(desk, session or desk.order_session(), phases=chosen, performer=performer)
