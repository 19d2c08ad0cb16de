"""The verdict at day 30, 90, 250 and at the end: planted worlds, and the full data."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from livekit.backtest import PortfolioSimulator
from livekit.comparison.decision import Verdict, decide
from livekit.comparison.forecast import VerdictPlan
from livekit.comparison.twins import TwinRecord, twin_book
from livekit.config import LiveConfig
from livekit.prices import ParquetPriceSource
from livekit.reports.earnings import earnings_sessions
from livekit.reports.scoring import ScoredStock, score_stock
from livekit.sessions import sessions_between
from tests.comparison.parity_kit import SHARED
from tests.comparison.planted import BASE_USD, Planted, days, planted

MILESTONES = (30, 90, 250)
PLAN = VerdictPlan(BASE_USD, draws=500)


def sessions_by(first: date, day: int, all_sessions: tuple[date, ...]) -> int:
    """Sessions of a record on calendar day ``day`` after its first session."""
    return sum(session <= first + timedelta(days=day) for session in all_sessions)


def milestones(world: Planted) -> list[str]:
    counts = [sessions_by(days()[0], day, days()) for day in MILESTONES]
    return [decide(world.record(n), PLAN).state for n in (*counts, len(world.primary))]


def test_a_planted_better_shadow_is_too_early_at_day_30_and_switched_to_later() -> None:
    """10 bps a session on a spread of 20 are 25 % of the base in a year."""
    states = milestones(planted(1, advantage_bps=10.0, sd_bps=20.0))
    assert states[0] == "CONTINUE"
    assert states[2:] == ["SWITCH", "SWITCH"]


def test_a_planted_equal_shadow_is_kept_at_the_end() -> None:
    assert milestones(planted(2)) == ["CONTINUE", "CONTINUE", "CONTINUE", "KEEP"]


@pytest.fixture(scope="module")
def full_data() -> tuple[dict, list]:
    """Bars and scored candidates of the full data, as the daily reports would name them."""
    source = ParquetPriceSource(SHARED / "prices_2014_2021.parquet")
    events = earnings_sessions(SHARED / "earnings_dates_2014_2021.csv", source)
    moved = [event for event in events if event.gap_pct >= 2.0]
    bars = source.daily_bars(sorted({one.ticker for one in moved}), date(2014, 1, 2), END)
    candidates = []
    for event in moved:
        known = bars[event.ticker]
        price = float(known.open[known.index_of(event.session)])
        stock = score_stock(known, event.session, price, company_name=event.ticker)
        if isinstance(stock, ScoredStock):
            candidates.append(_candidate(stock, event.session))
    return bars, candidates


END = date(2021, 4, 20)


def _candidate(stock: ScoredStock, session: date):  # type: ignore[no-untyped-def]
    from livekit.model import Candidate

    return Candidate(stock.ticker, session, stock.grade, stock.score, stock.price)


def real_verdict(data: tuple[dict, list], first: date, last: date) -> Verdict:
    bars, candidates = data
    primary, shadow = (
        twin_book(
            PortfolioSimulator(LiveConfig(), name).run(bars, candidates, first=first, last=last)
        )
        for name in ("ema_p10", "nwl_p4")
    )
    sessions = sessions_between(first, last)
    return decide(TwinRecord(sessions, BASE_USD, primary, shadow), VerdictPlan(BASE_USD))


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the full data are not beside the repository")
def test_the_full_data_are_told_honestly(full_data: tuple[dict, list]) -> None:
    """Companies of the index of spring 2021, labelled with one session of look-ahead."""
    first = date(2015, 1, 2)
    lasts = [first + timedelta(days=day) for day in MILESTONES]
    everything = sessions_between(first, END)
    found = []
    for last in (*(max(s for s in everything if s <= day) for day in lasts), END):
        verdict = real_verdict(full_data, first, last)
        found.append(verdict.state)
        print(f"{last}: {verdict.sentence}")
        for one in verdict.criteria:
            print(f"    {one.name}: {one.value} {one.unit}, needed {one.needed}: {one.standing}")
        if verdict.forecast is not None:
            print(f"    {verdict.forecast.text()}")
    assert found[0] == "CONTINUE"
    assert found[-1] in ("SWITCH", "KEEP")  # the horizon of 252 sessions is long over
