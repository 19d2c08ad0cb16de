"""The fault matrix, rows 12 to 19: requests and answers that are lost, limits, refused keys."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.sessions import open_instant
from livekit.workbench.daily import perform_recorded, run_daily
from tests.trading.crashing import desk_of
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    healed,
    holding,
    inject,
    leaving,
    longest_uncovered_s,
    on_wire,
    planned,
    sold,
    struck,
    venue_order,
)
from tests.trading.world import Lossy, World, world

ENTRY_ID = "20200106_ABC_entry_buy"
ABC = ("ABC", 80.0, 50.0)


def bought_once(w: World) -> None:
    assert [item.client_order_id for item in w.bought("ABC")] == [ENTRY_ID]
    assert w.held("ABC") == w.live_sells("ABC") == 200  # 10,000 / 50


class Trade:
    """One POST of each kind: how it comes about, its id, and what the venue must hold then."""

    def __init__(self, kind: str, w: World) -> None:
        self.kind, self.w = kind, w
        self.client_id = {
            "entry": ENTRY_ID, "stop": "20200107_ABC_stop_sell", "exit": "20200107_ABC_exit_sell"
        }[kind]  # fmt: skip

    def prepare(self) -> None:
        """Up to the run that sends it, which is due."""
        w = self.w
        if self.kind == "entry":
            planned(w, MONDAY, ABC)
            return
        position = holding(w)
        if self.kind == "exit":
            leaving(w, position)
            return
        w.go_to(TUESDAY, "protect")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(1.0)

    def send(self) -> None:
        """The run that sends it, and as many more as the matrix allows."""
        phase = "protect" if self.kind == "stop" else "execution"
        self.w.wire.sent.clear()
        assert self.w.phase(MONDAY if self.kind == "entry" else TUESDAY, phase).exit_code == 0

    def is_done_once(self) -> None:
        """One order of that id at the venue, adopted; shares and cover are what they must be."""
        w = self.w
        row = w.db.get_order_by_client_id(self.client_id)
        shown = w.desk.client.get_order_by_client_id(self.client_id)
        assert row is not None
        assert shown is not None
        assert (row.outcome, row.alpaca_order_id) == ("confirmed", shown.order_id)
        sides = {"entry": "buy", "stop": "sell", "exit": "sell"}
        same = [
            order
            for order in w.venue.engine.state.orders.values()  # type: ignore[union-attr]
            if (order.side, order.order_class) == (sides[self.kind], shown.order_class)
        ]
        assert [order.client_order_id for order in same] == [self.client_id]
        assert not w.db.is_kill_switch_on()
        left = 0 if self.kind == "exit" else 200  # 10,000 / 50
        assert w.held("ABC") == w.live_sells("ABC") == left
        assert longest_uncovered_s(w) <= 10.0
        healed(w, MONDAY if self.kind == "entry" else TUESDAY)


KINDS = ["entry", "stop", "exit"]
FEW = ["entry", pytest.param("stop", marks=pytest.mark.slow), "exit"]


def unclear(tmp_path: Path, kind: str, fault: FaultKind, *, posts: int, **facts: Any) -> None:
    """Send with the first answer unclear; the order is there once, after so many requests."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        trade = Trade(kind, w)
        trade.prepare()
        inject(w, FaultRule(fault, method="POST", path="/v2/orders", **facts))
        trade.send()
        assert struck(w) == [fault]
        sent = w.wire.sent
        assert len(w.wire.posts()) == posts
        if posts == 2:  # asked for by its id in between
            first = sent.index(("POST", "/v2/orders"))
            second = sent.index(("POST", "/v2/orders"), first + 1)
            asked = [path for _, path in sent[first:second] if "by_client_order_id" in path]
            assert asked
            assert all(path.endswith(trade.client_id) for path in asked)
        trade.is_done_once()


@pytest.mark.parametrize("kind", FEW)
def test_row_12_a_request_that_was_not_taken_is_sent_again_under_its_id(
    tmp_path: Path, kind: str
) -> None:
    unclear(tmp_path, kind, FaultKind.TIMEOUT_BEFORE, posts=2, seconds=5.0)


@pytest.mark.parametrize("kind", KINDS)
def test_row_13_a_request_whose_answer_is_lost_is_adopted(tmp_path: Path, kind: str) -> None:
    unclear(tmp_path, kind, FaultKind.ANSWER_LOST, posts=1, seconds=5.0)


