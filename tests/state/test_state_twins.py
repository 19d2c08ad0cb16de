from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state_examples import (
    AFTER_CLOSE,
    BEFORE_OPEN,
    FRIDAY,
    MONDAY,
    THURSDAY,
    candidate,
    holding,
    trade,
)

from livekit.errors import RecordRefused
from livekit.state import StateDB

# ----------------------------------------------------------------------------- single positions


def test_a_shadow_position_comes_back_as_it_went_in(db: StateDB) -> None:
    rich = holding(
        split_factor=2.0,
        reinvested_factor=1.0625,
        shares_now=80,
        cash_in_lieu_usd=12.34,
        pending_reason="trend_break",
        pending_since=FRIDAY,
        evaluated_week=FRIDAY,
        flags=("spin_off", "late"),
    )
    shadow_id = db.add_shadow_position("nwl_p4", rich)
    [found] = db.get_shadow_positions("nwl_p4")
    assert (found.id, found.strategy, found.status) == (shadow_id, "nwl_p4", "open")
    assert (found.holding, found.trade) == (rich, None)


def test_the_twins_do_not_see_each_other(db: StateDB) -> None:
    db.add_shadow_position("nwl_p4", holding())
    db.add_shadow_position("ema_p10", holding(shares=39))
    assert [p.holding.shares for p in db.get_shadow_positions("nwl_p4")] == [40]
    assert [p.holding.shares for p in db.get_shadow_positions("ema_p10")] == [39]
    assert db.get_open_positions() == []


def test_a_twin_holds_a_ticker_once(db: StateDB) -> None:
    db.add_shadow_position("nwl_p4", holding())
    with pytest.raises(RecordRefused):
        db.add_shadow_position("nwl_p4", holding(entry_session=FRIDAY))


def test_a_shadow_position_is_updated_in_place(db: StateDB) -> None:
    db.add_shadow_position("nwl_p4", holding())
    changed = holding(last_close=250.0, pending_reason="trend_break", pending_since=FRIDAY)
    db.update_shadow_position("nwl_p4", changed)
    assert db.load_twin("nwl_p4") == (changed,)
    with pytest.raises(RecordRefused, match="AAPL"):
        db.update_shadow_position("nwl_p4", holding("AAPL"))


def test_a_closed_shadow_position_keeps_its_trade(db: StateDB) -> None:
    db.add_shadow_position("nwl_p4", holding())
    db.close_shadow_position("nwl_p4", "NVDA", trade())
    assert db.get_shadow_positions("nwl_p4") == []
    [closed] = db.get_shadow_positions("nwl_p4", status="closed")
    assert closed.trade == trade()
    assert closed.holding == holding()
    with pytest.raises(RecordRefused):
        db.close_shadow_position("nwl_p4", "NVDA", trade())
    db.add_shadow_position("nwl_p4", holding(entry_session=MONDAY))
    both = db.get_shadow_positions("nwl_p4", status=None)
    assert [p.status for p in both] == ["closed", "open"]


@settings(deadline=None, max_examples=50)
@given(
    st.floats(min_value=0.0001, max_value=1e6),
    st.floats(min_value=0.0001, max_value=1e6),
    st.floats(min_value=-1e9, max_value=1e9),
)
def test_floats_of_a_twin_survive_bit_by_bit(entry: float, close: float, profit: float) -> None:
    one = holding(entry_price=entry, last_close=close, stop_price=close)
    ended = trade("AAPL", entry_price=entry, exit_price=close, pnl_usd=profit)
    with StateDB(":memory:") as db:
        values = {"realised_usd": profit, "unrealised_usd": close, "at": AFTER_CLOSE}
        db.save_twin("nwl_p4", FRIDAY, (one,), (ended,), **values)
        assert db.load_twin("nwl_p4") == (one,)
        [closed] = db.get_shadow_positions("nwl_p4", status="closed")
        assert closed.trade == ended
        [point] = db.get_equity("nwl_p4")
        assert (float(point.realised), float(point.unrealised)) == (profit, close)


# -------------------------------------------------------------------------------------- settling


def settle(
    db: StateDB,
    session: date,
    holdings: tuple = (),
    trades: tuple = (),
    *,
    realised_usd: float = 0.0,
    unrealised_usd: float = 0.0,
) -> bool:
    return db.save_twin(
        "nwl_p4",
        session,
        holdings,
        trades,
        realised_usd=realised_usd,
        unrealised_usd=unrealised_usd,
        at=AFTER_CLOSE,
    )


def test_settling_replaces_the_book_of_a_twin(db: StateDB) -> None:
    assert db.last_settled("nwl_p4") is None
    aapl, nvda = holding("AAPL"), holding("NVDA")
    assert settle(db, THURSDAY, (aapl, nvda), unrealised_usd=24.0)
    assert db.load_twin("nwl_p4") == (aapl, nvda)
    later = replace(aapl, last_close=300.0, evaluated_week=FRIDAY)
    msft = holding("MSFT", entry_session=FRIDAY)
    assert settle(db, FRIDAY, (later, msft), (trade("NVDA"),), realised_usd=-1024.52)
    assert db.load_twin("nwl_p4") == (later, msft)
    assert [p.trade for p in db.get_shadow_positions("nwl_p4", "closed")] == [trade("NVDA")]
    assert db.last_settled("nwl_p4") == FRIDAY
    assert db.last_settled("ema_p10") is None
    assert [
        (p.session, p.realised, p.unrealised, p.positions) for p in db.get_equity("nwl_p4")
    ] == [
        (THURSDAY, Decimal(0), Decimal(24), 2),
        (FRIDAY, Decimal("-1024.52"), Decimal(0), 2),
    ]


