"""Requests and answers as values, and the small grammar that all endpoints share."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

from livekit.broker.venue.engine.records import plain
from livekit.broker.venue.engine.refusals import Refusal, invalid
from livekit.sessions import EXCHANGE_ZONE

__all__ = [
    "Answer",
    "Delivery",
    "Request",
    "amount",
    "cents",
    "data_refusal",
    "feed_of",
    "json_answer",
    "parse_instant",
    "refusal_answer",
    "refusal_body",
    "stamp",
    "symbols_of",
]

Delivery = Literal["whole", "unreachable", "reset", "silence", "drip"]

LOSSES = frozenset({"unreachable", "reset", "silence"})
DRIPS = 20  # pieces of a body that drips
SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}(\.[A-Z]{1,3})?")
FEEDS = ("sip", "iex", "delayed_sip", "otc", "boats", "overnight")
JSON_TYPE = "application/json; charset=UTF-8"
TRUE_WORDS = frozenset({"true", "1", "t"})
FALSE_WORDS = frozenset({"false", "0", "f", ""})


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, content type and body of an answer.

    ``delivery`` other than ``whole`` is a fault: the connection is not made, breaks, stays silent
    for ``delay_s`` seconds and breaks, or the body drips for as long.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    more_headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = "whole"
    delay_s: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        kind = {"content-type": self.content_type} if self.body else {}
        return kind | dict(self.more_headers)


def json_answer(value: Any, status: int = 200) -> Answer:
    """``value`` as a JSON body."""
    return Answer(status, ENCODER.encode(value).encode())


def refusal_answer(refusal: Refusal) -> Answer:
    """A refusal as Alpaca words it: code, message and extra fields in one object."""
    return json_answer(refusal_body(refusal), refusal.status)


def refusal_body(refusal: Refusal) -> dict[str, Any]:
    """The JSON object of a refusal."""
    code = {} if refusal.code is None else {"code": refusal.code}
    return code | {"message": refusal.message} | refusal.extras


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its query decoded (the last value of a repeated name counts)."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""
    captured: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, method: str, path: str, query: str, body: bytes) -> Request:
        """Decode path and query; any text is accepted."""
        pairs = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        return cls(method.upper(), unquote(path) if "%" in path else path, pairs, body)

    def text(self, name: str, default: str = "") -> str:
        """A query value."""
        return self.query.get(name) or default

    def words(self, name: str) -> list[str]:
        """A comma-separated query value; empty without one."""
        return [word for word in self.text(name).split(",") if word]

    def flag(self, name: str) -> bool:
        """A boolean query value; ``True`` and ``true`` are the same."""
        word = self.text(name).lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise invalid(f"invalid {name}")
        return word in TRUE_WORDS

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """A query value that must be one of ``choices``."""
        value = self.text(name, default)
        if value not in choices:
            raise invalid(f"invalid {name}")
        return value

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number between ``low`` and ``high``."""
        text = self.text(name)
        if not text:
            return default
        if (
            not text.isascii()
            or not text.isdigit()
            or len(text) > 9
            or not low <= int(text) <= high
        ):
            raise invalid(f"{name} must be between {low} and {high}")
        return int(text)

    def instant(self, name: str, *, day_end: bool = False) -> datetime | None:
        """An instant, or a date as its first (or last) moment in New York; None if absent."""
        text = self.text(name)
        return parse_instant(text, name, day_end=day_end) if text else None

    def day(self, name: str) -> date | None:
        """A date, also when it is written as an instant."""
        text = self.text(name)
        if not text:
            return None
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            raise invalid(f"invalid {name}") from None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object with exact decimals."""
        try:
            value = DECODER.decode(self.body.decode())
        except (ValueError, RecursionError):
            raise Refusal(400, 40010000, "request body format is invalid") from None
        if not isinstance(value, dict):
            raise Refusal(400, 40010000, "request body format is invalid")
        return value


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def parse_instant(text: str, name: str, *, day_end: bool = False) -> datetime:
    """Read RFC 3339, an epoch or a date; a time without a zone is UTC."""
    try:
        if len(text) == 10 and text[4] == "-":
            moment = time.max if day_end else time.min
            local = datetime.combine(date.fromisoformat(text), moment, tzinfo=EXCHANGE_ZONE)
            return local.astimezone(UTC)
        given = datetime.fromisoformat(text.replace(" ", "+"))
        aware = given if given.tzinfo else given.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(f"invalid {name}") from None


def stamp(instant: datetime | None) -> str | None:
    """An instant as Alpaca writes it: RFC 3339 in UTC without trailing zeros."""
    return None if instant is None else _stamp(instant)


@lru_cache(maxsize=4096)
def _stamp(instant: datetime) -> str:
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if instant.microsecond else text}Z"


def amount(value: Decimal | None, digits: int = 9) -> str | None:
    """A decimal as a plain string of at most ``digits`` decimals without trailing zeros."""
    if value is None:
        return None
    return plain(round(value, digits))


def cents(value: Decimal) -> str:
    """An amount in USD, to the cent."""
    return f"{round(value, 2):.2f}"


def data_refusal(message: str, *, status: int = 400) -> Refusal:
    """A refusal of the market-data interface, which sends no code."""
    return Refusal(status, None, message)


def feed_of(request: Request) -> str:
    """The data feed asked for; the consolidated one by default."""
    return request.choice("feed", FEEDS, "sip")


def symbols_of(request: Request) -> list[str]:
    """The tickers of a data request, sorted; one that is malformed refuses the whole batch."""
    alone = request.captured.get("symbol")
    given = [alone] if alone else request.words("symbols")
    symbols = sorted(set(given))
    if not symbols:
        raise data_refusal("symbols is required")
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            raise data_refusal(f"invalid symbol: {symbol}")
    return symbols
