"""Where a run's notebook and page are put away: once, privately, and with their hashes.

::

    {archive}/index.html
    {archive}/assets/plotly-4.1.1.min.js …
    {archive}/2020/01/2020-01-30/10-signals__2020-01-30__r01.ipynb
                                 10-signals__2020-01-30__r01.html

The session is the exchange's, the ordinal gives the order of reading, and ``r01`` is the attempt.
A file is created exclusively and never opened again for writing; folders are 0700, files 0600. No
component below the archive's root may be a symbolic link.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

import nbformat

from livekit.errors import BadInput, UsageError
from livekit.workbench.assets import Asset, page_assets
from livekit.workbench.page import PageHeader, export_page
from livekit.workbench.secret_scan import require_no_secret

__all__ = [
    "ArchivedRun",
    "archive_run",
    "clean_notebook",
    "run_path",
    "seal",
    "verify_archive",
    "write_index",
]

ORDINALS = {"signals": 10, "execution": 20, "reconciliation": 30, "comparison": 40, "backtest": 50}
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """Both files of an archived run: paths below the archive's root and sha256 of their bytes."""

    notebook: str
    notebook_sha256: str
    page: str
    page_sha256: str


def run_path(session: date, phase: str, attempt: int) -> PurePosixPath:
    """Path of a run below the archive's root, without suffix.

    Raises `UsageError` for a phase that has no notebook or an attempt below 1.
    """
    if phase not in ORDINALS or attempt < 1:
        raise UsageError(f"nothing to archive for phase {phase!r}, attempt {attempt}")
    name = f"{ORDINALS[phase]:02d}-{phase}__{session}__r{attempt:02d}"
    return PurePosixPath(f"{session:%Y}", f"{session:%m}", session.isoformat(), name)


def seal(
    archive_dir: Path, executed: Path, header: PageHeader, *, secrets: Sequence[str] = ()
) -> ArchivedRun:
    """Clean an executed notebook, render its page and archive both.

    The page names the notebook's hash. Raises what `archive_run` raises, and `BadInput` when
    ``executed`` is not a notebook.
    """
    notebook = clean_notebook(executed)
    digest = hashlib.sha256(notebook.encode()).hexdigest()
    page = export_page(notebook, header.with_hash("notebook", digest))
    return archive_run(
        archive_dir,
        session=header.session,
        phase=header.phase,
        attempt=header.attempt,
        notebook=notebook,
        page=page,
        secrets=secrets,
    )


def archive_run(
    archive_dir: Path,
    *,
    session: date,
    phase: str,
    attempt: int,
    notebook: str,
    page: str,
    secrets: Sequence[str] = (),
) -> ArchivedRun:
    """Write both files and, if they are not there yet, the shared assets.

    Raises `SecretExposed` when a secret occurs in either text (nothing is written then),
    `UsageError` when the run is archived already or a component is a symbolic link, and `BadInput`
    when the folder cannot be written to. Either both files exist afterwards or neither.
    """
    target = run_path(session, phase, attempt)
    require_no_secret(secrets, {"notebook": notebook, "page": page})
    files = {f"{target}.ipynb": notebook.encode(), f"{target}.html": page.encode()}
    with _archive_root(archive_dir) as root:
        for asset in page_assets():
            _write_asset(root, asset)
        _write_all(root, files)
    (notebook_path, notebook_bytes), (page_path, page_bytes) = files.items()
    return ArchivedRun(notebook_path, _sha256(notebook_bytes), page_path, _sha256(page_bytes))


