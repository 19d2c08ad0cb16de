"""Phases performed as notebooks: run by papermill, judged by the run record, archived either way."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

from livekit.config import Profile, config_sha256
from livekit.errors import SecretExposed, UsageError
from livekit.state import Run, StateDB
from livekit.trading.desk import Desk
from livekit.trading.opening import Link
from livekit.trading.phases import (
    COMPARISON,
    EXECUTION,
    RECONCILIATION,
    SIGNALS,
    PhaseOutcome,
)
from livekit.workbench.archive import ArchivedRun, seal, write_index
from livekit.workbench.daily import FAILED, Performer, perform_recorded, start_record
from livekit.workbench.index import RunEntry, render_index
from livekit.workbench.page import PageHeader
from livekit.workbench.run import NotebookOutcome, run_notebook

__all__ = ["NOTEBOOKS", "notebook_performer", "notebooks_dir", "refresh_index"]

NOTEBOOKS = {
    SIGNALS: "01_signals.ipynb",
    EXECUTION: "02_execution.ipynb",
    RECONCILIATION: "03_reconciliation.ipynb",
    COMPARISON: "04_comparison.ipynb",
}
RUNNING = "running"
BROKER = "broker"


def notebooks_dir() -> Path:
    """The checkout's notebooks; raises `UsageError` when the package stands alone."""
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    if not folder.is_dir():
        raise UsageError(f"no notebooks at {folder}: run from a checkout")
    return folder


def notebook_performer(profile: Profile, link: Link) -> Performer:
    """A performer that runs a phase's notebook in a kernel; phases without one run in process."""

    def performed(desk: Desk, phase: str, session: date) -> PhaseOutcome:
        if phase not in NOTEBOOKS:
            return perform_recorded(desk, phase, session)
        return _perform_notebook(desk, phase, session, link, _secrets(link))

    notebooks_dir()
    return performed


def _secrets(link: Link) -> tuple[str, ...]:
    return tuple(
        value for name, value in link.environment.items() if name.endswith(("_KEY", "KEY_ID"))
    )


def _perform_notebook(
    desk: Desk, phase: str, session: date, link: Link, secrets: tuple[str, ...]
) -> PhaseOutcome:
    run_id = start_record(desk, phase, session)
    with tempfile.TemporaryDirectory(prefix="livekit-run-") as folder:
        executed = Path(folder) / NOTEBOOKS[phase]
        with _environment(link.environment):
            ended = run_notebook(
                notebooks_dir() / NOTEBOOKS[phase],
                {
                    "state_db": str(desk.profile.state_db),
                    "session": session.isoformat(),
                    "run_id": run_id,
                },
                output=executed,
            )
        _archive(desk, _judged(desk, run_id, ended), executed, secrets)
    run = _run(desk.db, run_id)
    refresh_index(desk.db, desk.profile, desk)
    return PhaseOutcome(phase, session, run.exit_code or 0, tuple(run.message.split("; ")))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Give children these variables for a while; kernels inherit the process's environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _run(db: StateDB, run_id: int) -> Run:
    return next(run for run in db.get_runs() if run.run_id == run_id)


def _judged(desk: Desk, run_id: int, ended: NotebookOutcome) -> Run:
    """The run as its record has it; without a record it failed, whatever papermill says."""
    run = _run(desk.db, run_id)
    if run.status != RUNNING and ended.status == "completed":
        return run
    cause = f"{ended.error_name}: {ended.error_text}" if ended.error_name else "no run record"
    now = desk.clock.now()
    desk.db.finish_run(run_id, at=now, status=FAILED, exit_code=1, message=cause[:2000])
    desk.db.add_alert(
        "failed_run", f"{run.phase} of {run.session}: {cause}", at=now, severity="critical"
    )
    return _run(desk.db, run_id)


def _archive(desk: Desk, run: Run, executed: Path, secrets: tuple[str, ...]) -> None:
    if not executed.exists():
        return
    exit_code = run.exit_code if run.exit_code is not None else 1
    header = PageHeader(
        phase=run.phase,
        session=run.session,
        attempt=run.attempt,
        run_id=run.run_id,
        profile=desk.profile.name,
        status=run.status,
        exit_code=exit_code,
        simulated=desk.profile.venue == "simulated",
        message=run.message if exit_code else "",
        facts=(("fill model", desk.profile.fill_model),),
        hashes=(("configuration", config_sha256(desk.config)), ("code", run.git)),
    )
    archived = _sealed(desk, run, executed, header, secrets)
    if archived is None:
        return
    desk.db.finish_run(
        run.run_id,
        at=desk.clock.now(),
        status=run.status,
        exit_code=exit_code,
        message=run.message,
        notebook_sha256=archived.notebook_sha256,
        html_sha256=archived.page_sha256,
        archive_path=archived.page.removesuffix(".html"),
    )


def _sealed(
    desk: Desk, run: Run, executed: Path, header: PageHeader, secrets: tuple[str, ...]
) -> ArchivedRun | None:
    """Archive both files; a run whose output holds a secret fails and is not written anywhere."""
    try:
        return seal(desk.profile.archive_dir, executed, header, secrets=secrets)
    except SecretExposed as error:
        now = desk.clock.now()
        desk.db.finish_run(
            run.run_id, at=now, status=FAILED, exit_code=error.exit_code, message=str(error)
        )
        desk.db.add_alert("secret", str(error), at=now, severity="critical")
        return None


def refresh_index(db: StateDB, profile: Profile, desk: Desk) -> None:
    """Write the archive's index page from the run log."""
    profit = {point.session: point.realised + point.unrealised for point in db.get_equity(BROKER)}
    tickers = _tickers_by_session(db)
    alerts = [alert.session for alert in db.get_alerts()]
    entries = [
        _entry(run, profit, tickers.get(run.session, ()), alerts.count(run.session))
        for run in db.get_runs()
        if run.phase != "executor"
    ]
    page = render_index(
        entries,
        profile=profile.name,
        simulated=profile.venue == "simulated",
        made_at=desk.clock.now(),
    )
    write_index(profile.archive_dir, page)


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
        status=run.status,
        exit_code=run.exit_code if run.exit_code is not None else 1,
        page=f"{run.archive_path}.html" if run.archive_path else None,
        notebook=f"{run.archive_path}.ipynb" if run.archive_path else None,
        pnl_usd=profit.get(run.session) if run.phase == RECONCILIATION else None,
        alerts=alerts if run.phase == RECONCILIATION else 0,
        message=run.message,
        tickers=tickers if run.phase == EXECUTION else (),
    )
