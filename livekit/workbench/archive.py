"""Where a run's notebook and page are put away: once, privately, and with their hashes.

::

    {archive}/index.html
    {archive}/assets/plotly-4.1.1-0f3a….js …
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
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

import nbformat

from livekit.errors import BadInput, UsageError
from livekit.workbench.archiving.assets import Asset, hash_in_name, page_assets
from livekit.workbench.archiving.page import PageHeader, export_page
from livekit.workbench.archiving.secret_scan import require_no_secret

__all__ = [
    "ArchivedRun",
    "archive_run",
    "clean_notebook",
    "page_of",
    "run_path",
    "seal",
    "verify_archive",
    "write_index",
]

ORDINALS = {"signals": 10, "execution": 20, "reconciliation": 30, "comparison": 40, "backtest": 50}
LAST_ORDINAL = 90  # notebooks that belong to no phase are read last
WITHOUT_NOTEBOOK = {"protect", "executor"}
INDEX = "index.html"
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")
_SCRIPT = re.compile(rb"assets/[A-Za-z0-9._-]+\.js")
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

    A phase is one of the day's or the name of a notebook that a person ran: small letters, digits
    and underscores. Raises `UsageError` for any other name, a phase that has no notebook, or an
    attempt below 1.
    """
    if not _NAME.fullmatch(phase) or phase in WITHOUT_NOTEBOOK or attempt < 1:
        raise UsageError(f"nothing to archive for phase {phase!r}, attempt {attempt}")
    name = f"{ORDINALS.get(phase, LAST_ORDINAL):02d}-{phase}__{session}__r{attempt:02d}"
    return PurePosixPath(f"{session:%Y}", f"{session:%m}", session.isoformat(), name)


def seal(
    archive_dir: Path,
    executed: Path,
    header: PageHeader,
    *,
    secrets: Sequence[str] = (),
) -> ArchivedRun:
    """Clean an executed notebook, render its page and archive both.

    The page names the notebook's hash. Raises what `archive_run` raises, and `BadInput` when
    ``executed`` is not a notebook.
    """
    notebook = clean_notebook(executed)
    page = page_of(notebook, header)
    return archive_run(
        archive_dir,
        session=header.session,
        phase=header.phase,
        attempt=header.attempt,
        notebook=notebook,
        page=page,
        secrets=secrets,
    )


def page_of(notebook: str, header: PageHeader) -> str:
    """The page of an archived notebook's text, which names the notebook's hash."""
    return export_page(notebook, header.with_hash("notebook", _sha256(notebook.encode())))


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
        _replace(root, INDEX, page.encode())


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
    an empty answer means that everything agrees. The front page is no evidence and not looked at.
    """
    expected: dict[str, str] = {}
    for run in runs:
        expected |= {run.notebook: run.notebook_sha256, run.page: run.page_sha256}
    present = _present(archive_dir)
    expected |= _scripts(archive_dir, [path for path in expected if path.endswith(".html")])
    problems = [f"{path}: no run names it" for path in present - set(expected)]
    problems += [
        f"{path}: {problem}"
        for path, sha256 in expected.items()
        if (problem := _file_problem(archive_dir / path, sha256))
    ]
    return tuple(sorted(problems))


def _scripts(archive_dir: Path, pages: Iterable[str]) -> dict[str, str]:
    """The shared scripts that pages load and those that lie there, each with the hash it names."""
    texts = (_content(archive_dir / page) for page in pages)
    names = {name.decode() for text in texts for name in _SCRIPT.findall(text)}
    lying = {path.relative_to(archive_dir).as_posix() for path in archive_dir.glob("assets/*.js")}
    found = {name: hash_in_name(PurePosixPath(name).name) for name in names | lying}
    return {name: digest for name, digest in found.items() if digest}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _present(archive_dir: Path) -> set[str]:
    """Everything below the archive's root that is no folder, symbolic links among it."""
    paths = (path for path in archive_dir.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(archive_dir).as_posix() for path in paths} - {INDEX}


def _file_problem(path: Path, sha256: str) -> str | None:
    if path.is_symlink():
        return "is a symbolic link"
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if _sha256(content).startswith(sha256) else "differs from what was archived"
