"""The frozen values that the state database returns beside those of `livekit.model`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal

from livekit.errors import BadInput
from livekit.model import Candidate, ClosedTrade, Holding
from livekit.state.schema import canonical_decimal

__all__ = [
    "Alert",
    "Approval",
    "Delivery",
    "EquityPoint",
    "Evaluation",
    "Registration",
    "Run",
    "ShadowPosition",
    "ShadowSignal",
    "Snapshot",
    "StoredPlan",
    "candidate_from_json",
    "candidate_to_json",
]

Decision = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as stored: ``body`` is the canonical JSON that ``sha256`` is the hash of."""

    plan_id: int
    strategy: str
    session: date
    status: str
    sha256: str
    body: str
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A decision on one item (``TICKER:intent``) of the plan with that hash."""

    approval_id: int
    plan_sha256: str
    item: str
    decision: Decision
    max_quantity: int
    who: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The trailing stop of one position for one week; ``indicator`` is None while undefined.

    ``book`` and ``position_key`` say whose it is; they are filled in when it is read.
    """

    week_end: date
    evaluated_on: date
    close: float
    indicator: float | None
    completed_weeks: int
    transition_met: bool
    broken: bool
    book: str = ""
    position_key: str = ""


@dataclass(frozen=True, slots=True)
class ShadowPosition:
    """A position of a twin book; ``trade`` is there once it is closed.

    A trade that opened and closed within one session was never a holding: its ``holding`` has no
    stop (0.0) and no shares now.
    """

    id: int
    strategy: str
    holding: Holding
    status: Literal["open", "closed"]
    trade: ClosedTrade | None = None


@dataclass(frozen=True, slots=True)
class ShadowSignal:
    """The signal file of a tracked strategy, as text."""

    strategy: str
    session: date
    sha256: str
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """A book at the end of a session, USD; ``cash`` and ``equity`` are None in twin books."""

    session: date
    book: str
    cash: Decimal | None
    equity: Decimal | None
    realised: Decimal
    unrealised: Decimal
    positions: int


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to the operator; kept until delivered. ``session`` is the exchange's date then."""

    alert_id: int
    session: date
    kind: str
    severity: Literal["info", "warning", "critical"]
    text: str
    at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way to one target; ``target`` is a name that holds no secret.

    ``trouble`` is why the last attempt failed, empty before the first and after success.
    """

    delivery_id: int
    alert_id: int
    target: str
    attempts: int
    due_at: datetime
    delivered_at: datetime | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An input of a session, kept as a file under its hash."""

    session: date
    kind: str
    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What a profile was registered with: canonical JSON and its hash."""

    registration_id: int
    sha256: str
    body: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at one phase of a session; ``part`` is the part that an executor carries out."""

    run_id: int
    session: date
    phase: str
    attempt: int
    started_at: datetime
    finished_at: datetime | None
    venue: str
    git: str
    config_sha256: str
    status: str
    exit_code: int | None
    message: str
    notebook_sha256: str | None
    html_sha256: str | None
    archive_path: str | None
    record_json: str | None
    part: str | None = None


def candidate_to_json(candidate: Candidate) -> str:
    """Canonical JSON of a candidate: sorted names, money as text, floats in full."""
    price = candidate.price
    values = {
        "ticker": candidate.ticker,
        "report_date": candidate.report_date.isoformat(),
        "grade": candidate.grade,
        "score": candidate.score,
        "price": None if price is None else canonical_decimal(price),
        "gap_size": candidate.gap_size,
        "company_name": candidate.company_name,
        "grade_source": candidate.grade_source,
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def candidate_from_json(body: str) -> Candidate:
    """The candidate of `candidate_to_json`; raises `BadInput` for any other text."""
    try:
        values = json.loads(body)
        price = values.pop("price")
        return Candidate(
            report_date=date.fromisoformat(values.pop("report_date")),
            price=None if price is None else Decimal(price),
            **values,
        )
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
        raise BadInput("candidate_json", f"is not a candidate ({error})") from error
