from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from checkouts import Checkout, new_checkout, trade_until_the_eve


@pytest.fixture(scope="session")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The state before the notebooks' default session; tests take copies of it."""
    return trade_until_the_eve(tmp_path_factory.mktemp("traded"))


@pytest.fixture(scope="session")
def untraded(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A registered profile; tests take copies of it."""
    return new_checkout(tmp_path_factory.mktemp("untraded"))


@pytest.fixture
def checkout(traded: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the traded folder that one test may change."""
    return Checkout(shutil.copytree(traded.folder, tmp_path / "checkout"))


@pytest.fixture
def fresh(untraded: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the untraded folder that one test may change."""
    return Checkout(shutil.copytree(untraded.folder, tmp_path / "fresh"))
