from __future__ import annotations

import base64
import stat
from datetime import date
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
from workbench_examples import SESSION, header, notebook, with_output, written

from livekit.errors import BadInput, SecretExposed, UsageError
from livekit.workbench.archive import (
    ArchivedRun,
    archive_run,
    clean_notebook,
    run_path,
    seal,
    verify_archive,
    write_index,
)

SECRET = "s3cr/t+KEY&of=mine"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def put(
    archive: Path, *, attempt: int = 1, page: str = "<p>page</p>", **more: object
) -> ArchivedRun:
    fields = {"session": SESSION, "phase": "signals", "notebook": "{}", "page": page}
    return archive_run(archive, attempt=attempt, **(fields | more))


def test_a_run_lies_under_its_session_with_ordinal_phase_and_attempt(archive: Path):
    run = put(archive)
    assert run.notebook == "2020/01/2020-01-30/10-signals__2020-01-30__r01.ipynb"
    assert run.page == "2020/01/2020-01-30/10-signals__2020-01-30__r01.html"
    assert (archive / run.page).read_text() == "<p>page</p>"
    assert len(list((archive / "assets").iterdir())) == 2


@pytest.mark.parametrize(
    ("phase", "ordinal"),
    [("signals", "10"), ("execution", "20"), ("reconciliation", "30"), ("comparison", "40")],
)
def test_phases_are_read_in_the_order_of_the_day(phase: str, ordinal: str):
    assert run_path(SESSION, phase, 1).name.startswith(f"{ordinal}-{phase}__")


@pytest.mark.parametrize(("phase", "attempt"), [("../signals", 1), ("protect", 1), ("signals", 0)])
def test_what_is_not_a_run_of_a_notebook_is_refused(archive: Path, phase: str, attempt: int):
    with pytest.raises(UsageError):
        put(archive, phase=phase, attempt=attempt)
    assert not archive.exists()


def test_nothing_is_ever_overwritten(archive: Path):
    first = put(archive)
    with pytest.raises(UsageError, match="archived already"):
        put(archive, page="<p>other</p>")
    assert (archive / first.page).read_text() == "<p>page</p>"
    put(archive, attempt=2)


def test_when_only_one_file_can_be_written_neither_stays(archive: Path):
    folder = archive / "2020/01/2020-01-30"
    folder.mkdir(parents=True)
    (folder / "10-signals__2020-01-30__r01.html").write_text("from elsewhere")
    with pytest.raises(UsageError):
        put(archive)
    assert [path.suffix for path in folder.iterdir()] == [".html"]


def test_files_and_folders_belong_to_the_user_alone(archive: Path, monkeypatch: pytest.MonkeyPatch):
    import os

    before = os.umask(0)
    try:
        run = put(archive)
        write_index(archive, "<p>index</p>")
    finally:
        os.umask(before)
    files = [path for path in archive.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    folders = [archive, *(archive / run.page).parents[:3]]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


@pytest.mark.parametrize("link", ["2020", "2020/01", "2020/01/2020-01-30", "assets"])
def test_a_symbolic_link_on_the_way_is_refused(archive: Path, tmp_path: Path, link: str):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (archive / link).parent.mkdir(parents=True)
    (archive / link).symlink_to(elsewhere)
    with pytest.raises(UsageError, match="symbolic link"):
        put(archive)
    assert list(elsewhere.iterdir()) == []


def test_an_archive_that_is_itself_a_symbolic_link_is_refused(archive: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    archive.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="not a usable archive folder"):
        put(archive)


def test_a_file_where_the_archive_should_be_is_one_clear_error(archive: Path):
    archive.write_text("not a folder")
    with pytest.raises(BadInput, match="not a usable archive folder"):
        put(archive)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET[::-1],
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"id:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"i:{SECRET}".encode()).decode(),
        SECRET.encode().hex(),
    ],
)
def test_a_secret_in_any_form_keeps_the_run_out_of_the_archive(archive: Path, form: str):
    with pytest.raises(SecretExposed) as caught:
        put(archive, page=f"<p>header {form} end</p>", secrets=["short", SECRET])
    assert SECRET not in str(caught.value)
    assert not archive.exists()


def test_text_without_a_secret_is_archived_although_secrets_are_known(archive: Path):
    put(archive, secrets=[SECRET, "", "abc"])


def test_verification_finds_what_was_changed_removed_or_added(archive: Path):
    runs = [put(archive), put(archive, attempt=2), put(archive, attempt=3)]
    assert verify_archive(archive, runs) == ()
    (archive / runs[0].page).write_text("<p>better result</p>")
    (archive / runs[1].notebook).unlink()
    library = next((archive / "assets").glob("plotly-*"))
    library.write_text("alert(1)")
    problems = verify_archive(archive, runs[:2])
    assert [line.rpartition("/")[2] for line in problems] == [
        "10-signals__2020-01-30__r01.html: differs from what was archived",
        "10-signals__2020-01-30__r02.ipynb: cannot be read (No such file or directory)",
        "10-signals__2020-01-30__r03.html: no run names it",
        "10-signals__2020-01-30__r03.ipynb: no run names it",
        f"{library.name}: differs from what was archived",
    ]


def test_a_script_of_an_earlier_version_is_checked_by_its_name(archive: Path):
    runs = [put(archive)]
    (archive / "assets" / "livekit-0123456789ab.js").write_text("alert(1)")
    assert verify_archive(archive, runs) == (
        "assets/livekit-0123456789ab.js: differs from what was archived",
    )


def test_a_shared_script_that_was_cut_off_is_written_again(archive: Path):
    put(archive)
    library = next((archive / "assets").glob("plotly-*"))
    whole = library.read_bytes()
    library.write_bytes(whole[:1000])
    put(archive, attempt=2)
    assert library.read_bytes() == whole


def test_the_index_is_the_one_file_that_is_replaced(archive: Path):
    write_index(archive, "first")
    write_index(archive, "second")
    assert (archive / "index.html").read_text() == "second"
    assert [path.name for path in archive.iterdir() if path.name.startswith(".")] == []


def test_paths_of_this_machine_and_widget_state_leave_the_notebook(tmp_path: Path):
    made = notebook("1")
    made.metadata.papermill = {
        "input_path": "/home/anna/notebooks/01_signals.ipynb",
        "output_path": "/home/anna/run/01_signals.ipynb",
        "parameters": {"session": "2020-01-30"},
    }
    made.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    text = clean_notebook(written(made, tmp_path / "executed.ipynb"))
    cleaned = nbformat.reads(text, as_version=4)
    assert "/home/anna" not in text
    assert cleaned.metadata.papermill.input_path == "01_signals.ipynb"
    assert cleaned.metadata.papermill.parameters == {"session": "2020-01-30"}
    assert "widgets" not in cleaned.metadata


def test_the_page_names_the_hash_of_the_notebook_beside_it(archive: Path, tmp_path: Path):
    made = with_output(notebook("1"), {"text/plain": "42"})
    run = seal(archive, written(made, tmp_path / "executed.ipynb"), header())
    assert run.notebook_sha256 in (archive / run.page).read_text()
    assert verify_archive(archive, [run]) == ()


def test_an_executed_notebook_that_is_cut_off_is_one_clear_error(archive: Path, tmp_path: Path):
    half = tmp_path / "executed.ipynb"
    half.write_text('{"cells": [')
    with pytest.raises(BadInput, match="executed notebook cannot be read"):
        seal(archive, half, header(session=date(2020, 1, 31)))
