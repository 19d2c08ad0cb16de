"""Failures that naive implementations of this program have: those with no better home."""

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.config import LiveConfig
from livekit.errors import PlanRefused
from livekit.model import Candidate, ClosedTrade, PlannedOrder, Position, VenuePosition
from livekit.sessions import session_of
from livekit.trading.gates import EntryFacts, entry_refusal
from livekit.trading.plans import canonical_json, read_plan_file, sha256_text
from livekit.trading.reconciliation import BookView, VenueView, compare_books, reconcile
from livekit.workbench.daily import perform_recorded
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    dies,
    edited,
    healed,
    holding,
    inject,
    longest_uncovered_s,
    planned,
    posts,
)
from tests.trading.world import world

ABC, DEF = ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0)


# --------------------------------------------------------------------------- the books of two days


@dataclass(frozen=True)
class Shadow:
    """What the shadow's book holds after two days of rotation, a stop and a split."""

    trades: dict[str, ClosedTrade]
    prices: dict[str, float]
    broker: dict[str, Position]
    unrealised: dict[str, Decimal]


@pytest.fixture(scope="module")
def shadow(tmp_path_factory: pytest.TempPathFactory) -> Shadow:
    """Monday: AAA, BBB and SSS bought at 50 after a report at 49.50. Tuesday: CCC rotates in.

    BBB closes Monday at 47 and leaves on Tuesday; AAA is stopped out on Tuesday at 45; SSS splits.
    """
    folder = tmp_path_factory.mktemp("shadow")
    bars = {
        ("BBB", MONDAY): (50.0, 50.0, 47.0, 47.0),
        ("AAA", TUESDAY): (50.0, 50.0, 44.0, 46.0),
        ("SSS", TUESDAY): (25.0, 25.0, 25.0, 25.0),
    }
    prices = dict.fromkeys(["AAA", "BBB", "CCC", "SSS"], 50.0)
    with world(folder, prices, bars, splits={("SSS", TUESDAY): 2.0}, max_positions=3) as w:
        w.report(MONDAY, ("AAA", 80.0, 49.5), ("BBB", 60.0, 49.5), ("SSS", 70.0, 49.5))
        w.trade(MONDAY)
        w.report(TUESDAY, ("CCC", 75.0, 50.0))
        w.trade(TUESDAY)
        held = w.db.get_shadow_positions("nwl_p4", status=None)
        return Shadow(
            trades={item.trade.ticker: item.trade for item in held if item.trade is not None},
            prices={item.holding.ticker: item.holding.entry_price for item in held},
            broker={item.ticker: item for item in w.db.get_positions()},
            unrealised={
                name: w.db.get_equity(name)[-1].unrealised for name in ("broker", "nwl_p4")
            },
        )


def test_t06_a_rotated_shadow_position_leaves_at_the_open_less_slippage(shadow: Shadow) -> None:
    """BBB opens Tuesday at 47: 47 × 0.995 = 46.765, never its own entry price."""
    assert shadow.trades["BBB"].exit_price == 46.765
    assert shadow.trades["BBB"].exit_reason == "rotated_out"
    assert shadow.broker["BBB"].exit_price == Decimal("46.765")


def test_t07_the_protective_stop_holds_in_the_shadow_book_too(shadow: Shadow) -> None:
    """Stop at 50 less 10 % = 45, sold at 45 × 0.995 = 44.775."""
    assert shadow.trades["AAA"].exit_reason == "protective_stop"
    assert shadow.trades["AAA"].exit_price == 44.775


def test_t08_entry_prices_are_fills_and_opens_never_size_over_shares(shadow: Shadow) -> None:
    """10,000 USD over 202 shares would be 49.50; the open was 50."""
    assert set(shadow.prices.values()) == {50.0}
    assert {item.entry_price for item in shadow.broker.values()} == {Decimal(50)}


def test_t09_a_split_is_no_loss_in_any_book(shadow: Shadow) -> None:
    assert shadow.broker["SSS"].status == "open"
    assert "SSS" not in shadow.trades
    assert shadow.unrealised == {"broker": Decimal(0), "nwl_p4": Decimal(0)}


