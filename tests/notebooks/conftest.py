"""A folder laid out like the repository: the notebooks, and the demo's profile traded half way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from livekit.config import Profile, load_profile
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.opening import Link, desk_on, open_link
from livekit.workbench.daily import run_daily
from livekit.workbench.entry import register

REPOSITORY = Path(__file__).resolve().parents[2]
SESSION = date(2020, 1, 30)  # the session that the notebooks name as their default
EVE = date(2020, 1, 29)


@dataclass(frozen=True)
class Checkout:
    """A folder with ``notebooks/`` and ``outputs/demo/``, as the repository has them."""

    folder: Path

    @property
    def notebooks(self) -> Path:
        return self.folder / "notebooks"

    @property
    def profile(self) -> Profile:
        return load_profile(REPOSITORY / "params" / "demo.yaml", outputs=self.folder / "outputs")

    @contextmanager
    def desk(self, *, served: bool = False) -> Iterator[tuple[Desk, Link]]:
        """The profile's desk on its venue; ``served`` when kernels must reach the venue too."""
        mode = "served" if served else "in_process"
        with StateDB(self.profile.state_db) as db, open_link(self.profile, mode=mode) as link:
            yield desk_on(self.profile, link, db), link


@pytest.fixture(scope="session")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The profile registered and every session before the notebooks' default one traded."""
    made = Checkout(tmp_path_factory.mktemp("traded"))
    shutil.copytree(REPOSITORY / "notebooks", made.notebooks)
    register(made.profile)
    with made.desk() as (desk, _):
        for session in sessions_between(date(2020, 1, 2), EVE):
            assert run_daily(desk, session).exit_code == 0
    return made


@pytest.fixture
def checkout(traded: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the traded folder that one test may change."""
    return Checkout(Path(shutil.copytree(traded.folder, tmp_path / "checkout")))
