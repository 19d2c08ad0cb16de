"""What a page says around its cards: grades of sections, other matters, counters, "nothing today".

Every text outside the cards that could belong to a candidate must be accounted for. It is left
alone for a stated reason (an upcoming-earnings list, a legend, a stock marked as disqualified), or
it makes the page suspect: that is how a half-read page is noticed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from livekit.model import Grade
from livekit.reports.figures import is_factor_score
from livekit.reports.labels import Meaning, meaning_of
from livekit.reports.page import Block, Leaf, Page
from livekit.reports.readings import Card
from livekit.reports.signs import Signs
from livekit.reports.words import (
    ABBREVIATIONS,
    INDEX_FUNDS,
    as_grade,
    grade_word,
    is_other_matter,
    is_turned_down,
    says_nothing_qualified,
    stocks_rated_in,
    turns_away,
)

__all__ = ["Surroundings"]

_ITEM_TEXTS = 60  # a single stock's block holds fewer texts than this
_HEADING_LETTERS = 90
_A_SCORE = "a total score"
_A_GAP = "a gap"
_SIGNED_PERCENT = re.compile(r"[+−-] ?\d[\d.,]* ?%")
_QUOTE_DEPTH = 4
_QUOTE_TEXTS = 6  # name, figure and change of one fund
_NAMES_A_FUND = re.compile(rf"\b(?:{'|'.join(sorted(INDEX_FUNDS))})\b")
_SUMMARY = re.compile(
    r"(?:top|average|avg\.?|mean|median|highest|lowest|best|max|maximum|min|minimum)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(r"[0-9]{1,4}")
_HEADING_TAGS = frozenset({"h1", "h2", "h3", "h4"})
_GRADE_CONTEXT = ("grade", "point", "success", "rate")


@dataclass(slots=True)
class Surroundings:
    """The texts of a page that stand outside its cards."""

    page: Page
    signs: Signs
    cards: list[Card]
    outside: list[Leaf] = field(init=False)
    _card_starts: list[int] = field(init=False)
    _grades: list[tuple[int, Grade]] = field(init=False)
    _titles: list[Leaf] = field(init=False)
    _run_ends: list[int] = field(init=False)
    _headings: list[tuple[int, Grade]] = field(init=False)
    _tickers: set[str] = field(init=False)
    _subjects: list[int] = field(init=False)
    _lacks_gap: bool = field(init=False)

    def __post_init__(self) -> None:
        """Split the page into cards and the rest, and find the headings that govern cards."""
        inside = {i for card in self.cards for i in range(card.block.start, card.block.stop)}
        self.outside = [leaf for leaf in self.page.leaves if leaf.index not in inside]
        self._titles = [leaf for leaf in self.outside if _rank(leaf) in _HEADING_TAGS]
        self._tickers = {card.ticker for card in self.cards if card.ticker}
        self._lacks_gap = any(card.gap_pct is None for card in self.cards)
        self._subjects = sorted(self.signs.subjects)
        self._card_starts = [card.block.start for card in self.cards]
        named = [(leaf, self._grade_named(leaf)) for leaf in self.outside]
        self._grades = [(leaf.index, grade) for leaf, grade in named if grade]
        self._run_ends = _run_ends([grade for _, grade in self._grades])
        self._headings = [
            (leaf.index, grade)
            for leaf, grade in named
            if grade and not self._is_listed_or_counted(leaf, grade)
        ]

    def section_grade(self, card: Card) -> Grade | None:
        """The grade of the heading that governs a card: the nearest one before it."""
        position = bisect_left(self._headings, (card.block.start, "A"))
        return self._headings[position - 1][1] if position else None

    def unaccounted(self) -> Iterator[str]:
        """Each text outside the cards that may belong to a candidate nobody has read."""
        for leaf in self.outside:
            problem = self._problem(leaf)
            if problem and (self._is_missing_gap(problem) or not self.other_matter(leaf)):
                yield f"{problem} outside any card: {leaf.text[:_HEADING_LETTERS]!r}"

    def set_aside(self) -> Iterator[str]:
        """Tickers that are no candidates, with the reason the page gives."""
        for leaf in self.outside:
            reason = self.other_matter(leaf) if leaf.index in self.signs.subjects else None
            if reason:
                yield f"{leaf.text} is no candidate: {reason!r}"

    def misplaced(self, card: Card) -> str | None:
        """Why a card may be no candidate though it reads like one: its heading, title or mark."""
        heading = self._heading_before(card.block.start)
        around = (block for block in card.block.outwards() if block.start > 0)
        titles = [heading] if heading else []
        titles += [self.page.leaves[block.start] for block in around]
        for title in titles:
            if len(title.text) <= _HEADING_LETTERS and turns_away(title.text):
                return title.text
        return self._mark(card.block)

    def _heading_before(self, index: int) -> Leaf | None:
        position = bisect_left(self._titles, index, key=lambda leaf: leaf.index)
        return self._titles[position - 1] if position else None

    def _mark(self, block: Block) -> str | None:
        """A short text in the block that turns its stock down."""
        texts = (leaf.text for leaf in self.page.inside(block))
        short = (text for text in texts if len(text) <= _HEADING_LETTERS)
        return next((text for text in short if is_turned_down(text)), None)

    def nothing_qualified(self) -> str | None:
        """The page's own statement that no stock qualified, or None."""
        return next((leaf.text for leaf in self.outside if says_nothing_qualified(leaf.text)), None)

    def miscounted(self, read: Counter[Grade]) -> Iterator[str]:
        """Counters of the page that disagree with the number of cards ``read`` of a grade."""
        for leaf in self.outside:
            grade, count = grade_word(leaf.text), self._count_beside(leaf)
            if grade and count is not None and count != read[grade]:
                yield f"the page counts {count} of grade {grade}, {read[grade]} were read"

    def other_matter(self, leaf: Leaf) -> str | None:
        """Why a text belongs to something else than the candidates: a title or a mark, or None.

        Looks at each block around the text that holds no card and is not the whole page: one that
        is titled by another matter, or one about a single stock with a mark that turns it down.
        """
        for block in leaf.block.outwards():
            if block.start == 0 or self._holds_card(block):
                return None
            title = self.page.leaves[block.start]
            if self._covers(title, leaf):
                return title.text
            mark = self._mark(block) if self._is_one_stock(block) else None
            if mark:
                return mark
        return None

    def _covers(self, title: Leaf, leaf: Leaf) -> bool:
        """A title announces another matter, and no heading of its rank stands before the text."""
        if len(title.text) > _HEADING_LETTERS or not is_other_matter(title.text):
            return False
        heading = self._heading_before(leaf.index)
        later = heading is not None and heading.index > title.index
        return not (later and heading and _rank(heading) <= _rank(title))

    def _is_one_stock(self, block: Block) -> bool:
        if len(block) > _ITEM_TEXTS:
            return False
        indices = range(block.start, block.stop)
        named = {self.signs.subjects[i].ticker for i in indices if i in self.signs.subjects}
        return len(named) == 1

    def _holds_card(self, block: Block) -> bool:
        position = bisect_left(self._card_starts, block.start)
        return position < len(self._card_starts) and self._card_starts[position] < block.stop

    def _problem(self, leaf: Leaf) -> str | None:
        """What of a candidate a text outside the cards may be; the first rule that fits."""
        text, index = leaf.text, leaf.index
        rules = (
            ("a stock", index in self.signs.subjects and not self._is_quoted(leaf)),
            (_A_SCORE, index in self.signs.scores and not self._is_summary(leaf)),
            ("a price", index in self.signs.prices and not self._is_quoted(leaf)),
            ("a lone letter", as_grade(text) and not self._grade_named(leaf)),
            ("a factor's points", is_factor_score(text)),
            (_A_GAP, self._labels_gap(leaf)),
            ("a stock", not set(stocks_rated_in(text)) <= self._tickers),
        )
        problem = next((what for what, fits in rules if fits), None)
        scores = {card.score for card in self.cards}
        if problem == _A_SCORE and self.signs.scores[index] not in scores:
            return problem
        return None if problem and self._is_about_a_card(leaf) else problem

    def _is_quoted(self, leaf: Leaf) -> bool:
        """A quote of a fund on an index, as market overviews have them."""
        for block in islice(leaf.block.outwards(), _QUOTE_DEPTH):
            if len(block) > _QUOTE_TEXTS or self._holds_card(block):
                return False
            if any(_NAMES_A_FUND.search(other.text) for other in self.page.inside(block)):
                return True
        return False

    def _is_summary(self, leaf: Leaf) -> bool:
        """A figure over all candidates: ``Top Score``, ``Average Score``."""
        near = [leaf, *self.page.beside(leaf)]
        return any(_SUMMARY.match(other.text) for other in near)

    def _is_about_a_card(self, leaf: Leaf) -> bool:
        """The text, or the smallest block around it that names a stock, is about a card's stock."""
        for block in leaf.block.outwards():
            if len(block) > _ITEM_TEXTS or self._holds_card(block):
                return False
            named = self._stocks_in(block)
            if named:
                return named <= self._tickers
        return False

    def _stocks_in(self, block: Block) -> set[str]:
        """The stocks that the texts of a block outside the cards name."""
        if self._holds_card(block):
            return set()
        first = bisect_left(self._subjects, block.start)
        last = bisect_left(self._subjects, block.stop)
        named = {self.signs.subjects[i].ticker for i in self._subjects[first:last]}
        if len(block) == 1:
            named |= set(stocks_rated_in(self.page.leaves[block.start].text))
        return named - ABBREVIATIONS

    def _is_missing_gap(self, problem: str) -> bool:
        """A gap anywhere on the page may be the one that a card lacks."""
        return problem == _A_GAP and self._lacks_gap

    def _labels_gap(self, leaf: Leaf) -> bool:
        if meaning_of(leaf.text) is not Meaning.GAP:
            return False
        return any(_SIGNED_PERCENT.match(other.text) for other in self.page.beside(leaf))

    def _grade_named(self, leaf: Leaf) -> Grade | None:
        """The grade a text speaks of; a lone letter only beside words on grades."""
        letter = None if leaf.index in self.signs.subjects else as_grade(leaf.text)
        if letter is None:
            return grade_word(leaf.text)
        words = " ".join(other.text for other in self.page.beside(leaf)).casefold()
        return letter if any(word in words for word in _GRADE_CONTEXT) else None

    def _is_listed_or_counted(self, leaf: Leaf, grade: Grade) -> bool:
        """A grade named in a legend (with other grades) or beside a number governs no card."""
        if self._count_beside(leaf) is not None:
            return True
        for block in leaf.block.outwards():
            if self._holds_card(block):
                return False
            if self._names_another(block, grade):
                return True
        return True

    def _names_another(self, block: Block, grade: Grade) -> bool:
        """Whether the block names a grade other than ``grade`` outside the cards."""
        position = bisect_left(self._grades, (block.start, "A"))
        if position < len(self._grades) and self._grades[position][1] == grade:
            position = self._run_ends[position]
        return position < len(self._grades) and self._grades[position][0] < block.stop

    def _count_beside(self, leaf: Leaf) -> int | None:
        others = [other.text for other in self.page.beside(leaf)]
        counted = len(others) == 1 and _COUNT.fullmatch(others[0])
        return int(others[0]) if counted else None


def _rank(leaf: Leaf) -> str:
    """The heading tag a text stands in, directly or within one more element; else the lowest."""
    tags = (block.tag for block in islice(leaf.block.outwards(), 2))
    return next((tag for tag in tags if tag in _HEADING_TAGS), "h9")


def _run_ends(grades: list[Grade]) -> list[int]:
    """For each position the first one after it where the grade is another."""
    ends = [len(grades)] * len(grades)
    for position in range(len(grades) - 2, -1, -1):
        same = grades[position] == grades[position + 1]
        ends[position] = ends[position + 1] if same else position + 1
    return ends
