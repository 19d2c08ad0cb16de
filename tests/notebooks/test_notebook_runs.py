"""Phases performed as notebooks through papermill: what is recorded, archived and shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from checkouts import EVE, FIRST, SESSION, Checkout
from lxml import html as lxml_html

from livekit.config import Profile
from livekit.state import Run
from livekit.trading.desk import Desk
from livekit.trading.opening import Link, open_link
from livekit.trading.phases import PHASES, PhaseOutcome
from livekit.workbench.archive import ArchivedRun, verify_archive
from livekit.workbench.audit import digest
from livekit.workbench.charts import PLOTLY_MIME
from livekit.workbench.daily import run_daily
from livekit.workbench.entry import daily_run
from livekit.workbench.review.past import held_after
from livekit.workbench.runs.phases import NOTEBOOKS, known_secrets, notebook_performer
from livekit.workbench.runs.run import run_notebook

Edit = Callable[[nbformat.NotebookNode], None]


def archived(run: Run) -> ArchivedRun:
    return ArchivedRun(
        f"{run.archive_path}.ipynb",
        run.notebook_sha256 or "",
        f"{run.archive_path}.html",
        run.html_sha256 or "",
    )


def recorded_lines(run: Run) -> tuple[str, ...]:
    return tuple(json.loads(run.record_json or "{}")["lines"])


def wanting(checkout: Checkout) -> list[tuple[str, str]]:
    """Words and link of each run that the front page wants looked at, in its order."""
    page = lxml_html.fromstring((checkout.profile.archive_dir / "index.html").read_text())
    items = page.xpath("//section[h2='Wants attention']//li")
    return [(item.text_content(), item.xpath("string(a/@href)")) for item in items]


def edit(checkout: Checkout, phase: str, change: Edit) -> None:
    path = checkout.notebooks / NOTEBOOKS[phase]
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def only(*sources: str) -> Edit:
    """Keep the title and the parameter cell, then these cells."""

    def change(notebook: nbformat.NotebookNode) -> None:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook.cells[2:] = cells

    return change


def performed(checkout: Checkout, desk: Desk, link: Link, phase: str) -> tuple[PhaseOutcome, Run]:
    """Perform a phase of the first session with the checkout's own notebooks."""
    with notebook_performer(checkout.profile, link, folder=checkout.notebooks) as performer:
        outcome = performer(desk, phase, FIRST)
    return outcome, desk.db.get_runs(session=FIRST, phase=phase)[-1]


# ----------------------------------------------------------------------------------- a good day


def test_a_day_of_notebooks_is_recorded_archived_and_listed_with_one_truth(
    checkout: Checkout, tmp_path: Path
):
    profile = checkout.profile
    without = Checkout(shutil.copytree(checkout.folder, tmp_path / "without"))
    with checkout.desk("served") as (desk, link), notebook_performer(profile, link) as performer:
        report = run_daily(desk, SESSION, performer=performer)
        runs = {run.phase: run for run in desk.db.get_runs(session=SESSION)}
        again = run_daily(desk, SESSION, performer=performer)
    assert [(item.phase, item.status, item.exit_code) for item in report.phases] == [
        (phase, "done", 0) for phase in PHASES
    ]
    assert {item.status for item in again.phases} == {"already"}
    assert {(run.status, run.exit_code) for run in runs.values()} == {("done", 0)}
    assert verify_archive(profile.archive_dir, [archived(runs[name]) for name in NOTEBOOKS]) == ()
    for name, outcome in zip(
        NOTEBOOKS, [o for o in report.outcomes if o.phase in NOTEBOOKS], strict=True
    ):
        assert outcome.lines == recorded_lines(runs[name])
        page = lxml_html.parse(str(profile.archive_dir / archived(runs[name]).page)).getroot()
        assert page.xpath("string(//p[contains(@class, 'status')])") == "done, exit code 0"
        assert f"run{runs[name].run_id}" in page.xpath("string(//dl[@class='facts'])")
        assert runs[name].notebook_sha256 in page.xpath("string(//details)")
    index = lxml_html.parse(str(profile.archive_dir / "index.html")).getroot()
    row = f"//tr[@id='s{SESSION}']"
    assert index.xpath(f"{row}//a/@href") == [archived(runs[name]).page for name in NOTEBOOKS]
    assert wanting(checkout) == []
    notebook, page = (
        (profile.archive_dir / name).read_text()
        for name in (archived(runs["signals"]).notebook, archived(runs["signals"]).page)
    )
    (review,) = lxml_html.fromstring(page).xpath("//table[starts-with(caption, 'Review of plan')]")
    decided = [row.text_content() for row in review.xpath("tbody/tr")]
    assert len(decided) >= 3
    assert all("by policy auto" in text for text in decided if text.startswith("entry:"))
    assert "widget-view" not in notebook  # nobody could have clicked
    assert daily_run(without.profile, SESSION, notebooks=False).exit_code == 0
    assert kept_by(without) == kept_by(checkout)


