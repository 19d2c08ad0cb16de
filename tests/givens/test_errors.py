"""The error tree: every class has its exit code, its advice, and one line for the operator."""

import livekit.errors as tree
from livekit.errors import LivekitError


def classes() -> list[type[LivekitError]]:
    found = [getattr(tree, name) for name in tree.__all__]
    return [item for item in found if isinstance(item, type) and issubclass(item, LivekitError)]


def test_everything_exported_belongs_to_the_one_tree() -> None:
    assert len(classes()) == len(tree.__all__)


def test_every_exit_code_is_a_documented_one() -> None:
    assert {item.exit_code for item in classes()} == {1, 2, 3, 4, 5, 6, 7}


def test_every_class_stands_in_the_drawing() -> None:
    assert tree.__doc__ is not None
    missing = [name for name in tree.__all__ if name not in tree.__doc__]
    assert missing == []


def test_every_class_tells_the_operator_what_to_do() -> None:
    assert all(item.advice.endswith(".") for item in classes())


def test_the_operators_line_is_one_line() -> None:
    error = tree.BadInput("report.html", "is empty")
    assert error.operator_line() == (
        "report.html: is empty — Repair or replace the file and run again; nothing was written."
    )
