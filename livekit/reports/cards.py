"""Find the candidate cards of a page by what they say.

A total score is the surest sign of a candidate: legends print ranges, factors print "3/5". A card
is the smallest block around a total score that also names a stock, widened as long as nothing of
another stock and no heading of a section comes in. A row of a table whose header cells name
tickers and scores is a card as well.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from livekit.model import Grade
from livekit.reports.page import Block, Leaf, Page
from livekit.reports.readings import Card, CardReader
from livekit.reports.signs import Signs
from livekit.reports.tables import table_cards
from livekit.reports.words import as_grade, grade_word, is_other_matter

__all__ = ["find_cards"]

_SECTION_TAGS = frozenset({"h1", "h2"})
_TITLE_TAGS = frozenset({"h3", "h4"})
_SECTION_TITLE = re.compile(
    r"\b(?:stocks|candidates|picks|opportunit\w+|setups|tier|trades)\b", re.IGNORECASE
)
_LONGEST_CARD = 400  # texts
_LEADING_TEXTS = 4  # a badge or a rank may stand before the block that names the stock
_LONGEST_HEADING = 90  # characters


def find_cards(page: Page, signs: Signs) -> list[Card]:
    """The cards of the page in reading order; a score without a stock is a card with a trouble."""
    rows = table_cards(page, signs)
    read = {i for card in rows for i in range(card.block.start, card.block.stop)}
    subjects = sorted(index for index in signs.named if index not in read)
    finder = _Finder(page, signs, subjects, sorted(read))
    blocks = {id(b): b for i in signs.totals if i not in read for b in [finder.card_around(i)]}
    single = _single(blocks.values(), finder)
    starts = [block.start for block in single]
    whole = [finder.widened(block, starts) for block in single]
    cards = [CardReader(page, signs, block).card() for block in whole]
    return sorted([*rows, *cards], key=lambda card: card.block.start)


def _grade(text: str) -> Grade | None:
    return as_grade(text) or grade_word(text)


def _single(blocks: Iterable[Block], finder: _Finder) -> list[Block]:
    """Blocks of one card each: of nested ones the outer, if it completes the inner one.

    Any other block around cards stands for a total score without a stock of its own, which stays
    outside the cards.
    """
    ordered = sorted(blocks, key=lambda b: (b.start, -b.stop))
    kept: list[Block] = []
    for block in reversed(ordered):  # inner blocks come before the ones around them
        inner: list[Block] = []
        while kept and kept[-1].start < block.stop:
            inner.append(kept.pop())
        if not inner or (len(inner) == 1 and finder.is_part(inner[0], block)):
            kept.append(block)
        else:
            kept.extend(reversed(inner))
    return kept[::-1]


@dataclass(slots=True)
class _Finder:
    """Finds the block of a card; ``taken`` are texts that a table has accounted for."""

    page: Page
    signs: Signs
    subjects: list[int]
    taken: list[int]

    def card_around(self, index: int) -> Block:
        """The smallest block with a stock around the total at ``index``."""
        first = self.page.leaves[index].block
        for block in first.outwards():
            if self._any_in(block, self.taken):
                break
            if self._any_in(block, self.subjects):
                return block
        return first

    def is_part(self, inner: Block, outer: Block) -> bool:
        """The inner block is about the same stock and lacks its price."""
        if len(outer) > _LONGEST_CARD:
            return False
        priced = any(i in self.signs.prices for i in range(inner.start, inner.stop))
        return not priced and self.names(inner) == self.names(outer)

    def widened(self, block: Block, starts: list[int]) -> Block:
        """The largest block around ``block`` that adds more of the same card and no other one."""
        while (parent := block.parent) is not None and self._may_widen(block, parent):
            if bisect_left(starts, parent.stop) - bisect_left(starts, parent.start) > 1:
                break
            block = parent
        return block

    def _may_widen(self, block: Block, parent: Block) -> bool:
        """Whether ``parent`` only adds more of the same card."""
        if len(parent) > _LONGEST_CARD or block.start - parent.start > _LEADING_TEXTS:
            return False
        if parent.start == block.start and parent.stop == block.stop:
            return parent.tag not in {"body", "main"}
        if self._any_in(parent, self.taken) or self.names(parent) != self.names(block):
            return False
        leaves = self.page.leaves
        before, after = leaves[parent.start : block.start], leaves[block.stop : parent.stop]
        if any(_SECTION_TITLE.search(leaf.text) and grade_word(leaf.text) for leaf in before):
            return False
        grades = {grade for leaf in [*before, *after] if (grade := _grade(leaf.text))}
        return len(grades) < 2 and not any(map(self._starts_something_else, [*before, *after]))

    def _starts_something_else(self, leaf: Leaf) -> bool:
        tags = {block.tag for block in islice(leaf.block.outwards(), 2)}
        if tags & _SECTION_TAGS:
            return leaf.index not in self.signs.subjects
        titled = (
            len(leaf.text) <= _LONGEST_HEADING
            and is_other_matter(leaf.text)
            and "to watch" not in leaf.text.casefold()
        )
        return titled and not tags.isdisjoint(_TITLE_TAGS)

    def names(self, block: Block) -> set[str]:
        """The stocks that a block names."""
        first = bisect_left(self.subjects, block.start)
        last = bisect_left(self.subjects, block.stop)
        named = self.subjects[first:last]
        return {self.signs.subjects[index].ticker for index in named}

    @staticmethod
    def _any_in(block: Block, indices: list[int]) -> bool:
        position = bisect_left(indices, block.start)
        return position < len(indices) and indices[position] < block.stop
