"""A small market, a simulated venue on it, and a desk: the world of the trading tests.

Every share costs a flat price unless a bar is given; a report is a page of the project's own
writer. The transport stands between the client and the venue and can lose requests and answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import requests
from requests.adapters import BaseAdapter

from livekit.broker import AlpacaClient
from livekit.broker.pacing import REQUESTS_A_MINUTE
from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.faults import FaultRule
from livekit.broker.venue.session import VenueHandle, in_process_venue
from livekit.clock import sleep_until
from livekit.config import LiveConfig, Profile
from livekit.model import Plan
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.reports.scoring import FactorPoints, Factors, ScoredStock
from livekit.reports.writer import write_report
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.trading.approvals import approve_by_policy, decide
from livekit.trading.desk import Desk
from livekit.trading.phases import PHASES, PhaseOutcome, current_plan, due_instant
from livekit.trading.registration import register_profile
from livekit.workbench.daily import DailyReport, run_daily

HISTORY_START = date(2018, 11, 26)
FIRST = date(2020, 1, 6)  # a Monday
LAST = date(2020, 2, 28)

Ohlc = tuple[float, float, float, float]


def market_file(
    path: Path,
    prices: Mapping[str, float],
    bars: Mapping[tuple[str, date], Ohlc | None] | None = None,
    splits: Mapping[tuple[str, date], float] | None = None,
    last: date = LAST,
) -> Path:
    """Daily bars of flat prices, except where ``bars`` says otherwise (None: no bar)."""
    rows = []
    for ticker, price in prices.items():
        level = price
        for session in sessions_between(HISTORY_START, last):
            given = (bars or {}).get((ticker, session), (level, level, level, level))
            if given is None:
                continue
            open_, high, low, close = given
            ratio = (splits or {}).get((ticker, session), 1.0)
            rows.append(
                (ticker, pd.Timestamp(session), open_, high, low, close, close, 10**6, 0.0, ratio)
            )
            level = close
    names = [
        "ticker",
        "session",
        "open",
        "high",
        "low",
        "close",
        "adj_close",
        "volume",
        "dividend_usd",
        "split_ratio",
    ]
    frame = pd.DataFrame(rows, columns=names)
    frame["ticker"] = frame["ticker"].astype("category")
    frame.to_parquet(path, index=False)
    return path


def scored(ticker: str, score: float, price: float) -> ScoredStock:
    """A stock as the report writer takes it; grade by the usual cuts."""
    grade = "A" if score >= 85 else "B" if score >= 70 else "C" if score >= 55 else "D"
    return ScoredStock(
        ticker=ticker,
        company_name=f"{ticker} Company",
        grade=grade,
        score=score,
        price=Decimal(f"{price:.2f}"),
        factors=Factors(
            gap_pct=3.0,
            trend_pct=5.0,
            volume_ratio_pct=101.0,
            ma200_ratio_pct=103.0,
            ma50_ratio_pct=101.0,
        ),
        points=FactorPoints(gap=3, trend=3, volume=4, ma200=3, ma50=3),
    )


class Lossy(BaseAdapter):
    """Carries requests to the venue, except those that a rule strikes.

    A rule sees method and path and answers ``None`` (carry), ``"before"`` (lost on the way),
    ``"after"`` (taken, answer lost) or ``"504"`` (taken, gateway timeout answered). ``sent`` are
    all requests, ``refused`` the refused orders and cancels: method, status and text.
    """

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self.inner = inner
        self.rule: Callable[[str, str], str | None] = lambda method, path: None
        self.sent: list[tuple[str, str]] = []
        self.refused: list[tuple[str, int, str]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        method, path = str(request.method), str(request.path_url)
        self.sent.append((method, path))
        strike = self.rule(method, path)
        if strike == "before":
            raise requests.ReadTimeout("lost before it was taken", request=request)
        response = self.inner.send(request, **options)
        if method != "GET" and response.status_code >= 400:
            self.refused.append((method, response.status_code, response.text))
        if strike == "after":
            raise requests.ReadTimeout("answer lost", request=request)
        if strike == "504":
            response.status_code = 504
            response._content = b"<html>gateway timeout</html>"
        return response

    def close(self) -> None:
        self.inner.close()

    def posts(self) -> list[str]:
        return [path for method, path in self.sent if method == "POST"]


@dataclass
class World:
    """A registered profile with its venue running in process."""

    profile: Profile
    venue: VenueHandle
    db: StateDB
    desk: Desk
    wire: Lossy
    posts_before: int = field(default=0)

    def report(self, session: date, *stocks: tuple[str, float, float]) -> Path:
        """Write the session's report: (ticker, score, price) each."""
        return write_report(self.profile.reports_dir, session, [scored(*stock) for stock in stocks])

    def trade(self, session: date, *phases: str) -> DailyReport:
        """Run the session's phases (all by default)."""
        return run_daily(self.desk, session, phases=phases or PHASES)

    def phase(self, session: date, phase: str) -> PhaseOutcome:
        """Run one phase and return its outcome."""
        return self.trade(session, phase).outcomes[0]

    def phase_plan(self, session: date) -> Plan:
        """The primary's stored plan of a session."""
        return current_plan(self.desk, session)

    def go_to(self, session: date, phase: str) -> None:
        """Move the venue's clock to the instant at which a phase becomes due."""
        sleep_until(self.desk.clock, due_instant(phase, session))

    def strike(self, *rules: FaultRule) -> None:
        """Let the venue go wrong by these rules, and these alone, from the next request on."""
        clock = self.venue.clock
        assert isinstance(clock, InProcessClock)
        clock.app.control.inject(*rules)

    def halt(self, *tickers: str) -> None:
        """Stop trading in these tickers."""
        clock = self.venue.clock
        assert isinstance(clock, InProcessClock)
        for ticker in tickers:
            clock.app.control.halt(ticker)

    def approve(self, session: date, item: str, *, shares: int) -> None:
        """A person approves one item of the session's plan."""
        plan = self.phase_plan(session)
        decide(self.desk, plan, item, "approve", max_quantity=shares, who="trader")

    def approve_all(self, session: date) -> None:
        """The policy approves the session's plan."""
        approve_by_policy(self.desk, self.phase_plan(session))

    def bought(self, ticker: str) -> list[Any]:
        """All buy orders of a ticker at the venue, in any status."""
        orders = self.desk.client.list_orders(status="all")
        return [order for order in orders if order.ticker == ticker and order.side == "buy"]

    def live_sells(self, ticker: str) -> int:
        """Shares that live sells at the venue would dispose of."""
        orders = self.desk.client.list_orders(status="open")
        flat = [item for order in orders for item in (order, *order.legs)]
        return int(
            sum(item.remaining for item in flat if item.ticker == ticker and item.is_live_cover)
        )

    def held(self, ticker: str) -> int:
        """Shares that the venue shows."""
        positions = self.desk.client.get_positions()
        return int(sum(item.quantity for item in positions if item.ticker == ticker))


