"""The state room: what the program remembers between runs.

`StateDB` is the whole interface. It returns frozen values of `livekit.model` and of
`livekit.state.records`, never rows.
"""

from livekit.state.records import (
    Alert,
    Approval,
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
from livekit.state.state_db import StateDB

__all__ = [
    "Alert",
    "Approval",
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
]
