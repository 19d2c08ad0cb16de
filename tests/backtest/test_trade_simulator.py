"""Each candidate alone: stop modes, entry modes, maximal holding, daily limit, overlap."""

from __future__ import annotations

from datetime import date

import pytest
from days import bars, reported
from hypothesis import given, settings
from hypothesis import strategies as st
from stepwise import run_stepwise
from worlds import make_world

from livekit.backtest import BacktestResult, TradeSimulator, simulate
from livekit.backtest.engine import compiled_engine
from livekit.backtest.prepared import prepare_market
from livekit.config import LiveConfig
from livekit.errors import UnknownParameter
from livekit.model import Candidate, ClosedTrade, DailyBars
from livekit.sessions import next_session, session_on_or_after
from livekit.strategy.decisions import order_candidates

FALLS = bars(
    "AA",
    [
        ("2020-01-06", 100.0, 89.0, 95.0),
        ("2020-01-07", 94.0, 88.0, 89.0),
        ("2020-01-08", 80.0, 79.0, 85.0),
        ("2020-01-09", 86.0, 85.0, 87.0),
    ],
)
STEADY = bars("BB", [(f"2020-01-{day:02}", 50.0, 49.0, 51.0) for day in (6, 7, 8, 9)])


def alone(
    candidates: list[Candidate], *prices: DailyBars, strategy: str = "nwl_p4", **parameters: object
) -> BacktestResult:
    config = LiveConfig(**({"position_size": 1000.0} | parameters))
    return TradeSimulator(config, strategy).run({one.ticker: one for one in prices}, candidates)


@pytest.mark.parametrize(
    ("mode", "day", "raw"),
    [
        ("intraday", "2020-01-06", 90.0),
        ("skip_entry_day", "2020-01-07", 90.0),
        ("close", "2020-01-07", 89.0),
        ("close_next_open", "2020-01-08", 80.0),
    ],
)
def test_the_four_stop_modes_leave_at_their_own_prices(mode: str, day: str, raw: float) -> None:
    (trade,) = alone([reported("AA")], FALLS, stop_mode=mode).closed
    assert (str(trade.exit_session), trade.exit_price) == (day, pytest.approx(raw * 0.995))
    assert trade.exit_reason == "protective_stop"


def test_next_open_enters_a_session_after_the_report() -> None:
    at_once = alone([reported("AA")], FALLS).closed[0]
    later = alone([reported("AA")], FALLS, entry_mode="next_open").closed[0]
    assert (at_once.entry_session, at_once.entry_price) == (date(2020, 1, 6), 100.0)
    assert (later.entry_session, later.entry_price) == (date(2020, 1, 7), 94.0)
    # Its stop is 10 % below 94, down to the cent: 84.60; Wednesday opens below it, at 80.
    assert (later.exit_session, later.exit_price) == (date(2020, 1, 8), 79.6)


def test_a_report_of_the_last_session_has_no_next_open() -> None:
    result = alone([reported("BB", day="2020-01-09")], STEADY, entry_mode="next_open")
    assert result.closed == ()
    (skipped,) = result.skips
    assert (str(skipped.session), skipped.skip.reason) == ("2020-01-10", "no_price_data")


def test_the_portfolio_does_not_know_the_next_open() -> None:
    with pytest.raises(UnknownParameter, match="next_open"):
        simulate(None, None, LiveConfig(entry_mode="next_open"))


def test_a_trade_ends_at_the_close_of_its_maximal_holding() -> None:
    (trade,) = alone([reported("BB")], STEADY, max_holding_days=2).closed
    # 20 shares at 50; Wednesday's close 51 × 0.995 = 50.745; 20 × 0.745 = 14.90.
    assert (str(trade.exit_session), trade.exit_reason) == ("2020-01-08", "max_holding_days")
    assert (trade.exit_price, trade.pnl_usd) == (50.745, 14.9)


def test_the_daily_limit_takes_the_best_and_skips_the_rest() -> None:
    candidates = [reported("BB", 40.0), reported("AA", 60.0)]
    result = alone(candidates, FALLS, STEADY, daily_entry_limit=1)
    assert [trade.ticker for trade in result.closed] == ["AA"]
    assert [(one.skip.candidate.ticker, one.skip.reason) for one in result.skips] == [
        ("BB", "daily_limit")
    ]


def test_a_ticker_may_be_held_twice_and_no_place_is_ever_missing() -> None:
    candidates = [reported("BB"), reported("BB", day="2020-01-07"), reported("AA")]
    result = alone(candidates, STEADY, FALLS, max_positions=1)
    assert [trade.ticker for trade in result.closed] == ["AA", "BB", "BB"]
    assert result.skips == ()
    # Two times 20 shares at 50 are held from Tuesday on: the capital that the trades required.
    assert [point.invested_usd for point in result.curve] == [1000.0, 2000.0, 2000.0, 2000.0]
    assert result.metrics().capital_usd == 2000.0
    assert result.metrics().peak_positions == 2


def test_the_curve_of_single_trades_ends_at_their_sum() -> None:
    result = alone([reported("BB"), reported("AA")], STEADY, FALLS)
    last = result.curve[-1]
    total = sum(trade.pnl_usd for trade in result.closed)
    assert last.realised_usd + last.unrealised_usd == pytest.approx(total)


def expected_alone(
    world_bars: dict[str, DailyBars],
    candidates: tuple[Candidate, ...],
    config: LiveConfig,
    strategy: str,
    **modes: str,
) -> list[ClosedTrade]:
    """Each candidate in a book of its own, settled session by session."""
    found = []
    for candidate in candidates:
        trades, _, _ = run_stepwise(world_bars, [candidate], config, strategy, **modes)
        found += trades
    return sorted(found, key=_key)


def _key(trade: ClosedTrade) -> tuple:
    return trade.exit_session, trade.ticker, trade.entry_session, trade.exit_reason


@given(st.integers(0, 2**48), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_candidate_alone_is_a_book_with_one_candidate(
    seed: int, next_open: bool, compiled: bool
) -> None:
    world = make_world(seed)
    plain = {**world.parameters, "daily_entry_limit": None, "min_grade": "D"}
    config = LiveConfig(**plain, entry_mode="next_open" if next_open else "report_open")
    by_session: dict[date, list[Candidate]] = {}
    for one in world.reported():
        by_session.setdefault(session_on_or_after(one.report_date), []).append(one)
    kept = tuple(
        candidate
        for session in sorted(by_session)
        for candidate in order_candidates(by_session[session], "D")
    )[:12]
    simulator = TradeSimulator(config, world.strategy, stop_fill=world.stop_fill)
    market = prepare_market(world.bars(), {one.ticker for one in kept})
    engine = compiled_engine() if compiled else None
    result = simulator.run_prepared(market, simulator.prepare(market, kept), engine=engine)
    moved = [_on_next_session(one) for one in kept] if next_open else list(kept)
    expected = expected_alone(
        world.bars(), tuple(moved), LiveConfig(**plain), world.strategy, stop_fill=world.stop_fill
    )
    assert [_facts(trade) for trade in sorted(result.closed, key=_key)] == [
        _facts(trade) for trade in expected
    ]


def _on_next_session(candidate: Candidate) -> Candidate:
    day = next_session(session_on_or_after(candidate.report_date))
    return Candidate(candidate.ticker, day, candidate.grade, candidate.score)


def _facts(trade: ClosedTrade) -> tuple:
    return (*_key(trade), trade.entry_price, trade.shares, trade.exit_price, trade.pnl_usd)
