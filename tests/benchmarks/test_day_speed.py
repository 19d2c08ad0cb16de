"""A whole day of notebooks against empty ones through the ordinary commands."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

import nbformat
import numpy as np
import pytest

from livekit.config import load_profile
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.trading.opening import desk_on, open_link
from livekit.workbench.archive import write_index
from livekit.workbench.archiving.index import RunEntry, render_index
from livekit.workbench.daily import run_daily
from livekit.workbench.entry import register

pytestmark = pytest.mark.bench

PARAMS = Path(__file__).resolve().parents[2] / "params" / "demo.yaml"
COMMANDS = Path(sys.executable).parent
SESSION = date(2020, 1, 30)  # three entries fill the twenty slots; twenty charts on three pages
EVE = date(2020, 1, 29)
ROUNDS = 3
BAR = 0.7
CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def eve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder whose demo profile is traded up to the session before."""
    outputs = tmp_path_factory.mktemp("eve") / "outputs"
    profile = load_profile(PARAMS, outputs=outputs)
    register(profile)
    with StateDB(profile.state_db) as db, open_link(profile) as link:
        desk = desk_on(profile, link, db)
        for session in sessions_between(date(2020, 1, 2), EVE):
            assert run_daily(desk, session).exit_code == 0
    return outputs


def day_of_notebooks_s(eve: Path, folder: Path) -> np.ndarray:
    """``livekit daily``: venue, four notebooks, the protection between them, pages, index."""
    outputs = shutil.copytree(eve, folder / "outputs")
    words = ["daily", "--params", PARAMS, "--outputs", outputs, "--session", SESSION.isoformat()]
    seconds = timed(sys.executable, "-m", "livekit", *words)
    archive = outputs / "demo" / "archive"
    assert len(list(archive.glob("*/*/*/*.html"))) == 4
    assert (archive / "index.html").exists()
    return seconds


def empty_notebooks_s(folder: Path) -> np.ndarray:
    """Four empty notebooks through ``papermill``, four through ``jupyter nbconvert``."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell("")]
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}),
        folder / "empty.ipynb",
    )
    seconds = np.zeros(2)
    for number in range(4):
        executed = folder / f"{number}.ipynb"
        seconds += timed(COMMANDS / "papermill", folder / "empty.ipynb", executed)
        seconds += timed(COMMANDS / "jupyter", "nbconvert", "--to", "html", executed)
    return seconds


def timed(*words: object) -> np.ndarray:
    """Wall seconds and processor seconds of a command and its children."""
    begun, used = time.perf_counter(), children_s()
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
    return np.array([time.perf_counter() - begun, children_s() - used])


def children_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_a_day_of_notebooks_takes_less_than_empty_ones_through_their_commands(
    eve: Path, tmp_path: Path
):
    rounds = []
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        rounds.append((day_of_notebooks_s(eve, folder), empty_notebooks_s(folder)))
    for number, (ours, theirs) in enumerate(rounds):
        name = "cold" if number == 0 else "warm"
        print(
            f"\n{name}: livekit daily {ours[0]:.1f} s (processor {ours[1]:.1f} s), "
            f"empty notebooks {theirs[0]:.1f} s (processor {theirs[1]:.1f} s)",
            end="",
        )
    ours, theirs = (np.min(times, axis=0) for times in zip(*rounds, strict=True))
    wall, processor = ours / theirs
    print(
        f"\nbest: {wall:.2f} of the wall time (bar {BAR}), {processor:.2f} of the processor time; "
        f"papermill {version('papermill')}, nbconvert {version('nbconvert')}"
    )
    assert wall <= BAR


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
def test_an_index_of_five_hundred_runs_opens_within_a_second(tmp_path: Path):
    """The time from asking for the page until it is drawn and its search works."""
    from playwright.sync_api import sync_playwright

    days = sessions_between(date(2019, 1, 2), date(2019, 7, 1))[:125]
    phases = ("signals", "execution", "reconciliation", "comparison")
    runs = [
        RunEntry(day, phase, 1, 4 * number + at, "done", 0, f"{day}/{phase}.html", tickers=("ON",))
        for number, day in enumerate(days)
        for at, phase in enumerate(phases)
    ]
    assert len(runs) == 500
    made_at = datetime(2019, 7, 1, tzinfo=UTC)
    page_text = render_index(runs, profile="demo", simulated=True, made_at=made_at)
    write_index(tmp_path / "archive", page_text)
    seconds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(ROUNDS):
            page = browser.new_page()
            begun = time.perf_counter()
            page.goto((tmp_path / "archive" / "index.html").as_uri())
            page.fill("#search", "on")
            page.wait_for_function("document.querySelector('#found').textContent.includes('125')")
            seconds.append(time.perf_counter() - begun)
            page.close()
        browser.close()
    print(
        f"\nindex of 500 runs, {len(page_text) / 1000:.0f} kB: "
        f"cold {seconds[0]:.2f} s, best {min(seconds):.2f} s (bar 1 s)"
    )