def kept_by(checkout: Checkout) -> tuple[object, ...]:
    """What the books hold after a day, instants aside: it owes nothing to the notebooks."""
    with checkout.desk() as (desk, _):
        verdicts = [(item.session, item.state, item.body) for item in desk.db.get_verdicts()]
        rows = [(run.phase, run.status, run.exit_code, run.part) for run in desk.db.get_runs()]
        decided = [
            (item.item, item.decision, item.max_quantity, item.who)
            for plan in [desk.db.get_plan("ema_p10", SESSION)]
            for item in desk.db.get_approvals(plan.sha256)
        ]
        orders = [(item.client_order_id, item.status) for item in desk.db.get_orders()]
    assert [session for session, _, _ in verdicts] == [SESSION]
    return digest(checkout.profile.state_db), verdicts, rows, decided, orders


def test_a_person_who_opens_the_notebook_of_a_phase_that_is_done_sees_it_and_changes_nothing(
    checkout: Checkout, tmp_path: Path
):
    """On 29 January six candidates found six free slots; the session was traded already."""
    parameters = {"state_db": str(checkout.profile.state_db), "session": EVE.isoformat()}
    before = digest(checkout.profile.state_db)
    executed = tmp_path / "seen.ipynb"
    with checkout.desk() as (desk, _):
        runs = desk.db.get_runs()
    outcome = run_notebook(checkout.notebooks / "01_signals.ipynb", parameters, output=executed)
    assert outcome.status == "completed", outcome
    with checkout.desk() as (desk, _):
        assert desk.db.get_runs() == runs
        held = held_after(desk.db, EVE, "signals")
    assert digest(checkout.profile.state_db) == before
    outputs = shown(executed)
    charts = [bundle for bundle in outputs if PLOTLY_MIME in bundle]
    assert len(charts) == len(held) == 11
    entries = next(t["text/plain"] for t in outputs if t["text/plain"].startswith("Entries of ema"))
    assert len(entries.splitlines()) == 2 + 6


def shown(executed: Path) -> list[dict[str, str]]:
    notebook = nbformat.read(executed, as_version=4)
    return [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]


# ------------------------------------------------------------------------------------- bad runs

ENDINGS = {
    "an error": ("raise ValueError('3 shares of AAL')", "ValueError: 3 shares of AAL"),
    "exit code 0": ("import sys; sys.exit(0)", "SystemExit: cell 5 ended the run early"),
    "a killed kernel": ("import os; os.kill(os.getpid(), 9)", "DeadKernelError: Kernel died"),
    "no record": ("print('all is well')", "no run record"),
}


@pytest.mark.parametrize(("fault", "cause"), ENDINGS.values(), ids=ENDINGS)
def test_a_run_without_its_record_failed_whatever_papermill_says(
    fresh: Checkout, fault: str, cause: str
):
    edit(fresh, "comparison", only("print('begun')", fault))
    with fresh.desk() as (desk, link):
        outcome, run = performed(fresh, desk, link, "comparison")
        (alert,) = desk.db.get_alerts(FIRST)
    assert (outcome.exit_code, run.status, run.exit_code) == (1, "failed", 1)
    assert run.message == cause
    assert outcome.lines == (cause,)
    assert (alert.kind, alert.severity) == ("failed_run", "critical")
    assert alert.text == f"comparison of {FIRST}: {cause}"
    assert verify_archive(fresh.profile.archive_dir, [archived(run)]) == ()
    page = (fresh.profile.archive_dir / archived(run).page).read_text()
    assert "failed</strong>, exit code 1" in page
    assert "begun" in page


