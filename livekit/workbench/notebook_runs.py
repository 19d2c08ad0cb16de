"""Phases performed as notebooks: run by papermill, judged by the run record, always archived."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from jupyter_client.kernelspec import NoSuchKernel

from livekit.broker.venue.session import KEY_VARIABLES
from livekit.config import Profile, resolve_credentials
from livekit.errors import LivekitError, SecretExposed, UsageError
from livekit.state import Run, StateDB
from livekit.trading.desk import Desk
from livekit.trading.opening import Link
from livekit.trading.phases import (
    COMPARISON,
    EXECUTION,
    RECONCILIATION,
    SIGNALS,
    PhaseOutcome,
    worst_exit_code,
)
from livekit.workbench.archive import ArchivedRun, seal
from livekit.workbench.daily import FAILED, Performer, perform_recorded, start_record
from livekit.workbench.day import STATE_DB_VARIABLE
from livekit.workbench.front_page import RUNNING, renew_front_page
from livekit.workbench.kernels import Kernel
from livekit.workbench.page import PageHeader
from livekit.workbench.review import recorded_lines
from livekit.workbench.run import NotebookOutcome, run_notebook
from livekit.workbench.secret_scan import require_no_secret
from livekit.workbench.tables import exchange_text

__all__ = ["NOTEBOOKS", "known_secrets", "notebook_performer", "notebooks_dir"]

NOTEBOOKS = {
    SIGNALS: "01_signals.ipynb",
    EXECUTION: "02_execution.ipynb",
    RECONCILIATION: "03_reconciliation.ipynb",
    COMPARISON: "04_comparison.ipynb",
}
LAST_NOTEBOOK = COMPARISON
PRELOAD = "from livekit.workbench.day import warm_up; warm_up()"
MESSAGE_LENGTH = 2000


def notebooks_dir() -> Path:
    """The checkout's notebooks; raises `UsageError` when the package stands alone."""
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    if not folder.is_dir():
        raise UsageError(f"no notebooks at {folder}: run from a checkout")
    return folder


def notebook_performer(profile: Profile, link: Link, *, folder: Path | None = None) -> Performer:
    """A performer that runs a phase's notebook in a kernel; phases without one run in process.

    ``folder`` holds the notebooks, the checkout's by default. Whatever goes wrong with a notebook
    or its archive is the outcome of its phase and an alert, so that the later phases still run.
    Raises `KeysMissing` when the profile's own keys cannot be found, since the archive could not
    be kept free of them.
    """
    environment = {**link.environment, STATE_DB_VARIABLE: str(profile.state_db.resolve())}
    runner = _Runner(folder or notebooks_dir(), environment, known_secrets(profile, link))

    def performed(desk: Desk, phase: str, session: date) -> PhaseOutcome:
        if phase not in NOTEBOOKS:
            return perform_recorded(desk, phase, session)
        return runner.perform(desk, phase, session)

    return performed


def known_secrets(profile: Profile, link: Link) -> tuple[str, ...]:
    """The keys that a kernel of this profile holds and that must not reach the archive."""
    given = [link.environment[name] for name in KEY_VARIABLES if name in link.environment]
    own = resolve_credentials() if profile.venue == "alpaca-paper" else ()
    return (*given, *own)


