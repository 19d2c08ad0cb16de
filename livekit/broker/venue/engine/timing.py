"""Instants that orders depend on: when they age, when a cancel counts, when trading opens."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from livekit.sessions import (
    EXCHANGE_ZONE,
    close_instant,
    exchange_time,
    next_session,
    open_instant,
    session_of,
    session_on_or_after,
)

__all__ = [
    "CLS_CUTOFF",
    "OPG_CUTOFF",
    "cancel_frozen_until",
    "expiry_of",
    "local_stamp",
    "next_open",
]

GTC_DAYS = 90
OPG_CUTOFF, CLS_CUTOFF = timedelta(minutes=2), timedelta(minutes=10)


@lru_cache(maxsize=1024)
def expiry_of(time_in_force: str, now: datetime) -> datetime:
    """When an order sent at ``now`` ages: the close of its session, or 16:00 after 90 days."""
    if time_in_force == "opg":
        return open_instant(session_of(now))
    if time_in_force != "gtc":
        return close_instant(session_of(now))
    last = exchange_time(now).date() + timedelta(days=GTC_DAYS)
    return datetime.combine(last, time(16), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


def cancel_frozen_until(time_in_force: str, now: datetime) -> datetime | None:
    """A second after the auction of an order that can no longer be cancelled; else None.

    Exchanges stop cancels two minutes before the opening and ten before the closing auction.
    """
    if time_in_force not in ("opg", "cls"):
        return None
    session = session_of(now)
    auction, freeze = open_instant(session), OPG_CUTOFF
    if time_in_force == "cls":
        auction, freeze = close_instant(session), CLS_CUTOFF
    return auction + timedelta(seconds=1) if auction - freeze <= now < auction else None


@lru_cache(maxsize=1024)
def local_stamp(instant: datetime) -> str:
    """New York time to the millisecond, as activity ids begin."""
    return exchange_time(instant).strftime("%Y%m%d%H%M%S%f")[:-3]


def next_open(now: datetime) -> datetime:
    """The first opening instant after ``now``."""
    session = session_on_or_after(exchange_time(now).date())
    opens = open_instant(session)
    return opens if opens > now else open_instant(next_session(session))
