"""Plan files that were changed on their way, and what must come of them: nothing.

Each change is made with a hash that fits the changed content, so that only the comparison with the
database can tell; ``hash`` and ``torn`` damage the file itself.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from livekit.errors import LivekitError
from livekit.model import PROTECTIVE_STOP
from livekit.sessions import previous_session
from livekit.state import StoredPlan
from livekit.trading.desk import Desk
from livekit.trading.phases import run_executor
from livekit.trading.plans import (
    canonical_json,
    export_plan,
    plan_from_body,
    read_plan_file,
    sha256_text,
)
from livekit.workbench.simulation.referee import Referee
from livekit.workbench.simulation.stage import Stage

__all__ = ["offer_tampered_plan"]


def offer_tampered_plan(
    desk: Desk, session: date, tampering: str, stage: Stage, referee: Referee
) -> None:
    """Hand the executor a plan file that is not what was planned; it must trade nothing on it."""
    stored = _original(desk, session, stale=tampering == "stale")
    if stored is None:
        return
    plan = plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)
    path = export_plan(plan, desk.profile.signals_dir, generated_at=desk.clock.now())
    _tamper(path, tampering)
    trades = _trades(desk, stage)
    try:
        code = run_executor(desk, read_plan_file(path)).exit_code
    except LivekitError as refusal:
        code = refusal.exit_code
    if _trades(desk, stage) != trades:
        referee.broken("I15 fresh signal", f"traded on a plan whose {tampering} was tampered with")
    if code == 0:
        referee.broken("I15 fresh signal", f"executed a plan whose {tampering} was tampered with")


def _original(desk: Desk, session: date, *, stale: bool) -> StoredPlan | None:
    wanted = previous_session(session) if stale else session
    return desk.db.get_plan(desk.config.primary_strategy, wanted)


def _trades(desk: Desk, stage: Stage) -> int:
    """Orders at the venue but the protector's stops and sales."""
    market = [order for order in stage.state.orders.values() if order.type == "market"]
    rows = [desk.db.get_order_by_client_id(order.client_order_id) for order in market]
    return sum(row is None or row.reason != PROTECTIVE_STOP for row in rows)


def _tamper(path: Path, tampering: str) -> None:
    if tampering == "stale":
        return
    values = json.loads(path.read_text(encoding="utf-8"))
    if tampering == "torn":
        text = path.read_text(encoding="utf-8")
        path.write_text(text[: len(text) // 2], encoding="utf-8")
        return
    if tampering == "hash":
        values["sha256"] = sha256_text("another plan")
    else:
        _change(values["plan"], tampering)
        values["sha256"] = sha256_text(canonical_json(values["plan"]))
    path.write_text(json.dumps(values), encoding="utf-8")


def _change(plan: dict[str, Any], what: str) -> None:
    """Change every order so; a plan without such an order is given another session."""
    before = canonical_json(plan)
    for order in plan["orders"]:
        if what == "quantity":
            order["quantity"] *= 100
        elif what == "ticker":
            order["ticker"] = "ZZZ"
        elif what == "price" and order["reference_price"] is not None:
            order["reference_price"] = "1.00"
        elif what == "stop" and order["stop_price"] is not None:
            order["stop_price"] = "0.01"
    if canonical_json(plan) == before:
        plan["session"] = previous_session(date.fromisoformat(plan["session"])).isoformat()
