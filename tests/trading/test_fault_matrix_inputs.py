"""The fault matrix, rows 59 to 64: prices, reports and plans that are not what they should be."""

import resource
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.errors import BadInput, PlanRefused
from livekit.reports import parse_candidates_json
from livekit.trading.executor import accept_plan
from livekit.trading.phases import run_executor
from livekit.trading.plans import export_plan, plan_from_body, read_plan_file
from livekit.trading.signal_generator import generate_signals
from livekit.workbench.daily import perform_recorded
from tests.slowness import slowness
from tests.trading.faults import (
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    edited,
    holding,
    inject,
    planned,
)
from tests.trading.world import World, world

ABC = ("ABC", 80.0, 50.0)
NEXT_MONDAY, NEXT_TUESDAY = date(2020, 1, 13), date(2020, 1, 14)
Rows = list[dict[str, Any]]


def held_for_a_week(w: World) -> None:
    """ABC is held since Monday the 6th; on the 13th the week that ended on Friday is due."""
    holding(w)
    w.go_to(NEXT_MONDAY, "signals")


def made_up_on_tuesday(w: World) -> None:
    """The next run with right bars evaluates Friday's week on its own close of 50, once."""
    assert w.phase(NEXT_TUESDAY, "signals").exit_code == 0
    (found,) = w.db.get_evaluations("ema_p10")
    assert (found.week_end, found.close, found.broken) == (FRIDAY, 50.0, False)


def test_row_59_a_week_without_prices_is_put_off_flagged_and_made_up(tmp_path: Path) -> None:
    """The prices are out on Monday: Friday's week is not evaluated then, nor held to."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        held_for_a_week(w)
        inject(w, FaultRule(FaultKind.SERVER_ERROR, path="/v2/stocks/bars", times=0))
        failed = w.phase(NEXT_MONDAY, "signals")
        assert failed.exit_code == 1
        assert "daily bars failed" in failed.lines[0]
        assert w.db.get_evaluations("ema_p10") == []
        inject(w)
        made_up_on_tuesday(w)


def last_with(**facts: Any) -> Callable[[Rows], Rows]:
    return lambda rows: [*rows[:-1], rows[-1] | facts]


UNUSABLE: dict[str, Callable[[Rows], Rows]] = {
    "empty": lambda rows: [],
    "stale": lambda rows: rows[:-5],
    "partial week": lambda rows: rows[:-1],
    "negative": last_with(c=-50.0),
    "nought": last_with(c=0),
    "huge": last_with(c=1e300),
    "two bars of one session": lambda rows: [*rows, rows[-1] | {"c": 10.0, "l": 10.0}],
}
UNREADABLE: dict[str, Callable[[Rows], Rows]] = {
    "NaN": last_with(c=float("nan")),
    "infinite": last_with(c=float("inf")),
    "text": last_with(c="fifty"),
    "nothing": last_with(c=None),
}
HARMLESS: dict[str, Callable[[Rows], Rows]] = {
    "unsorted": lambda rows: rows[::-1],
    "the same bar twice": lambda rows: [*rows, rows[-1]],
}


def spoilt_bars(spoil: Callable[[Rows], Rows]) -> Callable[[Any], Any]:
    def edit(answer: Any) -> Any:
        return answer | {"bars": {name: spoil(rows) for name, rows in answer["bars"].items()}}

    return edit


RARELY = ("nought", "negative", "empty", "infinite", "text", "nothing")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoil, id=name, marks=pytest.mark.slow if name in RARELY else ())
        for name, spoil in (UNUSABLE | UNREADABLE).items()
    ],
)
def test_row_59_bars_that_cannot_be_true_put_the_evaluation_off_and_say_so(
    tmp_path: Path, spoil: Callable[[Rows], Rows]
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        held_for_a_week(w)
        desk = edited(w, "/v2/stocks/bars", spoilt_bars(spoil))
        outcome = perform_recorded(desk, "signals", NEXT_MONDAY)
        assert outcome.exit_code == (5 if spoil in UNUSABLE.values() else 1)
        told = outcome.lines[-1]
        assert "deferred, ABC: week ending 2020-01-10 is due" in told or "daily bars failed" in told
        assert w.db.get_evaluations("ema_p10") == []
        assert w.db.get_open_positions()[0].pending_reason is None
        made_up_on_tuesday(w)


@pytest.mark.parametrize("spoil", HARMLESS.values(), ids=HARMLESS)
def test_row_59_bars_out_of_order_or_told_twice_are_the_same_bars(
    tmp_path: Path, spoil: Callable[[Rows], Rows]
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        held_for_a_week(w)
        desk = edited(w, "/v2/stocks/bars", spoilt_bars(spoil))
        assert perform_recorded(desk, "signals", NEXT_MONDAY).exit_code == 0
        made_up_on_tuesday(w)


# -------------------------------------------------------------------------- files from outside

DIVS = 1_000_000
SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda page: page[: len(page) // 2],
    "no price": lambda page: page.replace(b"$40.00", b"soon"),
    "NUL": lambda page: page.replace(b"DEF", b"D\x00F"),
    "another charset": lambda page: b"\xff\xfe" + page,
    "empty": lambda page: b"",
    "bomb": lambda page: page.replace(b"</body>", b"<div>" * DIVS + b"</body>"),
    "500 MB": lambda page: page,
    "another date": lambda page: page.replace(b"January 7", b"January 3"),
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if kind in ("empty", "no price", "NUL") else ())
        for kind in SPOILT
    ],
)
def test_row_60_a_spoilt_report_blocks_entries_and_lets_exits_run(
    tmp_path: Path, kind: str
) -> None:
    """ABC is to leave on the day whose report cannot be trusted; refused in 2 s and 256 MB."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        position = holding(w)
        w.db.update_position(
            int(position.position_id or 0), pending_reason="trend_break", pending_since=MONDAY
        )
        path = w.report(TUESDAY, ("DEF", 90.0, 40.0))
        path.write_bytes(SPOILT[kind](path.read_bytes()))
        if kind == "500 MB":
            with path.open("r+b") as page:
                page.truncate(500 * 2**20)
        w.go_to(TUESDAY, "signals")
        memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        signals = w.phase(TUESDAY, "signals")
        spent_s = time.process_time() - started
        assert spent_s < (2.0 + 2.0) * slowness()  # a whole phase beside the reading
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 256 * 1024
        assert signals.exit_code == 5
        assert any(line.startswith("withheld: ") for line in signals.lines)
        alarms = [item.kind for item in w.db.get_alerts() if item.severity == "critical"]
        assert alarms == ["suspect_report"]
        assert w.db.get_candidates(TUESDAY) is None
        assert w.trade(TUESDAY).exit_code == 5  # asked again before the execution, as spoilt
        alarms = [item.kind for item in w.db.get_alerts() if item.severity == "critical"]
        assert alarms == ["suspect_report"]
        assert w.bought("DEF") == []
        assert w.held("ABC") == 0  # its exit ran


