"""Read one card: every field by its label, its form or its place, and say what does not fit.

A label and its value stand in one row, in either order, or in one text. Whatever does not fit is a
*trouble* of the card: a text for the operator, and a suspicion for the page. Nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from livekit.model import Grade
from livekit.reports.figures import (
    factor_gap,
    is_factor_detail,
    labelled_parts,
    may_hold_price,
    mentions_gap,
    read_labelled_percent,
    read_money,
    read_percent,
)
from livekit.reports.labels import Meaning, meaning_of
from livekit.reports.page import Block, Leaf, Page
from livekit.reports.signs import Signs, labelled_value, names_total, partner
from livekit.reports.words import as_grade, as_name, grade_word, is_sector

__all__ = ["Card", "CardReader"]

_PLAUSIBLE_PRICE_USD = (0.001, 1_000_000.0)
_PLAUSIBLE_GAP_PCT = (-90.0, 400.0)
_PLAUSIBLE_SCORE = (0.0, 100.0)
_FARTHEST_PRE_MARKET = 0.05  # of the price; more is a contradiction
_FARTHEST_FACTOR_GAP = 1.0  # percentage points; names of factors carry rounded gaps
_SHOWN_VALUES = 4
_WEIGHT = re.compile(r"\( ?(?:30|20|15|10) ?% ?(?:weight)?\)", re.IGNORECASE)
_NOT_GIVEN = frozenset({"n/a", "na", "none", "unknown"})
_NAME_REACH = 3  # texts after the ticker among which the company's name is looked for
_LONGEST_FIGURE = 60  # characters; longer texts are prose
_HEAD_TEXTS = 12  # a bare price stands among the first texts of a card
_DIGIT = re.compile(r"\d")
_PLAIN_LABELS = frozenset({Meaning.PRICE, Meaning.PRE_MARKET, Meaning.GAP, Meaning.SCORE})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Card:
    """What one card says. Missing values are None; each thing not understood is a trouble.

    ``hides_price`` when no price was read and some text of the card may still hold one.
    """

    block: Block
    ticker: str | None
    company_name: str | None
    grade: Grade | None
    score: float | None
    price: Decimal | None
    gap_pct: float | None
    troubles: tuple[str, ...]
    from_table: bool = False
    gap_by_factor: bool = False
    hides_price: bool = True
    total_of_five: bool = False
    places: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> tuple[str, str]:
        """What the page's author calls such a block: its tag, class and id."""
        return self.block.tag, self.block.style_name

    @property
    def label(self) -> str:
        """How notes call the card."""
        return self.ticker or f"card at text {self.block.start}"


