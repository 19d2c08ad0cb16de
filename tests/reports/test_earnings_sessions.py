from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from report_examples import FixedPrices, bars_until

from livekit.errors import BadInput
from livekit.model import DailyBars
from livekit.prices import ParquetPriceSource, demo_earnings_path
from livekit.reports.earnings import Filing, earnings_sessions, read_filings


def opening(last: date, *opens_and_closes: tuple[float, float]) -> DailyBars:
    """Bars that end on ``last`` with these opens and closes."""
    bars = bars_until(last, [close for _, close in opens_and_closes])
    return replace(bars, open=np.array([start for start, _ in opens_and_closes]))


def filed(folder: Path, *rows: str) -> Path:
    path = folder / "earnings.csv"
    path.write_text("\n".join(["ticker,filing_date", *rows, ""]))
    return path


def test_results_before_the_open_move_the_filing_date_itself(tmp_path: Path) -> None:
    # Wednesday 29th: 100 → open 105, +5 %; Thursday 30th: 106 → open 105, −0.9 %
    bars = opening(date(2020, 1, 30), (100, 100), (105, 106), (105, 104))
    [label] = earnings_sessions(filed(tmp_path, "ACME,2020-01-29"), FixedPrices(bars))
    assert label.session == date(2020, 1, 29)
    assert label.gap_pct == pytest.approx(5.0)


def test_results_after_the_close_move_the_next_session(tmp_path: Path) -> None:
    # Wednesday: 100 → open 99, −1 %; Thursday: 100 → open 92, −8 %
    bars = opening(date(2020, 1, 30), (100, 100), (99, 100), (92, 93))
    [label] = earnings_sessions(filed(tmp_path, "ACME,2020-01-29"), FixedPrices(bars))
    assert label.session == date(2020, 1, 30)
    assert label.gap_pct == pytest.approx(-8.0)


def test_equal_gaps_choose_the_filing_date(tmp_path: Path) -> None:
    bars = opening(date(2020, 1, 30), (100, 100), (102, 100), (98, 98))
    [label] = earnings_sessions(filed(tmp_path, "ACME,2020-01-29"), FixedPrices(bars))
    assert label.session == date(2020, 1, 29)


def test_a_filing_on_saturday_moves_monday(tmp_path: Path) -> None:
    bars = opening(date(2020, 1, 28), (100, 100), (101, 100), (150, 150))
    [label] = earnings_sessions(filed(tmp_path, "ACME,2020-01-25"), FixedPrices(bars))
    assert label.session == date(2020, 1, 27)


def test_a_filing_before_a_holiday_looks_across_it(tmp_path: Path) -> None:
    # Friday 2020-01-17; Monday the 20th is Martin Luther King Day, so Tuesday comes next
    bars = opening(date(2020, 1, 21), (100, 100), (100, 100), (110, 110))
    [label] = earnings_sessions(filed(tmp_path, "ACME,2020-01-17"), FixedPrices(bars))
    assert label.session == date(2020, 1, 21)


def test_with_one_of_both_opens_unknown_there_is_no_label(tmp_path: Path) -> None:
    bars = opening(date(2020, 1, 29), (100, 100), (105, 105))
    rows = ("ACME,2020-01-29", "ACME,2020-01-28", "GONE,2020-01-29")
    assert earnings_sessions(filed(tmp_path, *rows), FixedPrices(bars)) == ()


def test_two_filings_that_move_the_same_session_are_one_event(tmp_path: Path) -> None:
    bars = opening(date(2020, 1, 31), (100, 100), (100, 100), (120, 120), (120, 120))
    rows = ("ACME,2020-01-29", "ACME,2020-01-30")
    assert len(earnings_sessions(filed(tmp_path, *rows), FixedPrices(bars))) == 1


def test_an_ex_dividend_day_is_no_gap(tmp_path: Path) -> None:
    # Wednesday opens at 95 because 5.00 was paid; Thursday opens 1 % up
    bars = opening(date(2020, 1, 30), (100, 100), (95, 95), (95.95, 96))
    paid = replace(bars, dividend_usd=np.array([0.0, 5.0, 0.0]))
    [label] = earnings_sessions(filed(tmp_path, "ACME,2020-01-29"), FixedPrices(paid))
    assert label.session == date(2020, 1, 30)


def test_microsoft_reported_after_the_close_of_29_january_2020() -> None:
    labels = earnings_sessions(demo_earnings_path(), ParquetPriceSource())
    found = [label.session for label in labels if label.ticker == "MSFT"]
    assert date(2020, 1, 30) in found
    assert list(labels) == sorted(labels, key=lambda label: (label.session, label.ticker))


def test_filings_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = filed(tmp_path, "B,2020-01-29", "A,2020-01-28")
    assert read_filings(path) == (
        Filing("B", date(2020, 1, 29)),
        Filing("A", date(2020, 1, 28)),
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must begin with the line ticker,filing_date"),
        (b"symbol,day\n", "must begin"),
        (b"ticker,filing_date\nA,2020-13-01\n", "line 2 is no ticker and date"),
        (b"ticker,filing_date\nA,2020-01-01,x\n", "line 2"),
        (b"ticker,filing_date\n\xff,2020-01-01\n", "not CSV text"),
    ],
)
def test_a_malformed_earnings_file_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "earnings.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=problem):
        read_filings(path)


def test_an_absent_earnings_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        earnings_sessions(tmp_path / "absent.csv", FixedPrices())