def test_row_60_a_report_dated_otherwise_than_its_name_is_refused_and_kept_from_the_books(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        path = w.report(MONDAY, ABC)
        path.rename(path.with_name(path.name.replace("2020-01-06", "2020-01-09")))
        outcome = w.phase(THURSDAY, "signals")
        assert outcome.exit_code == 5
        assert any("is named 2020-01-09 and dated 2020-01-06" in line for line in outcome.lines)
        assert w.phase_plan(THURSDAY).orders == ()


def test_row_60_a_report_that_a_person_names_is_refused_where_it_cannot_be_read(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        path = w.report(MONDAY, ABC)
        path.write_bytes(path.read_bytes()[:2000])
        w.go_to(MONDAY, "signals")
        with pytest.raises(BadInput, match="cut off"):
            generate_signals(w.desk, MONDAY, reports=[path])
        assert w.db.get_plan("ema_p10", MONDAY) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"report_date": NaN}',
        '{"report_date": 1e999}',
        '{"report_date": 1e308}',
        '{"report_date": true, "candidates": []}',
        "[" * 3000 + "]" * 3000,
        '{"report_date": "\\ud800"}',
        "\x00",
    ],
    ids=["duplicate", "NaN", "infinite", "huge", "bool", "deep", "surrogate", "NUL"],
)
def test_row_61_json_that_means_two_things_or_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "earnings_trade_candidates_2020-01-06.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput):
        parse_candidates_json(path)
    with pytest.raises(PlanRefused):
        read_plan_file(path)


def exported(w: World) -> Path:
    (path,) = w.profile.signals_dir.glob("*_ema_p10.json")
    return path


def test_row_62_yesterdays_plan_and_an_edited_one_are_refused(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        plan = read_plan_file(exported(w))
        w.go_to(TUESDAY, "execution")
        with pytest.raises(PlanRefused, match="it is for 2020-01-06"):
            accept_plan(w.desk, plan)
        exported(w).write_text(exported(w).read_text().replace('"ABC"', '"DEF"'))
        with pytest.raises(PlanRefused, match="hash"):
            read_plan_file(exported(w))
        w.report(TUESDAY)
        w.phase(TUESDAY, "signals")
        refused = run_executor(w.desk, plan)
        assert (refused.exit_code, w.wire.posts()) == (2, [])


def test_row_63_the_same_signals_under_another_date_are_refused(tmp_path: Path) -> None:
    """Even with the hash made anew: no such plan is stored. Nor are held shares bought twice."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        w.trade(MONDAY)
        w.go_to(TUESDAY, "execution")
        body = w.phase_plan(MONDAY).body.replace("2020-01-06", "2020-01-07")
        path = export_plan(plan_from_body(body), tmp_path, generated_at=w.desk.clock.now())
        with pytest.raises(PlanRefused, match="no plan of this hash"):
            accept_plan(w.desk, read_plan_file(path))
        w.report(TUESDAY, ABC)
        w.trade(TUESDAY)
        assert len(w.bought("ABC")) == 1
        assert [skip.reason for skip in w.phase_plan(TUESDAY).skips] == ["duplicate_ticker"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"quantity":200', '"quantity":1000000'),
        ('"reference_price":"50', '"reference_price":"5000'),
    ],
    ids=["a million shares", "a hundred times the price"],
)
def test_row_64_a_plan_beyond_its_bounds_is_refused_though_it_is_stored(
    tmp_path: Path, old: str, new: str
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ABC)
        body = w.phase_plan(MONDAY).body
        assert old in body
        forged = plan_from_body(body.replace(old, new))
        stored = w.db.save_plan(forged, at=w.desk.clock.now())
        with pytest.raises(PlanRefused, match="USD, at most 11000"):
            accept_plan(w.desk, plan_from_body(stored.body))
        w.approve_all(MONDAY)
        outcome = w.phase(MONDAY, "execution")
        assert outcome.exit_code == 2
        assert w.wire.posts() == []
        assert w.db.get_orders() == []
