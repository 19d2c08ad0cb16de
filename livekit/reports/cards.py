"""Find the candidate cards of a page by what they say, and read one card.

A total score is the surest sign of a candidate: legends print ranges, factors print "3/5". A card
is the smallest block around a total score that also holds a ticker and a price. Within a card a
label and its value are the only two texts of a block, in either order.

Whatever does not fit is a *trouble* of the card: a text for the operator, and a suspicion for the
page. Nothing is guessed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from livekit.model import Grade
from livekit.reports.page import Block, Leaf, Page
from livekit.reports.words import (
    Meaning,
    as_grade,
    grade_word,
    is_sector,
    meaning_of,
    mentions_gap,
    read_money,
    read_percent,
    read_score,
    read_ticker,
    stated_score,
)

__all__ = ["Card", "Signs", "find_cards", "read_signs"]

_PLAUSIBLE_PRICE_USD = (0.01, 1_000_000.0)
_PLAUSIBLE_GAP_PCT = (-90.0, 400.0)
_SHOWN_VALUES = 4
_LONGEST_FIGURE = 60  # characters; longer texts are prose

Value = TypeVar("Value")
Figure = TypeVar("Figure", float, Decimal)


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


@dataclass(frozen=True, slots=True)
class Signs:
    """Positions of texts that belong to candidates, in reading order."""

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


def _score_at(page: Page, leaf: Leaf) -> float | None:
    stated = stated_score(leaf.text)
    if stated is not None or meaning_of(leaf.text) is not Meaning.SCORE:
        return stated
    value = _partner(page, leaf)
    return read_score(value.text) if value else None


def _partner(page: Page, leaf: Leaf) -> Leaf | None:
    """The other text of a block that holds exactly two."""
    others = page.beside(leaf)
    return others[0] if len(others) == 1 else None


def _is_letter_or_label(page: Page, leaf: Leaf) -> bool:
    """A text that reads as a ticker but is a grade's letter, a known label or names a figure."""
    if meaning_of(leaf.text):
        return True
    beside = _partner(page, leaf)
    if as_grade(leaf.text):
        return beside is None or not _is_name(beside.text)
    return beside is not None and beside.text[:1].isdigit()


def _is_name(text: str) -> bool:
    """Whether a text could be a company's name: words, and no label, figure or grade."""
    words = sum(char.islower() for char in text) >= 2 and not text[0].isdigit()
    return words and not (meaning_of(text) or grade_word(text) or stated_score(text))


# ------------------------------------------------------------------------------- finding cards


def find_cards(page: Page, signs: Signs) -> list[Card]:
    """The cards of the page in reading order; a score without a card is a card with a trouble."""
    tickers, prices = sorted(signs.tickers), sorted(signs.prices)
    blocks: dict[int, Block] = {}
    for index in signs.scores:
        around = page.leaves[index].block.outwards()
        whole = (b for b in around if _any_in(b, tickers) and _any_in(b, prices))
        block = next(whole, page.leaves[index].block)
        blocks[id(block)] = block
    outermost = _without_nested(blocks.values())
    return [_read_card(page, signs, block) for block in outermost]


def _any_in(block: Block, indices: list[int]) -> bool:
    position = bisect_left(indices, block.start)
    return position < len(indices) and indices[position] < block.stop


def _without_nested(blocks: Iterable[Block]) -> list[Block]:
    kept: list[Block] = []
    for block in sorted(blocks, key=lambda b: (b.start, -b.stop)):
        if not kept or block.start >= kept[-1].stop:
            kept.append(block)
    return kept


# ------------------------------------------------------------------------------ reading a card


def _read_card(page: Page, signs: Signs, block: Block) -> Card:
    leaves = page.inside(block)
    values = _values(page, leaves)
    troubles: list[str] = []
    scores = [signs.scores[leaf.index] for leaf in leaves if leaf.index in signs.scores]
    tickers = [signs.tickers[leaf.index] for leaf in leaves if leaf.index in signs.tickers]
    grades = [grade for leaf in leaves if (grade := _own_grade(signs, leaf))]
    troubles.extend(_named_otherwise(page, signs, leaves))
    gaps = [gap for text in values[Meaning.GAP] if (gap := read_percent(text)) is not None]
    return Card(
        block=block,
        ticker=_agreed("ticker", tickers, troubles, required=True),
        company_name=_company_name(page, signs, leaves, troubles),
        grade=_agreed("grade", grades, troubles),
        score=_plausible(
            "score", _agreed("score", scores, troubles, required=True), 0, 100, troubles
        ),
        price=_price(page, signs, leaves, values, troubles),
        gap_pct=_gap(page, leaves, gaps, troubles),
        troubles=tuple(troubles),
    )


