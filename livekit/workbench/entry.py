"""Entry to a profile: registering it, and its daily run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date

from livekit.clock import SystemClock
from livekit.config import Profile
from livekit.errors import (
    LockHeld,
    ManifestMismatch,
    StateUnusable,
    UnknownParameter,
)
from livekit.prices import ParquetPriceSource, demo_earnings_path
from livekit.reports.writer import write_demo_reports
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.examination import AT_THE_END, AT_THE_START, examine
from livekit.trading.following import living_executor
from livekit.trading.opening import (
    Link,
    desk_on,
    open_link,
    price_source,
    registered_profile,
    sole_writer,
)
from livekit.trading.phases import PHASES
from livekit.trading.registration import register_profile, undone_on_refusal
from livekit.workbench.daily import (
    DONE,
    FAILED,
    DailyReport,
    Performer,
    PhaseReport,
    run_daily,
)
from livekit.workbench.demo import LAST_SESSION
from livekit.workbench.runs.nursery import Nursery
from livekit.workbench.runs.phases import loading_kernels, notebook_performer
from livekit.workbench.runs.plain import plain_performer
from livekit.workbench.watching.watch import Watch

__all__ = ["daily_run", "register"]

DOCTOR = "doctor"


def register(profile: Profile) -> None:
    """Register a profile with its venue; a refusal leaves the folder as it was.

    A simulated profile on the packaged prices gets the reports of their quarter too, unless it has
    a reports folder already. Raises what `register_profile` raises.
    """
    if profile.state_db.exists():
        raise StateUnusable(profile.state_db, "exists already")
    with undone_on_refusal(profile.home):
        with open_link(profile) as link:
            price_source(profile, link.client, link.clock)  # its key must be there from the start
            register_profile(profile, link.client, link.clock)
        first = profile.first_session
        packaged = profile.venue == "simulated" and profile.prices is None
        if packaged and first is not None and not profile.reports_dir.exists():
            prices, earnings = ParquetPriceSource(), demo_earnings_path()
            write_demo_reports(profile.reports_dir, prices, earnings, first, LAST_SESSION)


def _require_registered(profile: Profile) -> None:
    """Parameter file, registration and manifest must name the same venue and trading fields."""
    registered = registered_profile(profile.state_db)
    if registered.venue != profile.venue:
        facts = [f"venue is {profile.venue!r}, registered as {registered.venue!r}"]
        raise ManifestMismatch(profile.state_db, facts)
    for trading in (registered.trading, profile.trading):
        trading.verify_against_manifest(profile.manifest)


def _require_free(profile: Profile) -> None:
    """A lock that is held is refused before the venue's clock moves, unless an executor holds it.

    To that one the execution attaches, and the later phases wait for nothing else.
    """
    try:
        with sole_writer(profile):
            pass
    except LockHeld:
        with StateDB(profile.state_db) as db:
            if living_executor(db, profile) is None:
                raise


def daily_run(
    profile: Profile,
    session: date | None,
    *,
    phases: Sequence[str] = (),
    notebooks: bool = True,
) -> DailyReport:
    """Run a session's due phases for a profile; no ``session`` means the one that trades now.

    The doctor looks first and last; what is broken at the end decides the exit code with the rest.
    Raises `UnknownParameter` for a phase that does not exist, `StateUnusable` before
    ``livekit init``, `ManifestMismatch` when parameters, registration and manifest disagree, and
    `LockHeld` while another run is writing.
    """
    unknown = [phase for phase in phases if phase not in PHASES]
    if unknown:
        raise UnknownParameter("--phase", [f"{unknown} not among {', '.join(PHASES)}"])
    chosen = tuple(phase for phase in PHASES if not phases or phase in phases)
    _require_registered(profile)
    _require_free(profile)
    with Watch(profile).run() as tell:
        with (
            loading_kernels(wanted=notebooks) as nursery,
            StateDB(profile.state_db) as db,
            open_link(profile, mode="served" if notebooks else "in_process") as link,
            _performer(profile, link, nursery, notebooks=notebooks) as performer,
        ):
            desk = desk_on(profile, link, db, who="daily")
            day = session or desk.order_session()
            before = _examined(desk, AT_THE_START)
            report = run_daily(desk, day, phases=chosen, performer=performer)
            rows = (before, *report.phases, _examined(desk, AT_THE_END))
            report = replace(report, phases=rows)
        tell(report)
    return report


def _examined(desk: Desk, when: str) -> PhaseReport:
    """The doctor's word as a row of the report; the one at the end counts for the exit code."""
    found = examine(desk, when)
    if found.diagnosis is None:
        return PhaseReport(DOCTOR, "not examined", 0, found.lines)
    counted = found.exit_code if when == AT_THE_END else 0
    return PhaseReport(DOCTOR, FAILED if found.exit_code else DONE, counted, found.lines)


def _performer(
    profile: Profile, link: Link, nursery: Nursery | None, *, notebooks: bool
) -> AbstractContextManager[Performer]:
    if notebooks:
        return notebook_performer(profile, link, nursery=nursery)
    return nullcontext(plain_performer(sleep=SystemClock().sleep))
