"""A stop that is missing is placed again and again, whatever else of the day fails."""

from datetime import date
from pathlib import Path

from livekit.broker.venue.ledger import read_ledger
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)


def held_without_a_stop(w: World) -> None:
    """200 ABC bought on Monday; on Monday evening somebody cancels their stop at the broker."""
    w.report(MONDAY, ("ABC", 80.0, 50.0))
    w.trade(MONDAY)
    (position,) = w.db.get_open_positions()
    w.desk.client.cancel_order(str(position.stop_order_id))
    assert (w.held("ABC"), w.live_sells("ABC")) == (200, 0)


def lose_posts(w: World, count: int) -> None:
    left = [count]

    def rule(method: str, path: str) -> str | None:
        if method == "POST" and left[0]:
            left[0] -= 1
            return "before"
        return None

    w.wire.rule = rule


def uncovered_s(w: World) -> float:
    found = read_ledger(w.profile.venue_db).uncovered
    return max((item.seconds for item in found), default=0.0)


def test_a_stop_that_is_lost_twice_on_its_way_is_placed_before_the_open(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        held_without_a_stop(w)
        lose_posts(w, 2)  # the stop and its one repetition
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 0
        assert w.live_sells("ABC") == 200
        assert w.trade(TUESDAY).exit_code == 0
        assert uncovered_s(w) == 0.0  # before the open no second counts


def test_cover_that_cannot_be_had_for_a_minute_switches_the_kill_switch_on_and_exits_7(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        held_without_a_stop(w)
        w.report(TUESDAY, ("ABC", 80.0, 50.0))
        lose_posts(w, 10_000)
        w.go_to(TUESDAY, "signals")
        before = w.desk.clock.now()
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 7
        assert w.db.is_kill_switch_on()
        alerts = [item for item in w.db.get_alerts() if item.kind == "uncovered"]
        assert len(alerts) == 1
        assert (w.desk.clock.now() - before).total_seconds() < 90


def test_an_execution_that_is_withheld_still_covers_every_share(tmp_path: Path) -> None:
    """The signals phase could send nothing; a quarter of an hour before the open all is well."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        held_without_a_stop(w)
        lose_posts(w, 10_000)
        w.go_to(TUESDAY, "signals")

        class Healing:
            """The line heals when the signals phase has given up."""

            def __call__(self, method: str, path: str) -> str | None:
                return "before" if method == "POST" and not w.db.is_kill_switch_on() else None

        w.wire.rule = Healing()
        report = w.trade(TUESDAY)
        by_phase = {item.phase: item for item in report.phases}
        assert by_phase["signals"].exit_code == 7
        assert by_phase["execution"].status == "withheld"
        assert "cover repaired" in " ".join(by_phase["execution"].lines)
        assert report.exit_code == 7
        assert w.live_sells("ABC") == 200
        assert uncovered_s(w) == 0.0
