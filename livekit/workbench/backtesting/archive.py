"""``05_backtest`` run in a kernel and archived: beside the days of its profile, or by itself.

With a parameter file whose profile is registered the run is logged in the profile's books and lies
in its archive. Without one it lies in ``archive/`` of the record's folder, whose
index is made from ``runs.csv`` beside it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jupyter_client.kernelspec import NoSuchKernel

from livekit.backtest.manifest import git_state
from livekit.backtest.prepared import span_of
from livekit.clock import Clock
from livekit.config import KEY_FAMILIES, Profile, config_sha256, load_profile
from livekit.errors import BadInput, LivekitError, UsageError
from livekit.files import write_whole
from livekit.prices.fmp_source import FMP_KEY
from livekit.trading.opening import open_desk
from livekit.workbench.archive import ArchivedRun, run_path, seal, write_index
from livekit.workbench.archiving.front_page import renew_front_page
from livekit.workbench.archiving.index import RunEntry, render_index
from livekit.workbench.archiving.page import PageHeader
from livekit.workbench.backtesting.inputs import load_inputs
from livekit.workbench.backtesting.runs import LOOKS_AHEAD, MANIFEST, Simulation
from livekit.workbench.runs.phases import notebooks_dir
from livekit.workbench.runs.run import NotebookOutcome, run_notebook

__all__ = ["BACKTEST", "NOTEBOOK", "BacktestPage", "archived_backtest"]

BACKTEST = "backtest"
NOTEBOOK = "05_backtest.ipynb"
LOG = "runs.csv"
MOST_ATTEMPTS = 100
ALONE = "backtest"  # the profile's name on a page without one


@dataclass(frozen=True, slots=True)
class BacktestPage:
    """Where the page and the record are, and how the run ended."""

    page: Path
    manifest: Path
    exit_code: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the notebook: what it is of, and what became of it."""

    simulation: Simulation
    session: date
    manifest: Path
    executed: Path
    outcome: NotebookOutcome

    @property
    def trouble(self) -> str:
        """Why it failed; empty when the notebook came to its end and its record is sound."""
        if self.outcome.status != "completed":
            return f"{self.outcome.error_name}: {self.outcome.error_text}"
        if not self.manifest.is_file():
            return "the notebook wrote no record"
        record = json.loads(self.manifest.read_text(encoding="utf-8"))
        return LOOKS_AHEAD if record["simulation"]["look_ahead"] == "failed" else ""

    @property
    def exit_code(self) -> int:
        """0, or 1 for a run without a record or one that looks ahead."""
        return 1 if self.trouble else 0

    def header(self, profile: str, attempt: int, run_id: int) -> PageHeader:
        """What stands above its page."""
        chosen = self.simulation
        state = git_state()
        return PageHeader(
            phase=BACKTEST,
            session=self.session,
            attempt=attempt,
            run_id=run_id,
            profile=profile,
            status="failed" if self.exit_code else "done",
            exit_code=self.exit_code,
            simulated=True,
            message=self.trouble,
            facts=(("strategy", chosen.strategy), ("simulation", chosen.mode)),
            hashes=(
                ("configuration", config_sha256(chosen.config)),
                ("code", "not a checkout" if state is None else state.sha),
            ),
        )


def archived_backtest(
    simulation: Simulation,
    *,
    prices: Path | None,
    candidates: Path | None,
    params: Path | None,
    out: Path,
    clock: Clock,
) -> BacktestPage:
    """Run the notebook, archive it with its page, and write the record into ``out``.

    Raises what reading the inputs raises, before a kernel starts; whatever the notebook itself
    runs into is told by the page and the exit code.
    """
    simulation.simulator()
    _, last = span_of(load_inputs(prices, candidates).bars)
    profile = load_profile(params) if params else None
    manifest = out.resolve() / MANIFEST
    manifest.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="livekit-run-") as folder:
        executed = Path(folder) / NOTEBOOK
        parameters = _parameters(simulation, prices, candidates, params, out)
        run = _Run(
            simulation,
            min(last, simulation.last or last),
            manifest,
            executed,
            _ended(parameters, executed),
        )
        if profile is not None and profile.state_db.exists():
            return _into_profile(run, profile)
        return _alone(run, out / "archive", clock)


def _parameters(
    simulation: Simulation,
    prices: Path | None,
    candidates: Path | None,
    params: Path | None,
    out: Path,
) -> dict[str, str | int | float | bool]:
    return {
        "prices": _text(prices),
        "candidates": _text(candidates),
        "params": _text(params),
        "strategy": simulation.strategy,
        "stop_fill": simulation.stop_fill,
        "adjustment": simulation.adjustment,
        "mode": simulation.mode,
        "first": str(simulation.first or ""),
        "last": str(simulation.last or ""),
        "record": str(out.resolve()),
    }


