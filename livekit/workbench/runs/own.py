"""A notebook of a person's own: run, judged, sealed and archived as those of the day are.

It belongs to no phase and trades nothing by itself, so it takes no lock that the day needs. The
runner adds a last cell that writes the run record; without that record the run failed, whatever
papermill says. Its row in the run log is written when it has ended.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import nbformat

from livekit.backtest.manifest import code_version
from livekit.clock import Clock
from livekit.config import Profile, config_sha256
from livekit.errors import LivekitError, NotASession, SecretExposed, UnknownParameter, UsageError
from livekit.sessions import parse_session, session_of
from livekit.state import StateDB
from livekit.trading.phases import PHASES
from livekit.workbench.archiving.front_page import front_page
from livekit.workbench.archiving.sealing import RECORD_VARIABLE, Sealer
from livekit.workbench.archiving.secret_scan import require_no_secret
from livekit.workbench.daily import DONE
from livekit.workbench.day import STATE_DB_VARIABLE
from livekit.workbench.runs.kernels import Kernel
from livekit.workbench.runs.run import (
    NotebookOutcome,
    notebook_parameters,
    resolve_parameters,
    run_notebook,
    typed_parameters,
)

__all__ = ["OwnRun", "Timeouts", "run_own"]

RECORD_CELL = "from livekit.workbench.archiving.sealing import record_run\n\nrecord_run()"
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that one cell, and the start of the kernel, may take."""

    cell_s: int = 1800
    start_s: int = 60


@dataclass(frozen=True, slots=True)
class OwnRun:
    """How it ended: the run's id, its exit code, why it failed, and its page if it has one."""

    run_id: int
    exit_code: int
    message: str
    page: Path | None


def run_own(
    profile: Profile,
    notebook: Path,
    texts: Mapping[str, str],
    *,
    clock: Clock,
    secrets: tuple[str, ...],
    name: str | None = None,
    timeouts: Timeouts = Timeouts(),
) -> OwnRun:
    """Run ``notebook`` with parameters given as text and archive it under ``name``.

    A parameter ``state_db`` that is not given is the profile's database. Before a kernel starts
    this raises `BadInput` for a file that is no notebook, `UnknownParameter` for a parameter that
    is unknown, ill-typed, missing or holds a secret, `NotASession` for a ``session`` that is none,
    and `UsageError` for a name that cannot be archived. What goes wrong later is the outcome.
    """
    _require_no_secret_given(notebook, texts, secrets)
    phase = _archive_name(notebook, name)
    parameters = _resolved(profile, notebook, texts)
    with StateDB(profile.state_db) as db:
        session = _session(db, parameters.get("session"), clock)
        sealer = Sealer(profile, db, secrets)
        with tempfile.TemporaryDirectory(prefix="livekit-run-") as folder:
            executed = Path(folder) / "executed.ipynb"
            started = clock.now()
            ended = _ended(profile, notebook, parameters, executed, timeouts)
            run_id = _logged(sealer, phase, session, started, clock.now(), ended)
            shown = executed if executed.exists() else notebook
            sealer.archive(run_id, shown, clock.now())
        _renew(profile, db, clock)
        run = sealer.run(run_id)
    page = profile.archive_dir / f"{run.archive_path}.html" if run.archive_path else None
    return OwnRun(run_id, 1 if run.exit_code is None else run.exit_code, run.message, page)


def _require_no_secret_given(
    notebook: Path, texts: Mapping[str, str], secrets: tuple[str, ...]
) -> None:
    try:
        require_no_secret(secrets, texts)
    except SecretExposed as error:
        raise UnknownParameter(
            str(notebook),
            ["a parameter holds a secret; keys come from the environment, never as parameters"],
        ) from error


def _archive_name(notebook: Path, name: str | None) -> str:
    chosen = re.sub(r"[^a-z0-9]+", "_", notebook.stem.lower()).strip("_") if name is None else name
    if not _NAME.fullmatch(chosen) or chosen in (*PHASES, "executor"):
        raise UsageError(
            f"{chosen!r} is no name for the archive: small letters, digits and underscores, at "
            "most 40, and none of the day's phases; give one with --name"
        )
    return chosen


def _resolved(
    profile: Profile, notebook: Path, texts: Mapping[str, str]
) -> dict[str, str | int | float | bool]:
    given = dict(typed_parameters(notebook, texts))
    if "state_db" in notebook_parameters(notebook) and "state_db" not in given:
        given["state_db"] = str(profile.state_db.resolve())
    resolved = resolve_parameters(notebook, given)
    if isinstance(resolved.get("session"), str):
        _require_session(str(resolved["session"]))
    return resolved


def _require_session(text: str) -> None:
    if parse_session(text).isoformat() != text:
        raise NotASession(repr(text), "not a date of the form YYYY-MM-DD")


def _session(db: StateDB, given: object, clock: Clock) -> date:
    """The session that the run is filed under: its own, else the last one of the run log."""
    if isinstance(given, str):
        return parse_session(given)
    known = [run.session for run in db.get_runs()]
    return max(known) if known else session_of(clock.now())


def _ended(
    profile: Profile,
    notebook: Path,
    parameters: Mapping[str, str | int | float | bool],
    executed: Path,
    timeouts: Timeouts,
) -> NotebookOutcome:
    record = executed.with_name("record")
    environment = {
        STATE_DB_VARIABLE: str(profile.state_db.resolve()),
        RECORD_VARIABLE: str(record),
    }
    try:
        outcome = run_notebook(
            _with_record_cell(notebook, executed.with_name(notebook.name)),
            parameters,
            output=executed,
            kernel=Kernel(environment, cwd=notebook.resolve().parent),
            cell_timeout_s=timeouts.cell_s,
            start_timeout_s=timeouts.start_s,
        )
    except (LivekitError, OSError) as error:
        return NotebookOutcome("failed", type(error).__name__, str(error), 0.0)
    if outcome.status == "completed" and not record.exists():
        return NotebookOutcome("failed", "RunIncomplete", "no run record", outcome.seconds)
    return outcome


def _with_record_cell(notebook: Path, copy: Path) -> Path:
    content = nbformat.read(notebook, as_version=4)
    content.cells.append(nbformat.v4.new_code_cell(RECORD_CELL))
    nbformat.write(content, copy)
    return copy


def _logged(
    sealer: Sealer,
    phase: str,
    session: date,
    started: datetime,
    ended_at: datetime,
    ended: NotebookOutcome,
) -> int:
    with sealer.db.transaction():
        run_id = sealer.db.start_run(
            session=session,
            phase=phase,
            at=started,
            venue=sealer.profile.venue,
            git=code_version(),
            config_sha256=config_sha256(sealer.profile.trading),
        )
        if ended.status == "completed":
            sealer.db.finish_run(run_id, at=ended_at, status=DONE, exit_code=0)
        else:
            cause = sealer.harmless(f"{ended.error_name}: {ended.error_text}")
            sealer.fail(run_id, "failed_run", cause, ended_at)
    return run_id


def _renew(profile: Profile, db: StateDB, clock: Clock) -> None:
    """The front page with the new run, or an alert when it cannot be written."""
    from livekit.workbench.archive import write_index  # noqa: PLC0415 - beside the page's template

    now = clock.now()
    try:
        write_index(profile.archive_dir, front_page(profile, db, made_at=now))
    except LivekitError as error:
        db.add_alert("archive", str(error), at=now, severity="critical")
