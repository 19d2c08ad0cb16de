"""Readers for the figures on a report: money, signed percentages, total scores, factor points."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from livekit.reports.labels import Meaning, meaning_of, plain

__all__ = [
    "factor_gap",
    "is_factor_detail",
    "is_factor_score",
    "labelled_parts",
    "may_hold_price",
    "mentions_gap",
    "read_labelled_percent",
    "read_money",
    "read_percent",
    "read_score",
    "read_total_of_five",
    "stated_score",
]

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_AFTER_MONEY = rf"(?: USD| ?\(?[+-]{_NUMBER} ?%\)?)?"
_OF_100 = r"(?: ?/ ?100| (?:out )?of 100)"
_MONEY = re.compile(rf"(?:US|USD)? ?\$ ?({_NUMBER}){_AFTER_MONEY}")
_BARE_MONEY = re.compile(rf"(?:USD )?({_NUMBER})(?: USD)?")
_PER_CENT = r" ?(?:%|percent|pct)"
_PERCENT = re.compile(rf"\(?([+-]|▲ ?\+?|▼ ?-?) ?({_NUMBER}){_PER_CENT}\)?")
_UNSIGNED = re.compile(rf"({_NUMBER}){_PER_CENT}")
_ZERO_PERCENT = re.compile(rf"0(?:\.0+)?{_PER_CENT}")
_IN_PERCENT = re.compile("%|percent|pct")
_SCORE = re.compile(rf"(\d{{1,3}}(?:\.\d+)?)({_OF_100})?( ?(?:pts|points))?", re.IGNORECASE)
_OF_FIVE = re.compile(r"([0-5](?:\.\d+)?) ?/ ?5(?:\.0+)?(?: ?\(\d{1,3}(?:\.\d+)? ?%\))?")
_SCORE_IN_GRADE = re.compile(
    r"(?<![-<>≤≥~\d.])(?<!below )(?<!under )(?<!over )(?<!above )"
    r"\b(\d{2,3}(?:\.\d+)?)(?: ?/ ?100(?: ?(?:pts|points))?| ?(?:pts|points))\b(?! or)",
    re.IGNORECASE,
)
_FACTOR_DETAIL = re.compile(
    r"[\d.]+(?: ?/ ?\d{1,2}(?!\d))?(?: ?(?:pts?|points?))?"
    r"|\(?(?:weight:? )?(?:[\d.]+-)?[\d.]+ ?%(?: weight)?\)?",
    re.IGNORECASE,
)
_FACTOR_SCORE = re.compile(r"\d{1,2}(?:\.\d+)? ?/ ?(?!100)\d{1,2}(?: ?(?:pts?|points?))?")
_GAP_FACTOR = re.compile(
    r"(?:^|- )(?:\d\. )?gap(?:[- ]up)?(?: size)?(?: performance| factor| score)?(?= ?[(:])",
    re.IGNORECASE,
)
_FIGURE_IN_FACTOR = re.compile(rf"(?<![-\d.<>])([+-]?)({_NUMBER}) ?%(?!\+)")
_RANGE = re.compile(
    r"\d+ ?% weight|weight:? ?\d+ ?%"
    r"|\d+(?:\.\d+)? ?%? ?- ?\d+(?:\.\d+)? ?%|[<>≥≤] ?\d+(?:\.\d+)? ?%"
)
_GAP_SAID = re.compile(r"gap|open(?:ed|s)? (?:gap|up|down)|[\d(+-].*\bgap", re.IGNORECASE)
_ANY_PERCENT = re.compile(rf"([+-]?)(\d[\d.,]*){_PER_CENT}")
_PRICE_LIKE = re.compile(
    r"[$€£¥] ?\d|\d ?[€£¥]"
    r"|\b(?:USD|price|quote|trad(?:es|ed|ing) (?:at|near|around)|last|now at|cents)\b"
    r"|^[\d.,]*\d[.,]\d{2,4}$",
    re.IGNORECASE,
)
_LONGEST_PRICE = 60  # characters; longer texts are prose
_LONGEST_MENTION = 40  # characters; longer texts are prose
_DIGIT = re.compile(r"\d")
_VALUED = re.compile("[%$/:]|of 100|percent|pct")  # each labelled value has one of these
_SEPARATORS = re.compile(r" [|·•] |; ")
_VALUE_FIRST = re.compile(rf"([+-]{_NUMBER}{_PER_CENT}|\$ ?{_NUMBER}) (.{{2,24}})")
_LABEL_FIRST = re.compile(
    rf"(.{{2,24}}?) ([+-]{_NUMBER}{_PER_CENT}|\$ ?{_NUMBER}|\d[\d.]*{_OF_100})"
)
_MOVED = re.compile(
    rf"gap(?:s|ped|ping)?[ -](up|down)(?: of| by)?:? ?(\d[\d,.]*{_PER_CENT})", re.IGNORECASE
)
_GAP_OF = re.compile(rf"\(?(\d[\d,.]*{_PER_CENT}) gap[ -](up|down)\)?", re.IGNORECASE)
_LARGEST_SUB_SCORE = 30.0  # a factor earns at most its weight, and the heaviest weighs 30 points
_LONGEST_PARTS = 160  # characters; longer texts are prose
_GAP_WEIGHT = 25.0  # percent of the total score; the figure that names of factors carry


@lru_cache(maxsize=20_000)
def read_money(text: str, *, labelled: bool = False) -> Decimal | None:
    """``$1,430.00`` as a number of USD, or None; with a label the currency sign may be missing.

    A change in percent after the amount is left aside: ``$65.80 (+13.4%)``.
    """
    if "$" in text:
        match = _MONEY.fullmatch(plain(text))
    else:
        match = _BARE_MONEY.fullmatch(text) if labelled else None
    return Decimal(match[1].replace(",", "")) if match else None


@lru_cache(maxsize=20_000)
def read_percent(text: str) -> float | None:
    """A **signed** percentage such as ``+4.02%``, or None: without a sign it may be a weight."""
    if not _IN_PERCENT.search(text):
        return None
    match = _PERCENT.fullmatch(plain(text))
    if match is None:
        return 0.0 if _ZERO_PERCENT.fullmatch(text) else None
    sign = -1.0 if match[1][0] in "-▼" else 1.0
    return sign * float(match[2].replace(",", ""))


def read_labelled_percent(text: str, *, weights: bool = True) -> float | None:
    """A percentage beside its label; without a sign only with decimals, as weights have none.

    With ``weights`` off (a column whose header names a percentage) whole figures count too.
    """
    signed = read_percent(text)
    match = _UNSIGNED.fullmatch(text) if signed is None else None
    if match is None or (weights and "." not in match[1]):
        return signed
    return float(match[1].replace(",", ""))


def read_score(text: str) -> float | None:
    """A total score beside its label: ``74``, ``76.0 pts``, ``86.0 / 100``; not ``3`` nor ``3/5``.

    Up to 5 a bare number is a factor's points.
    """
    match = _SCORE.fullmatch(plain(text))
    if match is None:
        return None
    value = float(match[1])
    return value if match[2] or value > 5.0 else None


def read_total_of_five(text: str) -> float | None:
    """A total on the scale of the factors beside its label: ``4.10 / 5.00 (82%)``, or None.

    It is no score of 0 to 100: pages that print both show that one does not follow from the other.
    """
    match = _OF_FIVE.fullmatch(text)
    return float(match[1]) if match else None


@lru_cache(maxsize=50_000)
def is_factor_detail(text: str) -> bool:
    """Whether a text is a factor's points, weight or bucket: ``3/5``, ``2 pts``, ``25%``, ``5``."""
    return _FACTOR_DETAIL.fullmatch(plain(text)) is not None


