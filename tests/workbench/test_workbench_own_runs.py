"""A notebook of a person's own: checked before, sealed and archived after, whatever happened."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import nbformat
import pytest
from workbench_examples import notebook, written

from livekit import cli
from livekit.config import LiveConfig, Profile
from livekit.state import Run, StateDB
from livekit.workbench.archiving.upkeep import verify

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SECRET = "an-example-0f-a-secret"


@dataclass
class Study:
    """A profile, a folder for notebooks, and the command."""

    folder: Path
    profile: Profile
    capture: pytest.CaptureFixture[str]

    def notebook(self, *cells: str, name: str = "my study.ipynb", **options: str) -> Path:
        return written(notebook(*cells, **options), self.folder / name)

    def run(self, path: Path, *words: object) -> tuple[int, str, str]:
        code = cli.main(["run", str(path), *map(str, words), *self._where()])
        shown = self.capture.readouterr()
        return code, shown.out, shown.err

    def _where(self) -> list[str]:
        return ["--params", str(self.folder / "study.yaml"), "--outputs", str(self.folder)]

    def rows(self) -> list[Run]:
        with StateDB(self.profile.state_db) as db:
            return db.get_runs()

    def alerts(self) -> list[str]:
        with StateDB(self.profile.state_db) as db:
            return [alert.kind for alert in db.get_alerts()]

    def problems(self) -> tuple[str, ...]:
        with StateDB(self.profile.state_db) as db:
            return verify(self.profile, db)

    def page(self) -> str:
        return (self.profile.archive_dir / f"{self.rows()[-1].archive_path}.html").read_text()


@pytest.fixture
def study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Study:
    (tmp_path / "study.yaml").write_text("venue: simulated\n")
    profile = Profile(venue="simulated", name="study", outputs=tmp_path, trading=LiveConfig())
    StateDB.create(profile.state_db).close()
    return Study(tmp_path, profile, capsys)


PARAMETERS = (
    'session: str = "2020-01-30"  # XNYS session\n'
    'ticker: str = "AAL"  # symbol\n'
    "count: int = 2  # how many\n"
    "share: float = 0.5  # of one\n"
    "quick: bool = True  # or slow"
)


# ------------------------------------------------------------------------------------- good runs


def test_a_run_is_recorded_by_its_last_cell_archived_and_verified(study: Study):
    path = study.notebook("print(repr([ticker, count, share, quick]))", parameters=PARAMETERS)
    before = path.read_bytes()
    code, out, err = study.run(path, "-p", "ticker=INF", "-p", "count=3")
    assert (code, err) == (0, "")
    (row,) = study.rows()
    assert (row.phase, row.session, row.status) == ("my_study", date(2020, 1, 30), "done")
    assert row.archive_path == "2020/01/2020-01-30/90-my_study__2020-01-30__r01"
    assert out.strip().endswith(f"{row.archive_path}.html")
    assert "['INF', 3, 0.5, True]" in study.page().replace("&#39;", "'")
    executed = nbformat.read(study.profile.archive_dir / f"{row.archive_path}.ipynb", as_version=4)
    passed = executed.metadata.papermill.parameters
    assert str(study.folder) not in executed.metadata.papermill.output_path
    assert passed == {
        "session": "2020-01-30",
        "ticker": "INF",
        "count": 3,
        "share": 0.5,
        "quick": True,
    }
    assert study.problems() == ()
    assert path.read_bytes() == before
    assert "my_study" in (study.profile.archive_dir / "index.html").read_text()


ENDINGS = {
    "an error": ("raise ValueError('3 shares of AAL')", "ValueError: 3 shares of AAL"),
    "an early end": ("import sys; sys.exit(0)", "SystemExit: cell 5 ended the run early"),
    "a killed kernel": ("import os; os.kill(os.getpid(), 9)", "DeadKernelError: Kernel died"),
}


@pytest.mark.parametrize(("fault", "cause"), ENDINGS.values(), ids=ENDINGS)
def test_a_run_that_did_not_come_to_its_end_failed_and_is_archived(
    study: Study, fault: str, cause: str
):
    code, _, err = study.run(study.notebook("print('begun')", fault))
    (row,) = study.rows()
    assert (code, row.status, row.exit_code, row.message) == (1, "failed", 1, cause)
    assert err == f"exit 1: {cause}\n"
    assert study.alerts() == ["failed_run"]
    assert "begun" in study.page()
    assert "failed</strong>, exit code 1" in study.page()
    assert "Wants attention" in (study.profile.archive_dir / "index.html").read_text()
    assert study.problems() == ()


def test_a_cell_that_takes_too_long_ends_the_run(study: Study):
    path = study.notebook("import time; time.sleep(60)")
    code, _, err = study.run(path, "--cell-timeout", 1)
    assert code == 1
    assert "CellTimeoutError" in err


# --------------------------------------------------------------------------- nothing is started


def refused(study: Study, path: Path, *words: object) -> str:
    """The run is refused in one line with exit code 2; nothing was started or written."""
    code, out, err = study.run(path, *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert study.rows() == []
    assert not study.profile.archive_dir.exists()
    return err


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ("tiker=AAL", "unknown parameter 'tiker'"),
        ("count=two", "count must be a whole number, not 'two'"),
        ("count=2.0", "count must be a whole number"),
        ("share=inf", "share must be a finite number"),
        ("share=nan", "share must be a finite number"),
        ("quick=ON", "quick must be True or False, not 'ON'"),
        ("session=20200130", "not a date of the form YYYY-MM-DD"),
        ("session=2020-02-01", "2020-02-01"),
        ("ticker", "-p wants NAME=VALUE"),
        ("=5", "-p wants NAME=VALUE"),
    ],
)
def test_a_wrong_parameter_is_refused_before_a_kernel_starts(study: Study, given: str, fact: str):
    path = study.notebook(parameters=PARAMETERS)
    assert fact in refused(study, path, "-p", given)


def test_a_parameter_given_twice_is_refused(study: Study):
    path = study.notebook(parameters=PARAMETERS)
    assert "count is given twice" in refused(study, path, "-p", "count=1", "-p", "count=2")


def test_a_secret_as_parameter_is_refused_and_not_repeated(
    study: Study, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MY_API_TOKEN", SECRET)
    path = study.notebook(parameters=PARAMETERS)
    for name in ("ticker", "count"):
        err = refused(study, path, "-p", f"{name}={SECRET}")
        assert "holds a secret" in err
        assert SECRET not in err


@pytest.mark.parametrize("name", ["../../evil", "signals", "executor", "", "A", "x" * 41, "a/b"])
def test_a_name_that_leaves_the_archive_or_takes_a_phases_place_is_refused(study: Study, name: str):
    assert "no name for the archive" in refused(study, study.notebook(), "--name", name)


def test_what_is_no_notebook_is_refused(study: Study):
    text = study.folder / "study.ipynb"
    text.write_text("not a notebook")
    refused(study, text)
    refused(study, study.folder / "absent.ipynb")


def test_a_copy_of_a_notebook_of_the_day_is_refused(study: Study):
    path = study.notebook(name="01_signals.ipynb")
    assert "is a copy of it" in refused(study, path)


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ("sesion=2020-01-30", "unknown parameter 'sesion'"),
        ("run_id=7", "set by the run itself"),
        ("state_db=elsewhere.db", "set by the run itself"),
        ("session=20200130", "not a date of the form YYYY-MM-DD"),
    ],
)
def test_a_notebook_of_the_day_takes_the_session_alone(study: Study, given: str, fact: str):
    """The command before it comes to the profile, which has never been registered."""
    assert fact in refused(study, NOTEBOOKS / "01_signals.ipynb", "-p", given)


# ------------------------------------------------------------------------ an archive that refuses


def test_a_secret_that_a_cell_prints_is_archived_nowhere(
    study: Study, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MY_API_TOKEN", SECRET)
    code, _, err = study.run(study.notebook("import os; print(os.environ['MY_API_TOKEN'])"))
    assert code == 1
    assert "a secret occurs in the notebook and the page" in err
    assert study.rows()[0].archive_path is None
    files = [path for path in study.profile.home.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_an_archive_that_is_a_link_out_of_the_profile_is_not_written_to(study: Study):
    elsewhere = study.folder / "elsewhere"
    elsewhere.mkdir()
    study.profile.archive_dir.symlink_to(elsewhere)
    code, _, err = study.run(study.notebook("print('seen by nobody')"))
    assert code == 2
    assert "not a usable archive folder" in err
    assert list(elsewhere.iterdir()) == []
    assert (study.rows()[0].status, study.alerts()) == ("failed", ["archive", "archive"])


NOTHING_BEFORE = ()
AS_ANYBODY = ("setpriv", "--bounding-set", "-dac_override", "--")  # root that permissions bind


def limited(
    study: Study,
    path: Path,
    *,
    before: Callable[[], None] | None = None,
    through: tuple[str, ...] = NOTHING_BEFORE,
) -> subprocess.CompletedProcess:
    """The command in a process of its own on which the operating system puts a limit."""
    words = [*through, sys.executable, "-m", "livekit", "run", str(path), *study._where()]
    return subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=before)


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root writes everywhere"
)
def test_a_read_only_archive_is_one_clear_error_and_the_run_stays_in_the_log(study: Study):
    study.profile.archive_dir.mkdir(mode=0o500)
    through = AS_ANYBODY if os.geteuid() == 0 else NOTHING_BEFORE
    done = limited(study, study.notebook("print('seen by nobody')"), through=through)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "archive: cannot be written (Permission denied)" in done.stderr
    (row,) = study.rows()
    assert (row.status, row.archive_path, study.alerts()) == (
        "failed",
        None,
        ["archive", "archive"],
    )


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_was_there(study: Study):
    """No file may grow beyond 2 MB: plotly's script, 4.8 MB, cannot be written."""

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    done = limited(study, study.notebook("print('begun')"), before=no_room)
    assert done.returncode == 2, done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    (row,) = study.rows()
    assert (row.status, row.archive_path) == ("failed", None)
    assert [path for path in study.profile.archive_dir.rglob("*") if path.is_file()] == []
    assert study.run(study.folder / "my study.ipynb")[0] == 0  # there is room again
    assert study.problems() == ()
