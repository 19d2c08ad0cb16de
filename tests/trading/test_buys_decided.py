"""The executor's buys, one decision at a time: which are sent, polled, cancelled, and when."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from livekit.config import LiveConfig
from livekit.errors import OrderRefused
from livekit.model import Plan
from livekit.trading.entries import EntryReport
from livekit.trading.executor import (
    Execution,
    _await_turn,
    _cancel_rests,
    _finish,
    _last_poll,
    _pause,
    _poll_entries,
    _repairs_ahead,
    _send_entries,
    _send_late,
)
from livekit.trading.protector import CoverWatch
from tests.trading.quiet_broker import (
    CUTOFF,
    MONDAY,
    OPEN,
    Quiet,
    planned,
    quiet_desk,
    venue_order,
)

CONFIG = LiveConfig()
BUY_ABC = planned(config=CONFIG, buys=[("ABC", 200, 50.0, None)])
SECOND = timedelta(seconds=1)


def elapsed_s(q: Quiet) -> float:
    return (q.clock.now() - OPEN).total_seconds()


# -------------------------------------------------------------------------------------- the buys


def entered(q: Quiet, plan: Plan, *, skips: bool = False) -> list[EntryReport]:
    run = Execution(plan, repaired=["earlier"])
    buys = [order for order in plan.orders if order.side == "buy"]
    _send_entries(q.desk, run, CoverWatch(q.desk), buys, skip_time_check=skips)
    assert run.repaired[0] == "earlier"
    return run.entries


def test_a_buy_goes_out_with_its_stop_at_its_planned_size_and_is_looked_after_at_once() -> None:
    plan = planned(config=CONFIG, buys=[("ABC", 200, 50.0, None), ("DEF", 100, 50.0, None)])
    with quiet_desk(approval="auto") as q:
        stored = q.store(plan)
        for ticker in ("ABC", "DEF"):
            q.price(ticker, "50")
            q.approve(stored, f"entry:{ticker}", 200)
        reports = entered(q, stored)
        assert [(item.ticker, item.state, item.quantity) for item in reports] == [
            ("ABC", "sent", 200),
            ("DEF", "sent", 100),
        ]
        assert q.broker.placed[0] == {
            "ticker": "ABC",
            "quantity": 200,
            "side": "buy",
            "group": True,
            "stop_price": Decimal("45.0"),
            "client_order_id": "20200107_ABC_entry_buy",
        }
        after_first = q.broker.said[q.broker.said.index("place ABC") :]
        assert "list open" in after_first[: after_first.index("place DEF")]


def test_a_ticker_whose_books_differ_is_left_alone_and_the_next_is_bought() -> None:
    plan = planned(config=CONFIG, buys=[("BAD", 200, 50.0, None), ("ABC", 200, 50.0, None)])
    with quiet_desk() as q:
        stored = q.store(plan)
        for ticker in ("BAD", "ABC"):
            q.price(ticker, "50")
            q.approve(stored, f"entry:{ticker}", 200)
        run = Execution(stored, avoided=frozenset({"BAD"}))
        watch = CoverWatch(q.desk)
        _send_entries(q.desk, run, watch, stored.orders, skip_time_check=False)
        assert run.entries == [
            EntryReport("BAD", "books_differ", 0),
            EntryReport("ABC", "sent", 200),
        ]


def test_a_refused_buy_is_told_as_it_is_and_needs_no_look() -> None:
    with quiet_desk() as q:
        stored = q.store(BUY_ABC)
        q.price("ABC", "50")
        q.approve(stored, "entry:ABC", 200)
        q.broker.refusal = lambda asked: OrderRefused("order", 403, 40310000, "not allowed")
        assert [item.state for item in entered(q, stored)] == ["refused"]
        assert "list open" not in q.broker.said


def test_the_cutoff_holds_unless_it_is_skipped_on_purpose() -> None:
    for skips, state in ((False, "entry_cutoff"), (True, "sent")):
        with quiet_desk(CUTOFF) as q:
            stored = q.store(BUY_ABC)
            q.price("ABC", "50")
            q.approve(stored, "entry:ABC", 200)
            assert [item.state for item in entered(q, stored, skips=skips)] == [state]


def test_no_buys_ask_the_broker_for_nothing() -> None:
    with quiet_desk() as q:
        assert entered(q, replace(BUY_ABC, orders=())) == []
        assert q.broker.said == []


def test_a_rotations_buy_waits_for_its_sell() -> None:
    with quiet_desk() as q:
        stored = q.store(planned(config=CONFIG, buys=[("NEW", 1, 50.0, "OLD")]))
        q.hold("OLD")
        q.price("NEW", "50")
        q.approve(stored, "rotation:OLD>NEW", 1)
        assert entered(q, stored) == [EntryReport("NEW", "pair_not_sold", 0, "OLD")]
        (old,) = q.db.get_open_positions()
        q.db.update_position(old.position_id, ticker="OTHER")
        assert [item.state for item in entered(q, stored)] == ["sent"]


@pytest.mark.parametrize(
    ("tif", "early_s", "state"),
    [("opg", 0, "auction_missed"), ("opg", 1, "sent"), ("day", 0, "sent")],
)
def test_an_auction_is_missed_from_the_second_of_the_open_on(
    tif: Any, early_s: int, state: str
) -> None:
    with quiet_desk(OPEN - early_s * SECOND, entry_tif=tif) as q:
        stored = q.store(BUY_ABC)
        q.price("ABC", "50")
        q.approve(stored, "entry:ABC", 200)
        (report,) = entered(q, stored)
        assert (report.state, report.quantity) == (state, 0 if state != "sent" else 200)


def test_a_buy_that_an_earlier_run_has_at_the_venue_is_not_sent_again() -> None:
    with quiet_desk() as q:
        stored = q.store(BUY_ABC)
        q.row("ABC", quantity=150, status="partially_filled")
        assert entered(q, stored) == [EntryReport("ABC", "sent", 150, "earlier, partially_filled")]
        assert q.broker.placed == []


def test_other_orders_are_not_taken_for_the_buy() -> None:
    """Yesterday's buy, today's buy of DEF, today's sale of ABC, a buy that never got out."""
    with quiet_desk() as q:
        stored = q.store(BUY_ABC)
        q.price("ABC", "50")
        q.approve(stored, "entry:ABC", 200)
        yesterday = "20200106_ABC_entry_buy"
        q.row(
            "ABC",
            client_order_id=yesterday,
            trade_date=MONDAY,
            alpaca_order_id="y",
            status="filled",
        )
        q.row("DEF", status="filled")
        q.row("ABC", "exit", status="filled")
        q.row("ABC", alpaca_order_id=None, status="denied", outcome="denied")
        assert entered(q, stored) == [EntryReport("ABC", "sent", 200)]


