from datetime import UTC, datetime

import pytest
from state_examples import BEFORE_OPEN, fill, order, position

from livekit.errors import DuplicateIntent, RecordRefused
from livekit.state import StateDB


def test_a_transaction_keeps_all_or_nothing(db: StateDB) -> None:
    def fail_halfway() -> None:
        with db.transaction():
            db.add_position(position("AAPL"))
            db.add_order(order("AAPL"), at=BEFORE_OPEN)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert (db.get_positions(), db.get_orders()) == ([], [])
    with db.transaction():
        db.add_position(position("AAPL"))
        db.add_order(order("AAPL"), at=BEFORE_OPEN)
    assert (len(db.get_positions()), len(db.get_orders())) == (1, 1)


def test_a_refused_write_leaves_the_rest_of_its_transaction(db: StateDB) -> None:
    with db.transaction():
        db.add_order(order(), at=BEFORE_OPEN)
        with pytest.raises(DuplicateIntent):
            db.add_order(order(), at=BEFORE_OPEN)
        db.add_order(order("AAPL"), at=BEFORE_OPEN)
    assert [o.ticker for o in db.get_orders()] == ["NVDA", "AAPL"]


def test_a_nested_transaction_fails_alone(db: StateDB) -> None:
    with db.transaction():
        db.add_position(position("AAPL"))
        with pytest.raises(ZeroDivisionError), db.transaction():  # noqa: PT012 - the nesting is the test
            db.add_position(position("MSFT"))
            _ = 1 / 0
        assert [p.ticker for p in db.get_positions()] == ["AAPL"]
    assert [p.ticker for p in db.get_positions()] == ["AAPL"]


def test_commit_hooks_see_each_outermost_commit(db: StateDB) -> None:
    seen: list[str] = []
    db.before_commit = lambda: seen.append("before")
    db.after_commit = lambda: seen.append(f"after {len(db.get_positions())}")
    with db.transaction():
        db.add_position(position("AAPL"))
        db.add_position(position("MSFT"))
    db.add_position(position("NVDA"))
    db.get_open_positions()
    assert seen == ["before", "after 2", "before", "after 3"]


def test_what_the_hook_before_a_commit_raises_undoes_it(db: StateDB) -> None:
    def crash() -> None:
        raise SystemExit(9)

    db.before_commit = crash
    with pytest.raises(SystemExit):
        db.add_position(position())
    db.before_commit = None
    assert db.get_positions() == []
    db.add_position(position())


def test_what_the_hook_after_a_commit_raises_keeps_it(db: StateDB) -> None:
    def crash() -> None:
        raise SystemExit(9)

    db.after_commit = crash
    with pytest.raises(SystemExit):
        db.add_position(position())
    assert len(db.get_positions()) == 1


def test_instants_of_any_zone_come_back_in_utc(db: StateDB) -> None:
    new_york_winter = datetime.fromisoformat("2020-01-30T09:30:00.000001-05:00")
    db.add_order(order(), at=BEFORE_OPEN)
    db.add_fill(fill(at=new_york_winter))
    found = db.get_fills()[0].at
    assert found == datetime(2020, 1, 30, 14, 30, 0, 1, tzinfo=UTC)
    assert found.tzinfo is UTC


def test_a_naive_instant_is_refused(db: StateDB) -> None:
    with pytest.raises(RecordRefused, match="aware"):
        db.add_order(order(), at=datetime(2020, 1, 30, 14, 30))  # noqa: DTZ001 - the point
