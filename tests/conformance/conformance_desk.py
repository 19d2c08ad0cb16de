"""One account at one venue, asked over plain HTTP: the simulated venue, or Alpaca paper.

Everything that a test sends bears a client order id of this run, or is a leg or the successor of
such an order. At the end of a test its orders are cancelled and the shares it bought are sold,
nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from livekit.broker.venue.api import VenueApp
from livekit.broker.venue.engine.engine import Engine
from livekit.config import DATA_HOST, PAPER_HOST

TERMINAL = {"filled", "canceled", "expired", "rejected", "replaced"}
PATIENCE_S = 20.0
SETTLE_S = 10.0  # an order may be read this late
PAPER_PACE_S = 0.35  # 200 requests a minute are allowed
LIMIT_WINDOW_S = 61.0
REPETITIONS = 3
SPENT = "client_order_id must be unique"


@dataclass(frozen=True)
class Reply:
    """Status and decoded body of an answer."""

    status: int
    body: Any

    @property
    def code(self) -> int | None:
        return self.body.get("code") if isinstance(self.body, dict) else None

    @property
    def is_refusal(self) -> bool:
        return HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def message(self) -> str:
        return str(self.body["message"])


@dataclass
class Desk:
    """Requests to one venue; ``symbol`` is what it trades, one share at a time.

    ``advance`` and ``app`` are those of the simulated venue.
    """

    session: requests.Session
    base_url: str
    data_url: str
    symbol: str
    wait: Callable[[float], None]
    is_paper: bool
    advance: Callable[[datetime], None] | None = None
    app: VenueApp | None = None
    name: str = field(default_factory=lambda: f"conf-{uuid.uuid4().hex[:12]}")
    sent: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    # ------------------------------------------------------------------------------ requests

    def call(self, method: str, path: str, **options: Any) -> Reply:
        """One request; on paper at its pace, and once more where that is harmless.

        A 429 took nothing, and a read or a cancel may be repeated; a lost POST never is.
        """
        url = f"{self.data_url if '/stocks/' in path else self.base_url}{path}"
        if not self.is_paper:
            return self._once(method, url, options)
        require_paper(url)
        for repetition in range(REPETITIONS):
            self.wait(PAPER_PACE_S)
            try:
                reply = self._once(method, url, options)
            except requests.RequestException:
                if method == "POST" or repetition == REPETITIONS - 1:
                    raise
                continue
            if reply.status != HTTPStatus.TOO_MANY_REQUESTS:
                return reply
            self.wait(LIMIT_WINDOW_S)
        return reply

    def _once(self, method: str, url: str, options: dict[str, Any]) -> Reply:
        answer = self.session.request(method, url, timeout=15, allow_redirects=False, **options)
        return Reply(answer.status_code, answer.json() if answer.content else None)

    def get(self, path: str, **query: Any) -> Reply:
        return self.call("GET", path, params=query)

    def send(self, **fields: Any) -> Reply:
        """POST an order of one share; a field that is None is left out."""
        client_id = f"{self.name}-{len(self.sent)}"
        body = {
            "symbol": self.symbol,
            "qty": "1",
            "side": "buy",
            "type": "market",
            "time_in_force": "day",
            "client_order_id": client_id,
        } | fields
        given = {key: value for key, value in body.items() if value is not None}
        if "client_order_id" in given:
            self.sent.append(str(given["client_order_id"]))
        reply = self.call("POST", "/v2/orders", json=given)
        if reply.is_refusal and reply.message != SPENT:
            self.refused.add(str(given.get("client_order_id")))
        if "client_order_id" not in given and reply.status == HTTPStatus.OK:
            self.sent.append(str(reply.body["client_order_id"]))
        return reply

    def resting(self, **fields: Any) -> dict[str, Any]:
        """A limit buy far below the market."""
        low = {"type": "limit", "limit_price": self.price("0.5"), "time_in_force": "gtc"}
        reply = self.send(**(low | fields))
        assert reply.status == 200, reply
        return dict(reply.body)

    def cancel(self, order: dict[str, Any]) -> Reply:
        return self.call("DELETE", f"/v2/orders/{order['id']}")

    def order(self, order: dict[str, Any]) -> dict[str, Any]:
        return dict(self.get(f"/v2/orders/{order['id']}", nested="true").body)

    @property
    def engine(self) -> Engine:
        """The exchange of the simulated venue."""
        assert self.app is not None
        return self.app.engine

    # ---------------------------------------------------------------------------- the market

    def last(self) -> Decimal:
        trade = self.get(f"/v2/stocks/{self.symbol}/trades/latest", feed="iex").body["trade"]
        return Decimal(str(trade["p"]))

    def price(self, share: str) -> str:
        """A share of the last price, in cents."""
        return f"{self.last() * Decimal(share):.2f}"

    @property
    def is_open(self) -> bool:
        return bool(self.get("/v2/clock").body["is_open"])

    # ------------------------------------------------------------------------------- waiting

    def until(self, order: dict[str, Any], *statuses: str) -> dict[str, Any]:
        """The order once it has one of ``statuses``."""
        left_s = PATIENCE_S
        while True:
            shown = self.order(order)
            status = shown.get("status")  # an order may be read only some seconds later
            if status in statuses:
                return shown
            assert left_s > 0, f"{status} is none of {statuses}"
            self.wait(0.5)
            left_s -= 0.5

    def bought(self) -> dict[str, Any]:
        """One share bought at market."""
        reply = self.send()
        assert reply.status == 200, reply
        return self.until(reply.body, "filled")

    def held(self) -> int:
        reply = self.get(f"/v2/positions/{self.symbol}")
        return int(reply.body["qty"]) if reply.status == 200 else 0

    # ------------------------------------------------------------------------------- the end

    def clean_up(self) -> None:
        """Cancel what this test sent and sell what it bought.

        Whatever cannot be ended stops nothing else from being ended; it is named at the end.
        """
        for order in self._mine():
            if order["status"] not in TERMINAL:
                self.cancel(order)
        left = [order["id"] for order in self._mine() if not self._ends(order)]
        shares = min(self._bought(self._mine()), self.held())
        if shares > 0 and not self._sold(shares):
            left.append(f"{shares} {self.symbol}")
        assert not left, f"left behind: {left}"

    def _mine(self) -> list[dict[str, Any]]:
        """The orders of this test with their legs, and what replaced any of them, as they stand."""
        found: dict[str, dict[str, Any]] = {}
        waiting = [order for name in dict.fromkeys(self.sent) if (order := self._named(name))]
        while waiting:
            order = waiting.pop()
            if order["id"] in found:
                continue
            found[order["id"]] = order
            waiting += order["legs"] or ()
            if order["replaced_by"]:
                waiting.append(self.order({"id": order["replaced_by"]}))
        return list(found.values())

    def _named(self, client_id: str) -> dict[str, Any] | None:
        """The order of this client id; unless it was refused it is waited for."""
        left_s = 0.0 if client_id in self.refused else SETTLE_S
        while True:
            reply = self.get("/v2/orders:by_client_order_id", client_order_id=client_id)
            if reply.status == HTTPStatus.OK:
                return self.order(reply.body)
            if left_s <= 0:
                return None
            self.wait(1)
            left_s -= 1

    def _ends(self, order: dict[str, Any]) -> bool:
        """Whether it comes to its end; outside trading hours a cancel may wait for the open."""
        ended = TERMINAL if self.is_open else {*TERMINAL, "pending_cancel"}
        try:
            self.until(order, *ended)
        except AssertionError:
            return False
        return True

    def _bought(self, orders: list[dict[str, Any]]) -> int:
        """Shares that these orders left in the account."""
        signs = {"buy": 1, "sell": -1}
        return sum(signs[order["side"]] * int(Decimal(order["filled_qty"])) for order in orders)

    def _sold(self, shares: int) -> bool:
        """Whether these shares could be sold; a cancel may hold them for a while.

        The order says that it closes, so it can never sell short.
        """
        left_s = PATIENCE_S
        sell = {"side": "sell", "qty": str(shares), "position_intent": "sell_to_close"}
        while (reply := self.send(**sell)).status != HTTPStatus.OK:
            if left_s <= 0:
                return False
            self.wait(1)
            left_s -= 1
        return not self.is_open or self._ends(reply.body)


def require_paper(url: str) -> None:
    """Refuse every address but those of Alpaca paper and its data."""
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) in {("https", PAPER_HOST), ("https", DATA_HOST)}, url
