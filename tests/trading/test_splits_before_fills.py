"""A split that no signals run has followed yet: whoever acts first follows it first."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.model import PROTECTIVE_STOP
from livekit.sessions import open_instant
from livekit.trading.doctor import diagnose
from livekit.trading.lease import take_lease
from livekit.trading.protector import protect
from livekit.trading.reconciliation import reconcile
from livekit.trading.switch import kill, rearm
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    dies,
    holding,
    inject,
    longest_uncovered_s,
    planned,
    posts,
)
from tests.trading.world import World, world


def stops(w: World) -> set[tuple[int, Decimal | None]]:
    working = w.db.get_orders(ticker="ABC", intent="stop", working_only=True)
    return {(item.quantity, item.stop_price) for item in working}


def test_after_a_reverse_split_the_first_stop_lies_on_the_new_basis(tmp_path: Path) -> None:
    """1 for 10: 200 shares with a stop at 45 are 20 with a stop at 450; the venue cancelled it.

    Nobody ran in the morning: the audit of the afternoon is the first to see the 20 shares.
    """
    bars = {("ABC", TUESDAY): (500.0, 500.0, 500.0, 500.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 0.1}) as w:
        holding(w)
        outcome = w.phase(TUESDAY, "protect")
        assert outcome.exit_code == 0, outcome.lines
        assert stops(w) == {(20, Decimal(450))}
        assert w.phase(TUESDAY, "reconciliation").exit_code == 0
        assert diagnose(w.desk).violations == ()


def test_a_stop_that_sold_after_a_split_nobody_followed_closes_the_position(
    tmp_path: Path,
) -> None:
    """2 for 1: the venue made 400 at 22.50 of the stop, and ABC opens at 20, below it.

    Sold at 20 less 0.5 %: 400 × 19.90 = 7,960 of 10,000; on Monday's basis 39.80 a share.
    """
    bars = {("ABC", WEDNESDAY): (20.0, 20.0, 20.0, 20.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", WEDNESDAY): 2.0}) as w:
        holding(w)
        w.trade(TUESDAY)  # its protection puts a simple stop in the leg's place
        outcome = w.phase(WEDNESDAY, "protect")
        assert outcome.exit_code == 0, outcome.lines
        (position,) = w.db.get_positions()
        assert (position.status, position.exit_reason) == ("closed", PROTECTIVE_STOP)
        assert (position.exit_price, position.pnl) == (Decimal("39.8"), Decimal("-2040.00"))
        assert w.phase(WEDNESDAY, "reconciliation").exit_code == 0


def test_a_leg_of_the_old_basis_that_sold_half_leaves_the_other_half_ours(tmp_path: Path) -> None:
    """2 for 1, and the leg stayed: 200 shares at 45 with ABC at 25 sell 200 of the 400 shares.

    The other 200 stay ours, covered at 22.50 as soon as somebody runs.
    """
    bars = {("ABC", TUESDAY): (25.0, 25.0, 25.0, 25.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY, "signals", "execution")  # nobody ran on Monday evening
        outcome = w.phase(TUESDAY, "protect")
        assert outcome.exit_code == 0, outcome.lines
        assert w.held("ABC") == w.live_sells("ABC") == 200
        (position,) = w.db.get_open_positions()
        assert position.shares_now == 200
        assert stops(w) == {(200, Decimal("22.5"))}
        assert w.phase(TUESDAY, "reconciliation").exit_code == 0


def test_a_fill_from_before_the_split_is_booked_on_the_basis_of_its_day(tmp_path: Path) -> None:
    """The stop sells on Monday at 14:00 after the last run; 2 for 1 on Tuesday finds no share."""
    bars = {
        ("ABC", TUESDAY): (50.0, 50.0, 40.0, 40.0),
        ("ABC", WEDNESDAY): (20.0, 20.0, 20.0, 20.0),
    }
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", WEDNESDAY): 2.0}) as w:
        holding(w)
        assert w.trade(TUESDAY, "signals", "execution").exit_code == 0
        assert w.phase(WEDNESDAY, "signals").exit_code == 0
        (position,) = w.db.get_positions()
        assert (position.status, position.exit_date) == ("closed", TUESDAY)
        assert position.pnl == Decimal("-1045.00")  # 200 × (45 × 0.995 − 50)
        assert w.trade(WEDNESDAY).exit_code == 0


def test_a_stop_lost_over_a_split_is_placed_anew_and_nothing_is_sold_in_its_stead(
    tmp_path: Path,
) -> None:
    """2 for 1 and the stop gone: a stop of 45 with ABC at 25 would be a sale at the market."""
    bars = {("ABC", TUESDAY): (25.0, 25.0, 25.0, 25.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        position = holding(w)
        w.desk.client.cancel_order(str(position.stop_order_id))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=1))
        assert protect(take_lease(w.desk)).uncovered == ()
        assert (w.held("ABC"), w.live_sells("ABC")) == (400, 400)
        assert stops(w) == {(400, Decimal("22.5"))}


def test_rearming_on_the_day_of_a_split_covers_on_the_new_basis(tmp_path: Path) -> None:
    bars = {("ABC", TUESDAY): (500.0, 500.0, 500.0, 500.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 0.1}) as w:
        holding(w)
        kill(w.desk, "drill", "operator")
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=1))
        rearm(take_lease(w.desk), "over", "operator")
        assert not w.db.is_kill_switch_on()
        assert stops(w) == {(20, Decimal(450))}
        assert w.held("ABC") == 20


def test_shares_that_a_crashed_run_bought_split_with_the_rest(tmp_path: Path) -> None:
    """The process dies when the buy is taken; its leg of 200 at 45 meets ABC at 25 on Tuesday.

    The leg sells 200 of the 400 shares at the open; the others are covered at 22.50.
    """
    bars = {("ABC", TUESDAY): (25.0, 25.0, 25.0, 25.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        outcome = w.phase(TUESDAY, "protect")
        assert outcome.exit_code == 0, outcome.lines
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert stops(w) == {(200, Decimal("22.5"))}
        assert w.phase(TUESDAY, "reconciliation").exit_code == 0


def test_without_the_announcements_shares_are_covered_all_the_same(tmp_path: Path) -> None:
    """The data interface is down: the split cannot be known, cover never waits for it."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "protect")
        w.desk.client.cancel_order(str(position.stop_order_id))
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path="/v1/corporate-actions*", times=0))
        assert w.phase(TUESDAY, "protect").exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 10.0


