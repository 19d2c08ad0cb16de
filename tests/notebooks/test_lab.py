"""JupyterLab as ``livekit lab`` starts it, with a person's hands on the first notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import REPOSITORY, SESSION, Checkout
from lab_kit import CHROMIUM, Server, browser, lab_server, new_tab, run_all, wait_until

from livekit.workbench.lab import strip_outputs

HELD = 17  # positions before the session


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


@pytest.fixture
def server(checkout: Checkout, tmp_path: Path) -> Iterator[Server]:
    with lab_server(checkout, tmp_path) as running:
        yield running


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
def test_a_person_runs_the_signals_notebook_and_sees_plan_and_charts(
    server: Server, tmp_path: Path
):
    source = server.checkout.notebooks / "01_signals.ipynb"
    before, written_at = source.read_bytes(), source.stat().st_mtime_ns
    with browser() as chromium:
        page = new_tab(chromium)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.notebook("01_signals.ipynb"))
        run_all(page)
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
    outside = [url for url in asked if not url.startswith((server.url, "ws://", "data:", "blob:"))]
    assert outside == []
    assert source.read_bytes() == before
    assert server.interrupt() == 0
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
