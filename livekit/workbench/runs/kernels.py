"""Kernels that we start and end ourselves: one process for each run of a notebook.

A kernel talks over Unix sockets in a folder that only this user can enter, never over TCP. It may
be started before its notebook is due, and it is killed as soon as the notebook has ended: what a
run has to keep is in the state database by then.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from traitlets.config import Config

from livekit.workbench.runs.nursery import Nursery

__all__ = ["Kernel"]

KERNEL_NAME = "python3"
SOCKET_PATH_BYTES = 90  # Unix allows 107 bytes; the kernel appends the number of the socket


class Kernel:
    """A kernel process; it starts at once and ends with `end` or the ``with`` block.

    It inherits this process's environment, with ``environment`` on top, and its working folder
    unless ``cwd`` is given. ``preload`` are statements that it executes before it answers. With a
    ``nursery`` it is forked there. Raises `jupyter_client.kernelspec.NoSuchKernel` when no kernel
    is installed.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
        preload: Sequence[str] = (),
        nursery: Nursery | None = None,
    ) -> None:
        with ExitStack() as resources:
            folder = Path(resources.enter_context(_private_folder()))
            self._stderr = folder / "stderr"
            self.manager = _Manager(config=_config(folder), kernel_name=KERNEL_NAME)
            if nursery is not None:
                self._stderr.touch(mode=0o600)
                self.manager.provisioner = nursery.provisioner(
                    self._stderr,
                    parent=self.manager,
                    kernel_id=self.manager.kernel_id,
                    kernel_spec=self.manager.kernel_spec,
                )
            with self._stderr.open("wb") as stderr:
                run_sync(self.manager.start_kernel)(
                    env={**os.environ, **(environment or {})},
                    cwd=cwd,
                    stderr=stderr,
                    extra_arguments=_arguments(preload),
                )
            self._resources = resources.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    @property
    def last_words(self) -> str:
        """The last line that the process wrote to its standard error, which no cell shows."""
        lines = self._stderr.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def end(self) -> None:
        """Kill the process, whatever it does; a second call does nothing."""
        run_sync(self.manager.shutdown_kernel)(now=True)
        self.manager.stop_clients()
        self._resources.close()


class _Manager(AsyncKernelManager):
    """Remembers its clients, since papermill does not close that of a kernel it was given."""

    def client(self, **options: Any) -> Any:
        """A client of the kernel."""
        made = super().client(**options)
        self._clients = [*getattr(self, "_clients", []), made]
        return made

    def stop_clients(self) -> None:
        """Close the sockets of all clients."""
        for client in getattr(self, "_clients", []):
            client.stop_channels()


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder (0700) for the kernel's sockets, on a path short enough for Unix sockets."""
    base = Path(tempfile.gettempdir())
    if len(bytes(base)) > SOCKET_PATH_BYTES - len("/livekit-12345678/k.json"):
        base = Path("/tmp")  # noqa: S108 - mkdtemp makes a private folder in it
    return tempfile.TemporaryDirectory(prefix="livekit-", dir=base)


def _config(folder: Path) -> Config:
    config = Config()
    config.KernelManager.transport = "ipc"
    config.KernelManager.ip = str(folder / "k")
    config.KernelManager.connection_file = str(folder / "k.json")
    return config


def _arguments(preload: Sequence[str]) -> list[str]:
    lines = [f"--IPKernelApp.exec_lines={statement}" for statement in preload]
    return ["--HistoryManager.hist_file=:memory:", *lines]
