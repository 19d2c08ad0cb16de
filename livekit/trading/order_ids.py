"""Deterministic client order ids: ``{yyyymmdd}_{TICKER}_{intent}_{side}``, then ``_a2``, ``_a3``.

The date is the session whose close comes next. A network retry repeats the same id; a
re-placement, allowed only after the last attempt is terminal, takes the next attempt number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from livekit.errors import BadInput
from livekit.model import Intent, Side

__all__ = ["OrderId", "client_order_id", "parse_client_order_id"]

_FORM = re.compile(
    r"(?P<day>\d{8})_(?P<ticker>[A-Z][A-Z0-9.\-]{0,15})_(?P<intent>entry|exit|stop)_"
    r"(?P<side>buy|sell)(?:_a(?P<attempt>[2-9]|[1-9]\d+))?"
)
_TICKER = re.compile(r"[A-Z][A-Z0-9.\-]{0,15}")


@dataclass(frozen=True, slots=True)
class OrderId:
    """The parts of a client order id of ours."""

    session: date
    ticker: str
    intent: Intent
    side: Side
    attempt: int


def client_order_id(
    session: date, ticker: str, intent: Intent, side: Side, attempt: int = 1
) -> str:
    """The id for one attempt; raises `BadInput` for a ticker outside ``[A-Z0-9.-]``."""
    if not _TICKER.fullmatch(ticker):
        raise BadInput(repr(ticker), "is not a ticker that an order id can carry")
    suffix = f"_a{attempt}" if attempt > 1 else ""
    return f"{session:%Y%m%d}_{ticker}_{intent}_{side}{suffix}"


def parse_client_order_id(text: str) -> OrderId | None:
    """The parts of an id of our form, or None for any other text."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    try:
        session = date.fromisoformat(match["day"])
    except ValueError:
        return None
    intent: Intent = match["intent"]  # type: ignore[assignment]  # the pattern admits no other
    side: Side = match["side"]  # type: ignore[assignment]
    return OrderId(session, match["ticker"], intent, side, int(match["attempt"] or 1))
