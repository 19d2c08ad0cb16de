"""The tables: ours is the original design's schema and what the books need beside it.

Constraints belong to the schema and are never best-effort: one open position per ticker, one order
per client order id, one evaluation per position and week, no change of a fill or an approval.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Connection,
    ForeignKey,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from livekit.state.schema import (
    append_only,
    flag,
    flag_check,
    instant,
    key,
    money,
    number,
    session,
    whole,
    words,
)

__all__ = ["APPROVAL_FACTS", "FILL_FACTS", "LINK_FACTS", "REVISION", "VERDICT_FACTS", "metadata"]

REVISION = "livekit_0001"  # the migration that produces exactly these tables

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)


def _table(name: str, *parts: Any, autoincrement: bool = True) -> Table:
    return Table(name, metadata, *parts, sqlite_strict=True, sqlite_autoincrement=autoincrement)


def _check(name: str, condition: str) -> CheckConstraint:
    return CheckConstraint(condition, name=name)


def _unique_while(condition: str, name: str, *columns: Any) -> None:
    where = text(condition)
    Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


def _candidate_columns() -> tuple[Column[Any], ...]:
    return (
        number("score", null=True),
        words("grade"),
        words("grade_source"),
        session("report_date"),
        words("company_name", null=True),
        number("gap_size", null=True),
        money("price", null=True),
    )


# ------------------------------------------------------------------------------------- the books

positions = _table(
    "positions",
    key("position_id"),
    words("ticker"),
    session("entry_date"),
    money("entry_price"),
    whole("target_shares"),
    whole("actual_shares"),
    money("invested"),
    money("stop_price"),
    words("stop_order_id", null=True),
    *_candidate_columns(),
    words("asset_id", null=True),
    words("status"),
    number("split_factor"),
    words("pending_reason", null=True),
    session("pending_since", null=True),
    whole("sold_shares"),
    whole("odd_shares_sold"),
    session("exit_date", null=True),
    money("exit_price", null=True),
    words("exit_reason", null=True),
    money("pnl", null=True),
    number("return_pct", null=True),
    _check("ticker", "ticker <> ''"),
    _check("status", "status IN ('open', 'closed')"),
    _check("entry_price", "CAST(entry_price AS REAL) > 0"),
    _check("target_shares", "target_shares > 0"),
    _check("actual_shares", "actual_shares >= 0"),
    _check("sold_shares", "sold_shares BETWEEN 0 AND actual_shares"),
    _check("odd_shares_sold", "odd_shares_sold >= 0"),
    _check("split_factor", "split_factor > 0"),
    _check("pending", "(pending_reason IS NULL) = (pending_since IS NULL)"),
    _check("closed", "(status = 'closed') = (exit_date IS NOT NULL)"),
)
_unique_while("status = 'open'", "uq_positions_one_open", positions.c.ticker)

plans = _table(
    "plans",
    key("plan_id"),
    words("strategy"),
    session(),
    words("status"),
    words("sha256"),
    words("body"),
    instant("expires_at"),
    instant("created_at"),
    _check("status", "status IN ('open', 'frozen', 'done', 'superseded', 'blocked', 'expired')"),
)
Index("ix_plans_sha256", plans.c.sha256)
_unique_while("status <> 'superseded'", "uq_plans_one_current", plans.c.strategy, plans.c.session)

orders = _table(
    "orders",
    key("order_id"),
    words("client_order_id"),
    words("intent"),
    words("side"),
    words("ticker"),
    session("trade_date"),
    whole("quantity"),
    words("order_type"),
    words("time_in_force"),
    words("status"),
    words("outcome"),
    money("stop_price", null=True),
    money("reference_price", null=True),
    whole("filled_qty"),
    whole("remaining_qty", Computed("quantity - filled_qty", persisted=True)),
    money("filled_avg_price", null=True),
    words("alpaca_order_id", null=True),
    words("parent_client_order_id", ForeignKey("orders.client_order_id"), null=True),
    whole("position_id", ForeignKey("positions.position_id"), null=True),
    whole("plan_id", ForeignKey("plans.plan_id"), null=True),
    whole("attempt"),
    words("fingerprint"),
    words("reason"),
    words("candidate_json", null=True),
    whole("fencing_token", null=True),
    instant("created_at"),
    instant("sent_at", null=True),
    instant("updated_at"),
    UniqueConstraint("client_order_id"),
    UniqueConstraint("alpaca_order_id"),
    _check("client_order_id", "client_order_id <> ''"),
    _check("intent", "intent IN ('entry', 'exit', 'stop')"),
    _check("side", "side IN ('buy', 'sell')"),
    _check("quantity", "quantity > 0"),
    _check("filled_qty", "filled_qty BETWEEN 0 AND quantity"),
    _check("status", "status <> ''"),
    _check("outcome", "outcome IN ('intended', 'confirmed', 'refused', 'denied', 'unknown')"),
    _check("attempt", "attempt >= 1"),
)
Index("ix_orders_trade_date", orders.c.trade_date)
Index("ix_orders_position_id", orders.c.position_id)

fills = _table(
    "fills",
    key("fill_id"),
    words("activity_id"),
    words("client_order_id", ForeignKey("orders.client_order_id")),
    words("ticker"),
    words("side"),
    whole("quantity"),
    money("price"),
    instant("filled_at"),
    whole("position_id", ForeignKey("positions.position_id"), null=True),
    UniqueConstraint("activity_id"),
    _check("side", "side IN ('buy', 'sell')"),
    _check("quantity", "quantity > 0"),
    _check("price", "CAST(price AS REAL) > 0"),
)
Index("ix_fills_client_order_id", fills.c.client_order_id)
Index("ix_fills_position_id", fills.c.position_id)
FILL_FACTS = "activity_id, client_order_id, ticker, side, quantity, price, filled_at"

breaks = _table(
    "breaks",
    key("break_id"),
    session(),
    words("kind"),
    words("ticker", null=True),
    Column("subject", Text, nullable=False, server_default=text("''")),
    words("facts"),
    words("proposal"),
    words("detail"),
    words("status"),
    words("resolution", null=True),
    instant("opened_at"),
    instant("resolved_at", null=True),
    _check("status", "status IN ('open', 'resolved')"),
    _check("resolved", "(status = 'resolved') = (resolution IS NOT NULL)"),
)
_unique_while(
    "status = 'open'",
    "uq_breaks_one_open",
    breaks.c.kind,
    text("COALESCE(ticker, '')"),
    breaks.c.subject,
)

reconciliations = _table(
    "reconciliations",
    key("reconciliation_id"),
    session(),
    whole("fencing_token", null=True),
    whole("newest_order_id"),
    instant("began_at"),
)

equity = _table(
    "equity",
    session(),
    words("book"),
    money("cash", null=True),
    money("equity", null=True),
    money("realised"),
    money("unrealised"),
    whole("positions"),
    PrimaryKeyConstraint("book", "session"),
    _check("positions", "positions >= 0"),
    autoincrement=False,
)

# ------------------------------------------------------------------------------- what was decided

candidate_sessions = _table(
    "candidate_sessions",
    session(),
    whole("stored_count"),
    instant("stored_at"),
    PrimaryKeyConstraint("session"),
    autoincrement=False,
)

candidates = _table(
    "candidates",
    session("session", ForeignKey("candidate_sessions.session")),
    whole("rank"),
    words("ticker"),
    *_candidate_columns(),
    PrimaryKeyConstraint("session", "rank"),
    UniqueConstraint("session", "ticker"),
    _check("rank", "rank >= 1"),
    autoincrement=False,
)

approvals = _table(
    "approvals",
    key("approval_id"),
    whole("plan_id", ForeignKey("plans.plan_id")),
    words("plan_sha256"),
    words("item"),
    words("decision"),
    whole("max_quantity"),
    words("who"),
    words("reason"),
    instant("decided_at"),
    flag("void"),
    _check("decision", "decision IN ('approve', 'reject')"),
    _check("max_quantity", "max_quantity >= 0"),
    flag_check("void"),
)
Index("ix_approvals_plan_sha256", approvals.c.plan_sha256)
APPROVAL_FACTS = (
    "approval_id, plan_id, plan_sha256, item, decision, max_quantity, who, reason, decided_at"
)

weekly_evaluations = _table(
    "weekly_evaluations",
    key("evaluation_id"),
    words("book"),
    words("position_key"),
    session("week_end"),
    session("evaluated_on"),
    number("close"),
    number("indicator", null=True),
    whole("completed_weeks"),
    flag("transition_met"),
    flag("broken"),
    UniqueConstraint("book", "position_key", "week_end"),
    _check("completed_weeks", "completed_weeks >= 0"),
    flag_check("transition_met"),
    flag_check("broken"),
)

# -------------------------------------------------------------------------------- the twin books

shadow_positions = _table(
    "shadow_positions",
    key("position_id"),
    Column("strategy", Text, nullable=False, server_default=text("'nwl_p4'")),
    words("ticker"),
    session("entry_date"),
    number("entry_price"),
    whole("target_shares"),
    whole("actual_shares"),
    number("invested"),
    number("stop_price", null=True),
    *_candidate_columns(),
    words("status"),
    number("last_close"),
    number("split_factor"),
    number("reinvested_factor"),
    whole("shares_now"),
    number("cash_in_lieu_usd"),
    words("pending_reason", null=True),
    session("pending_since", null=True),
    session("evaluated_week", null=True),
    words("flags"),
    session("exit_date", null=True),
    number("exit_price", null=True),
    words("exit_reason", null=True),
    number("pnl", null=True),
    number("return_pct", null=True),
    whole("hold_days", null=True),
    words("exit_flags", null=True),
    _check("status", "status IN ('open', 'closed')"),
    _check("actual_shares", "actual_shares > 0"),
    _check("entry_price", "entry_price > 0"),
    _check("pending", "(pending_reason IS NULL) = (pending_since IS NULL)"),
    _check("closed", "(status = 'closed') = (exit_date IS NOT NULL)"),
)
_unique_while(
    "status = 'open'",
    "uq_shadow_positions_one_open",
    shadow_positions.c.strategy,
    shadow_positions.c.ticker,
)

twin_sessions = _table(
    "twin_sessions",
    words("strategy"),
    session(),
    instant("settled_at"),
    PrimaryKeyConstraint("strategy", "session"),
    autoincrement=False,
)

shadow_signals = _table(
    "shadow_signals",
    key("signal_id"),
    words("strategy"),
    session(),
    words("sha256"),
    words("body"),
    instant("created_at"),
    UniqueConstraint("strategy", "session", "sha256"),
)

# --------------------------------------------------------------------------------------- the log

system_config = _table(
    "system_config",
    words("key"),
    words("value"),
    words("reason", null=True),
    words("who", null=True),
    instant("updated_at", null=True),
    PrimaryKeyConstraint("key"),
    autoincrement=False,
)

run_log = _table(
    "run_log",
    key("run_id"),
    session(),
    words("phase"),
    whole("attempt"),
    instant("started_at"),
    instant("finished_at", null=True),
    words("venue"),
    words("git"),
    words("config_sha256"),
    words("status"),
    whole("exit_code", null=True),
    words("message"),
    words("notebook_sha256", null=True),
    words("html_sha256", null=True),
    words("archive_path", null=True),
    words("record_json", null=True),
    words("part", null=True),
    UniqueConstraint("session", "phase", "attempt"),
    _check("finished", "(finished_at IS NULL) = (exit_code IS NULL)"),
)

alerts = _table(
    "alerts",
    key("alert_id"),
    session(),
    words("kind"),
    words("severity"),
    words("text"),
    instant("created_at"),
    instant("delivered_at", null=True),
    _check("severity", "severity IN ('info', 'warning', 'critical')"),
)

deliveries = _table(
    "deliveries",
    key("delivery_id"),
    whole("alert_id", ForeignKey("alerts.alert_id")),
    words("target"),
    whole("attempts"),
    instant("due_at"),
    instant("delivered_at", null=True),
    words("trouble"),
    UniqueConstraint("alert_id", "target"),
    _check("attempts", "attempts >= 0"),
)

snapshots = _table(
    "snapshots",
    key("snapshot_id"),
    session(),
    words("kind"),
    words("sha256"),
    words("path"),
    UniqueConstraint("session", "kind", "sha256"),
)

registrations = _table(
    "registrations",
    key("registration_id"),
    words("sha256"),
    words("body"),
    instant("registered_at"),
)

record_links = _table(
    "record_links",
    key("link_id"),
    session(),
    words("previous"),
    words("sha256"),
    words("body"),
    instant("linked_at"),
    UniqueConstraint("session"),
)
LINK_FACTS = "session, previous, sha256, body, linked_at"

verdicts = _table(
    "verdicts",
    key("verdict_id"),
    session(),
    words("registration_sha256"),
    words("state"),
    words("sentence"),
    words("body"),
    instant("decided_at"),
    _check("state", "state IN ('SWITCH', 'KEEP', 'CONTINUE', 'INVALID')"),
)
VERDICT_FACTS = "session, registration_sha256, state, sentence, body, decided_at"


def _make_append_only(table: Table, facts: str) -> None:
    def create_triggers(_: Table, connection: Connection, **__: object) -> None:
        for statement in append_only(table.name, facts, connection.dialect.name):
            connection.exec_driver_sql(statement)

    event.listen(table, "after_create", create_triggers)


_make_append_only(fills, FILL_FACTS)
_make_append_only(approvals, APPROVAL_FACTS)
_make_append_only(record_links, LINK_FACTS)
_make_append_only(verdicts, VERDICT_FACTS)
