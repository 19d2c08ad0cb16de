"""One account at one venue, asked over plain HTTP: the simulated venue, or Alpaca paper.

Everything that a test sends bears a client order id of this run, or is a leg of such an order. At
the end of a test its orders are cancelled and the shares it bought are sold, nothing else.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import requests

from livekit.broker.venue.engine.engine import Engine

TERMINAL = {"filled", "canceled", "expired", "rejected", "replaced"}
PATIENCE_S = 20.0
PAPER_PACE_S = 0.35  # 200 requests a minute are allowed


@dataclass(frozen=True)
class Reply:
    """Status and decoded body of an answer."""

    status: int
    body: Any

    @property
    def code(self) -> int | None:
        return self.body.get("code") if isinstance(self.body, dict) else None

    @property
    def message(self) -> str:
        return str(self.body["message"])


@dataclass
class Desk:
    """Requests to one venue; ``symbol`` is what it trades, one share at a time.

    ``advance`` and ``engine`` are those of the simulated venue.
    """

    session: requests.Session
    base_url: str
    data_url: str
    symbol: str
    wait: Callable[[float], None]
    is_paper: bool
    advance: Callable[[datetime], None] | None = None
    engine: Engine | None = None
    name: str = field(default_factory=lambda: f"conf-{uuid.uuid4().hex[:12]}")
    sent: list[str] = field(default_factory=list)

    # ------------------------------------------------------------------------------ requests

    def call(self, method: str, path: str, **options: Any) -> Reply:
        if self.is_paper:
            time.sleep(PAPER_PACE_S)
        base = self.data_url if "/stocks/" in path else self.base_url
        answer = self.session.request(
            method, f"{base}{path}", timeout=15, allow_redirects=False, **options
        )
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
        self.sent.append(str(body["client_order_id"]))
        return self.call(
            "POST",
            "/v2/orders",
            json={key: value for key, value in body.items() if value is not None},
        )

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
            if shown["status"] in statuses:
                return shown
            assert left_s > 0, f"{shown['status']} is none of {statuses}"
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
        """Cancel what this test sent and sell what it bought."""
        mine = [order for order in map(self._by_client_id, dict.fromkeys(self.sent)) if order]
        members = mine + [leg for order in mine for leg in order["legs"] or ()]
        for order in members:
            if order["status"] not in TERMINAL:
                self.cancel(order)
        for order in members:
            self.until(order, *TERMINAL)
        shares = self._net([order["id"] for order in members])
        if shares > 0:
            self.send(side="sell", qty=str(shares))

    def _by_client_id(self, client_id: str) -> dict[str, Any] | None:
        reply = self.get("/v2/orders:by_client_order_id", client_order_id=client_id)
        return self.order(reply.body) if reply.status == 200 else None

    def _net(self, ids: list[str]) -> int:
        total = 0
        for order_id in ids:
            order = self.get(f"/v2/orders/{order_id}").body
            sign = 1 if order["side"] == "buy" else -1
            total += sign * int(Decimal(order["filled_qty"]))
        return total
