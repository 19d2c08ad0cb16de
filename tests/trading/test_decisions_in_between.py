"""A person decides while the executor is between its look at the approval and the request."""

from datetime import date
from pathlib import Path

import pytest

from livekit.errors import DecisionRefused
from livekit.state import StateDB
from livekit.trading.approvals import decide
from livekit.trading.doctor import diagnose
from tests.trading.crashing import desk_of
from tests.trading.faults import MONDAY, TUESDAY, planned
from tests.trading.world import Lossy, World, world

ABC, ITEM = ("ABC", 80.0, 50.0), "entry:ABC"


def rejects(w: World, session: date = MONDAY, item: str = ITEM) -> str:
    """What comes of a rejection out of another process."""
    with StateDB(w.profile.state_db) as db:
        desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
        try:
            decide(desk, w.phase_plan(session), item, "reject", max_quantity=0, who="trader")
        except DecisionRefused:
            return "refused"
        return "taken"


@pytest.mark.parametrize("path", ["/v2/account", "by_client_order_id"])
def test_a_rejection_is_taken_and_obeyed_or_it_is_refused(tmp_path: Path, path: str) -> None:
    """Before the intent is committed it holds the buy back; from then on it comes too late."""
    with world(tmp_path, {"ABC": 50.0}, approval="required") as w:
        planned(w, MONDAY, ABC)
        w.approve(MONDAY, ITEM, shares=200)
        said: list[str] = []
        start = len(w.wire.sent)

        def reject_in_between(method: str, asked: str) -> None:
            is_entry = path in asked
            if method == "GET" and is_entry and not said and ready(w, start):
                said.append(rejects(w))

        w.wire.rule = reject_in_between
        assert w.phase(MONDAY, "execution").exit_code == 0
        assert said == ["taken" if path == "/v2/account" else "refused"]
        assert w.held("ABC") == w.live_sells("ABC") == (0 if said == ["taken"] else 200)
        assert len(w.bought("ABC")) == (0 if said == ["taken"] else 1)
        assert diagnose(w.desk).violations == ()


def ready(w: World, start: int) -> bool:
    """Whether the executor has asked for the latest trade, which it does before the gates."""
    return any("trades/latest" in path for _, path in w.wire.sent[start:])


def test_a_sale_whose_approval_is_taken_back_beside_its_stop_is_not_sent(tmp_path: Path) -> None:
    """The stop is cancelled already when the trader rejects: the shares stay, under a new stop."""
    settings = {"approval": "required", "approval_exempt_exits": False}
    with world(tmp_path, {"ABC": 50.0}, **settings) as w:
        planned(w, MONDAY, ABC)
        w.approve(MONDAY, ITEM, shares=200)
        w.trade(MONDAY)
        (position,) = w.db.get_open_positions()
        assert position.position_id is not None
        w.db.update_position(
            position.position_id, pending_reason="trend_break", pending_since=MONDAY
        )
        w.phase(TUESDAY, "signals")
        w.approve(TUESDAY, "exit:ABC", shares=200)
        said: list[str] = []

        def reject_in_between(method: str, asked: str) -> None:
            cancelled = any(sent[0] == "DELETE" for sent in w.wire.sent)
            if method == "GET" and cancelled and not said:
                said.append(rejects(w, TUESDAY, "exit:ABC"))

        w.wire.sent.clear()
        w.wire.rule = reject_in_between
        assert w.phase(TUESDAY, "execution").exit_code == 0
        assert said == ["taken"]
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert diagnose(w.desk).violations == ()
        shown = w.desk.client.list_orders(status="all")
        assert not [one for one in shown if one.side == "sell" and one.order_type == "market"]
