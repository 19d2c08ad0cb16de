"""A session from its report to its settled books, on a small market with prices known by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.ledger import read_ledger
from livekit.errors import BooksDiffer, LockHeld, UnknownParameter, UsageError
from livekit.model import CAPACITY_FULL, PROTECTIVE_STOP, ROTATED_OUT, TREND_BREAK, Fill
from livekit.sessions import sessions_between
from livekit.trading.opening import sole_runner
from livekit.trading.reconciliation import BookView, compare_books
from livekit.trading.reconciliation import VenueView as BrokerView
from livekit.trading.switch import kill, rearm
from livekit.trading.upkeep import keep_up
from tests.trading.world import FIRST, world

NOON = datetime(2020, 1, 7, 17, 0, tzinfo=UTC)
MONDAY, TUESDAY, WEDNESDAY = date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 8)


def test_a_candidate_is_bought_at_the_open_and_covered_at_once(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        report = w.trade(MONDAY)
        assert report.exit_code == 0
        (position,) = w.db.get_open_positions()
        assert (position.ticker, position.actual_shares) == ("ABC", 200)  # 10,000 / 50
        assert position.entry_price == Decimal(50)
        assert position.stop_price == Decimal(45)  # 50 less 10 %
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_the_executors_own_row_names_the_code_and_the_configuration(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY, "signals", "execution")
        rows = {run.phase: (run.git, run.config_sha256) for run in w.db.get_runs(session=MONDAY)}
        assert rows["executor"] == rows["execution"]
        assert all(rows["executor"])


def test_a_stop_reached_on_the_entry_session_sells_at_the_stop_less_slippage(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}, {("ABC", MONDAY): (50.0, 51.0, 44.0, 46.0)}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        (position,) = w.db.get_positions()
        assert position.exit_reason == PROTECTIVE_STOP
        assert position.exit_price == Decimal("44.775")  # 45 × 0.995
        assert position.pnl == Decimal("-1045.00")  # 200 × (44.775 − 50)


def test_a_gap_through_the_stop_sells_at_the_open_less_slippage(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, {("ABC", TUESDAY): (40.0, 41.0, 39.0, 40.5)}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        w.trade(TUESDAY)
        (position,) = w.db.get_positions()
        assert position.exit_date == TUESDAY
        assert position.exit_price == Decimal("39.8")  # 40 × 0.995
        assert position.pnl == Decimal("-2040.00")


def test_rotation_logic(tmp_path: Path) -> None:
    """The weakest loser leaves for a strictly better score; the buy follows its sell."""
    bars = {
        ("AAA", MONDAY): (50.0, 50.0, 48.0, 48.0),
        ("BBB", MONDAY): (50.0, 50.0, 47.0, 47.0),
    }
    prices = dict.fromkeys(["AAA", "BBB", "CCC", "DDD"], 50.0)
    with world(tmp_path, prices, bars, max_positions=2) as w:
        w.report(MONDAY, ("AAA", 60.0, 50.0), ("BBB", 58.0, 50.0))
        w.trade(MONDAY)
        w.report(TUESDAY, ("CCC", 75.0, 50.0), ("DDD", 70.0, 50.0))
        w.trade(TUESDAY)
        closed = w.db.get_positions("closed")
        assert [(item.ticker, item.exit_reason) for item in closed] == [("BBB", ROTATED_OUT)]
        assert closed[0].exit_price == Decimal("46.765")  # 47 × 0.995
        assert sorted(item.ticker for item in w.db.get_open_positions()) == ["AAA", "CCC"]
        plan = w.phase_plan(TUESDAY)
        assert [(skip.candidate.ticker, skip.reason) for skip in plan.skips] == [
            ("DDD", CAPACITY_FULL)
        ]


def test_a_close_below_the_ema_on_a_week_end_leaves_at_the_next_open(tmp_path: Path) -> None:
    """Entry on Monday 6 January; the weeks of the 13th and the 20th are the two transition weeks.

    The close of Friday 24 January (45.50) lies below the EMA of closes at 50; Monday 27 sells.
    """
    friday, monday = date(2020, 1, 24), date(2020, 1, 27)
    bars = {("ABC", friday): (46.0, 46.0, 45.5, 45.5), ("ABC", monday): (46.0, 46.0, 46.0, 46.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        for session in sessions_between(FIRST, monday):
            assert w.trade(session).exit_code == 0
        (position,) = w.db.get_positions()
        assert (position.exit_date, position.exit_reason) == (monday, TREND_BREAK)
        assert position.exit_price == Decimal("45.77")  # 46 × 0.995
        weeks = [item.week_end for item in w.db.get_evaluations("ema_p10")]
        assert weeks == [date(2020, 1, 10), date(2020, 1, 17), friday]


def test_a_day_run_twice_sends_nothing_the_second_time(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        before = len(w.wire.posts())
        again = w.trade(MONDAY)
        assert {item.status for item in again.phases} == {"already"}
        assert len(w.wire.posts()) == before
        assert len(w.bought("ABC")) == 1


def test_a_closed_day_is_said_and_is_no_error(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        report = w.trade(date(2020, 1, 20))  # Martin Luther King day
        assert report.exit_code == 0
        assert report.phases[0].status == "closed"


def test_without_a_report_everything_else_runs(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        report = w.trade(MONDAY)
        assert report.exit_code == 0
        assert "no_report" in report.phases[0].lines[0]
        assert w.db.get_equity("ema_p10")[-1].positions == 0


def test_an_unknown_ticker_is_withheld_and_said(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0), ("ZZZQ", 90.0, 20.0))
        outcome = w.phase(MONDAY, "signals")
        assert outcome.exit_code == 5
        assert any("ZZZQ" in line for line in outcome.lines)
        assert [order.ticker for order in w.phase_plan(MONDAY).orders] == ["ABC"]


def test_both_twins_and_the_broker_agree_to_the_cent_while_their_rules_do(tmp_path: Path) -> None:
    bars = {("ABC", TUESDAY): (52.0, 53.0, 51.0, 52.5)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        w.trade(TUESDAY)
        profits = {
            book: w.db.get_equity(book)[-1].unrealised for book in ("broker", "ema_p10", "nwl_p4")
        }
        assert set(profits.values()) == {Decimal("500.00")}  # 200 × (52.50 − 50)


def test_a_split_doubles_the_shares_and_halves_the_stop(tmp_path: Path) -> None:
    bars = {("ABC", TUESDAY): (25.0, 25.0, 25.0, 25.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        report = w.trade(TUESDAY)
        (position,) = w.db.get_open_positions()
        assert (position.shares_now, position.stop_price) == (400, Decimal("22.5"))
        assert w.held("ABC") == 400
        assert w.live_sells("ABC") == 400, report
        assert w.trade(WEDNESDAY).exit_code == 0


@pytest.mark.parametrize("ticker", ["BRK.B"])
def test_class_shares_trade_under_their_dotted_name(tmp_path: Path, ticker: str) -> None:
    with world(tmp_path, {ticker: 50.0}) as w:
        w.report(MONDAY, (ticker, 80.0, 50.0))
        assert w.trade(MONDAY).exit_code == 0
        assert w.held(ticker) == 200


def test_an_exit_that_cannot_fill_is_covered_again_before_the_close_and_sold_the_next_day(
    tmp_path: Path,
) -> None:
    """ABC does not trade on Tuesday: its pending exit fills at Wednesday's open, 50 × 0.995."""
    with world(tmp_path, {"ABC": 50.0}, {("ABC", TUESDAY): None}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        (position,) = w.db.get_open_positions()
        w.db.update_position(position.position_id, pending_reason=TREND_BREAK, pending_since=MONDAY)
        tuesday = w.trade(TUESDAY)
        assert tuesday.exit_code == 0, tuesday
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert w.db.get_position(position.position_id).pending_reason == TREND_BREAK
        assert w.trade(WEDNESDAY).exit_code == 0
        closed = w.db.get_position(position.position_id)
        assert (closed.exit_date, closed.exit_price) == (WEDNESDAY, Decimal("49.75"))


def test_a_run_that_a_crash_left_open_is_a_failed_one_at_the_next_start(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        at = w.desk.clock.now()
        run_id = w.db.start_run(
            session=MONDAY, phase="signals", at=at, venue="simulated", git="", config_sha256=""
        )
        w.trade(MONDAY)
        first, *_ = w.db.get_runs(session=MONDAY, phase="signals")
        assert (first.run_id, first.status, first.exit_code) == (run_id, "failed", 1)
        assert [alert.kind for alert in w.db.get_alerts()] == ["failed_run"]


def test_a_second_daily_run_beside_a_living_one_is_turned_away(tmp_path: Path) -> None:
    with (
        world(tmp_path, {"ABC": 50.0}) as w,
        sole_runner(w.profile),
        pytest.raises(LockHeld, match=r"daily\.lock"),
    ):
        w.trade(MONDAY)


def test_the_kill_switch_is_rearmed_only_with_clean_books_and_a_reason(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        kill(w.desk, "drill", "trader")
        assert w.db.is_kill_switch_on()
        with pytest.raises(UsageError, match="wants a reason"):
            rearm(w.desk, " ", "trader")
        w.go_to(MONDAY, "execution")
        w.desk.client.place_order("ABC", 7, "buy", client_order_id="by-hand-1")
        with pytest.raises(BooksDiffer, match="foreign_order"):
            rearm(w.desk, "drill over", "trader")
        assert w.db.is_kill_switch_on()
        (order,) = w.bought("ABC")
        w.desk.client.cancel_order(order.order_id)
        rearm(w.desk, "drill over", "trader")
        assert not w.db.is_kill_switch_on()


@pytest.mark.parametrize(
    ("name", "value"),
    [("stop_mode", "close"), ("entry_mode", "next_open"), ("max_holding_days", 30)],
)
def test_choices_that_only_a_backtest_can_make_are_refused_at_registration(
    tmp_path: Path, name: str, value: object
) -> None:
    with (
        pytest.raises(UnknownParameter, match=name),
        world(tmp_path, {"ABC": 50.0}, **{name: value}),
    ):
        pass
    assert not (tmp_path / "world" / "state.db").exists()


def test_before_a_split_the_leg_becomes_a_simple_stop_which_the_venue_adjusts(
    tmp_path: Path,
) -> None:
    """2 for 1 on Wednesday: 200 shares with a stop at 45 become 400 with a stop at 22.50.

    Wednesday opens at 20.00, below the stop: everything is sold there, less 0.5 %: 19.90. On the
    basis of Monday that is 39.80, so the loss is 200 × (39.80 − 50) = −2,040.
    """
    bars = {("ABC", WEDNESDAY): (20.0, 20.0, 20.0, 20.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", WEDNESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        tuesday = w.trade(TUESDAY)
        assert "stop placed anew: ABC" in tuesday.phases[2].lines
        stops = w.db.get_orders(ticker="ABC", intent="stop")
        assert [item.client_order_id for item in stops][1:] == ["20200107_ABC_stop_sell"]
        assert w.trade(WEDNESDAY).exit_code == 0
        (position,) = w.db.get_positions()
        assert (position.status, position.exit_reason) == ("closed", PROTECTIVE_STOP)
        assert (position.exit_price, position.pnl) == (Decimal("39.8"), Decimal("-2040.00"))


def test_a_split_while_nobody_ran_in_the_morning_still_finds_every_share_covered(
    tmp_path: Path,
) -> None:
    """The simple stop placed on Tuesday holds through Wednesday's split without any run of ours."""
    bars = {("ABC", WEDNESDAY): (25.0, 25.0, 25.0, 25.0)}
    thursday = date(2020, 1, 9)
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", WEDNESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        w.trade(TUESDAY)
        assert w.trade(thursday).exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 400
        worst = max((item.seconds for item in read_ledger(w.profile.venue_db).uncovered), default=0)
        assert worst <= 10.0


def test_a_stop_about_to_age_out_is_placed_anew(tmp_path: Path) -> None:
    """Alpaca cancels after 90 days: the leg of Monday 6 January dies on 5 April.

    On Thursday 26 March its last ten days have begun, on Wednesday the 25th they have not.
    """
    with world(tmp_path, {"ABC": 50.0}, last=date(2020, 3, 31)) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        (leg,) = w.bought("ABC")[0].legs
        assert leg.expires_at is not None
        assert leg.expires_at.date() == date(2020, 4, 5)
        w.go_to(date(2020, 3, 25), "protect")
        assert keep_up(w.desk, date(2020, 3, 25)).renewed == ()
        thursday = w.phase(date(2020, 3, 26), "protect")
        assert "stop placed anew: ABC" in thursday.lines
        (stop,) = w.db.get_orders(ticker="ABC", intent="stop", working_only=True)
        assert stop.client_order_id == "20200326_ABC_stop_sell"
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_a_session_of_the_past_is_missed_and_the_next_reconciliation_settles_it(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.trade(TUESDAY)  # nobody ran on Monday
        assert {item.status for item in w.trade(MONDAY).phases} == {"missed"}
        settled = [point.session for point in w.db.get_equity("ema_p10")]
        assert settled == [MONDAY, TUESDAY]
        assert [point.session for point in w.db.get_equity("broker")] == [TUESDAY]


def test_a_leg_on_the_old_basis_is_replaced_in_the_morning_of_the_split(tmp_path: Path) -> None:
    """Nobody ran on Monday evening: on Tuesday 400 shares stand behind a leg of 200 at 45.

    The audit before the open covers the other 200 at 22.50, takes the leg down, and covers those.
    """
    bars = {("ABC", TUESDAY): (25.0, 25.0, 25.0, 25.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY, "signals", "execution")
        assert w.trade(TUESDAY).exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 400
        stops = w.db.get_orders(ticker="ABC", intent="stop", working_only=True)
        assert {item.stop_price for item in stops} == {Decimal("22.5")}


def test_a_balance_that_the_broker_rounds_to_the_cent_is_no_break() -> None:
    """One share sold at 49.745: 10,049.745 USD by our fills, 10,049.74 or 10,049.75 shown."""
    fill = Fill("1", "20200107_ABC_exit_sell", "ABC", "sell", 1, Decimal("49.745"), NOON)
    ours = BookView([], [], [fill], Decimal(10_000), {})
    for shown, breaks in (("10049.74", 0), ("10049.75", 0), ("10049.73", 1), ("10049.76", 1)):
        theirs = BrokerView([], [], Decimal(shown), [])
        assert len(compare_books(ours, theirs)) == breaks, shown


def test_a_suspect_report_withholds_entries_names_the_card_and_lets_protection_run(
    tmp_path: Path,
) -> None:
    """On Tuesday the one card has no price: nothing is bought, what is held stays covered."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        path = w.report(TUESDAY, ("DEF", 90.0, 40.0))
        path.write_text(
            path.read_text(encoding="utf-8").replace("$40.00", "soon"), encoding="utf-8"
        )
        report = w.trade(TUESDAY)
        assert report.exit_code == 5
        assert any("suspect report of 2020-01-07" in line for line in report.phases[0].lines)
        assert [alert.kind for alert in w.db.get_alerts()] == ["suspect_report"]
        assert w.bought("DEF") == []
        assert w.held("ABC") == w.live_sells("ABC") == 200
