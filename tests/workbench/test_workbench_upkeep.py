"""Upkeep of an archive: what is checked, rendered anew and removed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from workbench_examples import notebook, with_output, written

from livekit import cli
from livekit.config import LiveConfig, Profile
from livekit.errors import UsageError
from livekit.state import Run, StateDB
from livekit.workbench.archive import seal
from livekit.workbench.archiving.front_page import page_header
from livekit.workbench.archiving.upkeep import archived_run, prunable, prune, rebuild, verify

THURSDAY, FRIDAY = date(2020, 1, 30), date(2020, 1, 31)
NOON = datetime(2020, 1, 31, 17, tzinfo=UTC)


@dataclass
class Kept:
    """A profile whose archive holds some runs."""

    profile: Profile
    db: StateDB

    @property
    def archive(self) -> Path:
        return self.profile.archive_dir

    def run(self, session: date, phase: str = "signals", *, failed: bool = False) -> Run:
        """Log and archive one attempt."""
        run_id = self.db.start_run(
            session=session, phase=phase, at=NOON, venue="simulated", git="abc", config_sha256="c"
        )
        status = (
            {"status": "failed", "exit_code": 1} if failed else {"status": "done", "exit_code": 0}
        )
        self.db.finish_run(run_id, at=NOON, **status)
        made = with_output(notebook(), {"text/plain": f"What changed in run {run_id}"})
        executed = written(made, self.profile.home / "executed.ipynb")
        header = page_header(self.profile, self.row(run_id))
        files = seal(self.archive, executed, header)
        executed.unlink()
        self.db.finish_run(
            run_id,
            at=NOON,
            **status,
            notebook_sha256=files.notebook_sha256,
            html_sha256=files.page_sha256,
            archive_path=files.page.removesuffix(".html"),
        )
        return self.row(run_id)

    def row(self, run_id: int) -> Run:
        return next(run for run in self.db.get_runs() if run.run_id == run_id)

    def page(self, run: Run) -> Path:
        return self.archive / f"{run.archive_path}.html"

    def notebook(self, run: Run) -> Path:
        return self.archive / f"{run.archive_path}.ipynb"

    def hashes(self) -> dict[Path, str]:
        files = (path for path in self.archive.rglob("*") if path.is_file())
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    profile = Profile(venue="simulated", name="kept", outputs=tmp_path, trading=LiveConfig())
    with StateDB.create(profile.state_db) as db:
        yield Kept(profile, db)


# ---------------------------------------------------------------------------------------- verify


def test_an_archive_as_it_was_written_agrees_with_the_run_log(kept: Kept):
    kept.run(THURSDAY)
    kept.run(FRIDAY, failed=True)
    assert verify(kept.profile, kept.db) == ()


def test_every_kind_of_disagreement_is_named_by_its_file(kept: Kept):
    first, second = kept.run(THURSDAY), kept.run(FRIDAY)
    kept.page(first).write_text("changed")
    kept.notebook(second).unlink()
    script = next(kept.archive.glob("assets/plotly-*.js"))
    script.write_text("alert(1)")
    (kept.archive / "notes.txt").write_text("left here by somebody")
    (kept.archive / "assets" / "more.js").write_text("alert(2)")
    (kept.archive / "2020" / "link.html").symlink_to("/etc/hostname")
    assert verify(kept.profile, kept.db) == (
        f"{first.archive_path}.html: differs from what was archived",
        f"{second.archive_path}.ipynb: cannot be read (No such file or directory)",
        "2020/link.html: no run names it",
        "assets/more.js: no run names it",
        f"assets/{script.name}: differs from what was archived",
        "notes.txt: no run names it",
    )


def test_a_shared_script_that_a_page_loads_must_be_there(kept: Kept):
    kept.run(THURSDAY)
    script = next(kept.archive.glob("assets/livekit-*.js"))
    script.unlink()
    (problem,) = verify(kept.profile, kept.db)
    assert problem.startswith(f"assets/{script.name}: cannot be read")


# --------------------------------------------------------------------------------------- rebuild


def test_a_rebuilt_archive_is_the_same_beside_the_untouched_originals(kept: Kept):
    run = kept.run(THURSDAY)
    before = kept.hashes()
    into = kept.profile.home / "again"
    result = rebuild(kept.profile, kept.db, into, made_at=NOON)
    assert (result.pages, result.changed, result.restored, result.problems) == (1, (), (), ())
    assert {path: kept.hashes()[path] for path in before} == before
    name = f"{run.archive_path}.html"
    assert (into / name).read_bytes() == kept.page(run).read_bytes()
    assert "What changed" in (into / name).read_text()
    assert (into / "index.html").exists()
    assert len(list((into / "assets").iterdir())) == 2


def test_a_page_made_by_an_older_program_is_rendered_beside_the_original(kept: Kept):
    run = kept.run(THURSDAY)
    old = b"<p>as the program of last year drew it</p>"
    kept.page(run).write_bytes(old)
    digest = hashlib.sha256(old).hexdigest()
    kept.db.finish_run(run.run_id, at=NOON, status="done", exit_code=0, html_sha256=digest)
    into = kept.profile.home / "again"
    result = rebuild(kept.profile, kept.db, into, made_at=NOON)
    assert result.changed == (f"{run.archive_path}.html",)
    assert kept.page(run).read_bytes() == old
    assert b"<h1>" in (into / f"{run.archive_path}.html").read_bytes()


def test_a_lost_page_comes_back_and_a_changed_notebook_is_not_believed(kept: Kept):
    lost, changed = kept.run(THURSDAY), kept.run(FRIDAY)
    content = kept.page(lost).read_bytes()
    kept.page(lost).unlink()
    text = kept.notebook(changed).read_text()
    kept.notebook(changed).write_text(text.replace("run 2", "run 3"))
    result = rebuild(kept.profile, kept.db, kept.profile.home / "again", made_at=NOON)
    assert result.restored == (f"{lost.archive_path}.html",)
    assert kept.page(lost).read_bytes() == content
    assert result.problems == (f"{changed.archive_path}.ipynb: differs from what was archived",)


def test_a_rebuild_writes_over_nothing(kept: Kept):
    kept.run(THURSDAY)
    with pytest.raises(UsageError, match="not an empty folder"):
        rebuild(kept.profile, kept.db, kept.archive, made_at=NOON)


# ----------------------------------------------------------------------------------------- prune


def test_only_old_attempts_that_a_later_one_replaced_may_go(kept: Kept):
    """Of each phase the last attempt stays, and the one that was done."""
    runs = [
        kept.run(THURSDAY, failed=True),
        kept.run(THURSDAY),
        kept.run(THURSDAY, failed=True),
        kept.run(THURSDAY, "execution", failed=True),
        kept.run(FRIDAY, failed=True),
        kept.run(FRIDAY),
    ]
    chosen = prunable(kept.db.get_runs(), FRIDAY)
    assert [run.run_id for run in chosen] == [runs[0].run_id]
    later = prunable(kept.db.get_runs(), FRIDAY + timedelta(days=1))
    assert [run.run_id for run in later] == [runs[0].run_id, runs[4].run_id]


def test_a_pruned_run_loses_its_files_and_keeps_its_hashes(kept: Kept):
    first = kept.run(THURSDAY, failed=True)
    kept.run(THURSDAY)
    prune(kept.profile, kept.db, [first])
    row = kept.row(first.run_id)
    assert (row.archive_path, row.html_sha256) == (None, first.html_sha256)
    assert not kept.page(first).exists()
    assert verify(kept.profile, kept.db) == ()
    assert archived_run(row) is None


# -------------------------------------------------------------------------------------- commands


@pytest.fixture
def commands(kept: Kept, tmp_path: Path):
    params = tmp_path / "kept.yaml"
    params.write_text("venue: simulated\n")

    def command(*words: object) -> int:
        chosen = ["--params", params, "--outputs", tmp_path]
        return cli.main(["archive", *map(str, words), *map(str, chosen)])

    return command


def test_the_command_verifies_with_an_exit_code(kept: Kept, commands, capsys):
    run = kept.run(THURSDAY)
    assert commands("verify") == 0
    assert capsys.readouterr().out == "1 archived runs agree with the run log\n"
    kept.page(run).write_text("changed")
    assert commands("verify") == 4
    shown = capsys.readouterr()
    assert f"{run.archive_path}.html: differs" in shown.out
    assert shown.err == "exit 4: 1 files do not agree with the run log\n"


def test_the_command_rebuilds_into_a_folder_of_its_own(kept: Kept, commands, capsys):
    kept.run(THURSDAY)
    assert commands("rebuild") == 0
    assert (kept.profile.home / "archive-rebuilt" / "index.html").exists()
    assert commands("rebuild") == 2
    assert "name another one with --into" in capsys.readouterr().err


def test_the_command_prunes_only_when_told_twice(kept: Kept, commands, capsys):
    first = kept.run(THURSDAY, failed=True)
    kept.run(THURSDAY)
    assert commands("prune", "--older-than", 30) == 0
    assert "1 runs of sessions before" in capsys.readouterr().out
    assert kept.page(first).exists()
    assert commands("prune", "--older-than", 30, "--delete") == 0
    assert not kept.page(first).exists()
    assert commands("prune", "--older-than", 0) == 2


def test_an_archive_without_a_database_is_refused(tmp_path: Path, capsys):
    params = tmp_path / "none.yaml"
    params.write_text("venue: simulated\n")
    words = ["archive", "verify", "--params", str(params), "--outputs", str(tmp_path)]
    assert cli.main(words) == 2
    assert "livekit init" in capsys.readouterr().err
