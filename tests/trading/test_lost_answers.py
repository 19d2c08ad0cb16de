"""Requests and answers that get lost: every unclear outcome is settled by asking the venue."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)

Rule = Callable[[str, str], str | None]


def once(method: str, path_start: str, strike: str) -> Rule:
    """Strike the first request of that method and path, carry all others."""
    struck: list[str] = []

    def rule(this_method: str, this_path: str) -> str | None:
        if struck or this_method != method or not this_path.startswith(path_start):
            return None
        struck.append(this_path)
        return strike

    return rule


def bought_on_monday(w: World, rule: Rule) -> None:
    w.report(MONDAY, ("ABC", 80.0, 50.0))
    w.phase(MONDAY, "signals")
    w.go_to(MONDAY, "execution")
    w.wire.rule = rule
    assert w.phase(MONDAY, "execution").exit_code == 0


@pytest.mark.parametrize("strike", ["before", "after", "504"])
def test_an_entry_with_an_unclear_outcome_is_bought_once_and_covered(
    tmp_path: Path, strike: str
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        bought_on_monday(w, once("POST", "/v2/orders", strike))
        assert [item.client_order_id for item in w.bought("ABC")] == ["20200106_ABC_entry_buy"]
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert w.trade(MONDAY, "protect", "reconciliation").exit_code == 0


@pytest.mark.parametrize("strike", ["before", "after", "504"])
def test_a_sale_with_an_unclear_outcome_is_sold_once(tmp_path: Path, strike: str) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        bought_on_monday(w, lambda method, path: None)
        w.trade(MONDAY)
        (position,) = w.db.get_open_positions()
        w.db.update_position(
            position.position_id, pending_reason="trend_break", pending_since=MONDAY
        )
        w.go_to(TUESDAY, "execution")
        w.phase(TUESDAY, "signals")
        w.wire.rule = once("POST", "/v2/orders", strike)
        assert w.phase(TUESDAY, "execution").exit_code == 0
        sells = [item for item in w.db.get_fills() if item.side == "sell"]
        assert [(item.ticker, item.quantity) for item in sells] == [("ABC", 200)]
        assert w.held("ABC") == 0
        assert w.trade(TUESDAY, "protect", "reconciliation").exit_code == 0


@pytest.mark.parametrize("strike", ["before", "after", "504"])
def test_a_cancel_with_an_unclear_outcome_never_leaves_shares_without_cover(
    tmp_path: Path, strike: str
) -> None:
    """Taken, the exit goes on; not taken, the stop stays in force: covered either way."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        bought_on_monday(w, lambda method, path: None)
        w.trade(MONDAY)
        (position,) = w.db.get_open_positions()
        w.db.update_position(
            position.position_id, pending_reason="trend_break", pending_since=MONDAY
        )
        w.phase(TUESDAY, "signals")
        w.wire.rule = once("DELETE", "/v2/orders", strike)
        w.phase(TUESDAY, "execution")
        assert w.held("ABC") == w.live_sells("ABC")
        assert w.trade(TUESDAY, "protect", "reconciliation").exit_code == 0


def test_a_venue_that_is_down_ends_the_phase_with_one_line_and_nothing_sent(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.go_to(MONDAY, "signals")
        w.wire.rule = lambda method, path: "before"
        outcome = w.phase(MONDAY, "signals")
        assert outcome.exit_code == 1
        assert len(outcome.lines) == 1
        assert w.db.get_plan("ema_p10", MONDAY) is None
        w.wire.rule = lambda method, path: None
        assert w.phase(MONDAY, "signals").exit_code == 0  # the next run makes it up


def test_an_entry_whose_every_answer_is_lost_is_adopted_by_the_next_run(tmp_path: Path) -> None:
    """The venue took the order and then nothing came back: the next start finds it."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        w.go_to(MONDAY, "execution")
        taken: list[str] = []

        def silent_after_the_order(method: str, path: str) -> str | None:
            if method == "POST" and path == "/v2/orders":
                taken.append(path)
                return "after"
            return "before" if taken else None

        w.wire.rule = silent_after_the_order
        assert w.phase(MONDAY, "execution").exit_code == 1
        w.wire.rule = lambda method, path: None
        again = w.trade(MONDAY, "execution", "protect", "reconciliation")
        assert again.exit_code == 0
        assert len(w.bought("ABC")) == 1
        assert w.held("ABC") == w.live_sells("ABC") == 200