@contextmanager
def world(
    folder: Path,
    prices: Mapping[str, float],
    bars: Mapping[tuple[str, date], Ohlc | None] | None = None,
    *,
    splits: Mapping[tuple[str, date], float] | None = None,
    fill_model: str = "parity",
    last: date = LAST,
    requests_a_minute: int = REQUESTS_A_MINUTE,
    **trading: Any,
) -> Iterator[World]:
    """A world with one registered profile; ``trading`` are parameters of `LiveConfig`."""
    market = market_file(folder / "market.parquet", {"AAPL": 100.0, **prices}, bars, splits, last)
    config = LiveConfig(**({"fmp_lookback_days": 520, "max_positions": 3} | trading))
    profile = Profile(
        venue="simulated",
        first_session=FIRST,
        fill_model=fill_model,  # type: ignore[arg-type]
        prices=market,
        name="world",
        outputs=folder,
        trading=config,
    )
    with in_process_venue(profile) as venue:
        assert venue.transport is not None
        wire = Lossy(venue.transport)
        client = AlpacaClient(
            venue.api_key,
            venue.secret_key,
            venue.base_url,
            data_url=venue.data_url,
            transport=wire,
            clock=venue.clock,
            requests_a_minute=requests_a_minute,
        )
        register_profile(profile, client, venue.clock)
        with StateDB(profile.state_db) as db:
            desk = Desk(profile, db, client, AlpacaPriceSource(client, venue.clock), venue.clock)
            yield World(profile, venue, db, desk, wire)


def with_clock(desk: Desk, clock: Any) -> Desk:
    """The same desk on another clock."""
    return replace(desk, clock=clock)
