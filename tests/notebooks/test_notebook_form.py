"""Notebooks hold no logic, no output and one documented parameter cell."""

from __future__ import annotations

import ast
import io
import tokenize
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from livekit.workbench.runs.notebook_form import LOGIC
from livekit.workbench.runs.run import notebook_parameters

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
DAILY = ["01_signals", "02_execution", "03_reconciliation", "04_comparison"]
MOST_LINES = 12
KINDS = {"str": str, "int": int, "float": float, "bool": bool}


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Everything about a notebook that its form does not allow."""
    return [
        *_parameter_problems(notebook),
        *_metadata_problems(notebook),
        *_order_problems(notebook),
        *(text for cell in _code(notebook) for text in _cell_problems(cell)),
    ]


def _code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _metadata_problems(notebook: nbformat.NotebookNode) -> list[str]:
    kernel = notebook.metadata.get("kernelspec", {})
    missing = [name for name in ("name", "language") if not kernel.get(name)]
    extra = sorted(set(notebook.metadata) - {"kernelspec", "language_info"})
    return [f"kernelspec has no {name}" for name in missing] + [f"metadata has {n}" for n in extra]


def _parameter_problems(notebook: nbformat.NotebookNode) -> list[str]:
    code = _code(notebook)
    tagged = [cell for cell in code if "parameters" in _tags(cell)]
    if tagged != code[:1]:
        return ["the first code cell, and only that, must be tagged parameters"]
    lines = tagged[0].source.splitlines()
    bare = [line for line in lines if not _has_comment(line)]
    wrong = [text for text in ast.parse(tagged[0].source).body if not _is_literal(text)]
    return [f"no comment: {line}" for line in bare] + [
        f"no annotated literal: {ast.unparse(text)}" for text in wrong
    ]


def _has_comment(line: str) -> bool:
    tokens = tokenize.generate_tokens(io.StringIO(line).readline)
    return any(token.type == tokenize.COMMENT for token in tokens)


def _is_literal(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.AnnAssign)
        and isinstance(statement.annotation, ast.Name)
        and isinstance(statement.value, ast.Constant)
        and type(statement.value.value) is KINDS.get(statement.annotation.id)
    )


def _order_problems(notebook: nbformat.NotebookNode) -> list[str]:
    kinds = [cell.cell_type for cell in notebook.cells]
    alternating = all(before != after for before, after in pairwise(kinds))
    return (
        []
        if alternating and kinds[:1] == ["markdown"]
        else ["one prose cell before each code cell"]
    )


def _cell_problems(cell: nbformat.NotebookNode) -> list[str]:
    found = []
    if len(cell.source.splitlines()) > MOST_LINES:
        found.append(f"more than {MOST_LINES} lines")
    if cell.outputs or cell.execution_count is not None:
        found.append("outputs or an execution count")
    if set(_tags(cell)) - {"parameters"}:
        found.append(f"tags {_tags(cell)}")
    logic = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, LOGIC)]
    return found + [f"logic: {type(node).__name__}" for node in logic]


def test_the_four_notebooks_of_the_day_are_here():
    assert [path.stem for path in NOTEBOOKS if path.stem in DAILY] == DAILY


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_prose_and_calls_and_nothing_else(path: Path):
    assert problems(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("name", DAILY)
def test_a_notebook_of_the_day_takes_what_the_runner_passes(name: str):
    found = notebook_parameters(FOLDER / f"{name}.ipynb")
    assert {item.name: item.kind for item in found.values()} == {
        "state_db": str,
        "session": str,
        "run_id": int,
    }
    assert all(item.help for item in found.values())


@pytest.mark.parametrize("name", DAILY)
def test_the_last_cell_of_a_notebook_of_the_day_seals_the_run(name: str):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert notebook.cells[-1].source == "day.seal(outcome)"


# ----------------------------------------------------------------- the test itself finds offences


def _good() -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / "01_signals.ipynb", as_version=4)


@pytest.mark.parametrize(
    "source",
    [
        "def decide(): ...",
        "for item in day: item",
        "while day: day",
        "if day: day",
        "try:\n    day\nexcept ValueError:\n    day",
        "with day: day",
        "keep = lambda order: order",
        "kept = [order for order in day]",
        "kept = 1 if day else 2",
        "class Day: ...",
        "\n".join(["day"] * 13),
    ],
)
def test_logic_in_a_cell_edited_by_hand_is_found(source: str):
    notebook = _good()
    notebook.cells[-1].source = source
    assert len(problems(notebook)) == 1


@pytest.mark.parametrize(
    "line",
    [
        'session = "2020-01-30"  # not typed',
        'session: str = "2020-01-30"',
        'session: str = "2020-01-30 # no comment"',
        "session: str = 20200130  # wrong type",
        "session: str = day()  # computed",
        "session: date = None  # type the runner does not know",
    ],
)
def test_a_parameter_that_is_not_documented_is_found(line: str):
    notebook = _good()
    notebook.cells[1].source = line
    assert len(problems(notebook)) == 1


def test_outputs_tags_and_missing_language_are_found():
    notebook = _good()
    notebook.cells[3].execution_count = 3
    notebook.cells[5].metadata.tags = ["raises-exception"]
    del notebook.metadata.kernelspec["language"]
    assert len(problems(notebook)) == 3


def test_two_code_cells_without_prose_between_them_are_found():
    notebook = _good()
    del notebook.cells[4]
    assert problems(notebook) == ["one prose cell before each code cell"]
