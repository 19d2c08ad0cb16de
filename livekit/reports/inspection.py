"""Look at reports: what was read and why, and how that compares with reference values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from livekit.errors import BadInput
from livekit.model import Candidate, ReportResult
from livekit.reports.parser import parse_report

__all__ = [
    "Inspection",
    "PageScore",
    "ReportScores",
    "exit_code",
    "inspect",
    "inspection_lines",
    "report_paths",
    "score",
    "score_lines",
]

_PATTERN = "earnings_trade_analysis_*.html"
_MAX_TRUTH_BYTES = 20_000_000
_SHOWN_NAME = 36  # characters

Verdict = Literal["ok", "empty", "suspect", "refused"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """One file: what was read, or why it was refused."""

    path: Path
    result: ReportResult | None
    refusal: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict on the page; ``refused`` when the file is no report."""
        return self.result.verdict if self.result else "refused"


def report_paths(target: Path) -> tuple[Path, ...]:
    """The reports of a folder in order of their dates, or the one file; `BadInput` if none."""
    paths = tuple(sorted(target.glob(_PATTERN))) if target.is_dir() else (target,)
    if not paths:
        raise BadInput(target, f"folder holds no report ({_PATTERN})")
    return paths


def inspect(target: Path) -> tuple[Inspection, ...]:
    """Parse a report, or each report of a folder; a refused file is an entry of its own.

    Raises:
        BadInput: ``target`` is a folder without any report.
    """
    return tuple(_inspected(path) for path in report_paths(target))


def _inspected(path: Path) -> Inspection:
    try:
        return Inspection(path, parse_report(path))
    except BadInput as error:
        return Inspection(path, None, str(error))


def exit_code(inspections: Sequence[Inspection]) -> int:
    """2 when any report is suspect or refused, else 0."""
    return 2 if any(item.verdict in {"suspect", "refused"} for item in inspections) else 0


def inspection_lines(inspections: Sequence[Inspection]) -> Iterator[str]:
    """The table of `inspect` as lines of text, with the place of each value and every doubt."""
    for item in inspections:
        yield f"{item.path.name}: {item.verdict}"
        if item.result is None:
            yield f"  {item.refusal}"
            continue
        yield from _table(item.result)
        places = {(ticker, what): text for ticker, what, text in item.result.places}
        for candidate in item.result.candidates:
            yield f"  {candidate.ticker} from {_places_of(candidate, places)}"
        yield from (f"  ! {text}" for text in item.result.suspects)
        yield from (f"  - {text}" for text in item.result.not_candidates)
        told = {*item.result.suspects, *item.result.not_candidates}
        yield from (f"  . {text}" for text in item.result.notes if text not in told)


def _table(result: ReportResult) -> Iterator[str]:
    if result.candidates:
        yield f"  {'ticker':8}{'grade':12}{'score':>7}{'price':>12}{'gap %':>9}  company"
    for stock in result.candidates:
        grade = stock.grade if stock.grade_source == "html" else f"{stock.grade} (inferred)"
        yield (
            f"  {stock.ticker:8}{grade:12}{_figure(stock.score):>7}{_figure(stock.price):>12}"
            f"{_figure(stock.gap_size):>9}  {(stock.company_name or '-')[:_SHOWN_NAME]}"
        )


def _figure(value: float | Decimal | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, Decimal) else f"{value:g}"


def _places_of(candidate: Candidate, places: dict[tuple[str, str], str]) -> str:
    fields = ("ticker", "company name", "grade", "score", "price", "gap")
    read = ((what, places.get((candidate.ticker, what))) for what in fields)
    return ", ".join(f"{what} {text!r}" for what, text in read if text)


# ------------------------------------------------------------------------- against reference values


@dataclass(frozen=True, slots=True)
class PageScore:
    """One report against its reference values; ``differences`` name what is not exact."""

    name: str
    verdict: Verdict
    expected: int
    found: int
    exact: int
    invented: int
    differences: tuple[str, ...]

    @property
    def is_silently_wrong(self) -> bool:
        """Differs from the reference without being suspect."""
        return bool(self.differences) and self.verdict in {"ok", "empty"}


