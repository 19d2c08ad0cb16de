"""The manifest of a run: complete, whole, and readable by the configuration's own check."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from worlds import make_world

from livekit.backtest import PortfolioSimulator
from livekit.backtest.manifest import file_sha256, git_state, write_manifest
from livekit.config import LiveConfig, config_sha256
from livekit.errors import BadInput, ManifestMismatch

NOON = datetime(2020, 1, 6, 12, tzinfo=UTC)


def written(path: Path, config: LiveConfig, **facts: object) -> dict:
    write_manifest(path, config, created_at=NOON, checkout=path.parent, **facts)
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_manifest_holds_the_configuration_that_it_is_checked_against(tmp_path: Path) -> None:
    config = LiveConfig(max_positions=7, max_holding_days=None)
    body = written(tmp_path / "run_manifest.json", config)
    config.verify_against_manifest(tmp_path / "run_manifest.json")
    assert body["config_sha256"] == config_sha256(config)
    with pytest.raises(ManifestMismatch, match="max_positions is 20"):
        LiveConfig().verify_against_manifest(tmp_path / "run_manifest.json")


def test_the_manifest_names_inputs_versions_calendar_and_figures(tmp_path: Path) -> None:
    body = written(
        tmp_path / "run_manifest.json",
        LiveConfig(),
        inputs={"prices": "ab" * 32},
        counts={"trades": 12},
        metrics={"profit_factor": 2.14, "win_rate": None},
    )
    assert body["created_at"] == "2020-01-06T12:00:00+00:00"
    assert body["inputs"] == {"prices": "ab" * 32}
    assert body["counts"] == {"trades": 12}
    assert body["metrics"] == {"profit_factor": 2.14, "win_rate": None}
    assert "XNYS" in body["calendar"]
    assert body["python"].startswith("3.")
    assert body["libraries"]["numpy"]
    assert body["git"] is None


def test_infinite_figures_and_naive_instants_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "run_manifest.json"
    with pytest.raises(ValueError, match="JSON"):
        written(path, LiveConfig(), metrics={"profit_factor": float("inf")})
    with pytest.raises(ValueError, match="aware"):
        write_manifest(path, LiveConfig(), created_at=datetime(2020, 1, 6))  # noqa: DTZ001
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be written"):
        written(tmp_path / "file" / "run_manifest.json", LiveConfig())


def test_the_manifest_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "run_manifest.json"
    path.write_text("old", encoding="utf-8")
    written(path, LiveConfig())
    assert [entry.name for entry in tmp_path.iterdir()] == ["run_manifest.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_a_checkout_is_named_by_its_commit_and_dirty_when_a_file_differs(tmp_path: Path) -> None:
    git(tmp_path, "init")
    assert git_state(tmp_path) is None  # nothing committed yet
    (tmp_path / "code.py").write_text("1", encoding="utf-8")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "first")
    state = git_state(tmp_path)
    assert state is not None
    assert (state.sha, state.dirty) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "code.py").write_text("2", encoding="utf-8")
    changed = git_state(tmp_path)
    assert changed is not None
    assert changed.dirty


def test_a_folder_inside_another_checkout_has_no_state_of_its_own(tmp_path: Path) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    inside = tmp_path / "site-packages"
    inside.mkdir()
    assert git_state(inside) is None


def test_a_backtest_records_what_it_simulated_and_what_came_of_it(tmp_path: Path) -> None:
    world = make_world(3)
    result = PortfolioSimulator(world.config(), world.strategy).run(world.bars(), world.reported())
    data = tmp_path / "prices.bin"
    data.write_bytes(b"prices")
    write_manifest(
        tmp_path / "run_manifest.json",
        result.config,
        created_at=NOON,
        inputs={"prices": file_sha256(data)},
        counts=result.counts,
        metrics=result.metrics().figures(),
        simulation=result.simulation,
    )
    body = json.loads((tmp_path / "run_manifest.json").read_text())
    assert body["simulation"]["strategy"] == world.strategy
    assert body["counts"]["trades"] == len(result.closed)
    assert body["metrics"]["total_pnl_usd"] == result.metrics().total_pnl_usd
    # By sha256sum of the same six bytes.
    assert (
        body["inputs"]["prices"]
        == "fe81f9390ffe3dc8daa4888a7dc430ce4a41f164281d15449a24840a70b5f2c2"
    )
    world.config().verify_against_manifest(tmp_path / "run_manifest.json")
    with pytest.raises(BadInput, match="cannot be read"):
        file_sha256(tmp_path / "absent")
