"""JupyterLab on the notebooks, with the profile's venue beside it."""

from __future__ import annotations

import os
import subprocess
import sys

from livekit.config import Profile
from livekit.trading.opening import open_link
from livekit.workbench.entry import register
from livekit.workbench.notebook_runs import notebooks_dir

__all__ = ["run_lab"]


def run_lab(profile: Profile) -> int:
    """Serve JupyterLab on 127.0.0.1 until it ends; returns its exit code.

    A profile that does not exist yet is registered first.
    """
    root = notebooks_dir().parent
    if not profile.state_db.exists():
        register(profile)
    with open_link(profile, mode="served") as link:
        return subprocess.call(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.root_dir={root}",
                "--LabApp.default_url=/lab/tree/notebooks/01_signals.ipynb",
            ],
            env={**os.environ, **link.environment},
        )
