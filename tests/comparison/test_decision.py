"""The verdict: which state holds when, what is said of what is not defined, and invariances."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from livekit.comparison.decision import Criterion, Verdict, decide
from livekit.comparison.forecast import VerdictPlan, forecast, switch_chances
from livekit.comparison.twins import MarkedTrade, TwinBook, TwinRecord
from tests.comparison.planted import BASE_USD, days, planted

PLAN = VerdictPlan(BASE_USD, draws=300)


def verdict(record: TwinRecord | None, plan: VerdictPlan = PLAN) -> Verdict:
    return decide(record, plan)


def named(found: Verdict, short: str) -> Criterion:
    return next(one for one in found.criteria if one.short == short)


def better(sessions: int = 252) -> TwinRecord:
    """A shadow that gains 10 bps a session on a spread of 20: an annual ratio of 8."""
    return planted(1, advantage_bps=10.0, sd_bps=20.0).record(sessions)


# ----------------------------------------------------------------------------------------- states


def test_a_clearly_better_shadow_is_switched_to() -> None:
    found = verdict(better(250))
    assert found.state == "SWITCH"
    assert found.ends_registration
    assert all(one.standing == "met" for one in found.criteria)
    assert found.forecast is None


def test_before_the_first_look_the_best_curve_is_too_early() -> None:
    """30 sessions from 2 January 2018 end on 13 February: 42 days of 90."""
    found = verdict(better(30))
    assert days()[29] == date(2018, 2, 13)
    assert found.state == "CONTINUE"
    assert "first look at 42 days" in found.sentence
    assert found.forecast is not None


def test_sixty_sessions_are_needed_even_when_a_hundred_trades_are_there() -> None:
    """59 sessions make 13 weeks of two trades; with a first look at 10 trades it is due."""
    plan = replace(PLAN, first_look_trades=10, fewest_effective_sessions=20)
    short, long = (verdict(better(n), plan) for n in (59, 60))
    assert short.state == "CONTINUE"
    assert short.reasons == ("too early: sessions at 59, needed ≥ 60",)
    assert "too early" not in long.sentence


def test_a_hundred_trades_make_the_first_look_due_before_ninety_days() -> None:
    plan = replace(PLAN, first_look_trades=20)
    found = named(verdict(better(60), plan), "first look")
    # 60 sessions end on 28 March, 85 days; 13 weeks of 2 trades, the last of them still open
    assert (found.value, found.standing) == (85, "met")


def test_a_clearly_worse_shadow_is_kept_out_before_the_horizon() -> None:
    found = verdict(planted(1, advantage_bps=-10.0, sd_bps=20.0).record(200))
    assert found.state == "KEEP"
    assert "not better by what makes a switch worthwhile" in found.sentence


def test_at_the_horizon_what_is_not_shown_is_kept() -> None:
    record = planted(3, advantage_bps=0.0).record
    assert verdict(record(251)).state == "CONTINUE"
    found = verdict(record(252))
    assert found.state == "KEEP"
    assert "the planned 252 sessions are over" in found.sentence


def test_a_switch_is_refused_when_the_drawdown_is_deeper_than_the_margin() -> None:
    """The shadow is made to swing: the same gain, with ±3 % on alternating sessions."""
    record = better(250)
    swing = np.cumsum(np.where(np.arange(250) % 20 < 10, 0.03, -0.03)) * BASE_USD
    shadow = replace(record.shadow, profit_usd=record.shadow.profit_usd + swing)
    found = verdict(replace(record, shadow=shadow))
    assert named(found, "drawdown").standing == "not met"
    assert found.state != "SWITCH"


def test_a_gain_that_one_trade_made_is_not_enough() -> None:
    record = better(250)
    best = max(record.shadow.trades, key=lambda trade: trade.profit_usd)
    lucky = replace(best, profit_usd=best.profit_usd + 60_000.0)
    others = tuple(trade for trade in record.shadow.trades if trade is not best)
    found = verdict(replace(record, shadow=replace(record.shadow, trades=(*others, lucky))))
    assert named(found, "gain without the best trade").standing == "not met"
    assert found.state != "SWITCH"


# ---------------------------------------------------------------------------------------- INVALID


def wrong_records() -> dict[str, tuple[TwinRecord | None, str]]:
    record = better(250)
    hole = record.shadow.profit_usd.copy()
    hole[100] = np.nan
    short = replace(record.shadow, profit_usd=record.shadow.profit_usd[:-1])
    other_basis = replace(record.shadow, adjustment="all")
    first, *rest = record.shadow.trades
    unlike = replace(record.shadow, trades=(replace(first, shares=first.shares + 1), *rest))
    return {
        "no session": (None, "no session"),
        "a mark is missing": (
            replace(record, shadow=replace(record.shadow, profit_usd=hole)),
            "without a mark",
        ),
        "fewer marks": (replace(record, shadow=short), "249 marks for 250 sessions"),
        "other adjustment": (
            replace(record, shadow=other_basis),
            "split against all",
        ),
        "other size": (replace(record, shadow=unlike), "was entered unlike: 100 at"),
        "other base": (replace(record, base_usd=1e6), "base is 1000000.0 USD"),
    }


@pytest.mark.parametrize("what", wrong_records())
def test_what_is_wrong_with_a_perfect_record_makes_it_invalid_without_a_number(what: str) -> None:
    record, reason = wrong_records()[what]
    found = verdict(record)
    assert found.state == "INVALID"
    assert reason in found.sentence
    assert (found.criteria, found.figures, found.sensitivities) == ((), None, ())


def test_invalid_comes_before_too_early_and_too_early_before_everything_else() -> None:
    """30 sessions are too early for the best shadow and for the worst; a fault is named first."""
    assert decide(better(30), PLAN, ["a break is open"]).sentence == "INVALID: a break is open."
    worst = planted(1, advantage_bps=-10.0, sd_bps=20.0)
    assert verdict(worst.record(200)).state == "KEEP"
    assert "too early" in verdict(worst.record(30)).sentence


def test_a_reason_from_outside_makes_a_perfect_record_invalid() -> None:
    found = decide(better(250), PLAN, ["the configuration was changed"])
    assert found.state == "INVALID"
    assert found.sentence == "INVALID: the configuration was changed."


def test_a_book_that_has_lost_everything_has_no_returns() -> None:
    record = better(100)
    ruined = replace(record.primary, profit_usd=record.primary.profit_usd - 300_000.0)
    assert "has lost its whole base" in verdict(replace(record, primary=ruined)).sentence


# -------------------------------------------------------------------------------------- undefined


def test_one_session_has_no_bounds_and_no_resampling() -> None:
    found = verdict(better(1))
    assert found.state == "CONTINUE"
    assert named(found, "bound for daily looks").standing == "not available"
    assert named(found, "drawdown").standing == "not available"
    assert all(one.interval is None for one in found.criteria)


def test_without_losers_the_profit_factor_is_not_available_and_never_infinite() -> None:
    record = better(250)
    winners = tuple(
        replace(trade, profit_usd=abs(trade.profit_usd) + 1) for trade in record.shadow.trades
    )
    found = verdict(replace(record, shadow=replace(record.shadow, trades=winners)))
    factor = named(found, "profit factor")
    assert (factor.value, factor.standing, factor.interval) == (None, "not available", None)
    assert found.state != "SWITCH"


def test_without_trades_nothing_is_computed_from_them() -> None:
    still = np.zeros(100)
    books = (TwinBook("ema_p10", still, ()), TwinBook("nwl_p4", still, ()))
    found = verdict(TwinRecord(days()[:100], BASE_USD, *books))
    assert found.state == "CONTINUE"
    assert named(found, "effective sessions").value is None
    assert named(found, "profit factor").value is None


def test_books_that_never_differ_show_no_advantage() -> None:
    record = better(120)
    same = replace(record.primary, strategy="nwl_p4")
    found = verdict(replace(record, shadow=same))
    assert found.figures is not None
    assert (found.figures.difference, found.figures.divergent) == (0.0, 0)
    assert found.state == "CONTINUE"


# ------------------------------------------------------------------------------------- invariance


def test_swapped_books_turn_every_sign() -> None:
    record = planted(5, advantage_bps=4.0).record(150)
    found = verdict(record).figures
    turned = verdict(replace(record, primary=record.shadow, shadow=record.primary)).figures
    assert found is not None
    assert turned is not None
    assert turned.difference == pytest.approx(-found.difference)
    assert turned.factor_difference == pytest.approx(-(found.factor_difference or 0))
    assert turned.bounds is not None
    assert found.bounds is not None
    assert turned.bounds.lower == pytest.approx(-found.bounds.upper)


def scaled(record: TwinRecord, by: float) -> TwinRecord:
    def book(one: TwinBook) -> TwinBook:
        trades = tuple(replace(t, profit_usd=by * t.profit_usd) for t in one.trades)
        return replace(one, profit_usd=by * one.profit_usd, trades=trades)

    return TwinRecord(
        record.sessions, by * record.base_usd, book(record.primary), book(record.shadow)
    )


def test_the_size_of_the_account_does_not_matter() -> None:
    record = planted(5, advantage_bps=4.0).record(150)
    small, large = verdict(record), verdict(scaled(record, 4), replace(PLAN, base_usd=4 * BASE_USD))
    for one, other in zip(small.criteria, large.criteria, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-9)
        assert one.standing == other.standing


def test_the_order_of_the_trades_does_not_matter() -> None:
    record = planted(5).record(150)
    turned = replace(record.shadow, trades=record.shadow.trades[::-1])
    assert repr(verdict(replace(record, shadow=turned))) == repr(verdict(record))


def test_a_session_on_which_nothing_differs_leaves_the_total() -> None:
    record = planted(5).record(150)

    def longer(book: TwinBook) -> TwinBook:
        return replace(book, profit_usd=np.append(book.profit_usd, book.profit_usd[-1]))

    more = TwinRecord(days()[:151], BASE_USD, longer(record.primary), longer(record.shadow))
    ours, theirs = verdict(record).figures, verdict(more).figures
    assert ours is not None
    assert theirs is not None
    assert theirs.difference == pytest.approx(ours.difference)


def test_the_same_record_and_seed_give_the_same_verdict_to_the_last_digit() -> None:
    record = planted(5, advantage_bps=4.0).record(150)
    assert repr(verdict(record)) == repr(verdict(record))
    other = verdict(record, replace(PLAN, seed=2))
    assert repr(other) != repr(verdict(record))


# ---------------------------------------------------------------------------------------- figures


def test_figures_of_a_small_record_by_hand() -> None:
    """Three sessions; the primary's trade lost 1,000, the shadow held it and stands at −400."""
    sessions = days()[:3]
    primary = TwinBook(
        "ema_p10",
        np.array([-500.0, -1000.0, -1000.0]),
        (MarkedTrade("AA", sessions[0], 50.0, 200, -1000.0, sessions[1]),),
    )
    shadow = TwinBook(
        "nwl_p4",
        np.array([-500.0, -800.0, -400.0]),
        (MarkedTrade("AA", sessions[0], 50.0, 200, -400.0),),
    )
    figures = verdict(TwinRecord(sessions, BASE_USD, primary, shadow)).figures
    assert figures is not None
    assert (figures.pairs, figures.divergent, figures.fewer_closed) == (1, 1, 0)
    assert figures.difference == pytest.approx(600 / BASE_USD)
    assert figures.mean == pytest.approx(600 / BASE_USD / 3)
    # its best (and only) trade is worth −400, so without it the shadow is ahead by 1,000
    assert figures.difference_without_best == pytest.approx(1000 / BASE_USD)
    assert figures.primary.drawdown_pct == pytest.approx(100 * 1000 / BASE_USD)
    assert figures.shadow.drawdown_pct == pytest.approx(100 * 800 / BASE_USD)
    assert figures.primary.profit_factor == 0.0  # nothing won for 1,000 lost
    assert figures.primary.factor_without_best is None  # no trade is left


