import math
import sqlite3
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, create_engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from state_examples import candidate

from livekit.errors import BadInput
from livekit.state import StateDB, candidate_from_json, candidate_to_json
from livekit.state.schema import (
    Flag,
    Instant,
    Money,
    Session,
    Whole,
    append_only,
    canonical_decimal,
)
from livekit.state.tables import metadata

decimals = st.decimals(allow_nan=False, allow_infinity=False, places=None)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
instants = st.datetimes(datetime(1990, 1, 2), datetime(2090, 1, 1), timezones=offsets)  # noqa: DTZ001
SQLITE, POSTGRESQL = sqlite.dialect(), postgresql.dialect()

# ----------------------------------------------------------------------------------------- types


@settings(deadline=None)
@given(decimals)
def test_money_survives_the_database_to_the_last_digit(value: Decimal) -> None:
    stored = Money().process_bind_param(value, SQLITE)
    assert Money().process_result_value(stored, SQLITE) == value
    assert "E" not in stored
    assert stored == canonical_decimal(Decimal(stored))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("10", "10"),
        ("10.00", "10"),
        ("1E+1", "10"),
        ("-0.00", "0"),
        ("0.0001", "0.0001"),
        ("1E-9", "0.000000001"),
        ("9804.00", "9804"),
        ("12345678901234567890123456789.12", "12345678901234567890123456789.12"),
    ],
)
def test_equal_money_has_one_text(value: str, text: str) -> None:
    assert canonical_decimal(Decimal(value)) == text


@settings(deadline=None)
@given(instants)
def test_an_instant_survives_to_the_microsecond(value: datetime) -> None:
    stored = Instant().process_bind_param(value, SQLITE)
    assert Instant().process_result_value(stored, SQLITE) == value
    assert len(stored) == len("2020-01-30T14:30:00.000000+00:00")
    assert stored.endswith("+00:00")


@settings(deadline=None)
@given(instants, instants)
def test_instants_sort_as_text(first: datetime, second: datetime) -> None:
    texts = [Instant().process_bind_param(value, SQLITE) for value in (first, second)]
    assert (texts[0] < texts[1]) == (first < second)


@settings(deadline=None)
@given(st.dates())
def test_a_session_survives(value: date) -> None:
    stored = Session().process_bind_param(value, SQLITE)
    assert Session().process_result_value(stored, SQLITE) == value


@settings(deadline=None, max_examples=50)
@given(st.floats(allow_nan=False), st.booleans(), decimals, instants)
def test_all_types_survive_a_real_table(
    number: float, truth: bool, amount: Decimal, moment: datetime
) -> None:
    table = Table("t", MetaData(), Column("m", Money), Column("i", Instant), Column("f", Flag))
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table), {"m": amount, "i": moment, "f": truth})
        row = connection.execute(select(table)).one()
    engine.dispose()
    assert (row.m, row.i, row.f) == (amount, moment, truth)
    raw = sqlite3.connect(":memory:")
    raw.execute("CREATE TABLE t (x REAL) STRICT")
    raw.execute("INSERT INTO t VALUES (?)", (number,))
    assert raw.execute("SELECT x FROM t").fetchone() == (number,)
    raw.close()


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Money(), 1.5),
        (Money(), 10),
        (Money(), "10"),
        (Money(), Decimal("NaN")),
        (Money(), Decimal("Infinity")),
        (Session(), datetime(2020, 1, 30, tzinfo=UTC)),
        (Session(), "2020-01-30"),
        (Instant(), datetime(2020, 1, 30)),  # noqa: DTZ001 - naive on purpose
        (Instant(), date(2020, 1, 30)),
        (Flag(), 1),
        (Flag(), "yes"),
    ],
)
def test_a_value_of_another_type_is_refused(kind, wrong: object) -> None:
    with pytest.raises(ValueError, match="is not"):
        kind.process_bind_param(wrong, SQLITE)


def test_a_count_may_come_from_numpy_but_not_from_a_float() -> None:
    assert Whole().process_bind_param(np.int64(40), SQLITE) == 40
    for wrong in (40.0, Decimal(40), "40"):
        with pytest.raises(TypeError):
            Whole().process_bind_param(wrong, SQLITE)


def test_nothing_stays_nothing() -> None:
    for kind in (Money(), Session(), Instant(), Flag()):
        assert kind.process_bind_param(None, SQLITE) is None
        assert kind.process_result_value(None, SQLITE) is None
    assert Whole().process_bind_param(None, SQLITE) is None


def test_postgresql_gets_its_native_types() -> None:
    ddl = "\n".join(
        str(CreateTable(table).compile(dialect=POSTGRESQL)) for table in metadata.sorted_tables
    )
    for column in (
        "entry_price NUMERIC",
        "entry_date DATE",
        "created_at TIMESTAMP WITH TIME ZONE",
        "broken BOOLEAN",
        "return_pct DOUBLE PRECISION",
        "order_id SERIAL",
    ):
        assert column in ddl
    assert "STRICT" not in ddl
    assert "IN (0, 1)" not in ddl
    for kind, value in ((Money(), Decimal("1.50")), (Flag(), True), (Session(), date(2020, 1, 3))):
        assert kind.process_bind_param(value, POSTGRESQL) is value
        assert kind.process_result_value(value, POSTGRESQL) is value


