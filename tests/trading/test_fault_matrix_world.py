"""The fault matrix, rows 54 to 65: clocks, calendars, prices, reports, plans."""

import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.errors import BadInput, PlanRefused
from livekit.reports import parse_candidates_json
from livekit.sessions import (
    close_instant,
    exchange_time,
    is_session,
    is_week_end,
    open_instant,
    sessions_between,
    week_end,
)
from livekit.trading.executor import accept_plan, execute_plan
from livekit.trading.phases import (
    EXECUTION,
    PROTECT,
    PhaseOutcome,
    current_plan,
    due_instant,
    last_instant,
)
from livekit.trading.plans import export_plan, plan_from_body, read_plan_file
from livekit.workbench.daily import perform_recorded
from tests.trading.faults import (
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    Skewed,
    holding,
    inject,
    longest_uncovered_s,
    on_clock,
    planned,
)
from tests.trading.world import World, world

ABC, DEF = ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0)


def states(outcome: PhaseOutcome) -> dict[str, str]:
    assert outcome.execution is not None, outcome.lines
    return {item.ticker: item.state for item in outcome.execution.entries}


# --------------------------------------------------------------------------- clock and calendar


def test_row_54_without_the_venues_clock_nothing_is_bought_and_all_is_covered(
    tmp_path: Path,
) -> None:
    """The clock endpoint is down at 09:31; on Monday evening the stop of ABC was taken away."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        position = holding(w)
        planned(w, TUESDAY, DEF)
        w.desk.client.cancel_order(str(position.stop_order_id))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=1))
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path="/v2/clock", times=0))
        outcome = w.phase(TUESDAY, "execution")
        assert states(outcome) == {"DEF": "clock"}
        assert w.bought("DEF") == []
        assert w.held("ABC") == w.live_sells("ABC") == 200


@pytest.mark.parametrize("off_s", [-300.0, -3.0, 3.0, 300.0])
def test_row_55_a_host_clock_that_is_off_by_more_than_two_seconds_buys_nothing(
    tmp_path: Path, off_s: float
) -> None:
    """What is held is covered all the same: its stop was taken away on Monday evening."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        position = holding(w)
        planned(w, TUESDAY, DEF)
        w.desk.client.cancel_order(str(position.stop_order_id))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=30))
        desk = on_clock(w, Skewed(w.desk.clock, timedelta(seconds=off_s)))
        assert states(perform_recorded(desk, EXECUTION, TUESDAY)) == {"DEF": "clock"}
        assert w.bought("DEF") == []
        assert w.held("ABC") == w.live_sells("ABC") == 200


@pytest.mark.parametrize("off_s", [-1.0, 1.0])
def test_row_55_a_host_clock_that_is_off_by_a_second_trades(tmp_path: Path, off_s: float) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        sleep_until(w.desk.clock, open_instant(MONDAY) + timedelta(seconds=30))
        desk = on_clock(w, Skewed(w.desk.clock, timedelta(seconds=off_s)))
        assert states(perform_recorded(desk, EXECUTION, MONDAY)) == {"ABC": "sent"}
        assert w.held("ABC") == w.live_sells("ABC") == 200


