"""Invariants of the record: exits, switch, plans, tokens, reconciliations, weeks, runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from livekit.config import require_allowed_host
from livekit.errors import HostRefused
from livekit.invariants.facts import LOCALLY_OVER, Facts, cover_gaps
from livekit.model import ENTRY, EXIT, MANUAL, PROTECTIVE_STOP, Order
from livekit.sessions import close_instant, is_session, previous_session, week_end

__all__ = ["OBSERVING", "RECORD_CHECKS"]

OBSERVING = ("comparison",)  # phases that only look
TIMED = ("signals", "execution", "executor", "protect")


def _exit_is_whole(facts: Facts) -> Iterable[str]:
    ended = {
        order.position_id
        for order in facts.ours.orders
        if order.intent == EXIT and order.status in LOCALLY_OVER and order.remaining_qty
    }
    for position, covered, needed in cover_gaps(facts):
        if position.position_id in ended:
            yield f"{position.ticker}: an exit ended and left {needed - covered} shares bare"


def _protected_when_stopped(facts: Facts) -> Iterable[str]:
    if facts.ours.switch.on:
        for position, covered, needed in cover_gaps(facts):
            yield f"{position.ticker}: the switch is on and {covered} of {needed} are covered"


def _switch_obeyed(facts: Facts) -> Iterable[str]:
    switch = facts.ours.switch
    if switch.text not in (None, "on", "off"):
        yield f"its value is {switch.text!r}, which counts as on"
    for order in facts.ours.orders:
        sent = order.intent == ENTRY and order.outcome in ("confirmed", "unknown")
        late = switch.on and switch.since is not None and order.created_at is not None
        if sent and late and order.created_at > switch.since:  # type: ignore[operator]
            yield f"{order.client_order_id} was begun after the switch went on at {switch.since}"


def _fresh_plan(facts: Facts) -> Iterable[str]:
    plans = {plan.plan_id: plan for plan in facts.ours.plans}
    for plan in plans.values():
        if plan.sha256 != plan.body_sha256:
            yield f"plan {plan.plan_id} of {plan.session} does not match its hash"
    for order in facts.ours.orders:
        named = plans.get(order.plan_id) if order.plan_id is not None else None
        if order.intent != ENTRY or named is None:
            continue
        if named.session != order.trade_date:
            yield f"{order.client_order_id} follows the plan of {named.session}"
        if named.created_at < close_instant(previous_session(named.session)):
            yield f"{order.client_order_id} follows a plan of {named.created_at}, before the close"


def _one_writer(facts: Facts) -> Iterable[str]:
    marked = [order for order in facts.ours.orders if order.fencing_token is not None]
    for earlier, later in pairwise(sorted(marked, key=lambda order: order.order_id or 0)):
        if (earlier.fencing_token or 0) > (later.fencing_token or 0):
            yield f"{later.client_order_id} carries an older token than {earlier.client_order_id}"
    newest = facts.ours.token or 0
    for order in marked:
        if (order.fencing_token or 0) > newest:
            yield f"{order.client_order_id} carries token {order.fencing_token}, newest is {newest}"


def _paper_only(facts: Facts) -> Iterable[str]:
    try:
        require_allowed_host(facts.config.alpaca_base_url)
    except HostRefused as error:
        yield str(error)


def _weeks_once(facts: Facts) -> Iterable[str]:
    for (key, day), count in Counter(
        (week.position_key, week.week_end) for week in facts.ours.weeks
    ).items():
        if count > 1:
            yield f"position {key}: the week ending {day} was evaluated {count} times"
    for week in facts.ours.weeks:
        if not is_session(week.week_end) or week_end(week.week_end) != week.week_end:
            yield f"position {week.position_key}: {week.week_end} ends no week"
        if week.evaluated_on < week.week_end:
            yield f"position {week.position_key}: {week.week_end} was evaluated before it ended"


def _bounded_time(facts: Facts) -> Iterable[str]:
    for run in facts.ours.runs:
        if run.phase not in TIMED or run.finished_at is None:
            continue
        if run.started_at < close_instant(run.session) < run.finished_at:
            yield f"{run.phase} of {run.session} ended after the close, at {run.finished_at}"


def _durable(facts: Facts) -> Iterable[str]:
    if facts.ours.soundness != "ok":
        yield f"the database says {facts.ours.soundness}"


def _truthful_exit(facts: Facts) -> Iterable[str]:
    for run in facts.ours.runs:
        if run.finished_at is None:
            continue
        good = run.exit_code in ((0,) if run.phase == "executor" else (0, 5))
        if good != (run.status == "done"):
            yield f"{run.phase} of {run.session} is {run.status} with exit code {run.exit_code}"
        if run.exit_code == 7 and not run.alarmed:
            yield f"{run.phase} of {run.session} left shares uncovered without an alert"


def _reconciled_first(facts: Facts) -> Iterable[str]:
    for order in facts.ours.orders:
        if order.fencing_token is None or not _follows_a_plan(order):
            continue
        found = facts.ours.reconciled.get(order.fencing_token)
        if found is None or (order.order_id or 0) <= found:
            yield f"{order.client_order_id} was begun before its run had reconciled"


def _follows_a_plan(order: Order) -> bool:
    """Entries and decided exits; what protects waits for nothing."""
    return order.intent in (ENTRY, EXIT) and order.reason not in (PROTECTIVE_STOP, MANUAL)


def _observers_observe(facts: Facts) -> Iterable[str]:
    for order in facts.ours.orders:
        if order.plan_id in facts.ours.observed_plans:
            yield f"{order.client_order_id} follows a plan that is only observed"
    for run in facts.ours.runs:
        if run.phase in OBSERVING and run.changes_sent:
            yield f"{run.phase} of {run.session} sent {run.changes_sent} orders or cancels"


RECORD_CHECKS: Mapping[str, Callable[[Facts], Iterable[str]]] = {
    "I11 exit atomic in effect": _exit_is_whole,
    "I12 protection survives the kill switch": _protected_when_stopped,
    "I13 kill switch": _switch_obeyed,
    "I15 fresh signal": _fresh_plan,
    "I16 reconcile before act": _reconciled_first,
    "I18 single writer": _one_writer,
    "I19 paper only": _paper_only,
    "I20 observers observe": _observers_observe,
    "I24 week end exactly once": _weeks_once,
    "I27 bounded time": _bounded_time,
    "I28 durability": _durable,
    "I29 truthful exit": _truthful_exit,
}
