"""Kernels forked from a process that has loaded what every one of them needs.

A kernel of the day spends nearly all of its start on imports, the same for each of the four. The
nursery is a process that imports once, stays single-threaded and opens nothing; for every request
on its standard input it forks a child, which becomes a kernel in a session of its own, and answers
with the child's process id. When its input ends, it ends, and with it every kernel.

It needs Linux, where a process can be watched by a descriptor whoever its parent is; elsewhere
kernels are started one by one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

__all__ = ["Nursery", "main"]

LAUNCHER = "ipykernel_launcher"
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
ENDED = 1  # the exit code of a forked kernel is not known, and nobody needs it


class Nursery:
    """The process, as its user sees it; it begins to load at once and ends with `end`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "livekit.workbench.runs.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @staticmethod
    def is_possible() -> bool:
        """Whether this system can watch processes that are not its children."""
        return sys.platform == "linux" and hasattr(os, "pidfd_open")

    def provisioner(self, stderr: Path, **options: Any) -> LocalProvisioner:
        """What starts a kernel here for a kernel manager; ``stderr`` gets its last words."""
        return _Provisioner(nursery=self, stderr=stderr, **options)

    def fork(
        self,
        arguments: Sequence[str],
        *,
        stderr: Path,
        environment: Mapping[str, str],
        folder: Path | None,
    ) -> _Forked:
        """Ask for a kernel with that environment and working folder.

        Returns at once, also while the nursery is still loading.
        """
        request = json.dumps(
            {
                "arguments": list(arguments),
                "stderr": str(stderr),
                "environment": dict(environment),
                "folder": str(folder or Path.cwd()),
            }
        )
        pipe = self._process.stdin
        if pipe is None:
            raise BrokenPipeError
        pipe.write(f"{request}\n")
        pipe.flush()
        return _Forked(self)

    def answer(self) -> int:
        """The process id of the next kernel, 0 when the nursery is gone."""
        pipe = self._process.stdout
        line = pipe.readline() if pipe else ""
        return int(line) if line.strip() else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def end(self) -> None:
        """End the nursery; a second call does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process.terminate()
        self._process.wait()


class _Forked:
    """A kernel's process, in the words of `subprocess.Popen`; answers come in order."""

    stdin = stdout = stderr = None

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self._descriptor: int | None = None
        self._number: int | None = None

    @property
    def pid(self) -> int:
        """The process id; waits until the nursery has forked it."""
        if self._number is None:
            self._number = self._nursery.answer()
            with contextlib.suppress(ProcessLookupError):
                self._descriptor = os.pidfd_open(self._number) if self._number else None
        return self._number

    def poll(self) -> int | None:
        """None while the process lives."""
        return None if self._lives(timeout_ms=0) else ENDED

    def wait(self) -> int:
        """Wait for its end."""
        while self._lives(timeout_ms=1000):
            pass
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        return ENDED

    def _lives(self, timeout_ms: int) -> bool:
        if not self.pid or self._descriptor is None:
            return False
        watched = select.poll()
        watched.register(self._descriptor, select.POLLIN)
        return not watched.poll(timeout_ms)

    def send_signal(self, signum: int) -> None:
        """Signal the process, unless it has ended."""
        if self.pid and self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signum)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class _Provisioner(LocalProvisioner):
    """Starts kernels in a nursery instead of by a command."""

    def __init__(self, *, nursery: Nursery, stderr: Path, **options: Any) -> None:
        super().__init__(**options)
        self._nursery = nursery
        self._stderr = stderr

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork the kernel that ``cmd`` would start."""
        forked: Any = self._nursery.fork(
            cmd[cmd.index(LAUNCHER) + 1 :],
            stderr=self._stderr,
            environment=kwargs.get("env") or os.environ,
            folder=kwargs.get("cwd"),
        )
        self.process = forked
        return self.connection_info

    async def send_signal(self, signum: int) -> None:
        """Signal the kernel's whole session, of which it is the leader."""
        process = self.process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signum)


# ----------------------------------------------------------------------------- the process itself


def main() -> None:
    """Load, then fork a kernel for every line of standard input until it ends."""
    import ipykernel.ipkernel  # noqa: PLC0415 - only the nursery loads it
    import ipykernel.kernelapp  # noqa: PLC0415

    from livekit.workbench.day import warm_up  # noqa: PLC0415

    warm_up()
    signal.signal(signal.SIGCHLD, _take_leave)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        number = os.fork()
        if number == 0:
            _become_kernel(ipykernel.kernelapp, request)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _take_leave(*_: object) -> None:
    """Take note of every kernel that has ended, so that its times are counted."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become_kernel(kernelapp: Any, request: Mapping[str, Any]) -> NoReturn:
    try:
        os.setsid()
        _end_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        words = os.open(request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.dup2(words, 2)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.argv = [LAUNCHER, *request["arguments"]]
        kernelapp.IPKernelApp.launch_instance(request["arguments"])
    finally:
        os._exit(1)


def _end_with_parent() -> None:
    """Have Linux kill this process when the nursery ends, so that no kernel is left behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
