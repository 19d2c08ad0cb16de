"""A person decides while the executor is between its look at the approval and the request."""

from pathlib import Path

import pytest

from livekit.errors import DecisionRefused
from livekit.state import StateDB
from livekit.trading.approvals import decide
from livekit.trading.doctor import diagnose
from tests.trading.crashing import desk_of
from tests.trading.faults import MONDAY, planned
from tests.trading.world import Lossy, World, world

ABC, ITEM = ("ABC", 80.0, 50.0), "entry:ABC"


def rejects(w: World) -> str:
    """What comes of a rejection out of another process."""
    with StateDB(w.profile.state_db) as db:
        desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
        try:
            decide(desk, w.phase_plan(MONDAY), ITEM, "reject", max_quantity=0, who="trader")
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
