from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from workbench_examples import notebook, written

from livekit.errors import BadInput, UnknownParameter
from livekit.workbench.runs.run import (
    NotebookOutcome,
    notebook_parameters,
    resolve_parameters,
    run_notebook,
)

Runner = Callable[..., NotebookOutcome]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return written(notebook("session"), tmp_path / "source.ipynb")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "executed.ipynb"


@pytest.fixture
def run(tmp_path: Path, output: Path) -> Runner:
    def started(*cells: str, **options: object) -> NotebookOutcome:
        path = written(notebook(*cells), tmp_path / "source {x}.ipynb")
        return run_notebook(path, {"positions": 7}, output=output, **options)

    return started


def printed(output: Path) -> list[str]:
    executed = nbformat.read(output, as_version=4)
    return [
        item.text
        for cell in executed.cells
        for item in cell.get("outputs", [])
        if item.output_type == "stream" and item.name == "stdout"
    ]


# ------------------------------------------------------------------------- before a kernel starts


def test_the_parameter_cell_is_the_documentation(source: Path):
    found = notebook_parameters(source)
    assert list(found) == ["session", "positions", "share", "quick"]
    assert [item.kind for item in found.values()] == [str, int, float, bool]
    assert found["session"].default == "2020-01-30"
    assert found["session"].help == "XNYS session"


def test_every_parameter_is_passed_defaults_included(source: Path):
    assert resolve_parameters(source, {"session": "2020-02-03", "share": 1}) == {
        "session": "2020-02-03",
        "positions": 2,
        "share": 1,
        "quick": True,
    }


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"sesion": "2020-01-30"}, "unknown parameter 'sesion'"),
        ({"session": 20200130}, "session must be text, not 20200130"),
        ({"positions": True}, "positions must be a whole number, not True"),
        ({"positions": 2.0}, "positions must be a whole number, not 2.0"),
        ({"share": float("inf")}, "share must be a finite number, not inf"),
        ({"share": float("nan")}, "share must be a finite number, not nan"),
        ({"share": True}, "share must be a finite number, not True"),
        ({"quick": 1}, "quick must be True or False, not 1"),
        ({"session\nimport os": "x"}, "unknown parameter"),
    ],
)
def test_a_wrong_name_or_type_is_refused(source: Path, given: dict, problem: str, output: Path):
    with pytest.raises(UnknownParameter, match=problem.replace("\\", "")):
        run_notebook(source, given, output=output)
    assert not output.exists()


def test_tickers_that_look_like_numbers_and_truth_values_stay_text(source: Path):
    for ticker in ("ON", "INF", "NAN", "TRUE", "1E5", "None"):
        assert resolve_parameters(source, {"session": ticker})["session"] == ticker


def test_a_parameter_whose_default_is_none_must_be_given(tmp_path: Path):
    made = notebook("1", parameters="ticker: str = None  # must be given")
    path = written(made, tmp_path / "source.ipynb")
    with pytest.raises(UnknownParameter, match="ticker has no default and was not given"):
        resolve_parameters(path, {})
    assert resolve_parameters(path, {"ticker": "T"}) == {"ticker": "T"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("when: date = None  # day", "annotated with none of str, int, float, bool"),
        ("size = 3  # untyped", "annotated with none of"),
        ("size: int = 1 + 1  # computed", "not a literal"),
        ('size: int = "3"  # text', "a default that is not a whole number"),
    ],
)
def test_a_parameter_cell_that_is_no_documentation_is_refused(
    tmp_path: Path, line: str, problem: str
):
    path = written(notebook("1", parameters=line), tmp_path / "source.ipynb")
    with pytest.raises(UnknownParameter, match=problem):
        notebook_parameters(path)


def test_a_file_that_is_no_notebook_is_one_clear_error(tmp_path: Path, output: Path):
    with pytest.raises(BadInput, match="no such notebook"):
        run_notebook(tmp_path / "absent.ipynb", {}, output=output)
    (tmp_path / "half.ipynb").write_text('{"cells": [')
    with pytest.raises(BadInput, match="not a notebook"):
        run_notebook(tmp_path / "half.ipynb", {}, output=output)


# ---------------------------------------------------------------------------------- with a kernel


CONNECTION = """\
import json, os, stat
from ipykernel.connect import get_connection_file
path = get_connection_file()
folder = os.path.dirname(path)
told = json.load(open(path))
print(json.dumps({
    "transport": told["transport"],
    "file": stat.S_IMODE(os.stat(path).st_mode),
    "folder": stat.S_IMODE(os.stat(folder).st_mode) & 0o777,
    "path": folder,
    "positions": positions,
    "session": session,
    "given": os.environ["LIVEKIT_TEST_VALUE"],
}))"""


def test_a_kernel_talks_over_private_sockets_and_inherits_the_environment(
    run: Runner, output: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIVEKIT_TEST_VALUE", "through the environment")
    outcome = run(CONNECTION)
    assert outcome.status == "completed", outcome
    assert outcome.error_name == ""
    told = json.loads(printed(output)[0])
    assert told["transport"] == "ipc"
    assert (told["file"], told["folder"]) == (0o600, 0o700)
    assert (told["positions"], told["session"]) == (7, "2020-01-30")
    assert told["given"] == "through the environment"
    assert not Path(told["path"]).exists()
    passed = nbformat.read(output, as_version=4).metadata.papermill.parameters
    assert passed == {"session": "2020-01-30", "positions": 7, "share": 0.5, "quick": True}


def test_a_raised_error_is_a_failure_with_its_name_and_text(run: Runner, output: Path):
    outcome = run("raise ValueError('3 shares of AAL')", "print('never')")
    assert (outcome.status, outcome.error_name) == ("failed", "ValueError")
    assert outcome.error_text == "3 shares of AAL"
    assert printed(output) == []


def test_leaving_half_way_with_exit_code_0_is_a_failure(run: Runner, output: Path):
    outcome = run("import sys; sys.exit(0)", "print('never')")
    assert (outcome.status, outcome.error_name) == ("failed", "SystemExit")
    assert output.exists()


def test_a_killed_kernel_is_a_failure(run: Runner, output: Path):
    outcome = run("import os; os.kill(os.getpid(), 9)", "print('never')")
    assert (outcome.status, outcome.error_name) == ("failed", "DeadKernelError")
    assert output.exists()


def test_a_cell_that_takes_too_long_is_a_failure(run: Runner):
    outcome = run("import time; time.sleep(60)", cell_timeout_s=1)
    assert (outcome.status, outcome.error_name) == ("failed", "CellTimeoutError")
    assert outcome.seconds < 20


def test_an_output_that_cannot_be_written_is_a_failure(run: Runner, output: Path):
    output.mkdir()
    outcome = run("print('done')")
    assert (outcome.status, outcome.error_name) == ("failed", "IsADirectoryError")


def test_a_long_temporary_path_does_not_keep_the_sockets_from_opening(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import tempfile

    long = tmp_path / ("d" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert run("print(1)").status == "completed"
