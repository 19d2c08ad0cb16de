from __future__ import annotations

import json
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_examples import DAY, labelled_card, page_of, saved, section

from livekit.errors import BadInput
from livekit.model import Candidate, ReportResult
from livekit.reports import cross_checked, parse_candidates_json, parse_report

NAME = "earnings_trade_candidates_2020-03-18.json"
ADCT = {
    "ticker": "ADCT",
    "grade": "B",
    "score": 74,
    "price": 4.40,
    "gap_size": 4.02,
    "company_name": "ADC Therapeutics SA",
}


def listing(*candidates: object, **changed: object) -> dict[str, object]:
    times = {"report_date": "2020-03-18", "generated_at": "2020-03-18T06:01:00-04:00"}
    return {**times, "candidates": list(candidates), **changed}


def written(folder: Path, content: object, name: str = NAME) -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def with_change(**changed: object) -> dict[str, object]:
    return listing({**ADCT, **changed})


def test_a_candidate_is_read_as_it_is_written(tmp_path: Path) -> None:
    result = parse_candidates_json(written(tmp_path, listing(ADCT)))
    price = Decimal("4.4")
    read = Candidate("ADCT", DAY, "B", 74.0, price, 4.02, "ADC Therapeutics SA", "json")
    assert (result.verdict, result.candidates) == ("ok", (read,))
    assert result.report_date == date(2020, 3, 18)


def test_a_gap_may_be_missing_and_a_list_may_be_empty(tmp_path: Path) -> None:
    [read] = parse_candidates_json(written(tmp_path, with_change(gap_size=None))).candidates
    assert read.gap_size is None
    assert parse_candidates_json(written(tmp_path, listing())).verdict == "empty"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"{}\0", "NUL bytes"),
        ("{", "not JSON"),
        ("[]", "no fields for the file"),
        ("[" * 100_000, "nested"),
        ("<html></html>", "not JSON"),
        (listing(ADCT, ADCT), "ADCT twice"),
        (listing(ADCT, note="x"), "lacks or adds fields of the file: note"),
        (listing(report_date="2020-03-17"), "dated '2020-03-17'"),
        (listing(generated_at="this morning"), "no time in generated_at"),
        (listing(candidates={}), "no usable list"),
        (listing("ADCT"), "no fields for candidate 0"),
        (with_change(more=1), "fields of candidate 0: more"),
        (with_change(ticker="adct"), "the ticker 'adct'"),
        (with_change(ticker=7), "no text for ticker"),
        (with_change(grade="E"), "the grade 'E'"),
        (with_change(grade="b"), "the grade 'b'"),
        (with_change(score="74"), "no number for ADCT: score"),
        (with_change(score=True), "no number for ADCT: score"),
        (with_change(score=None), "no number for ADCT: score"),
        (with_change(score=101), "has 101 for ADCT: score"),
        (with_change(price=0), "has 0 for ADCT: price"),
        (with_change(price=-4.4), "has -4.4 for ADCT: price"),
        (with_change(price=float("nan")), "holds NaN"),
        (with_change(price=float("inf")), "holds Infinity"),
        (with_change(price=[4.4]), "no number for ADCT: price"),
        (with_change(gap_size="4%"), "no number for ADCT: gap_size"),
        (with_change(gap_size=900), "has 900 for ADCT: gap_size"),
        (with_change(company_name=""), "unusable company_name"),
        (with_change(company_name="A\u0007B"), "unusable company_name"),
        (json.dumps(listing(ADCT)).replace('"score"', '"price"'), "field twice"),
        (json.dumps(listing(ADCT)).replace("74", "1e999999"), "holds the number"),
        (json.dumps(listing(ADCT)).replace("74", "9" * 5_000), "holds the number"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_strictly_right_is_refused(
    tmp_path: Path, content: object, problem: str
) -> None:
    started = time.monotonic()
    with pytest.raises(BadInput, match=problem):
        parse_candidates_json(written(tmp_path, content))
    assert time.monotonic() - started < 2.0


@pytest.mark.parametrize("name", ["candidates.json", "earnings_trade_candidates_2020-02-30.json"])
def test_a_name_without_a_usable_date_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="name carries"):
        parse_candidates_json(written(tmp_path, listing(ADCT), name))


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_bytes_whatever_become_candidates(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    with pytest.raises(BadInput):
        parse_candidates_json(written(tmp_path_factory.getbasetemp(), content))


# ---------------------------------------------------------------------- against the page of the day


def both(folder: Path, card: str, **changed: object) -> ReportResult:
    source = parse_candidates_json(written(folder, with_change(**changed)))
    return cross_checked(source, parse_report(saved(folder, page_of(section("B", card)))))


def test_a_page_that_agrees_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    result = both(tmp_path, labelled_card())
    assert (result.verdict, result.notes) == ("ok", ())
    assert result.candidates[0].grade_source == "json"


def test_half_a_percent_of_price_is_tolerated_and_more_is_not(tmp_path: Path) -> None:
    # 0.5 % of 200.00 is 1.00
    assert both(tmp_path, labelled_card(price="$201.00"), price=200.00).verdict == "ok"
    result = both(tmp_path, labelled_card(price="$201.01"), price=200.00)
    assert result.verdict == "suspect"
    assert result.suspects == ("ADCT: price 200.0 in the file and 201.01 on the page",)


@pytest.mark.parametrize(
    ("card", "changed", "doubt"),
    [
        (labelled_card("ZVRA", "Zevra Inc"), {}, "ADCT: only in the file"),
        (labelled_card(), {"grade": "A"}, "grade A in the file and B on the page"),
        (labelled_card(), {"score": 75}, "score 75 in the file and 74 on the page"),
        (labelled_card(price="soon"), {}, "page: ADCT: price not found"),
    ],
)
def test_a_page_that_contradicts_the_file_makes_the_day_suspect(
    tmp_path: Path, card: str, changed: dict[str, object], doubt: str
) -> None:
    result = both(tmp_path, card, **changed)
    assert result.verdict == "suspect"
    assert any(doubt in text for text in result.suspects), result.suspects
