"""Fixtures of the entry tests: no key, no venue of another program, a shop to work on."""

import os
from pathlib import Path

import pytest

from tests.entry.entry_kit import Shop, environment, make_shop


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys and venues of the surrounding session are not seen, nor files of its folder."""
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def new_shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    """A market and a parameter file, nothing registered."""
    return make_shop(tmp_path, capsys)


@pytest.fixture
def shop(new_shop: Shop) -> Shop:
    """A registered profile at midnight of its first session, with no report."""
    assert new_shop.init().code == 0
    return new_shop
