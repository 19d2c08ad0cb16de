"""A table of text as HTML and as plain text, and how numbers become text.

A `Table` holds text only. Every cell, caption and column title is escaped when it becomes HTML, so
a company called ``<img onerror=…>`` is a company with an odd name.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from livekit.sessions import exchange_time

__all__ = [
    "Column",
    "Row",
    "Table",
    "exchange_text",
    "facts_table",
    "market_price",
    "pct",
    "price",
    "to_html",
    "to_text",
    "usd",
]

Tone = Literal["", "warn", "bad"]
Number = Decimal | float | int
LONG_TEXT = 36  # characters; longer cells wrap
NOTHING = "–"  # shown where a value is absent


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title; numbers stand flush right."""

    title: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of text; the tone marks a row whose words already say that it wants attention."""

    cells: tuple[str, ...]
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, columns and rows; each row has as many cells as there are columns.

    Columns without any title have no heading row.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


# -------------------------------------------------------------------------------------- numbers


def _missing(value: Number | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def usd(amount: Number | None, *, signed: bool = False) -> str:
    """Money to the cent: ``1,234.50``, with ``+`` in front of a gain if ``signed``."""
    if amount is None or _missing(amount):
        return NOTHING
    return _without_zero_sign(f"{amount:+,.2f}" if signed else f"{amount:,.2f}")


def price(value: Number | None) -> str:
    """A price to the cent, or with four decimals if it has more than two."""
    if value is None or _missing(value):
        return NOTHING
    return f"{value:,.4f}".removesuffix("00")


def market_price(value: float | None) -> str:
    """A price from market data: cents, or four decimals below $1."""
    if value is None or _missing(value):
        return NOTHING
    return f"{value:,.2f}" if abs(value) >= 1.0 else f"{value:,.4f}"


def pct(value: Number | None, *, signed: bool = True) -> str:
    """A percentage with one decimal: ``+4.2 %``."""
    if value is None or _missing(value):
        return NOTHING
    return _without_zero_sign(f"{value:+.1f}" if signed else f"{value:.1f}") + " %"


def _without_zero_sign(number: str) -> str:
    """What is rounded to nothing is neither a gain nor a loss."""
    return number if any(digit in number for digit in "123456789") else number.lstrip("+-")


def exchange_text(instant: datetime) -> str:
    """An instant on the exchange's wall clock, to the second."""
    return f"{exchange_time(instant):%Y-%m-%d %H:%M:%S} New York"


# ------------------------------------------------------------------------------------- rendering


def to_html(table: Table) -> str:
    """The table as HTML without a script, style or link; all text escaped."""
    titles = "".join(_cell(column.title, 'th scope="col"', column) for column in table.columns)
    head = f"<thead><tr>{titles}</tr></thead>" if table.rows and _titled(table) else ""
    body = "".join(_html_row(row, table.columns) for row in table.rows)
    if not table.rows:
        body = "<tr><td>none</td></tr>"
    caption = html.escape(table.caption, quote=False)
    return f'<table class="lk"><caption>{caption}</caption>{head}<tbody>{body}</tbody></table>'


def _titled(table: Table) -> bool:
    return any(column.title for column in table.columns)


def _html_row(row: Row, columns: tuple[Column, ...]) -> str:
    first, *others = zip(row.cells, columns, strict=True)
    cells = _cell(first[0], 'th scope="row"', first[1])
    cells += "".join(_cell(text, "td", column) for text, column in others)
    tone = f' class="{row.tone}"' if row.tone else ""
    return f"<tr{tone}>{cells}</tr>"


def _cell(text: str, opening: str, column: Column) -> str:
    kind = "n" if column.number else "t" if len(text) > LONG_TEXT else ""
    marked = f' class="{kind}"' if kind else ""
    return f"<{opening}{marked}>{html.escape(text, quote=False)}</{opening[:2]}>"


def to_text(table: Table) -> str:
    """The table in plain text, columns aligned."""
    if not table.rows:
        return f"{table.caption}: none"
    titles = tuple(column.title for column in table.columns)
    lines = [*([titles] if _titled(table) else []), *(row.cells for row in table.rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(table.columns))]
    return "\n".join([table.caption, *(_text_line(line, widths, table.columns) for line in lines)])


def _text_line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    placed = (
        text.rjust(width) if column.number else text.ljust(width)
        for text, width, column in zip(cells, widths, columns, strict=True)
    )
    return "  ".join(placed).rstrip()


def facts_table(caption: str, facts: Iterable[tuple[str, str]]) -> Table:
    """Names and values, one pair a row."""
    rows = tuple(Row((name, value)) for name, value in facts)
    return Table(caption, (Column(""), Column("")), rows)
