"""The fault matrix, rows 54 to 58 and 65: clocks, calendars, halts, redirects."""

import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.config import LiveConfig
from livekit.errors import PlanRefused
from livekit.sessions import (
    close_instant,
    exchange_time,
    is_session,
    is_week_end,
    open_instant,
    sessions_between,
    week_end,
)
from livekit.trading.executor import execute_plan
from livekit.trading.phases import (
    EXECUTION,
    PROTECT,
    PhaseOutcome,
    current_plan,
    due_instant,
    last_instant,
)
from livekit.trading.plans import entry_cutoff
from livekit.workbench.daily import perform_recorded
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    Skewed,
    edited,
    holding,
    inject,
    longest_uncovered_s,
    on_clock,
    planned,
    struck,
)
from tests.trading.world import world

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
    """Five minutes after 09:30 there, winter and summer; on the Monday after each switch too."""
    config = LiveConfig()
    seen = set()
    for session in sessions_between(date(2015, 1, 2), date(2030, 12, 31)):
        opens = exchange_time(open_instant(session))
        assert (opens.date(), opens.hour, opens.minute) == (session, 9, 30)
        due = exchange_time(due_instant(EXECUTION, session))
        assert (due.hour, due.minute) == (9, 15)
        cutoff = entry_cutoff(session, config)
        assert exchange_time(cutoff).strftime("%Y-%m-%d %H:%M") == f"{session} 09:35"
        seen.add((cutoff.hour, cutoff.minute))
    assert seen == {(13, 35), (14, 35)}  # UTC, in summer and in winter


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


CLOSED_TODAY = {
    "is_open": False,
    "next_open": "2020-01-07T09:30:00-05:00",
    "next_close": "2020-01-07T16:00:00-05:00",
}


@pytest.mark.parametrize("after_open_s", [-60.0, 60.0])
def test_row_57_on_a_day_of_which_only_the_venue_knows_that_it_is_closed_nothing_is_bought(
    tmp_path: Path, after_open_s: float
) -> None:
    """A market order would wait at the venue for Tuesday's open."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        sleep_until(w.desk.clock, open_instant(MONDAY) + timedelta(seconds=after_open_s))
        desk = edited(w, "/v2/clock", lambda shown: shown | CLOSED_TODAY)
        assert states(perform_recorded(desk, EXECUTION, MONDAY)) == {"ABC": "clock"}
        assert w.wire.posts() == []
        assert w.db.get_orders() == []


@pytest.mark.parametrize("stuck", [False, True], ids=["its leg wakes", "its leg does not wake"])
def test_row_58_a_halted_ticker_never_delays_the_stop_of_another(
    tmp_path: Path, stuck: bool
) -> None:
    """ABC is halted and its buy waits until the cut-off; DEF fills at once and needs its stop."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        planned(w, MONDAY, ABC, DEF)
        w.halt("ABC")
        if stuck:
            inject(w, FaultRule(FaultKind.STUCK_LEG, symbol="DEF"))
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert w.desk.clock.now() >= w.phase_plan(MONDAY).expires_at
        assert (w.held("ABC"), w.held("DEF")) == (0, 250)  # 10,000 / 40
        assert w.live_sells("DEF") == 250
        assert longest_uncovered_s(w) <= 10.0


def test_row_58_a_stop_that_cannot_be_had_never_delays_the_stop_of_another(tmp_path: Path) -> None:
    """Both stops are gone; orders for ABC, which is looked at first, are lost again and again."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        holding(w, ABC, DEF)
        w.go_to(TUESDAY, "protect")
        for position in w.db.get_open_positions():
            w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(1.0)
        lost = FaultKind.TIMEOUT_BEFORE
        inject(w, FaultRule(lost, method="POST", symbol="ABC", times=3, seconds=1.0))
        w.phase(TUESDAY, "protect")
        assert struck(w) == [lost] * 3
        assert (w.live_sells("ABC"), w.live_sells("DEF")) == (200, 250)
        assert longest_uncovered_s(w, "DEF") <= 10.0


# -------------------------------------------------------------------------------------- the network


def test_row_65_a_redirect_is_not_followed_and_its_order_is_looked_for(tmp_path: Path) -> None:
    """Every request goes to the venue alone; the order that the redirect swallowed is sent anew."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.REDIRECT, method="POST"))
        urls: list[str] = []
        carry = w.wire.inner.send

        def note(request: requests.PreparedRequest, **options: Any) -> requests.Response:
            urls.append(str(request.url))
            return carry(request, **options)

        w.wire.inner.send = note  # type: ignore[method-assign]
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert struck(w) == [FaultKind.REDIRECT]
        assert all(url.startswith(f"{w.venue.base_url}/v") for url in urls)
        posted = w.db.get_orders(intent="entry")
        assert [(item.client_order_id, item.outcome) for item in posted] == [
            ("20200106_ABC_entry_buy", "confirmed")
        ]
        assert len(w.bought("ABC")) == 1
        assert w.held("ABC") == w.live_sells("ABC") == 200


@pytest.mark.parametrize("path", ["/v2/account"])
def test_row_65_a_read_that_is_redirected_for_ever_ends_the_run_with_nothing_sent(
    tmp_path: Path, path: str
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.REDIRECT, method="GET", path=path, times=0))
        assert w.phase(MONDAY, "execution").exit_code == 1
        assert w.wire.posts() == []
        assert w.db.get_orders() == []