# ------------------------------------------------------------------------------ waiting and ending


def test_a_buy_waits_for_its_own_requests_and_for_those_that_repair_what_works() -> None:
    """8 for itself, 8 for the repair of each buy at work and of itself: 8 + 8 × (2 + 1) = 32."""
    asked: list[int] = []
    with quiet_desk() as q:
        for ticker in ("ABC", "DEF"):
            q.at_venue(q.row(ticker))

        def wait_s(requests: int) -> float:
            asked.append(requests)
            return 1.0 if len(asked) < 3 else 0.0

        q.broker.wait_s = wait_s
        _await_turn(q.desk, CoverWatch(q.desk), CUTOFF)
        assert asked == [32, 32, 32]
        assert q.clock.naps == [5.0, 5.0]
        assert q.broker.asked("list open") == 2


def test_the_wait_for_the_rate_budget_ends_at_the_cutoff() -> None:
    with quiet_desk(CUTOFF - 10 * SECOND) as q:
        q.broker.wait_s = lambda requests: 99.0
        _await_turn(q.desk, CoverWatch(q.desk), CUTOFF)
        assert (q.clock.now(), len(q.clock.naps)) == (CUTOFF, 2)


@pytest.mark.parametrize(("working", "requests"), [(0, 8), (1, 16), (3, 32), (11, 96), (12, 100)])
def test_repairs_are_counted_for_buys_at_work_up_to_a_hundred_requests(
    working: int, requests: int
) -> None:
    with quiet_desk() as q:
        for number in range(working):
            q.row(f"A{number}")
        q.row("SOLD", "exit")
        q.row("DONE", status="filled")
        assert _repairs_ahead(q.desk) == requests


