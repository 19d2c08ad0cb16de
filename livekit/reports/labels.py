"""What a label on a report says of the value beside it: one table of synonyms.

A label counts when the whole text is one of the table's, never when it merely contains it: "Gap
Size (25%)" is the name of a factor, "Gap Size" labels the gap. Signs before or after the words
(stars, emoji, numbering, a colon) and capitals make no difference.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

__all__ = ["SYNONYMS", "Meaning", "meaning_of", "plain"]

_DASHES = str.maketrans({"−": "-", "–": "-", "—": "-", "‑": "-", "‐": "-", "\u00a0": " "})
_LEADING, _TRAILING = "$+-(<>./~▲▼%", "$%)+.!?/"  # what a figure or label may begin and end with
_EDGES = re.compile(r"^[^\w$+\-(<>./~▲▼%]+|[^\w$%)+.!?/]+$")
_NUMBERING = re.compile(r"^\d{1,2}[.)] (?=\D)")
_LONGEST_LABEL = 40  # characters


class Meaning(Enum):
    """What a label says of the value beside it."""

    TICKER = "ticker"
    COMPANY = "company name"
    GRADE = "grade"
    PRICE = "price"
    PRE_MARKET = "pre-market price"
    GAP = "gap"
    SCORE = "score"


SYNONYMS: dict[Meaning, tuple[str, ...]] = {
    Meaning.TICKER: ("ticker", "symbol", "stock", "stock symbol", "ticker symbol"),
    Meaning.COMPANY: ("company", "company name", "name"),
    Meaning.GRADE: ("grade", "rating", "letter grade", "overall grade", "setup grade"),
    Meaning.PRICE: (
        "price",
        "current price",
        "current",
        "stock price",
        "share price",
        "last price",
        "latest price",
        "market price",
        "price (usd)",
        "price ($)",
        "price (current)",
        "price now",
        "price today",
        "last",
        "last trade",
        "last traded",
        "last traded price",
        "trading at",
        "trading price",
        "now trading at",
        "quote",
    ),
    Meaning.PRE_MARKET: (
        "pre-market price",
        "premarket price",
        "price (pre-market)",
        "price (premarket)",
        "pre-market",
        "premarket",
        "pre-mkt price",
    ),
    Meaning.GAP: (
        "gap",
        "gap %",
        "gap%",
        "gap (%)",
        "gap amount",
        "gap open",
        "gap at open",
        "open gap",
        "size of gap",
        "gap size",
        "gap size %",
        "gap size (%)",
        "gap up",
        "gap-up",
        "gap up %",
        "gap-up %",
        "gap-up size",
        "gap up size",
        "gap from close",
        "gap from prev close",
        "gap from previous close",
        "gap vs prev close",
        "gap vs close",
        "gap change",
        "gap percentage",
        "gap percent",
        "gap down",
        "gap-down",
        "gapped",
        "gapped up",
        "gapped down",
        "gapping up",
        "gapping down",
        "earnings gap",
        "earnings gap-up",
        "earnings gap up",
        "post-earnings gap",
        "price gap",
        "opening gap",
        "overnight gap",
        "pre-market gap",
        "premarket gap",
        "gap (pre-market)",
    ),
    Meaning.SCORE: (
        "score",
        "pts",
        "points",
        "total pts",
        "total points",
        "/ 100",
        "/ 100 pts",
        "/ 100 points",
        "out of 100",
        "of 100",
        "pts / 100",
        "points / 100",
        "pts out of 100",
        "points out of 100",
        "total / 100",
    ),
}

_MEANINGS = {words: meaning for meaning, listed in SYNONYMS.items() for words in listed}
_SCORE_KINDS = (
    r"(?:(?:5|five)[- ](?:factor|element|point|component) )?"
    r"(?:(?:total|overall|weighted|composite|final|backtest|backtesting|aggregate|combined) ){0,3}"
)
_SCORE_SCALE = r"(?: ?/ ?100| \((?:out of|max|of) 100\)| \(0-100\)| \(/ ?100\))?"
_SCORE_LABEL = re.compile(rf"{_SCORE_KINDS}score{_SCORE_SCALE}(?: / grade [a-d]| / grade)?")


@lru_cache(maxsize=50_000)
def plain(text: str) -> str:
    """``text`` with one kind of dash and without stars, emoji and bullets around it."""
    shown = text if text.isascii() else text.translate(_DASHES)
    first, last = shown[:1], shown[-1:]
    if (first.isalnum() or first in _LEADING) and (last.isalnum() or last in _TRAILING):
        return shown
    return _EDGES.sub("", shown).strip()


@lru_cache(maxsize=50_000)
def meaning_of(text: str) -> Meaning | None:
    """What ``text`` labels, or None if it is no label of the table."""
    head, dash, _ = text.partition(" - ")
    if dash and len(head) <= _LONGEST_LABEL and meaning_of(head) is Meaning.SCORE:
        return Meaning.SCORE  # what follows the dash remarks on the score
    if len(text) > _LONGEST_LABEL:
        return None
    words = _NUMBERING.sub("", plain(text).casefold()).rstrip(" :").replace("/100", "/ 100")
    meaning = _MEANINGS.get(words)
    if meaning is None and "score" in words and _SCORE_LABEL.fullmatch(words):
        return Meaning.SCORE
    return meaning
