from __future__ import annotations

import nbformat
import pytest
from lxml import html as lxml_html
from workbench_examples import EVIL_NAME, header, notebook, plan, position_views, with_output

from livekit.workbench.archiving.page import export_page, safe_html, status_tone
from livekit.workbench.charts import position_figure
from livekit.workbench.day_tables import positions_table
from livekit.workbench.distances import distance_table, position_distance_rows
from livekit.workbench.plan_tables import entries_table, exits_table, skips_table
from livekit.workbench.series import price_view
from livekit.workbench.show import PositionView
from livekit.workbench.tables import Table, to_html, to_text

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><circle/></svg>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="https://evil.example/">x</a>',
    "<a href=//evil.example>x</a>",
    '<iframe src="https://evil.example"></iframe>',
    '<form action="https://evil.example"><button>x</button></form>',
    '<div style="background:url(https://evil.example/x)">x</div>',
    "<style>@import 'https://evil.example/x.css';</style>",
    '<link rel="stylesheet" href="https://evil.example/x.css">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<base href="https://evil.example/">',
    '<object data="https://evil.example/x.swf"></object>',
    '<math><mi xlink:href="https://evil.example">x</mi></math>',
    '<table background="https://evil.example/x"><tr><td onclick=alert(1)>x</table>',
    '<video><source onerror="alert(1)"></video>',
    '<input autofocus onfocus="alert(1)">',
    "<details open ontoggle=alert(1)>x</details>",
    '<p class="chart">x</p>',
    '<div id="figures">x</div>',
    "[x](javascript:alert(1))",
    "[x](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<!--<img src='-->' onerror=alert(1)>-->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202e<script>alert(1)</script>",
    "<SCRIPT/XSS SRC='https://evil.example/x.js'></SCRIPT>",
    '"><script>alert(1)</script>',
]


def exported(made: nbformat.NotebookNode, **changes: object) -> str:
    return export_page(nbformat.writes(made), header(**changes))


def table_bundle(table: Table) -> dict[str, object]:
    return {"text/html": to_html(table), "text/plain": to_text(table)}


def position_bundles(views: list[PositionView]) -> list[dict[str, object]]:
    """What `show_positions` displays, as mimebundles."""
    prices = [price_view(v.bars, v.weekly, v.ema, v.nwl) for v in views]
    held = [view.position for view in views]
    closes = [found.last_close for found in prices]
    bundles = [table_bundle(positions_table(held, closes, [view.cover for view in views]))]
    for item, found in zip(held, prices, strict=True):
        stop = float(item.stop_price)
        figure = position_figure(
            found,
            entry_session=item.entry_date,
            entry_price=float(item.entry_price),
            stop_price=stop,
            title=f"{item.ticker}, {item.candidate.company_name}",
        )
        rows = position_distance_rows(found, stop_price=stop, shares=item.shares_now)
        bundles += [
            figure.bundle(),
            table_bundle(distance_table(item.ticker, rows, found.last_close)),
        ]
    return bundles


def page_with(count: int) -> str:
    return exported(with_output(notebook("day = 1"), *position_bundles(position_views(count))))