def test_a_session_is_settled_once(db: StateDB) -> None:
    assert settle(db, THURSDAY, (holding(),), unrealised_usd=24.0)
    assert settle(db, FRIDAY, (), (trade(),))
    assert settle(db, FRIDAY, (holding("AAPL"),), unrealised_usd=99.0) is False
    assert settle(db, THURSDAY, (holding("AAPL"),)) is False
    assert db.load_twin("nwl_p4") == ()
    assert len(db.get_shadow_positions("nwl_p4", None)) == 1
    assert [p.unrealised for p in db.get_equity("nwl_p4")] == [Decimal(24), Decimal(0)]


def test_sessions_are_settled_in_order(db: StateDB) -> None:
    settle(db, THURSDAY)
    settle(db, MONDAY)
    with pytest.raises(RecordRefused, match="2020-02-03 is settled already"):
        settle(db, FRIDAY)


def test_a_position_never_vanishes_without_a_trade(db: StateDB) -> None:
    settle(db, THURSDAY, (holding("AAPL"), holding("NVDA")))
    with pytest.raises(RecordRefused, match="no trade closes NVDA"):
        settle(db, FRIDAY, (holding("AAPL", last_close=1.0),))
    assert db.load_twin("nwl_p4") == (holding("AAPL"), holding("NVDA"))
    assert db.last_settled("nwl_p4") == THURSDAY


def test_a_position_is_not_held_and_closed_at_once(db: StateDB) -> None:
    settle(db, THURSDAY, (holding(),))
    with pytest.raises(RecordRefused, match="NVDA is held and closed"):
        settle(db, FRIDAY, (holding(),), (trade(),))


def test_a_trade_within_one_session_is_kept(db: StateDB) -> None:
    same_day = trade(exit_session=THURSDAY, hold_days=0)
    settle(db, THURSDAY, (), (same_day,), realised_usd=-1024.52)
    [closed] = db.get_shadow_positions("nwl_p4", "closed")
    assert closed.trade == same_day
    assert (closed.holding.stop_price, closed.holding.shares_now) == (0.0, 0)


def test_a_ticker_may_return_after_its_exit(db: StateDB) -> None:
    settle(db, THURSDAY, (holding(),))
    settle(db, FRIDAY, (), (trade(),))
    settle(db, MONDAY, (holding(entry_session=MONDAY),))
    assert [p.status for p in db.get_shadow_positions("nwl_p4", None)] == ["closed", "open"]


def test_a_settlement_that_crashes_leaves_nothing(db: StateDB) -> None:
    settle(db, THURSDAY, (holding(),))

    def crash() -> None:
        raise SystemExit(9)

    db.before_commit = crash
    with pytest.raises(SystemExit):
        settle(db, FRIDAY, (), (trade(),))
    db.before_commit = None
    assert (db.load_twin("nwl_p4"), db.last_settled("nwl_p4")) == ((holding(),), THURSDAY)
    assert settle(db, FRIDAY, (), (trade(),))


def test_settling_keeps_cash_and_equity_that_were_saved_for_the_book(db: StateDB) -> None:
    values = {"cash": 190196.0, "equity": 200024.0, "realised": 0.0, "unrealised": 24.0}
    db.save_equity(THURSDAY, "nwl_p4", positions=1, **values)
    settle(db, THURSDAY, (holding(),), unrealised_usd=24.0)
    [point] = db.get_equity("nwl_p4")
    assert (point.cash, point.equity) == (Decimal(190196), Decimal(200024))


def test_a_candidate_without_score_stays_without_in_a_twin(db: StateDB) -> None:
    bare = candidate(score=None, price=None, gap_size=None, company_name=None)
    settle(db, THURSDAY, (holding(candidate=bare),))
    assert db.load_twin("nwl_p4")[0].candidate == bare


# --------------------------------------------------------------------------------------- signals


def test_a_shadow_signal_is_kept_once(db: StateDB) -> None:
    first = db.save_shadow_signal("nwl_p4", THURSDAY, "{}", "a" * 64, BEFORE_OPEN)
    assert db.save_shadow_signal("nwl_p4", THURSDAY, "{}", "a" * 64, AFTER_CLOSE) == first
    second = db.save_shadow_signal("nwl_p4", THURSDAY, "[]", "b" * 64, AFTER_CLOSE)
    db.save_shadow_signal("nwl_p4", FRIDAY, "{}", "a" * 64, AFTER_CLOSE)
    assert second > first
    kept = db.get_shadow_signals("nwl_p4", THURSDAY)
    assert [(s.body, s.created_at) for s in kept] == [("{}", BEFORE_OPEN), ("[]", AFTER_CLOSE)]
    assert len(db.get_shadow_signals("nwl_p4")) == 3
    assert db.get_shadow_signals("ema_p10") == []
