"""A venue in the foreground, as any client meets it: a process, four lines, a socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest
import requests
from alpaca.data.enums import DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest, StockLatestTradeRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

from livekit.broker.venue.serve import ServeOptions, serve_venue
from livekit.errors import BadInput, LockHeld, NotASession

PROGRAM = """
import sys
from datetime import date, time
from pathlib import Path
from livekit.broker.venue.serve import ServeOptions, serve_venue
book, speed, session, at = sys.argv[1:]
serve_venue(
    ServeOptions(
        session=date.fromisoformat(session) if session else None,
        at=time.fromisoformat(at),
        speed=float(speed),
        book=Path(book) if book else None,
        show_control=True,
    ),
    lambda line: print(line, flush=True),
)
"""


@contextmanager
def serving(
    book: object = "", *, speed: float = 0, session: str = "2020-01-30", at: str = "10:00"
) -> Iterator[tuple[dict[str, str], subprocess.Popen[str]]]:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(book), str(speed), session, at],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        lines = [child.stdout.readline().strip() for _ in range(6)]
        yield dict(line.split("=", 1) for line in lines), child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        child.communicate(timeout=15)


def trading_client(env: dict[str, str]) -> TradingClient:
    keys = env["APCA_API_KEY_ID"], env["APCA_API_SECRET_KEY"]
    client = TradingClient(*keys, url_override=env["APCA_API_BASE_URL"])
    client._session.trust_env = False
    return client


def data_client(env: dict[str, str]) -> StockHistoricalDataClient:
    keys = env["APCA_API_KEY_ID"], env["APCA_API_SECRET_KEY"]
    client = StockHistoricalDataClient(*keys, url_override=env["APCA_API_DATA_URL"])
    client._session.trust_env = False
    return client


def test_unmodified_alpaca_py_trades_as_its_documentation_shows():
    with serving() as (env, _):
        client, data = trading_client(env), data_client(env)
        assert float(client.get_account().cash) == 100_000
        assert client.get_asset("AAPL").tradable
        market = MarketOrderRequest(
            symbol="AAPL", qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
        )
        bought = client.submit_order(order_data=market)
        assert client.get_order_by_id(bought.id).status == "filled"
        limit = LimitOrderRequest(
            symbol="F", limit_price=5, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC
        )
        client.submit_order(order_data=limit)
        bracket = MarketOrderRequest(
            symbol="KO",
            qty=5,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.GTC,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=90),
            stop_loss=StopLossRequest(stop_price=40),
        )
        assert len(client.submit_order(order_data=bracket).legs) == 2
        found = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))
        assert len(found) == 3
        assert {one.symbol for one in client.get_all_positions()} == {"AAPL", "KO"}
        assert len(client.cancel_orders()) == 2
        client.close_position("AAPL")
        assert {one.symbol for one in client.get_all_positions()} == {"KO"}
        trade = data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))
        assert trade["AAPL"].price > 300
        bars = StockBarsRequest(
            symbol_or_symbols=["AAPL", "F"],
            timeframe=TimeFrame.Day,
            start=date(2020, 1, 2),
            end=date(2020, 1, 10),
            feed=DataFeed.IEX,
        )
        assert (
            len(data.get_stock_bars(bars).df) == 12
        )  # six sessions: the end is the midnight before the bar of the 10th


def test_its_clock_runs_as_fast_as_asked():
    with serving(speed=600) as (env, _):
        client = trading_client(env)
        first = client.get_clock().timestamp
        time.sleep(0.6)
        assert client.get_clock().timestamp - first >= timedelta(minutes=3)


def test_a_killed_venue_goes_on_where_it_was(tmp_path):
    book = tmp_path / "venue.db"
    order = MarketOrderRequest(
        symbol="AAPL", qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
    )
    with serving(book) as (env, child):
        trading_client(env).submit_order(order_data=order)
        control = {"X-Control-Key": env["LIVEKIT_VENUE_CONTROL_KEY"]}
        url = env["LIVEKIT_VENUE_CONTROL_URL"]
        step = {"to": "2020-01-31T11:11:00-05:00"}
        assert requests.post(f"{url}/advance", json=step, headers=control, timeout=5).ok
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with serving(book, session="") as (env, _):
        client = trading_client(env)
        assert client.get_clock().timestamp.isoformat() == "2020-01-31T11:11:00-05:00"
        assert [one.symbol for one in client.get_all_positions()] == ["AAPL"]


def half_filled(env: dict[str, str]) -> tuple[str, str]:
    """Status and filled quantity of the order that a fault fills by half."""
    order = trading_client(env).get_order_by_client_id("half")
    return order.status.value, str(order.filled_qty)


def test_orders_filled_in_part_faults_and_clock_survive_a_kill(tmp_path):
    book = tmp_path / "venue.db"
    rules = [
        {"kind": "partial_then_expiry", "symbol": "AAPL"},
        {"kind": "server_error", "path": "/v2/account", "nth": 2, "times": 1},
    ]

    def control(env: dict[str, str], name: str, body: dict[str, object] | None = None) -> dict:
        url, headers = (
            env["LIVEKIT_VENUE_CONTROL_URL"],
            {"X-Control-Key": env["LIVEKIT_VENUE_CONTROL_KEY"]},
        )
        method = "GET" if body is None else "POST"
        return requests.request(
            method, f"{url}/{name}", json=body, headers=headers, timeout=5
        ).json()

    def account_status(env: dict[str, str]) -> int:
        keys = {
            "APCA-API-KEY-ID": env["APCA_API_KEY_ID"],
            "APCA-API-SECRET-KEY": env["APCA_API_SECRET_KEY"],
        }
        url = f"{env['APCA_API_BASE_URL']}/v2/account"
        return requests.get(url, headers=keys, timeout=5).status_code

    with serving(book) as (env, child):
        control(env, "faults", {"rules": rules, "seed": 3})
        trading_client(env).submit_order(
            LimitOrderRequest(
                symbol="AAPL",
                qty=10,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.DAY,
                limit_price=1000,
                client_order_id="half",
            )
        )
        assert half_filled(env) == ("partially_filled", "5")
        assert account_status(env) == 200  # the first read
        before = control(env, "clock")["now"]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with serving(book, session="") as (env, _):
        assert control(env, "clock")["now"] == before
        faults = control(env, "faults")
        assert [rule["kind"] for rule in faults["rules"]] == [rule["kind"] for rule in rules]
        assert (faults["seed"], faults["counts"]["partial_then_expiry"]) == (3, 1)
        assert half_filled(env) == ("partially_filled", "5")
        assert [account_status(env) for _ in range(2)] == [500, 200]  # the second read, not again
        control(env, "advance", {"to": "2020-01-30T16:00:00-05:00"})
        assert half_filled(env) == ("expired", "5")


def test_a_book_is_never_taken_back_in_time(tmp_path):
    book = tmp_path / "venue.db"
    with serving(book), pytest.raises(LockHeld):
        serve_venue(ServeOptions(session=date(2020, 1, 30), book=book), print)
    with pytest.raises(BadInput, match="already come to"):
        serve_venue(ServeOptions(session=date(2020, 1, 29), book=book), print)


def test_a_day_without_trading_and_a_wild_speed_are_refused():
    with pytest.raises(NotASession):
        serve_venue(ServeOptions(session=date(2020, 2, 1)), print)
    with pytest.raises(BadInput):
        serve_venue(ServeOptions(speed=-1), print)
