"""A stop that is missing is placed again and again, whatever else of the day fails."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.broker.venue.ledger import read_ledger
from livekit.clock import Clock, sleep_until
from livekit.sessions import open_instant
from livekit.trading.lease import take_lease
from livekit.trading.phases import audit_cover, run_executor
from livekit.trading.protector import protect
from tests.trading.faults import holding
from tests.trading.world import World, with_clock, world

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


def three_held_without_stops(w: World) -> None:
    """Three bought on Monday; on Tuesday at 10:00 all three stops are cancelled by hand."""
    w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 79.0, 50.0), ("GHI", 78.0, 50.0))
    w.trade(MONDAY)
    w.trade(TUESDAY, "signals", "execution")
    sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=30))
    for position in w.db.get_open_positions():
        w.desk.client.cancel_order(str(position.stop_order_id))


def seconds_uncovered(w: World) -> dict[str, float]:
    """Of each ticker, from its first uncovered instant to the end of its gap, by the venue."""
    found = read_ledger(w.profile.venue_db).uncovered
    return {item.ticker: item.seconds for item in found}


MARKET = {"ABC": 50.0, "DEF": 50.0, "GHI": 50.0}


def test_a_stop_that_gets_lost_again_and_again_delays_no_other_stop(tmp_path: Path) -> None:
    with world(tmp_path, MARKET) as w:
        three_held_without_stops(w)
        lost = FaultRule(FaultKind.TIMEOUT_BEFORE, method="POST", symbol="ABC", times=3, seconds=1)
        w.strike(lost)
        assert audit_cover(w.desk, TUESDAY).exit_code == 0
        gaps = seconds_uncovered(w)
        assert w.live_sells("ABC") == w.live_sells("DEF") == w.live_sells("GHI") == 200
        assert max(gaps.get("DEF", 0.0), gaps.get("GHI", 0.0)) <= 5.0
        assert gaps["ABC"] <= 10.0  # three times lost, a second and a look each


def test_a_stop_whose_answer_is_lost_is_adopted_and_not_placed_twice(tmp_path: Path) -> None:
    with world(tmp_path, MARKET) as w:
        three_held_without_stops(w)
        kinds = (FaultKind.ANSWER_LOST, FaultKind.LATE_VISIBILITY)
        w.strike(*(FaultRule(kind, method="POST", symbol="ABC", seconds=5) for kind in kinds))
        assert audit_cover(w.desk, TUESDAY).exit_code == 0
        stops = [item for item in w.desk.client.list_orders(status="open") if item.ticker == "ABC"]
        assert [(int(item.quantity), item.client_order_id) for item in stops] == [
            (200, "20200107_ABC_stop_sell")
        ]
        assert w.trade(TUESDAY, "protect", "reconciliation").exit_code == 0


def two_bought(w: World, *rules: FaultRule) -> dict[str, float]:
    """ABC and DEF are bought at the open while the rules strike; seconds uncovered by ticker."""
    w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 79.0, 50.0))
    w.phase(MONDAY, "signals")
    w.strike(*rules)
    outcome = w.phase(MONDAY, "execution")
    assert outcome.exit_code == 0, outcome.lines
    for ticker in ("ABC", "DEF"):
        assert 0 < w.held(ticker) == w.live_sells(ticker)
    return seconds_uncovered(w)


def test_legs_that_sleep_on_after_the_fill_are_replaced_by_stops_of_their_own(
    tmp_path: Path,
) -> None:
    """Their cancel is refused, as Alpaca does with held legs; a stop beside them is taken."""
    with world(tmp_path, MARKET) as w:
        gaps = two_bought(w, FaultRule(FaultKind.STUCK_LEG, times=2))
        assert all(4.0 <= gaps[ticker] <= 10.0 for ticker in ("ABC", "DEF"))  # a leg may wake


def test_a_cancel_that_takes_its_time_delays_no_other_stop(tmp_path: Path) -> None:
    """Both buys stop half-way. The cancel of ABC's rest is lost in the venue; DEF's is not."""
    with world(tmp_path, MARKET) as w:
        gaps = two_bought(
            w,
            FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, times=2),
            FaultRule(FaultKind.CANCEL_IGNORED, symbol="ABC"),
        )
        assert (w.held("ABC"), w.held("DEF")) == (100, 100)
        assert gaps["DEF"] <= 10.0
        assert gaps["ABC"] <= 10.0  # a cancel without effect is asked for again


def test_entries_wait_for_the_rate_budget_and_cover_does_not(tmp_path: Path) -> None:
    """Twenty buys that each stop half-way need more than the 200 requests of a minute."""
    tickers = [f"T{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
    with world(tmp_path, dict.fromkeys(tickers, 50.0), max_positions=20) as w:
        w.report(MONDAY, *((ticker, 80.0, 50.0) for ticker in tickers))
        w.phase(MONDAY, "signals")
        w.strike(FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, times=0))
        before = len(w.wire.sent)
        outcome = w.phase(MONDAY, "execution")
        assert outcome.exit_code == 0, outcome.lines
        assert len(w.wire.sent) - before > 200
        assert {w.held(ticker) for ticker in tickers} == {100}
        assert {w.live_sells(ticker) for ticker in tickers} == {100}
        assert max(seconds_uncovered(w).values()) <= 10.0


class Meddled:
    """A clock under which something happens as soon as an instant has come."""

    def __init__(self, inner: Clock, at: datetime, act: Callable[[], None]) -> None:
        self.inner = inner
        self.at = at
        self.left = [act]

    def now(self) -> datetime:
        return self.inner.now()

    def sleep(self, seconds: float) -> None:
        self.inner.sleep(seconds)
        if self.left and self.now() >= self.at:
            self.left.pop()()


def test_cover_is_watched_while_a_person_makes_up_his_mind(tmp_path: Path) -> None:
    """DEF waits for an approval until 09:35; at 09:31 ABC's stop is cancelled at the broker."""
    with world(tmp_path, MARKET, approval="required") as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        w.approve(MONDAY, "entry:ABC", shares=200)
        w.trade(MONDAY, "execution", "protect", "reconciliation")
        w.report(TUESDAY, ("DEF", 80.0, 50.0))
        w.phase(TUESDAY, "signals")
        w.go_to(TUESDAY, "execution")
        (position,) = w.db.get_open_positions()

        def meddle() -> None:
            w.desk.client.cancel_order(str(position.stop_order_id))

        clock = Meddled(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=1), meddle)
        desk = with_clock(w.desk, clock)
        assert run_executor(desk, w.phase_plan(TUESDAY)).exit_code == 0
        assert (w.held("DEF"), w.live_sells("ABC")) == (0, 200)
        assert 0 < seconds_uncovered(w)["ABC"] <= 10.0


