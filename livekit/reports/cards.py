"""Find the candidate cards of a page by what they say, and read each.

A total score is the surest sign of a candidate: legends print ranges, factors print "3/5". A card
is the smallest block around a total score that also holds a ticker and a price. Within a card a
label and its value are the only two texts of a block, in either order.

Whatever does not fit is a *trouble* of the card: a text for the operator, and a suspicion for the
page. Nothing is guessed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from livekit.model import Grade
from livekit.reports.page import Block, Leaf, Page
from livekit.reports.signs import Signs, is_name, partner
from livekit.reports.words import (
    Meaning,
    as_grade,
    grade_word,
    is_factor_detail,
    is_sector,
    meaning_of,
    mentions_gap,
    read_money,
    read_percent,
)

__all__ = ["Card", "find_cards"]

_PLAUSIBLE_PRICE_USD = (0.001, 1_000_000.0)
_PLAUSIBLE_GAP_PCT = (-90.0, 400.0)
_PLAUSIBLE_SCORE = (0.0, 100.0)
_FARTHEST_PRE_MARKET = 0.05  # of the price; more is a contradiction
_SHOWN_VALUES = 4
_LONGEST_FIGURE = 60  # characters; longer texts are prose

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Card:
    """What one card says. Missing values are None; each thing not understood is a trouble."""

    block: Block
    ticker: str | None
    company_name: str | None
    grade: Grade | None
    score: float | None
    price: Decimal | None
    gap_pct: float | None
    troubles: tuple[str, ...]

    @property
    def label(self) -> str:
        """How notes call the card."""
        return self.ticker or f"card at text {self.block.start}"


def find_cards(page: Page, signs: Signs) -> list[Card]:
    """The cards of the page in reading order; a score without a card is a card with a trouble."""
    tickers, prices = sorted(signs.tickers), sorted(signs.prices)
    blocks: dict[int, Block] = {}
    for index in signs.scores:
        around = page.leaves[index].block.outwards()
        whole = (b for b in around if _any_in(b, tickers) and _any_in(b, prices))
        block = next(whole, page.leaves[index].block)
        blocks[id(block)] = block
    return [_Reader(page, signs, block).card() for block in _outermost(blocks.values())]


def _any_in(block: Block, indices: list[int]) -> bool:
    position = bisect_left(indices, block.start)
    return position < len(indices) and indices[position] < block.stop


def _outermost(blocks: Iterable[Block]) -> list[Block]:
    kept: list[Block] = []
    for block in sorted(blocks, key=lambda b: (b.start, -b.stop)):
        if not kept or block.start >= kept[-1].stop:
            kept.append(block)
    return kept


class _Reader:
    """Reads one card, noting every trouble on the way."""

    def __init__(self, page: Page, signs: Signs, block: Block) -> None:
        self._page = page
        self._signs = signs
        self._block = block
        self._leaves = page.inside(block)
        self._troubles: list[str] = []

    def card(self) -> Card:
        """The card, with whatever could be read."""
        ticker = self._agreed("ticker", self._found(self._signs.tickers), required=True)
        name = self._company_name()
        grade = self._agreed("grade", [g for leaf in self._leaves if (g := self._grade(leaf))])
        score = self._agreed("score", self._found(self._signs.scores), required=True)
        self._plausible("score", score, _PLAUSIBLE_SCORE)
        price, gap = self._price(), self._gap()
        self._troubles += self._named_otherwise()
        self._troubles += self._labels_without_value()
        self._troubles += self._repeated()
        return Card(self._block, ticker, name, grade, score, price, gap, tuple(self._troubles))

    def _found(self, signs: dict[int, Value]) -> list[Value]:
        return [signs[leaf.index] for leaf in self._leaves if leaf.index in signs]

    def _agreed(self, what: str, found: Sequence[Value], *, required: bool = False) -> Value | None:
        """The one value that all places of the card give."""
        different = list(dict.fromkeys(found))
        if len(different) > 1:
            shown = " and ".join(map(str, different[:_SHOWN_VALUES]))
            self._troubles.append(f"{what} is given as {shown} ({len(different)} values)")
        elif required and not different:
            self._troubles.append(f"{what} not found")
        return different[0] if len(different) == 1 else None

    def _plausible(
        self, what: str, value: float | Decimal | None, bounds: tuple[float, float]
    ) -> None:
        if value is not None and not bounds[0] <= value <= bounds[1]:
            self._troubles.append(f"{what} {value} is not plausible")

    def _labelled(self, meaning: Meaning) -> Iterator[str]:
        """The texts beside, or after the colon of, each label of that meaning."""
        for leaf in self._leaves:
            if meaning_of(leaf.text) is meaning:
                value = partner(self._page, leaf)
                if value:
                    yield value.text
            label, colon, stated = leaf.text.partition(":")
            if colon and meaning_of(label) is meaning:
                yield stated.strip()

    def _grade(self, leaf: Leaf) -> Grade | None:
        letter = None if leaf.index in self._signs.tickers else as_grade(leaf.text)
        return letter or grade_word(leaf.text)

    def _company_name(self) -> str | None:
        """The name that follows the ticker in their common row; a sector after a bar is cut off."""
        head = next((leaf for leaf in self._leaves if leaf.index in self._signs.tickers), None)
        if head is None:
            return None
        row, follower = self._page.row_of(head), self._page.follower(head)
        name = follower.text.partition(" | ")[0] if follower else ""
        if not follower or not is_name(name) or not self._stands_free(follower, row):
            self._troubles.append("company name not found after the ticker")
        elif is_sector(name) or " - " in name or self._name_stands_before(head):
            self._troubles.append(f"company name {name!r} may be something else")
        return name or None

    def _stands_free(self, leaf: Leaf, row: Block) -> bool:
        """The text belongs to ``row`` itself, or to a smaller block with its sector alone."""
        own = self._page.row_of(leaf) is row
        return own or all(is_sector(other.text) for other in self._page.beside(leaf))

    def _name_stands_before(self, head: Leaf) -> bool:
        before = head.index - 1
        return self._block.holds(before) and is_name(self._page.leaves[before].text)

    def _price(self) -> Decimal | None:
        """The current price: labelled, or the only figure of money that nothing labels.

        A pre-market price counts when it is the card's only current price.
        """
        prices = self._signs.prices
        bare = [prices[leaf.index] for leaf in self._leaves if self._is_unlabelled_price(leaf)]
        labelled, early = self._money(Meaning.PRICE), self._money(Meaning.PRE_MARKET)
        price = self._agreed("price", labelled + bare or early, required=True)
        for other in early:
            if price and abs(other / price - 1) > _FARTHEST_PRE_MARKET:
                self._troubles.append(f"price {price} is far from the pre-market price {other}")
        self._plausible("price", price, _PLAUSIBLE_PRICE_USD)
        return price

    def _money(self, meaning: Meaning) -> list[Decimal]:
        amounts = (read_money(text) for text in self._labelled(meaning))
        return [amount for amount in amounts if amount is not None]

    def _is_unlabelled_price(self, leaf: Leaf) -> bool:
        """Money whose row names nothing; a percentage and its label may stand there."""
        if leaf.index not in self._signs.prices or not self._page.is_short_row(leaf):
            return False
        others = [other.text for other in self._page.beside(leaf)]
        if len(others) == 1 and meaning_of(others[0]) in (Meaning.PRICE, Meaning.PRE_MARKET):
            return False
        return all(read_percent(text) is not None or meaning_of(text) for text in others)

    def _gap(self) -> float | None:
        """The labelled gap; without one, nothing on the card may look like a gap."""
        texts = self._labelled(Meaning.GAP)
        gaps = [gap for text in texts if (gap := read_percent(text)) is not None]
        if not gaps:
            odd = [leaf.text for leaf in self._leaves if self._may_be_gap(leaf)]
            self._troubles += [f"{text!r} may be a gap and has no known label" for text in odd[:1]]
        gap = self._agreed("gap", gaps)
        self._plausible("gap", gap, _PLAUSIBLE_GAP_PCT)
        return gap

    def _may_be_gap(self, leaf: Leaf) -> bool:
        beside = partner(self._page, leaf)
        if mentions_gap(f"{leaf.text} {beside.text}" if beside else leaf.text):
            return len(leaf.text) <= _LONGEST_FIGURE
        signed = leaf.text[:1] in "+-" and leaf.text[1:2].isdigit()
        return signed and not (beside and beside.text[:1].isalpha())

    def _named_otherwise(self) -> Iterator[str]:
        """A bare score or grade's letter beside an unknown label may be of something else."""
        for leaf in self._leaves:
            bare = leaf.index in self._signs.scores and leaf.text[0].isdigit()
            lone = bare or (as_grade(leaf.text) and leaf.index not in self._signs.tickers)
            beside = partner(self._page, leaf) if lone else None
            if beside and _is_unknown_label(beside.text):
                yield f"{leaf.text!r} stands beside {beside.text!r}"

    def _repeated(self) -> Iterator[str]:
        """The same telling text twice: two cards may have been taken for one."""
        told = Counter(leaf.text for leaf in self._leaves if self._is_telling(leaf))
        yield from (f"{text!r} stands {n} times in one card" for text, n in told.items() if n > 1)

    def _is_telling(self, leaf: Leaf) -> bool:
        """A total score, a price that nothing labels, or a label with its price or gap."""
        if leaf.index in self._signs.scores or self._is_unlabelled_price(leaf):
            return True
        value = partner(self._page, leaf) if meaning_of(leaf.text) else None
        return value is not None and (
            read_money(value.text) is not None or read_percent(value.text) is not None
        )

    def _is_read(self, leaf: Leaf) -> bool:
        return leaf.index in self._signs.scores or leaf.index in self._signs.tickers

    def _labels_without_value(self) -> Iterator[str]:
        """A known label whose row holds neither a value for it nor a factor's points and weight."""
        readers = {Meaning.GAP: read_percent, Meaning.SCORE: lambda _: None}
        for leaf in self._leaves:
            meaning = meaning_of(leaf.text)
            if meaning is None or self._is_read(leaf):
                continue
            texts = [other.text for other in self._page.beside(leaf)]
            value = readers.get(meaning, read_money)(texts[0]) if len(texts) == 1 else None
            if value is None and not (texts and all(map(is_factor_detail, texts))):
                yield f"label {leaf.text!r} has no value beside it"


def _is_unknown_label(text: str) -> bool:
    known = meaning_of(text) or grade_word(text) or as_grade(text)
    return text[0].isalpha() and not known
