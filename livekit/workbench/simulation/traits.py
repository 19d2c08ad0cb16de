"""What the random days claim to hold, by the names under which it is counted."""

from __future__ import annotations

from livekit.workbench.simulation.dates import KINDS_OF_SESSION
from livekit.workbench.simulation.incidents import PAGES
from livekit.workbench.simulation.script import TAMPERINGS

__all__ = ["TRAITS"]

TRAITS = (
    *(f"day: {kind}" for kind in KINDS_OF_SESSION),
    *(f"{way} splits {when}" for way in ("forward", "reverse") for when in ("today", "tomorrow")),
    "splits of a leaving position",
    "both exits due at once",
    "new names",
    "groups of somebody else",
    "groups filled twice",
    "cancels that met a finished order",
    "stops lost",
    "kill switch on",
    "rearmed",
    "clock steps",
    "pauses of the machine",
    "late starts",
    "second executors locked out",
    "leases taken over",
    "decisions",
    "late decisions",
    "decisions refused",
    *(f"pages {kind}" for kind in PAGES),
    *(f"plans with another {kind}" for kind in TAMPERINGS),
    "next mornings",
    "runs repeated",
)
