from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import get_args
from unicodedata import category

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_examples import FixedPrices

from livekit.errors import BadInput
from livekit.model import Candidate, Grade
from livekit.prices import ParquetPriceSource, demo_earnings_path
from livekit.reports import parse_report
from livekit.reports.scoring import FactorPoints, Factors, ScoredStock, grade_of
from livekit.reports.writer import LAYOUTS, layout_of, write_demo_reports, write_report
from livekit.sessions import sessions_between

DAY = date(2020, 1, 30)
FIRST, LAST = date(2020, 1, 2), date(2020, 3, 31)

cents = st.integers(min_value=100, max_value=400_000_00).map(lambda n: Decimal(n) / 100)
small = st.integers(min_value=100, max_value=9_999).map(lambda n: Decimal(n) / 10_000)
tickers = st.from_regex(r"[A-Z]{1,5}(\.[AB])?", fullmatch=True)
names = st.from_regex(r"[A-Z][a-z]{2,9} [A-Z&\"'][a-z;]{2,8}( Inc\.?| & Co)?", fullmatch=True)
figures = st.floats(min_value=-60, max_value=300).map(lambda value: round(value, 2))
points = st.builds(FactorPoints, *([st.integers(1, 5)] * 5))
factors = st.builds(Factors, *([figures] * 5))


@st.composite
def entries(draw: st.DrawFn) -> ScoredStock:
    score = draw(st.integers(200, 1000)) / 10
    return ScoredStock(
        ticker=draw(tickers),
        company_name=draw(names),
        grade=grade_of(score),
        score=score,
        price=draw(st.one_of(cents, small)),
        factors=draw(factors),
        points=draw(points),
    )


def expected(entry: ScoredStock) -> Candidate:
    return Candidate(
        entry.ticker,
        DAY,
        entry.grade,
        entry.score,
        entry.price,
        round(entry.factors.gap_pct, 2),
        entry.company_name,
    )


