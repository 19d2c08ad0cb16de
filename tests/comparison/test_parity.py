"""Parity: the live path gives the trades of the portfolio simulator, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from livekit.config import LiveConfig
from livekit.model import END_OF_DATA
from livekit.sessions import sessions_between
from tests.comparison.parity_kit import EMA, NWL, SHARED, shared_market, trade_stretch

YEARS = tuple(range(2014, 2022))


@pytest.mark.parametrize("config", [EMA, NWL], ids=["ema_p10", "nwl_p4"])
def test_a_month_of_the_quarter_has_no_difference(tmp_path: Path, config: LiveConfig) -> None:
    """The four weeks in which most positions were stopped out or sold."""
    found = trade_stretch(tmp_path, config, date(2020, 2, 3), date(2020, 2, 28))
    assert found.trouble == ()
    assert found.differences == ()
    assert len(found.live) == len(found.simulated) >= 10
    assert {trade.exit_reason for trade in found.live} != {END_OF_DATA}


@pytest.mark.slow
@pytest.mark.ci
def test_the_quarter_has_no_difference_with_the_shadow_as_primary(tmp_path: Path) -> None:
    """With the primary as it is, the demo shows the same over the same quarter."""
    found = trade_stretch(tmp_path, NWL, date(2020, 1, 2), date(2020, 3, 31))
    assert found.trouble == ()
    assert found.differences == ()
    assert len(found.live) == len(found.simulated) >= 30


@pytest.mark.parity
@pytest.mark.skipif(not SHARED.exists(), reason="the full data are not beside the repository")
@pytest.mark.parametrize("config", [EMA, NWL], ids=["ema_p10", "nwl_p4"])
@pytest.mark.parametrize("year", YEARS)
def test_a_year_of_the_full_data_has_no_difference(
    tmp_path: Path, year: int, config: LiveConfig
) -> None:
    """Each year begins with an empty book and sees all bars from January 2014 on.

    Tickers with a spin-off in the year are left out of it, see `shared_market`, and named.
    """
    start = date(year, 1, 1) if year > 2014 else date(2014, 3, 31)
    end = date(2021, 4, 20) if year == 2021 else date(year, 12, 31)
    first, *_, last = sessions_between(start, end)
    prices, earnings, left_out = shared_market(tmp_path, date(2014, 1, 6), first, last)
    settings = replace(config, fmp_lookback_days=(last - date(2014, 1, 6)).days + 1)
    found = trade_stretch(tmp_path, settings, first, last, prices=prices, earnings=earnings)
    print(
        f"{year} {settings.primary_strategy}: {len(found.live)} trades live, "
        f"{len(found.simulated)} simulated, {len(found.differences)} differences; "
        f"left out for a spin-off: {', '.join(left_out) or 'none'}"
    )
    for text in (*found.trouble, *map(str, found.differences)):
        print(f"  {text}")
    assert found.differences == ()
