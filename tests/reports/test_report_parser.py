from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from report_examples import (
    DAY,
    LEGEND,
    NOTHING,
    badge_card,
    labelled_card,
    metric,
    page_of,
    saved,
    section,
)

from livekit.model import Candidate, ReportResult
from livekit.reports import parse_report

ADCT = Candidate("ADCT", DAY, "B", 74.0, Decimal("4.40"), 4.02, "ADC Therapeutics SA")
OVID = Candidate("OVID", DAY, "C", 61.3, Decimal("2.29"), 13.93, "Ovid Therapeutics Inc")


def parsed(folder: Path, *blocks: str) -> ReportResult:
    return parse_report(saved(folder, page_of(*blocks)))


# --------------------------------------------------------------------------------- what is read


def test_a_card_takes_its_grade_from_the_section_it_stands_in(tmp_path: Path) -> None:
    second = labelled_card("ZVRA", "Zevra Therapeutics Inc", score="61", price="$11.09")
    result = parsed(tmp_path, section("B", labelled_card()), section("C", second), LEGEND)
    assert result.verdict == "ok"
    assert result.notes == ()
    assert result.candidates[0] == ADCT
    assert [(c.ticker, c.grade) for c in result.candidates] == [("ADCT", "B"), ("ZVRA", "C")]


def test_a_badge_a_bare_price_and_a_total_at_the_end_are_read_too(tmp_path: Path) -> None:
    result = parsed(tmp_path, LEGEND, badge_card())
    assert (result.verdict, result.candidates) == ("ok", (OVID,))


def test_without_badge_and_section_the_grade_follows_from_the_score(tmp_path: Path) -> None:
    [read] = parsed(tmp_path, LEGEND, labelled_card(score="86")).candidates
    assert (read.grade, read.grade_source) == ("A", "inferred")


def test_the_result_names_the_bytes_and_the_day(tmp_path: Path) -> None:
    path = saved(tmp_path, page_of(badge_card()))
    result = parse_report(path)
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.report_date == DAY


def test_a_thousands_separator_a_dollar_ticker_and_a_negative_gap_are_read(tmp_path: Path) -> None:
    card = labelled_card("$FIX", price="$1,430.00", gap="−2.50%")
    [read] = parsed(tmp_path, section("B", card)).candidates
    assert (read.ticker, read.price, read.gap_size) == ("FIX", Decimal("1430.00"), -2.5)


def test_a_sector_after_a_bar_is_no_part_of_the_name(tmp_path: Path) -> None:
    card = labelled_card("RTX", "RTX Corp | Industrials")
    [read] = parsed(tmp_path, section("B", card)).candidates
    assert read.company_name == "RTX Corp"


def test_a_previous_close_or_a_target_is_not_the_price(tmp_path: Path) -> None:
    more = metric("Previous Close", "$4.10") + metric("Price Target", "$9.00")
    result = parsed(tmp_path, section("B", labelled_card(more=more)))
    assert (result.verdict, result.candidates) == ("ok", (ADCT,))


def test_a_pre_market_price_counts_when_there_is_no_other(tmp_path: Path) -> None:
    card = labelled_card().replace("<div>Price</div>", "<div>Pre-Market Price</div>")
    result = parsed(tmp_path, section("B", card + labelled_card("ZVRA", more="")))
    assert result.candidates[0].price == Decimal("4.40")
    assert result.verdict == "ok"


@pytest.mark.parametrize(
    ("ticker", "name"),
    [
        ("C", "Citigroup Inc"),
        ("A", "Agilent Technologies"),
        ("GAP", "Gap Inc"),
        ("NEXT", "Next Co"),
    ],
)
def test_a_ticker_may_read_as_a_grade_a_label_or_a_word(
    tmp_path: Path, ticker: str, name: str
) -> None:
    result = parsed(tmp_path, section("B", labelled_card(ticker, name)))
    assert [(c.ticker, c.company_name) for c in result.candidates] == [(ticker, name)]
    assert result.verdict == "ok"


def test_the_same_card_twice_is_one_candidate(tmp_path: Path) -> None:
    result = parsed(tmp_path, section("B", labelled_card(), labelled_card()))
    assert (result.verdict, result.candidates) == ("ok", (ADCT,))


def test_a_counter_that_disagrees_is_a_note_and_no_suspicion(tmp_path: Path) -> None:
    counters = f"<div>{metric('B-Grade Stocks', '2')}{metric('C-Grade Stocks', '0')}</div>"
    result = parsed(tmp_path, counters, section("B", labelled_card()))
    assert result.verdict == "ok"
    assert result.notes == ("the page counts 2 of grade B, 1 were read",)


# ------------------------------------------------------------------------ nothing, and neighbours