@dataclass(frozen=True, slots=True)
class ReportScores:
    """All reports that have reference values."""

    pages: tuple[PageScore, ...]

    @property
    def expected(self) -> int:
        """Candidates in the reference."""
        return sum(page.expected for page in self.pages)

    @property
    def recall(self) -> float:
        """Share of the reference's candidates that were found, 1.0 without any."""
        found = sum(page.found for page in self.pages)
        return found / self.expected if self.expected else 1.0

    @property
    def exact(self) -> int:
        """Rows that agree in every field."""
        return sum(page.exact for page in self.pages)

    @property
    def invented(self) -> int:
        """Candidates that the reference does not know."""
        return sum(page.invented for page in self.pages)

    @property
    def verdicts(self) -> Counter[str]:
        """Pages by verdict."""
        return Counter(page.verdict for page in self.pages)

    @property
    def silently_wrong(self) -> tuple[str, ...]:
        """Names of the pages that differ without being suspect."""
        return tuple(page.name for page in self.pages if page.is_silently_wrong)


def score(folder: Path, truth: Path) -> ReportScores:
    """Compare the reports of ``folder`` with the reference values in ``truth``.

    A row is exact when ticker, grade, score, price, gap and company name agree; where the
    reference gives a second spelling of the name, either counts.

    Raises:
        BadInput: The reference cannot be read or has another shape.
    """
    reference = _reference(truth)
    return ReportScores(
        tuple(_page_score(_inspected(folder / name), rows) for name, rows in reference)
    )


def score_lines(scores: ReportScores) -> Iterator[str]:
    """The comparison as lines of text."""
    counts = scores.verdicts
    yield f"pages       {len(scores.pages)}"
    yield f"candidates  {scores.expected}"
    yield f"recall      {scores.recall:.1%}"
    yield f"exact rows  {scores.exact}"
    yield f"invented    {scores.invented}"
    yield (
        f"verdicts    ok {counts['ok']}, empty {counts['empty']}, suspect {counts['suspect']}, "
        f"refused {counts['refused']}, silently wrong {len(scores.silently_wrong)}"
    )
    for page in scores.pages:
        yield from (f"  {page.name}: {text}" for text in page.differences)


_Row = dict[str, object]


def _reference(truth: Path) -> list[tuple[str, list[_Row]]]:
    try:
        if truth.stat().st_size > _MAX_TRUTH_BYTES:
            raise BadInput(truth, f"reference has more than {_MAX_TRUTH_BYTES:,} bytes")
        loaded = json.loads(truth.read_text(encoding="utf-8"))
        return [(str(name), list(page["candidates"])) for name, page in sorted(loaded.items())]
    except OSError as error:
        raise BadInput(truth, f"reference cannot be read ({error.strerror})") from error
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise BadInput(truth, "reference is no JSON of pages with candidates") from error


def _page_score(item: Inspection, rows: list[_Row]) -> PageScore:
    read = {stock.ticker: stock for stock in item.result.candidates} if item.result else {}
    wanted = {str(row.get("ticker")): row for row in rows}
    differences = [text for ticker, row in wanted.items() for text in _row_gaps(ticker, row, read)]
    invented = [ticker for ticker in read if ticker not in wanted]
    wrong = {text.partition(":")[0] for text in differences}
    return PageScore(
        name=item.path.name,
        verdict=item.verdict,
        expected=len(wanted),
        found=len(wanted.keys() & read.keys()),
        exact=len(wanted.keys() - wrong),
        invented=len(invented),
        differences=(*differences, *(f"{ticker}: invented" for ticker in invented)),
    )


def _row_gaps(ticker: str, row: _Row, read: dict[str, Candidate]) -> Iterator[str]:
    stock = read.get(ticker)
    if stock is None:
        yield f"{ticker}: not found"
        return
    pairs = (
        ("grade", stock.grade, row.get("grade")),
        ("score", stock.score, row.get("score")),
        ("price", None if stock.price is None else float(stock.price), row.get("price")),
        ("gap", stock.gap_size, row.get("gap_size")),
    )
    yield from (f"{ticker}: {what} {a!r}, not {b!r}" for what, a, b in pairs if a != b)
    names = {row.get("company_name"), row.get("company_name_alt")}
    if stock.company_name not in names:
        yield f"{ticker}: company name {stock.company_name!r}, not {row.get('company_name')!r}"
