"""The fault matrix is whole: every one of its 75 rows has a test that bears its number."""

import re
from collections import defaultdict
from pathlib import Path

ROWS = range(1, 76)
MOST_DECLINED = 5
NAMED = re.compile(r"^def (test_row_(\d\d)_\w+)", re.MULTILINE)
SKIPPED = re.compile(r"pytest\.mark\.skip\([^\n]*\)\ndef (test_row_\d\d\w+)")


def sources() -> dict[str, str]:
    files = sorted(Path(__file__).parent.glob("test_fault_matrix_*.py"))
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def numbered_tests() -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for name, text in sources().items():
        for test, row in NAMED.findall(text):
            found[int(row)].append(f"{name}::{test}")
    return found


def test_every_row_has_its_test() -> None:
    """With ``pytest -s`` it prints the table."""
    found = numbered_tests()
    for row, tests in sorted(found.items()):
        print(f"\n{row:2}  " + "\n    ".join(tests), end="")
    assert sorted(found) == list(ROWS)


def test_at_most_five_rows_decline() -> None:
    declined = [name for text in sources().values() for name in SKIPPED.findall(text)]
    assert len(declined) <= MOST_DECLINED
