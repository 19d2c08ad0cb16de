"""Plans as hashed, canonical JSON: built, exported, read back and distrusted.

The hash covers the *body* (strategy, session, expiry, configuration, inputs, orders, skips); the
file adds when it was generated. The same inputs give the same bytes and so the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from livekit.config import LiveConfig, config_sha256
from livekit.errors import BadInput, PlanRefused
from livekit.files import write_whole
from livekit.model import (
    ENTRY,
    EXIT,
    Candidate,
    EntryDecision,
    ExitDecision,
    Plan,
    PlannedOrder,
    Position,
    SessionDecision,
    Skip,
)
from livekit.sessions import open_instant
from livekit.state import candidate_from_json, candidate_to_json
from livekit.strategy.rules import protective_stop_price

__all__ = [
    "PlanInputs",
    "build_plan",
    "canonical_json",
    "export_plan",
    "plan_file_name",
    "plan_from_body",
    "read_plan_file",
    "sha256_text",
]

SCHEMA = 1
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """Hashes and facts that decided a plan."""

    report_status: str
    report_sha256: tuple[str, ...]
    candidates_sha256: str


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_text(text: str) -> str:
    """Hexadecimal sha256 of UTF-8 text."""
    return hashlib.sha256(text.encode()).hexdigest()


def entry_cutoff(session: date, config: LiveConfig) -> datetime:
    """The last instant at which an entry may be sent or working."""
    return open_instant(session) + timedelta(minutes=config.entry_cutoff_minutes)


def build_plan(
    strategy: str,
    decision: SessionDecision,
    quantities: dict[str, int],
    config: LiveConfig,
    inputs: PlanInputs,
) -> Plan:
    """Turn a decision into a plan. ``quantities`` gives the shares each exit disposes of."""
    orders = (
        *(_exit_order(item, quantities[item.ticker]) for item in decision.exits),
        *(_entry_order(item, config) for item in decision.entries),
    )
    expires_at = entry_cutoff(decision.session, config)
    body = canonical_json(
        {
            "schema": SCHEMA,
            "strategy": strategy,
            "session": decision.session.isoformat(),
            "expires_at": expires_at.isoformat(),
            "config_sha256": config_sha256(config),
            "inputs": {
                "report_status": inputs.report_status,
                "report_sha256": list(inputs.report_sha256),
                "candidates_sha256": inputs.candidates_sha256,
            },
            "orders": [_order_to_dict(order) for order in orders],
            "skips": [_skip_to_dict(skip) for skip in decision.skips],
        }
    )
    return Plan(
        strategy, decision.session, orders, decision.skips, expires_at, sha256_text(body), body
    )


def _exit_order(item: ExitDecision, quantity: int) -> PlannedOrder:
    return PlannedOrder(
        ticker=item.ticker,
        intent=EXIT,
        side="sell",
        quantity=quantity,
        reason=item.reason,
        pair=item.rotated_in,
        decided=item.decided,
    )


def _entry_order(item: EntryDecision, config: LiveConfig) -> PlannedOrder:
    stop = protective_stop_price(item.reference_price, config.stop_loss_pct)
    return PlannedOrder(
        ticker=item.candidate.ticker,
        intent=ENTRY,
        side="buy",
        quantity=item.shares,
        reason="rotation" if item.rotates_out else "entry",
        reference_price=Decimal(repr(item.reference_price)),
        stop_price=Decimal(repr(stop)),
        pair=item.rotates_out,
        candidate=item.candidate,
    )


def _order_to_dict(order: PlannedOrder) -> dict[str, Any]:
    return {
        "ticker": order.ticker,
        "intent": order.intent,
        "side": order.side,
        "quantity": order.quantity,
        "reason": order.reason,
        "reference_price": _text(order.reference_price),
        "stop_price": _text(order.stop_price),
        "pair": order.pair,
        "decided": order.decided.isoformat() if order.decided else None,
        "candidate": _candidate(order.candidate),
    }


def _skip_to_dict(skip: Skip) -> dict[str, Any]:
    return {
        "candidate": _candidate(skip.candidate),
        "reason": skip.reason,
        "detail": skip.detail,
    }


def _candidate(candidate: Candidate | None) -> Any:
    return json.loads(candidate_to_json(candidate)) if candidate else None


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def exit_quantities(positions: Sequence[Position]) -> dict[str, int]:
    """Whole shares that an exit of each open position disposes of."""
    return {position.ticker: position.shares_now for position in positions}


# ----------------------------------------------------------------------------------- reading back


@lru_cache(maxsize=64)
def plan_from_body(body: str, *, status: str = "open", plan_id: int | None = None) -> Plan:
    """Parse a canonical body. Raises `PlanRefused` when anything in it is not as written by us."""
    values = _strict_json(body, "body")
    try:
        if values["schema"] != SCHEMA:
            raise PlanRefused(sha256_text(body)[:12], f"schema {values['schema']!r} is unknown")
        plan = Plan(
            strategy=_string(values["strategy"]),
            session=date.fromisoformat(values["session"]),
            orders=tuple(_order_from_dict(item) for item in values["orders"]),
            skips=tuple(_skip_from_dict(item) for item in values["skips"]),
            expires_at=datetime.fromisoformat(values["expires_at"]).astimezone(UTC),
            sha256=sha256_text(body),
            body=body,
            status=status,
            plan_id=plan_id,
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise PlanRefused(sha256_text(body)[:12], f"malformed ({error!r})") from error
    if canonical_json(values) != body:
        raise PlanRefused(plan.sha256[:12], "its text is not in canonical form")
    return plan


def _order_from_dict(item: dict[str, Any]) -> PlannedOrder:
    if item["intent"] not in (ENTRY, EXIT) or item["side"] not in ("buy", "sell"):
        raise ValueError(item["intent"], item["side"])
    decided = item["decided"]
    return PlannedOrder(
        ticker=_string(item["ticker"]),
        intent=item["intent"],
        side=item["side"],
        quantity=_positive_whole(item["quantity"]),
        reason=_string(item["reason"]),
        reference_price=_decimal(item["reference_price"]),
        stop_price=_decimal(item["stop_price"]),
        pair=item["pair"],
        candidate=_candidate_back(item["candidate"]),
        decided=date.fromisoformat(decided) if decided else None,
    )


def _skip_from_dict(item: dict[str, Any]) -> Skip:
    candidate = _candidate_back(item["candidate"])
    if candidate is None:
        raise ValueError("skip without candidate")
    return Skip(candidate, _string(item["reason"]), _string(item["detail"]))


def _candidate_back(value: Any) -> Candidate | None:
    return None if value is None else candidate_from_json(json.dumps(value))


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _positive_whole(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(value)
    return value


def _decimal(value: Any) -> Decimal | None:
    if value is None:
        return None
    number = Decimal(_string(value))
    if not number.is_finite() or number <= 0:
        raise ValueError(value)
    return number


def _strict_json(text: str, where: object) -> dict[str, Any]:
    """Parse an object; duplicate keys, NaN, excessive depth and non-objects are refused."""
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise PlanRefused(where, f"is not plain JSON ({error})") from error
    if not isinstance(value, dict):
        raise PlanRefused(where, "is not a JSON object")
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError(f"duplicate key among {sorted(names)}")
    return dict(pairs)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


# ------------------------------------------------------------------------------------------ files


def plan_file_name(strategy: str, session: date) -> str:
    """Name of the exported plan."""
    return f"trade_signals_{session.isoformat()}_{strategy}.json"


def export_plan(plan: Plan, folder: Path, *, generated_at: datetime) -> Path:
    """Write the plan beside its hash, whole or not at all; returns the file."""
    values = {
        "sha256": plan.sha256,
        "status": plan.status,
        "generated_at": generated_at.isoformat(),
        "plan": json.loads(plan.body),
    }
    path = folder / plan_file_name(plan.strategy, plan.session)
    text = json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_whole(path, text.encode())
    return path


def read_plan_file(path: Path) -> Plan:
    """Read an exported plan.

    Raises `BadInput` when the file cannot be read and `PlanRefused` when its hash does not match
    its content or the content is malformed.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PlanRefused(path, f"is larger than {_MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(path, f"plan cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise PlanRefused(path, "is not UTF-8 text") from error
    values = _strict_json(text, path)
    plan = plan_from_body(canonical_json(values.get("plan")))
    if values.get("sha256") != plan.sha256:
        raise PlanRefused(path, "its content does not match its hash")
    return plan
