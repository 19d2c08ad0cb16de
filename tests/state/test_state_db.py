from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from state_examples import (
    AFTER_CLOSE,
    AT_OPEN,
    BEFORE_OPEN,
    FRIDAY,
    THURSDAY,
    fill,
    order,
    position,
)

from livekit.errors import DuplicateIntent, RecordRefused, StateUnusable
from livekit.state import StateDB

# ----------------------------------------------------------------------------------- kill switch


def test_a_new_database_has_the_kill_switch_off(db: StateDB) -> None:
    assert db.is_kill_switch_on() is False


def test_the_kill_switch_keeps_who_set_it_and_why(db: StateDB) -> None:
    db.set_kill_switch(True, reason="stop of NVDA refused", who="executor", at=AT_OPEN)
    assert db.is_kill_switch_on() is True
    assert db.kill_switch_reason() == "stop of NVDA refused (executor)"
    db.set_kill_switch(False, reason="stop placed by hand", who="operator", at=AFTER_CLOSE)
    assert db.is_kill_switch_on() is False
    assert db.kill_switch_reason() == "stop placed by hand (operator)"


@pytest.mark.parametrize("garbage", ["", "OFF", "false", "0", "off ", "TRUE", "1", "None"])
def test_a_value_that_is_not_exactly_off_counts_as_on(db: StateDB, garbage: str) -> None:
    with db.transaction():
        db._connection.exec_driver_sql(
            "UPDATE system_config SET value = ? WHERE key = 'kill_switch'", (garbage,)
        )
    assert db.is_kill_switch_on() is True
    if garbage != "on":
        assert repr(garbage) in db.kill_switch_reason()


def test_a_missing_kill_switch_row_counts_as_on_and_can_be_set_again(db: StateDB) -> None:
    with db.transaction():
        db._connection.exec_driver_sql("DELETE FROM system_config")
    assert db.is_kill_switch_on() is True
    assert db.kill_switch_reason() == "its row is missing"
    db.set_kill_switch(False, reason="row restored", who="operator", at=AT_OPEN)
    assert db.is_kill_switch_on() is False


def test_an_unreadable_kill_switch_counts_as_on(db: StateDB) -> None:
    with db.transaction():
        db._connection.exec_driver_sql("DROP TABLE system_config")
    assert db.is_kill_switch_on() is True
    assert "cannot be read" in db.kill_switch_reason()


def test_a_closed_database_counts_as_kill_switch_on() -> None:
    db = StateDB(":memory:")
    db.close()
    assert db.is_kill_switch_on() is True
    with pytest.raises(StateUnusable):
        db.get_open_positions()


@pytest.mark.parametrize(("reason", "who"), [("", "operator"), ("  ", "operator"), ("why", "")])
def test_the_kill_switch_wants_a_reason_and_a_name(db: StateDB, reason: str, who: str) -> None:
    with pytest.raises(RecordRefused):
        db.set_kill_switch(False, reason=reason, who=who, at=AT_OPEN)


def test_settings_are_kept_and_replaced(db: StateDB) -> None:
    assert db.get_config("account_number") is None
    db.set_config("account_number", "PA1")
    db.set_config("account_number", "PA2")
    assert db.get_config("account_number") == "PA2"


def test_the_kill_switch_is_not_a_setting(db: StateDB) -> None:
    with pytest.raises(RecordRefused):
        db.set_config("kill_switch", "off")


# ------------------------------------------------------------------------------------- positions


def test_a_position_comes_back_as_it_went_in(db: StateDB) -> None:
    rich = position(
        split_factor=2.0,
        pending_reason="trend_break",
        pending_since=THURSDAY,
        stop_order_id="61e69015",
        asset_id="b0b6dd9d",
    )
    position_id = db.add_position(rich)
    assert db.get_position(position_id) == replace(rich, position_id=position_id)


def test_a_candidate_without_score_price_and_company_stays_without(db: StateDB) -> None:
    bare = replace(position().candidate, score=None, price=None, gap_size=None, company_name=None)
    position_id = db.add_position(position(candidate=bare))
    found = db.get_position(position_id)
    assert found is not None
    assert found.candidate == bare


