"""The first schema."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)

from livekit.state import schema as of

revision = "livekit_0001"
down_revision = None


def upgrade() -> None:
    """Create every table in an empty database."""
    _create_positions()
    _create_plans()
    _create_orders()
    _create_fills()
    _create_breaks()
    _create_reconciliations()
    _create_equity()
    _create_candidate_sessions()
    _create_candidates()
    _create_approvals()
    _create_weekly_evaluations()
    _create_shadow_positions()
    _create_twin_sessions()
    _create_shadow_signals()
    _create_system_config()
    _create_run_log()
    _create_alerts()
    _create_deliveries()
    _create_snapshots()
    _create_registrations()
    _create_record_links()
    _create_verdicts()
    dialect = op.get_context().dialect.name
    facts = "activity_id, client_order_id, ticker, side, quantity, price, filled_at"
    decided = (
        "approval_id, plan_id, plan_sha256, item, decision, max_quantity, who, reason, decided_at"
    )
    linked = "session, previous, sha256, body, linked_at"
    judged = "session, registration_sha256, state, sentence, body, decided_at"
    for statement in (
        *of.append_only("fills", facts, dialect),
        *of.append_only("approvals", decided, dialect),
        *of.append_only("record_links", linked, dialect),
        *of.append_only("verdicts", judged, dialect),
    ):
        op.execute(statement)


def _table(name: str, *parts: Any, autoincrement: bool = True) -> None:
    op.create_table(name, *parts, sqlite_strict=True, sqlite_autoincrement=autoincrement)


def _one(table: str, columns: list[Any], where: str, name: str) -> None:
    condition = text(where)
    op.create_index(
        name, table, columns, unique=True, sqlite_where=condition, postgresql_where=condition
    )


def _check(name: str, condition: str) -> CheckConstraint:
    return CheckConstraint(condition, name=name)


def _candidate() -> tuple[Column[Any], ...]:
    return (
        of.number("score", null=True),
        of.words("grade"),
        of.words("grade_source"),
        of.session("report_date"),
        of.words("company_name", null=True),
        of.number("gap_size", null=True),
        of.money("price", null=True),
    )


def _create_positions() -> None:
    _table(
        "positions",
        of.key("position_id"),
        of.words("ticker"),
        of.session("entry_date"),
        of.money("entry_price"),
        of.whole("target_shares"),
        of.whole("actual_shares"),
        of.money("invested"),
        of.money("stop_price"),
        of.words("stop_order_id", null=True),
        *_candidate(),
        of.words("asset_id", null=True),
        of.words("status"),
        of.number("split_factor"),
        of.words("pending_reason", null=True),
        of.session("pending_since", null=True),
        of.whole("sold_shares"),
        of.whole("odd_shares_sold"),
        of.session("exit_date", null=True),
        of.money("exit_price", null=True),
        of.words("exit_reason", null=True),
        of.money("pnl", null=True),
        of.number("return_pct", null=True),
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
    _one("positions", ["ticker"], "status = 'open'", "uq_positions_one_open")


def _create_plans() -> None:
    _table(
        "plans",
        of.key("plan_id"),
        of.words("strategy"),
        of.session(),
        of.words("status"),
        of.words("sha256"),
        of.words("body"),
        of.instant("expires_at"),
        of.instant("created_at"),
        _check(
            "status", "status IN ('open', 'frozen', 'done', 'superseded', 'blocked', 'expired')"
        ),
    )
    op.create_index("ix_plans_sha256", "plans", ["sha256"])
    _one("plans", ["strategy", "session"], "status <> 'superseded'", "uq_plans_one_current")


def _create_orders() -> None:
    _table(
        "orders",
        of.key("order_id"),
        of.words("client_order_id"),
        of.words("intent"),
        of.words("side"),
        of.words("ticker"),
        of.session("trade_date"),
        of.whole("quantity"),
        of.words("order_type"),
        of.words("time_in_force"),
        of.words("status"),
        of.words("outcome"),
        of.money("stop_price", null=True),
        of.money("reference_price", null=True),
        of.whole("filled_qty"),
        of.whole("remaining_qty", Computed("quantity - filled_qty", persisted=True)),
        of.money("filled_avg_price", null=True),
        of.words("alpaca_order_id", null=True),
        of.words("parent_client_order_id", ForeignKey("orders.client_order_id"), null=True),
        of.whole("position_id", ForeignKey("positions.position_id"), null=True),
        of.whole("plan_id", ForeignKey("plans.plan_id"), null=True),
        of.whole("attempt"),
        of.words("fingerprint"),
        of.words("reason"),
        of.words("candidate_json", null=True),
        of.whole("fencing_token", null=True),
        of.instant("created_at"),
        of.instant("sent_at", null=True),
        of.instant("updated_at"),
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
    op.create_index("ix_orders_trade_date", "orders", ["trade_date"])
    op.create_index("ix_orders_position_id", "orders", ["position_id"])


def _create_fills() -> None:
    _table(
        "fills",
        of.key("fill_id"),
        of.words("activity_id"),
        of.words("client_order_id", ForeignKey("orders.client_order_id")),
        of.words("ticker"),
        of.words("side"),
        of.whole("quantity"),
        of.money("price"),
        of.instant("filled_at"),
        of.whole("position_id", ForeignKey("positions.position_id"), null=True),
        UniqueConstraint("activity_id"),
        _check("side", "side IN ('buy', 'sell')"),
        _check("quantity", "quantity > 0"),
        _check("price", "CAST(price AS REAL) > 0"),
    )
    op.create_index("ix_fills_client_order_id", "fills", ["client_order_id"])
    op.create_index("ix_fills_position_id", "fills", ["position_id"])


def _create_breaks() -> None:
    _table(
        "breaks",
        of.key("break_id"),
        of.session(),
        of.words("kind"),
        of.words("ticker", null=True),
        Column("subject", Text, nullable=False, server_default=text("''")),
        of.words("facts"),
        of.words("proposal"),
        of.words("detail"),
        of.words("status"),
        of.words("resolution", null=True),
        of.instant("opened_at"),
        of.instant("resolved_at", null=True),
        _check("status", "status IN ('open', 'resolved')"),
        _check("resolved", "(status = 'resolved') = (resolution IS NOT NULL)"),
    )
    named = ["kind", text("COALESCE(ticker, '')"), "subject"]
    _one("breaks", named, "status = 'open'", "uq_breaks_one_open")


def _create_reconciliations() -> None:
    _table(
        "reconciliations",
        of.key("reconciliation_id"),
        of.session(),
        of.whole("fencing_token", null=True),
        of.whole("newest_order_id"),
        of.instant("began_at"),
    )


def _create_equity() -> None:
    _table(
        "equity",
        of.session(),
        of.words("book"),
        of.money("cash", null=True),
        of.money("equity", null=True),
        of.money("realised"),
        of.money("unrealised"),
        of.whole("positions"),
        PrimaryKeyConstraint("book", "session"),
        _check("positions", "positions >= 0"),
        autoincrement=False,
    )


def _create_candidate_sessions() -> None:
    _table(
        "candidate_sessions",
        of.session(),
        of.whole("stored_count"),
        of.instant("stored_at"),
        PrimaryKeyConstraint("session"),
        autoincrement=False,
    )


def _create_candidates() -> None:
    _table(
        "candidates",
        of.session("session", ForeignKey("candidate_sessions.session")),
        of.whole("rank"),
        of.words("ticker"),
        *_candidate(),
        PrimaryKeyConstraint("session", "rank"),
        UniqueConstraint("session", "ticker"),
        _check("rank", "rank >= 1"),
        autoincrement=False,
    )


def _create_approvals() -> None:
    _table(
        "approvals",
        of.key("approval_id"),
        of.whole("plan_id", ForeignKey("plans.plan_id")),
        of.words("plan_sha256"),
        of.words("item"),
        of.words("decision"),
        of.whole("max_quantity"),
        of.words("who"),
        of.words("reason"),
        of.instant("decided_at"),
        of.flag("void"),
        _check("decision", "decision IN ('approve', 'reject')"),
        _check("max_quantity", "max_quantity >= 0"),
        of.flag_check("void"),
    )
    op.create_index("ix_approvals_plan_sha256", "approvals", ["plan_sha256"])


def _create_weekly_evaluations() -> None:
    _table(
        "weekly_evaluations",
        of.key("evaluation_id"),
        of.words("book"),
        of.words("position_key"),
        of.session("week_end"),
        of.session("evaluated_on"),
        of.number("close"),
        of.number("indicator", null=True),
        of.whole("completed_weeks"),
        of.flag("transition_met"),
        of.flag("broken"),
        UniqueConstraint("book", "position_key", "week_end"),
        _check("completed_weeks", "completed_weeks >= 0"),
        of.flag_check("transition_met"),
        of.flag_check("broken"),
    )


def _create_shadow_positions() -> None:
    _table(
        "shadow_positions",
        of.key("position_id"),
        Column("strategy", Text, nullable=False, server_default=text("'nwl_p4'")),
        of.words("ticker"),
        of.session("entry_date"),
        of.number("entry_price"),
        of.whole("target_shares"),
        of.whole("actual_shares"),
        of.number("invested"),
        of.number("stop_price", null=True),
        *_candidate(),
        of.words("status"),
        of.number("last_close"),
        of.number("split_factor"),
        of.number("reinvested_factor"),
        of.whole("shares_now"),
        of.number("cash_in_lieu_usd"),
        of.words("pending_reason", null=True),
        of.session("pending_since", null=True),
        of.session("evaluated_week", null=True),
        of.words("flags"),
        of.session("exit_date", null=True),
        of.number("exit_price", null=True),
        of.words("exit_reason", null=True),
        of.number("pnl", null=True),
        of.number("return_pct", null=True),
        of.whole("hold_days", null=True),
        of.words("exit_flags", null=True),
        _check("status", "status IN ('open', 'closed')"),
        _check("actual_shares", "actual_shares > 0"),
        _check("entry_price", "entry_price > 0"),
        _check("pending", "(pending_reason IS NULL) = (pending_since IS NULL)"),
        _check("closed", "(status = 'closed') = (exit_date IS NOT NULL)"),
    )
    _one(
        "shadow_positions",
        ["strategy", "ticker"],
        "status = 'open'",
        "uq_shadow_positions_one_open",
    )


def _create_twin_sessions() -> None:
    _table(
        "twin_sessions",
        of.words("strategy"),
        of.session(),
        of.instant("settled_at"),
        PrimaryKeyConstraint("strategy", "session"),
        autoincrement=False,
    )


def _create_shadow_signals() -> None:
    _table(
        "shadow_signals",
        of.key("signal_id"),
        of.words("strategy"),
        of.session(),
        of.words("sha256"),
        of.words("body"),
        of.instant("created_at"),
        UniqueConstraint("strategy", "session", "sha256"),
    )


def _create_system_config() -> None:
    _table(
        "system_config",
        of.words("key"),
        of.words("value"),
        of.words("reason", null=True),
        of.words("who", null=True),
        of.instant("updated_at", null=True),
        PrimaryKeyConstraint("key"),
        autoincrement=False,
    )


def _create_run_log() -> None:
    _table(
        "run_log",
        of.key("run_id"),
        of.session(),
        of.words("phase"),
        of.whole("attempt"),
        of.instant("started_at"),
        of.instant("finished_at", null=True),
        of.words("venue"),
        of.words("git"),
        of.words("config_sha256"),
        of.words("status"),
        of.whole("exit_code", null=True),
        of.words("message"),
        of.words("notebook_sha256", null=True),
        of.words("html_sha256", null=True),
        of.words("archive_path", null=True),
        of.words("record_json", null=True),
        of.words("part", null=True),
        UniqueConstraint("session", "phase", "attempt"),
        _check("finished", "(finished_at IS NULL) = (exit_code IS NULL)"),
    )


def _create_alerts() -> None:
    _table(
        "alerts",
        of.key("alert_id"),
        of.session(),
        of.words("kind"),
        of.words("severity"),
        of.words("text"),
        of.instant("created_at"),
        of.instant("delivered_at", null=True),
        _check("severity", "severity IN ('info', 'warning', 'critical')"),
    )


def _create_deliveries() -> None:
    _table(
        "deliveries",
        of.key("delivery_id"),
        of.whole("alert_id", ForeignKey("alerts.alert_id")),
        of.words("target"),
        of.whole("attempts"),
        of.instant("due_at"),
        of.instant("delivered_at", null=True),
        of.words("trouble"),
        UniqueConstraint("alert_id", "target"),
        _check("attempts", "attempts >= 0"),
    )


def _create_snapshots() -> None:
    _table(
        "snapshots",
        of.key("snapshot_id"),
        of.session(),
        of.words("kind"),
        of.words("sha256"),
        of.words("path"),
        UniqueConstraint("session", "kind", "sha256"),
    )


def _create_registrations() -> None:
    _table(
        "registrations",
        of.key("registration_id"),
        of.words("sha256"),
        of.words("body"),
        of.instant("registered_at"),
    )


def _create_record_links() -> None:
    _table(
        "record_links",
        of.key("link_id"),
        of.session(),
        of.words("previous"),
        of.words("sha256"),
        of.words("body"),
        of.instant("linked_at"),
        UniqueConstraint("session"),
    )


def _create_verdicts() -> None:
    _table(
        "verdicts",
        of.key("verdict_id"),
        of.session(),
        of.words("registration_sha256"),
        of.words("state"),
        of.words("sentence"),
        of.words("body"),
        of.instant("decided_at"),
        _check("state", "state IN ('SWITCH', 'KEEP', 'CONTINUE', 'INVALID')"),
    )
