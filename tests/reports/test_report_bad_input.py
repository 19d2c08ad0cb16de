from __future__ import annotations

import gzip
import json
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_examples import DAY, LEGEND, labelled_card, page_of, saved, section

from livekit.errors import BadInput
from livekit.reports import parse_report
from tests.slowness import slowness

GOOD = page_of(section("B", labelled_card(), labelled_card("ZVRA", "Zevra Inc")), LEGEND)

ENTITY_BOMB = (
    b'<!DOCTYPE html [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    b"<html><body>&c;</body></html>"
)


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        parse_report(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_page_that_the_bad_ones_are_made_from_is_good(tmp_path: Path) -> None:
    assert parse_report(saved(tmp_path, GOOD)).verdict == "ok"


def test_an_absent_report_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "earnings_trade_analysis_2020-03-18.html")


def test_a_folder_in_place_of_a_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "earnings_trade_analysis_2020-03-18.html"
    path.mkdir()
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize(
    "name",
    [
        "report.html",
        "earnings_trade_analysis_2020-3-18.html",
        "earnings_trade_analysis_2020-02-30.html",
        "earnings_trade_analysis_2020-03-18.html.part",
        "earnings_trade_analysis_1999-03-18.html",
    ],
)
def test_a_name_without_a_usable_date_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD)
    assert "name carries" in refusal(tmp_path / name)


@pytest.mark.parametrize("day", [date(2020, 3, 16), date(2020, 3, 20), date(2019, 3, 18)])
def test_a_page_dated_more_than_a_session_from_its_name_is_refused(
    tmp_path: Path, day: date
) -> None:
    assert f"named {day} and dated 2020-03-18" in refusal(saved(tmp_path, GOOD, day))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (GOOD.encode()[: len(GOOD) // 2], "cut off"),
        (GOOD.encode() + b"<p>more", "cut off"),
        (GOOD.encode().replace(b"Zevra", b"Zev\0ra"), "NUL bytes"),
        (GOOD.encode("utf-16"), "NUL bytes"),
        (GOOD.replace("Zevra", "Zévra").encode("latin-1"), "not UTF-8"),
        (gzip.compress(GOOD.encode(), mtime=0), "NUL bytes|not UTF-8"),
        (GOOD.replace('charset="utf-8"', 'charset="utf-7"').encode(), "character set utf-7"),
        (
            GOOD.replace('"utf-8"', '"shift_jis"').replace("Zevra", "Zévra").encode(),
            "character set shift_jis",
        ),
        (json.dumps({"report_date": "2020-03-18", "candidates": []}).encode(), "not HTML"),
        (b"ADCT,B,74,4.40", "not HTML"),
        (b"<?xml version='1.0'?><feed></feed>", "not HTML"),
        (ENTITY_BOMB, "declares entities"),
        (page_of("<div>" * 100_000 + "deep" + "</div>" * 100_000).encode(), "tags, at most"),
        (page_of("<div>" * 1_500 + "x" + "</div>" * 1_500).encode(), "elements deep"),
        (page_of("<div>" * 9_000 + "deep" + "</div>" * 9_000).encode(), "elements deep"),
        (page_of(f"<p>{'word ' * 4_000}</p>").encode(), "text of 20,000 characters"),
        (
            page_of(f"<p {' '.join(f'a{n}' for n in range(50_000))}>x</p>").encode(),
            "too many attributes",
        ),
    ],
    ids=[
        "empty", "blank", "truncated", "goes on after its end", "NUL", "UTF-16", "Latin-1", "gzip",
        "UTF-7", "wrong charset", "JSON", "CSV", "XML", "entity bomb", "1e5 nested", "1500 deep",
        "deep",
        "endless paragraph", "attributes",
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_whole_page_is_refused_at_once(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = saved(tmp_path, content)
    started = time.process_time()
    with pytest.raises(BadInput, match=problem):
        parse_report(path)
    assert time.process_time() - started < 2.0 * slowness()


def test_a_file_above_20_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "earnings_trade_analysis_2020-03-18.html"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    assert "500,000,000 bytes" in refusal(path)


def test_a_byte_order_mark_and_comments_around_the_page_do_no_harm(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf<!-- made by hand -->\n" + GOOD.encode() + b"\n<!-- end -->\n"
    assert parse_report(saved(tmp_path, content)).verdict == "ok"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Zevra <script>alert(1)</script>Inc", "script in the card of ZVRA"),
        ("Zevra &lt;script&gt;alert(1)&lt;/script&gt; Inc", "markup in the company name of ZVRA"),
        ("&lt;b&gt;Zevra&lt;/b&gt; Inc", "markup in the company name of ZVRA"),
    ],
)
def test_a_script_in_a_company_name_makes_no_candidates(
    tmp_path: Path, name: str, problem: str
) -> None:
    page = page_of(section("B", labelled_card(), labelled_card("ZVRA", name)), LEGEND)
    assert problem in refusal(saved(tmp_path, page))


def test_scripts_styles_and_comments_hold_no_candidates(tmp_path: Path) -> None:
    hidden = "<script>var ZZZZ = '$9.00'</script><style>.a { top: 1px }</style><!-- ZZZZ $9 -->"
    result = parse_report(saved(tmp_path, GOOD.replace("<h1>", hidden + "<h1>")))
    assert result.verdict == "ok"
    assert [candidate.ticker for candidate in result.candidates] == ["ADCT", "ZVRA"]


@pytest.mark.parametrize(
    "block",
    [
        "<div>" + "<b>A-Grade</b><b>B-Grade</b>" * 7_000 + "</div>",
        "<div>" + "<b>AAPL</b><b>$1.00</b>" * 7_000 + "</div>",
        "<div>" * 100 + "<b>55/100</b>" * 14_000 + "</div>" * 100,
        "<div>" + "<h2>Upcoming</h2><b>AAPL</b>" * 7_000 + "</div>",
        f"<p>{'1' * 9_000}</p>" * 1_500,
    ],
    ids=["grades", "prices", "scores", "headings", "digits"],
)
def test_a_page_full_of_signs_is_suspect_and_takes_no_longer_than_its_length(
    tmp_path: Path, block: str
) -> None:
    path = saved(tmp_path, page_of(block))
    started = time.process_time()
    assert parse_report(path).verdict == "suspect"
    assert time.process_time() - started < 2.0 * slowness()


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_in_a_page_is_refused_suspected_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cutting a piece out never leaves one candidate of two with the verdict ``ok``."""
    start = data.draw(st.integers(0, len(GOOD) - 1))
    length = data.draw(st.integers(1, 120))
    content = GOOD[:start] + GOOD[start + length :]
    path = saved(tmp_path_factory.getbasetemp(), content, DAY)
    try:
        result = parse_report(path)
    except BadInput:
        return
    if result.verdict == "ok":
        assert len(result.candidates) == 2


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_no_bytes_whatever_end_in_anything_but_a_result_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    page = b"<!DOCTYPE html><html><body>" + content + b"</body></html>"
    path = saved(tmp_path_factory.getbasetemp(), page)
    try:
        assert parse_report(path).verdict in {"suspect", "empty"}
    except BadInput:
        return