def _values(page: Page, leaves: list[Leaf]) -> dict[Meaning, list[str]]:
    """The text beside or after each known label of the card."""
    values: dict[Meaning, list[str]] = {meaning: [] for meaning in Meaning}
    for leaf in leaves:
        meaning, beside = meaning_of(leaf.text), _partner(page, leaf)
        if meaning and beside:
            values[meaning].append(beside.text)
        label, colon, value = leaf.text.partition(":")
        stated = meaning_of(label) if colon else None
        if stated and value:
            values[stated].append(value.strip())
    return values


def _agreed(
    what: str, found: Sequence[Value], troubles: list[str], *, required: bool = False
) -> Value | None:
    """The one value that all places of the card give."""
    different = list(dict.fromkeys(found))
    if len(different) > 1:
        shown = " and ".join(map(str, different[:_SHOWN_VALUES]))
        troubles.append(f"{what} is given as {shown} ({len(different)} values)")
    elif required and not different:
        troubles.append(f"{what} not found")
    return different[0] if len(different) == 1 else None


def _plausible(
    what: str, value: Figure | None, low: float, high: float, troubles: list[str]
) -> Figure | None:
    if value is not None and not low <= value <= high:
        troubles.append(f"{what} {value} is not plausible")
    return value


def _own_grade(signs: Signs, leaf: Leaf) -> Grade | None:
    letter = None if leaf.index in signs.tickers else as_grade(leaf.text)
    return letter or grade_word(leaf.text)


def _named_otherwise(page: Page, signs: Signs, leaves: list[Leaf]) -> Iterator[str]:
    """A score or a grade's letter beside a label that no rule knows may be of something else."""
    for leaf in leaves:
        lone = leaf.index in signs.scores or _own_grade(signs, leaf) == leaf.text
        beside = _partner(page, leaf) if lone else None
        if beside and _is_unknown_label(beside.text) and not meaning_of(leaf.text):
            yield f"{leaf.text!r} stands beside {beside.text!r}"


def _is_unknown_label(text: str) -> bool:
    known = meaning_of(text) or grade_word(text) or as_grade(text)
    return text[0].isalpha() and not known


def _company_name(page: Page, signs: Signs, leaves: list[Leaf], troubles: list[str]) -> str | None:
    """The name that follows the ticker in the block they share; a sector after a bar is cut off."""
    head = next((leaf for leaf in leaves if leaf.index in signs.tickers), None)
    if head is None:
        return None
    row, after = page.row_of(head), head.index + 1
    before = page.leaves[head.index - 1].text if head is not leaves[0] else ""
    name = page.leaves[after].text.partition(" | ")[0] if row.holds(after) else ""
    if not name or not _is_name(name):
        troubles.append("company name not found after the ticker")
    elif is_sector(name) or " - " in name or _is_name_before(before):
        troubles.append(f"company name {name!r} may be something else")
    return name or None


def _is_name_before(text: str) -> bool:
    return bool(text) and _is_name(text)


def _price(
    page: Page,
    signs: Signs,
    leaves: list[Leaf],
    values: dict[Meaning, list[str]],
    troubles: list[str],
) -> Decimal | None:
    """The current price: labelled, or the only figure of money that nothing labels.

    A pre-market price counts when it is the card's only current price.
    """
    bare = [
        signs.prices[leaf.index]
        for leaf in leaves
        if leaf.index in signs.prices and _is_unlabelled(page, leaf)
    ]
    labelled = [price for text in values[Meaning.PRICE] if (price := read_money(text))]
    early = [price for text in values[Meaning.PRE_MARKET] if (price := read_money(text))]
    price = _agreed("price", labelled + bare or early, troubles, required=True)
    return _plausible("price", price, *_PLAUSIBLE_PRICE_USD, troubles)


def _is_unlabelled(page: Page, leaf: Leaf) -> bool:
    """Nothing in the figure's own block names it; a percentage with its label may stand there."""
    others = [other.text for other in page.beside(leaf)]
    if len(others) == 1 and meaning_of(others[0]) in (Meaning.PRICE, Meaning.PRE_MARKET):
        return False
    return all(read_percent(text) is not None or meaning_of(text) for text in others)


def _gap(page: Page, leaves: list[Leaf], gaps: list[float], troubles: list[str]) -> float | None:
    """The labelled gap; without one, nothing on the card may look like a gap."""
    if not gaps:
        odd = [leaf.text for leaf in leaves if _may_be_gap(page, leaf)]
        troubles.extend(f"{text!r} may be a gap and has no known label" for text in odd[:1])
    gap = _agreed("gap", gaps, troubles)
    return _plausible("gap", gap, *_PLAUSIBLE_GAP_PCT, troubles)


def _may_be_gap(page: Page, leaf: Leaf) -> bool:
    beside = _partner(page, leaf)
    if mentions_gap(f"{leaf.text} {beside.text}" if beside else leaf.text):
        return len(leaf.text) <= _LONGEST_FIGURE
    signed = leaf.text[:1] in "+-" and leaf.text[1:2].isdigit()
    return signed and not (beside and beside.text[:1].isalpha())
