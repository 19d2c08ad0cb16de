"""Files written whole or not at all: beside the target, forced to disk, renamed over it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from livekit.errors import BadInput

__all__ = ["write_whole"]

PRIVATE_FOLDER = 0o700


def write_whole(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write ``content`` so that a reader sees the old file or the new one, never a part.

    Missing folders are made private. ``durable`` forces file and folder to disk before returning.
    Raises `BadInput` when the folder or the file cannot be written; nothing is left behind then.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise BadInput(path, f"cannot be written ({error.strerror})") from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
