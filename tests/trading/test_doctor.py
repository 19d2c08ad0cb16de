"""The doctor on healthy books, and on books and a broker damaged in different ways."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.errors import StateUnusable
from livekit.state import Run
from livekit.trading.doctor import diagnose
from livekit.trading.lease import take_lease
from livekit.trading.orders import new_order, send
from livekit.trading.protector import protect
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)


@pytest.fixture
def healthy(tmp_path: Path) -> Iterator[World]:
    """Two positions held over Monday's night, one closed by its stop."""
    bars = {("CCC", MONDAY): (50.0, 50.0, 44.0, 46.0)}
    prices = dict.fromkeys(["AAA", "BBB", "CCC"], 50.0)
    with world(tmp_path, prices, bars) as w:
        w.report(MONDAY, ("AAA", 80.0, 50.0), ("BBB", 75.0, 50.0), ("CCC", 70.0, 50.0))
        assert w.trade(MONDAY).exit_code == 0
        yield w


def tamper(w: World, statement: str) -> None:
    with closing(sqlite3.connect(w.profile.state_db)) as raw, raw:
        triggers = raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute(statement)


def found(w: World) -> set[str]:
    return {item.invariant.split()[0] for item in diagnose(w.desk).violations}


def test_healthy_books_break_nothing(healthy: World) -> None:
    diagnosis = diagnose(healthy.desk)
    assert diagnosis.violations == ()
    assert diagnosis.exit_code == 0
    numbers = [name[:3] for name in (*diagnosis.checks, *(name for name, _ in diagnosis.elsewhere))]
    assert sorted(numbers) == [f"I{number:02d}" for number in range(1, 33)]
    assert len(diagnosis.checks) == 25


def test_the_kill_switch_is_said_though_nothing_is_broken(healthy: World) -> None:
    healthy.db.set_kill_switch(True, reason="drill", who="test", at=healthy.desk.clock.now())
    assert diagnose(healthy.desk).exit_code == 3


def test_a_stop_lost_at_the_broker_is_a_gap_in_cover(healthy: World) -> None:
    (position,) = [item for item in healthy.db.get_open_positions() if item.ticker == "AAA"]
    healthy.desk.client.cancel_order(position.stop_order_id)
    assert found(healthy) == {"I08"}
    assert diagnose(healthy.desk).exit_code == 7


def test_a_manual_sale_leaves_the_book_with_too_much(healthy: World) -> None:
    healthy.go_to(TUESDAY, "protect")
    (position,) = [item for item in healthy.db.get_open_positions() if item.ticker == "AAA"]
    healthy.desk.client.cancel_order(position.stop_order_id)
    healthy.desk.client.place_order("AAA", 50, "sell", client_order_id="by-hand")
    healthy.desk.clock.sleep(1.0)
    assert {"I06", "I08"} <= found(healthy)


def test_an_order_of_our_form_without_an_intent_is_found(healthy: World) -> None:
    healthy.desk.client.place_order("CCC", 5, "buy", client_order_id="20200107_CCC_entry_buy")
    assert found(healthy) == {"I02"}
    assert diagnose(healthy.desk).exit_code == 4


def test_a_stop_whose_row_was_deleted_is_found(healthy: World) -> None:
    """The stop is a leg, so its id at the broker does not tell that it is ours."""
    (position,) = [item for item in healthy.db.get_open_positions() if item.ticker == "AAA"]
    tamper(healthy, "DELETE FROM orders WHERE intent = 'stop' AND ticker = 'AAA'")
    (broken,) = diagnose(healthy.desk).violations
    assert broken.invariant == "I02 intent before send"
    assert "AAA" in broken.facts
    assert str(position.stop_order_id) in broken.facts


@pytest.mark.parametrize(
    ("statement", "invariants"),
    [
        ("DELETE FROM orders WHERE intent = 'entry' AND ticker = 'CCC'", {"I02"}),
        ("DELETE FROM orders WHERE intent = 'stop' AND ticker = 'CCC'", {"I02"}),
        ("UPDATE fills SET ticker = 'ZZZ' WHERE ticker = 'CCC' AND side = 'sell'", {"I02"}),
        ("UPDATE fills SET client_order_id = 'none' WHERE side = 'sell'", {"I02"}),
        ("DELETE FROM positions WHERE ticker = 'CCC'", {"I06"}),
        ("DELETE FROM system_config WHERE key = 'fencing_token'", {"I18"}),
        ("UPDATE positions SET invested = '10001' WHERE ticker = 'CCC'", {"I26"}),
    ],
)
def test_a_row_of_the_past_that_was_deleted_or_edited_is_found(
    healthy: World, statement: str, invariants: set[str]
) -> None:
    """CCC was bought and stopped out on Monday: nothing at the broker tells of it any more."""
    tamper(healthy, statement)
    assert found(healthy) == invariants


def read_everything(w: World) -> None:
    protect(take_lease(w.desk))
    diagnose(w.desk)


@pytest.mark.parametrize(
    ("statement", "facts"),
    [
        ("UPDATE positions SET entry_date = '2020-01-061'", "2020-01-061"),
        ("UPDATE fills SET filled_at = 'yesterday'", "yesterday"),
        (
            "UPDATE system_config SET value = 'x' WHERE key = 'fencing_token'",
            "fencing_token is 'x'",
        ),
        ("UPDATE system_config SET value = '' WHERE key = 'baseline_at'", "baseline_at is ''"),
        ("DELETE FROM system_config WHERE key = 'baseline_at'", "baseline_at is absent"),
    ],
)
def test_a_value_that_cannot_be_read_is_told_as_such(
    healthy: World, statement: str, facts: str
) -> None:
    tamper(healthy, statement)
    healthy.go_to(TUESDAY, "protect")
    with pytest.raises(StateUnusable, match=facts):
        read_everything(healthy)


