"""A run that cannot go on sends nothing new, and follows what it has at the venue to its end."""

from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    holding,
    inject,
    leaving,
    longest_uncovered_s,
    planned,
    sold,
)
from tests.trading.test_cancels_at_the_open import set_venue
from tests.trading.test_insistent_cover import MARKET
from tests.trading.world import world


@pytest.mark.parametrize("kind", [FaultKind.UNREACHABLE, FaultKind.RATE_LIMITED])
def test_a_buy_that_cannot_be_sent_leaves_no_other_buy_unwatched(
    tmp_path: Path, kind: FaultKind
) -> None:
    """ABC is bought by half when DEF's request fails; without a watch its 100 were bare all day."""
    with world(tmp_path, MARKET) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0), ("DEF", 79.0, 50.0))
        inject(
            w,
            FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, symbol="ABC"),
            FaultRule(kind, method="POST", symbol="DEF"),
        )
        assert w.phase(MONDAY, "execution").exit_code == 1
        assert w.held("ABC") == w.live_sells("ABC") == 100
        assert longest_uncovered_s(w) <= 10.0


def test_upkeep_that_fails_does_not_keep_cover_from_being_audited(tmp_path: Path) -> None:
    with world(tmp_path, MARKET) as w:
        position = holding(w)
        w.go_to(TUESDAY, "protect")
        w.desk.client.cancel_order(str(position.stop_order_id))
        left = [4]

        def rule(method: str, path: str) -> str | None:
            left[0] -= path.startswith("/v2/orders")
            return "504" if path.startswith("/v2/orders") and left[0] >= 0 else None

        w.wire.rule = rule
        assert w.phase(TUESDAY, "protect").exit_code == 1
        assert w.live_sells("ABC") == 200


def test_on_a_day_of_auctions_an_exit_whose_cancel_waits_for_the_open_is_sold_there(
    tmp_path: Path,
) -> None:
    with world(tmp_path, MARKET, entry_tif="opg") as w:
        leaving(w, holding(w, ("ABC", 80.0, 50.0), ("DEF", 79.0, 50.0)))
        set_venue(w, cancels_wait_for_open=True)
        assert w.trade(TUESDAY, "execution").exit_code == 0
        assert sold(w, "ABC") == 200
