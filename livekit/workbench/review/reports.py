"""The session's reports as the operator sees them: what was read, and every card in doubt.

For a card that was not understood the table says what is missing or contradictory, and which
texts of the page were read for it, so that the card can be found on the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from livekit.model import ReportResult
from livekit.trading.desk import Desk
from livekit.trading.intake import Intake, find_reports, take_candidates
from livekit.workbench.tables import NOTHING, Column, Row, Table

__all__ = ["ReportView", "doubts_table", "report_views", "reports_table", "views_of_the_past"]


@dataclass(frozen=True, slots=True)
class ReportView:
    """One report file and what was read from it."""

    path: Path
    result: ReportResult


def report_views(intake: Intake) -> tuple[ReportView, ...]:
    """The reports that an intake has just read, with their files."""
    return tuple(map(ReportView, intake.files, intake.reports))


def views_of_the_past(desk: Desk, session: date) -> tuple[ReportView, ...]:
    """The reports that decided a session, read again to be looked at; nothing is stored.

    A file that is gone, or is another one than then, is left out. Raises `BadInput` for one that
    cannot be read.
    """
    known = {item.sha256 for item in desk.db.get_snapshots(session) if item.kind == "report"}
    files = find_reports(desk.profile.reports_dir, session)
    same = [path for path in files if hashlib.sha256(path.read_bytes()).hexdigest() in known]
    return report_views(take_candidates(desk, session, same)) if same else ()


def reports_table(views: tuple[ReportView, ...], session: date) -> Table:
    """The reports of a session with their verdict."""
    columns = (
        Column("report"),
        Column("verdict"),
        Column("candidates", number=True),
        Column("set aside", number=True),
        Column("in doubt", number=True),
        Column("sha256"),
    )
    rows = tuple(
        Row(
            (
                view.path.name,
                view.result.verdict,
                str(len(view.result.candidates)),
                str(len(view.result.not_candidates)),
                str(len(view.result.suspects)),
                view.result.sha256[:12],
            ),
            "bad" if view.result.verdict == "suspect" else "",
        )
        for view in views
    )
    return Table(f"Reports of {session}", columns, rows)


def doubts_table(views: tuple[ReportView, ...]) -> Table:
    """Every card that was not understood: why, and what the page shows of it."""
    columns = (
        Column("report"),
        Column("card"),
        Column("not understood"),
        Column("read on the page"),
    )
    rows = tuple(row for view in views for row in _doubts(view))
    return Table("Cards in doubt: nothing is bought on these reports", columns, rows)


def _doubts(view: ReportView) -> Iterator[Row]:
    for text in view.result.suspects:
        card, why = _card_of(text, view.result)
        seen = [f"{what} {place!r}" for ticker, what, place in view.result.places if ticker == card]
        told = (str(view.result.report_date), card or "whole page", why, ", ".join(seen) or NOTHING)
        yield Row(told, "bad")


def _card_of(text: str, result: ReportResult) -> tuple[str, str]:
    """A doubt begins with its card's ticker if it belongs to one that could be named."""
    head, mark, rest = text.removeprefix("page: ").partition(": ")
    known = {ticker for ticker, _, _ in result.places}
    known |= {candidate.ticker for candidate in result.candidates}
    is_card = mark and (head in known or head.isupper())
    return (head, rest) if is_card else ("", text)