@pytest.mark.parametrize(("hidden_s", "posts"), [(5.0, 1), (8.0, 2)])
def test_row_14_an_order_that_cannot_be_read_for_some_seconds_is_not_doubled(
    tmp_path: Path, hidden_s: float, posts: int
) -> None:
    """It is asked for over six seconds; one that hides longer is sent again under its id, which
    the venue refuses as a duplicate, and is found then.
    """
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.LATE_VISIBILITY, seconds=hidden_s))
        lost: list[str] = []

        def lose_the_first_answer(method: str, path: str) -> str | None:
            if method == "POST" and not lost:
                lost.append(path)
                return "after"
            return None

        w.wire.rule = lose_the_first_answer
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert struck(w) == [FaultKind.LATE_VISIBILITY]
        assert len(w.wire.posts()) == posts
        assert [(method, status) for method, status, _ in w.wire.refused] == [("POST", 422)] * (
            posts - 1
        )
        assert all("client_order_id" in text for _, _, text in w.wire.refused)
        bought_once(w)
        assert w.db.get_order_by_client_id(ENTRY_ID).outcome == "confirmed"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", FEW)
def test_row_15_a_504_after_acceptance_is_adopted(tmp_path: Path, kind: str) -> None:
    """No library of ours repeats the request by itself: it leaves once."""
    unclear(tmp_path, kind, FaultKind.GATEWAY_TIMEOUT_TAKEN, posts=1)


class Repeating(Lossy):
    """Something on the way sends each order twice and hands on the second answer."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if request.method == "POST":
            self.inner.send(request, **options)
        return super().send(request, **options)


def test_row_15_an_order_that_a_library_has_sent_twice_is_one_order(tmp_path: Path) -> None:
    """The second answer is the refusal of a duplicate: it is read as an answer, and adopted."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        wire = Repeating(w.wire.inner)
        desk = desk_of(w.profile, w.venue, w.db, wire)
        assert run_daily(desk, MONDAY, phases=("execution",)).exit_code == 0
        assert [(method, status) for method, status, _ in wire.refused] == [("POST", 422)]
        assert not w.db.is_kill_switch_on()
        bought_once(w)
        healed(w, MONDAY)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/v2/account", FaultKind.BAD_GATEWAY),
        pytest.param("GET", "/v2/positions", FaultKind.BAD_GATEWAY, marks=pytest.mark.slow),
        ("GET", "/v2/orders*", FaultKind.BAD_GATEWAY),
        pytest.param(
            "GET", "/v2/account/activities*", FaultKind.BAD_GATEWAY, marks=pytest.mark.slow
        ),
        ("GET", "/v2/stocks/trades/latest", FaultKind.BAD_GATEWAY),
        ("POST", "/v2/orders", FaultKind.BAD_GATEWAY),
        ("POST", "/v2/orders", FaultKind.BAD_GATEWAY_TAKEN),
    ],
)
def test_row_16_an_html_page_instead_of_an_answer_is_met_calmly(
    tmp_path: Path, method: str, path: str, kind: FaultKind
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        times = 1 if method == "POST" else 2
        inject(w, FaultRule(kind, method=method, path=path, times=times))
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert struck(w) == [kind] * times
        bought_once(w)
        healed(w, MONDAY)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("DELETE", FaultKind.BAD_GATEWAY),
        pytest.param("DELETE", FaultKind.BAD_GATEWAY_TAKEN, marks=pytest.mark.slow),
        ("DELETE", FaultKind.RATE_LIMITED),
        pytest.param("POST", FaultKind.BAD_GATEWAY, marks=pytest.mark.slow),
        pytest.param("POST", FaultKind.BAD_GATEWAY_TAKEN, marks=pytest.mark.slow),
        ("POST", FaultKind.RATE_LIMITED),
    ],
)
def test_row_16_a_cancel_or_a_sale_that_fails_is_one_sale_and_no_share_is_bare(
    tmp_path: Path, method: str, kind: FaultKind
) -> None:
    """Before the sale leaves its stop has ended, and no sale leaves beside a stop that lives."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        leaving(w, position)
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))
        inject(w, FaultRule(kind, method=method, path="/v2/orders*", seconds=1.0))
        stops: list[str] = []

        def note(asked: str, path: str) -> None:
            if asked == "POST":
                stops.append(venue_order(w, position.stop_order_id).status)

        w.wire.rule = note
        w.phase(TUESDAY, "execution")
        assert struck(w) == [kind]
        assert set(stops) == {"canceled"}
        assert w.held("ABC") == w.live_sells("ABC")
        assert longest_uncovered_s(w) <= 10.0
        healed(w, TUESDAY)
        if w.held("ABC"):
            healed(w, WEDNESDAY)
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.RATE_LIMITED_BARE])
def test_row_17_a_rate_limit_is_waited_for_and_never_costs_a_stop(
    tmp_path: Path, kind: FaultKind
) -> None:
    """Reads wait; an order that was not taken fails the phase, and the next run sends it."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(kind, method="GET", times=3, seconds=2.0))
        began = w.desk.clock.now()
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert struck(w) == [kind] * 3
        assert w.desk.clock.now() > began
        assert w.desk.clock.now() < w.phase_plan(MONDAY).expires_at
        bought_once(w)


