"""One stock, several places: a row of a ranking table and a card are one candidate.

The first place gives the order and, where both give a value, the value; later places fill what is
missing. Two places that contradict each other are a trouble. A figure printed with fewer digits is
no contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from livekit.reports.readings import Card

__all__ = ["merge"]


def merge(cards: list[Card]) -> tuple[list[Card], list[str]]:
    """Each ticker's card once, in page order, and what does not fit together.

    A card without a ticker is kept as it is: it can belong to nothing.
    """
    merged: dict[str, Card] = {}
    troubles: list[str] = []
    for card in cards:
        troubles += [f"{card.label}: {text}" for text in card.troubles]
        first = merged.get(card.label)
        if first is None:
            merged[card.label] = card
            continue
        troubles += [f"{card.label}: two places give {text}" for text in _differences(first, card)]
        merged[card.label] = _filled(first, card)
    troubles += [f"{label}: {text}" for label, card in merged.items() for text in _missing(card)]
    return list(merged.values()), troubles


def _missing(card: Card) -> Iterator[str]:
    """What none of the places gives and a candidate has; a page may do without prices."""
    if card.ticker is None:
        return
    if card.score is None and not card.total_of_five:
        yield "score not found"
    if card.price is None and card.hides_price:
        yield "price not found"
    if card.company_name is None:
        yield "company name not found"


def _filled(first: Card, other: Card) -> Card:
    return replace(
        first,
        company_name=first.company_name or other.company_name,
        grade=first.grade or other.grade,
        score=other.score if first.score is None else first.score,
        price=other.price if first.price is None else first.price,
        gap_pct=other.gap_pct if first.gap_pct is None else first.gap_pct,
        hides_price=first.hides_price or other.hides_price,
        total_of_five=first.total_of_five or other.total_of_five,
    )


def _differences(first: Card, other: Card) -> Iterator[str]:
    pairs = (
        ("scores", first.score, other.score),
        ("prices", first.price, other.price),
        ("gaps", first.gap_pct, other.gap_pct),
    )
    for what, one, two in pairs:
        if one is not None and two is not None and not _same_figure(one, two):
            yield f"{what} {one} and {two}"
    if first.grade and other.grade and first.grade != other.grade:
        yield f"grades {first.grade} and {other.grade}"


def _same_figure(one: float | Decimal, two: float | Decimal) -> bool:
    """Equal, or equal when both are rounded to the fewer of their decimals."""
    a, b = _as_printed(one), _as_printed(two)
    exponents = (value.as_tuple().exponent for value in (a, b))
    digits = min(max(0, -exponent) for exponent in exponents if isinstance(exponent, int))
    return abs(a - b) <= Decimal(1).scaleb(-digits) / 2


def _as_printed(figure: float | Decimal) -> Decimal:
    """A price keeps its decimals; of other figures the shortest form is what was printed."""
    return figure if isinstance(figure, Decimal) else Decimal(f"{figure:g}")
