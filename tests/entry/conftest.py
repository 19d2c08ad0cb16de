"""Fixtures of the entry tests: no key, no venue of another program, a shop to work on."""

import os
import shutil
from pathlib import Path

import pytest

from livekit.config import load_profile
from livekit.workbench.entry import register
from tests.entry.entry_kit import Capture, Shop, environment, little_market


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys and venues of the surrounding session are not seen, nor files of its folder."""
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the market and a profile registered on it, to be copied."""
    folder = tmp_path_factory.mktemp("registered")
    shop = Shop(folder, little_market(folder), None)
    shop.write_params()
    register(load_profile(shop.params, outputs=shop.outputs))
    return folder


@pytest.fixture
def new_shop(registered: Path, tmp_path: Path, capsys: Capture) -> Shop:
    """A parameter file, nothing registered."""
    shop = Shop(tmp_path, registered / "market.parquet", capsys)
    shop.write_params()
    return shop


@pytest.fixture
def shop(registered: Path, new_shop: Shop) -> Shop:
    """A registered profile at midnight of its first session, with no report."""
    shutil.copytree(registered / "outputs", new_shop.outputs)
    return new_shop
