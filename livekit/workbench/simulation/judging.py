"""What is judged when a simulated day has come to rest.

Every invariant of the doctor, the two stores against each other, the break ledger, the kill switch,
and how long shares were uncovered. The rule of the last, exactly: an uncovered interval may last
ten seconds of open market, plus the time in it during which the venue or the line withheld its
service (from a struck request or a crash to the next request that was answered as it should be),
plus ten seconds, the settle window, for each struck order or cancel, untrue answer or crash in it.
Whatever stays uncovered for a minute longer than that must also have raised an alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from livekit.broker.venue.ledger import UncoveredInterval
from livekit.sessions import close_instant, exchange_time, is_session, open_instant
from livekit.trading.desk import Desk
from livekit.trading.doctor import diagnose
from livekit.workbench.simulation.auditing import audit_stage
from livekit.workbench.simulation.referee import Hindrance, Referee
from livekit.workbench.simulation.stage import Stage

__all__ = ["Verdict", "allowed_uncovered_s", "foreign_trade", "judge_the_end"]

COVER_LIMIT_S = 10.0
SETTLE_S = 10.0
KILL_AFTER_S = 60.0
LIMBO = "I03"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a day: the longest uncovered time, one hash over the books, checks made."""

    worst_uncovered_s: float
    digest: str
    checks: int


def judge_the_end(
    stage: Stage, desk: Desk, referee: Referee, folder: Path, *, session_over: bool = True
) -> Verdict:
    """Judge a day that is quiet; what is broken is noted with the referee.

    While the session goes on, an intent that the venue does not show stays open on purpose, so that
    it can only be sent again under its own id; whether one is in limbo is judged once it is over.
    """
    diagnosis = diagnose(desk)
    for violation in diagnosis.violations:
        if referee.is_outside(violation.facts):
            continue
        if session_over or not violation.invariant.startswith(LIMBO):
            referee.broken(violation.invariant, violation.facts)
    for item in desk.db.open_breaks():
        if item.ticker in referee.outside or (
            item.ticker is None and foreign_trade(stage, referee)
        ):
            continue
        referee.broken("break", f"{item.kind} {item.ticker or ''}: {item.facts}")
    audit, digest = audit_stage(stage, folder)
    for difference in audit.differences:
        if not _is_excused(difference, stage, referee):
            referee.broken("audit", difference)
    worst = _judge_cover(audit.uncovered, desk, referee)
    return Verdict(worst, digest, len(diagnosis.checks))


def _is_excused(difference: str, stage: Stage, referee: Referee) -> bool:
    """What somebody else did on a ticker outside our books shows in shares, fills and cash."""
    if difference.startswith("cash: the venue has") and "our fills" in difference:
        return foreign_trade(stage, referee)
    return referee.is_outside(difference)


def foreign_trade(stage: Stage, referee: Referee) -> bool:
    """Whether somebody else has sold shares since the day began."""
    return any(
        order.ticker in referee.outside and order.order_class == "oco" and order.filled_qty
        for order in stage.state.orders.values()
    )


def _judge_cover(intervals: Sequence[UncoveredInterval], desk: Desk, referee: Referee) -> float:
    alerts = [alert for alert in desk.db.get_alerts() if alert.kind == "uncovered"]
    for interval in intervals:
        if interval.ticker in referee.outside:
            continue
        allowed = allowed_uncovered_s(interval, referee.hindrances)
        if interval.seconds > allowed:
            referee.broken(
                "I08 cover",
                f"{interval.ticker} was uncovered for {interval.seconds:.1f} s from "
                f"{interval.start:%H:%M:%S}, at most {allowed:.1f} s is excused",
            )
        if interval.seconds > KILL_AFTER_S + allowed and not alerts:
            referee.broken("I08 cover", f"{interval.ticker}: over a minute and no alert")
    ours = [one.seconds for one in intervals if one.ticker not in referee.outside]
    return max(ours, default=0.0)


def allowed_uncovered_s(interval: UncoveredInterval, hindrances: Sequence[Hindrance]) -> float:
    """How long an interval may last, in seconds of open market."""
    allowed = COVER_LIMIT_S
    for one in hindrances:
        end = one.end or interval.end
        if end < interval.start or one.start > interval.end:
            continue
        withheld = _open_seconds(max(one.start, interval.start), min(end, interval.end))
        allowed += withheld + SETTLE_S * one.uncertain
    return allowed


def _open_seconds(start: datetime, end: datetime) -> float:
    """Seconds of regular trading between two instants of one day."""
    day = exchange_time(end).date()
    if not is_session(day):
        return 0.0
    first, last = max(start, open_instant(day)), min(end, close_instant(day))
    return max(0.0, (last - first).total_seconds())