def test_a_phase_whose_kernel_died_after_it_acted_is_done_by_a_second_attempt(fresh: Checkout):
    """The first attempt makes the plan and dies before its record; the second starts anew."""
    whole = (fresh.notebooks / NOTEBOOKS["signals"]).read_bytes()
    kill = nbformat.v4.new_code_cell("import os; os.kill(os.getpid(), 9)")
    edit(fresh, "signals", lambda notebook: notebook.cells.insert(6, kill))
    with fresh.desk("served") as (desk, link):
        first, _ = performed(fresh, desk, link, "signals")
        assert first.exit_code == 1
        assert desk.db.get_plan("ema_p10", FIRST) is not None
        ((words, page),) = wanting(fresh)
        assert "attempt 1, exit code 1: DeadKernelError" in words
        assert page.endswith(f"10-signals__{FIRST}__r01.html")
        (fresh.notebooks / NOTEBOOKS["signals"]).write_bytes(whole)
        second, run = performed(fresh, desk, link, "signals")
        runs = desk.db.get_runs(session=FIRST, phase="signals")
    assert (second.exit_code, run.attempt, run.status) == (0, 2, "done")
    assert wanting(fresh) == []
    assert verify_archive(fresh.profile.archive_dir, [archived(item) for item in runs]) == ()


def test_a_notebook_without_the_parameters_of_a_run_fails_before_a_cell_is_executed(
    fresh: Checkout,
):
    def rename(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[1].source = notebook.cells[1].source.replace("session:", "sesion:")

    edit(fresh, "comparison", rename)
    with fresh.desk() as (desk, link):
        outcome, run = performed(fresh, desk, link, "comparison")
    assert (outcome.exit_code, run.status) == (1, "failed")
    assert "unknown parameter 'session'" in run.message
    assert verify_archive(fresh.profile.archive_dir, [archived(run)]) == ()


# -------------------------------------------------------------------------------------- secrets

SECRET = "APCA_API_SECRET_KEY"


def files_with(folder: Path, value: str) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if value.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "leak",
    [
        f"import os; print(os.environ['{SECRET}'])",
        f"import os; raise ValueError(os.environ['{SECRET}'])",
    ],
    ids=["printed", "in an error"],
)
def test_an_output_that_holds_a_key_is_written_nowhere(fresh: Checkout, leak: str):
    edit(fresh, "comparison", only(leak))
    with fresh.desk() as (desk, link):
        outcome, run = performed(fresh, desk, link, "comparison")
        kinds = [alert.kind for alert in desk.db.get_alerts(FIRST)]
        key = link.environment[SECRET]
    assert (outcome.exit_code, run.status, run.archive_path) == (1, "failed", None)
    assert run.message.startswith("a secret occurs in the notebook and the page")
    assert kinds[-1] == "secret"
    assert not list(fresh.profile.archive_dir.glob("2020"))
    assert wanting(fresh)[0][1] == ""  # listed, with nothing to open
    assert files_with(fresh.profile.home, key) == []


def test_the_keys_of_a_paper_account_are_looked_for_in_its_archive(monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", "PKEXAMPLEEXAMPLE")
    monkeypatch.setenv(SECRET, "an-example-of-a-secret")
    monkeypatch.delenv("LIVEKIT_VENUE_CONTROL_URL", raising=False)
    profile = Profile(venue="alpaca-paper")
    with open_link(profile) as link:
        assert set(known_secrets(profile, link)) == {"PKEXAMPLEEXAMPLE", "an-example-of-a-secret"}


# ------------------------------------------------------------------------------ an unusable archive


def test_a_phase_that_cannot_be_archived_fails_with_an_alert_and_the_day_goes_on(fresh: Checkout):
    edit(fresh, "reconciliation", only("print('seen by nobody')"))
    edit(fresh, "comparison", only("print('seen by nobody')"))
    fresh.profile.archive_dir.write_text("a file where a folder belongs")
    with (
        fresh.desk() as (desk, link),
        notebook_performer(fresh.profile, link, folder=fresh.notebooks) as performer,
    ):
        report = run_daily(desk, FIRST, phases=PHASES[2:], performer=performer)
        alerts = [alert.kind for alert in desk.db.get_alerts()]
    assert [(item.phase, item.exit_code) for item in report.phases] == [
        ("protect", 0),
        ("reconciliation", 1),
        ("comparison", 1),
    ]
    assert alerts == ["failed_run", "archive", "archive"] * 2  # the run, its page, the front page


# ------------------------------------------------------------------------- kernels started ahead


def test_a_kernel_that_was_started_ahead_and_is_not_needed_ends_with_its_performer(
    fresh: Checkout,
):
    before = child_processes()
    edit(fresh, "signals", only("1"))
    with fresh.desk() as (desk, link):
        with notebook_performer(fresh.profile, link, folder=fresh.notebooks) as performer:
            performer(desk, "signals", FIRST)
            assert len(child_processes() - before) == 1  # for the execution that would follow
        assert child_processes() == before


def child_processes() -> set[str]:
    lists = Path("/proc/self/task").glob("*/children")
    return {number for numbers in lists for number in numbers.read_text().split()}
