"""The form of the day's notebooks: their cells call the day and hold no logic of their own."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat

from livekit.errors import BadInput

__all__ = ["LOGIC", "require_plain_cells"]

LOGIC = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.If,
    ast.IfExp,
    ast.Match,
    ast.Try,
    ast.TryStar,
    ast.With,
    ast.AsyncWith,
    ast.comprehension,
)


def require_plain_cells(notebook: Path) -> None:
    """Raise `BadInput` naming each cell that holds logic, or is no Python at all.

    What a day does is decided in the package, where it is tested; a notebook that was edited by
    hand must not trade.
    """
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(notebook, f"not a notebook ({error})") from error
    found = [
        f"cell {number} {problem}"
        for number, cell in enumerate(cells, start=1)
        if cell.cell_type == "code" and (problem := _problem(cell.source))
    ]
    if found:
        advice = "a notebook of the day only calls the day"
        raise BadInput(notebook, f"{'; '.join(found)}: {advice}")


def _problem(source: str) -> str:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return "is not Python"
    names = sorted({type(node).__name__ for node in ast.walk(tree) if isinstance(node, LOGIC)})
    return f"holds logic ({', '.join(names)})" if names else ""
