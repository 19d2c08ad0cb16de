"""Bad input: one line on standard error, the documented exit code, nothing half-written."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.entry.entry_kit import (
    MONDAY,
    ROOT,
    Ended,
    Shop,
    held_by_another_process,
    held_exclusively,
    picture,
)

SATURDAY = "2020-01-11"


def refused(shop: Shop, command: Callable[[], Ended], code: int, *facts: str) -> None:
    """The command is refused in one line that states the facts, and the folder stays as it was."""
    before = picture(shop.folder)
    ended = command()
    assert ended.code == code, ended
    assert [fact for fact in facts if fact not in ended.refusal] == [], ended.refusal
    assert picture(shop.folder) == before


# --------------------------------------------------------------------------------------- reports


def test_a_report_named_but_absent_is_refused(shop: Shop) -> None:
    absent = shop.folder / "earnings_trade_analysis_2020-01-06.html"
    refused(shop, lambda: shop.generate(absent), 2, absent.name)


def test_a_report_cut_off_in_the_middle_is_refused(shop: Shop) -> None:
    path = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(shop, lambda: shop.generate(path), 2, path.name, "Repair or replace the file")


def test_a_report_that_is_no_html_is_refused(shop: Shop) -> None:
    path = shop.report(MONDAY)
    path.write_bytes(bytes(range(256)) * 40)
    refused(shop, lambda: shop.generate(path), 2, path.name)


def test_a_broken_report_stops_the_days_entries_and_nothing_else(shop: Shop) -> None:
    path = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    whole = path.read_bytes()
    path.write_bytes(whole[:700])
    ended = shop.daily(MONDAY, "--phase", "signals")
    assert ended.code == 5
    assert "is cut off" in ended.err
    assert "ema_p10: 0 exits, 0 entries" in ended.out
    path.write_bytes(whole)  # the writer has finished, and the run is repeated
    again = shop.daily(MONDAY)
    assert (again.code, again.err) == (0, "")
    assert "bought 200 of 200 ABC at 50" in again.out
    assert shop.audit().code == 0


def test_a_broken_report_stops_the_days_entries_but_not_its_protection(shop: Shop) -> None:
    """Exits would be decided and sent all the same: the plan is there and buys nothing."""
    path = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    path.write_bytes(path.read_bytes()[:700])
    ended = shop.daily(MONDAY)
    assert ended.code == 5
    assert ended.refusal.startswith("exit 5: signals: withheld: ")
    assert "report is cut off" in ended.refusal
    assert "protect: done" in ended.out
    assert "execution: done" in ended.out
    assert json.loads(shop.plan(MONDAY).read_text())["plan"]["orders"] == []
    assert "bought" not in ended.out
    assert shop.audit().code == 0


def test_what_was_withheld_stays_withheld_once_the_execution_is_over(shop: Shop) -> None:
    path = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    whole = path.read_bytes()
    path.write_bytes(whole[:700])
    assert shop.daily(MONDAY).code == 5
    path.write_bytes(whole)
    again = shop.daily(MONDAY)
    assert (again.code, again.err) == (0, "")
    assert "signals: already" in again.out
    assert shop.audit().out.startswith("fills 0, positions 0")


def test_a_report_of_a_session_that_is_over_is_refused(shop: Shop) -> None:
    path = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    assert shop.daily("2020-01-07").code == 0
    refused(shop, lambda: shop.generate(path), 2, "2020-01-06", "now trades 2020-01-08")


def test_an_unknown_ticker_is_withheld_and_the_rest_is_traded(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ZZZQ", 90.0, 20.0), ("ABC", 80.0, 50.0))
    ended = shop.generate(report, "-v")
    assert ended.code == 5
    assert "ZZZQ: the venue does not trade it" in ended.refusal
    assert "buy 200 ABC (entry)" in ended.out  # 10,000 USD at 50
    orders = json.loads(shop.plan(MONDAY).read_text())["plan"]["orders"]
    assert [order["ticker"] for order in orders] == ["ABC"]


def test_the_daily_run_says_which_ticker_was_unknown(shop: Shop) -> None:
    shop.report(MONDAY, ("ZZZQ", 90.0, 20.0), ("ABC", 80.0, 50.0))
    ended = shop.daily(MONDAY)
    assert ended.code == 5
    assert ended.refusal == "exit 5: signals: withheld: ZZZQ: the venue does not trade it"
    assert "bought 200 of 200 ABC at 50" in ended.out


# ------------------------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"trading": {"max_postions": 3}}, "max_postions"),
        ({"trading": {"max_positions": "three"}}, "max_positions"),
        ({"trading": {"stop_loss_pct": 0.0}}, "stop_loss_pct"),
        ({"trading": ["max_positions"]}, "'trading' must map names to values"),
        ({"sede": 2}, "sede"),
        ({"venue": "alpaca"}, "venue"),
    ],
)
def test_a_wrong_parameter_is_named(new_shop: Shop, changes: dict[str, object], fact: str) -> None:
    values = yaml.safe_load(new_shop.params.read_text()) | changes
    new_shop.params.write_text(yaml.safe_dump(values))
    refused(new_shop, new_shop.init, 2, fact)


@pytest.mark.parametrize("text", ["a: [1,\nb: 2\nc", "- 1\n- 2\n", "\x00", "42"])
def test_a_parameter_file_that_is_no_mapping_is_refused_in_one_line(
    new_shop: Shop, text: str
) -> None:
    new_shop.params.write_text(text)
    refused(new_shop, new_shop.init, 2, "shop.yaml")


def test_an_absent_parameter_file_is_refused(new_shop: Shop) -> None:
    refused(new_shop, lambda: new_shop.livekit("init", "--params", "nowhere.yaml"), 2, "nowhere")


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("daily", "--parms", "demo.yaml"), "--parms"),
        (("daily",), "--params"),
        (("demo", "--seed", "one"), "--seed"),
        (("dialy",), "dialy"),
    ],
)
def test_a_wrong_option_or_command_is_named(
    new_shop: Shop, words: tuple[str, ...], fact: str
) -> None:
    refused(new_shop, lambda: new_shop.livekit(*words), 2, fact)


def test_a_phase_that_does_not_exist_is_named(shop: Shop) -> None:
    refused(shop, lambda: shop.daily(MONDAY, "--phase", "signal"), 2, "--phase", "signals")


@pytest.mark.parametrize("option", ["--sate-db", "--forced"])
def test_a_wrong_option_of_the_two_modules_is_named(shop: Shop, option: str) -> None:
    report = shop.report(MONDAY)
    refused(shop, lambda: shop.generate(report, option, "x"), 2, option)
    refused(shop, lambda: shop.execute(shop.plan(MONDAY), option, "x"), 2, option)


def test_absent_prices_are_refused_before_a_former_demo_is_removed(shop: Shop) -> None:
    shop.write_params(prices=str(shop.folder / "nowhere.parquet"))
    command = ("demo", "--params", shop.params, "--no-notebooks")
    refused(shop, lambda: shop.livekit(*command), 2, "nowhere.parquet")


def test_equity_below_the_base_capital_leaves_nothing_behind(new_shop: Shop) -> None:
    """Three positions of 10,000 USD want 30,000 USD."""
    new_shop.write_params(venue_cash_usd=29999.0)
    refused(new_shop, new_shop.init, 2, "29999", "30000")
    new_shop.write_params(venue_cash_usd=30000.0)
    assert new_shop.init().code == 0


def test_a_first_session_that_is_none_is_refused(new_shop: Shop) -> None:
    new_shop.write_params(first_session="2020-01-05")
    refused(new_shop, new_shop.init, 2, "2020-01-05", "must be a session")


def test_paper_parameters_without_keys_are_refused(new_shop: Shop) -> None:
    paper = ROOT / "params" / "paper.yaml"
    facts = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
    refused(new_shop, lambda: new_shop.livekit("init", "--params", paper), 2, *facts)
    refused(new_shop, lambda: new_shop.livekit("lab", "--params", paper), 2, *facts)
    refused(new_shop, lambda: new_shop.livekit("demo", "--params", paper), 2, "simulated venue")


def test_keys_of_a_live_account_are_refused(
    new_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "AKLIVE")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "secret")
    paper = ROOT / "params" / "paper.yaml"
    refused(new_shop, lambda: new_shop.livekit("init", "--params", paper), 2, "live account")


# -------------------------------------------------------------------------------------- sessions


@pytest.mark.parametrize("given", ["2020-13-45", "tomorrow", "1999-06-01", "2050-01-04"])
def test_a_date_that_is_none_or_outside_the_calendar_is_refused(shop: Shop, given: str) -> None:
    refused(shop, lambda: shop.daily(given), 2, given, "Name a session")


def test_a_day_without_a_session_is_closed_and_changes_nothing(shop: Shop) -> None:
    before = picture(shop.folder)
    ended = shop.daily(SATURDAY)
    assert (ended.code, ended.err) == (0, "")
    assert "closed" in ended.out
    assert picture(shop.folder) == before


# ------------------------------------------------------------------------- database and manifest


def no_database(shop: Shop) -> str:
    shop.state_db.unlink()
    return "does not exist"


def empty_database(shop: Shop) -> str:
    shop.state_db.write_bytes(b"")
    return "is empty"


def garbage(shop: Shop) -> str:
    shop.state_db.write_bytes(b"no database" * 1000)
    return "is not an SQLite database"


def damaged_database(shop: Shop) -> str:
    content = bytearray(shop.state_db.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    shop.state_db.write_bytes(content)
    return str(shop.state_db)


def foreign_database(shop: Shop) -> str:
    shop.state_db.unlink()
    with closing(sqlite3.connect(shop.state_db)) as raw:
        raw.execute("CREATE TABLE t (x)")
    return "is not a state database of this program"


@pytest.mark.parametrize(
    "spoil", [no_database, empty_database, garbage, damaged_database, foreign_database]
)
def test_an_unusable_database_is_refused_by_every_command(
    shop: Shop, spoil: Callable[[Shop], str]
) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    fact = spoil(shop)
    refused(shop, lambda: shop.daily(MONDAY), 2, fact)
    refused(shop, lambda: shop.generate(report), 2, fact)
    refused(shop, lambda: shop.execute(shop.plan(MONDAY)), 2, fact)
    refused(shop, shop.audit, 2, "state.db")


def test_registering_twice_is_refused(shop: Shop) -> None:
    refused(shop, shop.init, 2, "exists already")


def test_a_venue_file_that_is_none_is_refused(shop: Shop) -> None:
    shop.venue_db.write_bytes(b"no database" * 1000)
    refused(shop, lambda: shop.daily(MONDAY), 2, "venue.db")
    refused(shop, shop.audit, 2, "venue.db")


def test_a_venue_file_that_lacks_its_clock_is_refused(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.venue_db)) as raw, raw:
        raw.execute("DELETE FROM state WHERE key = 'clock'")
    refused(shop, lambda: shop.daily(MONDAY), 2, "is not a book of the simulated venue")
    refused(shop, shop.audit, 2, "is not a book of the simulated venue")


def test_a_book_of_another_venue_is_refused(shop: Shop) -> None:
    shop.write_params(seed=2)
    refused(shop, lambda: shop.daily(MONDAY), 2, "its seed is 1", "the profile says 2")


def no_manifest(path: Path) -> str:
    path.unlink()
    return "cannot be read"


def manifest_of_text(path: Path) -> str:
    path.write_text("max_positions: 3\n")
    return "is not JSON"


def manifest_without_config(path: Path) -> str:
    path.write_text("[1, 2]")
    return "has no 'config' object"


def manifest_that_differs(path: Path) -> str:
    values = json.loads(path.read_text())
    values["config"] |= {"stop_loss_pct": 12.0}
    path.write_text(json.dumps(values))
    return "stop_loss_pct is 10.0, manifest says 12.0"


def manifest_that_lacks_a_field(path: Path) -> str:
    values = json.loads(path.read_text())
    del values["config"]["rotation"]
    path.write_text(json.dumps(values))
    return "rotation is True, manifest says 'nothing'"


@pytest.mark.parametrize(
    "spoil",
    [
        no_manifest,
        manifest_of_text,
        manifest_without_config,
        manifest_that_differs,
        manifest_that_lacks_a_field,
    ],
)
def test_a_bad_manifest_is_refused_by_every_command(
    shop: Shop, spoil: Callable[[Path], str]
) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    fact = spoil(shop.manifest)
    refused(shop, lambda: shop.daily(MONDAY), 2, fact)
    refused(shop, lambda: shop.generate(report), 2, fact)
    refused(shop, lambda: shop.execute(shop.plan(MONDAY)), 2, fact)


def test_parameters_changed_after_registration_are_refused(shop: Shop) -> None:
    shop.write_params({"max_positions": 4})
    refused(shop, lambda: shop.daily(MONDAY), 2, "max_positions is 4, manifest says 3")


def test_parameters_and_manifest_changed_together_still_differ_from_the_registration(
    shop: Shop,
) -> None:
    shop.write_params({"max_positions": 4})
    values = json.loads(shop.manifest.read_text())
    values["config"]["max_positions"] = 4
    shop.manifest.write_text(json.dumps(values))
    refused(shop, lambda: shop.daily(MONDAY), 2, "max_positions is 3, manifest says 4")


def test_a_profile_is_not_traded_at_another_venue_than_it_was_registered_with(shop: Shop) -> None:
    shop.write_params(venue="alpaca-paper")
    refused(shop, lambda: shop.daily(MONDAY), 2, "registered as 'simulated'")


# ----------------------------------------------------------------------------------------- locks


def test_while_another_process_writes_every_command_waits_its_turn(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    assert shop.generate(report).code == 0
    with held_by_another_process(shop.home / "writer.lock"):
        refused(shop, lambda: shop.daily(MONDAY), 6, "writer.lock")
        refused(shop, lambda: shop.generate(report), 6, "writer.lock")
        refused(shop, lambda: shop.execute(shop.plan(MONDAY)), 6, "writer.lock")
    assert shop.execute(shop.plan(MONDAY)).code == 0


def test_while_another_process_has_the_venue_every_command_waits_its_turn(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    with held_by_another_process(shop.home / "venue.db.lock"):
        refused(shop, lambda: shop.daily(MONDAY), 6, "venue.db")
        refused(shop, lambda: shop.generate(report), 6, "venue.db")
        demo = ("demo", "--params", shop.params, "--no-notebooks")
        refused(shop, lambda: shop.livekit(*demo), 6, "venue.db")


def test_a_database_that_another_connection_has_locked_is_not_waited_for_in_vain(
    shop: Shop,
) -> None:
    """SQLite is asked for five seconds; then the run gives up, and a later one does it all."""
    shop.report(MONDAY, ("ABC", 80.0, 50.0))
    before = picture(shop.folder)
    with held_exclusively(shop.state_db):
        ended = shop.daily(MONDAY)
    assert ended.code == 6
    assert "state.db" in ended.refusal
    after = picture(shop.folder)
    changed = [name for name in after if after[name] != before.get(name)]
    assert changed == ["outputs/shop/venue.db"]  # time passed there until the signals were due
    assert shop.daily(MONDAY).code == 0


def test_a_venue_file_that_another_connection_has_locked_is_not_written(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    before = picture(shop.folder)
    with held_exclusively(shop.venue_db):
        ended = shop.generate(report)
    assert ended.code == 6
    assert "venue.db" in ended.refusal
    assert picture(shop.folder) == before


# ---------------------------------------------------------------------------------- outputs folder


def test_a_file_in_place_of_the_outputs_folder_is_refused(new_shop: Shop) -> None:
    new_shop.outputs.write_text("a file")
    refused(new_shop, new_shop.init, 2, str(new_shop.outputs))
    demo = ("demo", "--params", new_shop.params, "--no-notebooks")
    refused(new_shop, lambda: new_shop.livekit(*demo), 2, str(new_shop.outputs))
    refused(new_shop, lambda: new_shop.daily(MONDAY), 2, "does not exist")


def test_a_file_in_place_of_the_profiles_folder_is_refused(new_shop: Shop) -> None:
    new_shop.outputs.mkdir()
    new_shop.home.write_text("a file")
    refused(new_shop, new_shop.init, 2, str(new_shop.home))
    demo = ("demo", "--params", new_shop.params, "--no-notebooks")
    refused(new_shop, lambda: new_shop.livekit(*demo), 2, str(new_shop.home))


def test_a_file_in_place_of_the_plans_folder_is_refused(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    blocked = shop.folder / "plans"
    blocked.write_text("a file")
    refused(shop, lambda: shop.generate(report, output_dir=blocked), 2, str(blocked))
    refused(shop, lambda: shop.generate(report, output_dir=blocked / "sub"), 2, str(blocked))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_outputs_folder_is_refused(new_shop: Shop) -> None:
    new_shop.outputs.mkdir(mode=0o500)
    try:
        refused(new_shop, new_shop.init, 2, str(new_shop.outputs))
    finally:
        new_shop.outputs.chmod(0o700)


def test_a_folder_that_is_no_demos_is_never_cleared(new_shop: Shop) -> None:
    new_shop.home.mkdir(parents=True)
    (new_shop.home / "letters.txt").write_text("dear")
    demo = ("demo", "--params", new_shop.params, "--no-notebooks")
    refused(new_shop, lambda: new_shop.livekit(*demo), 2, "move it away")


# ----------------------------------------------------------------------------------------- plans


def test_a_plan_that_is_absent_edited_or_the_shadows_is_refused(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ABC", 80.0, 50.0))
    assert shop.generate(report).code == 0
    absent, edited = shop.folder / "absent.json", shop.folder / "edited.json"
    edited.write_text(shop.plan(MONDAY).read_text().replace('"quantity": 200', '"quantity": 999'))
    refused(shop, lambda: shop.execute(absent), 2, "absent.json")
    refused(shop, lambda: shop.execute(edited), 2, "does not match its hash")
    ended = shop.execute(shop.plan(MONDAY, "nwl_p4"))
    assert ended.code == 2
    assert "strategy nwl_p4 is not executed" in ended.refusal
    shutil.rmtree(shop.signals)
    assert shop.audit().out.startswith("fills 0, positions 0")
