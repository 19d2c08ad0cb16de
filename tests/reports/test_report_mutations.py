"""Layouts that nobody designed: pages with the same meaning and another shape."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random

import page_mutations as change
import pytest
from report_examples import DAY, page_of, saved

from livekit.errors import BadInput
from livekit.model import Candidate, ReportResult
from livekit.reports import parse_report
from livekit.reports.scoring import FactorPoints, Factors, ScoredStock, grade_of
from livekit.reports.writer import LAYOUTS, report_name, write_report

PAGES = 240
SHARED = Path(__file__).resolve().parents[3] / "shared" / "reports"

SHAPES = (
    change.rename_classes,
    change.swap_labels_and_values,
    change.shuffle_cards,
    change.shuffle_parts,
    change.reword_labels,
    change.wrap_everything,
    change.rename_tags,
)
NAMES = (
    ("ACME", "Acme Corp"),
    ("G", "Genpact Limited"),
    ("NEXT", "NextDecade Corporation"),
    ("FIX", "Comfort Systems USA Inc"),
    ("BRK.B", "Berkshire Hathaway Inc"),
    ("C", "Citigroup Inc"),
    ("OS", "OneStream Inc"),
    ("MA", "Mastercard Incorporated"),
    ("FROG", "JFrog Ltd"),
    ("AXTI", "AXT Inc"),
)


def stocks(random: Random) -> list[ScoredStock]:
    chosen = random.sample(NAMES, random.randrange(1, 6))
    return [_stock(random, ticker, name) for ticker, name in chosen]


def _stock(random: Random, ticker: str, name: str) -> ScoredStock:
    score = random.randrange(200, 1000) / 10
    figures = [round(random.uniform(-40, 90), 2) for _ in range(4)]
    gap = round(random.uniform(0.1, 39), 2)
    points = FactorPoints(*(random.randrange(1, 6) for _ in range(5)))
    price = Decimal(random.randrange(120, 150_000)) / 100
    return ScoredStock(ticker, name, grade_of(score), score, price, Factors(gap, *figures), points)


def facts(candidate: Candidate) -> tuple[object, ...]:
    return (
        candidate.ticker,
        candidate.grade,
        candidate.score,
        candidate.price,
        candidate.gap_size,
        candidate.company_name,
    )


def expected(stock: ScoredStock) -> tuple[object, ...]:
    return (
        stock.ticker,
        stock.grade,
        stock.score,
        stock.price,
        stock.factors.gap_pct,
        stock.company_name,
    )


def read(path: Path) -> ReportResult | None:
    """The result, or None when the page is refused."""
    try:
        return parse_report(path)
    except BadInput:
        return None


def outcome(result: ReportResult | None, wanted: set[tuple[object, ...]]) -> str:
    if result is None or result.verdict == "suspect":
        return "suspect"
    return "exact" if {facts(c) for c in result.candidates} == wanted else "silently wrong"


def page_and_stocks(folder: Path, random: Random) -> tuple[bytes, list[ScoredStock], str]:
    layout = random.choice(LAYOUTS)
    listed = stocks(random)
    return write_report(folder, DAY, listed, layout).read_bytes(), listed, layout


def test_pages_of_another_shape_are_read_exactly(tmp_path: Path) -> None:
    """At least 90 % are ``ok`` and exact, and no page is silently wrong."""
    outcomes: Counter[str] = Counter()
    for seed in range(PAGES):
        random = Random(seed)
        page, listed, layout = page_and_stocks(tmp_path, random)
        shapes = random.sample(SHAPES, random.randrange(1, 5))
        if layout == "sections" and random.random() < 0.2:
            shapes = [change.cards_to_rows, change.rename_classes]
        path = saved(tmp_path, change.mutated(page, shapes, random))
        outcomes[outcome(read(path), {expected(stock) for stock in listed})] += 1
    assert outcomes["silently wrong"] == 0
    assert outcomes["exact"] >= 0.9 * PAGES, outcomes


@pytest.mark.parametrize("name", [*change.DECOYS, *change.INNER_DECOYS])
def test_a_decoy_is_set_aside_or_makes_the_page_suspect(tmp_path: Path, name: str) -> None:
    inner = name in change.INNER_DECOYS
    decoy = change.with_inner_decoy(name) if inner else change.with_decoy(name)
    for seed in range(12):
        random = Random(seed)
        page, listed, _ = page_and_stocks(tmp_path, random)
        shapes = [decoy, *random.sample(SHAPES, 2)]
        path = saved(tmp_path, change.mutated(page, shapes, random))
        assert outcome(read(path), {expected(stock) for stock in listed}) != "silently wrong", seed


@pytest.mark.parametrize(
    "name", ["upcoming", "calendar", "watch list", "disqualified", "index", "nothing"]
)
def test_decoys_on_a_page_without_candidates_make_none(tmp_path: Path, name: str) -> None:
    page = page_of("<h2>No Qualifying Stocks Found Today</h2>").encode()
    result = read(saved(tmp_path, change.mutated(page, [change.with_decoy(name)], Random(1))))
    assert result is not None
    assert (result.verdict, result.candidates) == ("empty", ())


# ---------------------------------------------------------------------------- pages of the author


def reference() -> dict[str, list[dict[str, object]]]:
    truth = SHARED / "truth.json"
    if not truth.exists():
        pytest.skip(f"the reference reports are not beside this repository ({SHARED})")
    return {name: page["candidates"] for name, page in json.loads(truth.read_text()).items()}


def row(fields: dict[str, object]) -> tuple[object, ...]:
    keys = ("ticker", "grade", "score", "price", "gap_size", "company_name")
    return tuple(fields[key] for key in keys)


def as_row(candidate: Candidate) -> tuple[object, ...]:
    price = None if candidate.price is None else float(candidate.price)
    shown = facts(candidate)
    return (*shown[:3], price, *shown[4:])


def test_every_report_of_the_reference_is_read_exactly() -> None:
    for name, rows in reference().items():
        result = parse_report(SHARED / name)
        assert [as_row(candidate) for candidate in result.candidates] == [row(r) for r in rows]
        assert result.verdict == ("ok" if rows else "empty"), name


def test_every_other_report_has_a_verdict_and_a_reason() -> None:
    known = reference()
    for path in sorted(SHARED.glob("*.html")):
        result = parse_report(path)
        if path.name not in known and result.verdict == "suspect":
            assert result.suspects, path.name


@pytest.mark.parametrize("shape", [change.wrap_everything, change.swap_labels_and_values])
def test_reports_of_the_reference_in_another_shape_are_never_silently_wrong(
    tmp_path: Path, shape: change.Mutation
) -> None:
    for seed, (name, rows) in enumerate(reference().items()):
        page = change.mutated((SHARED / name).read_bytes(), [shape], Random(seed))
        result = read(change.saved_as(tmp_path / name, page))
        if result is not None and result.verdict != "suspect":
            assert {as_row(c) for c in result.candidates} == {row(r) for r in rows}, name


def test_the_name_of_a_report_carries_its_day() -> None:
    assert report_name(DAY) == "earnings_trade_analysis_2020-03-18.html"
