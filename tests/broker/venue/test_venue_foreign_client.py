"""Another client of the same interface, alpaca-trade-api, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_venue_serve import serving

PROGRAM = """
import json
import alpaca_trade_api as tradeapi

api = tradeapi.REST()
seen = {"cash": api.get_account().cash, "open": api.get_clock().is_open}
bought = api.submit_order(symbol="AAPL", qty=1, side="buy", type="market", time_in_force="day")
seen["bought"] = api.get_order(bought.id).status
seen["held"] = [position.symbol for position in api.list_positions()]
resting = api.submit_order(
    symbol="F", qty=1, side="buy", type="limit", limit_price=5, time_in_force="gtc",
    client_order_id="f1",
)
seen["resting"] = api.get_order_by_client_order_id("f1").status
api.cancel_order(resting.id)
seen["open orders"] = len(api.list_orders())
bracket = api.submit_order(
    symbol="KO", qty=1, side="buy", type="market", time_in_force="gtc", order_class="bracket",
    take_profit={"limit_price": "90"}, stop_loss={"stop_price": "40"},
)
seen["legs"] = [leg.status for leg in bracket.legs]
seen["bars"] = len(api.get_bars("AAPL", "1Day", "2020-01-02", "2020-01-09", feed="iex"))
seen["fills"] = len(api.get_activities(activity_types="FILL"))
seen["day"] = str(api.get_calendar("2019-11-29", "2019-11-29")[0].close)
try:
    api.submit_order(symbol="QQQQX", qty=1)
except tradeapi.rest.APIError as error:
    seen["refused"] = [error.status_code, error.code, str(error)]
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has alpaca-trade-api."""
    home = tmp_path_factory.mktemp("foreign")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "alpaca-trade-api", "setuptools"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"alpaca-trade-api cannot be installed: {done.stderr.strip()[-200:]}")
    return python


@pytest.mark.slow
def test_alpaca_trade_api_works_by_its_four_variables(python):

    with serving() as (env, _):
        done = subprocess.run(
            [python, "-c", PROGRAM],
            check=False,
            env=os.environ | env,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "cash": "100000.00",
        "open": True,
        "bought": "filled",
        "held": ["AAPL"],
        "resting": "new",
        "open orders": 0,
        "legs": ["held", "held"],
        "bars": 6,
        "fills": 2,
        "day": "13:00:00",
        "refused": [422, 42210000, 'asset "QQQQX" not found'],
    }
