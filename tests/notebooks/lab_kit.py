"""JupyterLab as ``livekit lab`` starts it, in a process of its own, and a browser before it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from checkouts import Checkout

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_S = 90

SERVE = """\
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts without
from livekit.config import load_profile
from livekit.workbench.lab import run_lab

folder, params = Path(sys.argv[1]), sys.argv[2]
profile = load_profile(params, outputs=folder / "outputs")
sys.exit(run_lab(profile, folder=folder / "notebooks"))
"""


@dataclass(frozen=True)
class Server:
    """A running server; ``home`` is where its own files lie."""

    checkout: Checkout
    process: subprocess.Popen[bytes]
    url: str
    token: str
    home: Path

    def notebook(self, name: str) -> str:
        """The address at which the editor shows a notebook."""
        return f"{self.url}lab/tree/notebooks/{name}?token={self.token}"

    def choose_theme(self, theme: str) -> None:
        """Set the editor's theme; tabs opened from now on have it."""
        name = "@jupyterlab/apputils-extension:themes"
        answer = requests.put(
            f"{self.url}lab/api/settings/{name}",
            params={"token": self.token},
            json={"raw": json.dumps({"theme": theme})},
            timeout=PATIENCE_S,
        )
        answer.raise_for_status()

    def interrupt(self) -> int:
        """End it as Control-C in the terminal does; its exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def lab_server(checkout: Checkout, home: Path) -> Iterator[Server]:
    """``livekit lab`` on a copy of the notebooks, with nothing of the user's configuration."""
    with TemporaryDirectory(prefix="lab-") as runtime:  # sockets want a short path
        process = _started(checkout, home, runtime)
        try:
            told = json.loads(_appeared(Path(runtime), process).read_text())
            yield Server(checkout, process, told["url"], told["token"], home)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _started(checkout: Checkout, home: Path, runtime: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "BROWSER": "/bin/true",
        "JUPYTER_RUNTIME_DIR": runtime,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", SERVE, str(checkout.folder), str(checkout.params)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _appeared(runtime: Path, process: subprocess.Popen[bytes]) -> Path:
    """The file in which Jupyter tells where it listens."""
    wait_until(lambda: process.poll() is not None or any(runtime.glob("jpserver-*.json")))
    return next(runtime.glob("jpserver-*.json"))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium with a new profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


def new_tab(chromium: Any) -> Any:
    """A tab as wide as a laptop's screen."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE_S * 1000)
    return page


def run_all(page: Any) -> None:
    """Wait for the kernel and run all cells by the menu; without a kernel the editor would ask."""
    page.locator("#jp-main-statusbar").get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
    page.get_by_text("Run All Cells", exact=True).click()