def test_a_page_that_says_nothing_qualified_is_empty(tmp_path: Path) -> None:
    result = parsed(tmp_path, NOTHING, LEGEND)
    assert (result.verdict, result.candidates, result.notes) == ("empty", (), ())


def test_upcoming_earnings_are_set_aside_with_their_title(tmp_path: Path) -> None:
    upcoming = (
        "<section><h2>Upcoming Earnings Week</h2>"
        "<div><b>JPM</b><i>JPMorgan Chase</i></div>"
        "<div><b>C</b><i>Citigroup Inc</i></div></section>"
    )
    result = parsed(tmp_path, NOTHING, upcoming)
    assert result.verdict == "empty"
    assert result.notes == (
        "JPM is no candidate: 'Upcoming Earnings Week'",
        "C is no candidate: 'Upcoming Earnings Week'",
    )


def test_a_disqualified_stock_is_set_aside_with_its_mark(tmp_path: Path) -> None:
    mark = "<div><div><b>NAVN</b><i>Navan Inc</i><i>DISQUALIFIED - Gap Down</i></div>"
    figures = metric("Pre-Market Price", "$13.60") + "</div>"
    result = parsed(tmp_path, NOTHING, mark + figures)
    assert result.verdict == "empty"
    assert result.notes == ("NAVN is no candidate: 'DISQUALIFIED - Gap Down'",)


def test_a_page_without_candidates_that_does_not_say_so_is_suspect(tmp_path: Path) -> None:
    result = parsed(tmp_path, "<p>Good morning.</p>", LEGEND)
    assert result.verdict == "suspect"


def test_a_page_that_has_candidates_and_says_it_has_none_is_suspect(tmp_path: Path) -> None:
    assert parsed(tmp_path, NOTHING, section("B", labelled_card())).verdict == "suspect"


@pytest.mark.parametrize(
    "neighbour",
    [
        "<div><b>ZZZZ</b><i>Zed Corp</i></div>",
        "<div><b>Navan Inc (NAVN)</b></div>",
        "<div><b>INDV - Indivior PLC</b></div>",
        "<li>ENPH rose to $45.10 and scores 58 pts</li>",
        "<div><b>Rating</b><i>88/100</i></div>",
        "<div><b>Last</b><i>$12.00</i></div>",
        "<div><b>Gap Size</b><i>+9.00%</i></div>",
        "<div><b>B</b></div>",
        "<div><b>Trend (30%)</b><i>3/5</i></div>",
        "<h3>Upcoming Earnings</h3><h3>More picks</h3><div><b>ZZZZ</b><i>Zed Corp</i></div>",
        "<p style='display: none'>ZZZZ $12.00</p>",
    ],
)
def test_a_neighbour_that_nobody_accounts_for_makes_the_page_suspect(
    tmp_path: Path, neighbour: str
) -> None:
    for blocks in ((section("B", labelled_card()), neighbour), (NOTHING, neighbour)):
        result = parsed(tmp_path, *blocks)
        assert result.verdict == "suspect", blocks
        assert result.notes


# -------------------------------------------------------------------------- cards that do not fit


@pytest.mark.parametrize(
    ("card", "trouble"),
    [
        (labelled_card(ticker="a stock"), "ticker not found"),
        (labelled_card("$ADCT", name="Corp at $5"), "company name not found"),
        (labelled_card("$ADCT", name="Technology"), "company name not found"),
        (labelled_card(name="Technology"), "company name not found"),
        (labelled_card(price="about 4.40"), "price not found"),
        (labelled_card(price="$4.40-4.60"), "price not found"),
        (labelled_card(price="$0.00"), "price 0.00 is not plausible"),
        (labelled_card(gap="4%"), "gap '4%' is not understood"),
        (labelled_card(gap="3-5%"), "gap '3-5%' is not understood"),
        (labelled_card(gap="+900.00%"), "gap 900.0 is not plausible"),
        (labelled_card(gap="n/a"), "gap 'n/a' is not understood"),
        (labelled_card(score="740", more=metric("Total Score", "740")), "not plausible"),
        (labelled_card(more=metric("Total Score", "70")), "score is given as 74.0 and 70.0"),
        (labelled_card(more=metric("Current Price", "$4.80")), "price is given as 4.40 and 4.80"),
        (labelled_card(more=metric("Gap Up", "+5.00%")), "gap is given as 4.02 and 5.0"),
        (labelled_card(more="<p>C-Grade</p>"), "grade C in a section of grade B"),
        (labelled_card(more="<p>$BUYY</p>"), "a stock outside any card: '$BUYY'"),
        (labelled_card(more=metric("Momentum", "74/100")), "'74/100' stands beside 'Momentum'"),
        (labelled_card(more=metric("Health", "B")), "'B' stands beside 'Health'"),
        (labelled_card(more="<p>DISQUALIFIED</p>"), "stands under 'DISQUALIFIED'"),
        (labelled_card(score="61"), "score 61 in a section of grade B"),
        (labelled_card() + labelled_card(price="$5.00"), "two places give prices 4.40 and 5.00"),
        (
            labelled_card(more=metric("Pre-Market Price", "$8.80")),
            "price 4.40 is far from the pre-market price 8.80",
        ),
    ],
)
def test_a_card_that_does_not_fit_makes_the_page_suspect_and_says_why(
    tmp_path: Path, card: str, trouble: str
) -> None:
    result = parsed(tmp_path, section("B", card))
    assert result.verdict == "suspect"
    assert any(trouble in note for note in result.notes), result.notes


