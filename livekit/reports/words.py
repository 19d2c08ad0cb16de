"""What the words and figures on a report mean: one table of labels, and readers for values.

A label counts when the whole text is one of the table's, never when it merely contains it: "Gap
Size (25%)" is the name of a factor, "Gap Size" labels the gap.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from enum import Enum

from livekit.model import Grade

__all__ = [
    "GRADES",
    "MONTHS",
    "Meaning",
    "as_grade",
    "dates_in",
    "grade_word",
    "is_factor_detail",
    "is_factor_score",
    "is_other_matter",
    "is_sector",
    "is_stock_title",
    "is_turned_down",
    "meaning_of",
    "mentions_gap",
    "names_and_rates_a_stock",
    "read_money",
    "read_percent",
    "read_score",
    "read_ticker",
    "says_nothing_qualified",
    "stated_score",
    "turns_away",
]


class Meaning(Enum):
    """What a label says of the value beside it."""

    PRICE = "price"
    PRE_MARKET = "pre-market price"
    GAP = "gap"
    SCORE = "score"


_LABELS = {
    "price": Meaning.PRICE,
    "current price": Meaning.PRICE,
    "stock price": Meaning.PRICE,
    "share price": Meaning.PRICE,
    "last price": Meaning.PRICE,
    "pre-market price": Meaning.PRE_MARKET,
    "premarket price": Meaning.PRE_MARKET,
    "price (pre-market)": Meaning.PRE_MARKET,
    "gap": Meaning.GAP,
    "gap %": Meaning.GAP,
    "gap size": Meaning.GAP,
    "gap up": Meaning.GAP,
    "gap-up": Meaning.GAP,
    "gap from close": Meaning.GAP,
    "earnings gap": Meaning.GAP,
    "score": Meaning.SCORE,
    "total score": Meaning.SCORE,
    "backtest score": Meaning.SCORE,
    "total backtest score": Meaning.SCORE,
    "overall score": Meaning.SCORE,
    "total score / 100": Meaning.SCORE,
    "total score (out of 100)": Meaning.SCORE,
    "/ 100": Meaning.SCORE,
    "/100": Meaning.SCORE,
    "/ 100 pts": Meaning.SCORE,
    "out of 100": Meaning.SCORE,
}

GRADES: dict[str, Grade] = {"A": "A", "B": "B", "C": "C", "D": "D"}

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_SECTORS = frozenset(
    {
        "basic materials",
        "communication services",
        "consumer cyclical",
        "consumer defensive",
        "consumer discretionary",
        "consumer staples",
        "energy",
        "financial",
        "financial services",
        "financials",
        "health care",
        "healthcare",
        "industrials",
        "information technology",
        "materials",
        "real estate",
        "technology",
        "utilities",
    }
)

_DASHES = str.maketrans({"−": "-", "–": "-", "‑": "-", "‐": "-"})
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_TICKER = re.compile(r"\$?([A-Z]{1,5}(?:[.-][A-Z]{1,2})?)")
_MONEY = re.compile(rf"\$ ?({_NUMBER})")
_PERCENT = re.compile(rf"([+-]) ?({_NUMBER}) ?%")
_SCORE = re.compile(r"(\d{1,3}(?:\.\d+)?)( ?/ ?100)?( ?(?:pts|points))?", re.IGNORECASE)
_FACTOR_DETAIL = re.compile(
    r"[\d.]+(?: ?/ ?\d{1,2}(?!\d))?(?: ?(?:pts?|points?))?"
    r"|\(?(?:[\d.]+-)?[\d.]+ ?%(?: weight)?\)?",
    re.IGNORECASE,
)
_FACTOR_SCORE = re.compile(r"\d{1,2}(?:\.\d+)? ?/ ?\d{1,2}(?: ?(?:pts?|points?))?")
_LONGEST_STATEMENT = 120  # characters
_LONGEST_LABEL = 40  # characters
_LARGEST_SUB_SCORE = 30.0  # a factor earns at most its weight, and the heaviest weighs 30 points
_GRADE_WORD = re.compile(r"([A-D])[ -]grade\b.{0,80}|grade ?:? ?([A-D])", re.IGNORECASE)
_WEIGHT = re.compile(r"\( ?\d+ ?% ?\)|(?<!\d)\d+ ?% weight", re.IGNORECASE)
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_WORD_DATE = re.compile(rf"\b({'|'.join(MONTHS)}) (\d{{1,2}}), (\d{{4}})\b", re.IGNORECASE)
_NOTHING = re.compile(
    r"\bno (?:(?:qualifying|qualified|earnings|gap-up|new) )*(?:stocks?|candidates?|trades?)\b"
    r".{0,60}\b(?:available|found|qualif\w+|today|identified|match\w*|met|meet|passed)\b",
    re.IGNORECASE,
)
_REFUSED = r"disqualified|excluded|rejected|not qualified"
_NOT_OFFERED = rf"upcoming|calendar|watch ?-?list|to watch|{_REFUSED}"
_TURNED_DOWN = re.compile(rf"\b(?:{_REFUSED})\b", re.IGNORECASE)
_TURNED_AWAY = re.compile(rf"\b(?:{_NOT_OFFERED})\b", re.IGNORECASE)
_OTHER_MATTER = re.compile(
    rf"\b(?:{_NOT_OFFERED}|methodology|legend|disclaimer|market (?:overview|context|status))\b",
    re.IGNORECASE,
)
_INDEX_FUNDS = frozenset({"SPY", "QQQ", "IWM", "DIA", "GLD"})
_NAMES_A_STOCK = re.compile(r"\$[A-Z]{1,5}\b|\([A-Z]{1,5}\)|^[A-Z]{2,5}\b(?!-)")
_STOCK_TITLE = re.compile(
    r"\$?([A-Z]{1,5}) [-–—|] .{2,50}|[^:]{2,50} \(\$?([A-Z]{1,5})\)|\$([A-Z]{1,5})\b.{0,50}"
)
_ZERO_PERCENT = re.compile(r"0(?:\.0+)? ?%")
_RATES_A_STOCK = re.compile(
    rf"\$ ?{_NUMBER}|[+-]{_NUMBER} ?%|(?<![-–\d])\d\d(?:\.\d+)? ?(?:/ ?100|pts|points)"
)


def meaning_of(text: str) -> Meaning | None:
    """What ``text`` labels, or None if it is no label of the table."""
    if len(text) > _LONGEST_LABEL:
        return None
    return _LABELS.get(text.translate(_DASHES).casefold().rstrip(" :"))


def read_ticker(text: str) -> str | None:
    """``text`` as a ticker without its leading ``$``, or None."""
    match = _TICKER.fullmatch(text)
    return match[1] if match else None


def is_sector(text: str) -> bool:
    """Whether ``text`` names a sector, alone or before its industry."""
    return re.split(r" [-|•/] ", text)[0].casefold() in _SECTORS


def read_money(text: str) -> Decimal | None:
    """``$1,430.00`` as a number of USD, or None."""
    match = _MONEY.fullmatch(text)
    return Decimal(match[1].replace(",", "")) if match else None


def read_percent(text: str) -> float | None:
    """A **signed** percentage such as ``+4.02%``, or None: without a sign it may be a weight."""
    match = _PERCENT.fullmatch(text.translate(_DASHES))
    if match is None:
        return 0.0 if _ZERO_PERCENT.fullmatch(text) else None
    return float(match[1] + match[2].replace(",", ""))


def read_score(text: str) -> float | None:
    """A total score beside its label: ``74``, ``76.0 pts``, ``86.0 / 100``; not ``3`` nor ``3/5``.

    Up to 5 a bare number is a factor's points.
    """
    match = _SCORE.fullmatch(text)
    if match is None:
        return None
    value = float(match[1])
    return value if match[2] or value > 5.0 else None


def is_factor_detail(text: str) -> bool:
    """Whether a text is a factor's points, weight or bucket: ``3/5``, ``2 pts``, ``25%``, ``5``."""
    return _FACTOR_DETAIL.fullmatch(text.translate(_DASHES)) is not None


