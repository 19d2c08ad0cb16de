"""What can go wrong, as values: kinds of faults, the rules by which they strike, the schedule.

A rule names a kind and the requests it is for: by method, path, symbol and phase of the day, from
the n-th match on, for so many strikes, each with a chance. Chance is a hash of (seed, request,
repetition), so another request more or less moves no other fault.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from livekit.broker.venue.engine.refusals import invalid

__all__ = [
    "FaultKind",
    "FaultRule",
    "FaultSchedule",
    "Strike",
    "rule_from_json",
    "schedule_of",
    "schedule_text",
    "suits",
]

PHASES = ("night", "dawn", "pre", "open", "low", "high", "close")
REGULAR = frozenset({"open", "low", "high"})
LONGEST_S = 86_400.0
MOST_RULES = 200


class FaultKind(StrEnum):
    """One way to go wrong. *Taken* says that the request had its effect all the same."""

    UNREACHABLE = "unreachable"  # no connection; nothing taken
    TIMEOUT_BEFORE = "timeout_before"  # no answer; nothing taken
    ANSWER_LOST = "answer_lost"  # taken, no answer
    RESET_BEFORE = "reset_before"  # connection reset; nothing taken
    RESET_AFTER = "reset_after"  # taken, then connection reset
    SLOW_DRIP = "slow_drip"  # taken, the answer comes byte by byte
    RATE_LIMITED = "rate_limited"  # 429 with the headers of the rate limit
    RATE_LIMITED_BARE = "rate_limited_bare"  # 429 without them
    RATE_LIMIT_BURST = "rate_limit_burst"  # 429 to everything for a while
    UNAUTHORIZED = "unauthorized"  # 401 without a code
    SERVER_ERROR = "server_error"  # 500, nothing taken
    SERVER_ERROR_TAKEN = "server_error_taken"
    BAD_GATEWAY = "bad_gateway"  # 502 with an HTML page, nothing taken
    BAD_GATEWAY_TAKEN = "bad_gateway_taken"
    GATEWAY_TIMEOUT = "gateway_timeout"  # 504, nothing taken
    GATEWAY_TIMEOUT_TAKEN = "gateway_timeout_taken"
    REDIRECT = "redirect"  # 302 with an empty body; nothing taken
    NOT_JSON = "not_json"  # taken, answered 200 with a page
    UNKNOWN_ENUM = "unknown_enum"  # taken, a status no SDK knows
    NULL_VALUE = "null_value"  # taken, null where alpaca-py wants a value
    MISSING_FIELD = "missing_field"  # taken, a field left out
    EXTRA_KEYS = "extra_keys"  # taken, fields that nobody knows
    STALE_READ = "stale_read"  # an answer from before the last change
    TRUNCATED_LIST = "truncated_list"  # a list without its last rows
    LATE_VISIBILITY = "late_visibility"  # a new order cannot be read for a while
    PAGE_LOOP = "page_loop"  # the first page again, whatever page is asked for
    MISSING_SYMBOLS = "missing_symbols"  # market data without the first symbol
    STALE_BARS = "stale_bars"  # bars without the last one
    CLOCK_SKEW = "clock_skew"  # the clock endpoint is off
    ASYNC_REJECT = "async_reject"  # accepted, then rejected
    STUCK_LEG = "stuck_leg"  # a leg that stays held after its entry has filled
    LEG_REJECTED = "leg_rejected"  # a leg that is rejected when its entry has filled
    STOP_SWAPPED = "stop_swapped"  # a stop that, triggered, is replaced by an order that fills
    BOTH_EXITS = "both_exits"  # profit and stop of a group are both filled
    PARTIAL_THEN_EXPIRY = "partial_then_expiry"  # half is filled, the rest dies at the close
    CANCEL_FILLS = "cancel_fills"  # 204, pending_cancel, filled
    CANCEL_IGNORED = "cancel_ignored"  # 204 without effect
    CANCEL_SLOW = "cancel_slow"  # 204, pending_cancel for a while, canceled
    CANCEL_OF_FINISHED = "cancel_of_finished"  # 204 though the order is finished
    RELEASE_LATE = "release_late"  # canceled, but its shares are free only later


SUBMITS = frozenset(
    {
        FaultKind.ASYNC_REJECT,
        FaultKind.STUCK_LEG,
        FaultKind.LEG_REJECTED,
        FaultKind.STOP_SWAPPED,
        FaultKind.BOTH_EXITS,
        FaultKind.PARTIAL_THEN_EXPIRY,
        FaultKind.LATE_VISIBILITY,
    }
)
CANCELS = frozenset(
    {
        FaultKind.CANCEL_FILLS,
        FaultKind.CANCEL_IGNORED,
        FaultKind.CANCEL_SLOW,
        FaultKind.CANCEL_OF_FINISHED,
        FaultKind.RELEASE_LATE,
    }
)
MARKET_DATA = frozenset({FaultKind.MISSING_SYMBOLS, FaultKind.STALE_BARS})
PAGED = ("/v2/stocks/*", "/v1/corporate-actions", "/v2/account/activities*")
READS = frozenset({FaultKind.STALE_READ, FaultKind.TRUNCATED_LIST})


def suits(kind: FaultKind, method: str, path: str) -> bool:
    """Whether a fault of this kind means anything for such a request."""
    if kind in SUBMITS:
        return (method, path) == ("POST", "/v2/orders")
    if kind in CANCELS:
        return method == "DELETE" and path.startswith("/v2/orders/")
    if kind in MARKET_DATA:
        return method == "GET" and path.startswith("/v2/stocks/")
    if kind is FaultKind.PAGE_LOOP:
        return method == "GET" and any(fnmatchcase(path, pattern) for pattern in PAGED)
    if kind is FaultKind.CLOCK_SKEW:
        return (method, path) == ("GET", "/v2/clock")
    return method == "GET" or kind not in READS


@dataclass(frozen=True, slots=True)
class FaultRule:
    """When a fault strikes.

    ``path`` is a shell pattern, ``symbol`` must be among those of the request, ``phase`` one of
    night, dawn, pre, open, low, high, close, or ``regular``. It strikes from the ``nth`` matching
    request on, ``times`` times (0: without end), each time with ``chance``. ``seconds`` is how
    long a silence, a drip, an invisibility, a slow cancel or a late release lasts, the window of a
    rate limit, or by how much the clock is off; ``keep`` how many rows a truncated list keeps.
    """

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    symbol: str | None = None
    phase: str | None = None
    nth: int = 1
    times: int = 1
    chance: float = 1.0
    seconds: float = 30.0
    keep: int = 50

    def matches(self, method: str, path: str, symbols: Iterable[str], phase: str) -> bool:
        """Whether the rule is for such a request at such a time."""
        return (
            suits(self.kind, method, path)
            and self.method in (None, method)
            and (self.path is None or fnmatchcase(path, self.path))
            and (self.symbol is None or self.symbol in symbols)
            and (self.phase in (None, phase) or (self.phase == "regular" and phase in REGULAR))
        )


@dataclass(frozen=True, slots=True)
class FaultSchedule:
    """Rules in the order in which they are asked, and the seed of their chances."""

    rules: tuple[FaultRule, ...] = ()
    seed: int = 1

    @classmethod
    def random(
        cls, seed: int, chance: float, kinds: Iterable[FaultKind] = tuple(FaultKind)
    ) -> FaultSchedule:
        """Each kind strikes each request that it suits with ``chance`` (0 to 1), without end."""
        return cls(tuple(FaultRule(kind, times=0, chance=chance) for kind in kinds), seed)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that struck; ``request`` counts the requests while a schedule was followed."""

    number: int
    at: datetime
    kind: FaultKind
    seed: int
    request: int
    method: str
    path: str
    symbol: str
    client_order_id: str | None = None

    @property
    def text(self) -> str:
        """One line for the log."""
        return (
            f"fault {self.kind} (seed {self.seed}) struck request {self.request}: "
            f"{self.method} {self.path}"
        )


