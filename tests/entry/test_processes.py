"""The commands as real processes: one account that goes on from one process to the next."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from livekit.state import StateDB
from tests.entry.entry_kit import (
    MONDAY,
    ROOT,
    TUESDAY,
    Ended,
    Shop,
    dump,
    held_by_another_process,
    picture,
    process,
)


def daily(shop: Shop, session: object, *options: str) -> Ended:
    words = ("livekit", "daily", "--params", shop.params, "--outputs", shop.outputs)
    return process(*words, "--session", session, *options, cwd=shop.folder)


def initialise(shop: Shop) -> None:
    words = ("livekit", "init", "--params", shop.params, "--outputs", shop.outputs)
    ended = process(*words, cwd=shop.folder)
    assert (ended.code, ended.err) == (0, "")
    assert f"registered in {shop.home}" in ended.out


def test_each_day_is_a_new_process_on_one_account(new_shop: Shop) -> None:
    """Monday buys 200 ABC; on Tuesday they are still held, covered, and in agreement."""
    initialise(new_shop)
    new_shop.report(MONDAY, ("ABC", 80.0, 50.0))
    monday = daily(new_shop, MONDAY, "--no-notebooks")
    assert (monday.code, monday.err) == (0, "")
    assert "bought 200 of 200 ABC at 50" in monday.out
    tuesday = daily(new_shop, TUESDAY, "--no-notebooks")
    assert (tuesday.code, tuesday.err) == (0, "")
    assert "every share is covered" in tuesday.out
    assert "0 breaks" in tuesday.out
    books = dump(new_shop.state_db), dump(new_shop.venue_db)
    again = new_shop.daily(TUESDAY)
    assert (again.code, again.err) == (0, "")
    assert again.out.count(": already, exit 0") == 5
    assert (dump(new_shop.state_db), dump(new_shop.venue_db)) == books
    assert new_shop.audit().out.startswith("fills 1, positions 1, cash 40000.00 USD")


def test_the_two_modules_are_processes_on_the_same_account(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    generator = ("livekit.signal_generator", *shop.generator_arguments(report))
    decided = process(*generator, cwd=shop.folder)
    assert (decided.code, decided.err) == (0, "")
    executor = ("livekit.executor", *shop.executor_arguments(shop.plan(MONDAY), "-v"))
    with held_by_another_process(shop.home / "writer.lock"):
        before = picture(shop.folder)
        locked = process(*executor, cwd=shop.folder)
        assert (locked.code, "writer.lock" in locked.refusal) == (6, True)
        assert picture(shop.folder) == before
    done = process(*executor, cwd=shop.folder)
    assert (done.code, done.err) == (0, "")
    assert "bought 200 of 200 ABC" in done.out


def test_bad_input_of_real_processes_is_one_line_and_leaves_nothing(new_shop: Shop) -> None:
    """Keys that are missing, a day before ``init``, an option that does not exist."""
    before = picture(new_shop.folder)
    paper = ROOT / "params" / "paper.yaml"
    commands = (
        ("init", "--params", paper),
        ("daily", "--params", new_shop.params),
        ("demo", "--sede"),
    )

    def ended(words: tuple[object, ...]) -> Ended:
        return process("livekit", *words, "--outputs", new_shop.outputs, cwd=new_shop.folder)

    with ThreadPoolExecutor(len(commands)) as pool:
        keyless, early, wrong = pool.map(ended, commands)
    assert (keyless.code, early.code, wrong.code) == (2, 2, 2)
    assert "APCA_API_KEY_ID" in keyless.refusal
    assert "does not exist" in early.refusal
    assert "--sede" in wrong.refusal
    assert picture(new_shop.folder) == before


@pytest.mark.slow
def test_two_days_with_their_notebooks(shop: Shop) -> None:
    """Each phase with a notebook leaves an executed one, a page, and agreeing exit codes."""
    shop.report(MONDAY, ("ABC", 80.0, 50.0))
    for session in (MONDAY, TUESDAY):
        day = daily(shop, session)
        assert (day.code, day.err) == (0, ""), day
        folder = shop.home / "archive" / f"{session:%Y/%m}" / session.isoformat()
        assert len(list(folder.glob("*.html"))) == len(list(folder.glob("*.ipynb"))) == 4
    assert (shop.home / "archive" / "index.html").is_file()
    with StateDB(shop.state_db) as db:
        runs = [run for run in db.get_runs() if run.archive_path]
    assert [(run.status, run.exit_code) for run in runs] == [("done", 0)] * 8
    assert shop.audit().out.startswith("fills 1, positions 1, cash 40000.00 USD")
    again = daily(shop, TUESDAY)
    assert again.out.count(": already, exit 0") == 5
    assert json.loads(shop.plan(TUESDAY).read_text())["plan"]["orders"] == []
