"""Candidates of a session: its reports are found, read once, merged and stored.

Once candidates of a session are stored, its reports are never read again: every book and every
replay uses the stored ones. Where ``earnings_trade_candidates_{date}.json`` lies beside a page, it
is the source and the page checks it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from livekit.errors import BadInput
from livekit.model import Candidate, ReportResult
from livekit.reports import cross_checked, parse_candidates_json, parse_report
from livekit.sessions import session_on_or_after
from livekit.strategy.decisions import rank_candidates
from livekit.trading.desk import Desk

__all__ = ["Intake", "find_reports", "take_candidates"]

_NAME = re.compile(r"earnings_trade_analysis_(\d{4}-\d{2}-\d{2})\.html")


@dataclass(frozen=True, slots=True)
class Intake:
    """What a session's reports gave. ``status``: ok, empty, suspect, no_report or stored.

    ``unreadable`` says why a report of the folder could not be read; it makes the session suspect.
    """

    status: str
    candidates: tuple[Candidate, ...]
    reports: tuple[ReportResult, ...] = ()
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def find_reports(folder: Path, session: date) -> tuple[Path, ...]:
    """Report files that belong to ``session``: dated on it, or on a closed day before it."""
    if not folder.is_dir():
        return ()
    dated = ((match[1], path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)))
    return tuple(
        path for day, path in sorted(dated) if session_on_or_after(_day(path, day)) == session
    )


def _read(path: Path) -> ReportResult:
    """A report; where its JSON twin lies beside it, that is the source and the page the check."""
    page = parse_report(path)
    twin = path.with_name(f"earnings_trade_candidates_{page.report_date.isoformat()}.json")
    return cross_checked(parse_candidates_json(twin), page) if twin.exists() else page


def _day(path: Path, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(path, f"its name holds no date ({text})") from error


def take_candidates(desk: Desk, session: date, named: Sequence[Path] | None = None) -> Intake:
    """The session's candidates: the stored ones, else those of its reports.

    ``named`` files replace the search in the reports folder. Raises `BadInput` when one of them
    is absent or cannot be read. A suspect report withholds all candidates, and so does one in the
    folder that cannot be read: exits are decided without it.
    """
    stored = desk.db.get_candidates(session)
    if named is not None:
        return _taken(desk, session, tuple(named), stored)
    if stored is not None:
        return Intake("stored", stored)
    try:
        return _taken(desk, session, find_reports(desk.profile.reports_dir, session), stored)
    except BadInput as error:
        return Intake("suspect", (), unreadable=(str(error),))


def _taken(
    desk: Desk, session: date, files: tuple[Path, ...], stored: tuple[Candidate, ...] | None
) -> Intake:
    if not files:
        return Intake("no_report", (), notes=(f"no report for {session}",))
    reports = tuple(_read(path) for path in files)
    for path, report in zip(files, reports, strict=True):
        if session_on_or_after(report.report_date) != session:
            raise BadInput(path, f"is dated {report.report_date}, not for session {session}")
    notes = tuple(note for report in reports for note in report.notes)
    if any(report.verdict == "suspect" for report in reports):
        return Intake("suspect", (), reports, files, notes)
    ranked = rank_candidates(reports, desk.config.min_grade)
    if stored is not None:
        return Intake("stored", stored, reports, files, notes)
    return Intake("ok" if ranked else "empty", ranked, reports, files, notes)