def test_postgresql_gets_partial_indexes_and_triggers_too() -> None:
    indexes = {
        str(CreateIndex(index).compile(dialect=POSTGRESQL))
        for table in metadata.sorted_tables
        for index in table.indexes
    }
    assert (
        "CREATE UNIQUE INDEX uq_positions_one_open ON positions (ticker) WHERE status = 'open'"
        in indexes
    )
    function, on_delete, on_change = append_only("fills", "quantity, price", "postgresql")
    assert "LANGUAGE plpgsql" in function
    assert "BEFORE DELETE ON fills" in on_delete
    assert "BEFORE UPDATE OF quantity, price ON fills" in on_change


# ---------------------------------------------------------------------------------------- tables


def schema_of(raw: sqlite3.Connection) -> dict[str, str]:
    rows = raw.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_the_migrations_make_exactly_the_tables_of_the_metadata(template: Path) -> None:
    migrated = sqlite3.connect(template)
    with StateDB(":memory:") as db:
        described = schema_of(db._connection.connection.dbapi_connection)
    assert schema_of(migrated) == described
    assert set(metadata.tables) < set(described)
    migrated.close()


def test_the_migrations_write_the_same_postgresql_as_the_metadata() -> None:
    """Both as text: what the first revision emits, and what the tables compile to."""
    import io

    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    from livekit.state.migrations.versions import livekit_0001

    written = io.StringIO()
    options = {"as_sql": True, "output_buffer": written, "target_metadata": metadata}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context):
        livekit_0001.upgrade()
    migrated = {" ".join(part.split()) for part in written.getvalue().split(";\n")} - {""}
    described = {
        " ".join(str(statement.compile(dialect=POSTGRESQL)).split())
        for table in metadata.sorted_tables
        for statement in (CreateTable(table), *(CreateIndex(i) for i in table.indexes))
    }
    triggers = {part for part in migrated if "_refuse()" in part or part == "END $$"}
    assert migrated - triggers == described
    assert len([part for part in triggers if part.startswith("CREATE TRIGGER")]) == 8


def test_every_table_is_strict_and_every_original_column_stands(template: Path) -> None:
    original = {
        "positions": "position_id ticker entry_date entry_price target_shares actual_shares"
        " invested stop_price stop_order_id score grade grade_source report_date company_name"
        " gap_size status exit_date exit_price exit_reason pnl return_pct",
        "orders": "client_order_id intent trade_date filled_qty remaining_qty",
        "shadow_positions": "strategy position_id ticker entry_date entry_price target_shares"
        " actual_shares invested stop_price score grade grade_source report_date company_name"
        " gap_size status exit_date exit_price exit_reason pnl return_pct",
        "run_log": "run_id",
        "shadow_signals": "strategy",
        "system_config": "key value",
    }
    raw = sqlite3.connect(template)
    strict = dict(raw.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table'"))
    ours = {name for name in strict if name in metadata.tables}
    assert all(strict[name] for name in ours)
    assert ours == set(metadata.tables)
    for table, names in original.items():
        found = {row[1] for row in raw.execute(f"PRAGMA table_xinfo({table})")}
        assert set(names.split()) <= found
    default = raw.execute(
        "SELECT dflt_value FROM pragma_table_info('shadow_positions') WHERE name = 'strategy'"
    ).fetchone()
    assert default == ("'nwl_p4'",)
    raw.close()


# ------------------------------------------------------------------------------------ candidates

candidates = st.builds(
    candidate,
    ticker=st.sampled_from(["NVDA", "BRK.B"]),
    score=st.none() | st.floats(0, 100),
    gap_size=st.none() | st.floats(-100, 1000),
    price=st.none() | decimals,
    company_name=st.none() | st.text(),
    report_date=st.dates(),
)


@settings(deadline=None)
@given(candidates)
def test_a_candidate_survives_as_json(one) -> None:
    body = candidate_to_json(one)
    assert candidate_from_json(body) == one
    assert candidate_to_json(candidate_from_json(body)) == body


def test_the_json_of_a_candidate_is_canonical() -> None:
    assert candidate_to_json(candidate()) == (
        '{"company_name":"NVIDIA Corporation","gap_size":6.25,"grade":"A","grade_source":"html",'
        '"price":"245.1","report_date":"2020-01-30","score":87.5,"ticker":"NVDA"}'
    )


@pytest.mark.parametrize("body", ["", "[]", "{}", "null", '{"price":"x","report_date":"y"}'])
def test_other_text_is_not_a_candidate(body: str) -> None:
    with pytest.raises(BadInput):
        candidate_from_json(body)


def test_a_score_that_is_no_number_has_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        candidate_to_json(candidate(score=math.nan))