def is_factor_score(text: str) -> bool:
    """Whether a text is a factor's points out of its maximum: ``3/5``, ``22/25``."""
    return _FACTOR_SCORE.fullmatch(text) is not None


def stated_score(text: str) -> float | None:
    """A total score that needs no label beside it, or None.

    ``Total Score: 86.0 / 100``, ``47.0/100`` and ``78 pts`` are such; ``25 pts`` may be a factor's.
    """
    label, colon, value = text.partition(":")
    if colon and meaning_of(label) is Meaning.SCORE:
        return read_score(value.strip())
    match = _SCORE.fullmatch(text)
    if match is None:
        return None
    total = match[2] or (match[3] and float(match[1]) > _LARGEST_SUB_SCORE)
    return float(match[1]) if total else None


def grade_word(text: str) -> Grade | None:
    """The grade that a short text names: ``B-Grade Stocks``, ``Grade: B``; not a lone letter."""
    match = _GRADE_WORD.fullmatch(text)
    return as_grade((match[1] or match[2]).upper()) if match else None


def as_grade(letter: str) -> Grade | None:
    """``letter`` if it is a grade, else None."""
    return GRADES.get(letter)


def mentions_gap(text: str) -> bool:
    """Whether ``text`` speaks of a gap in percent, weights of the factor aside."""
    lower = _WEIGHT.sub("", text.casefold())
    return "gap" in lower and re.search(r"\d ?%", lower) is not None


def is_stock_title(text: str) -> bool:
    """Whether a text names a stock the way a heading does: ``INDV - Indivior PLC``.

    A fund on an index, as market overviews quote it, is no stock.
    """
    match = _STOCK_TITLE.fullmatch(text)
    return match is not None and _INDEX_FUNDS.isdisjoint(match.groups())


def names_and_rates_a_stock(text: str) -> bool:
    """Whether one text holds both a ticker and a price, percentage or score."""
    plain = text.translate(_DASHES)
    return bool(_NAMES_A_STOCK.search(plain) and _RATES_A_STOCK.search(plain))


def says_nothing_qualified(text: str) -> bool:
    """Whether a short text states that no stock qualified (not of one grade, but at all)."""
    short = len(text) <= _LONGEST_STATEMENT and "grade" not in text.casefold()
    return short and _NOTHING.search(text) is not None


def is_other_matter(text: str) -> bool:
    """Whether a heading announces something else than the day's candidates."""
    return _OTHER_MATTER.search(text) is not None


def is_turned_down(text: str) -> bool:
    """Whether a mark on a stock says that it did not qualify."""
    return _TURNED_DOWN.search(text) is not None


def turns_away(text: str) -> bool:
    """Whether a heading says that the stocks below it are not offered for trading today."""
    return _TURNED_AWAY.search(text) is not None


def dates_in(text: str) -> list[date]:
    """Dates written as ``2026-03-18`` or ``March 18, 2026``; impossible ones are left out."""
    names = [month.casefold() for month in MONTHS]
    written = [tuple(int(part) for part in found) for found in _ISO_DATE.findall(text)]
    written += [
        (int(year), names.index(month.casefold()) + 1, int(day))
        for month, day, year in _WORD_DATE.findall(text)
    ]
    return [day for parts in written if (day := _possible(*parts))]


def _possible(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
