"""The two modules run by hand, one after the other, on one account."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.entry.entry_kit import MONDAY, TUESDAY, Shop, dump, picture


@pytest.fixture
def offered(shop: Shop) -> Path:
    """Monday's report: ABC (80 points) and DEF (70 points)."""
    return shop.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))


def test_signals_then_execution_by_hand_from_midnight_of_the_first_session(
    shop: Shop, offered: Path
) -> None:
    """The account's clock begins at midnight; each module waits there until it is due."""
    decided = shop.generate(offered, "-v")
    assert (decided.code, decided.err) == (0, "")
    assert "buy 200 ABC (entry)" in decided.out  # 10,000 / 50
    assert "buy 250 DEF (entry)" in decided.out  # 10,000 / 40
    assert venue_clock(shop) == "2020-01-06T13:50:00+00:00"  # 40 minutes before the open
    done = shop.execute(shop.plan(MONDAY), "-v")
    assert (done.code, done.err) == (0, "")
    assert "bought 200 of 200 ABC at 50" in done.out
    assert "ema_p10 2020-01-06: 0 exits and 2 entries with the broker, 0 held back" in done.out
    assert shop.audit().out.startswith("fills 2, positions 2, cash 30000.00 USD")


def venue_clock(shop: Shop) -> str:
    """The clock in the venue's file."""
    [line] = [line for line in dump(shop.venue_db).splitlines() if "VALUES('clock'" in line]
    return line.split("'")[3]


def test_without_v_each_module_prints_only_the_sum(shop: Shop, offered: Path) -> None:
    decided = shop.generate(offered)
    names = [line.split(":")[0] for line in decided.out.splitlines()]
    assert names == ["ema_p10 2020-01-06", "nwl_p4 2020-01-06", "written", "written"]
    done = shop.execute(shop.plan(MONDAY))
    assert len(done.out.splitlines()) == 1


def test_a_report_of_a_later_session_is_awaited(shop: Shop) -> None:
    report = shop.report(TUESDAY, ("ABC", 80.0, 50.0))
    assert shop.generate(report).code == 0
    assert venue_clock(shop) == "2020-01-07T13:50:00+00:00"


def test_a_dry_run_of_the_signals_changes_nothing_at_all(shop: Shop, offered: Path) -> None:
    before = picture(shop.folder)
    books = dump(shop.state_db), dump(shop.venue_db)
    shown = shop.generate(offered, "--dry-run", "-v")
    assert (shown.code, shown.err) == (0, "")
    assert "buy 200 ABC (entry)" in shown.out
    assert "nothing was sent, stored or written" in shown.out
    assert (dump(shop.state_db), dump(shop.venue_db)) == books
    assert picture(shop.folder) == before
    assert not (shop.home / "writer.lock").exists()


def test_a_dry_run_shows_the_very_plan_that_the_real_run_makes(shop: Shop, offered: Path) -> None:
    shown = shop.generate(offered, "--dry-run").out.splitlines()[:2]
    assert shop.generate(offered).out.splitlines()[:2] == shown


def test_a_dry_execution_changes_nothing_at_all(shop: Shop, offered: Path) -> None:
    shop.generate(offered)
    before = picture(shop.folder)
    books = dump(shop.state_db), dump(shop.venue_db)
    shown = shop.execute(shop.plan(MONDAY), "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines() == [
        "dry run: nothing is sent",
        "buy 200 ABC (entry)",
        "buy 250 DEF (entry)",
    ]
    assert (dump(shop.state_db), dump(shop.venue_db)) == books
    assert picture(shop.folder) == before


def test_the_same_plan_executed_twice_buys_once(shop: Shop, offered: Path) -> None:
    shop.generate(offered)
    assert shop.execute(shop.plan(MONDAY)).code == 0
    sent = dump(shop.venue_db).count("20200106_ABC_entry_buy")
    assert shop.execute(shop.plan(MONDAY), "-v").code == 0
    assert dump(shop.venue_db).count("20200106_ABC_entry_buy") == sent
    assert shop.audit().out.startswith("fills 2, positions 2")


def test_the_daily_run_goes_on_where_the_two_modules_stopped(shop: Shop, offered: Path) -> None:
    shop.generate(offered)
    shop.execute(shop.plan(MONDAY))
    day = shop.daily(MONDAY)
    assert (day.code, day.err) == (0, "")
    assert "signals: already" in day.out
    assert "0 breaks" in day.out
    assert shop.audit().out.startswith("fills 2, positions 2")


def test_signals_made_again_before_the_execution_are_the_same_plan(
    shop: Shop, offered: Path
) -> None:
    first = shop.generate(offered).out
    assert shop.generate(offered).out == first
    assert shop.execute(shop.plan(MONDAY)).code == 0


def test_another_plan_cannot_replace_one_that_is_being_executed(shop: Shop, offered: Path) -> None:
    shop.generate(offered)
    shop.execute(shop.plan(MONDAY))
    ended = shop.generate(offered)
    assert ended.code == 2
    assert "frozen" in ended.refusal


# --------------------------------------------------------------------------------- force and time


def test_force_without_a_reason_is_refused(shop: Shop, offered: Path) -> None:
    ended = shop.generate(offered, "--force")
    assert ended.code == 2
    assert "--force wants --reason" in ended.refusal


def shares_bought_by_hand(shop: Shop) -> None:
    """Somebody buys seven DEF at the venue, which our books know nothing of."""
    from livekit.config import load_profile
    from livekit.trading.opening import open_link

    profile = load_profile(shop.params, outputs=shop.outputs)
    with open_link(profile) as link:
        link.client.place_order("DEF", 7, "buy", client_order_id="by-hand-1")


