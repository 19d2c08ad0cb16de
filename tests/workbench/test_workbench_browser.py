"""Archived pages in a real Chromium, opened as files with the network switched off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import nbformat
import pytest
from workbench_examples import EVIL_NAME, header, notebook, written

from livekit.sessions import sessions_between
from livekit.workbench.archive import ArchivedRun, seal, write_index
from livekit.workbench.archiving.index import RunEntry, render_index
from livekit.workbench.charts import PLOTLY_MIME
from livekit.workbench.runs.run import run_notebook

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

DRAWN = "html[data-charts=done]"
PATIENCE_MS = 30_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]

IMPORTS = f"""\
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from datetime import date
from workbench_examples import EVIL_NAME, curve, plan, position_views
from livekit.sessions import sessions_between
from livekit.workbench.show import show_curves, show_plan, show_positions
days = sessions_between(date(2020, 1, 2), date(2020, 1, 30))"""
CURVES = """\
books = [curve(name, days, [10.0 * n for n in range(len(days))]) for name in ("a", EVIL_NAME, "c")]
show_curves(*books, base_usd=200000.0)"""


@dataclass(frozen=True)
class Archive:
    folder: Path
    run: ArchivedRun

    @property
    def page(self) -> Path:
        return self.folder / self.run.page


@dataclass
class Witness:
    """What the browser complained of, asked for, or popped up."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """A notebook executed by a real kernel: two positions and the curves, in an archive."""
    folder = tmp_path_factory.mktemp("browser")
    cells = (IMPORTS, "show_plan(plan())\nshow_positions(position_views(2))", CURVES)
    executed = folder / "executed.ipynb"
    outcome = run_notebook(written(notebook(*cells), folder / "source.ipynb"), {}, output=executed)
    assert outcome.status == "completed", outcome
    return Archive(folder / "archive", seal(folder / "archive", executed, header()))


@pytest.fixture(scope="module")
def browser(archive: Archive) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


def opened(browser, path: Path, **options: object) -> tuple[object, Witness]:
    context = browser.new_context(offline=True, **options)
    page = context.new_page()
    seen = Witness()
    page.on("console", lambda message: seen.errors.append(message.text))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("dialog", lambda dialog: (seen.errors.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(path.as_uri())
    return page, seen


def figures(run: Archive) -> list[dict]:
    executed = nbformat.read(run.folder / run.run.notebook, as_version=4)
    return [
        output.data[PLOTLY_MIME]
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if PLOTLY_MIME in output.get("data", {})
    ]


@pytest.fixture(scope="module")
def desk(browser, archive) -> tuple[object, Witness]:
    """The page on a desktop, drawn; tests that share it change nothing but the colour scheme."""
    size = {"width": 1280, "height": 900}
    page, seen = opened(browser, archive.page, viewport=size, color_scheme="light")
    page.wait_for_selector(DRAWN, timeout=PATIENCE_MS)
    return page, seen


def assert_complete(page, seen: Witness, archive: Archive, width: int) -> None:
    assert page.locator(".chart.drawn > .plot-container").count() == len(figures(archive)) == 3
    assert seen.errors == []
    assert all(url.startswith(archive.folder.as_uri()) for url in seen.requests)
    assert len(seen.requests) == 3  # the page, plotly.js, our script
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_chart_is_drawn_offline_without_a_complaint(desk, archive):
    assert_complete(*desk, archive, 1280)


def test_a_phone_in_the_dark_shows_the_same_and_nothing_runs_off_the_side(browser, archive):
    size = {"width": 390, "height": 844}
    page, seen = opened(browser, archive.page, viewport=size, color_scheme="dark")
    page.wait_for_selector(DRAWN, timeout=PATIENCE_MS)
    assert_complete(page, seen, archive, 390)
    page.context.close()


def test_the_browser_draws_the_very_numbers_of_the_notebook(desk, archive):
    shown = desk[0].evaluate(
        "Array.from(document.querySelectorAll('.chart'), chart => chart.data.map(trace => ["
        "trace.name, trace.x, trace.y || null, trace.open || null, trace.close || null]))"
    )
    given = [
        [
            [trace.get(key) for key in ("name", "x", "y", "open", "close")]
            for trace in figure["data"]
        ]
        for figure in figures(archive)
    ]
    assert shown == json.loads(json.dumps(given))


def test_a_hostile_name_is_text_in_headings_tables_and_charts(desk):
    page, seen = desk
    assert EVIL_NAME in page.locator("h3").first.inner_text()
    assert page.locator("td", has_text=EVIL_NAME).count() == 1
    assert EVIL_NAME in page.locator(".chart .legendtext").all_text_contents()
    assert page.locator("img, svg a").count() == 0
    assert seen.errors == []


def test_changing_to_dark_redraws_the_charts_in_its_colours(desk):
    from playwright.sync_api import expect

    page, seen = desk
    label = page.locator(".chart .xtick text").first
    light = label.evaluate("element => getComputedStyle(element).fill")
    page.emulate_media(color_scheme="dark")
    expect(label).not_to_have_css("fill", light, timeout=PATIENCE_MS)
    page.emulate_media(color_scheme="light")
    expect(label).to_have_css("fill", light, timeout=PATIENCE_MS)
    assert seen.errors == []


def test_a_page_whose_chart_library_is_gone_says_so(browser, archive, tmp_path):
    copy = tmp_path / "archive"
    shutil.copytree(archive.folder, copy)
    next((copy / "assets").glob("plotly-*")).unlink()
    page, _ = opened(browser, copy / archive.run.page)
    page.locator(".chart", has_text="chart script is missing").first.wait_for()
    assert page.locator("table").count() > 3
    page.context.close()


def test_an_inline_script_that_somebody_adds_does_not_run(browser, archive, tmp_path):
    copy = tmp_path / "archive"
    shutil.copytree(archive.folder, copy)
    changed = copy / archive.run.page
    text = changed.read_text()
    changed.write_text(text.replace("<main>", "<main><script>document.title='ran'</script>", 1))
    page, seen = opened(browser, changed)
    page.wait_for_selector(DRAWN, timeout=PATIENCE_MS)
    assert page.title() != "ran"
    assert "Content Security Policy" in " ".join(seen.errors)
    page.context.close()


def test_the_index_finds_the_sessions_of_a_ticker(browser, archive):
    days = sessions_between(date(2020, 1, 2), date(2020, 1, 30))
    runs = [
        RunEntry(day, "signals", 1, number, "done", 0, archive.run.page, tickers=("ON",))
        for number, day in enumerate(days[:-1])
    ]
    runs.append(
        RunEntry(days[-1], "signals", 1, 99, "done", 0, archive.run.page, tickers=("MSFT",))
    )
    made_at = datetime(2020, 1, 31, tzinfo=UTC)
    index = render_index(runs, profile="demo", simulated=True, made_at=made_at)
    write_index(archive.folder, index)
    page, seen = opened(browser, archive.folder / "index.html")
    page.fill("#search", "msft")
    assert page.locator("tr[data-search]:visible").count() == 1
    assert page.inner_text("#found") == "1 of 20 sessions"
    page.click("tr[data-search]:visible a")
    assert page.inner_text("h1") == "Signals of Thursday 30 January 2020"
    page.click("nav a")
    assert page.inner_text("h1") == "Runs of demo"
    assert seen.errors == []
    page.context.close()