def test_row_17_an_order_that_the_rate_limit_refused_is_sent_by_the_next_run(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.RATE_LIMITED, method="POST", seconds=2.0))
        w.phase(MONDAY, "execution")
        healed(w, MONDAY)
        bought_once(w)


def test_row_17_under_a_rate_limit_the_stop_goes_before_the_buy(tmp_path: Path) -> None:
    """ABC's stop is gone and DEF is to be bought; the first two orders meet the limit."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        position = holding(w)
        planned(w, TUESDAY, ("DEF", 90.0, 40.0))
        w.desk.client.cancel_order(str(position.stop_order_id))
        inject(w, FaultRule(FaultKind.RATE_LIMITED, method="POST", times=2, seconds=1.0))
        w.phase(TUESDAY, "execution")
        healed(w, TUESDAY)
        assert struck(w) == [FaultKind.RATE_LIMITED] * 2
        orders = w.venue.engine.state.orders.values()  # type: ignore[union-attr]
        ids = [one.client_order_id for one in orders]
        taken = [one for one in ids if one.startswith("20200107")]
        assert taken == ["20200107_ABC_stop_sell", "20200107_DEF_entry_buy"]
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert w.held("DEF") == w.live_sells("DEF") == 250  # 10,000 / 40


def test_row_17_a_cancel_that_the_rate_limit_refused_ends_no_run(tmp_path: Path) -> None:
    """The leg sleeps, its cancel is not taken once: it is asked for again, and cover is had."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(
            w,
            FaultRule(FaultKind.STUCK_LEG),
            FaultRule(FaultKind.RATE_LIMITED, method="DELETE", seconds=1.0),
        )
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 10.0


def test_row_18_a_stop_that_is_rate_limited_for_ever_switches_everything_off(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "protect")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(1.0)
        inject(w, FaultRule(FaultKind.RATE_LIMITED, method="POST", times=0, seconds=1.0))
        assert w.phase(TUESDAY, "protect").exit_code == 7
        assert w.db.is_kill_switch_on()
        alarms = [item.kind for item in w.db.get_alerts() if item.severity == "critical"]
        assert alarms == ["uncovered"]
        before = len(w.wire.posts())
        assert w.phase(TUESDAY, "protect").exit_code == 7
        assert len(w.wire.posts()) > before  # every run tries again
        inject(w)
        assert w.phase(TUESDAY, "protect").exit_code == 0
        assert w.live_sells("ABC") == 200


@pytest.mark.parametrize("phase", ["signals", "execution"])
def test_row_19_keys_that_are_refused_end_the_run_at_once(tmp_path: Path, phase: str) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        w.go_to(MONDAY, phase)
        inject(w, FaultRule(FaultKind.UNAUTHORIZED, times=0))
        w.wire.sent.clear()
        outcome = perform_recorded(w.desk, phase, MONDAY)
        assert outcome.exit_code == 2
        assert [method for method, _ in w.wire.sent] == ["GET"]
        assert w.db.get_orders() == []


def test_row_19_a_403_without_a_code_is_a_refused_key_too(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        desk, wire = on_wire(w, lambda method, body: True, (403, {"message": "forbidden."}))
        outcome = run_daily(desk, MONDAY, phases=("execution",))
        assert outcome.exit_code == 2
        assert wire.struck
        assert len(wire.sent) == 0  # the one request that was answered in the venue's place
        assert w.bought("ABC") == []
