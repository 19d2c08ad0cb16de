"""The texts of a page that belong to candidates: total scores, stocks and prices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from livekit.reports.figures import (
    is_factor_detail,
    labelled_parts,
    read_money,
    read_score,
    read_total_of_five,
    stated_score,
)
from livekit.reports.labels import Meaning, meaning_of, plain
from livekit.reports.page import Block, Leaf, Page
from livekit.reports.words import (
    ABBREVIATIONS,
    Subject,
    as_grade,
    as_name,
    grade_word,
    names_firm,
    read_subject,
)

__all__ = ["Signs", "labelled_value", "names_total", "partner", "read_signs"]

Value = TypeVar("Value")

_TITLE_TAGS = frozenset({"h1", "h2", "h3", "h4", "h5"})
_OUTER_TEXTS = 6  # a factor's name, weight, figure and points
_TOTAL_TEXTS = 4  # a total, its unit and a remark
_LONGEST_SIGN = 160  # characters
_BARE_SCORE = re.compile(r"\d{1,3}(?:\.\d+)?")
_SCORE_HINTS = ("score", "points", "pts", "total")
_FACTOR_HINTS = ("item", "factor", "bar", "breakdown", "grid", "element", "component")


@dataclass(frozen=True, slots=True)
class Signs:
    """What was read where: position of a text to its value, in reading order.

    ``named`` are the positions of subjects that their surroundings confirm, ``of_five`` those of
    totals on the scale of the factors, ``4.10 / 5.00``, on a page without scores: they mark a
    candidate, and are no scores.
    """

    scores: dict[int, float]
    subjects: dict[int, Subject]
    prices: dict[int, Decimal]
    named: frozenset[int]
    of_five: frozenset[int]

    @property
    def totals(self) -> list[int]:
        """Where candidates are: the total scores, or on a page without any the totals of five."""
        return sorted(self.scores or self.of_five)


def read_signs(page: Page) -> Signs:
    """Collect every total score, stock and price of the page in one pass."""
    scores: dict[int, float] = {}
    subjects: dict[int, Subject] = {}
    prices: dict[int, Decimal] = {}
    for leaf in page.leaves:
        if len(leaf.text) > _LONGEST_SIGN:
            continue
        score = _score_at(page, leaf)
        if score is not None:
            scores[leaf.index] = score
        price = read_money(leaf.text) if "$" in leaf.text else None
        if price is not None:
            prices[leaf.index] = price
        subject = read_subject(leaf.text)
        if subject and (subject.sure or not _is_letter_or_label(page, leaf, subject)):
            subjects[leaf.index] = subject
            if subject.price is not None:
                prices[leaf.index] = subject.price
    named = frozenset(i for i, subject in subjects.items() if _is_confirmed(page, i, subject))
    fives = () if scores else (leaf for leaf in page.leaves if _is_total_of_five(page, leaf))
    of_five = frozenset(leaf.index for leaf in fives)
    return Signs(scores, subjects, prices, named, of_five)


def _is_total_of_five(page: Page, leaf: Leaf) -> bool:
    if meaning_of(leaf.text) is Meaning.SCORE:
        return labelled_value(page, leaf, read_total_of_five) is not None
    parts = labelled_parts(leaf.text)
    return any(what is Meaning.SCORE and read_total_of_five(text) for what, text in parts)


def _is_confirmed(page: Page, index: int, subject: Subject) -> bool:
    """The text alone, its element or a name or price beside it says that it names a stock."""
    leaf = page.leaves[index]
    block = leaf.block
    if subject.sure or block.tag in _TITLE_TAGS or block.hints("ticker") or block.hints("symbol"):
        return True
    row = page.row_of(leaf)
    near = [page.leaves[i].text for i in (index - 1, index + 1) if row.holds(i)]
    return any(as_name(text) or read_money(text) is not None for text in near)


def partner(page: Page, leaf: Leaf) -> Leaf | None:
    """The other text of a block that holds exactly two: a label's value, or a value's label."""
    others = page.beside(leaf)
    return others[0] if len(others) == 1 else None


def labelled_value(
    page: Page, label: Leaf, read: Callable[[str], Value | None]
) -> tuple[Leaf, Value] | None:
    """The text of the label's row that ``read`` understands, and its value.

    Of several the one next to the label counts, on the side on which the row begins with a label.
    """
    row = page.row_of(label)
    if not page.is_short_row(label):
        return None
    values = {
        leaf.index: (leaf, value)
        for leaf in page.inside(row)
        if leaf is not label and (value := read(leaf.text)) is not None
    }
    if not values and (outer := row.parent) and len(outer) <= _OUTER_TEXTS:
        values = _details(page, label, row, outer, read)
    if len(values) == 1:
        found = next(iter(values.values()))
        return found if _belongs(page, label, found[0]) else None
    step = -1 if row.start in values else 1
    return values.get(label.index + step)


def _details(
    page: Page, label: Leaf, row: Block, outer: Block, read: Callable[[str], Value | None]
) -> dict[int, tuple[Leaf, Value]]:
    """The values around a row that only adds the weight to the label of a factor."""
    if not all(is_factor_detail(leaf.text) for leaf in page.inside(row) if leaf is not label):
        return {}
    return {
        leaf.index: (leaf, value)
        for leaf in page.inside(outer)
        if not row.holds(leaf.index) and (value := read(leaf.text)) is not None
    }


def _belongs(page: Page, label: Leaf, value: Leaf) -> bool:
    """No other label stands between a label and its value."""
    low, high = sorted((label.index, value.index))
    return not any(meaning_of(leaf.text) for leaf in page.leaves[low + 1 : high])


def _score_at(page: Page, leaf: Leaf) -> float | None:
    stated = stated_score(leaf.text)
    if stated is not None:
        return stated
    if meaning_of(leaf.text) is Meaning.SCORE:
        found = labelled_value(page, leaf, read_score)
        return found[1] if found else None
    if _BARE_SCORE.fullmatch(leaf.text) and _is_called_score(leaf):
        return None if _has_own_label(page, leaf) else read_score(leaf.text)
    return None


def _is_called_score(leaf: Leaf) -> bool:
    """The element of a bare number, or the one around it, is named after the score."""
    block, outer = leaf.block, leaf.block.parent
    if len(block) > 2 or any(block.hints(word) for word in _FACTOR_HINTS):
        return False
    if outer is not None and len(outer) <= _TOTAL_TEXTS and names_total(outer):
        return True
    named = [block] if outer is None or len(outer) > 1 else [block, outer]
    return any(part.hints(word) for part in named for word in _SCORE_HINTS)


def names_total(block: Block) -> bool:
    """The element is called a total score."""
    return block.hints("total") and block.hints("score")


def _has_own_label(page: Page, leaf: Leaf) -> bool:
    """A bare number beside a single text that names something is read by that label alone."""
    beside = partner(page, leaf)
    if beside is None or read_subject(beside.text) or grade_word(beside.text):
        return False
    return beside.text[:1].isalpha() and not names_total(page.row_of(leaf))


def _neighbours(page: Page, leaf: Leaf) -> list[str]:
    """The next text of the row, and the one after it behind the badge of a ticker in a title.

    In a row of two texts the name of a firm may stand first.
    """
    after = page.leaves[leaf.index + 1 : leaf.index + 3]
    follower = page.follower(leaf)
    if follower and leaf.block.tag in _TITLE_TAGS and grade_word(follower.text):
        return [next_leaf.text for next_leaf in after[1:]]
    before = None if follower else partner(page, leaf)
    if before and names_firm(before.text):
        return [before.text]
    return [follower.text] if follower else []


def _is_letter_or_label(page: Page, leaf: Leaf, subject: Subject) -> bool:
    """A text that reads as a ticker but is a grade's letter, a word, a label or names a figure.

    Before a company's name it is a ticker all the same: C is Citigroup, GAP is Gap Inc.
    """
    text = plain(leaf.text)
    if subject.name:
        return leaf.block.tag not in _TITLE_TAGS
    if as_grade(text) and (leaf.block.hints("grade") or leaf.block.hints("badge")):
        return True
    if meaning_of(text) or subject.ticker in ABBREVIATIONS or as_grade(text):
        return not any(as_name(text) for text in _neighbours(page, leaf))
    beside = partner(page, leaf)
    return beside is not None and (is_factor_detail(beside.text) or beside.text[:1].isdigit())
