"""The audit reads two files: whatever is changed in one of them, or left uncovered, it reports."""

import shutil
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.clock import sleep_until
from livekit.sessions import open_instant
from livekit.trading.protector import protect
from livekit.workbench.audit import Audit, audit_files
from livekit.workbench.terminal import audit_trouble
from tests.entry.entry_kit import Shop
from tests.trading.world import World, world

MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions: ABC and DEF bought on Monday; on Tuesday DEF falls through its stop (36)."""
    folder = tmp_path_factory.mktemp("traded")
    bars = {("DEF", TUESDAY): (39.0, 39.0, 35.0, 35.5)}
    with world(folder, {"ABC": 50.0, "DEF": 40.0}, bars) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))
        assert w.trade(MONDAY).exit_code == 0
        assert w.trade(TUESDAY).exit_code == 0
    return folder / "world"


@pytest.fixture
def files(traded: Path, tmp_path: Path) -> Path:
    """A copy of the two files to change."""
    for name in ("venue.db", "state.db"):
        shutil.copy(traded / name, tmp_path / name)
    return tmp_path


def changed(files: Path, name: str, statement: str) -> Audit:
    """The audit after somebody changed one of the files by hand."""
    with closing(sqlite3.connect(files / name)) as raw, raw:
        for trigger in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            raw.execute(f"DROP TRIGGER {trigger[0]}")
        assert raw.execute(statement).rowcount == 1
    return audit_files(files / "venue.db", files / "state.db")


def test_untouched_files_agree(files: Path) -> None:
    """Bought 200 × 50 and 250 × 40, sold 250 at 36 less 0.5 %, which is 35.82.

    200,000 − 10,000 − 10,000 + 8,955 = 188,955 USD.
    """
    result = audit_files(files / "venue.db", files / "state.db")
    assert (result.fills, result.positions, result.cash_usd) == (3, 1, Decimal(188955))
    assert (result.exit_code, result.differences, result.worst_uncovered_s) == (0, (), 0.0)


@pytest.mark.parametrize(
    ("name", "statement", "fact"),
    [
        (
            "venue.db",
            "DELETE FROM activities WHERE ticker = 'ABC' AND kind = 'FILL'",
            "is not the venue's",
        ),
        (
            "venue.db",
            "DELETE FROM events WHERE ticker = 'ABC' AND kind = 'filled'",
            "its own log gives 198955.00 USD",
        ),
        (
            "venue.db",
            "UPDATE activities SET price = '49.99' WHERE ticker = 'ABC' AND kind = 'FILL'",
            "49.99",
        ),
        ("venue.db", "UPDATE positions SET qty = 199 WHERE ticker = 'ABC'", "ABC: 199 against"),
        (
            "venue.db",
            "UPDATE state SET value = '188955.01' WHERE key = 'cash_usd'",
            "188955.01 USD, our fills give 188955.00 USD",
        ),
        ("state.db", "DELETE FROM fills WHERE ticker = 'ABC'", "is not in our book"),
        ("state.db", "UPDATE fills SET price = '50.01' WHERE ticker = 'ABC'", "50.01"),
        ("state.db", "UPDATE fills SET quantity = 199 WHERE ticker = 'ABC'", "199"),
        (
            "state.db",
            "UPDATE positions SET actual_shares = 199 WHERE ticker = 'ABC'",
            "position ABC: 200 against our 199",
        ),
    ],
)
def test_one_changed_row_is_a_difference(files: Path, name: str, statement: str, fact: str) -> None:
    result = changed(files, name, statement)
    assert result.exit_code == 4
    assert any(fact in text for text in result.differences), result.differences
    assert len(audit_trouble(result).splitlines()) == 1


def test_a_stop_taken_away_for_a_minute_of_trading_is_reported_as_uncovered(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(hours=1))
        take_the_stop_away(w, "ABC")
        w.desk.clock.sleep(60.0)
        assert audit_files(w.profile.venue_db, w.profile.state_db).exit_code == 7
        assert len(protect(w.desk).repaired) == 1  # the protector places it again
        w.desk.clock.sleep(60.0)
        result = audit_files(w.profile.venue_db, w.profile.state_db)
    assert result.exit_code == 7  # but the minute stays in the log
    [bare] = result.uncovered
    assert (bare.ticker, bare.shares, bare.seconds) == ("ABC", 200, 60.0)
    assert bare.start == open_instant(TUESDAY) + timedelta(hours=1)
    assert audit_trouble(result) == "shares were without cover for 60 s"


def take_the_stop_away(w: World, ticker: str) -> None:
    orders = w.desk.client.list_orders(status="open")
    flat = [item for order in orders for item in (order, *order.legs)]
    [stop] = [item for item in flat if item.ticker == ticker and item.is_live_cover]
    w.desk.client.cancel_order(stop.order_id)


def test_a_stop_that_is_away_while_the_market_is_closed_is_no_danger(tmp_path: Path) -> None:
    """From the evening to the next morning before the open no price can fall."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        take_the_stop_away(w, "ABC")
        w.trade(TUESDAY)
        result = audit_files(w.profile.venue_db, w.profile.state_db)
    assert result.exit_code == 0
    assert result.uncovered[0].clock_seconds > 3600


def test_the_command_ends_with_the_audits_exit_code_and_one_line(shop: Shop) -> None:
    shop.report(MONDAY, ("ABC", 80.0, 50.0))
    assert shop.daily(MONDAY).code == 0
    good = shop.audit()
    assert (good.code, good.err) == (0, "")
    assert good.out.splitlines() == [
        "fills 1, positions 1, cash 40000.00 USD, longest without cover 0.0 s",
        "the books agree, every share was covered",
    ]
    spoil(shop)
    bad = shop.audit()
    assert bad.code == 4
    assert bad.refusal.startswith("exit 4: fill ")
    assert "difference: " in bad.out


def spoil(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.venue_db)) as raw, raw:
        raw.execute("UPDATE activities SET price = '51' WHERE kind = 'FILL'")