def test_a_trade_by_hand_stops_the_signals_and_cannot_be_forced(shop: Shop) -> None:
    """Cash and fills differ too, which no reason explains away."""
    shares_bought_by_hand(shop)
    day = shop.daily(MONDAY)
    assert day.code == 4
    assert "buy 7 as by-hand-1 is open, not ours" in day.refusal
    assert "position DEF: we hold 0, the broker shows 7" in day.out
    report = shop.report(TUESDAY, ("ABC", 80.0, 50.0))
    for options in ((), ("--force", "--reason", "it was me")):
        stopped = shop.generate(report, *options)
        assert stopped.code == 4
        assert "cash" in stopped.refusal
    assert not shop.plan(TUESDAY).exists()


def test_a_position_that_differs_can_be_passed_with_a_reason_and_is_left_alone(
    shop: Shop, offered: Path
) -> None:
    """Our book is made to say 190 ABC; the broker has 200, and cash and fills agree."""
    assert shop.daily(MONDAY).code == 0
    with closing(sqlite3.connect(shop.state_db)) as raw, raw:
        raw.execute("UPDATE positions SET actual_shares = 190 WHERE ticker = 'ABC'")
    report = shop.report(TUESDAY, ("ABC", 90.0, 50.0), ("AAPL", 80.0, 100.0))
    stopped = shop.generate(report)
    assert stopped.code == 4
    assert "position ABC: we hold 190, the broker shows 200" in stopped.refusal
    passed = shop.generate(report, "--force", "--reason", "broker merged two lots", "-v")
    assert passed.code == 0
    assert "buy 100 AAPL (entry)" in passed.out
    assert "skip ABC (foreign_holding)" in passed.out
    assert "broker merged two lots" in dump(shop.state_db)


def test_skip_time_check_lets_a_late_entry_go_at_the_simulated_venue(
    shop: Shop, offered: Path
) -> None:
    """At 10:30, an hour after the open, entries are past their cut-off."""
    shop.generate(offered)
    advance(shop, hours=1.67)  # 08:50 to 10:30
    late = shop.execute(shop.plan(MONDAY), "-v")
    assert late.code == 0
    assert late.out.count("entry_cutoff") == 2
    anyway = shop.execute(shop.plan(MONDAY), "-v", "--skip-time-check")
    assert anyway.code == 0
    assert "bought 200 of 200 ABC" in anyway.out


def advance(shop: Shop, *, hours: float) -> None:
    """Time passes at the venue."""
    from livekit.config import load_profile
    from livekit.trading.opening import open_link

    with open_link(load_profile(shop.params, outputs=shop.outputs)) as link:
        link.clock.sleep(hours * 3600)


# ------------------------------------------------------------------------------------- exit codes


def test_under_the_kill_switch_plans_are_made_but_blocked_and_nothing_is_sent(
    shop: Shop, offered: Path
) -> None:
    shop.set_kill_switch()
    decided = shop.generate(offered)
    assert decided.code == 3
    assert "kill switch is on" in decided.refusal
    assert json.loads(shop.plan(MONDAY).read_text())["status"] == "blocked"
    for options in ((), ("--dry-run",), ("--skip-time-check",)):
        done = shop.execute(shop.plan(MONDAY), *options)
        assert done.code == 3
        assert "kill switch is on: drill (trader)" in done.refusal
    assert shop.audit().out.startswith("fills 0")


def test_an_unknown_ticker_is_exit_5_and_the_plan_goes_all_the_same(shop: Shop) -> None:
    report = shop.report(MONDAY, ("ZZZQ", 90.0, 20.0), ("ABC", 80.0, 50.0))
    assert shop.generate(report).code == 5
    assert shop.execute(shop.plan(MONDAY)).code == 0
    assert shop.audit().out.startswith("fills 1, positions 1")


def test_the_plans_go_where_output_dir_says(shop: Shop, offered: Path) -> None:
    elsewhere = shop.folder / "plans" / "of monday"
    assert shop.generate(offered, output_dir=elsewhere).code == 0
    plan = elsewhere / shop.plan(MONDAY).name
    assert shop.execute(plan).code == 0


def test_a_profile_may_be_moved_with_its_folder(shop: Shop) -> None:
    """The registration names no folder: where the database lies, there the profile is."""
    moved = replace(shop, folder=shop.folder / "moved")
    shutil.move(shop.outputs, moved.outputs)
    report = moved.report(MONDAY, ("ABC", 80.0, 50.0))
    assert moved.generate(report).code == 0
    assert moved.execute(moved.plan(MONDAY)).code == 0
    assert not shop.home.exists()


# ------------------------------------------------------------------------------------ the doctor


def test_the_executor_starts_and_ends_with_the_doctor(shop: Shop, offered: Path) -> None:
    shop.generate(offered)
    told = shop.execute(shop.plan(MONDAY), "-v").out.splitlines()
    assert told[0] == "at the start: 25 promises hold"
    assert told[-2] == "at the end: 25 promises hold"  # the sum follows


def test_a_promise_that_is_broken_at_the_end_decides_the_exit_code(
    shop: Shop, offered: Path
) -> None:
    """Somebody writes another ticker into the row of ABC's buy, which its id does not name."""
    shop.generate(offered)
    assert shop.execute(shop.plan(MONDAY)).code == 0
    with closing(sqlite3.connect(shop.state_db)) as raw, raw:
        raw.execute("UPDATE orders SET ticker = 'ZZZ' WHERE client_order_id LIKE '%ABC_entry_buy'")
    ended = shop.execute(shop.plan(MONDAY))
    assert ended.code == 4
    assert "broken at the start: I04" in ended.err
    assert "broken at the end: I04" in ended.err
