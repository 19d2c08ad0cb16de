"""The fault matrix, rows 1 to 19: processes that die, requests and answers that are lost."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.errors import PlanRefused
from livekit.state import StateDB
from livekit.trading.approvals import decide
from livekit.trading.plans import read_plan_file
from tests.trading.crashing import Crash, desk_of
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    deletes,
    dies,
    dies_at_commit,
    healed,
    holding,
    inject,
    leaving,
    longest_uncovered_s,
    planned,
    posts,
    sold,
)
from tests.trading.world import Lossy, World, world

ENTRY_ID = "20200106_ABC_entry_buy"
ABC = ("ABC", 80.0, 50.0)


def bought_once(w: World) -> None:
    assert [item.client_order_id for item in w.bought("ABC")] == [ENTRY_ID]
    assert w.held("ABC") == w.live_sells("ABC") == 200  # 10,000 / 50


def test_row_01_killed_before_the_entry_left(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die before")
        (row,) = w.db.get_orders()
        assert (row.client_order_id, row.status) == (ENTRY_ID, "intended")
        healed(w, MONDAY)
        bought_once(w)


def test_row_02_killed_after_the_entry_was_taken(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        assert w.db.get_orders()[0].alpaca_order_id is None
        healed(w, MONDAY)
        bought_once(w)


def test_row_03_killed_while_committing_with_a_torn_log(tmp_path: Path) -> None:
    """The write-ahead log of the crashed run loses its second half."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        torn = tmp_path / "torn" / "state.db"
        torn.parent.mkdir()
        for end in ("", "-wal"):
            shutil.copyfile(f"{w.profile.state_db}{end}", f"{torn}{end}")
        log = Path(f"{torn}-wal")
        log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
        with StateDB(torn) as db:
            assert db.soundness() == "ok"
            assert db.get_position(1) is None
            assert db.registration() is not None


def test_row_04_killed_between_a_fill_and_its_stop(tmp_path: Path) -> None:
    """The leg stays asleep, so the protector must place a stop: the process dies there."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.STUCK_LEG))
        dies(w, MONDAY, "execution", posts("sell", "stop"), "die before")
        assert (w.held("ABC"), w.live_sells("ABC")) == (200, 0)
        healed(w, MONDAY)
        bought_once(w)


def test_row_05_killed_after_the_stop_was_taken(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.STUCK_LEG))
        dies(w, MONDAY, "execution", posts("sell", "stop"), "die after")
        healed(w, MONDAY)
        bought_once(w)
        assert not w.db.is_kill_switch_on()
        placed = [item for item in w.db.get_orders(intent="stop") if item.attempt == 1]
        assert {item.client_order_id for item in placed} >= {"20200106_ABC_stop_sell"}


def test_row_06_killed_between_the_cancel_of_the_stop_and_the_sale(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        dies(w, TUESDAY, "execution", deletes, "die after")
        healed(w, TUESDAY)
        assert (w.held("ABC"), sold(w, "ABC")) == (0, 200)


def test_row_07_killed_after_the_sale_was_taken_books_the_true_fill(tmp_path: Path) -> None:
    """Sold at Tuesday's open of 50 less 0.5 %: 49.75."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        leaving(w, holding(w))
        dies(w, TUESDAY, "execution", posts("sell"), "die after")
        healed(w, TUESDAY)
        (position,) = w.db.get_positions()
        assert (position.exit_price, position.pnl) == (Decimal("49.75"), Decimal("-50.00"))


