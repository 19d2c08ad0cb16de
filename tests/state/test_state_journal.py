from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from state_examples import AFTER_CLOSE, AT_OPEN, BEFORE_OPEN, FRIDAY, MONDAY, THURSDAY

from livekit.errors import RecordRefused
from livekit.model import Break
from livekit.state import Evaluation, Snapshot, StateDB

# ----------------------------------------------------------------------------------- evaluations

BROKEN = Evaluation(
    week_end=FRIDAY,
    evaluated_on=FRIDAY,
    close=236.43,
    indicator=240.0625,
    completed_weeks=2,
    transition_met=True,
    broken=True,
)


def test_a_week_is_evaluated_once_per_position(db: StateDB) -> None:
    assert db.add_evaluation("broker", "1", BROKEN) is True
    other = replace(BROKEN, close=250.0, broken=False)
    assert db.add_evaluation("broker", "1", other) is False
    assert db.get_evaluations("broker", "1") == [replace(BROKEN, book="broker", position_key="1")]


def test_evaluations_of_books_positions_and_weeks_are_kept_apart(db: StateDB) -> None:
    early = replace(BROKEN, week_end=THURSDAY, indicator=None, transition_met=False, broken=False)
    for book, position_key, evaluation in (
        ("broker", "1", BROKEN),
        ("broker", "1", early),
        ("broker", "2", BROKEN),
        ("nwl_p4", "1", BROKEN),
    ):
        assert db.add_evaluation(book, position_key, evaluation)
    first = db.get_evaluations("broker", "1")
    assert [(e.week_end, e.indicator, e.broken) for e in first] == [
        (THURSDAY, None, False),
        (FRIDAY, 240.0625, True),
    ]
    assert [e.position_key for e in db.get_evaluations("broker")] == ["1", "1", "2"]
    assert len(db.get_evaluations("nwl_p4")) == 1


# ---------------------------------------------------------------------------------------- equity


def test_equity_is_one_point_per_book_and_session_and_the_latest_stands(db: StateDB) -> None:
    def save(session, book: str, cash: str) -> None:
        db.save_equity(
            session,
            book,
            cash=Decimal(cash),
            equity=Decimal("200024.00"),
            realised=Decimal(0),
            unrealised=Decimal("24.00"),
            positions=1,
        )

    save(FRIDAY, "broker", "190196.00")
    save(THURSDAY, "broker", "1")
    save(THURSDAY, "broker", "200000.00")
    save(THURSDAY, "ema_p10", "5")
    points = db.get_equity("broker")
    assert [(p.session, p.cash) for p in points] == [
        (THURSDAY, Decimal(200000)),
        (FRIDAY, Decimal(190196)),
    ]
    assert (points[1].equity, points[1].unrealised, points[1].positions) == (
        Decimal(200024),
        Decimal(24),
        1,
    )
    assert (points[1].book, points[1].realised) == ("broker", Decimal(0))


def test_a_float_becomes_the_decimal_that_reads_back_as_it(db: StateDB) -> None:
    values = {"cash": None, "equity": None, "realised": 0.1, "unrealised": -0.2}
    db.save_equity(THURSDAY, "nwl_p4", positions=0, **values)
    [point] = db.get_equity("nwl_p4")
    assert (point.cash, point.realised, point.unrealised) == (
        None,
        Decimal("0.1"),
        Decimal("-0.2"),
    )


# --------------------------------------------------------------------------------- break ledger


def test_an_open_break_is_noted_once_per_kind_and_ticker(db: StateDB) -> None:
    wrong = Break("quantity", "NVDA", "ours 40, theirs 80", "2:1 split", detail={"ratio": "2"})
    first = db.add_break(wrong, session=THURSDAY, at=BEFORE_OPEN)
    assert db.add_break(replace(wrong, facts="again"), session=FRIDAY, at=AT_OPEN) == first
    cash = db.add_break(Break("cash", None, "off by 0.01"), session=THURSDAY, at=AT_OPEN)
    assert db.add_break(Break("cash", None, "off by 0.02"), session=THURSDAY, at=AT_OPEN) == cash
    found = db.open_breaks()
    assert found == [
        replace(wrong, break_id=first),
        Break("cash", None, "off by 0.01", break_id=cash),
    ]


def test_a_settled_break_is_gone_and_may_come_back(db: StateDB) -> None:
    wrong = Break("missing", "NVDA", "not at the broker")
    first = db.add_break(wrong, session=THURSDAY, at=BEFORE_OPEN)
    db.resolve_break(first, "sold by hand", AT_OPEN)
    assert db.open_breaks() == []
    with pytest.raises(RecordRefused):
        db.resolve_break(first, "again", AT_OPEN)
    assert db.add_break(wrong, session=FRIDAY, at=AFTER_CLOSE) > first


def test_the_database_itself_keeps_open_breaks_apart(db: StateDB) -> None:
    db.add_break(Break("cash", None, "off"), session=THURSDAY, at=AT_OPEN)
    columns = "session, kind, ticker, facts, proposal, detail, status, opened_at"
    copy = f"INSERT INTO breaks ({columns}) SELECT {columns} FROM breaks"  # noqa: S608
    with pytest.raises(RecordRefused, match="UNIQUE"), db.transaction():
        db._connection.exec_driver_sql(copy)


