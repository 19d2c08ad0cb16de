"""``run_manifest.json``: everything a result depends on, written beside it.

Its ``config`` object is what `LiveConfig.verify_against_manifest` reads.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from livekit.config import LiveConfig, config_sha256
from livekit.errors import BadInput
from livekit.files import write_whole
from livekit.sessions import calendar_version

__all__ = ["GitState", "code_version", "file_sha256", "git_state", "write_manifest"]

LIBRARIES = (
    "earnings-livekit",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "numba",
    "exchange-calendars",
    "alpaca-py",
    "sqlalchemy",
)
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_GIT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit a checkout stands on, and whether tracked or new files differ from it."""

    sha: str
    dirty: bool


def git_state(folder: Path | None = None) -> GitState | None:
    """State of the checkout whose top is ``folder`` (default: where the package lies).

    None when the folder is not the top of a checkout, has no commit yet, or git is not installed.
    """
    folder = (folder or _PACKAGE_PARENT).resolve()
    top = _git(folder, "rev-parse", "--show-toplevel")
    sha = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if top is None or sha is None or changes is None or Path(top).resolve() != folder:
        return None
    return GitState(sha, dirty=bool(changes))


@cache
def code_version() -> str:
    """The commit that runs here, as run records name it; read once a process."""
    state = git_state()
    return "not a checkout" if state is None else state.sha + "+dirty" * state.dirty


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def write_manifest(
    path: Path | str,
    config: LiveConfig,
    *,
    created_at: datetime,
    inputs: Mapping[str, str] | None = None,
    counts: Mapping[str, int] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    simulation: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    checkout: Path | None = None,
) -> None:
    """Write the manifest of a run; the file appears whole or not at all.

    Args:
        path: where to write; a missing folder is made.
        config: the resolved configuration.
        created_at: instant of writing, aware.
        inputs: sha256 by name of input (prices, reports).
        counts: trades, candidates, sessions and the like.
        metrics: summary figures; None = not available.
        simulation: of a backtest, its strategy, mode, stop_fill and adjustment.
        outputs: sha256 by name of the files written beside it.
        checkout: top of the checkout the code runs from; default: where the package lies.

    Raises:
        BadInput: the file cannot be written.
        ValueError: ``created_at`` is naive, or a metric is infinite or not a number.
    """
    if created_at.tzinfo is None:
        raise ValueError("created_at must be aware")
    state = git_state(checkout)
    body = {
        "created_at": created_at.isoformat(),
        "config": asdict(config),
        "config_sha256": config_sha256(config),
        "git": None if state is None else asdict(state),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "calendar": calendar_version(),
        "inputs": dict(inputs or {}),
        "counts": dict(counts or {}),
        "metrics": dict(metrics or {}),
        "simulation": dict(simulation or {}),
        "outputs": dict(outputs or {}),
    }
    text = json.dumps(body, indent=2, allow_nan=False) + "\n"
    write_whole(Path(path), text.encode(), mode=0o644)


def file_sha256(path: Path) -> str:
    """Hash of a file that a run reads; raises `BadInput` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})") from error


def _version(distribution: str) -> str | None:
    try:
        version: Any = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
    return str(version)
