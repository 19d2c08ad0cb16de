"""The gate between a request and the venue: lets it through, or lets a fault strike it.

It works on requests and answers, so a fault is the same in process and over HTTP; only how a lost
connection feels differs (`Answer.delivery`). What strikes is written to the venue's log with the
seed that brought it. The schedule and how far it has come are part of the book, so that a restarted
venue goes on where it was; only what a stale read would repeat is forgotten.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.identity import chance
from livekit.broker.venue.engine.records import Order
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
    schedule_of,
    schedule_text,
)
from livekit.broker.venue.rate_limit import too_many
from livekit.broker.venue.shapes import clock_json
from livekit.broker.venue.wire import JSON_TYPE, Answer, Request, json_answer, refusal_answer

__all__ = ["FaultGate"]

Take = Callable[[Request], Answer]

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
LOOP = "VEhFLUZJUlNULVBBR0U="
REMEMBERED_READS = 512
LONGEST_NOTE = 100
STRUCK, BURST, HIDDEN = "struck", "burst until", "hidden "
FATES = {
    FaultKind.ASYNC_REJECT: "reject",
    FaultKind.STUCK_LEG: "stuck",
    FaultKind.LEG_REJECTED: "reject",
    FaultKind.STOP_SWAPPED: "swap",
    FaultKind.BOTH_EXITS: "both",
    FaultKind.PARTIAL_THEN_EXPIRY: "partial",
}


class FaultGate:
    """Asks the schedule before every request of the account; control requests pass beside it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._delay_s = engine.settings.visibility_delay_s
        self.strikes: list[Strike] = []
        self._reads: OrderedDict[str, tuple[Answer, Answer | None]] = OrderedDict()
        self._follow(schedule_of(engine.state.fault_schedule))
        self._hidden = {
            name.removeprefix(HIDDEN): until_us
            for name, until_us in self._marks.items()
            if name.startswith(HIDDEN)
        }

    def install(self, schedule: FaultSchedule) -> None:
        """Follow ``schedule`` from now on; its counts begin at nought, strikes are kept."""
        kept = {
            name: count
            for name, count in self._marks.items()
            if name.startswith((f"{STRUCK} ", HIDDEN))
        }
        text = schedule_text(schedule) if schedule.rules else ""
        self._engine.state.follow_faults(text, kept)
        self._follow(schedule)

    def _follow(self, schedule: FaultSchedule) -> None:
        self.schedule = schedule
        self._remembers = any(rule.kind is FaultKind.STALE_READ for rule in schedule.rules)
        self._reads.clear()

    @property
    def _marks(self) -> dict[str, int]:
        return self._engine.state.fault_marks

    def _count(self, name: str) -> int:
        """One more of ``name``; returns how many that makes."""
        count = self._marks.get(name, 0) + 1
        self._engine.state.mark_fault(name, count)
        return count

    @property
    def requests(self) -> int:
        """Requests that came while this schedule was followed."""
        return self._marks.get("requests", 0)

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind struck since the book began; kinds that never did count 0."""
        return {kind.value: self._marks.get(f"{STRUCK} {kind}", 0) for kind in FaultKind}

    def pass_through(self, request: Request, take: Take) -> Answer:
        """The answer to ``request``: that of ``take``, or what a fault makes of it."""
        if self._delay_s and request.method == "POST":
            take = partial(self._hiding, take)
        if not self.schedule.rules:
            return self._seen(request, take(request))
        self._count("requests")
        if self._marks.get(BURST, 0) > self._now_us:
            self._record(FaultKind.RATE_LIMIT_BURST, request)
            return too_many(request.path)
        index = self._due(request)
        answer, struck = (
            (take(request), False) if index is None else self._struck_by(index, request, take)
        )
        read = request.method == "GET" and answer.status == HTTPStatus.OK
        if read and self._remembers and not struck:
            self._remember(_name_of(request), answer)
        return self._seen(request, answer)

    def _hiding(self, take: Take, request: Request) -> Answer:
        """Take an order that cannot be read for a while, as the settings say."""
        answer = take(request)
        order = self._engine.state.orders.get(str(_object(answer.body).get("id")))
        if order is not None:
            luck = chance(self._engine.settings.seed, order.client_order_id, "visibility")
            self._hide(order, luck * self._delay_s)
        return answer

    def _hide(self, order: Order, seconds: float) -> None:
        until_us = self._hidden[order.order_id] = self._in_us(seconds)
        self._engine.state.mark_fault(f"{HIDDEN}{order.order_id}", until_us)

    @property
    def _now_us(self) -> int:
        """The venue's clock in microseconds since 1970."""
        return (self._engine.now - EPOCH) // MICROSECOND

    def _in_us(self, seconds: float) -> int:
        return self._now_us + round(seconds * 1_000_000)

    # ------------------------------------------------------------------------------ which rule

    def _due(self, request: Request) -> int | None:
        symbols, client_id = self._about(request)
        phase = PHASES[self._engine.market.phase(self._engine.now).part]
        name = f"{request.method} {request.path} {client_id or ''}"
        repetition = self._count(f"asked {name}")
        for index, rule in enumerate(self.schedule.rules):
            if not rule.matches(request.method, request.path, symbols, phase):
                continue
            matches = self._count(f"matched {index}")
            if matches < rule.nth:
                continue
            if rule.times and self._marks.get(f"rule {index}", 0) >= rule.times:
                continue
            key = f"{rule.kind} {name}"
            if rule.chance >= 1 or chance(self.schedule.seed, key, repetition) < rule.chance:
                return index
        return None

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

    def _struck_by(self, index: int, request: Request, take: Take) -> tuple[Answer, bool]:
        """The answer, and whether the fault struck: one that found nothing does not count."""
        rule = self.schedule.rules[index]
        answer, struck = self._effect(rule, request, take)
        if struck:
            self._count(f"rule {index}")
            self._record(rule.kind, request)
        return answer, struck

    def _record(self, kind: FaultKind, request: Request) -> None:
        self._count(f"{STRUCK} {kind}")
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
            answer = take(request) if kind in TAKEN else Answer(204)
            if kind is FaultKind.RATE_LIMIT_BURST:
                self._engine.state.mark_fault(BURST, self._in_us(rule.seconds))
            return instead(rule, answer, self._engine.now, request.path), True
        if kind in CANCELS:
            return self._cancel(rule, request, take)
        if kind is FaultKind.PAGE_LOOP:
            return self._first_page(request, take)
        answer = take(request)
        if kind in SUBMITS:
            return answer, self._mark_order(rule, answer)
        if kind is FaultKind.CLOCK_SKEW:
            off = self._engine.now + timedelta(seconds=rule.seconds)
            return json_answer(clock_json(off)), True
        found = (
            self._before(request, answer) if kind is FaultKind.STALE_READ else spoilt(rule, answer)
        )
        return found or answer, found is not None

    def _cancel(self, rule: FaultRule, request: Request, take: Take) -> tuple[Answer, bool]:
        state = self._engine.state
        order = state.orders.get(request.path.rpartition("/")[2])
        finished = rule.kind is FaultKind.CANCEL_OF_FINISHED
        if order is None or order.is_terminal is not finished or order.status == "held":
            return take(request), False
        if rule.kind in (FaultKind.CANCEL_IGNORED, FaultKind.CANCEL_OF_FINISHED):
            return Answer(204), True
        if rule.kind is FaultKind.CANCEL_FILLS:
            order.fate = "fill"
            state.touch(order)
            return take(request), True
        if rule.kind is FaultKind.CANCEL_SLOW:
            self._engine.cancel(order, delay_s=rule.seconds)
            return Answer(204), True
        answer = take(request)
        released = order.side == "sell" and order.status == "canceled"
        if released:
            state.linger(order, self._engine.now + timedelta(seconds=rule.seconds))
        return answer, released

    def _first_page(self, request: Request, take: Take) -> tuple[Answer, bool]:
        """The first page, with a token that leads to it again; a list repeats without one."""
        asked = request.query.get("page_token")
        query = {name: text for name, text in request.query.items() if name != "page_token"}
        answer = take(replace(request, query=query))
        value = json.loads(answer.body or b"null")
        if isinstance(value, dict) and "next_page_token" in value:
            return json_answer(value | {"next_page_token": LOOP}), True
        return answer, asked is not None

    def _mark_order(self, rule: FaultRule, answer: Answer) -> bool:
        order = self._engine.state.orders.get(str(_object(answer.body).get("id")))
        if order is None:
            return False
        if rule.kind is FaultKind.LATE_VISIBILITY:
            self._hide(order, rule.seconds)
            return True
        marked = self._concerned(rule.kind, order)
        for one in marked:
            one.fate = FATES[rule.kind]
            self._engine.state.touch(one)
        return bool(marked)

    def _concerned(self, kind: FaultKind, order: Order) -> list[Order]:
        """The members of an order's group that a fault is about."""
        legs = self._engine.state.legs.get(order.order_id, [])
        if kind in (FaultKind.STUCK_LEG, FaultKind.LEG_REJECTED):
            return legs
        if kind is FaultKind.STOP_SWAPPED:
            return [one for one in (order, *legs) if one.stop_price is not None]
        if kind is FaultKind.BOTH_EXITS:
            exits = [order, *legs] if order.order_class == "oco" else legs
            return exits if len(exits) > 1 else []
        return [order]

    # ------------------------------------------------------------------------ what readers see

    def _before(self, request: Request, answer: Answer) -> Answer | None:
        """What this read answered before the last change, if it was ever asked."""
        latest, earlier = self._reads.get(_name_of(request), (None, None))
        if latest is not None and latest.body != answer.body:
            return latest
        return earlier

    def _seen(self, request: Request, answer: Answer) -> Answer:
        """The answer without the orders that are not to be seen yet."""
        if not self._hidden or not request.path.startswith("/v2/orders"):
            return answer
        if request.method != "GET" or answer.status != HTTPStatus.OK:
            return answer
        if answer.content_type != JSON_TYPE:
            return answer
        shown = self._without_hidden(request, answer)
        return replace(answer, status=shown.status, body=shown.body)

    def _remember(self, name: str, answer: Answer) -> None:
        latest, earlier = self._reads.pop(name, (None, None))
        if latest is not None and latest.body != answer.body:
            earlier = latest
        self._reads[name] = (answer, earlier)
        if len(self._reads) > REMEMBERED_READS:
            self._reads.popitem(last=False)

    def _without_hidden(self, request: Request, answer: Answer) -> Answer:
        now_us = self._now_us
        self._hidden = hidden = {
            order_id: until for order_id, until in self._hidden.items() if until > now_us
        }
        value = json.loads(answer.body)
        if isinstance(value, list):
            return json_answer([row for row in value if row["id"] not in hidden])
        if value.get("id") in hidden:
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
