"""No order of a plan goes out before books and broker agree, and none is cancelled unrecorded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from livekit.errors import BooksDiffer, VenueUnavailable
from livekit.trading.clearance import forced_past, note_forced
from livekit.trading.executor import execute_plan
from livekit.trading.phases import run_executor
from livekit.trading.signal_generator import generate_signals
from tests.trading.faults import MONDAY, TUESDAY, dies, edited, holding, leaving, planned, posts
from tests.trading.world import World, world

ABC, DEF = ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0)
PRICES = {"ABC": 50.0, "DEF": 40.0, "GHI": 30.0}


def bought_by_hand(w: World, ticker: str = "GHI") -> None:
    w.desk.client.place_order(ticker, 1, "buy", client_order_id="by-hand-1")


def test_an_execution_reconciles_before_it_sends_and_refuses_what_differs(tmp_path: Path) -> None:
    with world(tmp_path, PRICES) as w:
        planned(w, MONDAY, ABC)
        bought_by_hand(w)
        outcome = run_executor(w.desk, w.phase_plan(MONDAY))
        assert (outcome.exit_code, w.bought("ABC")) == (4, [])
        assert "GHI" in outcome.lines[0]
        assert w.phase_plan(MONDAY).status == "open"  # nothing was sent, so it may be replaced
        assert [item.kind for item in w.db.open_breaks()] == ["foreign_order"]


def test_an_execution_that_cannot_reconcile_sends_nothing(tmp_path: Path) -> None:
    with world(tmp_path, PRICES) as w:
        planned(w, MONDAY, ABC)
        w.wire.rule = lambda method, path: "before" if path == "/v2/account" else None
        with pytest.raises(VenueUnavailable):
            execute_plan(w.desk, w.phase_plan(MONDAY))
        w.wire.rule = lambda method, path: None
        assert w.bought("ABC") == []


def test_shares_are_covered_although_books_and_broker_differ(tmp_path: Path) -> None:
    with world(tmp_path, PRICES) as w:
        position = holding(w)
        planned(w, TUESDAY, DEF)
        w.desk.client.cancel_order(str(position.stop_order_id))
        bought_by_hand(w)
        outcome = run_executor(w.desk, w.phase_plan(TUESDAY))
        assert (outcome.exit_code, w.bought("DEF")) == (4, [])
        assert w.live_sells("ABC") == w.held("ABC") == 200


def test_a_buy_of_an_earlier_run_is_followed_to_its_end_although_nothing_new_is_sent(
    tmp_path: Path,
) -> None:
    """ABC does not trade, so its buy still works at the cut-off; DEF was to follow it."""
    with world(tmp_path, PRICES) as w:
        planned(w, MONDAY, ABC, DEF)
        w.halt("ABC")
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        bought_by_hand(w)
        assert run_executor(w.desk, w.phase_plan(MONDAY)).exit_code == 4
        assert [order.status for order in w.bought("ABC")] == ["canceled"]
        assert w.desk.clock.now() >= w.phase_plan(MONDAY).expires_at
        assert w.bought("DEF") == []


def test_a_fill_that_shows_seconds_late_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """The first run bought 200 ABC and died; its fill shows two seconds after the second began."""
    with world(tmp_path, PRICES) as w:
        planned(w, MONDAY, ABC, DEF)
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        shown_from = w.desk.clock.now() + timedelta(seconds=2)
        desk = edited(
            w,
            "/v2/account/activities/FILL",
            lambda fills: fills if w.desk.clock.now() >= shown_from else [],
        )
        assert run_executor(desk, w.phase_plan(MONDAY)).exit_code == 0
        assert (w.held("ABC"), w.held("DEF")) == (200, 250)
        assert w.db.open_breaks() == []


def forced_morning(w: World) -> None:
    """Our book is made to say 190 of 200 ABC, which is to leave; signals went on past it."""
    position = holding(w)
    number = int(position.position_id or 0)
    w.db.update_position(number, actual_shares=190)
    w.db.update_position(number, pending_reason="trend_break", pending_since=MONDAY)
    w.report(TUESDAY, DEF)
    w.go_to(TUESDAY, "signals")
    with pytest.raises(BooksDiffer):
        generate_signals(w.desk, TUESDAY)
    generate_signals(w.desk, TUESDAY, force_reason="two lots were merged")
    w.go_to(TUESDAY, "execution")


def test_a_ticker_that_signals_were_forced_past_is_left_alone_and_the_others_trade(
    tmp_path: Path,
) -> None:
    with world(tmp_path, PRICES) as w:
        forced_morning(w)
        run = execute_plan(w.desk, w.phase_plan(TUESDAY))
        assert [(item.ticker, item.state) for item in run.exits] == [("ABC", "books_differ")]
        assert [(item.ticker, item.state) for item in run.entries] == [("DEF", "sent")]
        assert w.held("ABC") == 200


def test_forcing_past_one_ticker_passes_no_other_difference(tmp_path: Path) -> None:
    with world(tmp_path, PRICES) as w:
        forced_morning(w)
        bought_by_hand(w)
        with pytest.raises(BooksDiffer, match="GHI"):
            execute_plan(w.desk, w.phase_plan(TUESDAY))
        assert w.bought("DEF") == []


def test_what_was_forced_counts_for_its_session_alone(tmp_path: Path) -> None:
    with world(tmp_path, PRICES) as w:
        assert forced_past(w.desk, MONDAY) == frozenset()
        note_forced(w.desk, MONDAY, {"DEF", "ABC"})
        assert forced_past(w.desk, MONDAY) == {"ABC", "DEF"}
        assert forced_past(w.desk, TUESDAY) == frozenset()


def test_the_intent_to_cancel_is_committed_before_the_cancel_leaves(tmp_path: Path) -> None:
    """Another connection, which sees what is committed only, reads the row while it leaves."""
    seen: list[Any] = []
    with world(tmp_path, PRICES) as w:
        position = holding(w)
        leaving(w, position)

        def read_row(method: str, path: str) -> None:
            if method == "DELETE":
                with closing(sqlite3.connect(w.profile.state_db)) as raw:
                    query = "SELECT status, updated_at FROM orders WHERE alpaca_order_id = ?"
                    seen.extend(raw.execute(query, (path.rsplit("/", 1)[1],)))

        w.wire.rule = read_row
        begun = w.desk.clock.now()
        assert w.phase(TUESDAY, "execution").exit_code == 0
        ((status, at),) = seen
        assert status == "pending_cancel"
        assert at >= begun.isoformat()[:19]


def test_a_cancel_that_was_lost_leaves_the_stop_in_force_and_in_the_books(tmp_path: Path) -> None:
    """The process dies before the cancel leaves: the next look finds the stop as it is."""
    with world(tmp_path, PRICES) as w:
        position = holding(w)
        leaving(w, position)
        dies(w, TUESDAY, "execution", lambda method, body: method == "DELETE", "die before")
        row = w.db.get_order_by_alpaca_id(str(position.stop_order_id))
        assert row is not None
        assert row.status == "pending_cancel"
        assert w.live_sells("ABC") == 200
        assert w.phase(TUESDAY, "execution").exit_code == 0
        assert (w.held("ABC"), w.live_sells("ABC")) == (0, 0)