@pytest.mark.parametrize("off_s", [300.0, 3.0])
def test_row_55_a_venue_clock_that_is_off_by_more_than_two_seconds_buys_nothing(
    tmp_path: Path, off_s: float
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        sleep_until(w.desk.clock, open_instant(MONDAY) - timedelta(seconds=30))
        inject(w, FaultRule(FaultKind.CLOCK_SKEW, times=0, seconds=off_s))
        assert states(w.phase(MONDAY, "execution")) == {"ABC": "clock"}
        assert w.bought("ABC") == []


@pytest.mark.parametrize("days", [-1, 1])
def test_row_55_a_clock_of_another_day_trades_no_plan_of_today(tmp_path: Path, days: int) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.trade(MONDAY)
        planned(w, TUESDAY, ABC)
        desk = on_clock(w, Skewed(w.desk.clock, timedelta(days=days)))
        with pytest.raises(PlanRefused, match="now trades"):
            execute_plan(desk, current_plan(w.desk, TUESDAY))
        assert w.bought("ABC") == []
        assert w.trade(TUESDAY).exit_code == 0  # the clock is right again
        assert len(w.bought("ABC")) == 1


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Pacific/Honolulu", "UTC"])
def test_row_55_a_host_in_another_zone_trades_the_same_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with world(tmp_path, {"ABC": 50.0}) as w:
            w.report(MONDAY, ABC)
            assert w.trade(MONDAY).exit_code == 0
            assert [item.client_order_id for item in w.bought("ABC")] == ["20200106_ABC_entry_buy"]
            (position,) = w.db.get_open_positions()
            assert position.entry_date == MONDAY
            assert w.held("ABC") == w.live_sells("ABC") == 200
    finally:
        monkeypatch.undo()
        time.tzset()


def test_row_56_the_cut_off_is_right_in_new_york_on_every_session_of_sixteen_years() -> None:
    for session in sessions_between(date(2015, 1, 2), date(2026, 6, 30)):
        opens = exchange_time(open_instant(session))
        assert (opens.date(), opens.hour, opens.minute) == (session, 9, 30)
        due = exchange_time(due_instant(EXECUTION, session))
        assert (due.hour, due.minute) == (9, 15)


def test_row_57_holidays_half_days_and_short_weeks_are_respected(tmp_path: Path) -> None:
    """Closed on 20 January 2020; 13:00 on 29 November 2019; Good Friday 2019 was 19 April."""
    half = date(2019, 11, 29)
    assert exchange_time(close_instant(half)).hour == 13
    assert exchange_time(due_instant(PROTECT, half)).strftime("%H:%M") == "12:30"
    assert exchange_time(last_instant(EXECUTION, half)).strftime("%H:%M") == "12:30"
    assert not is_session(date(2019, 4, 19))
    assert is_week_end(date(2019, 4, 18))
    assert week_end(date(2019, 4, 15)) == date(2019, 4, 18)
    with world(tmp_path, {"ABC": 50.0}) as w:
        sent = len(w.wire.sent)
        report = w.trade(date(2020, 1, 20))
        assert (report.exit_code, report.phases[0].status) == (0, "closed")
        assert len(w.wire.sent) == sent


def test_row_58_a_halted_ticker_never_delays_the_stop_of_another(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        planned(w, MONDAY, ABC, DEF)
        w.venue.engine.halt("ABC")  # type: ignore[union-attr]
        sleep_until(w.desk.clock, open_instant(MONDAY) + timedelta(minutes=4, seconds=30))
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert (w.held("ABC"), w.held("DEF")) == (0, 250)  # 10,000 / 40
        assert w.live_sells("DEF") == 250
        assert longest_uncovered_s(w) <= 10.0


def test_row_59_a_week_without_prices_is_put_off_flagged_and_made_up(tmp_path: Path) -> None:
    """Bars end on Wednesday 8 January: Friday's week is not evaluated on Monday, nor held to."""
    monday = date(2020, 1, 13)
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        for session in (TUESDAY, WEDNESDAY, THURSDAY, FRIDAY):
            w.trade(session)
        w.go_to(monday, "signals")
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path="/v2/stocks/bars", times=0))
        failed = w.phase(monday, "signals")
        assert failed.exit_code in (1, 5)
        assert w.db.get_evaluations("ema_p10") == []
        inject(w)
        assert w.phase(monday, "signals").exit_code == 0
        assert [item.week_end for item in w.db.get_evaluations("ema_p10")] == [FRIDAY]


# -------------------------------------------------------------------------- files from outside


