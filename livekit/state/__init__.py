"""The state room: what the program remembers between runs.

`StateDB` is the whole interface. It returns frozen values of `livekit.model` and of
`livekit.state.records`, never rows.
"""

from livekit.state.records import (
    Alert,
    Approval,
    Delivery,
    EquityPoint,
    Evaluation,
    Registration,
    Run,
    ShadowPosition,
    ShadowSignal,
    Snapshot,
    StoredPlan,
    candidate_from_json,
    candidate_to_json,
)
from livekit.state.state_db import StateDB, new_database

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
    "StateDB",
    "StoredPlan",
    "candidate_from_json",
    "candidate_to_json",
    "new_database",
]
