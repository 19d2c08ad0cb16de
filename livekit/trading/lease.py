"""The lease: a fencing token beside the operating system's lock.

Each run that acts takes the next token. Before each request that changes something the token is
compared with the one in the database: a process that slept through a take-over finds a newer one
and stops before it sends.
"""

from __future__ import annotations

from dataclasses import replace

from livekit.errors import LockHeld
from livekit.trading.desk import Desk

__all__ = ["require_lease", "take_lease"]

TOKEN = "fencing_token"  # noqa: S105 - the name of a row


def take_lease(desk: Desk) -> Desk:
    """The same desk with the next token, which makes all earlier ones void."""
    with desk.db.transaction():
        token = (desk.db.read_config(TOKEN, int) or 0) + 1
        desk.db.set_config(TOKEN, str(token))
    return replace(desk, lease=token)


def require_lease(desk: Desk) -> None:
    """Raise `LockHeld` when another run has taken the lease since."""
    if desk.lease is not None and desk.db.get_config(TOKEN) != str(desk.lease):
        raise LockHeld("the lease")