def _text(path: Path | None) -> str:
    return "" if path is None else str(path.resolve())


def _ended(parameters: dict[str, str | int | float | bool], executed: Path) -> NotebookOutcome:
    notebook = notebooks_dir() / NOTEBOOK
    try:
        return run_notebook(notebook, parameters, output=executed)
    except NoSuchKernel as error:
        return NotebookOutcome("failed", type(error).__name__, str(error), 0.0)


def _shown(run: _Run) -> Path:
    return run.executed if run.executed.exists() else notebooks_dir() / NOTEBOOK


def _page(root: Path, archived: ArchivedRun, run: _Run) -> BacktestPage:
    return BacktestPage(root / archived.page, run.manifest, run.exit_code, run.trouble)


# ------------------------------------------------------------------------------------ where it lies


def _into_profile(run: _Run, profile: Profile) -> BacktestPage:
    with open_desk(profile, who=BACKTEST) as desk:
        now = desk.clock.now()
        header = run.header(profile.name, 1, 0)
        hashes = dict(header.hashes)
        run_id = desk.db.start_run(
            session=run.session,
            phase=BACKTEST,
            at=now,
            venue=profile.venue,
            git=hashes["code"],
            config_sha256=hashes["configuration"],
        )
        logged = next(one for one in desk.db.get_runs(run.session) if one.run_id == run_id)
        try:
            archived = seal(
                profile.archive_dir,
                _shown(run),
                run.header(profile.name, logged.attempt, run_id),
                secrets=_secrets(),
            )
        except LivekitError as error:
            desk.db.finish_run(
                run_id, at=now, status="failed", exit_code=error.exit_code, message=str(error)
            )
            raise
        desk.db.finish_run(
            run_id,
            at=now,
            status=header.status,
            exit_code=run.exit_code,
            message=run.trouble,
            notebook_sha256=archived.notebook_sha256,
            html_sha256=archived.page_sha256,
            archive_path=archived.page.removesuffix(".html"),
        )
        renew_front_page(desk)
    return _page(profile.archive_dir, archived, run)


def _alone(run: _Run, root: Path, clock: Clock) -> BacktestPage:
    attempt = _free_attempt(root, run.session)
    header = run.header(ALONE, attempt, attempt)
    earlier = _logged(root / LOG)
    archived = seal(root, _shown(run), header, secrets=_secrets())
    entry = _entry(run.session, attempt, archived.page, header)
    _log(root / LOG, [*earlier, entry])
    made_at = clock.now()
    page = render_index([*earlier, entry], profile=ALONE, simulated=True, made_at=made_at)
    write_index(root, page)
    return _page(root, archived, run)


def _entry(session: date, attempt: int, page: str, header: PageHeader) -> RunEntry:
    return RunEntry(
        session=session,
        phase=BACKTEST,
        attempt=attempt,
        run_id=attempt,
        status=header.status,
        exit_code=header.exit_code,
        page=page,
        notebook=page.removesuffix(".html") + ".ipynb",
        message=header.message,
    )


def _log(path: Path, entries: Sequence[RunEntry]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for one in entries:
        rows.writerow((one.session, one.attempt, one.status, one.exit_code, one.page, one.message))
    write_whole(path, text.getvalue().encode())


def _logged(path: Path) -> list[RunEntry]:
    if not path.exists():
        return []
    found = []
    for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))):
        try:
            session, attempt, status, exit_code, page, message = row
            day, number, code = date.fromisoformat(session), int(attempt), int(exit_code)
        except ValueError as error:
            raise BadInput(path, f"is no log of backtests: {','.join(row)}") from error
        notebook = page.removesuffix(".html") + ".ipynb"
        found.append(
            RunEntry(day, BACKTEST, number, number, status, code, page, notebook, message=message)
        )
    return found


def _free_attempt(root: Path, session: date) -> int:
    for attempt in range(1, MOST_ATTEMPTS):
        if not (root / f"{run_path(session, BACKTEST, attempt)}.html").exists():
            return attempt
    raise UsageError(f"{root} holds {MOST_ATTEMPTS - 1} backtests to {session}: name another --out")


def _secrets() -> tuple[str, ...]:
    """Keys that the kernel inherits; a backtest needs none, and none may reach its page."""
    names = (*(name for family in KEY_FAMILIES for name in family), FMP_KEY)
    return tuple(os.environ[name] for name in names if os.environ.get(name))