@pytest.mark.parametrize(("wait_s", "pause_s"), [(0.0, 2.0), (0.5, 5.0), (9.0, 5.0)])
def test_looks_are_two_seconds_apart_and_five_while_the_rate_budget_is_low(
    wait_s: float, pause_s: float
) -> None:
    with quiet_desk() as q:
        q.broker.wait_s = lambda requests: wait_s
        _pause(q.desk)
        assert q.clock.naps == [pause_s]


def test_buys_are_polled_until_the_cutoff_and_what_is_left_is_cancelled() -> None:
    """ABC is cancelled, DEF fills while its cancel travels, GHI never got an id of the venue."""
    with quiet_desk(CUTOFF - 20 * SECOND) as q:
        q.at_venue(q.row("ABC"), stop_price=None)
        late = q.row("DEF")
        q.at_venue(late, stop_price=None)
        q.hold("JKL")

        def fills_late(name: str) -> None:
            if name == "cancel v-DEF-entry":
                q.at_venue(late, status="filled", filled_quantity=Decimal(100))

        q.broker.before = fills_late
        q.broker.deaf = frozenset({"v-DEF-entry"})
        run, watch = Execution(BUY_ABC, cancelled=["XYZ"]), CoverWatch(q.desk)
        _poll_entries(q.desk, run, watch, skip_time_check=False)
        assert run.cancelled == ["XYZ", "ABC"]
        assert q.clock.now() == CUTOFF
        assert watch.repaired == ["JKL 100 shares, stop due 45"]
        assert q.db.get_alerts() == []


def test_polling_the_buys_ends_with_the_look_that_shows_them_filled() -> None:
    with quiet_desk() as q:
        row = q.row("ABC")
        q.at_venue(row, stop_price=None)
        q.at_venue(q.row("DEF", "exit"), stop_price=None)
        q.row("GHI", status="filled")

        def fills_at_four_seconds(name: str) -> None:
            if elapsed_s(q) >= 4.0:
                q.at_venue(row, status="filled", filled_quantity=Decimal(100))

        q.broker.before = fills_at_four_seconds
        run = Execution(BUY_ABC)
        _poll_entries(q.desk, run, CoverWatch(q.desk), skip_time_check=False)
        assert (run.cancelled, elapsed_s(q)) == ([], 4.0)


def test_without_a_buy_at_work_there_is_nothing_to_poll() -> None:
    with quiet_desk() as q:
        q.row("DEF", "exit")
        q.row("GHI", status="filled")
        q.row("JKL", alpaca_order_id=None, status="intended", outcome="intended")  # never left
        run = Execution(BUY_ABC)
        _poll_entries(q.desk, run, CoverWatch(q.desk), skip_time_check=False)
        assert (q.broker.said, elapsed_s(q)) == ([], 0.0)


def test_buys_are_polled_to_the_cutoff_and_past_it_for_a_minute_where_that_is_skipped() -> None:
    run = Execution(BUY_ABC)
    with quiet_desk(CUTOFF - 90 * SECOND) as q:
        assert _last_poll(q.desk, run, skip_time_check=False) == CUTOFF
        assert _last_poll(q.desk, run, skip_time_check=True) == CUTOFF
    with quiet_desk(CUTOFF + 10 * SECOND) as q:
        assert _last_poll(q.desk, run, skip_time_check=False) == CUTOFF
        assert _last_poll(q.desk, run, skip_time_check=True) == CUTOFF + 70 * SECOND


@pytest.mark.parametrize(
    ("deaf", "status", "is_cancelled", "alerts"),
    [
        (False, "new", True, []),
        (True, "filled", False, []),
        (True, "new", False, [("cancel_unconfirmed", "critical")]),
    ],
)
def test_the_rest_of_a_buy_is_cancelled_or_an_alarm_says_that_it_is_not(
    status: str, alerts: list[Any], *, deaf: bool, is_cancelled: bool
) -> None:
    with quiet_desk() as q:
        row = q.row("ABC")
        q.at_venue(row, status=status)
        q.broker.deaf = frozenset({"v-ABC-entry"} if deaf else ())
        run = Execution(BUY_ABC)
        _cancel_rests(q.desk, run, CoverWatch(q.desk), [row])
        assert run.cancelled == (["ABC"] if is_cancelled else [])
        assert run.unconfirmed == (["ABC"] if alerts else [])
        assert [(item.kind, item.severity) for item in q.db.get_alerts()] == alerts


