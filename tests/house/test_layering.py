"""Imports point one way: a module imports only from floors above its own, or its own package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "livekit"

FLOORS = (
    ("errors", "model"),
    ("config", "sessions", "clock", "files"),
    ("strategy", "invariants"),
    ("backtest", "comparison"),
    ("reports", "prices", "broker", "state"),
    ("trading",),
    ("workbench",),
    ("cli", "commands", "__main__", "signal_generator", "executor"),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# On one floor, who may use whom: the price source of the venue speaks through the broker client.
NEIGHBOURS = {("model", "errors"), ("prices", "broker"), ("__main__", "cli"), ("cli", "commands")}
# The comparison replays with the simulator's step and uses its measures, never the other way.
NEIGHBOURS |= {("comparison", "backtest")}
# The givens read each other from left to right.
NEIGHBOURS |= {("sessions", "config"), ("clock", "sessions"), ("config", "sessions")}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "livekit":
                names = [f"livekit.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("livekit.")}
    return rooms


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_above_its_own(path: Path) -> None:
    room = room_of(path)
    wrong = {
        other
        for other in imported_rooms(path)
        if other != room and FLOOR_OF[other] >= FLOOR_OF[room] and (room, other) not in NEIGHBOURS
    }
    assert not wrong, f"{room} (floor {FLOOR_OF[room] + 1}) imports {sorted(wrong)}"


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in MODULES}
    assert rooms <= set(FLOOR_OF)
