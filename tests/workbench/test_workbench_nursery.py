"""Kernels forked from one process that has loaded what they need."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from workbench_examples import notebook, written

from livekit.workbench.runs.kernels import Kernel
from livekit.workbench.runs.nursery import Nursery
from livekit.workbench.runs.run import run_notebook

pytestmark = pytest.mark.skipif(not Nursery.is_possible(), reason="needs Linux")

WHO = "import os, sys\nprint(os.getpid(), os.getsid(0), os.environ['OF_THE_RUN'], os.getcwd())"
LOADED = "print('livekit.workbench.day' in sys.modules, 'secret' in globals())"

USER = """\
import sys, time
from jupyter_core.utils import run_sync
from livekit.workbench.runs.kernels import Kernel
from livekit.workbench.runs.nursery import Nursery
kernel = Kernel(nursery=Nursery())
print(kernel.manager.provisioner.process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


def is_gone(number: int) -> bool:
    """Whether a process ends within twenty seconds."""
    for _ in range(200):
        if not Path(f"/proc/{number}").exists():
            return True
        time.sleep(0.1)
    return False


def outputs(executed: Path) -> list[str]:
    cells = nbformat.read(executed, as_version=4).cells
    return [out.text.strip() for cell in cells for out in cell.get("outputs", []) if "text" in out]


def test_each_run_has_a_process_of_its_own_that_knows_nothing_of_the_one_before(
    nursery: Nursery, tmp_path: Path
):
    source = written(notebook(WHO, LOADED, "secret = 1"), tmp_path / "source.ipynb")
    seen = []
    for number in range(2):
        executed = tmp_path / f"{number}.ipynb"
        kernel = Kernel({"OF_THE_RUN": str(number)}, cwd=tmp_path, nursery=nursery)
        outcome = run_notebook(source, {}, output=executed, kernel=kernel)
        assert outcome.status == "completed", outcome
        who, loaded = outputs(executed)
        assert loaded == "True False"
        seen.append(who.split())
    assert seen[0][0] != seen[1][0]
    assert all(pid == session for pid, session, _, _ in seen)
    assert [given for _, _, given, _ in seen] == ["0", "1"]
    assert {folder for _, _, _, folder in seen} == {str(tmp_path)}
    assert all(is_gone(int(pid)) for pid, _, _, _ in seen)


def test_a_killed_kernel_is_noticed_and_leaves_the_notebook_as_far_as_it_came(
    nursery: Nursery, tmp_path: Path
):
    cells = ("print('begun')", "import os; os.kill(os.getpid(), 9)", "print('never')")
    executed = tmp_path / "executed.ipynb"
    source = written(notebook(*cells), tmp_path / "source.ipynb")
    outcome = run_notebook(source, {}, output=executed, kernel=Kernel(nursery=nursery))
    assert (outcome.status, outcome.error_name) == ("failed", "DeadKernelError")
    assert outputs(executed) == ["begun"]


def test_a_child_of_a_kernel_has_an_exit_code(nursery: Nursery, tmp_path: Path):
    """The nursery takes note of every child that ends; a kernel must leave that to its caller."""
    call = "import subprocess; print(subprocess.run(['sh', '-c', 'exit 7']).returncode)"
    executed = tmp_path / "executed.ipynb"
    source = written(notebook(call), tmp_path / "source.ipynb")
    run_notebook(source, {}, output=executed, kernel=Kernel(nursery=nursery))
    assert outputs(executed) == ["7"]


def test_no_kernel_is_left_behind_when_its_user_is_killed():
    with subprocess.Popen([sys.executable, "-c", USER], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        number = int(user.stdout.readline())
        os.kill(user.pid, signal.SIGKILL)
    assert is_gone(number)
