"""The safety guards of the design, each by its name, against the simulated venue."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.ledger import read_ledger
from livekit.clock import sleep_until
from livekit.errors import BooksDiffer, KillSwitchOn, OrderRefused, PlanRefused
from livekit.model import ENTRY
from livekit.sessions import open_instant
from livekit.state import StateDB
from livekit.trading.executor import accept_plan, execute_plan, preview_plan
from livekit.trading.orders import new_order, send
from livekit.trading.phases import current_plan, run_executor
from livekit.trading.plans import export_plan, plan_from_body, read_plan_file
from livekit.trading.signal_generator import generate_signals
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)


def signals(w: World, session: date, *stocks: tuple[str, float, float]) -> None:
    w.report(session, *stocks)
    assert w.phase(session, "signals").exit_code == 0


def test_kill_switch_blocks(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        w.db.set_kill_switch(True, reason="drill", who="test", at=w.desk.clock.now())
        outcome = w.phase(MONDAY, "execution")
        assert outcome.exit_code == 3
        assert w.bought("ABC") == []


def test_signals_under_the_kill_switch_are_marked_blocked(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.db.set_kill_switch(True, reason="drill", who="test", at=w.desk.clock.now())
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        assert w.phase(MONDAY, "signals").exit_code == 3
        assert current_plan(w.desk, MONDAY).status == "blocked"


def test_the_kill_switch_between_two_entries_stops_the_second(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))

        def switch_on_after_the_first_buy(method: str, path: str) -> None:
            if method == "POST" and path == "/v2/orders":
                w.db.set_kill_switch(True, reason="drill", who="test", at=w.desk.clock.now())

        w.go_to(MONDAY, "execution")
        w.wire.rule = switch_on_after_the_first_buy
        w.phase(MONDAY, "execution")
        assert (w.held("ABC"), w.held("DEF")) == (200, 0)
        assert w.live_sells("ABC") == 200


def test_idempotent_order(tmp_path: Path) -> None:
    """The same plan executed twice buys once: by row, by look-up, by the venue."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "execution")
        again = execute_plan(w.desk, current_plan(w.desk, MONDAY))
        assert [report.detail for report in again.entries] == ["earlier, filled"]
        assert len(w.bought("ABC")) == 1


def test_idempotent_order_by_look_up_where_the_books_know_nothing_of_it(tmp_path: Path) -> None:
    """The database is the backup of before the execution: the order is found by its id, adopted."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        before = tmp_path / "before.db"
        with (
            closing(sqlite3.connect(w.profile.state_db)) as raw,
            closing(sqlite3.connect(before)) as copy,
        ):
            raw.backup(copy)
        w.halt("ABC")  # so that it works still
        w.go_to(MONDAY, "execution")
        sleep_until(w.desk.clock, open_instant(MONDAY))
        w.desk.client.place_bracket_order(
            "ABC", 200, stop_price=Decimal(45), client_order_id="20200106_ABC_entry_buy"
        )
        sent = len(w.wire.posts())
        with StateDB(before) as db:
            desk = replace(w.desk, db=db)
            row = new_order(desk, "ABC", "entry", "buy", 200, reference_price=Decimal(50))
            found = send(desk, row, lambda: pytest.fail("it was sent again"))
            assert found.outcome == "confirmed"
            assert [item.intent for item in db.get_orders()] == ["entry", "stop"]
        assert len(w.wire.posts()) == sent
        assert len(w.bought("ABC")) == 1


def test_idempotent_order_by_the_venues_own_refusal(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.go_to(MONDAY, "execution")
        buy = {"client_order_id": "20200106_ABC_entry_buy"}
        w.desk.client.place_order("ABC", 5, "buy", **buy)
        with pytest.raises(OrderRefused) as refused:
            w.desk.client.place_order("ABC", 5, "buy", **buy)
        assert refused.value.is_duplicate_client_id
        assert len(w.bought("ABC")) == 1


def test_db_alpaca_mismatch_fails(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.trade(MONDAY)
        w.go_to(TUESDAY, "signals")
        w.desk.client.place_order("ABC", 7, "buy", client_order_id="by-hand-1")
        w.trade(TUESDAY, "execution")
        wednesday = date(2020, 1, 8)
        w.go_to(wednesday, "signals")
        w.report(wednesday, ("ABC", 80.0, 50.0))
        with pytest.raises(BooksDiffer, match="we hold 0, the broker shows 7"):
            generate_signals(w.desk, wednesday)
        assert w.db.get_plan("ema_p10", wednesday) is None


def test_recount_positions(tmp_path: Path) -> None:
    """Slots are counted at the venue: a plan for two slots fills only the one that is left.

    The share is bought by hand when the execution has reconciled and reads the clock before its
    first buy.
    """
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0, "GHI": 30.0}, max_positions=2) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))

        def bought_by_hand(method: str, path: str) -> None:
            if path == "/v2/clock":
                w.desk.client.place_order("GHI", 1, "buy", client_order_id="by-hand-1")
                w.desk.clock.sleep(1.0)

        w.wire.rule = bought_by_hand
        outcome = w.phase(MONDAY, "execution")
        states = {item.ticker: item.state for item in outcome.execution.entries}
        assert states == {"ABC": "sent", "DEF": "capacity_full"}


def test_bracket_order_preferred(tmp_path: Path) -> None:
    """A buy goes out as one group with its stop, good till cancelled."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "execution")
        (buy,) = w.bought("ABC")
        (leg,) = buy.legs
        assert (buy.order_class, buy.time_in_force) == ("oto", "gtc")
        assert (leg.order_type, leg.time_in_force, leg.stop_price) == ("stop", "gtc", Decimal(45))
        assert buy.client_order_id == "20200106_ABC_entry_buy"


