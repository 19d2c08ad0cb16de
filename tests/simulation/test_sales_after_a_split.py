"""Shares sold after a split, when they are no whole number of the shares once bought."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.model import Candidate, Position
from livekit.state import StateDB
from livekit.workbench.audit import read_state_book

BOUGHT = Position(
    ticker="FFF",
    entry_date=date(2020, 9, 24),
    entry_price=Decimal("167.40"),
    target_shares=59,
    actual_shares=59,
    invested=Decimal("9876.60"),
    stop_price=Decimal("50.20"),
    stop_order_id=None,
    candidate=Candidate("FFF", date(2020, 9, 24), "B", 70.0),
    split_factor=3.0,
)


def test_a_sale_that_no_whole_share_of_the_entry_basis_stands_for_is_not_rounded() -> None:
    assert BOUGHT.shares_now == 177  # 59 × 3
    sold, odd = BOUGHT.after_sale(59)  # 59 = 19 × 3 + 2
    assert (sold, odd) == (19, 2)
    left = replace(BOUGHT, sold_shares=sold, odd_shares_sold=odd)
    assert left.shares_now == 118  # 177 − 59
    assert replace(left, sold_shares=0, odd_shares_sold=0).after_sale(177) == (59, 0)


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.0, 0.5])
def test_shares_left_are_those_held_less_those_sold(factor: float) -> None:
    position = replace(BOUGHT, actual_shares=60, split_factor=factor)
    held = position.shares_now
    for shares in (1, 7, 2, 5, 3):
        sold, odd = position.after_sale(shares)
        position = replace(position, sold_shares=sold, odd_shares_sold=odd)
        held -= shares
        assert position.shares_now == held


def test_the_audit_reads_the_same_number_of_shares(tmp_path: Path) -> None:
    sold, odd = BOUGHT.after_sale(59)
    path = tmp_path / "state.db"
    with StateDB.create(path) as db:
        db.add_position(replace(BOUGHT, sold_shares=sold, odd_shares_sold=odd))
    assert read_state_book(path).shares == {"FFF": 118}