def example(ticker: str = "ACME", name: str = "Acme Corp", score: float = 76.0) -> ScoredStock:
    return ScoredStock(
        ticker,
        name,
        grade_of(score),
        score,
        Decimal("1430.00"),
        Factors(4.11, 20.26, 72.64, 178.2, 130.02),
        FactorPoints(3, 5, 2, 5, 5),
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@given(stocks=st.lists(entries(), max_size=8, unique_by=lambda entry: entry.ticker))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, layout: str, stocks: list[ScoredStock]
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"written-{layout}"
    result = parse_report(write_report(folder, DAY, stocks, layout))
    order = sorted(stocks, key=lambda stock: (stock.grade, -stock.score, stock.ticker))
    assert result.notes == ()
    assert result.verdict == ("ok" if stocks else "empty")
    assert result.candidates == tuple(expected(stock) for stock in order)


@pytest.mark.parametrize("layout", LAYOUTS)
@given(name=st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_no_company_name_whatever_makes_a_wrong_candidate(
    tmp_path_factory: pytest.TempPathFactory, layout: str, name: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"named-{layout}"
    path = write_report(folder, DAY, [example(name=name)], layout)
    try:
        result = parse_report(path)
    except BadInput:
        return
    if result.verdict != "suspect":
        shown = "".join(" " if category(char) == "Cc" else char for char in name)
        assert result.candidates == (expected(example(name=" ".join(shown.split()))),)


def test_a_script_in_a_company_name_stays_text_and_is_refused(tmp_path: Path) -> None:
    name = "<script>alert(1)</script><img src=x onerror=alert(2)> Corp"
    path = write_report(tmp_path, DAY, [example(name=name)])
    assert b"<script" not in path.read_bytes()
    assert b"<img" not in path.read_bytes()
    with pytest.raises(BadInput, match="markup in the company name"):
        parse_report(path)


def test_prices_have_two_decimals_and_a_thousands_separator(tmp_path: Path) -> None:
    page = write_report(tmp_path, DAY, [example()]).read_text(encoding="utf-8")
    assert ">$1,430.00<" in page
    assert ">+4.11%<" in page
    assert ">January 30, 2020<" in page


def test_cards_stand_under_their_grade_best_first(tmp_path: Path) -> None:
    stocks = [example("LOW", score=40), example("TOP", score=90), example("MID", score=88.5)]
    result = parse_report(write_report(tmp_path, DAY, stocks))
    assert [(c.ticker, c.grade) for c in result.candidates] == [
        ("TOP", "A"),
        ("MID", "A"),
        ("LOW", "D"),
    ]


def test_a_report_replaces_its_predecessor_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_report(tmp_path / "new", DAY, [])
    path = write_report(tmp_path / "new", DAY, [example()])
    assert parse_report(path).verdict == "ok"
    assert list((tmp_path / "new").iterdir()) == [path]


def test_a_write_that_fails_keeps_the_old_report(tmp_path: Path) -> None:
    path = write_report(tmp_path, DAY, [example()])
    before = path.read_bytes()
    path.unlink()
    path.mkdir()  # a folder in the way: the last step cannot happen
    with pytest.raises(BadInput, match="directory"):
        write_report(tmp_path, DAY, [])
    path.rmdir()
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(before)
    assert parse_report(path).verdict == "ok"


# -------------------------------------------------------------------------------- the demo's own


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("demo")
    prices = ParquetPriceSource()
    return write_demo_reports(folder, prices, demo_earnings_path(), FIRST, LAST)


def test_every_session_of_the_quarter_has_a_report_that_is_understood(
    demo: tuple[Path, ...],
) -> None:
    results = [parse_report(path) for path in demo]
    assert [result.report_date for result in results] == list(sessions_between(FIRST, LAST))
    verdicts = Counter(result.verdict for result in results)
    assert verdicts["suspect"] == 0
    assert verdicts["empty"] > 0
    assert sum(len(result.candidates) for result in results) == 61


def test_the_candidates_of_30_january_2020_follow_from_the_bars(demo: tuple[Path, ...]) -> None:
    [path] = [path for path in demo if "2020-01-30" in path.name]
    read = {candidate.ticker: candidate for candidate in parse_report(path).candidates}
    bars = ParquetPriceSource().daily_bars(["MSFT"], date(2020, 1, 29), DAY)["MSFT"]
    assert read["MSFT"].price == Decimal("174.05") == Decimal(str(bars.open[1]))
    # 174.05 against 168.04, Microsoft's close on Wednesday
    assert bars.close[0] == 168.04
    assert read["MSFT"].gap_size == round(100 * (174.05 / 168.04 - 1), 2) == 3.58
    assert read["MSFT"].company_name == "MSFT (S&P 500 constituent)"
    assert {candidate.grade for candidate in read.values()} <= set(get_args(Grade))


def test_the_demo_takes_its_layouts_in_turn(demo: tuple[Path, ...]) -> None:
    days = [parse_report(path).report_date for path in demo[:6]]
    assert {layout_of(day) for day in days} == set(LAYOUTS)


def test_stocks_that_gap_less_than_2_percent_are_not_reported(demo: tuple[Path, ...]) -> None:
    gaps = [candidate.gap_size for path in demo for candidate in parse_report(path).candidates]
    assert min(gap for gap in gaps if gap is not None) >= 2.0


def test_the_same_data_gives_the_same_bytes(demo: tuple[Path, ...], tmp_path: Path) -> None:
    again = write_demo_reports(
        tmp_path, ParquetPriceSource(), demo_earnings_path(), FIRST, date(2020, 1, 31)
    )
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in demo[:21]]


def test_without_any_event_each_session_still_has_its_empty_report(tmp_path: Path) -> None:
    (tmp_path / "earnings.csv").write_text("ticker,filing_date\n")
    paths = write_demo_reports(
        tmp_path, FixedPrices(), tmp_path / "earnings.csv", DAY, date(2020, 2, 3)
    )
    assert [parse_report(path).verdict for path in paths] == ["empty"] * 3