def test_a_position_whose_stop_id_is_taken_by_a_stranger_delays_no_other_stop(
    tmp_path: Path,
) -> None:
    """Somebody sold one ABC under the id of its stop: ABC needs a person, DEF does not."""
    with world(tmp_path, MARKET) as w:
        three_held_without_stops(w)
        w.desk.client.place_order(
            "ABC",
            1,
            "sell",
            client_order_id="20200107_ABC_stop_sell",
            order_type="stop",
            stop_price=Decimal(45),  # where its own would stand: nothing to correct
            time_in_force="gtc",
        )
        outcome = audit_cover(w.desk, TUESDAY)
        assert outcome.exit_code == 7
        assert "UNCOVERED: ABC" in " ".join(outcome.lines)
        assert w.db.is_kill_switch_on()
        assert w.live_sells("DEF") == w.live_sells("GHI") == 200
        gaps = seconds_uncovered(w)
        assert max(gaps.get("DEF", 0.0), gaps.get("GHI", 0.0)) <= 10.0


def test_buys_that_none_fills_are_cancelled_at_the_cutoff_however_many_they_are(
    tmp_path: Path,
) -> None:
    """Every share is halted: what the buys may still need must not keep the run from its end."""
    tickers = [f"T{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
    with world(tmp_path, dict.fromkeys(tickers, 50.0), max_positions=20) as w:
        w.report(MONDAY, *((ticker, 80.0, 50.0) for ticker in tickers))
        w.phase(MONDAY, "signals")
        w.go_to(MONDAY, "execution")
        w.halt(*tickers)
        outcome = w.phase(MONDAY, "execution")
        assert outcome.exit_code == 0, outcome.lines
        sent = [order for ticker in tickers for order in w.bought(ticker)]
        assert len(sent) >= 10
        assert {order.status for order in sent} == {"canceled"}
        minutes = (w.desk.clock.now() - open_instant(MONDAY)).total_seconds() / 60
        assert 5 <= minutes <= 7


def test_a_sale_in_a_stops_stead_is_in_the_books_when_the_run_ends(tmp_path: Path) -> None:
    """The stop is gone and ABC trades at 40, below it: sold at the market, and booked by the same
    call, so that the record of the run shows a closed position.
    """
    bars = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        position = holding(w)
        w.desk.client.cancel_order(str(position.stop_order_id))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=1))
        assert protect(take_lease(w.desk)).uncovered == ()
        (closed,) = w.db.get_positions()
        assert (closed.status, closed.exit_reason) == ("closed", "protective_stop")
        assert closed.exit_price == Decimal("39.8")  # 40 less 0.5 %
        assert w.db.get_orders(intent="exit", working_only=True) == []
