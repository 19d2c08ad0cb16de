"""When a position's weeks are evaluated, on what data, and when that must wait."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import bars_of, holding

from livekit.config import LiveConfig
from livekit.model import DailyBars, Holding
from livekit.sessions import sessions_between
from livekit.strategy.decisions import (
    WeekEvaluation,
    deferral,
    evaluate_view,
    evaluate_weeks,
    weekly_view,
)
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator

# Four rising weeks, then a fall. The fifth week (to 2020-01-31) closes below EMA(2).
FALL = {
    "2020-01-03": 10.0,
    "2020-01-10": 11.0,
    "2020-01-17": 12.0,
    "2020-01-24": 13.0,
    "2020-01-29": 9.0,
    "2020-01-31": 9.5,
    "2020-02-03": 14.0,
    "2020-02-07": 15.0,
}
ENTRY = "2020-01-06"


def weeks(
    held: Holding, bars: DailyBars, through: str, *, transition: int = 2, strategy: str = "ema_p2"
) -> tuple[WeekEvaluation, ...]:
    config = LiveConfig(trailing_transition_weeks=transition)
    day = date.fromisoformat(through)
    return evaluate_weeks(held, bars, day, strategy=strategy, config=config)


def test_a_week_is_evaluated_on_its_last_session_and_not_before() -> None:
    held = holding(entered=ENTRY, evaluated_week=date(2020, 1, 24))
    assert weeks(held, bars_of(FALL), "2020-01-30") == ()
    (week,) = weeks(held, bars_of(FALL), "2020-01-31")
    assert (week.week_end, week.evaluated_on) == (date(2020, 1, 31), date(2020, 1, 31))
    # EMA(2), k = 2/3: seed 10.5, then 11.5, 12.5, then 12.5 + (9.5 − 12.5) × 2/3 = 10.5.
    assert (week.close, week.indicator) == (9.5, pytest.approx(10.5))
    assert week.completed_weeks == 3
    assert week.exits


def test_a_dip_on_a_tuesday_is_no_decision() -> None:
    dip = dict(FALL) | {"2020-02-04": 1.0}
    dip.pop("2020-02-07")
    held = holding(entered=ENTRY, evaluated_week=date(2020, 1, 31))
    assert weeks(held, bars_of(dict(sorted(dip.items()))), "2020-02-04") == ()


def test_without_a_bar_on_the_week_end_the_next_bar_makes_the_week_due_on_its_own_close() -> None:
    closes = dict(FALL)
    del closes["2020-01-31"]
    held = holding(entered=ENTRY, evaluated_week=date(2020, 1, 24))
    assert weeks(held, bars_of(closes), "2020-01-31") == ()
    (week,) = weeks(held, bars_of(closes), "2020-02-03")
    assert (week.week_end, week.evaluated_on) == (date(2020, 1, 31), date(2020, 2, 3))
    assert week.close == 9.0  # Wednesday's, not Monday's 14
    assert week.broken


def test_missed_weeks_are_made_up_oldest_first_each_on_its_own_data() -> None:
    held = holding(entered=ENTRY)
    made_up = weeks(held, bars_of(FALL), "2020-02-07")
    assert [str(week.week_end) for week in made_up] == [
        "2020-01-10",
        "2020-01-17",
        "2020-01-24",
        "2020-01-31",
        "2020-02-07",
    ]
    assert [week.broken for week in made_up] == [False, False, False, True, False]
    assert [week.completed_weeks for week in made_up] == [0, 1, 2, 3, 4]


def test_the_transition_keeps_young_positions() -> None:
    held = holding(entered="2020-01-21", evaluated_week=date(2020, 1, 24))
    (week,) = weeks(held, bars_of(FALL), "2020-01-31")
    assert (week.completed_weeks, week.transition_met, week.broken) == (1, False, True)
    assert not week.exits
    (ripe,) = weeks(held, bars_of(FALL), "2020-01-31", transition=1)
    assert ripe.exits


def test_weeks_without_a_bar_do_not_count_towards_the_transition() -> None:
    closes = {"2020-01-03": 10.0, "2020-01-06": 10.0, "2020-01-24": 9.0}
    (first, second) = weeks(
        holding(entered=ENTRY), bars_of(closes), "2020-01-24", strategy="nwl_p1"
    )
    # The entry week is evaluated on its last close when the ticker trades again.
    assert (str(first.week_end), str(first.evaluated_on)) == ("2020-01-10", "2020-01-24")
    assert (str(second.week_end), second.completed_weeks) == ("2020-01-24", 1)


def test_an_evaluated_week_is_never_evaluated_again() -> None:
    held = holding(entered=ENTRY, evaluated_week=date(2020, 1, 31))
    assert weeks(held, bars_of(FALL), "2020-01-31") == ()
    assert weeks(held, bars_of(FALL), "2020-02-06") == ()


# ------------------------------------------------------------------------------------- deferral


def test_absent_bars_defer_and_say_so() -> None:
    waiting = deferral(holding(entered=ENTRY), None, date(2020, 1, 10))
    assert waiting is not None
    assert waiting.reason == "AA: week ending 2020-01-10 is due, no bars at all"


def test_stale_bars_defer_even_days_later() -> None:
    closes = {"2020-01-24": 13.0, "2020-01-29": 9.0}
    held = holding(entered=ENTRY, evaluated_week=date(2020, 1, 24))
    assert deferral(held, bars_of(closes), date(2020, 1, 30)) is None
    for through in (date(2020, 1, 31), date(2020, 2, 5)):
        waiting = deferral(held, bars_of(closes), through)
        assert waiting is not None
        assert waiting.week_end == date(2020, 1, 31)
        assert waiting.last_bar == date(2020, 1, 29)


def test_nothing_is_deferred_once_the_week_can_be_evaluated_or_was() -> None:
    held = holding(entered=ENTRY)
    assert deferral(held, bars_of(FALL), date(2020, 2, 7)) is None
    done = holding(entered=ENTRY, evaluated_week=date(2020, 1, 31))
    assert deferral(done, None, date(2020, 2, 5)) is None
    assert deferral(holding(entered="2020-02-03"), None, date(2020, 2, 5)) is None


def test_a_position_that_leaves_anyway_waits_for_nothing() -> None:
    held = holding(entered=ENTRY, pending="trend_break")
    assert deferral(held, None, date(2020, 1, 31)) is None


# ------------------------------------------------------------------------------- the view is safe

SESSIONS = sessions_between(date(2019, 11, 20), date(2020, 1, 31))


@given(
    traded=st.lists(st.sampled_from(SESSIONS), min_size=3, unique=True).map(sorted),
    seed=st.integers(0, 2**32 - 1),
    through=st.sampled_from(SESSIONS),
    entered=st.sampled_from(SESSIONS),
    strategy=st.sampled_from(["ema_p2", "nwl_p1", "nwl_p2"]),
)
def test_a_view_of_all_bars_says_of_a_session_what_the_bars_up_to_it_say(
    traded: list[date], seed: int, through: date, entered: date, strategy: str
) -> None:
    closes = np.random.default_rng(seed).integers(90, 110, len(traded))
    bars = bars_of({str(day): float(c) for day, c in zip(traded, closes, strict=True)})
    held = holding(entered=str(entered))
    config = LiveConfig(trailing_transition_weeks=1)
    cut_at = SESSIONS[0]
    weekly = aggregate_daily_to_weekly(bars, cut_at=cut_at)
    view = weekly_view(bars.sessions, weekly, indicator(weekly, *config.trailing(strategy)))
    last = len(bars.until(through)) - 1
    truncated = evaluate_weeks(held, bars, through, strategy=strategy, config=config, cut_at=cut_at)
    assert repr(evaluate_view(held, view, last, 1)) == repr(truncated)
    for week in truncated:
        assert week.evaluated_on <= through
        assert week.evaluated_on - week.week_end >= timedelta(0)