# --------------------------------------------------------------------------------------- forecast


def test_a_single_look_needs_what_the_normal_test_needs() -> None:
    """((1.6449 + 0.8416) × 20 bps / (3 % / 252 = 1.1905 bps))² = 1,744.9 → 1,745 sessions."""
    found = forecast(PLAN, sigma=20e-4, first=days()[0], sessions=50, closed_trades=20)
    assert found.one_look_sessions == 1745
    assert found.daily_sessions is not None
    assert found.daily_sessions > 1745  # looking daily has its price
    assert found.trades == round(20 / 50 * found.daily_sessions)


def test_looking_daily_suffices_exactly_at_the_forecast_session() -> None:
    from livekit.comparison.inference import half_width

    found = forecast(PLAN, sigma=20e-4, first=days()[0], sessions=50, closed_trades=20)
    assert found.daily_sessions is not None
    for n, enough in ((found.daily_sessions * 1.001, True), (found.daily_sessions * 0.998, False)):
        width = float(half_width(n, 20e-4, 0.05, 252)) + 0.8416 * 20e-4 / n**0.5
        assert (width <= PLAN.worthwhile) is enough


def test_an_endless_forecast_says_so() -> None:
    found = forecast(PLAN, sigma=5.0, first=days()[0], sessions=50, closed_trades=20)
    assert found.daily_sessions is None
    assert found.text().startswith("no record of any length")


def test_chances_rise_with_the_advantage_and_stay_below_alpha_without_one() -> None:
    chances = switch_chances(PLAN, worlds=600)
    assert chances.at_none <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5
    assert chances.at_none < chances.at_worthwhile < chances.at_twice
