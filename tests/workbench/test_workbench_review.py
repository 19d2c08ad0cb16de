"""What the books tell of sessions that are over, on a small market with prices known by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np

from livekit.model import PROTECTIVE_STOP, DailyBars, Position
from livekit.trading.phases import COMPARISON, EXECUTION, RECONCILIATION, SIGNALS
from livekit.workbench.daily import start_record
from livekit.workbench.review.past import (
    as_it_was,
    closed_in,
    completed_run,
    curves_until,
    held_after,
    known_until,
    recorded_lines,
    twin_trades,
)
from livekit.workbench.review.reports import (
    doubts_table,
    report_views,
    reports_table,
    views_of_the_past,
)
from livekit.workbench.tables import to_text
from tests.trading.world import World, world

MONDAY, TUESDAY, WEDNESDAY = date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 8)
FRIDAY = date(2020, 1, 3)


def held(w: World, session: date, phase: str) -> list[str]:
    return [item.ticker for item in held_after(w.db, session, phase)]


def test_a_past_session_shows_what_was_held_closed_and_earned_then(tmp_path: Path) -> None:
    """ABC is bought on Monday at 50 and stopped on Tuesday at 45 × 0.995; DEF bought on Tuesday."""
    bars = {("ABC", TUESDAY): (50.0, 50.0, 44.0, 44.0)}
    with world(tmp_path, {"ABC": 50.0, "DEF": 20.0}, bars) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.report(TUESDAY, ("DEF", 80.0, 20.0))
        for session in (MONDAY, TUESDAY, WEDNESDAY):
            assert w.trade(session).exit_code == 0
        assert [held(w, MONDAY, phase) for phase in (SIGNALS, EXECUTION)] == [[], ["ABC"]]
        assert [held(w, TUESDAY, phase) for phase in (SIGNALS, RECONCILIATION)] == [
            ["ABC"],
            ["DEF"],
        ]
        assert closed_in(w.db, MONDAY) == ()
        for trades in (closed_in(w.db, TUESDAY), twin_trades(w.db, "ema_p10", TUESDAY)):
            (trade,) = trades
            assert (trade.ticker, trade.exit_reason) == ("ABC", PROTECTIVE_STOP)
            assert trade.pnl_usd == -1045.0  # 200 × (44.775 − 50)
        curves = curves_until(w.db, w.desk.config, TUESDAY)
        assert [point.session for point in curves.broker] == [MONDAY, TUESDAY]
        assert curves.shadow[-1].realised == Decimal("-1045.00")


def test_only_a_phase_that_is_done_is_over(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        assert completed_run(w.db, MONDAY, SIGNALS) is None
        w.trade(MONDAY, SIGNALS)
        run = completed_run(w.db, MONDAY, SIGNALS)
        assert run is not None
        assert recorded_lines(run)[0] == "report: ok, 1 candidates"
        failed = start_record(w.desk, SIGNALS, TUESDAY)
        w.db.finish_run(failed, at=w.desk.clock.now(), status="failed", exit_code=1)
        assert completed_run(w.db, TUESDAY, SIGNALS) is None


def test_a_phase_before_the_close_knew_the_bars_of_the_session_before() -> None:
    known = [known_until(MONDAY, phase) for phase in (SIGNALS, EXECUTION)]
    assert known == [FRIDAY, FRIDAY]
    assert known_until(MONDAY, COMPARISON) == MONDAY


def test_a_split_after_the_session_looked_at_is_taken_back() -> None:
    """Ten shares bought at 400, two for one on Tuesday, two for one on Wednesday: 40 at 90."""
    sessions = np.array(["2020-01-03", "2020-01-06", "2020-01-07"], dtype="datetime64[D]")
    flat = np.full(3, 200.0)
    bars = DailyBars(
        "ABC", sessions, flat, flat, flat, flat, flat, flat, flat, np.array([1.0, 1.0, 2.0])
    )
    position = Position(
        "ABC",
        MONDAY,
        Decimal(400),
        10,
        10,
        Decimal(4000),
        Decimal("90"),  # 360 at the entry, divided by four
        "stop",
        None,  # type: ignore[arg-type]
        split_factor=4.0,
        sold_shares=10,
        pending_reason="trend_break",
        pending_since=WEDNESDAY,
    )
    then = as_it_was(position, bars)
    assert (then.shares_now, then.stop_price) == (20, Decimal("180"))
    assert then.pending_reason is None  # decided a day later


# ---------------------------------------------------------------------------- reports in doubt


def spoilt(path: Path) -> None:
    """The page shows no price for DEF any more."""
    page = path.read_text(encoding="utf-8")
    assert "$20.00" in page
    path.write_text(page.replace("$20.00", "$ soon"), encoding="utf-8")


def test_a_card_in_doubt_is_shown_with_what_was_seen_and_why(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 20.0}) as w:
        spoilt(w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 72.0, 20.0)))
        outcome = w.phase(MONDAY, "signals")
        assert (outcome.exit_code, w.phase_plan(MONDAY).orders) == (5, ())
        assert outcome.signals is not None
        views = report_views(outcome.signals.intake)
        (report,) = reports_table(views, MONDAY).rows
        assert report.cells[0] == "earnings_trade_analysis_2020-01-06.html"
        assert (report.cells[1], report.tone) == ("suspect", "bad")
        (doubt,) = [row for row in doubts_table(views).rows if row.cells[1] == "DEF"]
        assert doubt.cells[2] == "price not found"
        assert "'DEF Company'" in doubt.cells[3]
        assert "72" in doubt.cells[3]


def test_a_report_in_doubt_can_be_looked_at_later_unless_its_file_is_another(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 20.0}) as w:
        path = w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 72.0, 20.0))
        spoilt(path)
        w.phase(MONDAY, "signals")
        (view,) = views_of_the_past(w.desk, MONDAY)
        assert view.result.verdict == "suspect"
        assert w.db.get_candidates(MONDAY) is None  # looking stores nothing
        path.write_text(path.read_text(encoding="utf-8") + "<!-- changed -->", encoding="utf-8")
        assert views_of_the_past(w.desk, MONDAY) == ()
        assert to_text(reports_table((), MONDAY)) == "Reports of 2020-01-06: none"