# ------------------------------------------------------------------------------- orders of the day


def test_t04_a_second_run_of_the_day_does_not_take_the_next_batch(tmp_path: Path) -> None:
    """One entry a day: ABC is bought, and signals and execution are run again before the cut-off.

    ABC is held now, so DEF would be the first of the list.
    """
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, daily_entry_limit=1) as w:
        planned(w, MONDAY, ABC, DEF)
        w.phase(MONDAY, "execution")
        assert w.desk.clock.now() < w.phase_plan(MONDAY).expires_at
        again = perform_recorded(w.desk, "signals", MONDAY)
        assert again.exit_code == 2
        assert "another one is frozen already" in again.lines[0]
        perform_recorded(w.desk, "execution", MONDAY)
        w.trade(MONDAY)
        assert (len(w.bought("ABC")), len(w.bought("DEF"))) == (1, 0)


def test_t05_the_daily_limit_holds_in_the_shadow_book_too(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, daily_entry_limit=1) as w:
        w.report(MONDAY, ABC, DEF)
        assert w.trade(MONDAY).exit_code == 0
        for twin in ("ema_p10", "nwl_p4"):
            assert [item.ticker for item in w.db.load_twin(twin)] == ["ABC"], twin


def test_t12_an_adopted_position_keeps_its_score(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        healed(w, MONDAY)
        (position,) = w.db.get_open_positions()
        assert (position.candidate.score, position.candidate.grade) == (80.0, "B")


@pytest.mark.parametrize("path", ["/v2/account", "/v2/positions"])
def test_t15_what_cannot_be_reconciled_makes_no_plan_and_no_file(tmp_path: Path, path: str) -> None:
    """One read of the comparison fails; report, prices and everything else are there."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ABC)
        w.go_to(MONDAY, "signals")
        inject(w, FaultRule(FaultKind.SERVER_ERROR, method="GET", path=path, times=0))
        assert w.phase(MONDAY, "signals").exit_code == 1
        assert w.db.get_plan("ema_p10", MONDAY) is None
        assert not w.profile.signals_dir.exists()


def test_t16_a_signal_file_is_believed_only_whole_unchanged_and_of_this_schema(
    tmp_path: Path,
) -> None:
    """An edited quantity no longer fits the hash; another schema is refused though its hash fits.

    That a process which dies while it writes leaves the old file or none is row 9 of the matrix.
    """
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        (path,) = w.profile.signals_dir.glob("*_ema_p10.json")
        whole = path.read_text()
        assert read_plan_file(path).sha256 == w.phase_plan(MONDAY).sha256
        path.write_text(whole.replace('"quantity": 200', '"quantity": 201'))
        assert path.read_text() != whole
        with pytest.raises(PlanRefused, match="hash"):
            read_plan_file(path)
        values = json.loads(whole)
        values["plan"]["schema"] += 1
        values["sha256"] = sha256_text(canonical_json(values["plan"]))
        path.write_text(json.dumps(values))
        with pytest.raises(PlanRefused, match="schema"):
            read_plan_file(path)


def test_t28_the_executor_watches_through_the_open(tmp_path: Path) -> None:
    """Started a quarter of an hour before it, the run ends after the fill, with its stop live."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        w.phase(MONDAY, "execution")
        (fill,) = w.db.get_fills()
        assert w.desk.clock.now() >= fill.at
        assert w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 10.0


def test_t35_a_sale_queued_before_the_open_is_watched_and_booked_as_ours(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.db.update_position(
            int(position.position_id or 0), pending_reason="trend_break", pending_since=MONDAY
        )
        w.phase(TUESDAY, "signals")
        w.phase(TUESDAY, "execution")
        (sale,) = w.db.get_orders(intent="exit")
        assert (sale.status, sale.filled_qty) == ("filled", 200)  # seen by the run that sent it
        assert w.trade(TUESDAY).exit_code == 0
        (closed,) = w.db.get_positions()
        assert (closed.exit_reason, closed.exit_date) == ("trend_break", TUESDAY)
        assert w.db.get_breaks("manual_sale") == []


def test_t36_an_order_of_another_day_that_filled_unseen_is_found_and_covered(
    tmp_path: Path,
) -> None:
    """The run dies after the order was taken and nobody runs again before Tuesday."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        assert w.trade(TUESDAY).exit_code == 0
        (position,) = w.db.get_open_positions()
        assert (position.entry_date, position.actual_shares) == (MONDAY, 200)
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_t37_an_entry_without_a_stop_price_is_never_sent() -> None:
    at = datetime.fromisoformat("2020-01-06T14:31:00+00:00")
    facts = EntryFacts(
        now=at,
        cutoff=at.replace(minute=35),
        clock_trusted=True,
        kill_switch_on=False,
        approved_shares=200,
        held=frozenset(),
        room=3,
        trade_orders_today=0,
        buying_power=Decimal(100_000),
        price=Decimal(50),
    )
    order = PlannedOrder("ABC", "entry", "buy", 200, "entry", Decimal(50), Decimal(45))
    assert entry_refusal(order, facts, LiveConfig()) is None
    refusal = entry_refusal(replace(order, stop_price=None), facts, LiveConfig())
    assert refusal is not None
    assert refusal.gate == "no_stop_rule"


def test_t38_a_count_written_with_decimals_is_that_count(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        w.go_to(TUESDAY, "signals")
        desk = edited(w, "/v2/positions", lambda rows: [row | {"qty": "200.0"} for row in rows])
        assert reconcile(desk, TUESDAY) == ()


def lot(shares: int) -> Position:
    return Position(
        ticker="ABC",
        entry_date=MONDAY,
        entry_price=Decimal(50),
        target_shares=shares,
        actual_shares=shares,
        invested=Decimal(50) * shares,
        stop_price=Decimal(45),
        stop_order_id=None,
        candidate=Candidate("ABC", MONDAY, "B", 80.0),
    )


def test_t40_two_lots_of_a_ticker_are_added_up() -> None:
    """10 and 5 of ours against 5 at the broker differ; against 15 they agree."""
    ours = BookView([lot(10), lot(5)], [], [], Decimal(0), {})
    for shown, breaks in ((5, 1), (15, 0)):
        held = [VenuePosition("ABC", Decimal(shown), Decimal(shown), Decimal(50), None)]
        theirs = VenueView(held, [], Decimal(0), [])
        found = [item for item in compare_books(ours, theirs) if item.kind == "position"]
        assert len(found) == breaks, shown


def test_t41_a_manual_sale_in_two_parts_is_booked_at_both_prices(tmp_path: Path) -> None:
    """100 at Tuesday's 48, 100 at Wednesday's 42, each less 0.5 %: 4,776 + 4,179 of 10,000."""
    bars = {
        ("ABC", TUESDAY): (48.0, 48.0, 48.0, 48.0),
        ("ABC", WEDNESDAY): (46.0, 46.0, 46.0, 46.0),
    }
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        position = holding(w)
        for number, session in enumerate((TUESDAY, WEDNESDAY)):
            w.go_to(session, "protect")
            stop = w.db.get_position(int(position.position_id or 0))
            assert stop is not None
            w.desk.client.cancel_order(str(stop.stop_order_id))
            w.desk.clock.sleep(1.0)
            w.desk.client.place_order("ABC", 100, "sell", client_order_id=f"by-hand-{number}")
            w.desk.clock.sleep(1.0)
            w.trade(session, "protect", "reconciliation")
        (closed,) = w.db.get_positions()
        # 100 × 48 × 0.995 + 100 × 46 × 0.995 = 4,776 + 4,577 = 9,353
        assert closed.pnl == Decimal("-647.00")


def test_t44_a_recovered_entry_brings_its_stop_along(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        w.trade(MONDAY, "execution")
        (position,) = w.db.get_open_positions()
        assert position.stop_price == Decimal(45)
        leg = w.db.get_order_by_alpaca_id(str(position.stop_order_id))
        assert leg is not None
        assert (leg.stop_price, leg.parent_client_order_id) == (
            Decimal(45),
            "20200106_ABC_entry_buy",
        )


def test_t46_the_switch_set_for_one_ticker_blocks_no_stop_of_another(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        holding(w, ABC, DEF)
        w.go_to(TUESDAY, "protect")
        w.db.set_kill_switch(True, reason="stop of ABC", who="protector", at=w.desk.clock.now())
        for position in w.db.get_open_positions():
            w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(1.0)
        assert w.phase(TUESDAY, "protect").exit_code == 0
        assert (w.live_sells("ABC"), w.live_sells("DEF")) == (200, 250)


@pytest.mark.parametrize(
    "phase", ["execution", "protect", pytest.param("reconciliation", marks=pytest.mark.slow)]
)
def test_t50_a_run_that_leaves_shares_uncovered_never_ends_well(tmp_path: Path, phase: str) -> None:
    """The stop is gone and no order is taken any more: exit 7, and the run log says failed."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        planned(w, TUESDAY)
        w.go_to(TUESDAY, phase)
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(1.0)
        inject(w, FaultRule(FaultKind.SERVER_ERROR, method="POST", times=0))
        assert w.phase(TUESDAY, phase).exit_code == 7
        (run,) = w.db.get_runs(session=TUESDAY, phase=phase)
        assert (run.status, run.exit_code) == ("failed", 7)
        assert ("uncovered", "critical") in {(one.kind, one.severity) for one in w.db.get_alerts()}


def test_t50_an_execution_without_a_plan_tells_of_uncovered_shares_first(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "execution")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(1.0)
        inject(w, FaultRule(FaultKind.SERVER_ERROR, method="POST", times=0))
        assert w.phase(TUESDAY, "execution").exit_code == 7


def test_t52_a_holidays_order_has_the_id_of_the_session_after_it() -> None:
    """Monday 20 January 2020 is a holiday: an order sent then and one of Tuesday are of one day."""
    holiday = datetime.fromisoformat("2020-01-20T15:00:00+00:00")
    morning = datetime.fromisoformat("2020-01-21T14:00:00+00:00")
    assert session_of(holiday) == session_of(morning) == date(2020, 1, 21)


def test_t58_requests_that_take_their_time_are_counted_against_the_cut_off(
    tmp_path: Path,
) -> None:
    """ABC is halted and each request takes three seconds: at 09:35 its buy is cancelled."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        w.halt("ABC")
        cancelled: list[datetime] = []

        def slowly(method: str, path: str) -> None:
            if method == "DELETE":
                cancelled.append(w.desk.clock.now())
            w.desk.clock.sleep(3.0)

        w.wire.rule = slowly
        assert w.phase(MONDAY, "execution").exit_code == 0
        cutoff = w.phase_plan(MONDAY).expires_at
        assert cutoff <= cancelled[0] <= cutoff + timedelta(seconds=30)
        assert w.desk.clock.now() <= cutoff + timedelta(seconds=90)
        assert [order.status for order in w.bought("ABC")] == ["canceled"]


def test_t59_orders_of_the_day_are_counted_from_rows_and_venue_together(tmp_path: Path) -> None:
    """One entry that the venue knows and our rows do not uses up the one order of the day.

    It comes when the execution has reconciled and reads the clock before its own first buy.
    """
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, max_daily_trade_orders=1) as w:
        planned(w, MONDAY, ABC)
        w.venue.engine.halt("DEF")

        def strangers_entry(method: str, path: str) -> None:
            if path == "/v2/clock":
                client = w.desk.client
                client.place_order("DEF", 5, "buy", client_order_id="20200106_DEF_entry_buy")

        w.wire.rule = strangers_entry
        outcome = w.phase(MONDAY, "execution")
        assert outcome.execution is not None, outcome.lines
        assert [item.state for item in outcome.execution.entries] == ["daily_order_limit"]
        assert w.bought("ABC") == []