def test_row_08_killed_before_the_report_is_recorded(tmp_path: Path) -> None:
    """The last commit of a reconciliation closes its run: without it the run is made again."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        w.trade(MONDAY, "execution", "protect")
        w.go_to(MONDAY, "reconciliation")
        for number in range(1, 40):
            try:
                dies_at_commit(w, MONDAY, "reconciliation", number, "before")
            except AssertionError:
                break
        runs = w.db.get_runs(session=MONDAY, phase="reconciliation")
        assert len(runs) > 5
        assert (runs[-1].status, runs[-1].exit_code) == ("done", 0)
        points = w.db.get_equity("broker")
        assert [(point.session, point.positions) for point in points] == [(MONDAY, 1)]
        assert [point.session for point in w.db.get_equity("ema_p10")] == [MONDAY]


def test_row_09_a_signal_file_that_was_cut_off_is_refused_and_written_anew(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        (path,) = w.profile.signals_dir.glob("*_ema_p10.json")
        whole = path.read_bytes()
        for length in range(0, len(whole), len(whole) // 15):
            path.write_bytes(whole[:length])
            with pytest.raises(PlanRefused):
                read_plan_file(path)
        assert [item.name for item in w.profile.signals_dir.iterdir() if "tmp" in item.name] == []


@pytest.mark.parametrize("position", ["before", "after"])
def test_row_10_killed_in_the_approval_leaves_it_whole_or_absent(
    tmp_path: Path, position: str
) -> None:
    with world(tmp_path, {"ABC": 50.0}, approval="required") as w:
        planned(w, MONDAY, ABC)
        plan = w.phase_plan(MONDAY)

        def strike() -> None:
            raise Crash(position)

        with StateDB(w.profile.state_db) as db:
            setattr(db, f"{position}_commit", strike)
            desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
            with pytest.raises(Crash):
                decide(desk, plan, "entry:ABC", "approve", max_quantity=100, who="trader")
        found = [(item.item, item.max_quantity) for item in w.db.get_approvals(plan.sha256)]
        assert found == ([] if position == "before" else [("entry:ABC", 100)])
        assert w.bought("ABC") == []


@contextmanager
def interruptible() -> Iterator[None]:
    """A background job ignores interrupts from its start; inside, they are met as usual."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_row_11_an_interrupt_in_the_middle_leaves_no_half_state(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)

        def interrupt(method: str, path: str) -> None:
            if method == "POST":
                signal.raise_signal(signal.SIGINT)

        w.wire.rule = interrupt
        with interruptible(), pytest.raises(KeyboardInterrupt):
            w.trade(MONDAY, "execution")
        healed(w, MONDAY)
        bought_once(w)
        first = w.db.get_runs(session=MONDAY, phase="execution")[0]
        assert (first.status, first.exit_code) == ("failed", 1)


UNCLEAR = {
    12: FaultKind.TIMEOUT_BEFORE,
    13: FaultKind.ANSWER_LOST,
    15: FaultKind.GATEWAY_TIMEOUT_TAKEN,
}


def buys_under(w: World, kind: FaultKind) -> None:
    planned(w, MONDAY, ABC)
    inject(w, FaultRule(kind, method="POST", path="/v2/orders", seconds=5.0))
    assert w.phase(MONDAY, "execution").exit_code == 0
    bought_once(w)
    assert longest_uncovered_s(w) <= 10.0


def test_row_12_a_request_that_was_not_taken_is_sent_again_under_its_id(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        buys_under(w, UNCLEAR[12])
        assert len(w.wire.posts()) == 2


def test_row_13_a_request_whose_answer_is_lost_is_adopted(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        buys_under(w, UNCLEAR[13])
        assert len(w.wire.posts()) == 1


def test_row_14_an_order_that_cannot_be_read_for_five_seconds_is_not_doubled(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(FaultKind.LATE_VISIBILITY, seconds=5.0))
        lost: list[str] = []

        def lose_the_first_answer(method: str, path: str) -> str | None:
            if method == "POST" and not lost:
                lost.append(path)
                return "after"
            return None

        w.wire.rule = lose_the_first_answer
        assert w.phase(MONDAY, "execution").exit_code == 0
        bought_once(w)


def test_row_15_a_504_after_acceptance_is_adopted(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        buys_under(w, UNCLEAR[15])
        assert len(w.wire.posts()) <= 2


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/v2/account", FaultKind.BAD_GATEWAY),
        ("GET", "/v2/positions", FaultKind.BAD_GATEWAY),
        ("GET", "/v2/orders*", FaultKind.BAD_GATEWAY),
        ("POST", "/v2/orders", FaultKind.BAD_GATEWAY_TAKEN),
    ],
)
def test_row_16_an_html_page_instead_of_an_answer_is_met_calmly(
    tmp_path: Path, method: str, path: str, kind: FaultKind
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(kind, method=method, path=path, times=2))
        assert w.phase(MONDAY, "execution").exit_code == 0
        bought_once(w)


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.RATE_LIMITED_BARE])
def test_row_17_a_rate_limit_is_waited_for_and_never_costs_a_stop(
    tmp_path: Path, kind: FaultKind
) -> None:
    """Reads wait; an order that was not taken fails the phase, and the next run sends it."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        inject(w, FaultRule(kind, method="GET", times=3, seconds=2.0))
        assert w.phase(MONDAY, "execution").exit_code == 0
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
        assert "critical" in {item.severity for item in w.db.get_alerts()}
        before = len(w.wire.posts())
        assert w.phase(TUESDAY, "protect").exit_code == 7
        assert len(w.wire.posts()) > before  # every run tries again
        inject(w)
        assert w.phase(TUESDAY, "protect").exit_code == 0
        assert w.live_sells("ABC") == 200


def test_row_19_keys_that_are_refused_end_the_run_at_once(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ABC)
        w.go_to(MONDAY, "signals")
        inject(w, FaultRule(FaultKind.UNAUTHORIZED, times=0))
        sent = len(w.wire.sent)
        assert w.phase(MONDAY, "signals").exit_code == 2
        assert len(w.wire.sent) - sent == 1
        assert w.db.get_plan("ema_p10", MONDAY) is None
