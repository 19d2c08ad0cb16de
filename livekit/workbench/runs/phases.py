"""Phases performed as notebooks: run by papermill, judged by the run record, always archived."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from jupyter_client.kernelspec import NoSuchKernel

from livekit.broker.venue.session import KEY_VARIABLES
from livekit.config import Profile, resolve_credentials
from livekit.errors import LivekitError, UsageError
from livekit.state import Run
from livekit.trading.desk import Desk
from livekit.trading.opening import Link
from livekit.trading.phases import (
    COMPARISON,
    EXECUTION,
    RECONCILIATION,
    SIGNALS,
    PhaseOutcome,
)
from livekit.workbench.archiving.sealing import MESSAGE_LENGTH, Sealer
from livekit.workbench.daily import RUNNING, Performer, perform_recorded, start_record
from livekit.workbench.day import STATE_DB_VARIABLE
from livekit.workbench.notify import secret_parts
from livekit.workbench.review.past import recorded_lines
from livekit.workbench.runs.kernels import Kernel
from livekit.workbench.runs.notebook_form import require_plain_cells
from livekit.workbench.runs.nursery import Nursery
from livekit.workbench.runs.run import NotebookOutcome, run_notebook

__all__ = [
    "NOTEBOOKS",
    "environment_secrets",
    "known_secrets",
    "loading_kernels",
    "notebook_performer",
    "notebooks_dir",
]

NOTEBOOKS = {
    SIGNALS: "01_signals.ipynb",
    EXECUTION: "02_execution.ipynb",
    RECONCILIATION: "03_reconciliation.ipynb",
    COMPARISON: "04_comparison.ipynb",
}
LAST_NOTEBOOK = COMPARISON
PRELOAD = "from livekit.workbench.day import warm_up; warm_up()"
SHORTEST_KEY = 8
_SECRET_NAME = re.compile(r"(KEY|KEY_ID|SECRET|TOKEN|PASSWORD|PASSWD)$")


def notebooks_dir() -> Path:
    """The checkout's notebooks; raises `UsageError` when the package stands alone."""
    folder = Path(__file__).resolve().parents[3] / "notebooks"
    if not folder.is_dir():
        raise UsageError(f"no notebooks at {folder}: run from a checkout")
    return folder


@contextmanager
def loading_kernels(*, wanted: bool) -> Iterator[Nursery | None]:
    """A nursery that loads while the caller goes on; None if not wanted or not possible here."""
    if not wanted or not Nursery.is_possible():
        yield None
        return
    with Nursery() as nursery:
        yield nursery


@contextmanager
def notebook_performer(
    profile: Profile, link: Link, *, folder: Path | None = None, nursery: Nursery | None = None
) -> Iterator[Performer]:
    """A performer that runs a phase's notebook in a kernel; phases without one run in process.

    A kernel that was started ahead and is not needed ends with the block.
    ``folder`` holds the notebooks, the checkout's by default; ``nursery`` is where kernels are
    forked, without one each is started by itself. Whatever goes wrong with a notebook
    or its archive is the outcome of its phase and an alert, so that the later phases still run.
    Raises `KeysMissing` when the profile's own keys cannot be found, since the archive could not
    be kept free of them.
    """
    environment = {**link.environment, STATE_DB_VARIABLE: str(profile.state_db.resolve())}
    secrets = (*known_secrets(profile, link), *environment_secrets())
    runner = _Runner(folder or notebooks_dir(), environment, secrets, nursery)

    def performed(desk: Desk, phase: str, session: date) -> PhaseOutcome:
        if phase not in NOTEBOOKS:
            return perform_recorded(desk, phase, session)
        return runner.perform(desk, phase, session)

    try:
        yield performed
    finally:
        runner.end()


def known_secrets(profile: Profile, link: Link) -> tuple[str, ...]:
    """The keys that a kernel of this profile holds and that must not reach the archive."""
    given = [link.environment[name] for name in KEY_VARIABLES if name in link.environment]
    own = resolve_credentials() if profile.venue == "alpaca-paper" else ()
    return (*given, *own)


