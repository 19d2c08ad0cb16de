"""JupyterLab as ``livekit lab`` starts it, with a person's hands on the first notebook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkouts import REPOSITORY, SESSION, Checkout

from livekit.workbench.lab import strip_outputs

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
PATIENCE_S = 90
HELD = 17  # positions before the session

SERVE = """\
import sys
from pathlib import Path
from livekit.config import load_profile
from livekit.workbench.lab import run_lab

folder, params = Path(sys.argv[1]), sys.argv[2]
profile = load_profile(params, outputs=folder / "outputs")
sys.exit(run_lab(profile, folder=folder / "notebooks"))
"""


def test_a_notebook_saved_in_the_editor_stays_a_source():
    source = json.loads((REPOSITORY / "notebooks" / "01_signals.ipynb").read_text())
    edited = json.loads(json.dumps(source))
    edited["metadata"]["widgets"] = {}
    edited["metadata"]["language_info"] = {"name": "python", "version": "3.11.7"}
    for number, cell in enumerate(edited["cells"]):
        cell["metadata"]["trusted"] = True
        if cell["cell_type"] == "code":
            cell["execution_count"], cell["outputs"] = number, [{"output_type": "stream"}]
    strip_outputs({"type": "notebook", "content": edited}, path="/notebooks/01_signals.ipynb")
    assert edited == source


def test_a_notebook_elsewhere_is_saved_as_it_is():
    kept = {"cells": [{"cell_type": "code", "metadata": {}, "outputs": [1]}], "metadata": {}}
    strip_outputs({"type": "notebook", "content": kept}, path="outputs/demo/mine.ipynb")
    assert kept["cells"][0]["outputs"] == [1]


# ------------------------------------------------------------------------------------ for real


@dataclass(frozen=True)
class Server:
    checkout: Checkout
    process: subprocess.Popen[bytes]
    url: str
    token: str


@pytest.fixture
def server(checkout: Checkout, tmp_path: Path) -> Iterator[Server]:
    """``livekit lab`` on a copy of the notebooks, with nothing of the user's configuration."""
    runtime = tmp_path / "runtime"
    environment = {
        **os.environ,
        "BROWSER": "/bin/true",
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
    }
    params = REPOSITORY / "params" / "demo.yaml"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(checkout.folder), str(params)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        told = json.loads(appeared(runtime, process).read_text())
        yield Server(checkout, process, told["url"], told["token"])
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def appeared(runtime: Path, process: subprocess.Popen[bytes]) -> Path:
    """The file in which Jupyter tells where it listens."""
    wait_until(lambda: process.poll() is not None or any(runtime.glob("jpserver-*.json")))
    return next(runtime.glob("jpserver-*.json"))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
def test_a_person_runs_the_signals_notebook_and_sees_plan_and_charts(
    server: Server, tmp_path: Path
):
    from playwright.sync_api import sync_playwright

    source = server.checkout.notebooks / "01_signals.ipynb"
    before, written_at = source.read_bytes(), source.stat().st_mtime_ns
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(PATIENCE_S * 1000)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server.url}lab/tree/notebooks/01_signals.ipynb?token={server.token}")
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
        page.get_by_text("Run All Cells", exact=True).click()
        page.wait_for_function(f"document.querySelectorAll('.js-plotly-plot').length == {HELD}")
        page.locator("caption", has_text="Run record").wait_for()
        page.screenshot(path=str(tmp_path / "end.png"))
        page.locator(".jp-WindowedPanel-outer").first.evaluate("box => box.scrollTop = 1200")
        plan = page.locator("table", has=page.locator("caption", has_text="Entries of ema_p10"))
        assert {"MSFT", "LRCX", "NOW"} <= set(plan.locator("th[scope=row]").all_inner_texts())
        page.screenshot(path=str(tmp_path / "plan.png"))
        page.locator(".js-plotly-plot").nth(1).scroll_into_view_if_needed()
        page.screenshot(path=str(tmp_path / "charts.png"))
        page.keyboard.press("Control+s")
        wait_until(lambda: source.stat().st_mtime_ns != written_at)
        chromium.close()
    outside = [url for url in asked if not url.startswith((server.url, "ws://", "data:", "blob:"))]
    assert outside == []
    assert source.read_bytes() == before
    os.killpg(server.process.pid, signal.SIGINT)  # as Control-C in the terminal does
    assert server.process.wait(30) == 0
    with server.checkout.desk() as (desk, _):
        (run,) = desk.db.get_runs(session=SESSION)
        assert (run.phase, run.status, run.exit_code) == ("signals", "done", 0)
        assert len(desk.db.get_open_positions()) == HELD


def test_a_notebook_that_opens_another_profile_than_the_servers_is_refused(
    fresh: Checkout, monkeypatch
):
    from livekit.errors import UsageError
    from livekit.workbench.day import STATE_DB_VARIABLE, open_day

    other = fresh.folder / "outputs" / "paper" / "state.db"
    monkeypatch.setenv(STATE_DB_VARIABLE, str(other))
    monkeypatch.chdir(fresh.notebooks)
    with pytest.raises(UsageError, match=r"set state_db to '\.\./outputs/paper/state\.db'"):
        open_day("../outputs/demo/state.db", SESSION.isoformat(), "signals")
