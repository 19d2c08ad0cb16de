"""Alpaca's trading and market data as the package's values, over a hardened alpaca-py.

What is added to alpaca-py 0.44.0, which sets no timeout, repeats a lost order by itself, follows
proxy variables, and fails on any status it does not know: see `livekit.broker.transport` (where
requests may go), `livekit.broker.outcomes` (what became of them), `livekit.broker.parsing`
(answers) and `livekit.broker.order_request` (orders).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from requests.adapters import BaseAdapter

from livekit.broker import parsing
from livekit.broker.hardening import hardened, require_origin, require_usable_keys
from livekit.broker.listing import each_once, may_have_legs, stamp
from livekit.broker.market_data import MarketData
from livekit.broker.order_request import OrderRequest, is_ticker
from livekit.broker.outcomes import Outcomes
from livekit.broker.pacing import REQUESTS_A_MINUTE, Pace
from livekit.broker.parsing import CalendarDay, VenueBar
from livekit.broker.transport import HardenedAdapter
from livekit.clock import Clock
from livekit.config import DATA_HOST, PAPER_HOST
from livekit.errors import (
    HostRefused,
    OutcomeUnknown,
    UnknownParameter,
    VenueUnavailable,
)
from livekit.model import (
    Account,
    Asset,
    Side,
    Split,
    TradePrint,
    VenueCashEntry,
    VenueClock,
    VenueFill,
    VenueOrder,
    VenuePosition,
)

__all__ = ["AlpacaClient"]

T = TypeVar("T")
A = TypeVar("A", VenueFill, VenueCashEntry)

ORDERS_A_PAGE = 500
ACTIVITIES_A_PAGE = 100
OVERLAP = timedelta(seconds=1)  # the bounds of the venue are exclusive
PAGE_OVERLAP = timedelta(milliseconds=1)  # its stamps are finer than ours
_ORDER_ID = re.compile(r"[0-9A-Fa-f-]{32,36}", re.ASCII)


class AlpacaClient:
    """One account at the paper venue, or at the simulated one on loopback.

    Reads are repeated a few times, through ``clock``, before they raise `VenueUnavailable`.
    Orders and cancels are sent once: `OrderRefused` means nothing exists, `VenueUnavailable` that
    nothing was taken, `OutcomeUnknown` that only a later read can tell. Wrong keys raise
    `CredentialsRefused` everywhere.

    Args:
        api_key: key of the account; a live key is refused.
        secret_key: its secret. Neither is ever shown or logged.
        base_url: ``https://paper-api.alpaca.markets`` or ``http://127.0.0.1:<port>``, exactly.
        allow_live: without effect: a live host is refused in any case.
        data_url: host of market data; by default the one that belongs to ``base_url``.
        transport: what carries the requests, for a venue in the same process.
        clock: for waiting between attempts.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest silence of the venue.
        data_feed: ``iex`` or ``sip``; bars of different feeds differ and are never mixed.
        requests_a_minute: budget of trading requests, and as many for data. Ordinary ones wait
            when three quarters are used; stops, cancels and those inside `protecting` may use all.

    Raises:
        HostRefused: an address is not exactly one of those above.
        KeysMissing: the keys are empty, malformed or those of a live account.
    """

    _paces: tuple[Pace, ...] = ()

    def __init__(
        self,
        api_key: str,
        secret_key: str,
        base_url: str = f"https://{PAPER_HOST}",
        allow_live: bool = False,  # noqa: ARG002, FBT001, FBT002 - the original signature
        *,
        data_url: str | None = None,
        transport: BaseAdapter | None = None,
        clock: Clock,
        connect_timeout_s: float = 3.05,
        read_timeout_s: float = 10.0,
        data_feed: str = "iex",
        requests_a_minute: int = REQUESTS_A_MINUTE,
    ) -> None:
        paper = require_origin(base_url, data=False)
        data_url = data_url or (f"https://{DATA_HOST}" if paper else base_url)
        if require_origin(data_url, data=True) != paper:
            raise HostRefused(data_url)
        require_usable_keys(api_key, secret_key, paper=paper)
        self.base_url = base_url
        self._paces = (Pace(clock, requests_a_minute), Pace(clock, requests_a_minute))
        self._adapters = tuple(
            HardenedAdapter(
                url,
                data=data,
                inner=transport,
                connect_timeout_s=connect_timeout_s,
                read_timeout_s=read_timeout_s,
                pace=pace,
            )
            for url, data, pace in zip(
                (base_url, data_url), (False, True), self._paces, strict=True
            )
        )
        trading, data = self._adapters
        self._outcomes = Outcomes(clock, (api_key, secret_key))
        self._trading = hardened(
            TradingClient(api_key, secret_key, raw_data=True, url_override=base_url), trading
        )
        self._market_data = MarketData(
            hardened(
                StockHistoricalDataClient(
                    api_key, secret_key, raw_data=True, url_override=data_url
                ),
                data,
            ),
            hardened(
                CorporateActionsClient(api_key, secret_key, raw_data=True, url_override=data_url),
                data,
            ),
            self._outcomes,
            data_feed,
        )

    def __repr__(self) -> str:
        return f"AlpacaClient(base_url={self.base_url!r}, keys=***)"

    @property
    def requests_sent(self) -> int:
        """Requests that left so far, repetitions included."""
        return sum(adapter.requests_sent for adapter in self._adapters)

    @property
    def changes_sent(self) -> int:
        """How many of them may have changed something: orders and cancels, lost ones too."""
        return sum(adapter.changes_sent for adapter in self._adapters)

    @contextmanager
    def protecting(self) -> Iterator[None]:
        """What is asked for inside may use the part of the rate budget kept for protection."""
        with ExitStack() as reserves:
            for pace in self._paces:
                reserves.enter_context(pace.protecting())
            yield

    def seconds_to_wait(self, requests: int) -> float:
        """Seconds that the last of so many trading requests would have to wait now."""
        return self._paces[0].wait_s(requests) if self._paces else 0.0

    def close(self) -> None:
        """Close the connections."""
        for adapter in self._adapters:
            adapter.close()

    # ------------------------------------------------------------------- account and calendar

    def get_account(self) -> Account:
        """Money and state of the account."""
        return self._outcomes.read("account", self._trading.get_account, parsing.account)

    def get_positions(self) -> tuple[VenuePosition, ...]:
        """Every open position, foreign ones included."""
        return self._outcomes.read("positions", self._trading.get_all_positions, parsing.positions)

    def get_clock(self) -> VenueClock:
        """The venue's clock."""
        return self._outcomes.read("clock", self._trading.get_clock, parsing.clock)

    def get_calendar(self, first: date, last: date) -> tuple[CalendarDay, ...]:
        """The venue's sessions from ``first`` to ``last``: (session, open, close) in UTC."""
        query = {"start": first.isoformat(), "end": last.isoformat()}
        return self._read("calendar", "/calendar", query, parsing.calendar)

    def get_asset(self, ticker: str) -> Asset | None:
        """What the venue says of a ticker; None if it knows none of that name."""
        if not is_ticker(ticker):
            return None
        return self._look_up(f"asset {ticker}", f"/assets/{ticker}", {}, parsing.asset)

    # ------------------------------------------------------------------------- sending orders

    def place_order(
        self,
        ticker: str,
        quantity: int,
        side: Side,
        *,
        client_order_id: str,
        order_type: str = "market",
        time_in_force: str = "day",
        stop_price: Decimal | None = None,
    ) -> VenueOrder:
        """Send one simple order, a market or a stop order in whole shares.

        Raises:
            UnknownParameter: before anything is sent, for example a price off the tick.
            OrderRefused: nothing exists; see `OrderRefused.is_duplicate_client_id`.
            OutcomeUnknown: it may exist, or what exists is not what was asked for.
        """
        return self._place(
            OrderRequest(
                ticker, quantity, side, client_order_id, order_type, time_in_force, stop_price
            )
        )

    def place_bracket_order(
        self,
        ticker: str,
        quantity: int,
        *,
        stop_price: Decimal,
        client_order_id: str,
        time_in_force: str = "gtc",
    ) -> VenueOrder:
        """Send a market buy that brings its protective stop along (order class OTO).

        The stop is the only leg; it sleeps as ``held`` until the buy is filled completely. Buy
        and stop share the time in force, so only ``gtc`` protects overnight. Raises like
        `place_order`.
        """
        return self._place(
            OrderRequest(
                ticker,
                quantity,
                "buy",
                client_order_id,
                "market",
                time_in_force,
                attached_stop=stop_price,
            )
        )

    def cancel_order(self, order_id: str) -> None:
        """Ask for a cancel. Returning means the request was taken, not that the order is dead.

        Raises `OrderRefused` when the venue will not (already filled, canceled or unknown) and
        `OutcomeUnknown`; in every case the order's state is what `get_order` then says.
        """
        path = _order_path(order_id)
        with self.protecting():
            self._outcomes.write(
                f"cancel of {order_id}", lambda: self._trading.delete(path), lambda _: None
            )

    def _place(self, request: OrderRequest) -> VenueOrder:
        fields = request.fields()
        with self.protecting() if request.is_protective else nullcontext():
            placed = self._outcomes.write(
                request.what, lambda: self._trading.post("/orders", fields), parsing.order
            )
        differences = request.differences(placed)
        if differences:
            raise OutcomeUnknown(request.what, f"order {placed.order_id}: {'; '.join(differences)}")
        return placed

    # ------------------------------------------------------------------------- reading orders

    def get_order(self, order_id: str, *, patient: bool = True) -> VenueOrder | None:
        """One order with its legs, asked for once unless ``patient``; None if there is no such."""
        what, path, query = f"order {order_id}", _order_path(order_id), {"nested": "true"}
        return self._look_up(what, path, query, parsing.order, patient=patient)

    def get_order_by_client_id(self, client_order_id: str) -> VenueOrder | None:
        """One order with its legs by our own id; None if the venue knows no such id (yet)."""
        found = self._look_up(
            f"order {client_order_id}",
            "/orders:by_client_order_id",
            {"client_order_id": client_order_id},
            parsing.order,
        )
        if found is None or found.order_class == "simple" or found.legs:
            return found
        return self.get_order(found.order_id)

    def list_orders(
        self,
        *,
        status: str = "all",
        after: datetime | None = None,
        tickers: Sequence[str] | None = None,
        still_open: bool = True,
    ) -> tuple[VenueOrder, ...]:
        """Orders with their legs, newest first, each id once.

        ``status`` is ``all``, ``open`` or ``closed``. With ``after`` come orders submitted at that
        instant or later (a second earlier may be among them) and, for ``all`` with ``still_open``,
        those open from before. The venue forgets a group in its nested list of open orders once
        the entry is filled, so open orders are asked for flat, and nested only when an entry may
        have legs that sleep. A leg whose parent is outside the answer stands at the top level.
        """
        if status not in ("all", "open", "closed"):
            raise UnknownParameter("list_orders", [f"status {status!r} is unknown"])
        if tickers is not None and not tickers:
            return ()
        listed = () if status == "open" else self._order_pages(status, after, tickers, nested=True)
        if status == "open" or (status == "all" and after is not None and still_open):
            flat = self._order_pages("open", None, tickers, nested=False)
            known = {order.order_id for order in listed}
            if any(may_have_legs(order) for order in flat if order.order_id not in known):
                listed += self._order_pages("open", None, tickers, nested=True)
            listed += flat
        return each_once(listed)

    def _order_pages(
        self,
        status: str,
        after: datetime | None,
        tickers: Sequence[str] | None,
        *,
        nested: bool,
    ) -> tuple[VenueOrder, ...]:
        query = {"status": status, "limit": str(ORDERS_A_PAGE), "direction": "desc"}
        query["nested"] = "true" if nested else "false"
        if tickers is not None:
            query["symbols"] = ",".join(tickers)
        if after is not None:
            query["after"] = stamp(after - OVERLAP)
        found: dict[str, VenueOrder] = {}
        while True:
            page = self._read("orders", "/orders", query, parsing.orders)
            fresh = [order for order in page if order.order_id not in found]
            found |= {order.order_id: order for order in fresh}
            if len(page) < ORDERS_A_PAGE:
                return tuple(found.values())
            stamps = [order.submitted_at for order in page if order.submitted_at is not None]
            if not fresh or not stamps:
                raise VenueUnavailable("orders", "the venue repeats a full page")
            query["until"] = stamp(min(stamps) + PAGE_OVERLAP)

    def get_fills(
        self, *, after: datetime | None = None, patient: bool = True
    ) -> tuple[VenueFill, ...]:
        """Every fill once, oldest first; with ``after`` from a second before that instant on.

        Each page is asked for once only unless ``patient``.
        """
        query = {} if after is None else {"after": stamp(after - OVERLAP)}
        path, parse = "/account/activities/FILL", parsing.fills
        found = self._activities("fills", path, query, parse, patient=patient)
        return tuple(sorted(found, key=lambda fill: fill.at))

    def get_cash_entries(self, *, after: datetime) -> tuple[VenueCashEntry, ...]:
        """Dividends, fees and other cash without a trade since ``after``, oldest first."""
        query = {"category": "non_trade_activity", "after": stamp(after - OVERLAP)}
        return self._activities("cash", "/account/activities", query, parsing.cash_entries)

    def _activities(
        self,
        what: str,
        path: str,
        query: dict[str, str],
        parse: Callable[[object], tuple[A, ...]],
        *,
        patient: bool = True,
    ) -> tuple[A, ...]:
        """Every page of a list of activities, each activity once."""
        query |= {"page_size": str(ACTIVITIES_A_PAGE), "direction": "asc"}
        found: dict[str, A] = {}
        while True:
            page = self._read(what, path, query, parse, patient=patient)
            fresh = {item.activity_id: item for item in page if item.activity_id not in found}
            found |= fresh
            if len(page) < ACTIVITIES_A_PAGE:
                return tuple(found.values())
            if not fresh:
                raise VenueUnavailable(what, "the venue repeats a full page")
            query["page_token"] = page[-1].activity_id

    # ---------------------------------------------------------------------------- market data

    def latest_trades(
        self, tickers: Sequence[str], *, patient: bool = True
    ) -> dict[str, TradePrint]:
        """The latest trade by ticker; a ticker that has none or is unknown is absent.

        Asked for once only unless ``patient``.
        """
        return self._market_data.latest_trades(tickers, patient=patient)

    def daily_bars(
        self, tickers: Sequence[str], first: date, last: date, *, adjustment: str
    ) -> dict[str, tuple[VenueBar, ...]]:
        """Daily bars by ticker from ``first`` to ``last``, oldest first; absent if there are none.

        ``adjustment`` is ``raw``, ``split``, ``dividend`` or ``all``. The unfinished bar of a
        session that is going on is among them.
        """
        return self._market_data.daily_bars(tickers, first, last, adjustment=adjustment)

    def splits(
        self, tickers: Sequence[str], first: date, last: date, *, patient: bool = True
    ) -> tuple[Split, ...]:
        """Splits with ex-dates from ``first`` to ``last``, asked for once unless ``patient``."""
        return self._market_data.splits(tickers, first, last, patient=patient)

    # ------------------------------------------------------------------------------ plumbing

    def _read(
        self,
        what: str,
        path: str,
        query: Mapping[str, str],
        parse: Callable[[object], T],
        *,
        patient: bool = True,
    ) -> T:
        return self._outcomes.read(
            what, lambda: self._trading.get(path, dict(query)), parse, patient=patient
        )

    def _look_up(
        self,
        what: str,
        path: str,
        query: Mapping[str, str],
        parse: Callable[[object], T],
        *,
        patient: bool = True,
    ) -> T | None:
        return self._outcomes.look_up(
            what, lambda: self._trading.get(path, dict(query)), parse, patient=patient
        )


def _order_path(order_id: str) -> str:
    if not _ORDER_ID.fullmatch(order_id):
        raise UnknownParameter("order id", [f"{order_id!r} is not one of the venue's"])
    return f"/orders/{order_id}"