def test_bracket_fallback(tmp_path: Path) -> None:
    """Where the venue refuses the group, a plain buy is filled and its stop placed at once.

    The stop planned from the report (54) lies above the market (50), so the group is refused; the
    stop due from the fill is 45.
    """
    with world(tmp_path, {"ABC": 50.0}, price_conflict_pct=100.0) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        plan = current_plan(w.desk, MONDAY)
        raised = plan.body.replace('"stop_price":"45.0"', '"stop_price":"54.0"')
        assert raised != plan.body
        w.db.save_plan(replace(plan_from_body(raised), plan_id=None), at=w.desk.clock.now())
        w.approve_all(MONDAY)
        w.phase(MONDAY, "execution")
        buys = sorted(w.bought("ABC"), key=lambda order: order.client_order_id)
        assert [(item.client_order_id, item.order_class) for item in buys] == [
            ("20200106_ABC_entry_buy_a2", "")
        ] or [item.client_order_id for item in buys] == ["20200106_ABC_entry_buy_a2"]
        assert w.held("ABC") == w.live_sells("ABC") == 200
        stops = w.db.get_orders(ticker="ABC", intent="stop")
        assert [item.stop_price for item in stops] == [Decimal(45)]


def test_buying_power_check(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, min_buying_power=900_000.0) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        outcome = w.phase(MONDAY, "execution")
        assert [item.state for item in outcome.execution.entries] == ["buying_power"]
        assert w.bought("ABC") == []


def test_daily_order_limit(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, max_daily_trade_orders=1) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))
        outcome = w.phase(MONDAY, "execution")
        states = [item.state for item in outcome.execution.entries]
        assert states == ["sent", "daily_order_limit"]


def test_cancel_stop_before_sell(tmp_path: Path) -> None:
    """An exit cancels its stop, confirms, then sells: never two live sells for one share."""
    bars = {("ABC", MONDAY): (50.0, 50.0, 48.0, 48.0)}
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, bars, max_positions=1) as w:
        w.report(MONDAY, ("ABC", 60.0, 50.0))
        w.trade(MONDAY)
        signals(w, TUESDAY, ("DEF", 70.0, 40.0))
        w.go_to(TUESDAY, "execution")
        w.wire.sent.clear()
        w.phase(TUESDAY, "execution")
        changes = [method for method, _ in w.wire.sent if method != "GET"]
        assert changes == ["DELETE", "POST", "POST"]  # stop of ABC, sale of ABC, purchase of DEF
        stop, *_ = w.db.get_orders(ticker="ABC", intent="stop")
        assert stop.status == "canceled"
        assert (w.held("ABC"), w.held("DEF")) == (0, 250)


