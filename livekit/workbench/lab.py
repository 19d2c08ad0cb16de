"""JupyterLab on the notebooks, with the profile's venue beside it."""

from __future__ import annotations

import os
import subprocess
import sys

from livekit.config import Profile
from livekit.prices import ParquetPriceSource, demo_earnings_path
from livekit.reports.writer import write_demo_reports
from livekit.trading.opening import open_link
from livekit.trading.registration import register_profile
from livekit.workbench.demo import LAST_SESSION
from livekit.workbench.notebook_runs import notebooks_dir

__all__ = ["run_lab"]


def run_lab(profile: Profile) -> int:
    """Serve JupyterLab on 127.0.0.1 until it ends; returns its exit code.

    A simulated profile that does not exist yet is registered first, with its reports written.
    """
    with open_link(profile, mode="served") as link:
        if not profile.state_db.exists():
            if profile.venue == "simulated" and profile.first_session is not None:
                write_demo_reports(
                    profile.reports_dir,
                    ParquetPriceSource(profile.prices),
                    demo_earnings_path(),
                    profile.first_session,
                    LAST_SESSION,
                )
            register_profile(profile, link.client, link.clock)
        return subprocess.call(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.root_dir={notebooks_dir().parent}",
                "--LabApp.default_url=/lab/tree/notebooks/01_signals.ipynb",
            ],
            env={**os.environ, **link.environment},
        )