def test_without_the_announcements_every_leg_becomes_a_simple_stop_one_after_the_other(
    tmp_path: Path,
) -> None:
    """Tomorrow may be a split, and a venue adjusts simple orders only; none is bare for long."""
    tickers = ("ABC", "DEF", "GHI", "JKL", "MNO")
    with world(tmp_path, dict.fromkeys(tickers, 50.0), max_positions=5) as w:
        holding(w, *((ticker, 80.0, 50.0) for ticker in tickers))
        w.go_to(TUESDAY, "protect")
        legs = w.db.get_orders(intent="stop", working_only=True)
        assert [item.parent_client_order_id is None for item in legs] == [False] * 5
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path="/v1/corporate-actions*", times=0))
        assert w.phase(TUESDAY, "protect").exit_code == 0
        simple = w.db.get_orders(intent="stop", working_only=True)
        assert [item.parent_client_order_id for item in simple] == [None] * 5
        assert all(w.live_sells(ticker) == w.held(ticker) == 200 for ticker in tickers)
        assert longest_uncovered_s(w) <= 2.0
        assert {item.kind for item in w.db.get_alerts(TUESDAY)} == {"announcements_unread"}


def test_announcements_that_never_answer_hold_cover_up_for_one_read(tmp_path: Path) -> None:
    """A read is silent for ten seconds at most; repeated four times it would be forty."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "protect")
        w.desk.client.cancel_order(str(position.stop_order_id))
        kind = FaultKind.TIMEOUT_BEFORE
        inject(w, FaultRule(kind, path="/v1/corporate-actions*", times=0, seconds=10))
        assert protect(take_lease(w.desk)).uncovered == ()
        assert w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 11.0


def test_shares_whose_leg_is_taken_down_below_the_market_are_sold_beside_the_first_sale(
    tmp_path: Path,
) -> None:
    """2 for 1 and ABC at 20, below the stop due of 22.50: no stop can rest for any of the 400.

    200 are sold at once; the leg of 200 at 45 is taken down, and its shares are sold as well.
    """
    bars = {("ABC", TUESDAY): (20.0, 20.0, 20.0, 20.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY, "signals", "execution")  # nobody ran on Monday evening
        sleep_until(w.desk.clock, open_instant(TUESDAY) - timedelta(minutes=40))
        found = protect(take_lease(w.desk))
        assert found.uncovered == ()
        assert w.held("ABC") == w.live_sells("ABC") == 400
        assert {item.quantity for item in w.db.get_orders(intent="exit")} == {200}
        assert w.trade(TUESDAY).exit_code == 0
        (position,) = w.db.get_positions()
        assert (position.status, w.held("ABC")) == ("closed", 0)
        assert position.exit_price == Decimal("39.8")  # 20 × 0.995 twice over


def test_half_a_share_at_an_odd_price_leaves_no_cent_unexplained(tmp_path: Path) -> None:
    """An odd number of shares, 3 for 2: half a share is left.

    Half of 33.17 is 16.585, paid as 16.59.
    """
    bars = {("ABC", TUESDAY): (33.17, 33.17, 33.17, 33.17)}
    with world(tmp_path, {"ABC": 49.7}, bars, splits={("ABC", TUESDAY): 1.5}) as w:
        w.report(MONDAY, ("ABC", 80.0, 49.7))
        w.trade(MONDAY)
        assert w.db.get_open_positions()[0].shares_now == 201  # 10,000 / 49.70
        assert w.trade(TUESDAY).exit_code == 0
        (paid,) = w.db.get_breaks("cash_entry")
        assert paid.facts == "CIL of 16.59 USD"


def test_a_stop_of_the_old_basis_falls_when_the_split_is_told_late(tmp_path: Path) -> None:
    """The announcement can be read only while the books are compared: a stop at 45 rests by then.

    1 for 10: the same reconciliation takes it down and places 20 shares at 450.
    """
    bars = {("ABC", TUESDAY): (500.0, 500.0, 500.0, 500.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 0.1}) as w:
        holding(w)
        w.go_to(TUESDAY, "protect")
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path="/v1/corporate-actions*", times=0))
        desk = take_lease(w.desk)
        protection = protect(desk)
        assert stops(w) == {(20, Decimal(45))}
        inject(w)
        assert reconcile(desk, TUESDAY, repaired=protection.repaired) == ()
        assert stops(w) == {(20, Decimal(450))}
        assert diagnose(w.desk).violations == ()


def test_three_lost_answers_to_the_announcements_leave_no_sale_on_the_old_basis(
    tmp_path: Path,
) -> None:
    """4 for 1 at 12.50: the leg of 200 at 45 sells 200 of 800 at the open, and nobody is there.

    The first run comes at noon. 600 shares are left, and their stop is due at 45 / 4 = 11.25.
    """
    bars = {("ABC", TUESDAY): (12.5, 12.5, 12.5, 12.5)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 4.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY, "signals", "execution")  # nobody ran on Monday evening either
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(hours=2))
        assert w.held("ABC") == 600
        inject(w, FaultRule(FaultKind.RESET_BEFORE, path="/v1/corporate-actions*", times=3))
        assert protect(take_lease(w.desk)).uncovered == ()
        (position,) = w.db.get_open_positions()
        assert (position.shares_now, position.stop_price) == (600, Decimal("11.25"))
        assert w.held("ABC") == w.live_sells("ABC") == 600
        assert stops(w) == {(600, Decimal("11.25"))}
