"""A record that is traded once, and copies of it to spoil."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.comparison.recorded import Record, copied, trade_record


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Ten sessions of a small world; not to be changed."""
    return trade_record(tmp_path_factory.mktemp("record"))


@pytest.fixture
def spoilt(record: Record, tmp_path: Path) -> Record:
    """A copy of the record that a test may change."""
    return copied(record, tmp_path)
