"""One notebook, run by papermill in a kernel of its own.

Parameters are compared with the notebook's tagged cell before a kernel starts: an unknown name, a
wrong type or a missing value stops the run.

The outcome says what could be seen from outside. It is **not** proof of completion: papermill
reports some dead kernels and early exits as success, so whoever starts a run also asks the run
record that the notebook's last cell writes.
"""

from __future__ import annotations

import ast
import math
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from livekit.errors import BadInput, UnknownParameter
from livekit.workbench.runs.engine import ENGINE
from livekit.workbench.runs.kernels import Kernel

__all__ = [
    "NotebookOutcome",
    "Parameter",
    "notebook_parameters",
    "resolve_parameters",
    "run_notebook",
    "typed_parameters",
]

ParameterValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class NotebookOutcome:
    """How a run of a notebook ended as far as papermill can tell.

    ``error_name`` is the exception's class name (``DeadKernelError``, ``CellTimeoutError``, or what
    the cell raised), ``seconds`` the wall time from kernel start to kernel end.
    """

    status: Literal["completed", "failed"]
    error_name: str
    error_text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of a notebook's parameter cell: ``name: kind = default  # help``."""

    name: str
    kind: type[str | int | float | bool]
    default: ParameterValue | None
    help: str


_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_KINDS: dict[str, type[str | int | float | bool]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
}


def notebook_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read the cell tagged ``parameters``.

    Raises `BadInput` when the file is not a notebook and `UnknownParameter` when a line of the
    cell has no type among str, int, float, bool, or a default that is not a literal of that type.
    A default of ``None`` means that a value must be given.
    """
    found = {name: _parameter(notebook, line) for name, line in _inspected(notebook).items()}
    problems = [
        f"{item.name} has a default that is not {_phrase(item.kind)}"
        for item in found.values()
        if item.default is not None and not _fits(item.default, item.kind)
    ]
    if problems:
        raise UnknownParameter(str(notebook), problems)
    return found


def _inspected(notebook: Path) -> dict[str, dict[str, str]]:
    if not notebook.is_file():
        raise BadInput(notebook, "no such notebook")
    try:
        return dict(papermill.inspect_notebook(_literal_path(notebook)))
    except (ValueError, AttributeError) as error:
        raise BadInput(notebook, f"not a notebook ({error})") from error


def _literal_path(path: Path) -> str:
    """Double the braces, since papermill fills single ones with parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _parameter(notebook: Path, line: Mapping[str, str]) -> Parameter:
    kind = _KINDS.get(line["inferred_type_name"])
    if kind is None:
        raise UnknownParameter(
            str(notebook), [f"{line['name']} is annotated with none of {', '.join(_KINDS)}"]
        )
    try:
        default = ast.literal_eval(line["default"])
    except (ValueError, SyntaxError) as error:
        problem = f"{line['name']} has a default that is not a literal: {line['default']}"
        raise UnknownParameter(str(notebook), [problem]) from error
    return Parameter(line["name"], kind, default, line["help"])


def typed_parameters(notebook: Path, texts: Mapping[str, str]) -> dict[str, ParameterValue]:
    """Values given as text, turned into the types of the notebook's parameter cell.

    Text stays text, whatever it looks like: ``ON``, ``INF`` and ``1E5`` are tickers where the cell
    says ``str``. A whole number is written in digits, True or False as such. Raises
    `UnknownParameter` naming every parameter that is unknown or not of its type.
    """
    known = notebook_parameters(notebook)
    problems = [f"unknown parameter {name!r}" for name in texts if name not in known]
    values: dict[str, ParameterValue] = {}
    for name, text in texts.items():
        if name not in known:
            continue
        value = _read(text, known[name].kind)
        if value is None:
            problems.append(f"{name} must be {_phrase(known[name].kind)}, not {text!r}")
        else:
            values[name] = value
    if problems:
        raise UnknownParameter(str(notebook), problems)
    return values


def _read(text: str, kind: type) -> ParameterValue | None:
    if kind is str:
        return text
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower())
    pattern = _WHOLE if kind is int else _DECIMAL
    if not pattern.fullmatch(text):
        return None
    value = int(text) if kind is int else float(text)
    return value if math.isfinite(value) else None


def _fits(value: object, kind: type) -> bool:
    if kind is float:
        number = value if isinstance(value, int | float) else math.nan
        return math.isfinite(number) and not isinstance(value, bool)
    return type(value) is kind


def _phrase(kind: type) -> str:
    return {
        str: "text",
        int: "a whole number",
        float: "a finite number",
        bool: "True or False",
    }[kind]


def resolve_parameters(
    notebook: Path, given: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """The full set that a notebook is run with: its defaults, overridden by ``given``.

    Raises `UnknownParameter` naming every parameter that is unknown, of the wrong type or missing.
    """
    known = notebook_parameters(notebook)
    problems = [f"unknown parameter {name!r}" for name in given if name not in known]
    problems += [
        f"{name} must be {_phrase(known[name].kind)}, not {value!r}"
        for name, value in given.items()
        if name in known and not _fits(value, known[name].kind)
    ]
    problems += [
        f"{item.name} has no default and was not given"
        for item in known.values()
        if item.default is None and item.name not in given
    ]
    if problems:
        raise UnknownParameter(str(notebook), problems)
    chosen = {name: given.get(name, item.default) for name, item in known.items()}
    return {name: value for name, value in chosen.items() if value is not None}


# ------------------------------------------------------------------------------------ execution


def run_notebook(
    notebook: Path,
    parameters: Mapping[str, ParameterValue],
    *,
    output: Path,
    kernel: Kernel | None = None,
    cell_timeout_s: int = 1800,
    start_timeout_s: int = 60,
) -> NotebookOutcome:
    """Run ``notebook`` and write the executed copy to ``output``, as far as it came.

    ``kernel`` has been started for this run, and is ended by it; without one a kernel is started
    that inherits this process's environment and working folder. Wrong parameters raise before
    any cell is executed (`UnknownParameter`, `BadInput`); whatever goes wrong afterwards is told
    by the outcome.
    """
    with ExitStack() as started:
        if kernel is not None:
            started.enter_context(kernel)
        resolved = resolve_parameters(notebook, parameters)
        begun = time.monotonic()
        name, text = "", ""
        try:
            used = kernel or started.enter_context(Kernel())
            executed = papermill.execute_notebook(
                _literal_path(notebook),
                _literal_path(output),
                parameters=resolved,
                engine_name=ENGINE,
                progress_bar=False,
                execution_timeout=cell_timeout_s,
                start_timeout=start_timeout_s,
                km=used.manager,
            )
            name, text = _early_end(executed)
        except PapermillExecutionError as error:
            name, text = str(error.ename), str(error.evalue)
        except DeadKernelError as error:
            name, text = "DeadKernelError", f"{_first_line(error)} {used.last_words}".strip()
        except (CellTimeoutError, NoSuchKernel, RuntimeError, OSError) as error:
            name, text = type(error).__name__, _first_line(error)
    seconds = time.monotonic() - begun
    return NotebookOutcome("failed" if name else "completed", name, text, seconds)


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _early_end(executed: Any) -> tuple[str, str]:
    """A run that papermill calls good although a cell ended it: ``sys.exit(0)``, cells not run."""
    for number, cell in enumerate(executed.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return str(output.ename), f"cell {number} ended the run early"
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            return "RunIncomplete", f"cell {number} was not run"
    return "", ""
