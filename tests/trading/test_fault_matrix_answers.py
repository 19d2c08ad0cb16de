"""The fault matrix, rows 12 to 19: requests and answers that are lost, limits, refused keys."""

from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    healed,
    holding,
    inject,
    longest_uncovered_s,
    planned,
)
from tests.trading.world import World, world

ENTRY_ID = "20200106_ABC_entry_buy"
ABC = ("ABC", 80.0, 50.0)


def bought_once(w: World) -> None:
    assert [item.client_order_id for item in w.bought("ABC")] == [ENTRY_ID]
    assert w.held("ABC") == w.live_sells("ABC") == 200  # 10,000 / 50


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
