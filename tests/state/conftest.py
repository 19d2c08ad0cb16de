import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from livekit.state import StateDB


@pytest.fixture
def db() -> Iterator[StateDB]:
    with StateDB(":memory:") as opened:
        yield opened


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "state.db"
    StateDB.create(path).close()
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A database file of its own, copied from one that the migrations made."""
    return Path(shutil.copy(template, tmp_path / "state.db"))
