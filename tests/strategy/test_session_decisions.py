"""Which candidates enter, which positions leave, and why the others do not."""

from __future__ import annotations

from datetime import date

import pytest
from series import candidate, holding

from livekit.config import LiveConfig
from livekit.model import Candidate, Holding, ReportResult, SessionDecision
from livekit.strategy.decisions import decide_session, rank_candidates

TODAY = date(2020, 1, 6)


def decide(
    holdings: list[Holding],
    candidates: list[Candidate],
    prices: dict[str, float],
    *,
    foreign: frozenset[str] = frozenset(),
    **parameters: object,
) -> SessionDecision:
    config = LiveConfig(**({"max_positions": 2, "position_size": 1000.0} | parameters))
    return decide_session(TODAY, holdings, candidates, prices, config, foreign=foreign)


def skips(decision: SessionDecision) -> list[tuple[str, str]]:
    return [(skip.candidate.ticker, skip.reason) for skip in decision.skips]


def entries(decision: SessionDecision) -> list[tuple[str, int, str | None]]:
    return [(one.candidate.ticker, one.shares, one.rotates_out) for one in decision.entries]


# ----------------------------------------------------------------------------------- candidates


def report(day: str, *candidates: Candidate) -> ReportResult:
    return ReportResult(date.fromisoformat(day), candidates, "ok")


def tickers(ranked: tuple[Candidate, ...]) -> list[str]:
    return [one.ticker for one in ranked]


def test_candidates_are_ordered_by_score_and_the_unscored_come_last() -> None:
    page = report("2020-01-06", candidate("AA", 50.0), candidate("BB", None), candidate("CC", 60.0))
    assert tickers(rank_candidates([page], "D")) == ["CC", "AA", "BB"]


def test_the_newest_report_of_a_ticker_wins_even_with_a_lower_score() -> None:
    saturday = report("2020-01-04", candidate("AA", 90.0, report_date="2020-01-04"))
    monday = report("2020-01-06", candidate("AA", 40.0, report_date="2020-01-06"))
    for reports in ([saturday, monday], [monday, saturday]):
        ranked = rank_candidates(reports, "D")
        assert [one.score for one in ranked] == [40.0]


def test_a_newest_report_below_the_grade_removes_the_ticker() -> None:
    saturday = report("2020-01-04", candidate("AA", grade="A", report_date="2020-01-04"))
    monday = report("2020-01-06", candidate("AA", grade="D", report_date="2020-01-06"))
    assert rank_candidates([saturday, monday], "C") == ()


def test_equal_scores_go_to_the_newer_report_then_to_the_order_of_appearance() -> None:
    saturday = report(
        "2020-01-04",
        candidate("OLD", 50.0, report_date="2020-01-04"),
    )
    monday = report(
        "2020-01-06",
        candidate("ZZ", 50.0, report_date="2020-01-06"),
        candidate("AA", 50.0, report_date="2020-01-06"),
    )
    assert tickers(rank_candidates([saturday, monday], "D")) == ["ZZ", "AA", "OLD"]


@pytest.mark.parametrize(("min_grade", "kept"), [("D", "ABCD"), ("B", "AB"), ("A", "A")])
def test_grades_below_the_minimum_are_dropped(min_grade: str, kept: str) -> None:
    page = report("2020-01-06", *(candidate(grade, grade=grade) for grade in "ABCD"))
    assert tickers(rank_candidates([page], min_grade)) == list(kept)


# ----------------------------------------------------------------------------------- the entries


def test_a_candidate_with_a_slot_enters_with_whole_shares() -> None:
    decision = decide([], [candidate("AA")], {"AA": 33.0})
    assert entries(decision) == [("AA", 30, None)]  # 1000 / 33 = 30.3


def test_each_skip_names_the_first_gate_that_closed() -> None:
    decision = decide(
        [holding("HELD"), holding("LEAVES", pending="trend_break")],
        [candidate(name) for name in ("FOREIGN", "HELD", "LEAVES", "HALTED", "DEAR", "AA", "BB")],
        {"FOREIGN": 10.0, "HELD": 10.0, "LEAVES": 10.0, "DEAR": 1000.5, "AA": 10.0, "BB": 10.0},
        foreign=frozenset({"FOREIGN"}),
        rotation=False,
    )
    assert skips(decision) == [
        ("FOREIGN", "foreign_holding"),
        ("HELD", "duplicate_ticker"),
        ("LEAVES", "exits_today"),
        ("HALTED", "no_price_data"),
        ("DEAR", "zero_shares"),
        ("BB", "capacity_full"),
    ]
    assert entries(decision) == [("AA", 100, None)]


