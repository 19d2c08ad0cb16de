"""The fencing token: a run that slept through a take-over sends nothing any more."""

from datetime import date
from pathlib import Path

import pytest

from livekit.errors import LockHeld
from livekit.trading.executor import execute_plan
from livekit.trading.lease import take_lease
from livekit.trading.phases import current_plan
from livekit.trading.protector import cancel_and_confirm
from tests.trading.world import world

MONDAY = date(2020, 1, 6)


def test_a_paused_run_that_wakes_with_an_old_token_sends_nothing(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        w.go_to(MONDAY, "execution")
        paused = take_lease(w.desk)
        take_lease(w.desk)  # another run begins
        with pytest.raises(LockHeld, match="the lease"):
            execute_plan(paused, current_plan(paused, MONDAY))
        assert w.wire.posts() == []
        assert w.db.get_orders() == []


def test_an_old_token_does_not_even_cancel_a_stop(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        paused = take_lease(w.desk)
        take_lease(w.desk)
        (position,) = w.db.get_open_positions()
        with pytest.raises(LockHeld):
            cancel_and_confirm(paused, position.stop_order_id)
        assert w.live_sells("ABC") == 200


def test_every_order_carries_the_token_of_its_run_and_tokens_only_rise(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        tuesday = date(2020, 1, 7)
        w.report(tuesday, ("DEF", 80.0, 40.0))
        w.trade(tuesday)
        tokens = [order.fencing_token for order in w.db.get_orders(intent="entry")]
        assert all(token is not None for token in tokens)
        assert tokens == sorted(tokens)
        assert len(set(tokens)) == 2
