"""The executor in two parts: placing before the open, polling from the open on."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.ledger import read_ledger
from livekit.errors import UsageError
from livekit.trading.executor import execute_plan
from livekit.trading.phases import run_executor
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)


def planned(w: World, session: date, *stocks: tuple[str, float, float]) -> None:
    """Signals are done and a quarter of an hour is left to the open."""
    w.report(session, *stocks)
    w.phase(session, "signals")
    w.go_to(session, "execution")


def part(w: World, session: date, name: str) -> list[str]:
    outcome = run_executor(w.desk, w.phase_plan(session), part=name)
    assert outcome.exit_code == 0, outcome.lines
    return list(outcome.lines)


def longest_uncovered_s(w: World) -> float:
    found = read_ledger(w.profile.venue_db).uncovered
    return max((item.seconds for item in found), default=0.0)


def test_auction_entries_refuse_to_be_placed_and_polled_in_one_run(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, entry_tif="opg") as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        with pytest.raises(UsageError, match="--phase place"):
            execute_plan(w.desk, w.phase_plan(MONDAY))
        assert w.bought("ABC") == []


def test_an_unknown_part_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        sent = len(w.wire.sent)
        with pytest.raises(UsageError, match="no part"):
            execute_plan(w.desk, w.phase_plan(MONDAY), part="both")
        assert len(w.wire.sent) == sent


def test_an_auction_entry_fills_at_the_open_and_has_its_stop_within_ten_seconds(
    tmp_path: Path,
) -> None:
    """Opens at 48 after a report at 50: 10,000 / 50 = 200 shares; stop 48 × 0.9 = 43.20."""
    bars = {("ABC", MONDAY): (48.0, 52.0, 47.0, 51.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, entry_tif="opg", price_conflict_pct=10.0) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        part(w, MONDAY, "place")
        (buy,) = w.bought("ABC")
        assert (buy.time_in_force, buy.is_terminal, w.held("ABC")) == ("opg", False, 0)
        part(w, MONDAY, "poll")
        (position,) = w.db.get_open_positions()
        assert (position.entry_price, position.stop_price) == (Decimal(48), Decimal("43.20"))
        assert w.held("ABC") == w.live_sells("ABC") == position.shares_now
        assert longest_uncovered_s(w) <= 10.0
        assert w.trade(MONDAY, "protect", "reconciliation").exit_code == 0


def test_a_daily_run_with_auction_entries_places_and_polls(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, entry_tif="opg") as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        assert w.trade(MONDAY).exit_code == 0
        assert [item.time_in_force for item in w.bought("ABC")] == ["opg"]
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_polling_alone_after_the_auction_buys_nothing_and_says_so(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, entry_tif="opg") as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        lines = part(w, MONDAY, "poll")
        assert lines == ["ABC: not bought, auction_missed"]
        assert w.bought("ABC") == []


def test_an_auction_never_rotates_since_its_buy_would_go_before_the_sell_has_filled(
    tmp_path: Path,
) -> None:
    """One slot; ABC loses, DEF scores higher: the pair is planned, and neither half is sent."""
    bars = {("ABC", MONDAY): (50.0, 50.0, 46.0, 47.0)}
    prices = {"ABC": 50.0, "DEF": 20.0}
    with world(tmp_path, prices, bars, entry_tif="opg", max_positions=1) as w:
        w.report(MONDAY, ("ABC", 60.0, 50.0))
        w.trade(MONDAY)
        planned(w, TUESDAY, ("DEF", 90.0, 20.0))
        pair = [order.reason for order in w.phase_plan(TUESDAY).orders]
        assert pair == ["rotated_out", "rotation"]
        part(w, TUESDAY, "place")
        part(w, TUESDAY, "poll")
        assert (w.held("ABC"), w.held("DEF")) == (200, 0)
        assert w.live_sells("ABC") == 200


def test_placing_sends_the_sells_and_polling_the_buys_of_a_usual_day(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 20.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        (position,) = w.db.get_open_positions()
        w.db.update_position(
            position.position_id, pending_reason="trend_break", pending_since=MONDAY
        )
        planned(w, TUESDAY, ("DEF", 70.0, 20.0))
        part(w, TUESDAY, "place")
        assert w.bought("DEF") == []
        assert w.held("ABC") == w.live_sells("ABC") == 200  # the queued sell is its cover
        part(w, TUESDAY, "poll")
        assert (w.held("ABC"), w.held("DEF")) == (0, 500)
        assert w.trade(TUESDAY, "protect", "reconciliation").exit_code == 0