def write_index(archive_dir: Path, page: str) -> None:
    """Replace the archive's front page in one step."""
    with _archive_root(archive_dir) as root:
        for asset in page_assets():
            _write_asset(root, asset)
        _replace(root, "index.html", page.encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------------------- the notebook


def clean_notebook(executed: Path) -> str:
    """The executed notebook's JSON without paths of this machine and without widget state."""
    try:
        notebook = nbformat.read(executed, as_version=4)
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(executed, f"executed notebook cannot be read ({error})") from error
    notebook.metadata.pop("widgets", None)
    papermill = notebook.metadata.get("papermill", {})
    for name in ("input_path", "output_path"):
        if papermill.get(name):
            papermill[name] = Path(papermill[name]).name
    papermill.pop("environment_variables", None)
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


# -------------------------------------------------------------------------------------- files


@contextmanager
def _archive_root(archive_dir: Path) -> Iterator[int]:
    """A descriptor of the archive's root; everything below is reached through it."""
    try:
        archive_dir.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        root = os.open(archive_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise BadInput(archive_dir, f"is not a usable archive folder ({error.strerror})") from error
    try:
        yield root
    except OSError as error:
        raise BadInput(archive_dir, f"cannot be written ({error.strerror})") from error
    finally:
        os.close(root)


@contextmanager
def _folder(root: int, path: PurePosixPath) -> Iterator[int]:
    """A descriptor of a folder below ``root``, made if need be, no symbolic link on the way."""
    current = os.dup(root)
    try:
        for part in path.parts:
            _make_folder(current, part)
            following = _enter(current, part)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


def _make_folder(parent: int, name: str) -> None:
    try:
        os.mkdir(name, PRIVATE_FOLDER, dir_fd=parent)
    except FileExistsError:
        return


def _enter(parent: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ENOTDIR, errno.ELOOP}:
            raise UsageError(f"archive folder {name} is a symbolic link or a file") from error
        raise


def _create(folder: int, name: str, content: bytes) -> None:
    """Create a file that must not exist; what could be written only in part is removed again."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(name, flags, PRIVATE_FILE, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise


def _write_all(root: int, files: dict[str, bytes]) -> None:
    written: list[PurePosixPath] = []
    try:
        for text, content in files.items():
            path = PurePosixPath(text)
            with _folder(root, path.parent) as folder:
                _create(folder, path.name, content)
            written.append(path)
    except OSError as error:
        _remove(root, written)
        if isinstance(error, FileExistsError):
            raise UsageError(f"{text} is archived already and is never overwritten") from error
        raise


def _remove(root: int, paths: Iterable[PurePosixPath]) -> None:
    for path in paths:
        os.unlink(str(path), dir_fd=root)


def _write_asset(root: int, asset: Asset) -> None:
    path = PurePosixPath(asset.path)
    with _folder(root, path.parent) as folder:
        if _size(folder, path.name) != len(asset.content):
            _replace(folder, path.name, asset.content)


def _size(folder: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:
        return None


def _replace(folder: int, name: str, content: bytes) -> None:
    temporary = f".{os.getpid()}-{name}"
    _create(folder, temporary, content)
    os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


# -------------------------------------------------------------------------------- verification


def verify_archive(archive_dir: Path, runs: Iterable[ArchivedRun]) -> tuple[str, ...]:
    """Compare every archived file and every shared script with its hash.

    Returns one line for each file that is missing, changed, or there without a run that names it;
    an empty answer means that everything agrees.
    """
    expected = {asset.path: asset.sha256 for asset in page_assets()}
    for run in runs:
        expected |= {run.notebook: run.notebook_sha256, run.page: run.page_sha256}
    present = {
        path.relative_to(archive_dir).as_posix()
        for path in archive_dir.glob("*/*/*/*")
        if path.suffix in {".ipynb", ".html"}
    }
    problems = [f"{path}: no run names it" for path in present - set(expected)]
    problems += [
        f"{path}: {problem}"
        for path, sha256 in (expected | _older_scripts(archive_dir, expected)).items()
        if (problem := _file_problem(archive_dir / path, sha256))
    ]
    return tuple(sorted(problems))


def _older_scripts(archive_dir: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Scripts of earlier program versions, whose names begin their hash."""
    names = (
        path.relative_to(archive_dir).as_posix() for path in archive_dir.glob("assets/livekit-*.js")
    )
    return {name: name[-15:-3] for name in names if name not in known}


def _file_problem(path: Path, sha256: str) -> str | None:
    if path.is_symlink():
        return "is a symbolic link"
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if _sha256(content).startswith(sha256) else "differs from what was archived"