@pytest.mark.parametrize(
    "spoil",
    [
        lambda page: page[: len(page) // 2],
        lambda page: page.replace(b"$40.00", b"soon"),
        lambda page: page.replace(b"DEF", b"D\x00F"),
        lambda page: b"\xff\xfe" + page,
    ],
    ids=["cut off", "no price", "NUL", "another charset"],
)
def test_row_60_a_spoilt_report_blocks_entries_and_lets_exits_run(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        position = holding(w)
        w.db.update_position(
            int(position.position_id or 0), pending_reason="trend_break", pending_since=MONDAY
        )
        path = w.report(TUESDAY, ("DEF", 90.0, 40.0))
        path.write_bytes(spoil(path.read_bytes()))
        report = w.trade(TUESDAY)
        assert report.exit_code in (2, 5)
        assert w.bought("DEF") == []
        if report.exit_code == 5:
            assert w.held("ABC") == 0  # its exit ran
        assert w.held("ABC") == w.live_sells("ABC")


def test_row_60_a_report_dated_otherwise_than_its_name_is_refused(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        path = w.report(MONDAY, ABC)
        path.rename(path.with_name(path.name.replace("2020-01-06", "2020-01-09")))
        outcome = w.phase(THURSDAY, "signals")
        assert outcome.exit_code == 2
        assert "is named 2020-01-09 and dated 2020-01-06" in outcome.lines[0]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"report_date": NaN}',
        '{"report_date": 1e999}',
        '{"report_date": true, "candidates": []}',
        "[" * 3000 + "]" * 3000,
        '{"report_date": "\\ud800"}',
        "\x00",
    ],
    ids=["duplicate", "NaN", "huge", "bool", "deep", "surrogate", "NUL"],
)
def test_row_61_json_that_means_two_things_or_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "earnings_trade_candidates_2020-01-06.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput):
        parse_candidates_json(path)
    with pytest.raises(PlanRefused):
        read_plan_file(path)


def exported(w: World) -> Path:
    (path,) = w.profile.signals_dir.glob("*_ema_p10.json")
    return path


def test_row_62_yesterdays_plan_and_an_edited_one_are_refused(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        plan = read_plan_file(exported(w))
        w.go_to(TUESDAY, "execution")
        with pytest.raises(PlanRefused, match="it is for 2020-01-06"):
            accept_plan(w.desk, plan)
        exported(w).write_text(exported(w).read_text().replace('"ABC"', '"DEF"'))
        with pytest.raises(PlanRefused, match="hash"):
            read_plan_file(exported(w))
        assert w.wire.posts() == []


def test_row_63_the_same_signals_under_another_date_are_refused(tmp_path: Path) -> None:
    """Even with the hash made anew: no such plan is stored. Nor are held shares bought twice."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        w.trade(MONDAY)
        w.go_to(TUESDAY, "execution")
        body = w.phase_plan(MONDAY).body.replace("2020-01-06", "2020-01-07")
        path = export_plan(plan_from_body(body), tmp_path, generated_at=w.desk.clock.now())
        with pytest.raises(PlanRefused, match="no plan of this hash"):
            accept_plan(w.desk, read_plan_file(path))
        w.report(TUESDAY, ABC)
        w.trade(TUESDAY)
        assert len(w.bought("ABC")) == 1
        assert [skip.reason for skip in w.phase_plan(TUESDAY).skips] == ["duplicate_ticker"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"quantity":200', '"quantity":1000000'),
        ('"reference_price":"50', '"reference_price":"5000'),
    ],
    ids=["a million shares", "a hundred times the price"],
)
def test_row_64_a_plan_beyond_its_bounds_is_refused_though_it_is_stored(
    tmp_path: Path, old: str, new: str
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        body = w.phase_plan(MONDAY).body
        assert old in body
        forged = plan_from_body(body.replace(old, new))
        stored = w.db.save_plan(forged, at=w.desk.clock.now())
        with pytest.raises(PlanRefused, match="USD, at most 11000"):
            accept_plan(w.desk, plan_from_body(stored.body))
        assert w.wire.posts() == []


# -------------------------------------------------------------------------------------- the network


def test_row_65_a_redirect_is_not_followed_and_its_order_is_looked_for(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.REDIRECT, method="POST"))
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert len(w.bought("ABC")) == 1
        assert w.held("ABC") == w.live_sells("ABC") == 200
