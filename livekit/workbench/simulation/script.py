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

from livekit.broker.venue.faults import FaultKind, FaultRule, suits
from livekit.workbench.simulation.incidents import PAGES
from livekit.workbench.simulation.market import chance_of
from livekit.workbench.simulation.points import Cut

__all__ = ["TAMPERINGS", "Script", "write_script"]

Kind = Literal["executor", "whole"]
ALPACA_PY_EVERY = 20
WHOLE_EVERY = 10
MOST_REQUESTS, MOST_COMMITS = 45, 60  # about as many as a day has
ORDERS, CANCELS, READS = "POST", "DELETE", "GET"

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
# A group of two exits is only ever placed by somebody else: see `Script.foreign_group`.
RANDOM_KINDS = tuple(kind for kind in FaultKind if kind is not FaultKind.BOTH_EXITS)
CANCEL_TAKEN = FaultRule(FaultKind.CANCEL_OF_FINISHED, method=CANCELS)
TAMPERINGS = ("quantity", "price", "ticker", "session", "stop", "hash", "torn", "stale")
LATE_S = (30.0, 240.0, 400.0, 7200.0)  # after the open, the last two after the cut-off
PAUSES_S = (3.0, 12.0, 70.0, 900.0, 5400.0)
SHORT_PAUSES_S = (3.0, 12.0, 70.0)


@dataclass(frozen=True, slots=True)
class Script:
    """One day.

    ``crashes``, ``kills``, ``locked_out``, ``takeovers`` and ``late_decisions`` are points at which
    the process dies, an operator stops trading, a second executor is started, one elsewhere takes
    the lease, and a person decides. ``clock_steps`` says by how many seconds the host's clock is
    stepped at which point, ``pauses`` for how long the machine sleeps there, ``decisions`` what a
    reviewer does with the n-th item. ``late_s`` is when the first run begins, in seconds after the
    open, if not in time; ``page`` what lies in the reports folder instead of stored candidates.
    """

    seed: int
    kind: Kind
    through_alpaca_py: bool
    rules: tuple[FaultRule, ...]
    crashes: tuple[Cut, ...]
    kills: tuple[Cut, ...]
    clock_steps: tuple[tuple[Cut, float], ...]
    pauses: tuple[tuple[Cut, float], ...]
    locked_out: tuple[Cut, ...]
    takeovers: tuple[Cut, ...]
    late_decisions: tuple[Cut, ...]
    late_s: float | None
    kill_at_start: bool
    rearm: bool
    decisions: tuple[str, ...]
    tampering: str | None
    stop_lost: bool
    cancel_meets_finished: bool
    both_exits_due: bool
    foreign_group: bool
    renamed: bool
    restless: bool
    page: str | None
    next_morning: bool
    twice: bool


def write_script(seed: int) -> Script:
    """The script of a seed."""
    chance = chance_of(f"day {seed}")
    is_whole = seed % WHOLE_EVERY == 0
    late_s = chance.choice(LATE_S) if chance.random() < 0.12 else None
    meets_finished = chance.random() < 0.08
    is_taken = (CANCEL_TAKEN,) if meets_finished and chance.random() < 0.6 else ()
    return Script(
        seed=seed,
        kind="whole" if is_whole else "executor",
        through_alpaca_py=seed % ALPACA_PY_EVERY == ALPACA_PY_EVERY - 1,
        rules=(*is_taken, *_rules(chance)),
        crashes=_cuts(chance, (0, 0, 1, 1, 2, 3)),
        kills=_answers(chance, (0,) * 8 + (1,)),
        clock_steps=tuple(
            (cut, chance.choice((-1, 1)) * chance.choice((1.0, 5.0, 61.0, 290.0)))
            for cut in _cuts(chance, (0,) * 9 + (1,))
        ),
        pauses=_pauses(chance, SHORT_PAUSES_S if is_whole or late_s else PAUSES_S),
        locked_out=_answers(chance, (0,) * 11 + (1,)),
        takeovers=_answers(chance, (0,) * 13 + (1,)),
        late_decisions=_answers(chance, (0, 0, 1, 2)),
        late_s=late_s,
        kill_at_start=chance.random() < 0.04,
        rearm=chance.random() < 0.5,
        decisions=tuple(
            chance.choice(("approve", "approve", "part", "reject", "none")) for _ in range(12)
        ),
        tampering=chance.choice(TAMPERINGS) if chance.random() < 0.1 else None,
        stop_lost=chance.random() < 0.08,
        cancel_meets_finished=meets_finished,
        both_exits_due=chance.random() < 0.1,
        foreign_group=not is_whole and chance.random() < 0.15,
        renamed=is_whole and chance.random() < 0.1,
        restless=chance.random() < 0.6,
        page=chance.choice((PAGES[0], *PAGES)) if is_whole and chance.random() < 0.6 else None,
        next_morning=is_whole and chance.random() < 0.5,
        twice=chance.random() < 0.1,
    )


def _cuts(
    chance: Random, counts: tuple[int, ...], kinds: tuple[str, ...] = ("request", "commit")
) -> tuple[Cut, ...]:
    return tuple(_cut(chance, kinds) for _ in range(chance.choice(counts)))


def _answers(chance: Random, counts: tuple[int, ...]) -> tuple[Cut, ...]:
    """After an answer: what others do while a request leaves is too late for that one."""
    return tuple(Cut("request", cut.number, "after") for cut in _cuts(chance, counts, ("request",)))


def _pauses(chance: Random, lengths_s: tuple[float, ...]) -> tuple[tuple[Cut, float], ...]:
    cuts = _cuts(chance, (0,) * 9 + (1,), ("request",))
    return tuple((cut, chance.choice(lengths_s)) for cut in cuts)


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
    kind = chance.choice(RANDOM_KINDS)
    facts: Mapping[FaultKind, dict[str, float]] = {
        FaultKind.CLOCK_SKEW: {"seconds": chance.choice((1.0, 3.0, 3600.0))},
        FaultKind.LATE_VISIBILITY: {"seconds": chance.choice((1.0, 4.0))},
        FaultKind.RATE_LIMITED: {"seconds": chance.choice((2.0, 5.0, 20.0))},
    }
    return FaultRule(
        kind,
        method=_method(chance, kind),
        nth=chance.choice((1, 1, 1, 2, 3, 5, 9, 15)),
        times=chance.choice((1, 1, 1, 2, 3)),
        seconds=facts.get(kind, {}).get("seconds", 5.0),
        keep=chance.choice((0, 1, 2)),
    )


def _method(chance: Random, kind: FaultKind) -> str | None:
    """Any, where the kind itself says which requests it suits."""
    if not all(suits(kind, method, "/v2/account") for method in (ORDERS, CANCELS, READS)):
        return None
    return chance.choice((None, ORDERS, ORDERS, CANCELS, READS))
