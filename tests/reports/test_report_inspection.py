from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_examples import DAY, NOTHING, labelled_card, page_of, saved, section

from livekit.errors import BadInput
from livekit.reports.inspection import (
    exit_code,
    inspect,
    inspection_lines,
    score,
    score_lines,
)
from livekit.reports.writer import report_name

ADCT = {
    "ticker": "ADCT",
    "grade": "B",
    "score": 74.0,
    "price": 4.40,
    "gap_size": 4.02,
    "company_name": "ADC Therapeutics SA",
}


def reference(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "truth.json"
    path.write_text(json.dumps({report_name(DAY): {"candidates": list(rows)}}))
    return path


def test_the_table_says_what_was_read_and_where_it_stands(tmp_path: Path) -> None:
    saved(tmp_path, page_of(section("B", labelled_card())))
    looked = inspect(tmp_path)
    text = "\n".join(inspection_lines(looked))
    assert f"{report_name(DAY)}: ok" in text
    assert "ADCT" in text
    assert "price '$4.40'" in text
    assert exit_code(looked) == 0


def test_a_suspect_page_is_shown_with_its_doubts_and_ends_with_2(tmp_path: Path) -> None:
    looked = inspect(saved(tmp_path, page_of(section("B", labelled_card(price="soon")))))
    assert "  ! ADCT: price not found" in list(inspection_lines(looked))
    assert exit_code(looked) == 2


def test_a_stock_set_aside_is_shown_with_the_reason(tmp_path: Path) -> None:
    upcoming = "<section><h2>Upcoming Earnings</h2><b>JPM</b><i>JPMorgan Chase</i></section>"
    looked = inspect(saved(tmp_path, page_of(NOTHING, upcoming)))
    assert "  - JPM is no candidate: 'Upcoming Earnings'" in list(inspection_lines(looked))
    assert exit_code(looked) == 0


def test_a_refused_file_is_an_entry_and_an_empty_folder_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no report"):
        inspect(tmp_path)
    looked = inspect(saved(tmp_path, b"not a page"))
    assert [item.verdict for item in looked] == ["refused"]
    assert "not HTML" in "\n".join(inspection_lines(looked))
    assert exit_code(looked) == 2


def test_a_report_that_agrees_with_the_reference_scores_in_full(tmp_path: Path) -> None:
    saved(tmp_path, page_of(section("B", labelled_card())))
    scores = score(tmp_path, reference(tmp_path, ADCT))
    assert (scores.expected, scores.recall, scores.exact, scores.invented) == (1, 1.0, 1, 0)
    assert scores.silently_wrong == ()
    assert "exact rows  1" in list(score_lines(scores))


def test_each_kind_of_difference_is_named(tmp_path: Path) -> None:
    saved(tmp_path, page_of(section("B", labelled_card())))
    other = {**ADCT, "ticker": "ZVRA"}
    scores = score(tmp_path, reference(tmp_path, {**ADCT, "price": 4.41}, other))
    assert scores.pages[0].differences == ("ADCT: price 4.4, not 4.41", "ZVRA: not found")
    assert (scores.recall, scores.exact) == (0.5, 0)
    assert scores.silently_wrong == (report_name(DAY),)
    invented = score(tmp_path, reference(tmp_path))
    assert (invented.invented, invented.recall) == (1, 1.0)


def test_a_suspect_page_is_not_silently_wrong(tmp_path: Path) -> None:
    saved(tmp_path, page_of(section("B", labelled_card(price="soon"))))
    scores = score(tmp_path, reference(tmp_path, ADCT))
    assert scores.silently_wrong == ()
    assert scores.verdicts["suspect"] == 1


def test_a_reference_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    for content in ("[]", "{", '{"a": 1}'):
        path.write_text(content)
        with pytest.raises(BadInput, match="reference is no JSON"):
            score(tmp_path, path)