class CardReader:
    """Reads one card, noting every trouble on the way."""

    def __init__(self, page: Page, signs: Signs, block: Block) -> None:
        self._page = page
        self._signs = signs
        self._block = block
        self._leaves = page.inside(block)
        named = ((leaf, meaning_of(leaf.text)) for leaf in self._leaves)
        self._labels = [(leaf, meaning) for leaf, meaning in named if meaning]
        self._parts = [part for leaf in self._leaves for part in labelled_parts(leaf.text)]
        self._troubles: list[str] = []
        self._grades: dict[int, Grade] = {}
        self._gap_by_factor = False
        self._head = self._find_head()
        for leaf in self._leaves:
            grade = self._grade(leaf)
            if grade:
                self._grades[leaf.index] = grade

    def card(self) -> Card:
        """The card, with whatever could be read."""
        subject = self._signs.subjects[self._head.index] if self._head else None
        name = self._company_name()
        grade = self._agreed("grade", list(self._grades.values()))
        score = self._agreed("score", self._scores())
        self._plausible("score", score, _PLAUSIBLE_SCORE)
        price, gap = self._price(), self._gap()
        self._troubles += self._named_otherwise()
        self._troubles += self._repeated()
        ticker = subject.ticker if subject else None
        return Card(
            block=self._block,
            ticker=ticker,
            company_name=name,
            grade=grade,
            score=score,
            price=price,
            gap_pct=gap,
            troubles=tuple(self._troubles),
            gap_by_factor=self._gap_by_factor,
            hides_price=price is None and any(may_hold_price(leaf.text) for leaf in self._leaves),
            total_of_five=any(leaf.index in self._signs.of_five for leaf in self._leaves),
            places=tuple(self._places(name, price, gap)),
        )

    def _places(
        self, name: str | None, price: Decimal | None, gap: float | None
    ) -> Iterator[tuple[str, str]]:
        """For each field the first text of the card that gives it."""
        tests: tuple[tuple[str, Callable[[Leaf], bool]], ...] = (
            ("ticker", lambda leaf: leaf is self._head),
            ("company name", lambda leaf: name is not None and name in leaf.text),
            ("grade", lambda leaf: leaf.index in self._grades),
            ("score", lambda leaf: leaf.index in self._signs.scores),
            ("price", lambda leaf: price is not None and _money_in(leaf.text) == price),
            ("gap", lambda leaf: gap is not None and _gap_in(leaf.text) == gap),
        )
        for what, fits in tests:
            leaf = next(filter(fits, self._leaves), None)
            if leaf is not None:
                yield what, leaf.text

    # ------------------------------------------------------------------------------ the stock

    def _find_head(self) -> Leaf | None:
        """The text that names the card's stock: the first sure one, else the first with a name."""
        named = [leaf for leaf in self._leaves if leaf.index in self._signs.subjects]
        sure = [leaf for leaf in named if leaf.index in self._signs.named]
        if not named:
            self._troubles.append("ticker not found")
            return None
        head = (sure or named)[0]
        others = {self._signs.subjects[leaf.index].ticker for leaf in sure or named[:1]}
        if len(others) > 1:
            shown = " and ".join(sorted(others)[:_SHOWN_VALUES])
            self._troubles.append(f"ticker is given as {shown} ({len(others)} values)")
        return head

    def _company_name(self) -> str | None:
        """The name in the ticker's text, after it, or above it; a sector behind it is cut off."""
        if self._head is None:
            return None
        name = self._signs.subjects[self._head.index].name or self._named_by_element()
        if name is None:
            after, before = self._name_after(self._head), self._name_before(self._head)
            name = after or before
            if before and self._stands_in_row(self._head, -1) > self._stands_in_row(self._head, 1):
                name = before  # the row of the ticker names it
            elif after and before and after != before:
                self._troubles.append(f"company name may be {before!r} or {after!r}")
        return name

    def _stands_in_row(self, head: Leaf, step: int) -> bool:
        return self._page.row_of(head).holds(head.index + step)

    def _named_by_element(self) -> str | None:
        """The name in an element of the head that is called company or name."""
        head = self._head
        start = max(self._block.start, head.index - 2) if head else 0
        near = self._page.leaves[start : min(self._block.stop, start + 3 + _NAME_REACH)]
        found = [
            name
            for leaf in near
            if leaf is not head
            and (leaf.block.hints("company") or leaf.block.hints("name"))
            and (name := as_name(leaf.text, called_name=True))
        ]
        return found[0] if len(set(found)) == 1 else None

    def _name_after(self, head: Leaf) -> str | None:
        """The next text that can be a name, grades and figures between aside."""
        last = min(self._block.stop, head.index + 1 + _NAME_REACH)
        for leaf in self._page.leaves[head.index + 1 : last]:
            name = as_name(leaf.text)
            if name:
                return name if self._stands_free(leaf) else None
            if is_sector(leaf.text) or meaning_of(leaf.text):
                return None
        return None

    def _stands_free(self, leaf: Leaf) -> bool:
        """The text is no label: nothing like a figure is its only neighbour."""
        beside = partner(self._page, leaf)
        if beside is None or beside is self._head:
            return True
        return not (beside.text[:1].isdigit() or beside.text[:1] in "+-$")

    def _name_before(self, head: Leaf) -> str | None:
        before = head.index - 1
        if not self._block.holds(before):
            return None
        leaf = self._page.leaves[before]
        return as_name(leaf.text) if self._stands_free(leaf) else None

    # ------------------------------------------------------------------------ grade and score

    def _grade(self, leaf: Leaf) -> Grade | None:
        if leaf is self._head or len(leaf.text) > _LONGEST_FIGURE * 2:
            return None
        return as_grade(leaf.text) or grade_word(leaf.text)

    def _scores(self) -> list[float]:
        scores = self._signs.scores
        return [scores[leaf.index] for leaf in self._leaves if leaf.index in scores]

    # --------------------------------------------------------------------------- price and gap

    def _price(self) -> Decimal | None:
        """The current price: labelled, else the only figure of money that nothing labels.

        A pre-market price counts when it is the card's only current price.
        """
        labelled, early = self._money(Meaning.PRICE), self._money(Meaning.PRE_MARKET)
        bare = [] if labelled else self._bare_prices()
        price = self._agreed("price", labelled or bare or early)
        self._troubles += self._other_prices(price, early)
        self._plausible("price", price, _PLAUSIBLE_PRICE_USD)
        return price

    def _other_prices(self, price: Decimal | None, early: list[Decimal]) -> Iterator[str]:
        for other in early:
            if price and abs(other / price - 1) > _FARTHEST_PRE_MARKET:
                yield f"price {price} is far from the pre-market price {other}"
        for other in self._bare_prices(anywhere=True):
            if price and other != price:
                yield f"price is given as {price} and, without a label, {other}"

    def _bare_prices(self, *, anywhere: bool = False) -> list[Decimal]:
        """Money without a label, in the head of the card or anywhere in it."""
        prices = self._signs.prices
        bare = (leaf for leaf in self._leaves if self._is_unlabelled_price(leaf, anywhere=anywhere))
        return [prices[leaf.index] for leaf in bare]

    def _money(self, meaning: Meaning) -> list[Decimal]:
        return list(self._labelled(meaning, lambda text: read_money(text, labelled=True)))

    def _is_unlabelled_price(self, leaf: Leaf, *, anywhere: bool) -> bool:
        """Money, in the head of the card, whose row labels nothing."""
        if leaf.index not in self._signs.prices:
            return False
        if leaf.index in self._signs.subjects:
            return True
        late = leaf.index - self._block.start > _HEAD_TEXTS
        if late and not anywhere and not leaf.block.hints("price"):
            return False
        beside = partner(self._page, leaf)
        if beside is None:
            return not any(map(self._is_label_text, self._loose_neighbours(leaf)))
        return not self._is_label_text(beside)

    def _loose_neighbours(self, leaf: Leaf) -> list[Leaf]:
        """The texts of the leaf's row just before and after it that stand there by themselves.

        A text in a block with others has its label or value there.
        """
        row = self._page.row_of(leaf)
        near = [self._page.leaves[i] for i in (leaf.index - 1, leaf.index + 1) if row.holds(i)]
        return [other for other in near if self._page.row_of(other) is row]

    def _is_label_text(self, leaf: Leaf) -> bool:
        """A text that may name the figure beside it."""
        if leaf is self._head or leaf.text[:1] in "+-(":
            return False
        if labelled_parts(leaf.text) or leaf.index in self._signs.scores:
            return False
        if self._is_name_of_stock(leaf) or is_sector(leaf.text) or grade_word(leaf.text):
            return False
        return sum(map(str.isalpha, leaf.text)) > 1 and not is_factor_detail(leaf.text)

    def _is_name_of_stock(self, leaf: Leaf) -> bool:
        head = self._head
        if head is None or abs(leaf.index - head.index) != 1:
            return False
        if self._signs.subjects[head.index].name:
            return False
        return as_name(leaf.text) is not None

    def _labelled(self, meaning: Meaning, read: Callable[[str], Value | None]) -> Iterator[Value]:
        """The values beside each label of that meaning, and those in one text with it."""
        for leaf, label in self._labels:
            found = labelled_value(self._page, leaf, read) if label is meaning else None
            if found:
                yield found[1]
        for part, text in self._parts:
            if part is meaning and (value := read(text)) is not None:
                yield value

    def _gap(self) -> float | None:
        """The labelled gap, else the one in the name of the gap factor or in a gap element."""
        gaps = list(self._labelled(Meaning.GAP, read_labelled_percent))
        self._troubles += self._downward(gaps)
        factors = self._factor_gaps(gap_labelled=bool(gaps))
        bare = self._bare_gaps()
        gap = self._agreed("gap", gaps or bare or factors)
        if gaps and gap is not None and any(other != gap for other in bare):
            self._troubles.append(f"gap is given as {gap} and, without a label, {bare}")
        self._gap_by_factor = gap is not None and not gaps and not bare
        self._troubles += self._unread_gaps() if gap is None else []
        for other in factors:
            if gap is not None and abs(other - gap) > _FARTHEST_FACTOR_GAP:
                self._troubles.append(f"gap is given as {gap} and, by the factor, {other}")
        self._plausible("gap", gap, _PLAUSIBLE_GAP_PCT)
        return gap

    def _downward(self, gaps: list[float]) -> Iterator[str]:
        """A label that says the gap went down, and a figure without the sign."""
        labels = (leaf.text for leaf, meaning in self._labels if meaning is Meaning.GAP)
        down = next((text for text in labels if text.casefold().rstrip(":").endswith("down")), None)
        if down and any(gap > 0 for gap in gaps):
            yield f"{down!r} labels a gap upwards"

    def _unread_gaps(self) -> Iterator[str]:
        """A label of the gap whose row gives neither a gap nor a factor's points or weight."""
        for leaf in self._leaves:
            if mentions_gap(leaf.text) and factor_gap(leaf.text) == (None, None):
                yield f"{leaf.text!r} is not understood"
            if meaning_of(leaf.text) is Meaning.GAP and leaf is not self._head:
                texts = [other.text for other in self._page.beside(leaf)]
                odd = [text for text in texts if "%" in text or text.casefold() in _NOT_GIVEN]
                points = any(is_factor_detail(text) and "%" not in text for text in texts)
                if not points and any(text.strip("() ") != "25%" for text in odd):
                    yield f"gap {odd[0]!r} is not understood"

    def _factor_gaps(self, *, gap_labelled: bool) -> list[float]:
        found: list[float] = []
        for leaf in self._leaves:
            if "%" not in leaf.text:
                continue
            gap, whole = factor_gap(leaf.text)
            if gap is not None and not labelled_parts(leaf.text):
                found.append(gap)
            elif whole is not None and not gap_labelled and not self._names_weights():
                found.append(whole)
            elif whole is not None and not gap_labelled:
                self._troubles.append(f"{leaf.text!r} may be a gap")
        return found

    def _names_weights(self) -> bool:
        """The names of the factors carry their weights, so a figure there may be one."""
        return any(_WEIGHT.search(leaf.text) for leaf in self._leaves)

    def _bare_gaps(self) -> list[float]:
        """Signed percentages without a label in an element that is called gap."""
        found = ((leaf, read_percent(leaf.text)) for leaf in self._leaves if "%" in leaf.text)
        called = ((leaf, gap) for leaf, gap in found if leaf.block.hints("gap"))
        return [gap for leaf, gap in called if gap is not None and not self._has_label(leaf)]

    def _has_label(self, leaf: Leaf) -> bool:
        beside = partner(self._page, leaf)
        return beside is not None and self._is_label_text(beside)

    # -------------------------------------------------------------------------- what does not fit

    def _agreed(self, what: str, found: Sequence[Value]) -> Value | None:
        """The one value that all places of the card give."""
        different = list(dict.fromkeys(found))
        if len(different) > 1:
            shown = " and ".join(map(str, different[:_SHOWN_VALUES]))
            self._troubles.append(f"{what} is given as {shown} ({len(different)} values)")
        return different[0] if len(different) == 1 else None

    def _plausible(
        self, what: str, value: float | Decimal | None, bounds: tuple[float, float]
    ) -> None:
        if value is not None and not bounds[0] <= value <= bounds[1]:
            self._troubles.append(f"{what} {value} is not plausible")

    def _named_otherwise(self) -> Iterator[str]:
        """A bare score or grade's letter beside an unknown label may be of something else."""
        for leaf in self._leaves:
            bare = leaf.index in self._signs.scores and leaf.text[0].isdigit()
            if not bare and (leaf is self._head or not as_grade(leaf.text)):
                continue
            if leaf.block.hints("score") or names_total(self._page.row_of(leaf)):
                continue
            beside = partner(self._page, leaf)
            if beside and self._is_unknown_label(beside):
                yield f"{leaf.text!r} stands beside {beside.text!r}"

    def _is_unknown_label(self, leaf: Leaf) -> bool:
        known = meaning_of(leaf.text) or grade_word(leaf.text) or as_grade(leaf.text)
        stock = leaf is self._head or self._is_name_of_stock(leaf) or is_sector(leaf.text)
        stock = stock or leaf.index in self._signs.scores
        return leaf.text[0].isalpha() and not known and not stock

    def _repeated(self) -> Iterator[str]:
        """The same label twice with a value: two cards may have been taken for one."""
        plain = (leaf for leaf, meaning in self._labels if meaning in _PLAIN_LABELS)
        told = Counter(leaf.text for leaf in plain if self._is_telling(leaf))
        yield from (f"{text!r} stands {n} times in one card" for text, n in told.items() if n > 1)

    def _is_telling(self, leaf: Leaf) -> bool:
        """A label of the table has a value of its kind."""
        texts = [other.text for other in self._page.beside(leaf)]
        return bool(texts) and not all(map(is_factor_detail, texts))


def _money_in(text: str) -> Decimal | None:
    """The money a text holds, alone or with its label."""
    if not _DIGIT.search(text):
        return None
    parts = (read_money(value, labelled=True) for _, value in labelled_parts(text))
    return read_money(text) or next((part for part in parts if part is not None), None)


def _gap_in(text: str) -> float | None:
    """The percentage a text holds, alone, with its label or in the name of a factor."""
    if not _DIGIT.search(text):
        return None
    alone = read_labelled_percent(text)
    if alone is not None:
        return alone
    parts = (read_labelled_percent(value) for _, value in labelled_parts(text))
    return next((part for part in parts if part is not None), max(factor_gap(text), key=bool))
