"""The candidates of a day as JSON, read strictly, and checked against the page of the same day.

The file is ``earnings_trade_candidates_YYYY-MM-DD.json`` with ``report_date``, ``generated_at`` and
``candidates``, each with ``ticker``, ``grade``, ``score``, ``price``, ``gap_size`` and
``company_name``. Nothing is converted: a number in quotes, a truth value in a number's place, a
NaN, a name twice or a field nobody knows makes the file `BadInput`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

from livekit.errors import BadInput, NotASession
from livekit.model import Candidate, ReportResult
from livekit.reports.page import read_bytes
from livekit.reports.words import GRADES, MARKUP
from livekit.sessions import session_on_or_after

__all__ = ["cross_checked", "parse_candidates_json"]

_FILE_NAME = re.compile(r"earnings_trade_candidates_(\d{4}-\d{2}-\d{2})\.json")
_KEYS = {"report_date", "generated_at", "candidates"}
_FIELDS = {"ticker", "grade", "score", "price", "gap_size", "company_name"}
_TICKER = re.compile(r"[A-Z]{1,5}(?:[.-][A-Z]{1,2})?")
_LONGEST_NAME = 120  # characters
_MOST_CANDIDATES = 1_000
_MAX_BYTES = 500_000
_DEEPEST = 8  # brackets; the file needs three
_GAP_PCT = (-90.0, 400.0)
_PRICE_USD = (Decimal("0.001"), Decimal(1_000_000))
_FARTHEST_PRICE = Decimal("0.005")  # of the JSON's price


def parse_candidates_json(path: Path) -> ReportResult:
    """Read the candidates at ``path``.

    Returns:
        The candidates in the file's order; ``empty`` when the file lists none.

    Raises:
        BadInput: The file is absent, too large, not strict JSON of the shape above, dated
            otherwise than its name, or holds a value of the wrong type or out of range.
    """
    report_date = _date_of_name(path)
    content = read_bytes(path)
    problem = _outer_problem(content)
    if problem:
        raise BadInput(path, problem)
    try:
        loaded = _loaded(content)
        candidates = tuple(_candidates(loaded, report_date))
    except _WrongValueError as error:
        raise BadInput(path, f"candidate file {error}") from None
    digest = hashlib.sha256(content).hexdigest()
    return ReportResult(report_date, candidates, "ok" if candidates else "empty", sha256=digest)


def cross_checked(source: ReportResult, page: ReportResult) -> ReportResult:
    """The candidates of the JSON file, ``suspect`` where the page of the day contradicts them.

    A price that differs by more than 0.5 %, another grade, another score, a stock that only one of
    both knows, and a page that is itself suspect are contradictions.
    """
    doubts = tuple(_differences(source, page))
    if not doubts:
        return source
    return replace(
        source,
        verdict="suspect",
        notes=source.notes + doubts,
        suspects=source.suspects + doubts,
        not_candidates=page.not_candidates,
    )


def _differences(source: ReportResult, page: ReportResult) -> Iterator[str]:
    if source.report_date != page.report_date:
        yield f"the file is of {source.report_date}, the page of {page.report_date}"
    if page.verdict == "suspect":
        yield from (f"page: {text}" for text in page.suspects or ("is suspect",))
    listed = {candidate.ticker: candidate for candidate in source.candidates}
    shown = {candidate.ticker: candidate for candidate in page.candidates}
    for ticker in sorted(listed.keys() ^ shown.keys()):
        yield f"{ticker}: only in the {'file' if ticker in listed else 'page'}"
    for ticker in sorted(listed.keys() & shown.keys()):
        yield from (f"{ticker}: {text}" for text in _unequal(listed[ticker], shown[ticker]))


def _unequal(one: Candidate, two: Candidate) -> Iterator[str]:
    if one.price and two.price and abs(two.price / one.price - 1) > _FARTHEST_PRICE:
        yield f"price {one.price} in the file and {two.price} on the page"
    if one.grade != two.grade:
        yield f"grade {one.grade} in the file and {two.grade} on the page"
    if one.score is not None and two.score is not None and one.score != two.score:
        yield f"score {one.score:g} in the file and {two.score:g} on the page"


# ---------------------------------------------------------------------------------- strict reading


class _WrongValueError(ValueError):
    """What is wrong with the file, in words that follow "candidate file"."""


def _date_of_name(path: Path) -> date:
    match = _FILE_NAME.fullmatch(path.name)
    try:
        day = date.fromisoformat(match[1] if match else "")
        session_on_or_after(day)
    except NotASession as error:
        raise BadInput(path, f"candidate file's name carries an unusable date ({error})") from None
    except ValueError:
        wanted = "earnings_trade_candidates_YYYY-MM-DD.json"
        text = f"candidate file's name carries no date (expected {wanted})"
        raise BadInput(path, text) from None
    return day


def _outer_problem(content: bytes) -> str | None:
    """Why the bytes are not worth parsing; deep brackets would exhaust the parser's stack."""
    if len(content) > _MAX_BYTES:
        return f"candidate file has {len(content):,} bytes, at most {_MAX_BYTES:,} are read"
    if b"\0" in content:
        return "candidate file holds NUL bytes"
    depth = deepest = 0
    for bracket in re.findall(rb"[\[\]{}]", content):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return f"candidate file is nested {deepest} deep" if deepest > _DEEPEST else None


