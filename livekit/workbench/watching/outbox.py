"""Delivers the alerts of the state database to every target, again and again until they arrive.

One row for each pair of alert and target says how far it came. An attempt is written down before
the message leaves, and success after the target took it; so an alert is never lost. It is told
twice only if the program dies between those two moments, and then its number says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from filelock import FileLock, Timeout

from livekit.clock import Clock
from livekit.config import Profile
from livekit.state import Alert, Delivery, StateDB
from livekit.workbench.notify import Target, apprise_send
from livekit.workbench.tables import exchange_text

__all__ = ["Delivered", "deliver", "message"]

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=6)
UNANSWERED = "sent, the answer is not known"

Send = Callable[[Target, str, str], str]


@dataclass(frozen=True, slots=True)
class Delivered:
    """How many messages arrived, how many failed now, and how many are still on their way."""

    arrived: int
    failed: int
    still_open: int


def deliver(
    profile: Profile,
    db: StateDB,
    targets: Sequence[Target],
    clock: Clock,
    *,
    send: Send = apprise_send,
) -> Delivered:
    """Send what is due to the targets that are configured now; the rest waits for its time.

    An alert is enrolled for every target that has not got it. While another process delivers,
    nothing is sent here.
    """
    try:
        with FileLock(profile.home / "notify.lock", timeout=0, mode=0o600):
            return _deliver(profile, db, targets, clock, send)
    except Timeout:
        return Delivered(0, 0, len(db.open_deliveries()))


def _deliver(
    profile: Profile, db: StateDB, targets: Sequence[Target], clock: Clock, send: Send
) -> Delivered:
    by_name = {target.name: target for target in targets}
    db.enrol_deliveries(list(by_name), clock.now())
    alerts = {alert.alert_id: alert for alert in db.get_alerts()}
    arrived = failed = 0
    for delivery in db.due_deliveries(clock.now()):
        target = by_name.get(delivery.target)
        if target is None:
            continue
        if _attempt(profile, db, delivery, target, alerts[delivery.alert_id], clock, send):
            arrived += 1
        else:
            failed += 1
    return Delivered(arrived, failed, len(db.open_deliveries()))


def _attempt(
    profile: Profile,
    db: StateDB,
    delivery: Delivery,
    target: Target,
    alert: Alert,
    clock: Clock,
    send: Send,
) -> bool:
    retry_at = clock.now() + _wait(delivery.attempts)
    db.note_attempt(delivery.delivery_id, retry_at=retry_at, trouble=UNANSWERED)
    trouble = send(target, *message(profile, alert))
    if trouble:
        db.note_trouble(delivery.delivery_id, trouble)
        return False
    db.note_delivered(delivery, clock.now())
    return True


def _wait(attempts: int) -> timedelta:
    """A minute, then twice as long each time, at most six hours."""
    return min(FIRST_WAIT * (1 << min(attempts, 16)), LONGEST_WAIT)


def message(profile: Profile, alert: Alert) -> tuple[str, str]:
    """Title and body of an alert, as plain text."""
    mark = " SIMULATED" if profile.venue == "simulated" else ""
    words = "digest" if alert.kind == "digest" else f"{alert.severity}: {alert.kind}"
    title = f"[{profile.name}{mark}] {words.replace('_', ' ')}"
    return title, f"{alert.text}\n\nalert {alert.alert_id}, {exchange_text(alert.at)}"