def assert_harmless(page: str) -> None:
    """No script but the archive's own, no handler, no address outside the archive."""
    root = lxml_html.fromstring(page)
    scripts = root.xpath("//script")
    assert all(
        script.get("type") == "application/json"
        or script.get("src", "").startswith("../../../assets/")
        for script in scripts
    )
    for element in root.iter():
        names = [name.lower() for name in element.attrib]
        assert not [name for name in names if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action", "data", "background", "xlink:href"):
            value = element.get(name, "")
            assert "//" not in value
            assert not value.lower().startswith("javascript")
    tags = {element.tag for element in root.iter() if isinstance(element.tag, str)}
    assert not tags & {"iframe", "form", "object", "base", "link", "svg", "math", "video", "input"}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_stays_text_wherever_it_enters_a_page(payload: str):
    made = notebook(payload)
    made.cells.insert(1, nbformat.v4.new_markdown_cell(f"About\n\n{payload}"))
    made.cells.append(nbformat.v4.new_raw_cell(payload))
    bundles = [
        {"text/html": payload, "text/plain": payload},
        {"text/markdown": payload, "text/plain": payload},
        {"text/plain": payload},
        {"image/svg+xml": payload, "application/javascript": payload, "text/plain": payload},
        {"application/vnd.plotly.v1+json": {"data": [], "layout": {"title": {"text": payload}}}},
    ]
    with_output(made, *bundles)
    made.cells[-1].outputs += [
        nbformat.v4.new_output("stream", name="stdout", text=payload),
        nbformat.v4.new_output("error", ename=payload, evalue=payload, traceback=[payload]),
    ]
    page = exported(
        made, message=payload, facts=((payload, payload),), hashes=((payload, payload),)
    )
    assert_harmless(page)
    assert len(lxml_html.fromstring(page).xpath("//meta[@http-equiv]")) == 1


def test_a_table_of_ours_passes_the_sanitiser_unchanged():
    for table in (entries_table(plan()), exits_table(plan()), skips_table(plan())):
        shown = to_html(table)
        assert safe_html(shown) == shown


def test_a_hostile_company_name_is_read_as_it_is_written():
    page = page_with(1)
    assert_harmless(page)
    heading = lxml_html.fromstring(page).xpath("//h3")[0].text_content()
    assert heading == f"{position_views(1)[0].position.ticker}, {EVIL_NAME}"


def test_a_page_of_ten_positions_stays_below_100_kb_and_each_further_one_below_6():
    ten, twenty = (len(page_with(count).encode()) for count in (10, 20))
    assert ten < 100_000
    assert (twenty - ten) / 10 < 6_000


def test_each_figure_has_one_place_and_the_data_stands_in_one_block():
    page = lxml_html.fromstring(page_with(3))
    assert len(page.xpath("//div[@class='chart']")) == 3
    assert len(page.xpath("//script[@id='figures']")) == 1
    assert all(item.get("aria-label") for item in page.xpath("//div[@class='chart']"))


def test_a_page_without_figures_does_not_load_the_chart_library():
    assert "plotly" not in exported(notebook("1"))


def test_the_policy_allows_only_the_archives_scripts():
    page = lxml_html.fromstring(page_with(1))
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'unsafe-inline'")
    assert "unsafe-eval" not in policy


def test_the_page_says_which_run_it_is_and_that_the_venue_is_simulated():
    text = lxml_html.fromstring(
        exported(notebook("1"), hashes=(("configuration", "c" * 64),))
    ).text_content()
    assert "SIMULATED" in text
    assert "Signals of Thursday 30 January 2020" in text
    assert "c" * 64 in text
    assert "SIMULATED" not in exported(notebook("1"), simulated=False)


def test_a_failed_run_shows_its_error_at_the_top_and_links_to_the_cell():
    made = with_output(notebook("boom"))
    made.cells[-1].outputs = [
        nbformat.v4.new_output(
            "error",
            ename="BooksDiffer",
            evalue="3 shares of AAL",
            traceback=["\x1b[31mline 1\x1b[0m"],
        )
    ]
    marker = nbformat.v4.new_markdown_cell("papermill's own words")
    marker.metadata.tags = ["papermill-error-cell-tag"]
    made.cells.insert(0, marker)
    page = exported(made, status="failed", exit_code=4, message="3 shares of AAL")
    root = lxml_html.fromstring(page)
    banner = root.xpath("//header//p[contains(@class, 'failed')]")[0].text_content()
    assert banner.startswith("failed, exit code 4: 3 shares of AAL")
    assert root.xpath("//a[@href='#error']")
    assert root.xpath("//div[@id='error']//pre")[0].text == "line 1"
    assert "papermill's own words" not in page


def test_code_is_there_but_closed():
    root = lxml_html.fromstring(exported(notebook("day.perform()")))
    closed = [item for item in root.xpath("//details") if item.get("open") is None]
    assert "day.perform()" in closed[-1].text_content()
    assert [item.xpath("summary")[0].text for item in closed] == ["Parameters", "Code"]


def test_exit_codes_have_a_tone():
    tones = {code: status_tone(code) for code in range(8)}
    assert tones == {
        0: "ok",
        5: "warning",
        6: "warning",
        **dict.fromkeys((1, 2, 3, 4, 7), "failed"),
    }