def test_an_absent_position_is_none(db: StateDB) -> None:
    assert db.get_position(1) is None


def test_open_positions_come_in_the_order_of_entry(db: StateDB) -> None:
    for ticker in ("NVDA", "AAPL", "MSFT"):
        db.add_position(position(ticker))
    assert [p.ticker for p in db.get_open_positions()] == ["NVDA", "AAPL", "MSFT"]


def test_a_ticker_has_one_open_position_at_a_time(db: StateDB) -> None:
    db.add_position(position())
    with pytest.raises(RecordRefused):
        db.add_position(position())


def test_closing_keeps_the_exit_and_frees_the_ticker(db: StateDB) -> None:
    first = db.add_position(position())
    db.close_position(
        first,
        exit_date=FRIDAY,
        exit_price=Decimal("219.4871"),
        exit_reason="protective_stop",
        pnl=Decimal("-1024.52"),  # 40 × (219.4871 − 245.10) = −1024.516
        return_pct=-10.45,
    )
    closed = db.get_position(first)
    assert closed is not None
    assert (closed.status, closed.exit_date, closed.exit_reason) == (
        "closed",
        FRIDAY,
        "protective_stop",
    )
    assert (closed.exit_price, closed.pnl) == (Decimal("219.4871"), Decimal("-1024.52"))
    assert closed.return_pct == -10.45
    assert db.get_open_positions() == []
    assert db.get_positions("closed") == [closed]
    second = db.add_position(position(entry_date=FRIDAY))
    assert second > first


def test_a_position_is_closed_once(db: StateDB) -> None:
    position_id = db.add_position(position())

    def close() -> None:
        db.close_position(
            position_id,
            exit_date=FRIDAY,
            exit_price=Decimal(250),
            exit_reason="trend_break",
            pnl=Decimal(196),
            return_pct=2.0,
        )

    close()
    with pytest.raises(RecordRefused):
        close()


def test_a_position_is_updated_field_by_field(db: StateDB) -> None:
    position_id = db.add_position(position(actual_shares=20))
    db.update_position(position_id, actual_shares=40, stop_order_id="leg-1")
    found = db.get_position(position_id)
    assert found is not None
    assert (found.actual_shares, found.stop_order_id) == (40, "leg-1")
    assert found.stop_price == Decimal("220.59")


def test_updating_an_absent_position_or_an_unknown_field_is_refused(db: StateDB) -> None:
    position_id = db.add_position(position())
    with pytest.raises(RecordRefused):
        db.update_position(position_id + 1, stop_order_id="x")
    with pytest.raises(RecordRefused, match="stop_id"):
        db.update_position(position_id, stop_id="x")


@pytest.mark.parametrize(
    "impossible",
    [
        {"target_shares": 0},
        {"actual_shares": -1},
        {"sold_shares": 41},
        {"entry_price": Decimal(0)},
        {"status": "opne"},
        {"split_factor": 0.0},
        {"pending_reason": "trend_break"},
        {"status": "closed"},
        {"exit_date": FRIDAY},
        {"entry_price": 245.1},
        {"entry_date": AT_OPEN},
        {"actual_shares": 1.5},
    ],
)
def test_an_impossible_position_is_refused(db: StateDB, impossible: dict[str, object]) -> None:
    with pytest.raises(RecordRefused):
        db.add_position(position(**impossible))
    assert db.get_positions() == []


# ---------------------------------------------------------------------------------------- orders


def test_an_order_comes_back_by_either_id(db: StateDB) -> None:
    parent = order(
        order_type="market",
        fingerprint="f" * 64,
        reason="entry",
        candidate_json="{}",
        alpaca_order_id="61e69015",
        fencing_token=7,
    )
    parent_id = db.add_order(parent, at=BEFORE_OPEN)
    stored = replace(parent, order_id=parent_id, created_at=BEFORE_OPEN)
    assert db.get_order_by_client_id("20200130_NVDA_entry_buy") == stored
    assert db.get_order_by_alpaca_id("61e69015") == stored
    assert db.get_order_by_client_id("20200130_AAPL_entry_buy") is None
    assert db.get_order_by_alpaca_id("nothing") is None


