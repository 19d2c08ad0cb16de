"""JupyterLab on the notebooks, with the profile's venue beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir

from livekit.config import KEY_FAMILIES, Profile, resolve_credentials
from livekit.trading.opening import open_link
from livekit.workbench.archiving.assets import templates_dir
from livekit.workbench.day import STATE_DB_VARIABLE
from livekit.workbench.entry import register
from livekit.workbench.runs.kernels import SOCKET_PATH_BYTES
from livekit.workbench.runs.phases import notebooks_dir

__all__ = ["run_lab", "strip_outputs"]

SOURCES = "notebooks/"
SERVER_OPTIONS = (
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.answer_yes=True",
    f"--FileContentsManager.pre_save_hook={__name__}.strip_outputs",
    "--LabApp.extension_manager=readonly",  # the other one looks extensions up in a registry
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.news_url=None",
    "--KernelManager.transport=ipc",  # over TCP every user of the machine could listen
)
SOCKET_NAME = "/kernel-00000000-0000-0000-0000-000000000000-ipc-5"


def run_lab(profile: Profile, *, folder: Path | None = None) -> int:
    """Serve JupyterLab on 127.0.0.1 until it ends; returns its exit code.

    ``folder`` is that of the notebooks, the checkout's by default. The server takes a free port
    and prints its address with a token. A profile that does not exist yet is registered first. Its
    database is named in the kernels' environment; a notebook that opens another one is refused.
    """
    notebooks = folder or notebooks_dir()
    if not profile.state_db.exists():
        register(profile)
    as_root = ["--allow-root"] if os.geteuid() == 0 else []
    with open_link(profile, mode="served") as link, _runtime_dir() as runtime:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                f"--ServerApp.root_dir={notebooks.parent}",
                f"--LabApp.default_url=/lab/tree/{notebooks.name}/01_signals.ipynb",
                *SERVER_OPTIONS,
                *as_root,
            ],
            env={
                **os.environ,
                **_keys(profile),
                **link.environment,
                STATE_DB_VARIABLE: str(profile.state_db.resolve()),
                "JUPYTER_CONFIG_PATH": _config_path(),
                "JUPYTER_RUNTIME_DIR": runtime,
            },
        )
        return _ended(server)


@contextmanager
def _runtime_dir() -> Iterator[str]:
    """Jupyter's own private folder for sockets, or another where its path is too long for them."""
    usual = jupyter_runtime_dir()
    if len(os.fsencode(usual + SOCKET_NAME)) <= SOCKET_PATH_BYTES:
        yield usual
        return
    with TemporaryDirectory(prefix="livekit-lab-", dir="/tmp") as folder:
        yield folder


def _config_path() -> str:
    """Our page configuration, which asks nobody about news, before any of the user's."""
    own = str(templates_dir() / "jupyter")
    return os.pathsep.join(filter(None, (own, os.environ.get("JUPYTER_CONFIG_PATH"))))


def _keys(profile: Profile) -> dict[str, str]:
    """The account's keys, which a kernel in the notebooks' folder would not find in a file."""
    if profile.venue != "alpaca-paper":
        return {}
    return dict(zip(KEY_FAMILIES[0], resolve_credentials(), strict=True))


def _ended(server: subprocess.Popen[bytes]) -> int:
    """Wait for the server; an interrupt reaches it too, and it ends its kernels by itself."""
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            continue


def strip_outputs(model: dict[str, Any], path: str = "", **_: Any) -> None:
    """Jupyter's hook before a file is saved: the notebooks of the checkout stay sources.

    Outputs, execution counts and the editor's own metadata are not written; what a run showed is
    kept in the archive.
    """
    if model["type"] != "notebook" or not path.lstrip("/").startswith(SOURCES):
        return
    notebook = model["content"]
    kept = notebook["metadata"].get("kernelspec")
    notebook["metadata"] = {"language_info": {"name": "python"}}
    if kept:
        notebook["metadata"]["kernelspec"] = kept
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags")
        cell["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