def is_factor_score(text: str) -> bool:
    """Whether a text is a factor's points out of its maximum: ``3/5``, ``22/25``."""
    return "/" in text and _FACTOR_SCORE.fullmatch(text) is not None


@lru_cache(maxsize=50_000)
def stated_score(text: str) -> float | None:
    """A total score that needs no label beside it, or None.

    ``Total Score: 86.0 / 100``, ``47.0/100``, ``78 pts`` and ``B-Grade (78 pts)`` are such; ``25
    pts`` may be a factor's.
    """
    if len(text) > _LONGEST_PARTS or not _DIGIT.search(text):
        return None
    shown = plain(text)
    match = _SCORE.fullmatch(shown) if shown[:1].isdigit() else None
    if match is not None:
        total = match[2] or (match[3] and float(match[1]) > _LARGEST_SUB_SCORE)
        return float(match[1]) if total else None
    for meaning, value in labelled_parts(text):
        if meaning is Meaning.SCORE and (score := read_score(value)) is not None:
            return score
    graded = text[:1] in "ABCDGg" and "grade" in text.casefold() and _SCORE_IN_GRADE.search(text)
    return float(graded[1]) if graded else None


@lru_cache(maxsize=50_000)
def labelled_parts(text: str) -> tuple[tuple[Meaning, str], ...]:
    """The labels with their values that stand in one text.

    ``Price: $5.10 | Gap: +3.2%`` holds two, ``+7.79% Gap Up`` and ``Score 82 / 100`` one each.
    """
    if len(text) > _LONGEST_PARTS or not _VALUED.search(text) or not _DIGIT.search(text):
        return ()
    parts = (_labelled(plain(part)) for part in _SEPARATORS.split(text))
    return tuple(part for part in parts if part)