def _loaded(content: bytes) -> object:
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_constant=_no_constant,
            parse_float=_decimal,
            parse_int=_decimal,
        )
    except UnicodeDecodeError:
        raise _WrongValueError("is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _WrongValueError(f"is not JSON ({error.msg} at {error.pos})") from None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    loaded = dict(pairs)
    if len(loaded) < len(pairs):
        raise _WrongValueError("gives a field twice")
    return loaded


def _no_constant(name: str) -> NoReturn:
    raise _WrongValueError(f"holds {name}")


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _WrongValueError(f"holds the number {text[:40]}") from None
    if not math.isfinite(float(number)) or abs(number.adjusted()) > 12:
        raise _WrongValueError(f"holds the number {text[:40]}")
    return number


def _candidates(loaded: object, report_date: date) -> Iterator[Candidate]:
    top = _fields(loaded, _KEYS, "the file")
    stated = _text(top["report_date"], "report_date")
    if stated != report_date.isoformat():
        raise _WrongValueError(f"is named {report_date} and dated {stated[:40]!r}")
    _require_time(_text(top["generated_at"], "generated_at"))
    listed = top["candidates"]
    if not isinstance(listed, list) or len(listed) > _MOST_CANDIDATES:
        raise _WrongValueError("has no usable list of candidates")
    seen: set[str] = set()
    for position, entry in enumerate(listed):
        candidate = _candidate(_fields(entry, _FIELDS, f"candidate {position}"), report_date)
        if candidate.ticker in seen:
            raise _WrongValueError(f"lists {candidate.ticker} twice")
        seen.add(candidate.ticker)
        yield candidate


def _candidate(fields: dict[str, object], report_date: date) -> Candidate:
    ticker = _text(fields["ticker"], "ticker")
    if not _TICKER.fullmatch(ticker):
        raise _WrongValueError(f"has the ticker {ticker[:40]!r}")
    grade = GRADES.get(_text(fields["grade"], f"{ticker}: grade"))
    if grade is None:
        raise _WrongValueError(f"has the grade {fields['grade']!r} for {ticker}"[:200])
    score = _number(fields["score"], f"{ticker}: score", (Decimal(0), Decimal(100)))
    price = _number(fields["price"], f"{ticker}: price", _PRICE_USD)
    gap = fields["gap_size"]
    bounds = (Decimal(str(_GAP_PCT[0])), Decimal(str(_GAP_PCT[1])))
    return Candidate(
        ticker=ticker,
        report_date=report_date,
        grade=grade,
        score=float(score),
        price=price,
        gap_size=None if gap is None else float(_number(gap, f"{ticker}: gap_size", bounds)),
        company_name=_name(fields["company_name"], ticker),
        grade_source="json",
    )


def _fields(value: object, expected: set[str], what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _WrongValueError(f"has no fields for {what}")
    different = sorted(set(value) ^ expected)
    if different:
        raise _WrongValueError(f"lacks or adds fields of {what}: {', '.join(different)}"[:200])
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise _WrongValueError(f"has no text for {what}")
    return value


def _name(value: object, ticker: str) -> str:
    name = _text(value, f"{ticker}: company_name")
    long = len(name) > _LONGEST_NAME
    if not name.strip() or long or not name.isprintable() or not MARKUP.isdisjoint(name):
        raise _WrongValueError(f"has an unusable company_name for {ticker}")
    return name


def _number(value: object, what: str, bounds: tuple[Decimal, Decimal]) -> Decimal:
    if not isinstance(value, Decimal):
        raise _WrongValueError(f"has no number for {what}")
    if not bounds[0] <= value <= bounds[1]:
        raise _WrongValueError(f"has {value} for {what}")
    return value


def _require_time(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise _WrongValueError(f"has no time in generated_at ({text[:40]!r})") from None
