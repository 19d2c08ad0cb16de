from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from livekit.workbench.archiving.figures import FigureStore, FigureText


def unpacked(value: object, shared: list[object]) -> object:
    """What the page's script does with a data block."""
    if isinstance(value, list):
        return [unpacked(item, shared) for item in value]
    if not isinstance(value, dict):
        return value
    if "$s" in value:
        return unpacked(shared[value["$s"]], shared)
    if "$n" in value:
        decimals, *steps = value["$n"]
        sums = [sum(steps[: end + 1]) for end in range(len(steps))]
        return [whole / 10**decimals for whole in sums]
    return {key: unpacked(item, shared) for key, item in value.items()}


def block(*figures: dict[str, object]) -> dict[str, list]:
    store = FigureStore()
    for figure in figures:
        store.add(figure)
    return json.loads(store.to_json())


DAYS = [f"2020-01-{day:02d}" for day in range(1, 25)]


def test_a_list_that_two_figures_use_stands_in_the_block_once():
    figure = {"data": [{"x": DAYS, "open": [1.5] * 24}], "layout": {}}
    made = block(figure, figure)
    assert made["shared"][0] == DAYS
    assert json.dumps(made).count("2020-01-07") == 1


def test_prices_become_differences_of_cents_and_come_back_exactly():
    prices = [41.2, 41.25, 41.19, 40.0, 1234.56, 0.01, 7.0, 7.0, 7.0, 7.0, 7.0, 7.1]
    made = block({"data": [{"open": prices}], "layout": {}})
    packed = made["figures"][0]["data"][0]["open"]["$n"]
    assert packed[:4] == [2, 4120, 5, -6]
    assert unpacked(made["figures"][0], made["shared"])["data"][0]["open"] == prices


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=40))
def test_any_list_of_numbers_comes_back_as_it_was(values: list[float]):
    rounded = [round(value, 4) for value in values]
    made = block({"data": [{"y": rounded}, {"y": values}], "layout": {}})
    back = unpacked(made["figures"][0], made["shared"])
    assert [trace["y"] for trace in back["data"]] == [rounded, values]


def test_gaps_and_truth_values_are_left_alone():
    values = [1.0, None, 3.0] * 8
    made = block({"data": [{"y": values, "visible": [True, False] * 8}], "layout": {}})
    back = unpacked(made["figures"][0], made["shared"])["data"][0]
    assert back["y"] == values
    assert back["visible"] == [True, False] * 8


def test_the_block_cannot_end_its_script_element():
    store = FigureStore()
    store.add({"data": [{"name": "</script><script>alert(1)</script>&"}], "layout": {}})
    text = store.to_json()
    assert "<" not in text
    assert "&" not in text
    assert json.loads(text)["figures"][0]["data"][0]["name"].startswith("</script>")


def test_title_and_description_become_text_and_the_template_is_dropped():
    store = FigureStore()
    layout = {"title": {"text": "A &amp; B"}, "meta": "candles", "template": {"layout": {}}}
    assert store.add({"data": [], "layout": layout}) == FigureText(
        "A & B", "candles", is_tall=False
    )
    assert json.loads(store.to_json())["figures"] == [{"data": [], "layout": {}}]


def test_a_page_without_figures_has_no_block():
    assert FigureStore().to_json() == ""