def _labelled(part: str) -> tuple[Meaning, str] | None:
    moved = _moved(part)
    if moved:
        return Meaning.GAP, moved
    label, colon, value = part.partition(":")
    meaning = meaning_of(label) if colon else None
    if meaning:
        return meaning, plain(value.strip())
    match = _VALUE_FIRST.fullmatch(part)
    if match and (meaning := meaning_of(match[2])):
        return meaning, match[1]
    match = _LABEL_FIRST.fullmatch(part)
    if match and (meaning := meaning_of(match[1])):
        return meaning, match[2]
    return None


def _moved(part: str) -> str | None:
    """The change in ``Gap down: 3.1%``, ``gapped up 4.2%`` or ``4.2% gap-up``, with its sign."""
    if "gap" not in part.casefold():
        return None
    match = _MOVED.fullmatch(part)
    words = (match[1], match[2]) if match else None
    match = _GAP_OF.fullmatch(part)
    words = words or ((match[2], match[1]) if match else None)
    if words is None or ("." not in words[1] and "gapp" not in part.casefold()):
        return None  # a whole figure may be the weight of a factor or the limit of a bucket
    return f"{'-' if words[0].casefold() == 'down' else '+'}{words[1]}"


@lru_cache(maxsize=20_000)
def may_hold_price(text: str) -> bool:
    """Whether a short text may be a price, however written, or speak of one."""
    return len(text) <= _LONGEST_PRICE and _PRICE_LIKE.search(text) is not None


@lru_cache(maxsize=20_000)
def mentions_gap(text: str) -> bool:
    """Whether a short text speaks of a gap and gives a percentage that is no weight or bucket."""
    shown = plain(text)
    if len(shown) > _LONGEST_MENTION or not _GAP_SAID.match(shown):
        return False
    rest = _RANGE.sub("", shown)
    return any(sign or "." in figure for sign, figure in _ANY_PERCENT.findall(rest))


@lru_cache(maxsize=20_000)
def factor_gap(text: str) -> tuple[float | None, float | None]:
    """The gap that the name of the gap factor carries, and a whole figure that may be one.

    ``Gap Size (5-10%: 7.07%)`` and ``Gap: +17.1% (>10%)`` carry one. ``Gap Size (25%)`` gives the
    weight and ``Gap Size (10-15%)`` a bucket. Another whole figure may be a weight or the gap.
    """
    named = _GAP_FACTOR.search(text) if len(text) <= _LONGEST_PARTS else None
    if named is None or "%" not in text:
        return None, None
    figures = _FIGURE_IN_FACTOR.findall(_RANGE.sub("", plain(text[named.end() :])))
    clear = {float(sign + n.replace(",", "")) for sign, n in figures if sign or "." in n}
    whole = {float(n) for sign, n in figures if not sign and "." not in n}
    if len(clear) == 1:
        return clear.pop(), None
    whole -= {_GAP_WEIGHT}
    return None, whole.pop() if len(whole) == 1 and not clear else None