def test_two_cards_alike_of_which_one_lost_its_ticker_are_not_taken_for_one(
    tmp_path: Path,
) -> None:
    nameless = labelled_card().replace(
        "<div><div>ADCT</div><div>ADC Therapeutics SA</div></div>", ""
    )
    result = parsed(tmp_path, section("B", labelled_card(), nameless))
    assert result.verdict == "suspect"
    assert any("stands 2 times in one card" in note for note in result.notes)


def test_one_card_in_another_layout_makes_the_whole_page_suspect(tmp_path: Path) -> None:
    other = "<article><b>$AEO - $17.28</b><i>American Eagle</i><i>88 points</i></article>"
    result = parsed(tmp_path, section("B", labelled_card(), other))
    assert result.verdict == "suspect"


def test_one_card_without_the_gap_that_others_have_makes_the_page_suspect(tmp_path: Path) -> None:
    bare = labelled_card("ZVRA").replace(metric("Gap Size", "+4.02%"), "")
    result = parsed(tmp_path, section("B", labelled_card(), bare))
    assert result.verdict == "suspect"
    assert "some cards show a gap and some do not" in result.notes


def test_a_card_under_a_watch_list_is_not_taken_silently(tmp_path: Path) -> None:
    watched = f"<h2>Stocks to watch</h2><div>{labelled_card('ZVRA')}</div>"
    result = parsed(tmp_path, section("B", labelled_card()), watched)
    assert result.verdict == "suspect"
    assert "ZVRA: stands under 'Stocks to watch'" in result.notes


def test_a_table_of_candidates_is_suspect_as_long_as_no_rule_reads_tables(tmp_path: Path) -> None:
    head = "<tr><th>Ticker</th><th>Price</th><th>Score</th></tr>"
    row = "<tr><td>HXL</td><td>$91.32</td><td>82.0</td></tr>"
    assert parsed(tmp_path, f"<table>{head}{row}</table>").verdict == "suspect"


def test_notes_stay_short_however_much_is_wrong(tmp_path: Path) -> None:
    result = parsed(tmp_path, "<p>$ZZZZ is at $9.00</p>" * 500, f"<p>{'x' * 900} ($ZZZZ) $1.00</p>")
    assert len(result.notes) == 41
    assert result.notes[-1].startswith("and ")
    assert max(map(len, result.notes)) <= 200


@pytest.mark.parametrize("position", range(6))
def test_taking_away_any_figure_or_word_of_a_card_never_goes_unnoticed(
    tmp_path: Path, position: int
) -> None:
    removed = ("ADCT", "ADC Therapeutics SA", "74", "/ 100 pts", "$4.40", "+4.02%")[position]
    first, second = labelled_card(), labelled_card("ZVRA", "Zevra Inc", score="80")
    page = section("B", first.replace(f">{removed}<", "><"), second)
    assert parsed(tmp_path, page).verdict == "suspect"


def test_a_page_whose_elements_do_not_close_may_have_lost_a_piece(tmp_path: Path) -> None:
    result = parsed(tmp_path, section("B", labelled_card()), "</div>")
    assert result.verdict == "suspect"
    assert result.notes == ("div elements are not closed properly",)


# ----------------------------------------------------------------------------------------- dates


def test_a_page_dated_a_session_earlier_is_accepted(tmp_path: Path) -> None:
    # Monday's report made from Friday's page
    page = page_of(section("B", labelled_card()), title="Report - March 13, 2020")
    assert parse_report(saved(tmp_path, page, date(2020, 3, 16))).verdict == "ok"


def test_a_report_of_a_saturday_may_be_dated_on_the_friday(tmp_path: Path) -> None:
    page = page_of(NOTHING, title="Report - 2020-03-13")
    assert parse_report(saved(tmp_path, page, date(2020, 3, 14))).verdict == "empty"


def test_a_page_without_a_date_is_accepted_under_the_date_of_its_name(tmp_path: Path) -> None:
    assert parse_report(saved(tmp_path, page_of(NOTHING, title="Report"))).report_date == DAY
