"""Something fails while a position leaves: its shares are sold or covered again, within the run."""

from pathlib import Path

import pytest

from tests.trading.faults import TUESDAY, holding, leaving, longest_uncovered_s
from tests.trading.test_insistent_cover import MARKET
from tests.trading.world import World, world


def silence_after_the_cancel(w: World, path: str, reads: int) -> None:
    """Once a cancel was sent, so many reads of a path get no answer."""
    left = [reads]
    cancelled = []

    def rule(method: str, asked: str) -> str | None:
        if method == "DELETE":
            cancelled.append(asked)
        if method == "GET" and cancelled and asked.startswith(path) and left[0]:
            left[0] -= 1
            return "504"
        return None

    w.wire.rule = rule


@pytest.mark.parametrize("path", ["/v2/positions", "/v2/orders:by_client_order_id"])
def test_an_exit_whose_shares_cannot_be_read_gets_its_stop_back(tmp_path: Path, path: str) -> None:
    """Four attempts fail after the stop is gone; five minutes later nobody would have run."""
    with world(tmp_path, MARKET) as w:
        leaving(w, holding(w))
        silence_after_the_cancel(w, path, reads=4)
        assert w.phase(TUESDAY, "execution").exit_code == 1
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) == 0.0
        report = w.trade(TUESDAY)
        assert report.exit_code == 0, report.trouble
        (position,) = w.db.get_positions()
        assert (position.status, position.exit_reason) == ("closed", "trend_break")
