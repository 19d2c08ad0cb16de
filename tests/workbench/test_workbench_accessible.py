"""axe finds no serious fault on an archived page with every kind of chart, nor on the index."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from test_workbench_browser import ARGUMENTS, CHROMIUM, CURVES, DRAWN, IMPORTS, PATIENCE_MS, opened
from workbench_examples import EVIL_NAME, header, notebook, with_output, written

from livekit.sessions import sessions_between
from livekit.state import EquityPoint
from livekit.workbench.archive import seal, write_index
from livekit.workbench.archiving.index import RunEntry, render_index
from livekit.workbench.book_charts import (
    FillCost,
    GroupProfit,
    exposure_chart,
    exposure_table,
    profit_chart,
    profit_table,
    slippage_chart,
    slippage_table,
)
from livekit.workbench.charts import Chart
from livekit.workbench.runs.run import run_notebook
from livekit.workbench.tables import Table, facts_table, to_html

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ci,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]

DAYS = sessions_between(date(2020, 1, 2), date(2020, 1, 30))
LIGHT_AND_DARK = ("light", "dark")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def of_the_book() -> list[Chart | Table]:
    """Every table and chart of the executed book."""
    points = [
        EquityPoint(
            day,
            "broker",
            Decimal(200000 - 9000 * number),
            Decimal(200000 + 150 * number),
            Decimal(0),
            Decimal(0),
            number,
        )
        for number, day in enumerate(DAYS)
    ]
    groups = [GroupProfit("A", 3, 2, 410.5), GroupProfit("B", 2, 0, -120.25)]
    costs = [
        FillCost("AAL", "entry", "buy", 100, 50.25, 50.0),
        FillCost("T", "exit", "sell", 200, 30.15, 30.0),
    ]
    changed = facts_table("What changed since 2020-01-29", [("opened", EVIL_NAME)])
    base = {"base_usd": 200000.0}
    return [
        changed,
        exposure_chart(points, **base),
        exposure_table(points, **base),
        profit_chart(groups, "P&L by grade"),
        profit_table(groups, "by grade"),
        slippage_chart(costs),
        slippage_table(costs),
    ]


def bundle(item: Chart | Table) -> dict[str, object]:
    return item.bundle() if isinstance(item, Chart) else {"text/html": to_html(item)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good page with six charts, a failed one, and the index that lists both."""
    folder = tmp_path_factory.mktemp("accessible")
    archive = folder / "archive"
    cells = (IMPORTS, "show_plan(plan())\nshow_positions(position_views(2))", CURVES)
    good = folder / "good.ipynb"
    outcome = run_notebook(written(notebook(*cells), folder / "source.ipynb"), {}, output=good)
    assert outcome.status == "completed", outcome
    more = with_output(nbformat.read(good, as_version=4), *map(bundle, of_the_book()))
    done = seal(archive, written(more, good), header())
    bad = folder / "bad.ipynb"
    broken = written(notebook("print('begun')", "raise ValueError(5)"), folder / "broken.ipynb")
    run_notebook(broken, {}, output=bad)
    cause = {"status": "failed", "exit_code": 1, "message": "ValueError: 5"}
    failed = seal(archive, bad, header(phase="execution", **cause))
    runs = [
        RunEntry(DAYS[-1], "signals", 1, 1, "done", 0, done.page, tickers=("AAL",)),
        RunEntry(DAYS[-1], "execution", 1, 2, "failed", 1, failed.page, message="ValueError: 5"),
        RunEntry(DAYS[-2], "signals", 1, 3, "done", 5, message="withheld", alerts=1),
    ]
    made_at = datetime(2020, 1, 31, tzinfo=UTC)
    write_index(archive, render_index(runs, profile="demo", simulated=True, made_at=made_at))
    return {
        "page": archive / done.page,
        "failed page": archive / failed.page,
        "index": archive / "index.html",
    }


@pytest.fixture(scope="module")
def browser(pages: dict[str, Path]) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


def faults(page: object) -> list[str]:
    """Serious and critical faults: the rule, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {node['target']}"
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


@pytest.mark.parametrize("scheme", LIGHT_AND_DARK)
@pytest.mark.parametrize("name", ["page", "failed page", "index"])
def test_axe_finds_no_serious_fault(browser, pages: dict[str, Path], name: str, scheme: str):
    size = DESK if scheme == "light" else PHONE
    page, seen = opened(browser, pages[name], viewport=size, color_scheme=scheme)
    if name == "page":
        page.wait_for_selector(DRAWN, timeout=PATIENCE_MS)
        assert page.locator(".chart.drawn > .plot-container").count() == 6
    assert seen.errors == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert faults(page) == []
    page.context.close()


def test_axe_would_find_a_fault(browser, pages: dict[str, Path], tmp_path: Path):
    text = pages["index"].read_text().replace('lang="en"', "").replace("<label for", "<b for")
    (tmp_path / "broken.html").write_text(text.replace("</label>", "</b>"))
    page, _ = opened(browser, tmp_path / "broken.html")
    assert {fault.partition(":")[0] for fault in faults(page)} >= {"html-has-lang", "label"}
    page.context.close()
