"""The simulation is tested itself: defects planted in a copy of the package must be caught."""

import json
from pathlib import Path

import pytest

from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.points import Cut
from livekit.workbench.simulation.standard_day import make_standard_day, run_standard_day
from tests.simulation.defects import (
    CANCEL_CODE_READ_AS_FILLED,
    INTENT_AFTER_SEND,
    KILL_SWITCH_READ_ONCE,
    RECONCILIATION_LEFT_OUT,
    STOP_AFTER_ALL_POLLS,
    UNKNOWN_TAKEN_AS_FAILED,
    Defect,
    plant,
    suite_on,
    violations_on,
)

pytestmark = [pytest.mark.slow, pytest.mark.ci]

UNCHANGED = Defect("trading/orders.py", ())
KILL_AT = 41  # a request between two entries of the standard day
LOST_ANSWER = "tests/trading/test_lost_answers.py"
CANCELED_CODE = (
    "tests/trading/test_fault_matrix_exits.py::"
    "test_row_23_a_cancel_refused_as_canceled_goes_on_to_the_sale"
)


@pytest.mark.parametrize(
    ("defect", "trouble", "broken"),
    [
        pytest.param(INTENT_AFTER_SEND, "none", "I02 intent before send", id="intent after send"),
        pytest.param(STOP_AFTER_ALL_POLLS, "half filled", "I08 cover", id="stop after all polls"),
        pytest.param(
            KILL_SWITCH_READ_ONCE, "kill switch", "I13 kill switch", id="kill switch read once"
        ),
        pytest.param(
            RECONCILIATION_LEFT_OUT,
            "none",
            "I16 reconcile before act: 20200107_DDD_entry_buy leaves before it",
            id="reconciliation left out",
        ),
    ],
)
def test_a_planted_defect_is_caught_by_the_simulation(
    tmp_path: Path, defect: Defect, trouble: str, broken: str
) -> None:
    found = violations_on(plant(defect, tmp_path), trouble, KILL_AT)
    assert broken in found


@pytest.mark.parametrize(
    ("defect", "test"),
    [
        pytest.param(UNKNOWN_TAKEN_AS_FAILED, LOST_ANSWER, id="unknown taken as failed"),
        pytest.param(CANCEL_CODE_READ_AS_FILLED, CANCELED_CODE, id="a cancel code read as filled"),
    ],
)
def test_a_planted_defect_is_caught_by_the_suite(tmp_path: Path, defect: Defect, test: str) -> None:
    assert suite_on(plant(defect, tmp_path / "planted"), test) == 1
    assert suite_on(plant(UNCHANGED, tmp_path / "unchanged"), test) == 0


def test_the_kill_switch_goes_on_between_two_entries(tmp_path: Path) -> None:
    """DDD is bought before it; EEE and FFF, which the plan holds too, never."""
    books = MemoryBooks()
    day = make_standard_day(tmp_path, books)
    struck = run_standard_day(day, books, kill_at=Cut("request", KILL_AT, "after"))
    fills = json.loads(struck.books)["fills"]
    assert [fill[2:5] for fill in fills if "'buy'" in fill] == ["AAA", "BBB", "CCC", "DDD"]


@pytest.mark.parametrize("trouble", ["none", "answer lost", "half filled", "kill switch"])
def test_the_same_day_breaks_nothing_without_a_defect(tmp_path: Path, trouble: str) -> None:
    assert violations_on(plant(UNCHANGED, tmp_path), trouble, KILL_AT) == ""
