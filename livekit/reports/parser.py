"""One report in, its candidates out, with a verdict on how far it was understood.

- ``ok``: every card was read in full, and nothing else on the page could be a candidate.
- ``empty``: the page itself says that nothing qualified, and nothing on it contradicts that.
- ``suspect``: something that looks like a candidate was not understood, two places contradict each
  other, or a value is not plausible. The candidates are what could be read, for a person to look
  at; nothing may be bought on them.

A file that is not a whole report of the day in its name is refused with `BadInput`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from livekit.errors import BadInput, NotASession
from livekit.model import Candidate, Grade, ReportResult
from livekit.reports.cards import find_cards
from livekit.reports.merging import merge
from livekit.reports.page import Page, read_bytes, read_page
from livekit.reports.readings import Card
from livekit.reports.scoring import grade_of
from livekit.reports.signs import Signs, read_signs
from livekit.reports.surroundings import Surroundings
from livekit.reports.words import MARKUP, dates_in
from livekit.sessions import session_on_or_after, sessions_between

__all__ = ["parse_report", "report_date_of"]

_FILE_NAME = re.compile(r"earnings_trade_analysis_(\d{4}-\d{2}-\d{2})\.html")
_FARTHEST_SESSION = timedelta(days=10)  # no two neighbouring sessions lie farther apart
_LEAST_SCORES = (85.0, 70.0, 55.0)  # of grades A, B and C
_MOST_NOTES = 40
_LONGEST_NOTE = 200
_HEAD_TEXTS = 15  # the date of a report stands in its title or among its first texts


def parse_report(path: Path) -> ReportResult:
    """Read the report at ``path``.

    Returns:
        Candidates in page order, each ticker once, with the verdict described above, the reasons
        in ``notes`` and the sha256 of the file's bytes.

    Raises:
        BadInput: The file is absent, empty, too large, not whole HTML in UTF-8, its name carries
            no date, or the page is dated more than one session from its name.
    """
    report_date = report_date_of(path)
    content = read_bytes(path)
    page = read_page(path, content)
    _require_same_day(path, report_date, page)
    reading = _read(page)
    _require_plain_texts(path, page, reading)
    return ReportResult(
        report_date=report_date,
        candidates=tuple(_candidate(stock, report_date) for stock in reading.stocks),
        verdict=reading.verdict,
        notes=_shortened(reading.troubles + reading.remarks + reading.set_aside),
        sha256=hashlib.sha256(content).hexdigest(),
        not_candidates=_shortened(reading.set_aside),
        suspects=_shortened(reading.troubles),
        places=tuple(
            (stock.card.label, what, text[:_LONGEST_NOTE])
            for stock in reading.stocks
            for what, text in stock.card.places
        ),
    )


def _shortened(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Notes fit for a screen and a database row, whatever a page holds."""
    shown = tuple(note[:_LONGEST_NOTE] for note in notes[:_MOST_NOTES])
    rest = len(notes) - len(shown)
    return (*shown, f"and {rest} more") if rest else shown


def report_date_of(path: Path) -> date:
    """The date in the file's name, ``earnings_trade_analysis_YYYY-MM-DD.html``, or `BadInput`."""
    match = _FILE_NAME.fullmatch(path.name)
    try:
        day = date.fromisoformat(match[1] if match else "")
        session_on_or_after(day)
    except NotASession as error:
        raise BadInput(path, f"report's name carries an unusable date ({error})") from None
    except ValueError:
        wanted = "earnings_trade_analysis_YYYY-MM-DD.html"
        raise BadInput(path, f"report's name carries no date (expected {wanted})") from None
    return day


def _require_same_day(path: Path, report_date: date, page: Page) -> None:
    texts = [page.title, *(leaf.text for leaf in page.leaves[:_HEAD_TEXTS])]
    days = [day for text in texts for day in dates_in(text)]
    if days and not any(_within_a_session(day, report_date) for day in days):
        raise BadInput(path, f"report is named {report_date} and dated {days[0]}")


def _require_plain_texts(path: Path, page: Page, reading: _Reading) -> None:
    """No script stands in a candidate's card, and no name holds markup."""
    cards = {id(stock.card.block): stock.card for stock in reading.stocks}
    for block in (outer for inner in page.scripts for outer in inner.outwards()):
        if id(block) in cards:
            raise BadInput(path, f"report has a script in the card of {cards[id(block)].label}")
    for card in cards.values():
        if card.company_name and not MARKUP.isdisjoint(card.company_name):
            raise BadInput(path, f"report has markup in the company name of {card.label}")