def test_a_position_whose_share_count_was_edited_is_found(healthy: World) -> None:
    tamper(healthy, "UPDATE positions SET actual_shares = 250 WHERE ticker = 'AAA'")
    assert {"I06"} <= found(healthy)


def test_a_profit_that_the_fills_did_not_earn_is_found(healthy: World) -> None:
    tamper(healthy, "UPDATE positions SET pnl = '99.00' WHERE ticker = 'CCC'")
    assert found(healthy) == {"I26"}


def test_a_stop_price_that_was_edited_is_found(healthy: World) -> None:
    tamper(healthy, "UPDATE positions SET stop_price = '30' WHERE ticker = 'BBB'")
    (first, second) = diagnose(healthy.desk).violations
    assert {first.invariant, second.invariant} == {"I09 stop price"}
    assert "due is 45" in first.facts
    assert Decimal(45) == healthy.db.get_open_positions()[0].stop_price


def test_a_second_filled_entry_of_the_same_day_is_found(healthy: World) -> None:
    tamper(
        healthy,
        "UPDATE orders SET client_order_id = client_order_id, ticker = 'AAA' "
        "WHERE intent = 'entry' AND ticker = 'BBB'",
    )
    assert {"I01", "I04"} <= found(healthy)


def test_a_purchase_that_nobody_approved_is_found(healthy: World) -> None:
    tamper(healthy, "UPDATE plans SET status = 'superseded' WHERE strategy = 'ema_p10'")
    assert found(healthy) == {"I14"}


def test_the_doctor_sends_and_stores_nothing(healthy: World) -> None:
    before = [(item.client_order_id, item.status) for item in healthy.db.get_orders()]
    healthy.wire.sent.clear()
    diagnose(healthy.desk)
    assert {method for method, _ in healthy.wire.sent} == {"GET"}
    assert [(item.client_order_id, item.status) for item in healthy.db.get_orders()] == before


def test_a_fill_above_the_price_that_sized_the_buy_breaks_no_limit(tmp_path: Path) -> None:
    """200 shares for 10,000 USD at 50 that slip a little: no limit on orders forbids that."""
    sized = {"fill_model": "rough", "order_size_tolerance_pct": 0.0}
    with world(tmp_path, {"AAA": 50.0}, **sized) as w:
        w.report(MONDAY, ("AAA", 80.0, 50.0))
        assert w.trade(MONDAY).exit_code == 0
        (position,) = w.db.get_open_positions()
        assert position.shares_now == 200
        assert position.invested > Decimal(10_000)
        assert diagnose(w.desk).violations == ()


def test_a_buy_that_was_sent_above_the_size_bound_is_found(healthy: World) -> None:
    tamper(
        healthy,
        "UPDATE orders SET quantity = 250, reference_price = '50' "
        "WHERE intent = 'entry' AND ticker = 'AAA'",
    )
    texts = [
        item.facts for item in diagnose(healthy.desk).violations if item.invariant[:3] == "I17"
    ]
    assert len(texts) == 1
    assert "12500" in texts[0]  # 250 × 50
    assert "11000" in texts[0]  # 10,000 + 10 %


def test_every_order_of_a_plan_was_begun_by_a_run_that_had_reconciled(healthy: World) -> None:
    reconciled = healthy.db.first_reconciliations()
    entries = healthy.db.get_orders(intent="entry")
    assert len(entries) == 3
    for order in entries:
        assert reconciled[order.fencing_token] < order.order_id


def test_a_run_that_sends_a_buy_before_it_has_reconciled_is_found(healthy: World) -> None:
    """Under a new token, straight to the venue: no reconciliation of that run is on record."""
    healthy.go_to(TUESDAY, "execution")
    run = take_lease(healthy.desk)
    order = new_order(run, "CCC", "entry", "buy", 5, reference_price=Decimal(46))
    buy = {"client_order_id": order.client_order_id}
    send(run, order, lambda: run.client.place_order("CCC", 5, "buy", **buy))
    assert found(healthy) == {"I16"}
    told = diagnose(healthy.desk).violations[0].facts
    assert told == "20200107_CCC_entry_buy was begun before its run had reconciled"


def test_what_a_phase_sent_is_in_its_record_and_the_comparison_sent_nothing(
    healthy: World,
) -> None:
    """On Tuesday a stop is missing: the protect phase sends one, the comparison nothing."""
    (position,) = [item for item in healthy.db.get_open_positions() if item.ticker == "AAA"]
    healthy.go_to(TUESDAY, "protect")
    healthy.desk.client.cancel_order(position.stop_order_id)
    healthy.wire.sent.clear()
    assert healthy.trade(TUESDAY, "protect", "reconciliation", "comparison").exit_code == 0
    sent = {run.phase: json.loads(run.record_json)["changes_sent"] for run in runs_of(healthy)}
    assert sent == {"protect": 1, "reconciliation": 0, "comparison": 0}
    assert [method for method, _ in healthy.wire.sent if method != "GET"] == ["POST"]
    tamper(
        healthy,
        "UPDATE run_log SET record_json = json_set(record_json, '$.changes_sent', 1) "
        "WHERE phase = 'comparison' AND session = '2020-01-07'",
    )
    assert found(healthy) == {"I20"}


def runs_of(w: World) -> list[Run]:
    return w.db.get_runs(session=TUESDAY)