def test_a_buy_without_an_id_of_the_venue_is_not_told_as_cancelled() -> None:
    with quiet_desk() as q:
        row = q.row("ABC", alpaca_order_id=None, status="unknown", outcome="unknown")
        run = Execution(BUY_ABC)
        _cancel_rests(q.desk, run, CoverWatch(q.desk), [row])
        assert (run.cancelled, run.unconfirmed, q.broker.said) == ([], [], [])


def test_cancels_that_take_their_time_are_waited_for_together() -> None:
    """Three that are never confirmed cost ten seconds, not thirty; JKL gets its stop meanwhile."""
    with quiet_desk() as q:
        rows = [q.row(ticker) for ticker in ("ABC", "DEF", "GHI")]
        for row in rows:
            q.at_venue(row, stop_price=None)
        q.hold("JKL")
        q.broker.deaf = frozenset(f"v-{row.ticker}-entry" for row in rows)
        run, watch = Execution(BUY_ABC), CoverWatch(q.desk)
        _cancel_rests(q.desk, run, watch, rows)
        assert elapsed_s(q) == 10.0
        assert run.unconfirmed == ["ABC", "DEF", "GHI"]
        assert [alert.kind for alert in q.db.get_alerts()] == ["cancel_unconfirmed"] * 3
        assert watch.repaired == ["JKL 100 shares, stop due 45"]


def test_the_last_look_gives_a_leg_four_seconds_to_wake() -> None:
    with quiet_desk() as q:
        q.hold("ABC")

        def wakes(name: str) -> None:
            if elapsed_s(q) >= 3.0:
                q.broker.show(venue_order("leg"))

        q.broker.before = wakes
        run = Execution(BUY_ABC, repaired=["earlier"])
        _finish(q.desk, run, CoverWatch(q.desk))
        assert (q.broker.placed, run.repaired) == ([], ["earlier"])


# -------------------------------------------------------------------------- approved after the open


LATE = planned(
    config=CONFIG,
    buys=[("ABC", 200, 50.0, None), ("NEW", 1, 50.0, "OLD"), ("DEF", 100, 50.0, None)],
)


def late_run(q: Quiet, approve_at_s: Mapping[float, str], plan: Plan = LATE) -> Execution:
    """ABC and NEW were held back for want of an approval, DEF was sent before."""
    stored = q.store(plan)
    for ticker in ("ABC", "NEW", "DEF"):
        q.price(ticker, "50")

    def person(name: str) -> None:
        item = approve_at_s.get(elapsed_s(q))
        if item is not None:
            q.approve(stored, item, 200)
        for order in list(q.broker.orders.values()):
            if order.side == "buy":
                q.broker.show(replace(order, status="filled", filled_quantity=order.quantity))

    q.broker.before = person
    states = {"ABC": "not_approved", "NEW": "not_approved", "DEF": "sent"}
    reports = [EntryReport(ticker, state, 0) for ticker, state in states.items()]
    run, watch = Execution(stored, entries=reports), CoverWatch(q.desk)
    _send_late(q.desk, run, watch, skip_time_check=False)
    run.repaired += watch.repaired
    return run


def states_of(run: Execution) -> list[tuple[str, str]]:
    return [(item.ticker, item.state) for item in run.entries]


def test_a_buy_approved_after_the_open_goes_at_once_and_a_rotation_no_more() -> None:
    with quiet_desk(approval="required") as q:
        q.hold("JKL")
        run = late_run(q, {10.0: "rotation:OLD>NEW", 20.0: "entry:ABC"})
        assert states_of(run) == [("NEW", "not_approved"), ("DEF", "sent"), ("ABC", "sent")]
        assert [item["ticker"] for item in q.broker.placed] == ["JKL", "ABC"]
        assert run.repaired == ["JKL 100 shares, stop due 45"]


@pytest.mark.parametrize("trading", [{"approval": "auto"}, {"entry_tif": "opg"}])
def test_nothing_is_waited_for_where_nobody_can_approve_any_more(trading: dict[str, Any]) -> None:
    with quiet_desk(**({"approval": "required"} | trading)) as q:
        run = late_run(q, {})
        assert states_of(run) == [("ABC", "not_approved"), ("NEW", "not_approved"), ("DEF", "sent")]
        assert (q.broker.said, elapsed_s(q)) == ([], 0.0)
