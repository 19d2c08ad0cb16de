"""A requests adapter that answers from a script, with bodies in Alpaca's recorded shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

KEY = "PKCANARY0KEY00000000"
SECRET = "canary/secret+0123456789abcdefghijklmnop"
PAPER = "https://paper-api.alpaca.markets"

OPEN = datetime(2020, 1, 30, 14, 31, tzinfo=UTC)


@dataclass
class Seen:
    method: str
    host: str
    path: str
    query: dict[str, str]
    body: object
    text: str
    headers: dict[str, str]
    timeout: object


@dataclass
class Answer:
    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


Reply = Answer | Exception | Callable[[Seen], "Answer"]


class ScriptedVenue(BaseAdapter):
    """Answers request after request; the last reply of a route repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: dict[tuple[str, str], list[Reply]] = {}
        self.seen: list[Seen] = []

    def on(self, method: str, path: str, *replies: object) -> None:
        self.replies[method, path] = [
            reply if isinstance(reply, Answer | Exception) or callable(reply) else Answer(reply)
            for reply in replies
        ]

    def send(self, request, *, timeout=None, **_):
        parts = urlsplit(request.url)
        text = (request.body or b"").decode()
        seen = Seen(
            request.method,
            parts.netloc,
            parts.path,
            dict(parse_qsl(parts.query)),
            json.loads(text) if text else None,
            text,
            dict(request.headers),
            timeout,
        )
        self.seen.append(seen)
        queue = self.replies[request.method, parts.path]
        reply = queue.pop(0) if len(queue) > 1 else queue[0]
        if callable(reply):
            reply = reply(seen)
        if isinstance(reply, Exception):
            raise reply
        return self._response(request, reply)

    def close(self) -> None:
        pass

    @staticmethod
    def _response(request, answer: Answer) -> requests.Response:
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = BytesIO(answer.content)
        response.url = request.url
        response.request = request
        return response


class StandingClock:
    """A clock that moves only when slept on."""

    def __init__(self, now: datetime = OPEN) -> None:
        self.instant = now
        self.slept_s: list[float] = []

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.instant += timedelta(seconds=seconds)


def error(status: int, code: int | None, message: str, **extras: object) -> Answer:
    body = {"message": message, **extras}
    return Answer(body if code is None else {"code": code, **body}, status)


def an_order(**changes: object) -> dict[str, object]:
    """A simple market buy as the paper venue shows it."""
    return {
        "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
        "client_order_id": "20200130_AAPL_entry_buy",
        "created_at": "2020-01-30T14:31:00.123456789Z",
        "updated_at": "2020-01-30T14:31:00.123456789Z",
        "submitted_at": "2020-01-30T14:31:00.120001234Z",
        "filled_at": None,
        "expired_at": None,
        "expires_at": "2020-01-30T21:00:00Z",
        "canceled_at": None,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "notional": None,
        "qty": "30",
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "",
        "order_type": "market",
        "type": "market",
        "side": "buy",
        "position_intent": "buy_to_open",
        "time_in_force": "day",
        "limit_price": None,
        "stop_price": None,
        "status": "pending_new",
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
        **changes,
    }


def a_leg(**changes: object) -> dict[str, object]:
    """The sleeping stop of an OTO buy of 30 AAPL."""
    return an_order(
        **{
            "id": "9c1d2f6e-3a55-4f0e-8d4b-1b0c8f6f7a10",
            "client_order_id": "4f0c2bbd-3f5e-4a5a-a6c0-0f9b6c8a1b77",
            "order_class": "oto",
            "order_type": "stop",
            "type": "stop",
            "side": "sell",
            "time_in_force": "gtc",
            "stop_price": "15.39",
            "status": "held",
            **changes,
        }
    )


def a_group(**changes: object) -> dict[str, object]:
    """An OTO buy of 30 AAPL with its sleeping stop."""
    return an_order(**{"order_class": "oto", "time_in_force": "gtc", "legs": [a_leg()], **changes})


ACCOUNT = {
    "id": "e6fe16f3-64a4-4921-8928-cadf02f92f98",
    "account_number": "PA3ABCDEFGHI",
    "status": "ACTIVE",
    "crypto_status": "ACTIVE",
    "currency": "USD",
    "cash": "100000",
    "equity": "100250.75",
    "buying_power": "400000.12",
    "regt_buying_power": "200000.06",
    "multiplier": "4",
    "trading_blocked": False,
    "account_blocked": False,
    "transfers_blocked": False,
    "trade_suspended_by_user": False,
    "shorting_enabled": True,
}
