from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from lxml import html as lxml_html
from workbench_examples import EVIL_NAME

from livekit.sessions import sessions_between
from livekit.workbench.archiving.index import RunEntry, render_index

PHASES = ("signals", "execution", "reconciliation", "comparison")
MADE_AT = datetime(2020, 1, 31, 21, 30, tzinfo=UTC)


def run(session: date, phase: str = "signals", **changes: object) -> RunEntry:
    fields = {
        "session": session,
        "phase": phase,
        "attempt": 1,
        "run_id": 1,
        "status": "done",
        "exit_code": 0,
        "page": f"{session}-{phase}.html",
    }
    return RunEntry(**(fields | changes))


def rendered(*runs: RunEntry) -> lxml_html.HtmlElement:
    page = render_index(runs, profile="demo", simulated=True, made_at=MADE_AT)
    return lxml_html.fromstring(page)


def texts(root: lxml_html.HtmlElement, path: str) -> list[str]:
    return [" ".join(item.text_content().split()) for item in root.xpath(path)]


def test_failed_runs_come_first_and_withheld_ones_after_them():
    root = rendered(
        run(date(2020, 1, 28), exit_code=5, status="done", message="report suspect"),
        run(date(2020, 1, 29), exit_code=7, status="failed", message="AAL uncovered"),
        run(date(2020, 1, 30)),
    )
    assert texts(root, "//section[1]//li") == [
        "signals: failed 2020-01-29, attempt 1, exit code 7: AAL uncovered",
        "signals: done 2020-01-28, attempt 1, exit code 5: report suspect",
    ]
    assert texts(root, "//header//strong") == ["1 failed, 1 with something withheld"]


def test_a_failure_that_a_later_attempt_made_good_wants_no_attention():
    failed = run(date(2020, 1, 30), attempt=1, run_id=1, exit_code=1, status="failed")
    root = rendered(failed, run(date(2020, 1, 30), attempt=2, run_id=2))
    assert texts(root, "//header//strong") == ["All runs are in order"]
    assert texts(root, "//tbody/tr[@data-search]/td") == ["–", "signals ✓", "signals: failed"]


def test_the_calendar_tells_runs_idle_sessions_and_closed_days_apart():
    root = rendered(run(date(2020, 1, 2)), run(date(2020, 1, 3), exit_code=1, status="failed"))
    days = texts(root, "//div[@class='months']//td")
    # January 2020 begins on a Wednesday that is a holiday; Monday the 6th has no run
    assert days[:6] == ["", "", "1closed", "2ok", "3FAILED", "6–"]
    assert texts(root, "//div[@class='months']//caption") == ["January 2020"]
    targets = root.xpath("//div[@class='months']//a/@href")
    assert targets == ["#s2020-01-02", "#s2020-01-03"]
    assert root.xpath("//*[@id='s2020-01-02']")


def test_a_session_shows_its_phases_in_the_order_of_the_day_with_links():
    session = date(2020, 1, 30)
    runs = [run(session, phase, run_id=number) for number, phase in enumerate(PHASES[::-1])]
    root = rendered(*runs)
    assert root.xpath("//tr[@data-search]//a/@href") == [f"2020-01-30-{p}.html" for p in PHASES]


def test_result_alerts_and_tickers_of_a_session_are_shown_and_searchable():
    session = date(2020, 1, 30)
    root = rendered(
        run(session, "execution", run_id=2, tickers=("MSFT", "aal"), alerts=2),
        run(session, "reconciliation", run_id=3, pnl_usd=Decimal("-312.2"), alerts=1),
    )
    row = root.xpath("//tr[@data-search]")[0]
    assert row.get("data-search") == "2020-01-30 AAL MSFT"
    assert texts(row, "td") == ["-312.20", "execution ✓reconciliation ✓", "3"]
    assert "P&L so far -312.20 USD" in texts(root, "//header")[0]


def test_a_run_without_a_page_is_named_without_a_link():
    root = rendered(run(date(2020, 1, 30), "protect", page=None, status="closed"))
    assert texts(root, "//tr[@data-search]/td[2]/span") == ["protect: closed"]
    assert not root.xpath("//tr[@data-search]//a")


def test_hostile_text_stays_text():
    evil = run(
        date(2020, 1, 30), status=EVIL_NAME, message=EVIL_NAME, exit_code=1, tickers=(EVIL_NAME,)
    )
    root = rendered(evil)
    assert len(root.xpath("//script")) == 1
    assert not root.xpath("//img")
    assert EVIL_NAME in root.xpath("//section[1]//li")[0].text_content()


def test_an_archive_without_runs_says_so():
    root = rendered()
    assert texts(root, "//header//strong") == ["No run yet"]


def test_five_hundred_runs_make_a_page_below_150_kb():
    sessions = sessions_between(date(2020, 1, 2), date(2020, 7, 1))[:125]
    runs = [run(session, phase) for session in sessions for phase in PHASES]
    page = render_index(runs, profile="demo", simulated=True, made_at=MADE_AT)
    assert len(runs) == 500
    assert len(page.encode()) < 150_000


def test_the_few_sessions_with_pages_are_listed_and_not_repeated_when_all_have_some():
    days = sessions_between(date(2020, 1, 2), date(2020, 1, 30))
    runs = [run(day, page=None if day != days[4] else "page.html") for day in days]
    found = rendered(*runs).xpath("//section[h2='Sessions with pages']//li")
    assert [item.text_content().split() for item in found] == [
        ["Wed", "2020-01-08", "signals", "✓"]
    ]
    assert found[0].xpath("a/@href") == ["page.html"]
    everyone = rendered(*[run(day) for day in days])
    assert not everyone.xpath("//section[h2='Sessions with pages']")
