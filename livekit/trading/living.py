"""Which open runs of the run log are at work: each holds a lock of its own while its process lives.

The operating system lets go of the lock when the process ends, however it ends. So a row that is
still open and whose lock is free was left behind, and one whose lock is held was not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from livekit.config import Profile

__all__ = ["is_living", "marked_living"]

PATIENCE_S = 5.0  # whoever asks whether a run lives holds its lock for an instant


@contextmanager
def marked_living(profile: Profile, run_id: int) -> Iterator[None]:
    """Show for the length of the block that a process works on the run."""
    path = _path(profile, run_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path, timeout=PATIENCE_S, mode=0o600):
        yield
        path.unlink(missing_ok=True)


def is_living(profile: Profile, run_id: int) -> bool:
    """Whether a process works on the run now."""
    path = _path(profile, run_id)
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def _path(profile: Profile, run_id: int) -> Path:
    return profile.home / "runs" / f"{run_id}.lock"
