"""A folder laid out like the repository: its notebooks and the demo's profile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from livekit.config import Profile, load_profile
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.opening import Link, desk_on, open_link
from livekit.workbench.daily import run_daily
from livekit.workbench.entry import register

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST = date(2020, 1, 2)
SESSION = date(2020, 1, 30)  # the session that the notebooks name as their default
EVE = date(2020, 1, 29)


@dataclass(frozen=True)
class Checkout:
    """A folder with ``notebooks/`` and ``outputs/demo/``, as the repository has them."""

    folder: Path
    params: Path = REPOSITORY / "params" / "demo.yaml"

    @property
    def notebooks(self) -> Path:
        return self.folder / "notebooks"

    @property
    def profile(self) -> Profile:
        return load_profile(self.params, outputs=self.folder / "outputs")

    @contextmanager
    def desk(
        self, mode: Literal["in_process", "served"] = "in_process"
    ) -> Iterator[tuple[Desk, Link]]:
        """The profile's desk on its venue, which must be served when kernels are to reach it."""
        with StateDB(self.profile.state_db) as db, open_link(self.profile, mode=mode) as link:
            yield desk_on(self.profile, link, db), link


def new_checkout(folder: Path) -> Checkout:
    """Copy the notebooks and register the profile; nothing is traded yet."""
    made = Checkout(folder)
    shutil.copytree(REPOSITORY / "notebooks", made.notebooks)
    register(made.profile)
    return made


def trade_until_the_eve(folder: Path) -> Checkout:
    """A checkout in which every session before ``SESSION`` is traded."""
    made = new_checkout(folder)
    with made.desk() as (desk, _):
        for session in sessions_between(FIRST, EVE):
            assert run_daily(desk, session).exit_code == 0
    return made
