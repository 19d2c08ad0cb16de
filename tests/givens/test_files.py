"""A file is written whole or not at all."""

import stat
from pathlib import Path

import pytest

from livekit.errors import BadInput
from livekit.files import write_whole


def test_a_written_file_is_private_and_alone_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "plan.json"
    write_whole(path, b"{}")
    assert path.read_bytes() == b"{}"
    assert [item.name for item in path.parent.iterdir()] == ["plan.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_writing_replaces_the_first(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_whole(path, b"first")
    write_whole(path, b"second", mode=0o644, durable=False)
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_target_that_cannot_be_replaced_keeps_its_content_and_leaves_no_part(
    tmp_path: Path,
) -> None:
    (tmp_path / "plan.json" / "inside").mkdir(parents=True)
    with pytest.raises(BadInput, match="cannot be written"):
        write_whole(tmp_path / "plan.json", b"{}")
    assert [item.name for item in tmp_path.iterdir()] == ["plan.json"]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be written"):
        write_whole(tmp_path / "outputs" / "plan.json", b"{}")
