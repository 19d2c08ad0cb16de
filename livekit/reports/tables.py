"""Tables whose header cells name tickers and scores: each row is a card.

A column means what its header cell says, whatever its place. Calendars have neither a score nor a
grade in their header and are no tables of candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TypeVar

from livekit.model import Grade
from livekit.reports.figures import (
    may_hold_price,
    read_labelled_percent,
    read_money,
    read_score,
)
from livekit.reports.labels import Meaning, meaning_of
from livekit.reports.page import Block, Page, TableRow
from livekit.reports.readings import Card
from livekit.reports.signs import Signs
from livekit.reports.words import as_grade, as_name, grade_word, read_subject

__all__ = ["table_cards"]

Value = TypeVar("Value")
Columns = dict[Meaning, list[int]]

_TOTAL = {Meaning.SCORE, Meaning.GRADE}


def table_cards(page: Page, signs: Signs) -> list[Card]:
    """The candidates that tables of the page list, in page order."""
    cards: list[Card] = []
    header: TableRow | None = None
    columns: Columns = {}
    for row in page.rows:
        if header is None or row.table is not header.table:
            header, columns = row, _columns(page, row)
        elif _lists_candidates(columns) and len(row.cells) == len(header.cells):
            cards.append(_RowReader(page, signs, row, columns).card())
    return cards


def _columns(page: Page, row: TableRow) -> Columns:
    columns: Columns = {}
    for position, cell in enumerate(row.cells):
        meaning = meaning_of(_text(page, cell))
        if meaning:
            columns.setdefault(meaning, []).append(position)
    return columns


def _lists_candidates(columns: Columns) -> bool:
    return Meaning.TICKER in columns and not _TOTAL.isdisjoint(columns)


def _text(page: Page, cell: Block) -> str:
    return " ".join(leaf.text for leaf in page.inside(cell))


class _RowReader:
    """Reads one row by the meaning of its columns, noting every trouble."""

    def __init__(self, page: Page, signs: Signs, row: TableRow, columns: Columns) -> None:
        self._page = page
        self._signs = signs
        self._row = row
        self._columns = columns
        self._troubles: list[str] = []

    def card(self) -> Card:
        """The row as a card."""
        row = self._row.block
        subject = self._one(Meaning.TICKER, read_subject)
        name = self._one(Meaning.COMPANY, as_name) or (subject.name if subject else None)
        prices = Meaning.PRICE if Meaning.PRICE in self._columns else Meaning.PRE_MARKET
        if subject is None:
            self._troubles.append("ticker not found")
        return Card(
            block=row,
            ticker=subject.ticker if subject else None,
            company_name=name,
            grade=self._one(Meaning.GRADE, _grade),
            score=self._one(Meaning.SCORE, read_score),
            price=self._one(prices, _price),
            gap_pct=self._gap(),
            troubles=tuple(self._troubles),
            from_table=True,
            hides_price=any(may_hold_price(leaf.text) for leaf in self._page.inside(row)),
        )

    def _one(self, meaning: Meaning, read: Callable[[str], Value | None]) -> Value | None:
        """The one value in the columns of that meaning; a cell that is not understood is noted."""
        found: list[Value] = []
        for text in self._cells(meaning):
            value = read(text)
            if value is not None:
                found.append(value)
            elif any(map(str.isalnum, text)) and text.casefold() not in {"n/a", "na"}:
                self._troubles.append(f"{meaning.value} {text!r} is not understood")
        if len(set(found)) > 1:
            self._troubles.append(f"{meaning.value} stands in several columns")
        return found[0] if len(set(found)) == 1 else None

    def _gap(self) -> float | None:
        """The gap; a bare number in a column headed "Gap" is a factor's points."""
        texts = [text for text in self._cells(Meaning.GAP) if "%" in text]
        found = {read_labelled_percent(text, weights=False) for text in texts}
        if len(found) > 1 or None in found:
            self._troubles.append(f"gap {' and '.join(texts)!r} is not understood")
            return None
        return found.pop() if found else None

    def _cells(self, meaning: Meaning) -> Iterator[str]:
        for position in self._columns.get(meaning, []):
            yield _text(self._page, self._row.cells[position])


def _grade(text: str) -> Grade | None:
    return as_grade(text) or grade_word(text)


def _price(text: str) -> Decimal | None:
    return read_money(text, labelled=True)
