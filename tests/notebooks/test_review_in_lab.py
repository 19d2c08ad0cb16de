"""A review with real clicks: what is decided in JupyterLab is what the broker gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import Checkout
from lab_kit import CHROMIUM, browser, lab_server, new_tab, run_all
from lxml import html as lxml_html
from review_day import EVIL, MONDAY, name_session, review_morning

from livekit.state import StateDB


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
def test_what_a_person_clicks_is_what_the_broker_gets_and_the_archive_shows(tmp_path: Path):
    """150 of 200 ABC approved, DEF rejected, XYZ left alone; then the tab is closed."""
    checkout = review_morning(tmp_path / "checkout")
    name_session(checkout, "01_signals.ipynb", MONDAY)
    with lab_server(checkout, tmp_path) as server, browser() as chromium:
        page = new_tab(chromium)
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.goto(server.notebook("01_signals.ipynb"))
        run_all(page)
        page.locator("caption", has_text="Run record").wait_for()
        page.get_by_placeholder("shares of entry:ABC").fill("150")
        page.get_by_title("approve entry:ABC").click()
        page.get_by_text("approved up to 150 by").first.wait_for()
        page.get_by_placeholder("reason for entry:DEF").fill("thin")
        page.get_by_title("reject entry:DEF").click()
        page.get_by_text("rejected by").first.wait_for()
        page.screenshot(path=str(tmp_path / "review.png"))
        page.close()
        assert decisions(checkout.profile.state_db) == {"entry:ABC": 150, "entry:DEF": 0}
        page = new_tab(chromium)
        page.goto(server.notebook("01_signals.ipynb"))
        run_all(page)
        page.get_by_text("was done in run").first.wait_for()
        page.get_by_text("approved up to 150 by").first.wait_for()
        assert page.get_by_placeholder("shares of entry:ABC").input_value() == "150"
        page.screenshot(path=str(tmp_path / "again.png"))
        page.close()
        assert tcp_kernels(tmp_path / "log") == []
        assert dialogs == []
        assert server.interrupt() == 0
    assert "execution: done, exit 0" in daily(checkout, "execution")
    with checkout.desk() as (desk, _):
        bought = [order for order in desk.client.list_orders(status="all") if order.side == "buy"]
        assert [(item.ticker, item.filled_quantity) for item in bought] == [("ABC", 150)]
        (run,) = desk.db.get_runs(session=MONDAY, phase="execution")
    page = lxml_html.parse(str(checkout.profile.archive_dir / f"{run.archive_path}.html"))
    (review,) = page.xpath("//table[starts-with(caption, 'Review of plan')]")
    told = {row[0].text_content(): row.text_content() for row in review.xpath("tbody/tr")}
    assert "150 of 200approved up to 150 by" in told["entry:ABC"]
    assert "rejected by" in told["entry:DEF"]
    assert told["entry:DEF"].endswith("thin")
    assert "no decision yet" in told["entry:XYZ"]
    assert EVIL in page.getroot().text_content()
    assert page.xpath("//img | //button | //input") == []


def daily(checkout: Checkout, phase: str) -> str:
    """``livekit daily`` in a terminal of its own; what it printed."""
    outputs = checkout.folder / "outputs"
    words = ("daily", "--params", checkout.params, "--outputs", outputs, "--phase", phase)
    done = subprocess.run(
        [sys.executable, "-m", "livekit", *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def tcp_kernels(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if "running over TCP" in line]


def decisions(state_db: Path) -> dict[str, int]:
    with StateDB(state_db) as db:
        plan = db.get_plan("ema_p10", MONDAY)
        assert plan is not None
        return {found.item: found.max_quantity for found in db.get_approvals(plan.sha256)}