def _within_a_session(one: date, other: date) -> bool:
    """At most one session lies after the earlier day, up to and including the later."""
    first, last = sorted((one, other))
    if last - first > _FARTHEST_SESSION:
        return False
    return len(sessions_between(first + timedelta(days=1), last)) <= 1


# -------------------------------------------------------------------------------- understanding


@dataclass(frozen=True, slots=True)
class _Stock:
    """A card whose grade is settled."""

    card: Card
    grade: Grade
    grade_source: str


@dataclass(frozen=True, slots=True)
class _Reading:
    stocks: tuple[_Stock, ...]
    troubles: tuple[str, ...]
    remarks: tuple[str, ...]
    set_aside: tuple[str, ...]
    nothing_qualified: bool

    @property
    def verdict(self) -> Literal["ok", "empty", "suspect"]:
        if self.troubles:
            return "suspect"
        return "empty" if self.nothing_qualified else "ok"


def _read(page: Page) -> _Reading:
    signs = read_signs(page)
    around = _offered(page, signs, find_cards(page, signs))
    merged, troubles = merge(around.cards)
    troubles += [
        f"{card.label}: stands under {reason!r}"
        for card in around.cards
        if (reason := around.misplaced(card))
    ]
    troubles += around.unaccounted()
    troubles += [f"{tag} elements are not closed properly" for tag in page.unclosed]
    troubles += [f"a hidden text: {text[:60]!r}" for text in page.hidden if "$" in text]
    settled = (_settle_grade(card, around, troubles) for card in merged)
    stocks = tuple(stock for stock in settled if stock)
    statement = around.nothing_qualified()
    troubles += _contradictions(stocks, around.cards, statement)
    counted = Counter(stock.grade for stock in stocks)
    remarks, aside = tuple(around.miscounted(counted)), tuple(around.set_aside())
    return _Reading(stocks, tuple(troubles), remarks, aside, statement is not None)


def _offered(page: Page, signs: Signs, cards: list[Card]) -> Surroundings:
    """The page around its cards, without those a heading turns away and that show no price."""
    around = Surroundings(page, signs, cards)
    kept = [card for card in cards if card.price is not None or not around.misplaced(card)]
    return around if len(kept) == len(cards) else Surroundings(page, signs, kept)


def _settle_grade(card: Card, around: Surroundings, troubles: list[str]) -> _Stock | None:
    """The grade of the card, else of its section, else the one its score stands for."""
    if card.ticker is None:
        return None
    section, due = around.section_grade(card), None if card.score is None else grade_of(card.score)
    if card.grade and section and card.grade != section and not card.from_table:
        troubles.append(f"{card.label}: grade {card.grade} in a section of grade {section}")
    elif (
        not card.grade and section and due not in {None, section} and not _is_border(card, section)
    ):
        troubles.append(f"{card.label}: score {card.score or 0:g} in a section of grade {section}")
    shown = card.grade or section
    grade = shown or due
    if grade is None:
        troubles.append(f"{card.label}: neither a score nor a grade")
    return _Stock(card, grade, "html" if shown else "inferred") if grade else None


def _is_border(card: Card, section: Grade) -> bool:
    """The score is the least of the next better grade, which a section may count to its own."""
    score = card.score
    return score is not None and score in _LEAST_SCORES and grade_of(score - 0.5) == section


def _contradictions(
    stocks: tuple[_Stock, ...], cards: list[Card], statement: str | None
) -> Iterator[str]:
    if cards and statement is not None:
        yield f"the page has candidates and says {statement!r}"
    if not cards and statement is None:
        yield "no candidate was found, and the page does not say that none qualified"
    if len({stock.grade_source for stock in stocks}) > 1:
        yield "some cards show a grade and some do not"
    priced = [stock.card for stock in stocks if stock.card.price is not None]
    kinds = {card.kind for card in priced if card.block.style_name}
    odd = [stock.card for stock in stocks if stock.card.price is None]
    if priced and any(not card.from_table and card.kind not in kinds for card in odd):
        yield "some cards show a price and some do not"
    told = (stock.card for stock in stocks if stock.card.price is not None)
    shown = [card for card in told if not card.gap_by_factor]
    if len({card.gap_pct is None for card in shown}) > 1:
        yield "some cards show a gap and some do not"


def _candidate(stock: _Stock, report_date: date) -> Candidate:
    card = stock.card
    return Candidate(
        ticker=card.label,
        report_date=report_date,
        grade=stock.grade,
        score=card.score,
        price=card.price,
        gap_size=card.gap_pct,
        company_name=card.company_name,
        grade_source=stock.grade_source,
    )
