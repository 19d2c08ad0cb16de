"""What happens on one random day: everything that is drawn from its seed, as one value.

A seed gives the same script for ever (as long as this module stands), so a day is replayed from its
number alone. What is likely is chosen for what it finds: most days have one or two troubles, a few
have many, and some have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.workbench.simulation.market import chance_of
from livekit.workbench.simulation.points import Cut

__all__ = ["Script", "write_script"]

Kind = Literal["executor", "whole"]
ALPACA_PY_EVERY = 20
WHOLE_EVERY = 10
MOST_REQUESTS, MOST_COMMITS = 70, 70
ORDERS, CANCELS, READS = "POST", "DELETE", "GET"

# Faults of which the venue's part cannot pass: keys that are refused end the day at once.
LASTING = (FaultKind.UNAUTHORIZED,)
STORMY = (
    FaultKind.ANSWER_LOST,
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.RESET_AFTER,
    FaultKind.RESET_BEFORE,
    FaultKind.RATE_LIMITED_BARE,
    FaultKind.BAD_GATEWAY,
    FaultKind.BAD_GATEWAY_TAKEN,
    FaultKind.GATEWAY_TIMEOUT_TAKEN,
    FaultKind.STALE_READ,
    FaultKind.NOT_JSON,
    FaultKind.UNKNOWN_ENUM,
    FaultKind.LATE_VISIBILITY,
)
TAMPERINGS = ("quantity", "price", "ticker", "session", "stop", "hash", "torn", "stale")


@dataclass(frozen=True, slots=True)
class Script:
    """One day.

    ``crashes`` and ``kills`` are points at which the process dies or an operator stops trading,
    ``clock_steps`` by how many seconds the host's clock is stepped at which point, ``decisions``
    what a reviewer does with the n-th item.
    """

    seed: int
    kind: Kind
    through_alpaca_py: bool
    rules: tuple[FaultRule, ...]
    crashes: tuple[Cut, ...]
    kills: tuple[Cut, ...]
    clock_steps: tuple[tuple[Cut, float], ...]
    kill_at_start: bool
    rearm: bool
    decisions: tuple[str, ...]
    tampering: str | None
    stop_lost: bool
    restless: bool
    from_page: bool
    twice: bool


def write_script(seed: int) -> Script:
    """The script of a seed."""
    chance = chance_of(f"day {seed}")
    through_alpaca_py = seed % ALPACA_PY_EVERY == ALPACA_PY_EVERY - 1
    return Script(
        seed=seed,
        kind="whole" if seed % WHOLE_EVERY == 0 else "executor",
        through_alpaca_py=through_alpaca_py,
        rules=_rules(chance),
        crashes=_cuts(chance, (0, 0, 1, 1, 2, 3)),
        kills=_kills(chance),
        clock_steps=tuple(
            (cut, chance.choice((-1, 1)) * chance.choice((1.0, 5.0, 61.0, 290.0)))
            for cut in _cuts(chance, (0,) * 9 + (1,))
        ),
        kill_at_start=chance.random() < 0.04,
        rearm=chance.random() < 0.5,
        decisions=tuple(
            chance.choice(("approve", "approve", "part", "reject", "none")) for _ in range(6)
        ),
        tampering=chance.choice(TAMPERINGS) if chance.random() < 0.1 else None,
        stop_lost=chance.random() < 0.08,
        restless=chance.random() < 0.6,
        from_page=chance.random() < 0.5,
        twice=chance.random() < 0.1,
    )


def _cuts(
    chance: Random, counts: tuple[int, ...], kinds: tuple[str, ...] = ("request", "commit")
) -> tuple[Cut, ...]:
    return tuple(_cut(chance, kinds) for _ in range(chance.choice(counts)))


def _kills(chance: Random) -> tuple[Cut, ...]:
    """After an answer: a switch that goes on while a request leaves is too late for that one."""
    return tuple(
        Cut("request", cut.number, "after") for cut in _cuts(chance, (0,) * 8 + (1,), ("request",))
    )


def _cut(chance: Random, kinds: tuple[str, ...]) -> Cut:
    kind = chance.choice(kinds)
    most = MOST_REQUESTS if kind == "request" else MOST_COMMITS
    return Cut(kind, chance.randint(1, most), chance.choice(("before", "after")))


def _rules(chance: Random) -> tuple[FaultRule, ...]:
    weather = chance.random()
    if weather < 0.25:
        return ()
    if weather > 0.93:
        return tuple(
            FaultRule(kind, times=0, chance=chance.choice((0.01, 0.03)), seconds=5.0)
            for kind in chance.sample(STORMY, 5)
        )
    return tuple(_rule(chance) for _ in range(chance.choice((1, 1, 2, 3, 5))))


def _rule(chance: Random) -> FaultRule:
    kind = chance.choice(tuple(FaultKind))
    facts: Mapping[FaultKind, dict[str, float]] = {
        FaultKind.CLOCK_SKEW: {"seconds": chance.choice((1.0, 3.0, 3600.0))},
        FaultKind.LATE_VISIBILITY: {"seconds": chance.choice((1.0, 4.0))},
        FaultKind.RATE_LIMITED: {"seconds": chance.choice((2.0, 5.0, 20.0))},
    }
    return FaultRule(
        kind,
        method=None if kind is FaultKind.CLOCK_SKEW else _method(chance, kind),
        nth=chance.choice((1, 1, 1, 2, 3, 5, 9, 15)),
        times=chance.choice((1, 1, 1, 2, 3)),
        seconds=facts.get(kind, {}).get("seconds", 5.0),
        keep=chance.choice((0, 1, 2)),
    )


def _method(chance: Random, kind: FaultKind) -> str | None:
    if kind in (FaultKind.CANCEL_FILLS, FaultKind.CANCEL_IGNORED):
        return CANCELS
    return chance.choice((None, ORDERS, ORDERS, CANCELS, READS))
