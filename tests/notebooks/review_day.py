"""A morning with something to review: a small market, three candidates, one with a hostile name."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import yaml
from checkouts import REPOSITORY, Checkout

from livekit.model import Candidate
from livekit.state import StateDB
from livekit.workbench.entry import register
from tests.trading.world import market_file

MONDAY = date(2020, 1, 6)
EVIL = "Evil <img src=x onerror=alert(1)> Corp"


def review_morning(folder: Path, **trading: object) -> Checkout:
    """A registered profile that wants approvals, with the candidates of ``MONDAY`` stored.

    With 10,000 USD a position: 200 shares of ABC at 50, 250 of DEF at 40, 500 of XYZ at 20.
    """
    folder.mkdir()
    params = folder / "demo.yaml"
    market = market_file(
        folder / "market.parquet", {"AAPL": 100.0, "ABC": 50.0, "DEF": 40.0, "XYZ": 20.0}
    )
    values = {
        "venue": "simulated",
        "first_session": MONDAY,
        "venue_cash_usd": 50000.0,
        "prices": str(market),
        "trading": {"max_positions": 3, "fmp_lookback_days": 520, "approval": "required"} | trading,
    }
    params.write_text(yaml.safe_dump(values))
    made = Checkout(folder, params)
    shutil.copytree(REPOSITORY / "notebooks", made.notebooks)
    register(made.profile)
    stocks = [
        Candidate("ABC", MONDAY, "B", 80.0, Decimal(50), 3.0, "ABC Company"),
        Candidate("DEF", MONDAY, "B", 75.0, Decimal(40), 3.0, "DEF Company"),
        Candidate("XYZ", MONDAY, "B", 70.0, Decimal(20), 3.0, EVIL),
    ]
    with StateDB(made.profile.state_db) as db:
        db.save_candidates(MONDAY, stocks, at=datetime(2020, 1, 6, 13, tzinfo=UTC))
    return made


def name_session(checkout: Checkout, notebook: str, session: date) -> None:
    """Write the session into a notebook's parameter cell, as a person does."""
    path = checkout.notebooks / notebook
    text = path.read_text(encoding="utf-8")
    changed = text.replace('session: str = \\"2020-01-30\\"', f'session: str = \\"{session}\\"')
    assert changed != text
    path.write_text(changed, encoding="utf-8")