def test_a_stop_that_filled_before_the_cancel_ends_the_exit(tmp_path: Path) -> None:
    """The stop fills at Tuesday's open while the exit is being prepared: sold once, not twice."""
    bars = {
        ("ABC", MONDAY): (50.0, 50.0, 48.0, 48.0),
        ("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0),
    }
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, bars, max_positions=1) as w:
        w.report(MONDAY, ("ABC", 60.0, 50.0))
        w.trade(MONDAY)
        signals(w, TUESDAY, ("DEF", 70.0, 40.0))
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))
        w.phase(TUESDAY, "execution")
        assert w.held("ABC") == 0
        sells = [fill for fill in w.db.get_fills() if fill.ticker == "ABC" and fill.side == "sell"]
        assert [fill.quantity for fill in sells] == [200]


def test_entry_time_guard(tmp_path: Path) -> None:
    """Five minutes after the open an entry is late, and late is never."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        sleep_until(w.desk.clock, open_instant(MONDAY) + timedelta(minutes=5))
        outcome = w.phase(MONDAY, "execution")
        assert [item.state for item in outcome.execution.entries] == ["entry_cutoff"]
        assert w.bought("ABC") == []


def test_shadow_independent(tmp_path: Path) -> None:
    """The shadow keeps its own book and never speaks to the broker."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        w.db.set_kill_switch(True, reason="drill", who="test", at=w.desk.clock.now())
        w.trade(MONDAY, "execution", "reconciliation")
        assert w.wire.posts() == []
        assert [item.ticker for item in w.db.load_twin("nwl_p4")] == ["ABC"]
        assert w.db.get_positions() == []


def rows_of_every_table(w: World) -> dict[str, list[str]]:
    with closing(sqlite3.connect(w.profile.state_db)) as raw:
        names = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        read = {name: raw.execute(f"SELECT * FROM {name}") for (name,) in names}  # noqa: S608
        return {name: sorted(map(str, rows)) for name, rows in read.items()}


