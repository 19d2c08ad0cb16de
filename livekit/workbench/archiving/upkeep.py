"""Upkeep of an archive: checked against the run log, rendered anew, relieved of old attempts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from livekit.config import Profile
from livekit.errors import BadInput, UsageError
from livekit.files import write_whole
from livekit.state import Run, StateDB
from livekit.workbench.archive import ArchivedRun, page_of, verify_archive, write_index
from livekit.workbench.archiving.assets import page_assets
from livekit.workbench.archiving.front_page import front_page, page_header

__all__ = ["Rebuilt", "archived_run", "prunable", "prune", "rebuild", "verify"]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild made: where, how many pages, which restored an original, what is wrong.

    ``changed`` names the pages that today's program renders otherwise than they were archived.
    """

    folder: Path
    pages: int
    changed: tuple[str, ...]
    restored: tuple[str, ...]
    problems: tuple[str, ...]


def archived_run(run: Run) -> ArchivedRun | None:
    """Paths and hashes of a run's files as the run log has them; None if it was not archived."""
    if run.archive_path is None:
        return None
    return ArchivedRun(
        f"{run.archive_path}.ipynb",
        run.notebook_sha256 or "",
        f"{run.archive_path}.html",
        run.html_sha256 or "",
    )


def verify(profile: Profile, db: StateDB) -> tuple[str, ...]:
    """One line for each file that is missing, changed, or that no run names."""
    archived = [found for run in db.get_runs() if (found := archived_run(run)) is not None]
    return verify_archive(profile.archive_dir, archived)


# --------------------------------------------------------------------------------------- rebuild


def rebuild(profile: Profile, db: StateDB, into: Path, *, made_at: datetime) -> Rebuilt:
    """Render every page anew from its archived notebook into the empty folder ``into``.

    The result is a complete archive: notebooks byte by byte, pages in today's form, scripts,
    index. Of the archive itself only the front page is replaced, and a page that is missing is put
    back if it comes out exactly as the run log has it. A notebook that is missing or differs from
    its hash is a problem, and its page is not made.

    Raises `UsageError` when ``into`` holds anything.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"{into} is not an empty folder; name another one with --into")
    made: list[_Page] = []
    problems: list[str] = []
    for run in db.get_runs():
        archived = archived_run(run)
        if archived is None:
            continue
        try:
            made.append(_rendered(profile, run, archived))
        except BadInput as error:
            problems.append(str(error))
    return _write_rebuilt(profile, db, into, made, problems, made_at)


@dataclass(frozen=True, slots=True)
class _Page:
    archived: ArchivedRun
    notebook: bytes
    page: bytes

    @property
    def is_original(self) -> bool:
        return hashlib.sha256(self.page).hexdigest() == self.archived.page_sha256


def _rendered(profile: Profile, run: Run, archived: ArchivedRun) -> _Page:
    path = profile.archive_dir / archived.notebook
    try:
        notebook = path.read_bytes()
    except OSError as error:
        raise BadInput(archived.notebook, f"cannot be read ({error.strerror})") from error
    if hashlib.sha256(notebook).hexdigest() != archived.notebook_sha256:
        raise BadInput(archived.notebook, "differs from what was archived")
    return _Page(archived, notebook, page_of(notebook.decode(), page_header(profile, run)).encode())


def _write_rebuilt(
    profile: Profile,
    db: StateDB,
    into: Path,
    made: Sequence[_Page],
    problems: Sequence[str],
    made_at: datetime,
) -> Rebuilt:
    for item in made:
        write_whole(into / item.archived.notebook, item.notebook, durable=False)
        write_whole(into / item.archived.page, item.page, durable=False)
    for asset in page_assets():
        write_whole(into / asset.path, asset.content, durable=False)
    index = front_page(profile, db, made_at=made_at)
    write_whole(into / "index.html", index.encode())
    write_index(profile.archive_dir, index)
    return Rebuilt(
        into,
        len(made),
        tuple(item.archived.page for item in made if not item.is_original),
        tuple(_restored(profile.archive_dir, made)),
        tuple(problems),
    )


def _restored(archive_dir: Path, made: Iterable[_Page]) -> list[str]:
    missing = [
        item
        for item in made
        if item.is_original and not (archive_dir / item.archived.page).exists()
    ]
    for item in missing:
        write_whole(archive_dir / item.archived.page, item.page)
    return [item.archived.page for item in missing]


# ----------------------------------------------------------------------------------------- prune


def prunable(runs: Sequence[Run], before: date) -> tuple[Run, ...]:
    """Archived attempts of sessions before ``before`` that a later attempt replaced.

    The last archived attempt of each phase of a session always stays, and so does the last one
    that was done: what was traded keeps its evidence.
    """
    archived = [run for run in runs if run.archive_path is not None]
    last = {(run.session, run.phase): run.run_id for run in archived}
    done = {(run.session, run.phase): run.run_id for run in archived if run.status == "done"}
    kept = {*last.values(), *done.values()}
    return tuple(run for run in archived if run.session < before and run.run_id not in kept)


def prune(profile: Profile, db: StateDB, runs: Sequence[Run]) -> None:
    """Remove the files of ``runs``; their rows keep the hashes and lose the path.

    Raises `BadInput` when a file cannot be removed; a second call goes on from there.
    """
    for run in runs:
        archived = archived_run(run)
        if archived is None:
            continue
        for name in (archived.notebook, archived.page):
            _remove(profile.archive_dir / name)
        db.forget_archived(run.run_id)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(path, f"cannot be removed ({error.strerror})") from error