def test_the_same_intent_is_written_once(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    with pytest.raises(DuplicateIntent, match="20200130_NVDA_entry_buy"):
        db.add_order(order(quantity=39), at=AT_OPEN)
    assert [o.quantity for o in db.get_orders()] == [40]


def test_the_unique_constraint_stands_behind_the_look_up(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    db.add_order(order("AAPL"), at=BEFORE_OPEN)
    with pytest.raises(RecordRefused, match="UNIQUE"), db.transaction():
        db._connection.exec_driver_sql("UPDATE orders SET client_order_id = 'same'")


def test_remaining_quantity_follows_the_fills(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    db.update_order_status(
        "20200130_NVDA_entry_buy",
        "partially_filled",
        at=AT_OPEN,
        outcome="confirmed",
        filled_qty=15,
        filled_avg_price=Decimal("245.1033"),
        alpaca_order_id="61e69015",
    )
    found = db.get_order_by_alpaca_id("61e69015")
    assert found is not None
    assert (found.filled_qty, found.remaining_qty, found.filled_avg_price) == (
        15,
        25,
        Decimal("245.1033"),
    )
    column = db._connection.exec_driver_sql("SELECT remaining_qty FROM orders").scalar()
    assert column == 25


def test_a_stale_answer_does_not_lower_the_filled_quantity(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    for filled in (15, 10):
        db.update_order_status(
            "20200130_NVDA_entry_buy", "partially_filled", at=AT_OPEN, filled_qty=filled
        )
    assert db.get_orders()[0].filled_qty == 15


def test_sent_at_is_when_the_request_first_had_an_outcome(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    assert db.get_orders()[0].sent_at is None
    db.update_order_status("20200130_NVDA_entry_buy", "intended", at=AT_OPEN, outcome="unknown")
    db.update_order_status("20200130_NVDA_entry_buy", "new", at=AFTER_CLOSE, outcome="confirmed")
    found = db.get_orders()[0]
    assert (found.outcome, found.status, found.sent_at) == ("confirmed", "new", AT_OPEN)


def test_an_order_that_was_denied_was_never_sent(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    db.update_order_status("20200130_NVDA_entry_buy", "denied", at=AT_OPEN, outcome="denied")
    assert db.get_orders()[0].sent_at is None


def test_updating_an_unknown_order_is_refused(db: StateDB) -> None:
    with pytest.raises(RecordRefused):
        db.update_order_status("20200130_NVDA_entry_buy", "new", at=AT_OPEN)


def test_orders_are_selected_by_date_ticker_intent_and_position(db: StateDB) -> None:
    position_id = db.add_position(position())
    db.add_order(order(position_id=position_id), at=BEFORE_OPEN)
    db.add_order(
        order(
            intent="stop", position_id=position_id, parent_client_order_id=order().client_order_id
        ),
        at=AT_OPEN,
    )
    db.add_order(order("AAPL", trade_date=FRIDAY), at=AFTER_CLOSE)

    def ids(**wanted: object) -> list[str]:
        return [o.client_order_id[9:] for o in db.get_orders(**wanted)]

    assert ids() == ["NVDA_entry_buy", "NVDA_stop_sell", "AAPL_entry_buy"]
    assert ids(trade_date=THURSDAY) == ["NVDA_entry_buy", "NVDA_stop_sell"]
    assert ids(ticker="AAPL") == ["AAPL_entry_buy"]
    assert ids(intent="entry", trade_date=THURSDAY) == ["NVDA_entry_buy"]
    assert ids(position_id=position_id, intent="stop") == ["NVDA_stop_sell"]


def test_working_orders_are_those_that_may_still_fill(db: StateDB) -> None:
    final = ("filled", "canceled", "expired", "rejected", "replaced", "refused", "denied")
    working = ("intended", "new", "accepted", "held", "pending_cancel", "done_for_day", "oddity")
    for number, status in enumerate((*final, *working)):
        db.add_order(order(client_order_id=f"id-{number}", status=status), at=BEFORE_OPEN)
    assert [o.status for o in db.get_orders(working_only=True)] == list(working)


def test_the_daily_count_leaves_out_what_never_existed_at_the_venue(db: StateDB) -> None:
    for number, outcome in enumerate(("intended", "confirmed", "unknown", "refused", "denied")):
        db.add_order(order(client_order_id=f"id-{number}", outcome=outcome), at=BEFORE_OPEN)
    db.add_order(order(intent="stop"), at=AT_OPEN)
    db.add_order(order(client_order_id="other-day", trade_date=FRIDAY), at=AT_OPEN)
    assert db.get_daily_order_count(THURSDAY, "entry") == 3
    assert db.get_daily_order_count(THURSDAY, "stop") == 1
    assert db.get_daily_order_count(THURSDAY, "exit") == 0
    assert db.get_daily_order_count(THURSDAY) == 4
    assert db.get_daily_order_count(date(2020, 2, 3)) == 0


@pytest.mark.parametrize(
    "impossible",
    [
        {"quantity": 0},
        {"quantity": -5},
        {"filled_qty": 41},
        {"filled_qty": -1},
        {"intent": "hedge"},
        {"side": "short"},
        {"outcome": "maybe"},
        {"attempt": 0},
        {"status": ""},
        {"client_order_id": ""},
        {"position_id": 99},
        {"plan_id": 99},
        {"parent_client_order_id": "nobody"},
        {"stop_price": 220.59},
    ],
)
def test_an_impossible_order_is_refused(db: StateDB, impossible: dict[str, object]) -> None:
    with pytest.raises(RecordRefused):
        db.add_order(order(**impossible), at=BEFORE_OPEN)
    assert db.get_orders() == []


# ----------------------------------------------------------------------------------------- fills


def test_a_fill_is_booked_once(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    assert db.add_fill(fill()) is True
    assert db.add_fill(fill(quantity=39)) is False
    assert db.get_fills() == [fill()]


def test_a_fill_belongs_to_an_order_of_ours(db: StateDB) -> None:
    with pytest.raises(RecordRefused):
        db.add_fill(fill())


def test_fills_are_selected_by_position_order_and_time(db: StateDB) -> None:
    position_id = db.add_position(position())
    db.add_order(order(), at=BEFORE_OPEN)
    db.add_order(order("AAPL"), at=BEFORE_OPEN)
    late = fill("2", quantity=10, at=AT_OPEN + timedelta(seconds=3), position_id=position_id)
    early = fill("3", quantity=30, at=AT_OPEN, position_id=position_id)
    other = fill("1", client_order_id="20200130_AAPL_entry_buy", ticker="AAPL", at=AFTER_CLOSE)
    for one in (late, early, other):
        db.add_fill(one)
    assert db.get_fills(position_id=position_id) == [early, late]
    assert db.get_fills(client_order_id="20200130_AAPL_entry_buy") == [other]
    assert db.get_fills(since=late.at) == [late, other]
    assert db.last_fill_at() == AFTER_CLOSE


def test_without_fills_there_is_no_last_one(db: StateDB) -> None:
    assert db.last_fill_at() is None


def test_a_fill_is_assigned_to_its_position_once(db: StateDB) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    db.add_fill(fill())
    first, second = db.add_position(position()), db.add_position(position("AAPL"))
    db.assign_fill("20200130::1", first)
    with pytest.raises(RecordRefused):
        db.assign_fill("20200130::1", second)
    assert db.get_fills() == [fill(position_id=first)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM fills",
        "UPDATE fills SET quantity = 39",
        "UPDATE fills SET price = '1'",
        "UPDATE fills SET filled_at = '2020-01-30T14:30:01.000000+00:00'",
        "UPDATE fills SET activity_id = 'x'",
    ],
)
def test_fills_are_append_only(db: StateDB, statement: str) -> None:
    db.add_order(order(), at=BEFORE_OPEN)
    db.add_fill(fill())
    with pytest.raises(RecordRefused, match="append-only"), db.transaction():
        db._connection.exec_driver_sql(statement)
    assert db.get_fills() == [fill()]
