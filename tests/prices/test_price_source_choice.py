"""Which supplier a profile's bars come from."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from livekit.config import Profile
from livekit.errors import KeysMissing, UnknownParameter
from livekit.prices.alpaca_source import AlpacaPriceSource
from livekit.prices.fmp_source import FMP_KEY
from livekit.prices.point_in_time import PointInTimeCache
from livekit.trading.opening import price_source

NO_CLIENT: Any = None  # making a source asks nobody


class Clock:
    def now(self) -> datetime:
        return datetime(2020, 1, 6, 14, 0, tzinfo=UTC)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
def paper(tmp_path: Path) -> Profile:
    return Profile(venue="alpaca-paper", name="paper", outputs=tmp_path)


def test_bars_come_from_alpaca_unless_the_profile_says_otherwise(paper: Profile) -> None:
    assert isinstance(price_source(paper, NO_CLIENT, Clock()), AlpacaPriceSource)


def test_fmp_is_asked_once_a_session_and_every_answer_is_kept(
    paper: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FMP_KEY, "k3yThatNobodyMaySee")
    source = price_source(replace(paper, price_source="fmp"), NO_CLIENT, Clock())
    assert isinstance(source, PointInTimeCache)


def test_fmp_without_its_key_is_refused_by_name(
    paper: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(FMP_KEY, raising=False)
    monkeypatch.chdir(tmp_path)  # no .env either
    with pytest.raises(KeysMissing, match=FMP_KEY):
        price_source(replace(paper, price_source="fmp"), NO_CLIENT, Clock())


def test_the_simulated_market_is_told_by_its_own_venue_alone() -> None:
    with pytest.raises(UnknownParameter, match="simulated"):
        Profile(venue="simulated", price_source="fmp")
