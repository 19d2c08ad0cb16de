"""A small market and a desk at the simulated venue, for the tests of this folder.

AAA trades every session from Thursday 2020-01-02; its bars are chosen so that sums are easy:

====== ============ ====== ====== ====== ======
day    session       open   high    low  close
====== ============ ====== ====== ====== ======
Thu    2020-01-02   100.00 104.00  97.00 102.00
Fri    2020-01-03   103.00 105.00 101.00 104.00
Mon    2020-01-06    90.00  95.00  88.00  94.00
Tue    2020-01-07    94.00  96.00  93.00  95.00
Wed    2020-01-08    95.00  99.00  94.00  98.00
====== ============ ====== ====== ====== ======

BBB has the same bars at half the price but none on Monday. Every bar has volume 1,000,000.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
from alpaca.common.exceptions import APIError
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.trading.client import TradingClient

from livekit.broker.venue.api import VenueApp, VenueKeys
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.transport import VenueTransport
from livekit.model import DailyBars
from livekit.sessions import EXCHANGE_ZONE

THURSDAY, FRIDAY = date(2020, 1, 2), date(2020, 1, 3)
MONDAY, TUESDAY, WEDNESDAY = date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 8)
WEEK = (THURSDAY, FRIDAY, MONDAY, TUESDAY, WEDNESDAY)
AAA = (
    (100.0, 104.0, 97.0, 102.0),
    (103.0, 105.0, 101.0, 104.0),
    (90.0, 95.0, 88.0, 94.0),
    (94.0, 96.0, 93.0, 95.0),
    (95.0, 99.0, 94.0, 98.0),
)
KEYS = VenueKeys("SIMKEY", "simulated-secret", "control-secret")
BASE_URL = "http://127.0.0.1:9"


def bars_of(
    ticker: str,
    rows: Sequence[tuple[float, float, float, float]],
    sessions: Sequence[date] = WEEK,
    *,
    ratios: Sequence[float] | None = None,
    adjusted: Sequence[float] | None = None,
) -> DailyBars:
    """Bars from (open, high, low, close); ``adjusted`` closes default to the closes."""
    opened, high, low, close = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    count = len(rows)
    return DailyBars(
        ticker=ticker,
        sessions=np.array(sessions[:count], dtype="datetime64[D]"),
        open=opened,
        high=high,
        low=low,
        close=close,
        adj_close=close.copy() if adjusted is None else np.array(adjusted, dtype=float),
        volume=np.full(count, 1_000_000.0),
        dividend_usd=np.zeros(count),
        split_ratio=np.ones(count) if ratios is None else np.array(ratios, dtype=float),
    )


def halved(rows: Sequence[tuple[float, ...]]) -> list[Any]:
    """The rows at half the price."""
    return [tuple(price / 2 for price in row) for row in rows]


def week_history(*more: DailyBars) -> PriceHistory:
    """AAA and BBB, and whatever else a test needs."""
    days = [day for day in WEEK if day != MONDAY]
    rows = [row for row, day in zip(AAA, WEEK, strict=True) if day != MONDAY]
    bars = (bars_of("AAA", AAA), bars_of("BBB", halved(rows), days), *more)
    return PriceHistory({one.ticker: one for one in bars}, "test")


def ny(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """An instant by the clock of New York."""
    return datetime.combine(day, time(hour, minute, second), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


class Venue:
    """A venue in memory with unmodified alpaca-py clients on it; its clock starts at midnight."""

    def __init__(
        self,
        history: PriceHistory | None = None,
        start: date = THURSDAY,
        **settings: Any,
    ) -> None:
        chosen = replace(VenueSettings(slippage_pct=0.5), **settings)
        self.engine = Engine.new(history or week_history(), chosen, ny(start, 0))
        self.app = VenueApp(self.engine, KEYS)
        self.trading = self.client(TradingClient)
        self.raw = self.client(TradingClient, raw_data=True)
        self.data = self.client(StockHistoricalDataClient)
        self.actions = self.client(CorporateActionsClient)

    def last_trade(self, ticker: str = "AAA") -> dict[str, Any]:
        """The latest trade as the data interface shows it."""
        return dict(self.data.get(f"/stocks/{ticker}/trades/latest")["trade"])

    def client(self, kind: Any, **options: Any) -> Any:
        """An alpaca-py client whose session carries requests to this venue."""
        client = kind(KEYS.api_key, KEYS.secret_key, url_override=BASE_URL, **options)
        client._session.mount(BASE_URL, VenueTransport(self.app))
        return client

    def at(self, day: date, hour: int, minute: int = 0, second: int = 0) -> None:
        """Move the clock."""
        self.engine.advance(ny(day, hour, minute, second))

    def send(self, **fields: Any) -> dict[str, Any]:
        """POST an order; a market day buy of 10 AAA unless said otherwise."""
        body = {"symbol": "AAA", "qty": "10", "side": "buy", "type": "market"}
        return dict(self.raw.post("/orders", body | {"time_in_force": "day"} | fields))

    def buy_with_stop(self, stop: str, **fields: Any) -> dict[str, Any]:
        """POST an OTO market buy with a protective stop."""
        leg = {"time_in_force": "gtc", "order_class": "oto", "stop_loss": {"stop_price": stop}}
        return self.send(**(leg | fields))

    def sell(self, **fields: Any) -> dict[str, Any]:
        """POST a sell."""
        return self.send(side="sell", **fields)

    def stop(self, price: str, **fields: Any) -> dict[str, Any]:
        """POST a GTC sell stop."""
        return self.sell(**({"type": "stop", "stop_price": price, "time_in_force": "gtc"} | fields))

    def order(self, shown: dict[str, Any]) -> dict[str, Any]:
        """The order again, as it stands now."""
        return dict(self.raw.get(f"/orders/{shown['id']}", {"nested": True}))

    def status(self, shown: dict[str, Any]) -> str:
        """The status of an order now."""
        return str(self.order(shown)["status"])

    def cancel(self, shown: dict[str, Any]) -> None:
        """DELETE an order."""
        self.raw.delete(f"/orders/{shown['id']}")

    def position(self, ticker: str = "AAA") -> dict[str, Any]:
        """The position in ``ticker``; 404 raises."""
        return dict(self.raw.get(f"/positions/{ticker}"))

    def fills(self) -> list[tuple[str, str, str, str]]:
        """Ticker, side, quantity and price of every fill, oldest first."""
        rows = self.raw.get("/account/activities/FILL", {"direction": "asc"})
        return [(row["symbol"], row["side"], row["qty"], row["price"]) for row in rows]

    @property
    def cash(self) -> Decimal:
        """Cash of the account."""
        return Decimal(self.raw.get("/account")["cash"])


def holding(venue: Venue, shares: int = 10, ticker: str = "AAA") -> Venue:
    """Buy ``shares`` at Thursday's open without a stop; the clock stands at 09:30."""
    venue.at(THURSDAY, 9)
    venue.send(symbol=ticker, qty=str(shares), client_order_id=f"opening-{ticker}")
    venue.at(THURSDAY, 9, 30)
    return venue


def refusal(call: Any, *arguments: Any, **fields: Any) -> tuple[int, dict[str, Any]]:
    """HTTP status and JSON body of a request that the venue refuses."""
    try:
        call(*arguments, **fields)
    except APIError as error:
        return int(error.status_code), json.loads(str(error))
    raise AssertionError("the venue accepted what it had to refuse")