def test_dry_run(tmp_path: Path) -> None:
    """A dry run decides and shows; afterwards nothing is different anywhere."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.go_to(MONDAY, "signals")
        books = rows_of_every_table(w)
        w.wire.sent.clear()
        result = generate_signals(w.desk, MONDAY, dry_run=True)
        assert {method for method, _ in w.wire.sent} == {"GET"}
        assert rows_of_every_table(w) == books
        assert [order.ticker for order in result.primary.orders] == ["ABC"]
        assert result.files == ()
        assert w.db.get_plan("ema_p10", MONDAY) is None
        assert w.db.get_candidates(MONDAY) is None
        assert not w.profile.signals_dir.exists()


def test_a_dry_execution_names_the_orders_and_sends_none(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        books = rows_of_every_table(w)
        assert preview_plan(w.desk, current_plan(w.desk, MONDAY)) == ("buy 200 ABC (entry)",)
        assert rows_of_every_table(w) == books
        assert w.wire.posts() == []
        assert w.db.get_orders() == []


def test_partial_fills_are_counted_and_covered(tmp_path: Path) -> None:
    """Paper fills part of one order in ten: among twenty buys some come in pieces."""
    tickers = [f"T{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
    prices = dict.fromkeys(tickers, 50.0)
    with world(tmp_path, prices, fill_model="paper", max_positions=20) as w:
        signals(w, MONDAY, *((ticker, 80.0, 50.0) for ticker in tickers))
        w.phase(MONDAY, "execution")
        assert len(w.db.get_fills()) > len(tickers)
        for position in w.db.get_open_positions():
            assert position.actual_shares == position.target_shares == 200
            assert w.held(position.ticker) == w.live_sells(position.ticker) == 200
        assert max(item.seconds for item in read_ledger(w.profile.venue_db).uncovered) <= 10.0


def test_approval_required_sends_only_what_a_person_approved(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, approval="required") as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))
        w.approve(MONDAY, "entry:DEF", shares=100)
        outcome = w.phase(MONDAY, "execution")
        states = {item.ticker: item.state for item in outcome.execution.entries}
        assert states == {"ABC": "not_approved", "DEF": "sent"}
        assert w.held("DEF") == 100


# ------------------------------------------------------------------------------- plans distrusted


def test_an_edited_plan_file_is_refused_by_its_hash(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        (path,) = w.profile.signals_dir.glob("*_ema_p10.json")
        path.write_text(path.read_text().replace('"quantity": 200', '"quantity": 1000000'))
        with pytest.raises(PlanRefused, match="does not match its hash"):
            read_plan_file(path)


def test_a_forged_plan_with_a_right_hash_is_refused_because_no_such_plan_is_stored(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        body = current_plan(w.desk, MONDAY).body.replace('"quantity":200', '"quantity":1000000')
        path = export_plan(plan_from_body(body), tmp_path, generated_at=w.desk.clock.now())
        with pytest.raises(PlanRefused, match="no plan of this hash"):
            accept_plan(w.desk, read_plan_file(path))


def test_yesterdays_plan_is_refused(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        plan = current_plan(w.desk, MONDAY)
        w.go_to(TUESDAY, "execution")
        outcome = run_executor(w.desk, plan)
        assert outcome.exit_code == 2
        assert "it is for 2020-01-06" in outcome.lines[0]
        assert w.bought("ABC") == []


def test_the_shadows_plan_is_never_executed(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        stored = w.db.get_plan("nwl_p4", MONDAY)
        with pytest.raises(PlanRefused, match="is not executed"):
            accept_plan(w.desk, plan_from_body(stored.body))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"plan": {"a": 1, "a": 2}}',
        '{"plan": NaN}',
        '{"plan": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
    ids=["empty", "a list", "no plan", "duplicate key", "NaN", "deep"],
)
def test_a_malformed_plan_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(PlanRefused):
        read_plan_file(path)


def test_a_kill_switch_that_cannot_be_read_counts_as_on(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        with sqlite3.connect(w.profile.state_db) as raw:
            raw.execute("UPDATE system_config SET value = 'perhaps' WHERE key = 'kill_switch'")
        raw.close()
        w.go_to(MONDAY, "execution")
        with pytest.raises(KillSwitchOn):
            execute_plan(w.desk, current_plan(w.desk, MONDAY))


def test_an_entry_is_refused_without_a_trusted_clock(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        signals(w, MONDAY, ("ABC", 80.0, 50.0))
        w.go_to(MONDAY, "execution")
        w.wire.rule = lambda method, path: "before" if path.startswith("/v2/clock") else None
        outcome = w.phase(MONDAY, "execution")
        assert [item.state for item in outcome.execution.entries] == ["clock"]
        assert w.bought("ABC") == []


def test_a_rotation_is_one_item_its_sale_waits_for_its_purchase(tmp_path: Path) -> None:
    bars = {("ABC", MONDAY): (50.0, 50.0, 48.0, 48.0)}
    prices = {"ABC": 50.0, "DEF": 40.0}
    with world(tmp_path, prices, bars, max_positions=1, approval="required") as w:
        signals(w, MONDAY, ("ABC", 60.0, 50.0))
        w.approve(MONDAY, "entry:ABC", shares=200)
        w.trade(MONDAY, "execution", "reconciliation")
        signals(w, TUESDAY, ("DEF", 70.0, 40.0))
        plan = current_plan(w.desk, TUESDAY)
        assert [(order.ticker, order.pair) for order in plan.orders] == [
            ("ABC", "DEF"),
            ("DEF", "ABC"),
        ]
        w.phase(TUESDAY, "execution")
        assert (w.held("ABC"), w.held("DEF")) == (200, 0)  # nobody approved the pair
        assert w.live_sells("ABC") == 200


def test_orders_carry_the_session_of_the_next_close(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.go_to(MONDAY, "reconciliation")
        assert isinstance(w.desk.clock.now(), datetime)
        assert w.desk.order_session() == TUESDAY
        assert ENTRY == "entry"
