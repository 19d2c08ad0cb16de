"""How long reading a report takes, relative to parsing its HTML alone.

The pages are the author's where they lie beside the repository, else the demo's layouts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import html

from livekit.reports import parse_report
from livekit.reports.parser import report_date_of
from livekit.reports.scoring import FactorPoints, Factors, ScoredStock, grade_of
from livekit.reports.writer import LAYOUTS, write_report

pytestmark = pytest.mark.bench

SHARED = Path(__file__).resolve().parents[3] / "shared" / "reports"
MOST_TIMES_BARE_PARSING = 12.0
ROUNDS = 7


def best_time(task: Callable[[Path], object], paths: Sequence[Path]) -> float:
    """Seconds of processor time for all files, the best of some rounds."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for path in paths:
            task(path)
        times.append(time.process_time() - started)
    return min(times)


def bare(path: Path) -> object:
    return html.document_fromstring(path.read_bytes())


def stock(number: int) -> ScoredStock:
    ticker = "".join(chr(65 + (number // 26**place) % 26) for place in range(4))
    score = 20 + number % 80
    points, factors = FactorPoints(3, 4, 2, 5, 5), Factors(4.0, 9.0, 104.0, 110.0, 104.0)
    name = f"{ticker.title()} Corp"
    price = Decimal("17.25")
    return ScoredStock(ticker, name, grade_of(score), float(score), price, factors, points)


def written(folder: Path, layout: str, stocks: int, day: date) -> Path:
    return write_report(folder, day, [stock(number) for number in range(stocks)], layout)


def pages(folder: Path) -> list[Path]:
    if SHARED.is_dir():
        return sorted(SHARED.glob("earnings_trade_analysis_*.html"))
    first = date(2020, 1, 2)
    return [
        written(folder, layout, 12, first + timedelta(days=number))
        for number, layout in enumerate(LAYOUTS * 8)
    ]


def side_by_side(paths: Sequence[Path]) -> tuple[float, float]:
    """Seconds of processor time for bare parsing and for reading, file after file in turn."""
    alone = read = 0.0
    for path in paths:
        started = time.process_time()
        bare(path)
        parsed = time.process_time()
        parse_report(path)
        alone, read = alone + parsed - started, read + time.process_time() - parsed
    return alone, read


def test_reading_a_report_takes_at_most_12_times_its_bare_parsing(tmp_path: Path) -> None:
    """On the first pass, with nothing remembered, and on later ones.

    The calendar of sessions is loaded before: a process loads it once, whatever it reads.
    """
    paths = pages(tmp_path)
    report_date_of(paths[0])
    rounds = [side_by_side(paths) for _ in range(ROUNDS)]
    ratios = [read / alone for alone, read in rounds]
    print(f"\n{len(paths)} pages: {ratios[0]:.1f} times bare parsing, later {min(ratios):.1f}")
    assert ratios[0] <= MOST_TIMES_BARE_PARSING
    assert min(ratios) <= MOST_TIMES_BARE_PARSING


@pytest.mark.parametrize("layout", LAYOUTS)
def test_time_grows_with_the_length_of_a_page(tmp_path: Path, layout: str) -> None:
    day = date(2020, 1, 2)
    short = best_time(parse_report, [written(tmp_path / "short", layout, 50, day)])
    long = best_time(parse_report, [written(tmp_path / "long", layout, 300, day)])
    print(f"\n{layout}: 50 stocks {short:.4f} s, 300 stocks {long:.4f} s")
    assert long <= 6 * 2.0 * short