# ---------------------------------------------------------------------------------------- alerts


def test_an_alert_waits_until_it_is_delivered(db: StateDB) -> None:
    first = db.add_alert("uncovered", "NVDA 40 shares", at=AT_OPEN, severity="critical")
    second = db.add_alert("late_report", "no report", at=AT_OPEN)
    assert [(a.alert_id, a.kind, a.severity, a.text) for a in db.pending_alerts()] == [
        (first, "uncovered", "critical", "NVDA 40 shares"),
        (second, "late_report", "warning", "no report"),
    ]
    db.mark_alert_delivered(first, AFTER_CLOSE)
    assert [a.alert_id for a in db.pending_alerts()] == [second]
    assert [a.delivered_at for a in db.get_alerts()] == [AFTER_CLOSE, None]
    with pytest.raises(RecordRefused):
        db.mark_alert_delivered(first, AFTER_CLOSE)


def test_an_alert_belongs_to_the_date_on_the_exchanges_clock(db: StateDB) -> None:
    """02:30 UTC on Friday is 21:30 on Thursday in New York."""
    db.add_alert("late", "evening", at=datetime(2020, 1, 31, 2, 30, tzinfo=UTC))
    assert [a.text for a in db.get_alerts(THURSDAY)] == ["evening"]
    assert db.get_alerts(FRIDAY) == []


def test_an_alert_has_a_known_severity(db: StateDB) -> None:
    with pytest.raises(RecordRefused):
        db.add_alert("x", "y", at=AT_OPEN, severity="urgent")


# --------------------------------------------------------------------- snapshots, registrations


def test_a_snapshot_is_noted_once(db: StateDB) -> None:
    for _ in range(2):
        db.add_snapshot(THURSDAY, "report", "a" * 64, "snapshots/aa/report.html")
    db.add_snapshot(THURSDAY, "bars", "b" * 64, "snapshots/bb/bars.parquet")
    assert db.get_snapshots(THURSDAY) == [
        Snapshot(THURSDAY, "report", "a" * 64, "snapshots/aa/report.html"),
        Snapshot(THURSDAY, "bars", "b" * 64, "snapshots/bb/bars.parquet"),
    ]
    assert db.get_snapshots(MONDAY) == []


def test_the_latest_registration_stands(db: StateDB) -> None:
    assert db.registration() is None
    db.register('{"v":1}', "a" * 64, BEFORE_OPEN)
    newest = db.register('{"v":2}', "b" * 64, AT_OPEN)
    found = db.registration()
    assert found is not None
    assert (found.registration_id, found.body, found.sha256, found.at) == (
        newest,
        '{"v":2}',
        "b" * 64,
        AT_OPEN,
    )


# ------------------------------------------------------------------------------------------ runs


def start(db: StateDB, phase: str = "signals", session=THURSDAY) -> int:
    return db.start_run(
        session=session,
        phase=phase,
        at=BEFORE_OPEN,
        venue="simulated",
        git="0" * 40,
        config_sha256="c" * 64,
    )


def test_attempts_count_per_session_and_phase(db: StateDB) -> None:
    for phase, session in (
        ("signals", THURSDAY),
        ("signals", THURSDAY),
        ("execution", THURSDAY),
        ("signals", FRIDAY),
    ):
        start(db, phase, session)
    runs = [(r.session, r.phase, r.attempt) for r in db.get_runs()]
    assert runs == [
        (THURSDAY, "signals", 1),
        (THURSDAY, "signals", 2),
        (THURSDAY, "execution", 1),
        (FRIDAY, "signals", 1),
    ]
    assert [r.attempt for r in db.get_runs(THURSDAY, "signals")] == [1, 2]
    assert [r.phase for r in db.get_runs(phase="execution")] == ["execution"]


def test_a_run_that_never_ended_stays_running(db: StateDB) -> None:
    start(db)
    [run] = db.get_runs()
    assert (run.status, run.finished_at, run.exit_code) == ("running", None, None)
    assert (run.venue, run.git, run.config_sha256) == ("simulated", "0" * 40, "c" * 64)


def test_a_finished_run_keeps_its_hashes_when_it_is_finished_again(db: StateDB) -> None:
    run_id = start(db)
    db.finish_run(run_id, at=AT_OPEN, status="done", exit_code=0, record_json="{}")
    db.finish_run(
        run_id,
        at=AFTER_CLOSE,
        status="done",
        exit_code=5,
        message="withheld",
        notebook_sha256="a",
        html_sha256="b",
        archive_path="archive/2020/01/x",
    )
    [run] = db.get_runs()
    assert (run.finished_at, run.exit_code, run.message) == (AFTER_CLOSE, 5, "withheld")
    assert (run.record_json, run.notebook_sha256, run.html_sha256) == ("{}", "a", "b")
    assert run.archive_path == "archive/2020/01/x"


def test_only_a_started_run_can_finish(db: StateDB) -> None:
    with pytest.raises(RecordRefused):
        db.finish_run(1, at=AT_OPEN, status="done", exit_code=0)