class _Runner:
    """Runs a phase's notebook in a kernel that gets ``environment``, and archives it.

    At a simulated venue, where no time passes between the phases, the kernel of the next phase
    is started while this one is busy.
    """

    def __init__(
        self, notebooks: Path, environment: Mapping[str, str], secrets: tuple[str, ...]
    ) -> None:
        self._notebooks = notebooks
        self._environment = environment
        self._secrets = secrets
        self._ahead: list[Kernel] = []
        weakref.finalize(self, _end_all, self._ahead)

    def perform(self, desk: Desk, phase: str, session: date) -> PhaseOutcome:
        run_id = start_record(desk, phase, session)
        with tempfile.TemporaryDirectory(prefix="livekit-run-") as folder:
            executed = Path(folder) / NOTEBOOKS[phase]
            self._judge(desk, run_id, self._ended(desk, run_id, executed))
            self._archive(desk, run_id, executed)
        _renew_front_page(desk)
        run = _run(desk.db, run_id)
        return PhaseOutcome(phase, session, run.exit_code or 0, _lines(run))

    def _ended(self, desk: Desk, run_id: int, executed: Path) -> NotebookOutcome:
        run = _run(desk.db, run_id)
        try:
            with self._ahead.pop() if self._ahead else self._start_kernel() as kernel:
                if desk.profile.venue == "simulated" and run.phase != LAST_NOTEBOOK:
                    self._ahead.append(self._start_kernel())
                return run_notebook(
                    self._notebooks / NOTEBOOKS[run.phase],
                    {
                        "state_db": str(desk.profile.state_db),
                        "session": run.session.isoformat(),
                        "run_id": run_id,
                    },
                    output=executed,
                    kernel=kernel,
                )
        except (LivekitError, NoSuchKernel, OSError) as error:
            return NotebookOutcome("failed", type(error).__name__, str(error), 0.0)

    def _start_kernel(self) -> Kernel:
        return Kernel(self._environment, preload=(PRELOAD,))

    def _judge(self, desk: Desk, run_id: int, ended: NotebookOutcome) -> None:
        """Keep what the run's record says; without one it failed, whatever papermill says."""
        recorded = _run(desk.db, run_id).status != RUNNING
        if recorded and ended.status == "completed":
            return
        cause = f"{ended.error_name}: {ended.error_text}" if ended.error_name else "no run record"
        _fail(desk, run_id, "failed_run", self._harmless(cause))

    def _harmless(self, text: str) -> str:
        try:
            require_no_secret(self._secrets, {"error": text})
        except SecretExposed:
            return "an error whose text holds a secret"
        return text

    def _archive(self, desk: Desk, run_id: int, executed: Path) -> None:
        """Archive notebook and page; a run whose output holds a secret is not written anywhere."""
        run = _run(desk.db, run_id)
        shown = executed if executed.exists() else self._notebooks / NOTEBOOKS[run.phase]
        try:
            archived = seal(
                desk.profile.archive_dir, shown, _header(desk, run), secrets=self._secrets
            )
        except SecretExposed as error:
            _fail(desk, run_id, "secret", str(error), lines=(str(error),))
        except LivekitError as error:
            _fail(desk, run_id, "archive", str(error), exit_code=error.exit_code)
        else:
            _note_archived(desk, run, archived)


def _end_all(kernels: list[Kernel]) -> None:
    while kernels:
        kernels.pop().end()


def _run(db: StateDB, run_id: int) -> Run:
    return next(run for run in db.get_runs() if run.run_id == run_id)


def _lines(run: Run) -> tuple[str, ...]:
    """What a run reported, one line a fact; first of all why it failed, if that is not among it."""
    recorded = recorded_lines(run)
    told = run.message == "; ".join(recorded)[:MESSAGE_LENGTH]
    return recorded if told else (run.message, *recorded)


def _fail(
    desk: Desk,
    run_id: int,
    kind: str,
    cause: str,
    *,
    exit_code: int = 1,
    lines: tuple[str, ...] | None = None,
) -> None:
    """Mark a run failed and alert; a graver exit code that it recorded itself stands.

    ``lines`` replace those of its record.
    """
    run, now = _run(desk.db, run_id), desk.clock.now()
    desk.db.finish_run(
        run_id,
        at=now,
        status=FAILED,
        exit_code=worst_exit_code([exit_code, run.exit_code or 0]),
        message=cause[:MESSAGE_LENGTH],
        record_json=None if lines is None else json.dumps({"lines": lines}),
    )
    text = f"{run.phase} of {run.session}: {cause}"
    desk.db.add_alert(kind, text, at=now, severity="critical")


def _header(desk: Desk, run: Run) -> PageHeader:
    simulated = desk.profile.venue == "simulated"
    exit_code = 1 if run.exit_code is None else run.exit_code
    return PageHeader(
        phase=run.phase,
        session=run.session,
        attempt=run.attempt,
        run_id=run.run_id,
        profile=desk.profile.name,
        status=run.status,
        exit_code=exit_code,
        simulated=simulated,
        message=run.message if exit_code else "",
        facts=(
            ("started", exchange_text(run.started_at)),
            *((("fill model", desk.profile.fill_model),) if simulated else ()),
        ),
        hashes=(("configuration", run.config_sha256), ("code", run.git)),
    )


def _note_archived(desk: Desk, run: Run, archived: ArchivedRun) -> None:
    desk.db.finish_run(
        run.run_id,
        at=run.finished_at or desk.clock.now(),
        status=run.status,
        exit_code=1 if run.exit_code is None else run.exit_code,
        message=run.message,
        notebook_sha256=archived.notebook_sha256,
        html_sha256=archived.page_sha256,
        archive_path=archived.page.removesuffix(".html"),
    )


def _renew_front_page(desk: Desk) -> None:
    """The archive's front page, or an alert when it cannot be written."""
    try:
        renew_front_page(desk)
    except LivekitError as error:
        desk.db.add_alert("archive", str(error), at=desk.clock.now(), severity="critical")