def environment_secrets(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Values that a kernel inherits and that nobody may read in an archive.

    These are the variables whose name ends like that of a key, token or password, and the secret
    parts of the addresses that alerts and pings go to.
    """
    values = (value for name, value in environ.items() if _SECRET_NAME.search(name))
    return (*(value for value in values if len(value) >= SHORTEST_KEY), *secret_parts(environ))


class _Runner:
    """Runs a phase's notebook in a kernel that gets ``environment``, and archives it.

    At a simulated venue, where no time passes between the phases, the kernel of the next phase
    is started while this one is busy.
    """

    def __init__(
        self,
        notebooks: Path,
        environment: Mapping[str, str],
        secrets: tuple[str, ...],
        nursery: Nursery | None,
    ) -> None:
        self._notebooks = notebooks
        self._environment = environment
        self._secrets = secrets
        self._ahead: list[Kernel] = []
        self._nursery = nursery

    def end(self) -> None:
        """End the kernel that no phase has taken."""
        while self._ahead:
            self._ahead.pop().end()

    def perform(self, desk: Desk, phase: str, session: date) -> PhaseOutcome:
        sealer = Sealer(desk.profile, desk.db, self._secrets)
        run_id = start_record(desk, phase, session)
        with tempfile.TemporaryDirectory(prefix="livekit-run-") as folder:
            executed = Path(folder) / NOTEBOOKS[phase]
            self._judge(desk, sealer, run_id, self._ended(desk, sealer.run(run_id), executed))
            shown = executed if executed.exists() else self._notebooks / NOTEBOOKS[phase]
            sealer.archive(run_id, shown, desk.clock.now())
        _renew_front_page(desk)
        run = sealer.run(run_id)
        return PhaseOutcome(phase, session, run.exit_code or 0, _lines(run))

    def _ended(self, desk: Desk, run: Run, executed: Path) -> NotebookOutcome:
        notebook = self._notebooks / NOTEBOOKS[run.phase]
        try:
            require_plain_cells(notebook)
            with self._ahead.pop() if self._ahead else self._start_kernel() as kernel:
                if desk.profile.venue == "simulated" and run.phase != LAST_NOTEBOOK:
                    self._ahead.append(self._start_kernel())
                _load_exporter()
                return run_notebook(
                    notebook,
                    {
                        "state_db": str(desk.profile.state_db),
                        "session": run.session.isoformat(),
                        "run_id": run.run_id,
                    },
                    output=executed,
                    kernel=kernel,
                )
        except (LivekitError, NoSuchKernel, OSError) as error:
            return NotebookOutcome("failed", type(error).__name__, str(error), 0.0)

    def _start_kernel(self) -> Kernel:
        if self._nursery is not None:
            return Kernel(self._environment, nursery=self._nursery)
        return Kernel(self._environment, preload=(PRELOAD,))

    def _judge(self, desk: Desk, sealer: Sealer, run_id: int, ended: NotebookOutcome) -> None:
        """Keep what the run's record says; without one it failed, whatever papermill says."""
        recorded = sealer.run(run_id).status != RUNNING
        if recorded and ended.status == "completed":
            return
        cause = f"{ended.error_name}: {ended.error_text}" if ended.error_name else "no run record"
        sealer.fail(run_id, "failed_run", sealer.harmless(cause), desk.clock.now())


def _load_exporter() -> None:
    """Load what makes pages, which takes as long as a kernel takes to start."""
    from livekit.workbench.archiving.page import prepare_export  # noqa: PLC0415

    prepare_export()


def _lines(run: Run) -> tuple[str, ...]:
    """What a run reported, one line a fact; first of all why it failed, if that is not among it."""
    recorded = recorded_lines(run)
    told = run.message == "; ".join(recorded)[:MESSAGE_LENGTH]
    return recorded if told else (run.message, *recorded)


def _renew_front_page(desk: Desk) -> None:
    """The archive's front page, or an alert when it cannot be written."""
    from livekit.workbench.archiving.front_page import renew_front_page  # noqa: PLC0415 - see _load_exporter

    try:
        renew_front_page(desk)
    except LivekitError as error:
        desk.db.add_alert("archive", str(error), at=desk.clock.now(), severity="critical")