def test_a_pending_exit_frees_its_slot_only_if_its_ticker_trades() -> None:
    held = [holding("AA"), holding("BB", pending="trend_break")]
    wanted = [candidate("CC")]
    trading = decide(held, wanted, {"AA": 100.0, "BB": 100.0, "CC": 10.0})
    halted = decide(held, wanted, {"AA": 100.0, "CC": 10.0})
    assert entries(trading) == [("CC", 100, None)]
    assert skips(halted) == [("CC", "capacity_full")]


def test_a_pending_exit_is_planned_even_when_its_ticker_does_not_trade() -> None:
    decision = decide([holding("BB", pending="trend_break")], [], {})
    assert [(one.ticker, one.reason, one.decided) for one in decision.exits] == [
        ("BB", "trend_break", date(2020, 1, 2))
    ]


def test_a_held_ticker_with_a_halted_pending_exit_is_a_duplicate() -> None:
    decision = decide([holding("BB", pending="trend_break")], [candidate("BB")], {})
    assert skips(decision) == [("BB", "duplicate_ticker")]


def test_the_daily_limit_counts_entries_and_rotations() -> None:
    held = [holding("AA", last_close=90.0, score=10.0)]
    wanted = [candidate("CC", 90.0), candidate("DD", 80.0), candidate("EE", 70.0)]
    prices = dict.fromkeys(("AA", "CC", "DD", "EE"), 100.0)
    unlimited = decide(held, wanted, prices)
    assert entries(unlimited) == [("CC", 10, None), ("DD", 10, "AA")]
    assert skips(unlimited) == [("EE", "capacity_full")]
    limited = decide(held, wanted, prices, daily_entry_limit=1)
    assert entries(limited) == [("CC", 10, None)]
    assert skips(limited) == [("DD", "daily_limit"), ("EE", "daily_limit")]


# ---------------------------------------------------------------------------------- the rotation

FULL = [
    holding("AA", last_close=95.0, score=40.0),  # −50
    holding("BB", last_close=92.0, score=45.0),  # −80: the weakest
]
PRICES = {"AA": 95.0, "BB": 92.0, "CC": 50.0, "DD": 50.0}


def test_the_weakest_loser_makes_room_for_a_strictly_higher_score() -> None:
    decision = decide(FULL, [candidate("CC", 46.0)], PRICES)
    assert entries(decision) == [("CC", 20, "BB")]
    assert [(one.ticker, one.reason, one.rotated_in) for one in decision.exits] == [
        ("BB", "rotated_out", "CC")
    ]


def test_only_the_weakest_is_compared() -> None:
    # 45 is above AA's 40 but not above BB's 45, and BB is the weakest.
    assert skips(decide(FULL, [candidate("CC", 45.0)], PRICES)) == [("CC", "capacity_full")]


def test_one_rotation_a_session() -> None:
    decision = decide(FULL, [candidate("CC", 90.0), candidate("DD", 89.0)], PRICES)
    assert entries(decision) == [("CC", 20, "BB")]
    assert skips(decision) == [("DD", "capacity_full")]


def test_a_ticker_rotated_out_today_may_not_come_back_today() -> None:
    decision = decide(FULL, [candidate("CC", 90.0), candidate("BB", 60.0)], PRICES)
    assert skips(decision) == [("BB", "exits_today")]


def test_a_missing_score_rotates_neither_in_nor_out() -> None:
    assert skips(decide(FULL, [candidate("CC", None)], PRICES)) == [("CC", "capacity_full")]
    unscored = [
        holding("AA", last_close=95.0, score=40.0),
        holding("BB", last_close=10.0, score=None),
    ]
    assert entries(decide(unscored, [candidate("CC", 41.0)], PRICES)) == [("CC", 20, "AA")]


def test_a_gain_is_never_rotated_out() -> None:
    held = [holding("AA", last_close=100.0), holding("BB", last_close=101.0)]
    assert skips(decide(held, [candidate("CC", 99.0)], PRICES)) == [("CC", "capacity_full")]


def test_positions_that_cannot_leave_are_not_compared() -> None:
    halted = {"AA": 95.0, "CC": 50.0}
    assert entries(decide(FULL, [candidate("CC", 46.0)], halted)) == [("CC", 20, "AA")]
    of_today = [FULL[0], holding("BB", entered="2020-01-06", last_close=50.0)]
    assert entries(decide(of_today, [candidate("CC", 46.0)], PRICES)) == [("CC", 20, "AA")]


def test_rotation_is_marked_by_the_last_close_and_not_by_a_price_of_the_same_day() -> None:
    # At today's price AA would be the weakest by far; at the last close it is BB.
    crashed = PRICES | {"AA": 1.0}
    assert entries(decide(FULL, [candidate("CC", 46.0)], crashed)) == [("CC", 20, "BB")]


def test_a_candidate_that_fails_its_own_gates_rotates_nobody() -> None:
    decision = decide(FULL, [candidate("DEAR", 99.0)], PRICES | {"DEAR": 2000.0})
    assert skips(decision) == [("DEAR", "zero_shares")]
    assert decision.exits == ()
