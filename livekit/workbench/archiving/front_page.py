"""What the archive shows of the run log: its front page, and the header of each page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from livekit.config import Profile
from livekit.state import Run, StateDB
from livekit.trading.desk import Desk
from livekit.trading.phases import BROKER, EXECUTION, RECONCILIATION
from livekit.workbench.archive import write_index
from livekit.workbench.archiving.index import RunEntry, render_index
from livekit.workbench.archiving.page import PageHeader
from livekit.workbench.daily import RUNNING
from livekit.workbench.tables import exchange_text

__all__ = ["front_page", "page_header", "renew_front_page"]

EXECUTOR = "executor"  # part of an execution, which has a row of its own


def renew_front_page(desk: Desk) -> None:
    """Write the index page anew from the run log, the books and the alerts.

    Raises `BadInput` when the archive cannot be written.
    """
    write_index(
        desk.profile.archive_dir, front_page(desk.profile, desk.db, made_at=desk.clock.now())
    )


def front_page(profile: Profile, db: StateDB, *, made_at: datetime) -> str:
    """The index page of a profile's archive."""
    return render_index(
        _entries(db),
        profile=profile.name,
        simulated=profile.venue == "simulated",
        made_at=made_at,
    )


def _entries(db: StateDB) -> list[RunEntry]:
    runs = [run for run in db.get_runs() if run.phase != EXECUTOR]
    profit = {point.session: point.realised + point.unrealised for point in db.get_equity(BROKER)}
    tickers = _tickers_by_session(db)
    alerts = [alert.session for alert in db.get_alerts() if alert.severity != "info"]
    first = {run.session: run.run_id for run in reversed(runs)}
    return [
        _entry(
            run,
            profit,
            tickers.get(run.session, ()),
            alerts.count(run.session) if first[run.session] == run.run_id else 0,
        )
        for run in runs
    ]


def _tickers_by_session(db: StateDB) -> dict[date, tuple[str, ...]]:
    found: dict[date, set[str]] = {}
    for order in db.get_orders():
        found.setdefault(order.trade_date, set()).add(order.ticker)
    return {session: tuple(sorted(tickers)) for session, tickers in found.items()}


def _entry(
    run: Run, profit: Mapping[date, Decimal], tickers: tuple[str, ...], alerts: int
) -> RunEntry:
    return RunEntry(
        session=run.session,
        phase=run.phase,
        attempt=run.attempt,
        run_id=run.run_id,
        status="incomplete" if run.status == RUNNING else run.status,
        exit_code=1 if run.exit_code is None else run.exit_code,
        page=f"{run.archive_path}.html" if run.archive_path else None,
        notebook=f"{run.archive_path}.ipynb" if run.archive_path else None,
        pnl_usd=profit.get(run.session) if run.phase == RECONCILIATION else None,
        alerts=alerts,
        message=run.message,
        tickers=tickers if run.phase == EXECUTION else (),
    )


def page_header(profile: Profile, run: Run) -> PageHeader:
    """What stands above the page of a run, from its row in the run log."""
    simulated = profile.venue == "simulated"
    exit_code = 1 if run.exit_code is None else run.exit_code
    return PageHeader(
        phase=run.phase,
        session=run.session,
        attempt=run.attempt,
        run_id=run.run_id,
        profile=profile.name,
        status=run.status,
        exit_code=exit_code,
        simulated=simulated,
        message=run.message if exit_code else "",
        facts=(
            ("started", exchange_text(run.started_at)),
            *((("fill model", profile.fill_model),) if simulated else ()),
        ),
        hashes=(("configuration", run.config_sha256), ("code", run.git)),
    )
