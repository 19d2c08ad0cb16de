"""Attribution: parts that sum to the difference to the cent, and a rest that is a break."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livekit.comparison.attribution import (
    CAUSES,
    BookTrade,
    TradeBook,
    attribute,
    match_trades,
    modelled_trade,
)
from livekit.errors import RecordUnusable
from livekit.model import END_OF_DATA, PROTECTIVE_STOP, TREND_BREAK, Candidate, ClosedTrade
from livekit.sessions import sessions_between

SESSIONS = sessions_between(date(2020, 1, 2), date(2020, 3, 31))
MONDAY, TUESDAY, FRIDAY = date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 10)


def trade(
    ticker: str = "AA",
    *,
    entered: date = MONDAY,
    left: date = FRIDAY,
    shares: int = 100,
    bought: str = "50",
    sold: str = "55",
    reason: str = TREND_BREAK,
    profit: str | None = None,
    fees: str = "0",
    dividends: str = "0",
    moved: bool = False,
) -> BookTrade:
    gross = shares * (Decimal(sold) - Decimal(bought))
    earned = gross - Decimal(fees) + Decimal(dividends) if profit is None else Decimal(profit)
    return BookTrade(
        ticker,
        entered,
        Decimal(bought),
        shares,
        left,
        Decimal(sold),
        reason,
        earned.quantize(Decimal("0.01")),
        Decimal(fees),
        Decimal(dividends),
        moved,
    )


def book(*trades: BookTrade, adjustment: str = "split") -> TradeBook:
    return TradeBook("a book", trades, adjustment)


def parts(live: BookTrade, model: BookTrade) -> dict[str, Decimal]:
    found = attribute(book(live), book(model))
    assert found.rest_usd == 0
    return {part.cause: part.usd for part in found.totals if part.usd}


# ------------------------------------------------------------------------------- cause by cause


def test_equal_trades_have_no_difference_and_no_parts() -> None:
    assert parts(trade(), trade()) == {}


def test_a_worse_entry_and_a_worse_exit_are_told_apart() -> None:
    # bought at 50.20 instead of 50.00: −20.00; sold at 54.90 instead of 55.00: −10.00
    found = parts(trade(bought="50.20", sold="54.90"), trade())
    assert found == {"entry price": Decimal("-20.00"), "exit price": Decimal("-10.00")}


def test_fewer_shares_cost_their_profit_at_the_model_s_prices() -> None:
    # 80 instead of 100 shares at +5.00 each: −100.00
    assert parts(trade(shares=80), trade()) == {"size": Decimal("-100.00")}


def test_a_stop_that_filled_lower_is_a_stop_fill() -> None:
    # 100 shares at 44.10 instead of 44.775: −67.50
    live = trade(sold="44.10", reason=PROTECTIVE_STOP)
    model = trade(sold="44.775", reason=PROTECTIVE_STOP)
    assert parts(live, model) == {"stop fill": Decimal("-67.50")}


def test_an_exit_on_another_session_is_timing() -> None:
    found = parts(trade(sold="53", left=date(2020, 1, 13)), trade())
    assert found == {"timing": Decimal("-200.00")}


def test_one_book_still_holding_is_timing_too() -> None:
    found = parts(trade(sold="56", reason=END_OF_DATA), trade())
    assert found == {"timing": Decimal("100.00")}


def test_an_entry_a_session_late_is_timing() -> None:
    found = parts(trade(entered=TUESDAY, bought="51"), trade())
    assert found == {"timing": Decimal("-100.00")}


def test_fees_and_dividends_stand_by_themselves() -> None:
    found = parts(trade(fees="1.23", dividends="40"), trade())
    assert found == {"fees": Decimal("-1.23"), "dividends and splits": Decimal("40.00")}


def test_money_for_a_fraction_after_a_split_is_dividends_and_splits() -> None:
    """The broker paid 12.34 less for the fraction than the model counted."""
    live = trade(profit="487.66", moved=True)
    assert parts(live, trade(moved=True)) == {"dividends and splits": Decimal("-12.34")}


def test_a_missed_trade_names_the_guard_that_stopped_it() -> None:
    lots = {("AA", MONDAY): "denied: buying power"}
    (found,) = attribute(book(), book(trade()), causes=lots).trades
    assert (found.live, found.difference_usd) == (None, Decimal("-500.00"))
    assert [(part.cause, part.usd, part.detail) for part in found.parts] == [
        ("missed trade", Decimal("-500.00"), "denied: buying power")
    ]


def test_an_extra_trade_without_a_record_says_so() -> None:
    (found,) = attribute(book(trade()), book()).trades
    (part,) = found.parts
    assert (part.cause, part.usd) == ("extra trade", Decimal("500.00"))
    assert part.detail == "no guard or fault is on record"


def test_revised_data_and_changed_rules_are_steps_of_their_own() -> None:
    """Backtest 500, on recorded data 480, under the rules of the day 450, executed 440."""
    found = attribute(
        book(trade(sold="54.40")),
        book(trade(sold="54.50")),
        registered=book(trade(sold="54.80")),
        revised=book(trade()),
    )
    assert (found.live_usd, found.backtest_usd) == (Decimal("440.00"), Decimal("500.00"))
    assert {part.cause: part.usd for part in found.totals if part.usd} == {
        "exit price": Decimal("-10.00"),
        "rule change": Decimal("-30.00"),
        "data revision": Decimal("-20.00"),
    }


def test_a_trade_that_only_the_present_data_have_is_data_revision() -> None:
    found = attribute(book(), book(), registered=book(), revised=book(trade()))
    assert {part.cause: part.usd for part in found.totals if part.usd} == {
        "data revision": Decimal("-500.00")
    }


# ----------------------------------------------------------------------------------------- rest


def test_a_profit_that_prices_and_shares_do_not_give_is_a_rest_and_a_break() -> None:
    found = attribute(book(trade(profit="490")), book(trade()))
    assert found.rest_usd == Decimal("-10.00")
    assert [one.ticker for one in found.breaks] == ["AA"]


def test_rests_that_cancel_are_breaks_all_the_same() -> None:
    live = book(trade(profit="490"), trade("BB", profit="510"))
    found = attribute(live, book(trade(), trade("BB")))
    assert found.rest_usd == 0
    assert [one.ticker for one in found.breaks] == ["AA", "BB"]


def test_a_cent_of_rounding_is_no_rest() -> None:
    live = trade(shares=3, bought="33.3333", sold="34.4444")  # 3.3333 → 3.33
    model = trade(shares=3, bought="33.3317", sold="34.4461")  # 3.3432 → 3.34
    found = attribute(book(live), book(model))
    assert (found.difference_usd, found.rest_usd) == (Decimal("-0.01"), Decimal(0))
    assert sum(part.usd for part in found.totals) == Decimal("-0.01")


def test_books_on_different_price_bases_are_not_compared() -> None:
    with pytest.raises(RecordUnusable, match=r"INVALID.*carries prices by 'all'"):
        attribute(book(trade()), book(trade(), adjustment="all"))


# ------------------------------------------------------------------------------------- matching


def test_trades_are_matched_one_to_one_and_nothing_is_lost() -> None:
    late = trade(entered=TUESDAY)
    again = trade(entered=date(2020, 2, 3), left=date(2020, 2, 7))
    pairs = match_trades([late, trade("BB")], [trade(), again, trade("BB")])
    assert [(a and a.lot, b and b.lot) for a, b in pairs] == [
        (("BB", MONDAY), ("BB", MONDAY)),
        (("AA", TUESDAY), ("AA", MONDAY)),
        (None, ("AA", date(2020, 2, 3))),
    ]


def test_an_entry_more_than_five_sessions_away_is_another_trade() -> None:
    pairs = match_trades([trade(entered=date(2020, 1, 14))], [trade()])
    assert len(pairs) == 2


def test_a_simulated_trade_keeps_its_money() -> None:
    simulated = ClosedTrade(
        Candidate("AA", MONDAY, "A", 80.0),
        MONDAY,
        50.125,
        199,
        FRIDAY,
        49.8749,
        "x",
        -49.77,
        -0.5,
        4,
    )
    found = modelled_trade(simulated)
    # 199 × (49.8749 − 50.125) = −49.7699 → −49.77
    assert (found.profit_usd, found.basis_changed) == (Decimal("-49.77"), False)
    assert found.entry_price == Decimal("50.125")


# ------------------------------------------------------------------------------------ properties


prices = st.decimals(Decimal("0.5"), Decimal(400), places=4)
money = st.decimals(Decimal(0), Decimal(30), places=2)


@st.composite
def trades(draw: st.DrawFn) -> BookTrade:
    entered = draw(st.integers(0, len(SESSIONS) - 2))
    left = draw(st.integers(entered, len(SESSIONS) - 1))
    fees, dividends = draw(money), draw(money)
    shares, bought, sold = draw(st.integers(1, 5_000)), draw(prices), draw(prices)
    earned = shares * (sold - bought) - fees + dividends
    return BookTrade(
        draw(st.sampled_from("ABC")),
        SESSIONS[entered],
        bought,
        shares,
        SESSIONS[left],
        sold,
        draw(st.sampled_from([TREND_BREAK, PROTECTIVE_STOP, END_OF_DATA])),
        earned.quantize(Decimal("0.01")),
        fees,
        dividends,
        draw(st.booleans()),
    )


books = st.lists(trades(), max_size=6, unique_by=lambda one: one.lot).map(lambda all_: book(*all_))


@given(books, books, books, books)
def test_parts_sum_to_the_difference_to_the_cent_and_nothing_is_left(
    live: TradeBook, replay: TradeBook, registered: TradeBook, revised: TradeBook
) -> None:
    found = attribute(live, replay, registered=registered, revised=revised)
    assert found.rest_usd == 0
    assert found.breaks == ()
    assert sum(part.usd for part in found.totals) == found.difference_usd
    assert found.difference_usd == live.profit_usd - revised.profit_usd
    assert sum(one.difference_usd for one in found.trades) == found.difference_usd
    for one in found.trades:
        assert sum(part.usd for part in one.parts) == one.difference_usd
        assert all(part.usd == part.usd.quantize(Decimal("0.01")) for part in one.parts)
        assert all(part.cause in CAUSES for part in one.parts)
    ours = [one.live for one in found.trades if one.live]
    assert sorted(ours, key=lambda t: t.lot) == sorted(live.trades, key=lambda t: t.lot)


@given(books, st.integers(-5_000, 5_000))
def test_money_from_nowhere_is_the_rest(found: TradeBook, cents: int) -> None:
    """A profit changed by more than two cents without a change of prices has no cause."""
    if not found.trades:
        return
    first, *others = (replace(one, basis_changed=False) for one in found.trades)
    odd = replace(first, profit_usd=first.profit_usd + Decimal(cents) / 100)
    result = attribute(book(odd, *others), book(first, *others))
    unexplained = Decimal(cents) / 100 if abs(cents) > 2 else Decimal(0)
    assert result.rest_usd == (unexplained if abs(cents) != 2 else result.rest_usd)
    assert sum(part.usd for part in result.totals) + result.rest_usd == result.difference_usd
