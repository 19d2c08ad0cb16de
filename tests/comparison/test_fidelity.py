"""Fidelity: does the executed book do what its twin did, and when is that not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from livekit.comparison.attribution import Attribution, BookTrade, TradeBook, attribute
from livekit.comparison.fidelity import judge_fidelity
from livekit.comparison.forecast import VerdictPlan
from livekit.sessions import sessions_between

SESSIONS = sessions_between(date(2020, 1, 2), date(2020, 5, 29))
PLAN = VerdictPlan(200_000.0, draws=500)


def modelled(count: int = 60) -> tuple[BookTrade, ...]:
    """One trade every second session: 100 shares bought at 100 and sold at 101."""
    return tuple(
        BookTrade(
            f"T{at}",
            SESSIONS[at],
            Decimal(100),
            100,
            SESSIONS[at + 5],
            Decimal(101),
            "trend_break",
            Decimal("100.00"),
        )
        for at in range(0, count, 2)
    )


def executed(worse_pct: float, spread_pct: float, seed: int = 1) -> TradeBook:
    """The same trades, sold lower by about ``worse_pct`` of the entry price."""
    chance = np.random.default_rng(seed)
    trades = []
    for trade in modelled():
        price = Decimal(f"{101 - chance.normal(worse_pct, spread_pct):.2f}")
        profit = (trade.shares * (price - trade.entry_price)).quantize(Decimal("0.01"))
        trades.append(replace(trade, exit_price=price, profit_usd=profit))
    return TradeBook("live", tuple(trades))


def attribution(live: TradeBook) -> Attribution:
    return attribute(live, TradeBook("twin", modelled()))


def test_a_book_that_is_its_twin_is_faithful() -> None:
    found = judge_fidelity(attribution(TradeBook("live", modelled())), PLAN, 90)
    assert (found.state, found.trades, found.missed, found.extra) == ("FAITHFUL", 30, 0, 0)
    assert (found.difference_usd, found.rest_usd) == (Decimal("0.00"), Decimal("0.00"))
    assert (found.mean_pct, found.low_pct, found.high_pct) == (0.0, 0.0, 0.0)
    assert found.causes == ()


def test_it_is_due_after_ninety_days_and_not_before() -> None:
    whole = attribution(TradeBook("live", modelled()))
    assert judge_fidelity(whole, PLAN, 89).state == "CONTINUE"
    assert "due after 90 days, 89 have passed" in judge_fidelity(whole, PLAN, 89).because


def test_a_small_shortfall_that_is_known_well_is_faithful() -> None:
    found = judge_fidelity(attribution(executed(0.1, 0.3)), PLAN, 120)
    assert found.state == "FAITHFUL"
    assert [part.cause for part in found.causes] == ["exit price"]
    assert found.causes[0].usd == found.difference_usd


def test_a_large_shortfall_deviates() -> None:
    found = judge_fidelity(attribution(executed(1.5, 0.5)), PLAN, 120)
    assert found.state == "DEVIATES"
    assert found.high_pct is not None
    assert found.high_pct < -0.5


def test_a_shortfall_that_scatters_too_much_is_undecided() -> None:
    assert judge_fidelity(attribution(executed(0.4, 2.0)), PLAN, 120).state == "UNDECIDED"


def test_a_rest_without_a_cause_deviates_on_any_day() -> None:
    first, *others = modelled()
    odd = replace(first, profit_usd=first.profit_usd - 5)
    found = judge_fidelity(attribution(TradeBook("live", (odd, *others))), PLAN, 10)
    assert (found.state, found.rest_usd) == ("DEVIATES", Decimal("-5.00"))
    assert "T0" in found.because


def test_missed_and_extra_trades_are_counted() -> None:
    trades = modelled()
    stranger = replace(trades[0], ticker="ZZ")
    found = judge_fidelity(attribution(TradeBook("live", (*trades[2:], stranger))), PLAN, 120)
    assert (found.missed, found.extra) == (2, 1)
    # two profits of 100 missed, one of 100 too many
    assert found.difference_usd == Decimal("-100.00")


@pytest.mark.parametrize("count", [0, 8])
def test_few_weeks_of_entries_have_no_interval(count: int) -> None:
    """Four trades on every second session lie in two weeks; five are needed."""
    book = TradeBook("live", modelled(count))
    found = judge_fidelity(attribute(book, book), PLAN, 120)
    assert found.state == "UNDECIDED"
    assert (found.low_pct, found.high_pct) == (None, None)


def test_the_same_seed_gives_the_same_interval() -> None:
    whole = attribution(executed(0.4, 2.0))
    assert judge_fidelity(whole, PLAN, 120) == judge_fidelity(whole, PLAN, 120)
