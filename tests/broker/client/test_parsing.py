"""Whatever the venue sends becomes a value or one typed error."""

from __future__ import annotations

import copy
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_venue import ACCOUNT, a_group, an_order

from livekit.broker import parsing
from livekit.broker.parsing import UnreadableError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["1e999", "0x10", "1_000", "١٢", "0001-01-01T00:00:00+23:59", "9999-99-99"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
CLOCK = {
    "timestamp": "2020-01-30T09:31:00-05:00",
    "is_open": True,
    "next_open": "2020-01-31T09:30:00-05:00",
    "next_close": "2020-01-30T16:00:00-05:00",
}
POSITION = {
    "symbol": "AAPL",
    "qty": "30",
    "qty_available": "30",
    "avg_entry_price": "17.1",
    "current_price": "17.2",
    "asset_id": "x",
}
FILL = {
    "id": "1",
    "order_id": "2",
    "symbol": "AAPL",
    "side": "buy",
    "qty": "30",
    "price": "17.1",
    "transaction_time": "2020-01-30T14:31:00Z",
}
BAR = {"t": "2020-01-30T05:00:00Z", "o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0, "v": 1}
SPLIT = {"symbol": "AAPL", "new_rate": 4, "old_rate": 1, "ex_date": "2020-08-31"}

PARSERS = [
    (parsing.account, ACCOUNT),
    (parsing.asset, {"id": "1", "symbol": "AAPL", "tradable": True, "status": "active"}),
    (parsing.clock, CLOCK),
    (parsing.calendar, [{"date": "2020-01-30", "open": "09:30", "close": "16:00"}]),
    (parsing.positions, [POSITION]),
    (parsing.order, a_group()),
    (parsing.orders, [an_order(), a_group()]),
    (parsing.fills, [FILL]),
    (parsing.trades, {"trades": {"AAPL": {"p": 17.1, "t": "2020-01-30T14:31:00Z"}}}),
    (parsing.bars, {"bars": {"AAPL": [BAR]}, "next_page_token": "more"}),
    (parsing.splits, {"corporate_actions": {"forward_splits": [SPLIT]}}),
    (parsing.page_token, {"next_page_token": "more"}),
]


def _places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The path of every value inside a JSON value."""
    items: list[tuple[object, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path] + [place for key, inner in items for place in _places(inner, (*path, key))]


def _with(value: object, path: tuple[object, ...], new: object) -> object:
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


@pytest.mark.parametrize(("parse", "example"), PARSERS, ids=lambda p: getattr(p, "__name__", ""))
def test_the_example_itself_is_read(parse, example):
    assert parse(example)


@pytest.mark.parametrize(("parse", "example"), PARSERS, ids=lambda p: getattr(p, "__name__", ""))
@given(data=st.data())
def test_anything_in_any_place_is_a_value_or_the_typed_error(parse, example, data):
    place = data.draw(st.sampled_from(_places(example)))
    mutant = _with(example, place, data.draw(JSON))
    with suppress(UnreadableError):
        parse(mutant)


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "1,5", "1_000", "0x10", "1e999", "nan", "inf", "١٢", "--1", "1."]
)
def test_a_text_that_is_no_plain_number_is_not_a_price(text):
    with pytest.raises(UnreadableError, match="stop_price"):
        parsing.order(an_order(stop_price=text))


@pytest.mark.parametrize(
    "stamp", ["2020-01-30", "2020-01-30T14:31:00", "yesterday", "0001-01-01T00:00:00+10:00"]
)
def test_a_stamp_without_a_time_zone_is_not_an_instant(stamp):
    with pytest.raises(UnreadableError, match="created_at"):
        parsing.order(an_order(created_at=stamp))


def test_the_day_of_a_bar_is_new_yorks_day():
    # one o'clock in the morning of Friday in UTC is Thursday evening in New York
    page = parsing.bars({"bars": {"AAPL": [BAR | {"t": "2020-01-31T01:00:00Z"}]}})
    assert page["AAPL"][0].session == date(2020, 1, 30)


@pytest.mark.parametrize("flag", [True, False])
def test_true_is_not_the_number_one(flag):
    with pytest.raises(UnreadableError, match="qty"):
        parsing.order(an_order(qty=flag))


def test_an_order_nested_deeper_than_legs_go_is_still_read():
    order = parsing.order(a_group(legs=[a_group()]))
    assert order.legs[0].legs[0].status == "held"
