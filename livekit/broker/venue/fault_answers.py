"""What a fault makes of an answer: lost, replaced by an error page, or spoilt in its shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.broker.venue.rate_limit import limit_headers, too_many
from livekit.broker.venue.wire import Answer, Delivery, json_answer, refusal_answer

__all__ = ["INSTEAD", "TAKEN", "instead", "spoilt"]

LOST: dict[FaultKind, Delivery] = {
    FaultKind.UNREACHABLE: "unreachable",
    FaultKind.TIMEOUT_BEFORE: "silence",
    FaultKind.ANSWER_LOST: "silence",
    FaultKind.RESET_BEFORE: "reset",
    FaultKind.RESET_AFTER: "reset",
    FaultKind.SLOW_DRIP: "drip",
}
TAKEN = frozenset(
    {
        FaultKind.ANSWER_LOST,
        FaultKind.RESET_AFTER,
        FaultKind.SLOW_DRIP,
        FaultKind.SERVER_ERROR_TAKEN,
        FaultKind.BAD_GATEWAY_TAKEN,
        FaultKind.GATEWAY_TIMEOUT_TAKEN,
        FaultKind.NOT_JSON,
    }
)
LIMITS = frozenset(
    {FaultKind.RATE_LIMITED, FaultKind.RATE_LIMITED_BARE, FaultKind.RATE_LIMIT_BURST}
)
LIMIT_A_MINUTE = 200
NEVER_HEARD_OF = "settling_elsewhere"
ENUMERATED = ("status", "order_status")
NEVER_NULL = ("submitted_at", "avg_entry_price", "next_open", "bars", "status", "order_id", "id")
LEFT_OUT = ("easy_to_borrow", "updated_at", "asset_marginable", "next_open", "vw", "account_number")


def _page(status: int, title: str) -> Answer:
    name = f"{status} {title}"
    text = (
        f"<html>\r\n<head><title>{name}</title></head>\r\n<body>\r\n<center><h1>{name}</h1></center>"
        "\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, text.encode(), "text/html")


SERVER_ERROR = refusal_answer(Refusal(500, 50010000, "internal server error occurred"))
BAD_GATEWAY = _page(502, "Bad Gateway")
GATEWAY_TIMEOUT = refusal_answer(Refusal(504, 50410000, "request timed out"))
REPLIES: dict[FaultKind, Answer] = {
    FaultKind.UNAUTHORIZED: json_answer({"message": "unauthorized."}, 401),
    FaultKind.SERVER_ERROR: SERVER_ERROR,
    FaultKind.SERVER_ERROR_TAKEN: SERVER_ERROR,
    FaultKind.BAD_GATEWAY: BAD_GATEWAY,
    FaultKind.BAD_GATEWAY_TAKEN: BAD_GATEWAY,
    FaultKind.GATEWAY_TIMEOUT: GATEWAY_TIMEOUT,
    FaultKind.GATEWAY_TIMEOUT_TAKEN: GATEWAY_TIMEOUT,
    FaultKind.REDIRECT: Answer(302, more_headers=(("location", "https://example.invalid/"),)),
    FaultKind.NOT_JSON: replace(_page(200, "Maintenance"), content_type="text/html"),
}
INSTEAD = frozenset(LOST) | frozenset(REPLIES) | LIMITS


def instead(rule: FaultRule, answer: Answer, now: datetime, path: str) -> Answer:
    """What a lost connection or an error leaves of ``answer``, which ``path`` was asked for."""
    if rule.kind in LOST:
        return replace(answer, delivery=LOST[rule.kind], delay_s=rule.seconds)
    if rule.kind in LIMITS:
        limited = too_many(path)
        reset = now + timedelta(seconds=rule.seconds)
        headers = limit_headers(LIMIT_A_MINUTE, 0, reset)
        told = rule.kind is FaultKind.RATE_LIMITED
        return replace(limited, more_headers=headers) if told else limited
    return REPLIES[rule.kind]


def spoilt(rule: FaultRule, answer: Answer) -> Answer | None:
    """``answer`` in another shape, or None when it has nothing to spoil."""
    if answer.status >= 300 or not answer.body:
        return None
    value = json.loads(answer.body)
    if rule.kind is FaultKind.TRUNCATED_LIST:
        if not isinstance(value, list) or len(value) <= rule.keep:
            return None
        return replace(answer, body=json_answer(value[: rule.keep]).body)
    return replace(answer, body=json_answer(value).body) if SPOILERS[rule.kind](value) else None


def _rows(value: Any) -> list[dict[str, Any]]:
    """The objects of an answer: itself, or those of its lists, the last first."""
    if isinstance(value, dict):
        return [value] + [row for part in value.values() for row in _rows(part)]
    if isinstance(value, list):
        return [row for part in reversed(value) for row in _rows(part)]
    return []


def _change_first(names: tuple[str, ...], change: Callable[[dict[str, Any], str], Any]) -> Any:
    def spoil(value: Any) -> bool:
        for name in names:
            for row in _rows(value):
                if row.get(name) is not None:
                    change(row, name)
                    return True
        return False

    return spoil


def _add_keys(value: Any) -> bool:
    rows = _rows(value)
    for row in rows:
        row["not_seen_before"] = {"nested": [1, None, "x"]}
    return bool(rows)


def _drop_symbol(value: Any) -> bool:
    """Market data of several symbols lose the first."""
    for name in ("bars", "trades", "quotes"):
        found = value.get(name) if isinstance(value, dict) else None
        if isinstance(found, dict) and found:
            del found[min(found)]
            return True
    return False


def _drop_bars(value: Any) -> bool:
    """Every list of bars loses its last one."""
    found = value.get("bars") if isinstance(value, dict) else None
    lists = [rows for rows in (found.values() if isinstance(found, dict) else [found]) if rows]
    for rows in lists:
        rows.pop()
    return bool(lists)


SPOILERS: dict[FaultKind, Callable[[Any], bool]] = {
    FaultKind.UNKNOWN_ENUM: _change_first(
        ENUMERATED, lambda row, name: row.update({name: NEVER_HEARD_OF})
    ),
    FaultKind.NULL_VALUE: _change_first(NEVER_NULL, lambda row, name: row.update({name: None})),
    FaultKind.MISSING_FIELD: _change_first(LEFT_OUT, lambda row, name: row.pop(name)),
    FaultKind.EXTRA_KEYS: _add_keys,
    FaultKind.MISSING_SYMBOLS: _drop_symbol,
    FaultKind.STALE_BARS: _drop_bars,
}