def schedule_text(schedule: FaultSchedule) -> str:
    """A schedule as JSON; `schedule_of` reads it back."""
    rules = [asdict(rule) for rule in schedule.rules]
    return json.dumps({"seed": schedule.seed, "rules": rules})


def schedule_of(text: str) -> FaultSchedule:
    """The schedule that `schedule_text` wrote; an empty text is none."""
    if not text:
        return FaultSchedule()
    written = json.loads(text)
    rules = (FaultRule(**row | {"kind": FaultKind(row["kind"])}) for row in written["rules"])
    return FaultSchedule(tuple(rules), written["seed"])


def rule_from_json(row: Any) -> FaultRule:
    """A rule as the control interface writes it; raises `Refusal` for one that is malformed."""
    known = {item.name for item in fields(FaultRule)}
    if (
        not isinstance(row, dict)
        or not row.keys() <= known
        or row.get("kind") not in set(FaultKind)
    ):
        raise invalid("a fault rule is an object with a known kind and known fields")
    _require(row, ("method", "path", "symbol", "phase"), str)
    _require(row, ("nth", "times", "keep"), int)
    _require(row, ("chance", "seconds"), (int, Decimal))
    numbers = {name: float(row[name]) for name in ("chance", "seconds") if name in row}
    if not all(0 <= number <= LONGEST_S for number in numbers.values()):
        raise invalid("chance and seconds must be between 0 and 86400")
    if row.get("phase", "open") not in (*PHASES, "regular"):
        raise invalid("invalid phase")
    return FaultRule(**(row | {"kind": FaultKind(row["kind"])} | numbers))


def _require(row: Mapping[str, Any], names: tuple[str, ...], kind: type | tuple[type, ...]) -> None:
    for name in names:
        value = row.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise invalid(f"invalid {name}")
        if name in row and value is None:
            raise invalid(f"invalid {name}")
