"""The texts of a page that belong to candidates: total scores, tickers and prices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from livekit.reports.page import Leaf, Page
from livekit.reports.words import (
    Meaning,
    as_grade,
    grade_word,
    meaning_of,
    read_money,
    read_score,
    read_ticker,
    stated_score,
)

__all__ = ["Signs", "is_name", "partner", "read_signs"]

_LONGEST_NAME = 80  # characters
_NAME = re.compile(r"(?!\d+[^A-Za-z\d])(?=.*[a-z])[^$%]*\Z")


@dataclass(frozen=True, slots=True)
class Signs:
    """What was read where: position of a text to its value, in reading order."""

    scores: dict[int, float]
    tickers: dict[int, str]
    prices: dict[int, Decimal]


def read_signs(page: Page) -> Signs:
    """Collect every total score, ticker and price of the page in one pass."""
    scores, tickers, prices = {}, {}, {}
    for leaf in page.leaves:
        score = _score_at(page, leaf)
        if score is not None:
            scores[leaf.index] = score
        price = read_money(leaf.text)
        if price is not None:
            prices[leaf.index] = price
        ticker = read_ticker(leaf.text)
        if ticker and not _is_letter_or_label(page, leaf):
            tickers[leaf.index] = ticker
    return Signs(scores, tickers, prices)


def partner(page: Page, leaf: Leaf) -> Leaf | None:
    """The other text of a block that holds exactly two: a label's value, or a value's label."""
    others = page.beside(leaf)
    return others[0] if len(others) == 1 else None


def is_name(text: str) -> bool:
    """Whether a text could be a company's name: words, and no label, figure or grade."""
    if len(text) > _LONGEST_NAME or not text.isprintable() or not _NAME.match(text):
        return False
    return not (meaning_of(text) or grade_word(text) or stated_score(text))


def _score_at(page: Page, leaf: Leaf) -> float | None:
    stated = stated_score(leaf.text)
    if stated is not None or meaning_of(leaf.text) is not Meaning.SCORE:
        return stated
    value = partner(page, leaf)
    return read_score(value.text) if value else None


def _is_letter_or_label(page: Page, leaf: Leaf) -> bool:
    """A text that reads as a ticker but is a grade's letter, a known label or names a figure.

    Before a company's name it is a ticker all the same: C is Citigroup, GAP is Gap Inc.
    """
    if meaning_of(leaf.text):
        follower = page.follower(leaf)
        return follower is None or not is_name(follower.text)
    beside = partner(page, leaf)
    if as_grade(leaf.text):
        return beside is None or beside.index < leaf.index or not is_name(beside.text)
    return beside is not None and beside.text[:1].isdigit()
