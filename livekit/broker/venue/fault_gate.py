"""The gate between a request and the venue: lets it through, or lets a fault strike it.

It works on requests and answers, so a fault is the same in process and over HTTP; only how a lost
connection feels differs (`Answer.delivery`). What strikes is written to the venue's log with the
seed that brought it.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.identity import chance
from livekit.broker.venue.engine.refusals import not_found
from livekit.broker.venue.fault_answers import INSTEAD, TAKEN, instead, spoilt
from livekit.broker.venue.faults import (
    CANCELS,
    PHASES,
    SUBMITS,
    FaultKind,
    FaultRule,
    FaultSchedule,
    Strike,
)
from livekit.broker.venue.shapes import clock_json
from livekit.broker.venue.wire import Answer, Request, json_answer, refusal_answer

__all__ = ["FaultGate"]

Take = Callable[[], Answer]

REMEMBERED_READS = 512
LONGEST_NOTE = 100
FATES = {
    FaultKind.ASYNC_REJECT: "reject",
    FaultKind.STUCK_LEG: "stuck",
    FaultKind.PARTIAL_THEN_EXPIRY: "partial",
}


class FaultGate:
    """Asks the schedule before every request of the account; control requests pass beside it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.requests = 0
        self.strikes: list[Strike] = []
        self._hidden: dict[str, tuple[str, datetime]] = {}
        self._reads: OrderedDict[str, tuple[Answer, Answer | None]] = OrderedDict()
        self.install(FaultSchedule())

    def install(self, schedule: FaultSchedule) -> None:
        """Follow ``schedule`` from now on; its counts begin at nought, strikes are kept."""
        self.schedule = schedule
        self._matches: Counter[int] = Counter()
        self._struck: Counter[int] = Counter()
        self._repetitions: Counter[str] = Counter()
        self._remembers = any(rule.kind is FaultKind.STALE_READ for rule in schedule.rules)
        self._reads.clear()

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind struck since the venue started; kinds that never did count 0."""
        struck = Counter(strike.kind for strike in self.strikes)
        return {kind.value: struck[kind] for kind in FaultKind}

    def pass_through(self, request: Request, take: Take) -> Answer:
        """The answer to ``request``: that of ``take``, or what a fault makes of it."""
        self.requests += 1
        if not self.schedule.rules and not self._hidden:
            return take()
        index = self._due(request)
        answer = take() if index is None else self._struck_by(index, request, take)
        return self._seen(request, answer)

    # ------------------------------------------------------------------------------ which rule

    def _due(self, request: Request) -> int | None:
        symbols, client_id = self._about(request)
        phase = PHASES[self._engine.market.phase(self._engine.now).part]
        name = f"{request.method} {request.path} {client_id or ''}"
        self._repetitions[name] += 1
        for index, rule in enumerate(self.schedule.rules):
            if not rule.matches(request.method, request.path, symbols, phase):
                continue
            self._matches[index] += 1
            if self._is_due(index, rule, name):
                return index
        return None

    def _is_due(self, index: int, rule: FaultRule, name: str) -> bool:
        if self._matches[index] < rule.nth or (rule.times and self._struck[index] >= rule.times):
            return False
        key = f"{rule.kind} {name}"
        return (
            rule.chance >= 1
            or chance(self.schedule.seed, key, self._repetitions[name]) < rule.chance
        )

    def _about(self, request: Request) -> tuple[set[str], str | None]:
        """Symbols and client order id that a request speaks of."""
        symbols = set(request.words("symbols"))
        parts = request.path.split("/")
        client_id = request.query.get("client_order_id")
        if len(parts) > 3:
            order = self._engine.state.orders.get(parts[3])
            symbols.add(order.ticker if order else parts[3])
        if request.method == "POST":
            body = _object(request.body)
            symbols.add(str(body.get("symbol")))
            client_id = str(body.get("client_order_id"))
        return symbols, client_id

    # ------------------------------------------------------------------------------- its effect

    def _struck_by(self, index: int, request: Request, take: Take) -> Answer:
        """The answer after the fault; a fault that found nothing to strike does not count."""
        rule = self.schedule.rules[index]
        answer, struck = self._effect(rule, request, take)
        if struck:
            self._struck[index] += 1
            self._record(rule.kind, request)
        return answer

    def _record(self, kind: FaultKind, request: Request) -> None:
        symbols, client_id = self._about(request)
        strike = Strike(
            len(self.strikes) + 1,
            self._engine.now,
            kind,
            self.schedule.seed,
            self.requests,
            request.method,
            request.path,
            ",".join(sorted(symbols))[:LONGEST_NOTE],
            client_id,
        )
        self.strikes.append(strike)
        self._engine.state.log_fault(strike.symbol, strike.client_order_id, strike.text)

    def _effect(self, rule: FaultRule, request: Request, take: Take) -> tuple[Answer, bool]:
        """The answer, and whether the fault had an effect."""
        kind = rule.kind
        if kind in INSTEAD:
            answer = take() if kind in TAKEN else Answer(204)
            return instead(rule, answer, self._engine.now), True
        if kind in CANCELS:
            return self._cancel(kind, request, take)
        answer = take()
        if kind in SUBMITS:
            return answer, self._mark_order(rule, answer)
        if kind is FaultKind.CLOCK_SKEW:
            off = self._engine.now + timedelta(seconds=rule.seconds)
            return json_answer(clock_json(off)), True
        found = (
            self._before(request, answer) if kind is FaultKind.STALE_READ else spoilt(rule, answer)
        )
        return found or answer, found is not None

    def _cancel(self, kind: FaultKind, request: Request, take: Take) -> tuple[Answer, bool]:
        order = self._engine.state.orders.get(request.path.rpartition("/")[2])
        if order is None or order.is_terminal or order.status == "held":
            return take(), False
        if kind is FaultKind.CANCEL_IGNORED:
            return Answer(204), True
        order.fate = "fill"
        self._engine.state.touch(order)
        return take(), True

    def _mark_order(self, rule: FaultRule, answer: Answer) -> bool:
        order = self._engine.state.orders.get(str(_object(answer.body).get("id")))
        if order is None:
            return False
        if rule.kind is FaultKind.LATE_VISIBILITY:
            until = self._engine.now + timedelta(seconds=rule.seconds)
            self._hidden[order.order_id] = (order.client_order_id, until)
            return True
        marked = [order]
        if rule.kind is FaultKind.STUCK_LEG:
            marked = self._engine.state.legs.get(order.order_id, [])
        for one in marked:
            one.fate = FATES[rule.kind]
            self._engine.state.touch(one)
        return bool(marked)

    # ------------------------------------------------------------------------ what readers see

    def _before(self, request: Request, answer: Answer) -> Answer | None:
        """What this read answered before the last change, if it was ever asked."""
        latest, earlier = self._reads.get(_name_of(request), (None, None))
        if latest is not None and latest.body != answer.body:
            return latest
        return earlier

    def _seen(self, request: Request, answer: Answer) -> Answer:
        """Remember a read for a later stale one, and leave orders out that are not to be seen."""
        if request.method != "GET" or answer.status != HTTPStatus.OK:
            return answer
        if self._remembers:
            self._remember(_name_of(request), answer)
        if self._hidden and request.path.startswith("/v2/orders"):
            return self._without_hidden(request, answer)
        return answer

    def _remember(self, name: str, answer: Answer) -> None:
        latest, earlier = self._reads.pop(name, (None, None))
        if latest is not None and latest.body != answer.body:
            earlier = latest
        self._reads[name] = (answer, earlier)
        if len(self._reads) > REMEMBERED_READS:
            self._reads.popitem(last=False)

    def _without_hidden(self, request: Request, answer: Answer) -> Answer:
        now = self._engine.now
        self._hidden = {key: item for key, item in self._hidden.items() if item[1] > now}
        value = json.loads(answer.body)
        if isinstance(value, list):
            return json_answer([row for row in value if row["id"] not in self._hidden])
        if value.get("id") in self._hidden:
            asked = request.query.get("client_order_id", value["id"])
            return refusal_answer(not_found(f"order not found for {asked}"))
        return answer


def _name_of(request: Request) -> str:
    return f"{request.path}?{sorted(request.query.items())}"


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, empty if it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
