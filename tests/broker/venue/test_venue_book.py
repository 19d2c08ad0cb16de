"""The book: it is written before the answer leaves, and a reopened venue goes on where it was."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_kit import (
    FRIDAY,
    KEYS,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEEK,
    Venue,
    ny,
    refusal,
    week_history,
)

from livekit.broker.venue.api import VenueApp
from livekit.broker.venue.book import Book
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.records import Event, Order
from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.ledger import read_ledger
from livekit.broker.venue.rows import from_row, to_row
from livekit.broker.venue.session import connect_venue, in_process_venue, served_venue
from livekit.clock import sleep_until
from livekit.config import Profile
from livekit.errors import BadInput, HostRefused, KeysMissing, LockHeld, NotASession
from livekit.sessions import exchange_time, next_session

SETTINGS = VenueSettings(seed=3)
HOUR = timedelta(hours=1)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """The bars of the kit as a price file."""
    history = week_history()
    tables = []
    for ticker in history:
        bars = history.bars(ticker)
        columns = {
            name: getattr(bars, name)
            for name in ("open", "high", "low", "close", "adj_close", "volume", "dividend_usd")
        }
        sessions = pa.array(bars.sessions.astype("datetime64[us]"))
        tables.append(
            pa.table({"ticker": [ticker] * len(bars), "session": sessions} | columns).append_column(
                "split_ratio", pa.array(bars.split_ratio)
            )
        )
    path = tmp_path / "prices.parquet"
    pq.write_table(pa.concat_tables(tables), path)
    return path


@pytest.fixture
def profile(prices: Path, tmp_path: Path) -> Profile:
    return Profile(
        venue="simulated", first_session=THURSDAY, prices=prices, outputs=tmp_path, name="kit"
    )


@contextmanager
def on_file(path: Path, chosen: VenueSettings = SETTINGS) -> Iterator[Venue]:
    """A venue of the kit whose book is ``path``."""
    history = week_history()
    with Book(path) as book:
        venue = Venue(history)
        venue.engine = Engine(history, chosen, book.open_state(chosen, history, ny(THURSDAY, 0)))
        venue.app = VenueApp(venue.engine, KEYS, book)
        venue.trading, venue.raw = (
            venue.client(TradingClient),
            venue.client(TradingClient, raw_data=True),
        )
        yield venue


def picture(venue: Venue) -> list[object]:
    """Everything that the trading interface shows."""
    return [
        venue.raw.get("/account"),
        venue.raw.get("/orders", {"status": "all", "limit": 500}),
        venue.raw.get("/positions"),
        venue.raw.get("/account/activities"),
        venue.raw.get("/clock"),
        venue.raw.get("/account/portfolio/history"),
    ]


def test_a_reopened_book_shows_the_same_account(tmp_path):
    with on_file(tmp_path / "venue.db") as venue:
        venue.at(THURSDAY, 9)
        venue.buy_with_stop("90", client_order_id="entry")
        venue.send(symbol="BBB", type="limit", limit_price="40", time_in_force="gtc")
        refusal(venue.send, symbol="ZZZ")
        venue.at(FRIDAY, 12)
        venue.app.save()
        before = picture(venue)
    with on_file(tmp_path / "venue.db") as venue:
        assert picture(venue) == before
        venue.at(MONDAY, 9, 30)  # opens at 90: the stop of the reopened order fills
        assert venue.fills()[-1] == ("AAA", "sell", "10", "89.55")


@pytest.mark.parametrize(
    ("version", "missing"),
    [("1", ("trail_usd", "trail_percent", "high_water", "fate")), ("3", ("collar",))],
)
def test_a_book_of_an_earlier_version_is_continued(tmp_path, version, missing):
    path = tmp_path / "venue.db"
    with on_file(path) as venue:
        venue.at(THURSDAY, 9)
        venue.buy_with_stop("90", client_order_id="entry")
        venue.at(FRIDAY, 12)
        venue.app.save()
        before = picture(venue)
    with closing(sqlite3.connect(path)) as db, db:
        for column in missing:
            db.execute(f"ALTER TABLE orders DROP COLUMN {column}")
        db.execute("UPDATE state SET value = ? WHERE key = 'schema_version'", (version,))
        db.execute("DELETE FROM state WHERE key IN ('halted', 'blocked', 'interventions')")
    with on_file(path) as venue:
        assert picture(venue) == before
        venue.at(MONDAY, 9, 30)
        venue.app.save()
        after = picture(venue)
    with on_file(path) as venue:
        assert picture(venue) == after


def test_a_day_in_one_process_and_in_many_gives_the_same_log(tmp_path):
    moments = [(day, hour) for day in WEEK for hour in (9, 10, 20)]

    def act(venue: Venue, step: int) -> None:
        day, hour = moments[step]
        venue.at(day, hour)
        if hour == 9:
            venue.buy_with_stop("80", client_order_id=f"entry-{step}", qty="5")

    with on_file(tmp_path / "one.db") as venue:
        for step in range(len(moments)):
            act(venue, step)
        venue.app.save()
    for step in range(len(moments)):
        with on_file(tmp_path / "many.db") as venue:
            act(venue, step)
            venue.app.save()
    assert read_ledger(tmp_path / "one.db") == read_ledger(tmp_path / "many.db")


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"seed": 4}, "seed"),
        ({"fill_model": "paper"}, "fill_model"),
        ({"cash_usd": Decimal(1)}, "opening_cash_usd"),
        ({"slippage_pct": 0.6}, "slippage_pct"),
    ],
)
def test_a_book_is_never_continued_under_other_settings(tmp_path, other, name):
    with on_file(tmp_path / "venue.db"):
        pass
    with (
        pytest.raises(BadInput, match=f"its {name} is"),
        on_file(tmp_path / "venue.db", replace(SETTINGS, **other)),
    ):
        pass


def test_other_prices_are_refused_too(profile, tmp_path):
    with in_process_venue(profile):
        pass
    table = pq.read_table(profile.prices)
    changed = table.set_column(2, "open", pa.array([1.0] * len(table)))
    pq.write_table(changed, profile.prices)
    with pytest.raises(BadInput, match="its prices is"), in_process_venue(profile):
        pass


def test_a_file_that_is_no_book_is_refused(profile):
    profile.home.mkdir(parents=True)
    profile.venue_db.write_bytes(b"not a database at all" * 100)
    with pytest.raises(BadInput, match=r"no book|not a book"), in_process_venue(profile):
        pass


@pytest.mark.parametrize(
    ("column", "value"), [("close", float("nan")), ("low", 0.0), ("volume", -1.0)]
)
def test_a_price_file_that_makes_no_sense_is_refused(profile, column, value):
    table = pq.read_table(profile.prices)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array([value] * len(table))), profile.prices)
    with pytest.raises(BadInput, match="is not a price file"), in_process_venue(profile):
        pass


def test_only_one_process_holds_a_book(profile):
    with in_process_venue(profile), pytest.raises(LockHeld), in_process_venue(profile):
        pass


def test_the_clock_of_a_new_book_stands_at_midnight_of_the_first_session(profile):
    with in_process_venue(profile) as venue:
        assert venue.clock.now() == ny(THURSDAY, 0)
    saturday = replace(profile, first_session=date(2020, 1, 4))
    with pytest.raises(NotASession), in_process_venue(saturday):
        pass


def test_a_venue_in_memory_leaves_no_file(profile):
    with in_process_venue(profile, in_memory=True) as venue:
        venue.clock.sleep(3600)
    assert not profile.home.exists()


# -------------------------------------------------------------------------------------- served


def test_a_served_venue_survives_sigkill_with_everything_it_answered(profile):
    with served_venue(profile) as venue:
        handle = connect_venue(venue.environment())
        sleep_until(handle.clock, ny(THURSDAY, 9, 15))
        client = TradingClient(venue.api_key, venue.secret_key, url_override=venue.base_url)
        client._session.trust_env = False
        body = {"symbol": "AAA", "qty": 10, "side": "buy", "type": "market"}
        leg = {"order_class": "oto", "stop_loss": {"stop_price": 90.0}}
        sent = client.post("/orders", body | leg | {"time_in_force": "gtc"})
        os.kill(venue.process_id, signal.SIGKILL)
        client._session.close()
        handle.clock.close()
    ledger = read_ledger(profile.venue_db)
    assert ledger.clock == ny(THURSDAY, 9, 15)
    assert [event.kind for event in ledger.events] == ["accepted", "accepted"]
    with in_process_venue(profile) as venue:
        sleep_until(venue.clock, ny(THURSDAY, 9, 30))
        assert venue.engine.state.orders[sent["id"]].status == "filled"
    assert read_ledger(profile.venue_db).positions == {"AAA": Decimal(10)}


def test_unmodified_clients_work_over_a_socket(profile):
    with served_venue(profile) as venue:
        clients = (TradingClient, StockHistoricalDataClient)
        trading, data = (
            kind(venue.api_key, venue.secret_key, url_override=venue.base_url) for kind in clients
        )
        for client in (trading, data):
            client._session.trust_env = False
        sleep_until(venue.clock, ny(THURSDAY, 10))
        assert venue.clock.now() == ny(THURSDAY, 10)
        assert trading.get_account().equity == "200000.00"
        assert data.get("/stocks/AAA/trades/latest")["trade"]["p"] == 100.0
        for client in (trading, data):
            client._session.close()
    assert read_ledger(profile.venue_db).clock == ny(THURSDAY, 10)


def test_a_child_finds_its_venue_by_seven_variables_and_no_other_host(profile):
    with in_process_venue(profile, in_memory=True) as venue:
        environment = venue.environment()
    with pytest.raises(KeysMissing, match="LIVEKIT_VENUE_CONTROL_KEY"):
        connect_venue({**environment, "LIVEKIT_VENUE_CONTROL_KEY": ""})
    with pytest.raises(HostRefused):
        connect_venue({**environment, "APCA_API_BASE_URL": "https://paper-api.alpaca.markets"})
    secrets = [environment[name] for name in environment if name.endswith(("KEY", "KEY_ID"))]
    assert not any(secret in repr(venue) for secret in secrets)


# -------------------------------------------------------------------------------------- records


def test_a_row_is_read_back_as_it_was_written():
    with_all = Venue(fill_model="paper")
    with_all.at(THURSDAY, 9)
    with_all.buy_with_stop("90")
    with_all.at(TUESDAY, 10)
    for kind, records in (
        (Order, with_all.engine.state.orders.values()),
        (Event, with_all.engine.state.events),
    ):
        assert [from_row(kind, to_row(record)) for record in records] == list(records)


actions = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("buy", "oto", "bracket", "oco", "sell", "stop", "limit", "trail", "fok", "opg"),
                *("cancel", "replace", "halt", "resume", "split", "time", "time", "time"),
            )
        ),
        st.integers(1, 12),
        st.integers(80, 110),
        st.sampled_from(["AAA", "BBB"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(actions=actions, model=st.sampled_from(["parity", "paper", "rough"]), seed=st.integers(0, 5))
def test_whatever_is_sent_the_book_adds_up(actions, model, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "venue.db"
    with on_file(path, replace(SETTINGS, fill_model=model, seed=seed)) as venue:
        venue.at(THURSDAY, 9)
        for kind, quantity, price, ticker in actions:
            attempt(venue, kind, quantity, price, ticker)
            require_sound(venue)
        venue.app.save()
        positions = {one["symbol"]: int(one["qty"]) for one in venue.raw.get("/positions")}
        cash = venue.engine.state.cash_usd
    ledger = read_ledger(path)
    assert ledger.positions == ledger.positions_from_log == positions
    assert ledger.cash == ledger.cash_from_log == cash
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def attempt(venue: Venue, kind: str, quantity: int, price: int, ticker: str) -> None:
    """One request, accepted or refused; or time passes by ``quantity`` hours."""
    if kind == "time":
        venue.engine.advance(venue.engine.now + quantity * HOUR)
    elif kind in ("halt", "resume", "split"):
        with suppress(Refusal):
            intervene(venue, kind, ticker, ratio="2:1" if quantity % 2 else "1:2")
    elif kind in ("cancel", "replace"):
        with suppress(APIError):
            change_one(venue, kind, quantity, price)
    else:
        with suppress(APIError):
            order = {"symbol": ticker, "qty": str(quantity)} | order_body(kind, quantity, price)
            venue.send(**order)


def intervene(venue: Venue, kind: str, ticker: str, ratio: str) -> None:
    """The exchange halts or resumes a ticker, or its company announces a split for tomorrow."""
    control = venue.app.control
    if kind == "split":
        control.split(ticker, ratio, next_session(exchange_time(venue.engine.now).date()))
    else:
        {"halt": control.halt, "resume": control.resume}[kind](ticker)


def change_one(venue: Venue, kind: str, number: int, price: int) -> None:
    """Cancel or replace one of the open orders, if there are any."""
    orders = venue.raw.get("/orders", {"status": "open"})
    if not orders:
        return
    chosen = orders[number % len(orders)]
    if kind == "cancel":
        venue.cancel(chosen)
    else:
        venue.raw.patch(f"/orders/{chosen['id']}", {"limit_price": str(price)})


def order_body(kind: str, quantity: int, price: int) -> dict[str, object]:
    """What a request for an order of this kind says beside ticker and quantity."""
    stop = {"stop_price": str(price // 2)}
    group = {"side": "buy", "order_class": kind, "time_in_force": "gtc", "stop_loss": stop}
    return {
        "buy": {"side": "buy"},
        "sell": {"side": "sell"},
        "oto": group,
        "bracket": group | {"take_profit": {"limit_price": str(price + 20)}},
        "oco": {
            "side": "sell",
            "type": "limit",
            "order_class": "oco",
            "time_in_force": "gtc",
            "take_profit": {"limit_price": str(price)},
            "stop_loss": {"stop_price": str(price - 10)},
        },
        "trail": {
            "side": "sell",
            "type": "trailing_stop",
            "trail_price": str(quantity),
            "time_in_force": "gtc",
        },
        "fok": {"side": "buy", "time_in_force": "fok"},
        "opg": {"side": "buy", "time_in_force": "opg"},
        "stop": {"side": "sell", "type": "stop", "stop_price": str(price), "time_in_force": "gtc"},
        "limit": {"side": "buy", "type": "limit", "limit_price": str(price)},
    }[kind]


def require_sound(venue: Venue) -> None:
    """No position is negative, no share reserved twice, and equity is cash plus positions."""
    state = venue.engine.state
    value = Decimal(0)
    for row in venue.raw.get("/positions"):
        assert 0 <= int(row["qty_available"]) <= int(row["qty"])
        reserved = sum(
            order.remaining
            for order in state.working_on(row["symbol"])
            if order.side == "sell" and order.status != "held"
        )
        free = int(row["qty"]) - reserved
        if state.interventions:  # a reverse split leaves the legs of groups as they are
            free = max(0, free)
        assert int(row["qty_available"]) == free
        fraction = state.positions[row["symbol"]].fraction_due  # paid at the open after a split
        value += Decimal(row["market_value"]) + fraction * Decimal(row["current_price"])
    account = venue.raw.get("/account")
    assert abs(Decimal(account["equity"]) - Decimal(account["cash"]) - value) <= Decimal("0.01")
    spent = sum((row.net_usd for row in state.activities), Decimal(0))
    assert state.cash_usd == state.opening_cash_usd + spent
