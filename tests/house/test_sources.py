"""What no source may contain: the system clock, pickles, registry hosts, long functions."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "livekit").rglob("*.py"))
CLOCK_READERS = {"datetime.now", "datetime.utcnow", "date.today", "time.time"}
FORBIDDEN_CALLS = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load"}


def calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_system_clock_reads_the_clock(path: Path) -> None:
    if path == ROOT / "livekit" / "clock.py":
        return
    assert not calls(path) & CLOCK_READERS


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_evaluates_text_or_unpickles(path: Path) -> None:
    assert not calls(path) & FORBIDDEN_CALLS


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_fits_in_one_look(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            doc = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
            assert lines <= 60, f"{node.name} has {lines} lines"


def test_no_registry_host_stands_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    hosts = re.compile(
        rb"(?:files\.python" + rb"hosted\.org|py" + rb"pi\.org|registry\.npm" + rb"js)"
    )
    named = [
        name
        for name in listed
        if (ROOT / name).is_file() and hosts.search((ROOT / name).read_bytes())
    ]
    assert named == []


def test_every_line_of_the_lock_that_names_a_package_has_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "index-url" not in text
