"""The rules applied to the frozen values of `livekit.model`, for every book alike.

`rank_candidates` turns reports into the session's candidates, `decide_session` says which
positions leave and which candidates enter at a session's open, `evaluate_weeks` says what the
finished weeks mean for a position's trailing stop. All read only what is known before the open
they decide for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date

import numpy as np

from livekit.config import LiveConfig
from livekit.model import (
    CAPACITY_FULL,
    DAILY_LIMIT,
    DUPLICATE_TICKER,
    EXITS_TODAY,
    FOREIGN_HOLDING,
    NO_PRICE_DATA,
    ROTATED_OUT,
    ZERO_SHARES,
    Candidate,
    EntryDecision,
    ExitDecision,
    FloatArray,
    Holding,
    ReportResult,
    SessionDecision,
    Skip,
)
from livekit.strategy import position_rules, rules
from livekit.strategy.trailing import (
    Deferral,
    WeekEvaluation,
    WeeklyView,
    deferral,
    evaluate_view,
    evaluate_weeks,
    weekly_view,
)

__all__ = [
    "SKIP_REASONS",
    "Deferral",
    "WeekEvaluation",
    "WeeklyView",
    "decide_session",
    "deferral",
    "evaluate_view",
    "evaluate_weeks",
    "held_quantity",
    "holding_pnl_usd",
    "order_candidates",
    "rank_candidates",
    "weekly_view",
]

SKIP_REASONS = {
    rules.SKIP_FOREIGN: FOREIGN_HOLDING,
    rules.SKIP_DUPLICATE: DUPLICATE_TICKER,
    rules.SKIP_EXITS_TODAY: EXITS_TODAY,
    rules.SKIP_NO_PRICE: NO_PRICE_DATA,
    rules.SKIP_ZERO_SHARES: ZERO_SHARES,
    rules.SKIP_CAPACITY_FULL: CAPACITY_FULL,
    rules.SKIP_DAILY_LIMIT: DAILY_LIMIT,
}

_GRADES = "ABCD"


# ----------------------------------------------------------------------------------- candidates


def rank_candidates(reports: Sequence[ReportResult], min_grade: str) -> tuple[Candidate, ...]:
    """All reports of one session as one list: one candidate per ticker, best first.

    See `order_candidates`; the order of appearance runs through ``reports`` as given.
    """
    return order_candidates(
        (candidate for report in reports for candidate in report.candidates), min_grade
    )


def order_candidates(candidates: Iterable[Candidate], min_grade: str) -> tuple[Candidate, ...]:
    """Merge, filter and order the candidates of one session.

    The newest report of a ticker wins, among equals the first to appear; what is left at or above
    ``min_grade`` (a candidate without a grade counts as D) is ordered by score (missing last), then
    newest report, then appearance.
    """
    newest: dict[str, Candidate] = {}
    for candidate in candidates:
        known = newest.setdefault(candidate.ticker, candidate)
        if candidate.report_date > known.report_date:
            del newest[candidate.ticker]
            newest[candidate.ticker] = candidate
    kept = [one for one in newest.values() if _grade_rank(one.grade) <= _grade_rank(min_grade)]
    return tuple(sorted(kept, key=_preference))


def _grade_rank(grade: str) -> int:
    return _GRADES.index(grade or "D")


def _preference(candidate: Candidate) -> tuple[bool, float, int]:
    score = candidate.score
    return score is None, -(score or 0.0), -candidate.report_date.toordinal()


# -------------------------------------------------------------------------------------- holdings


def held_quantity(holding: Holding) -> float:
    """Shares a simulation holds today; fractional only after a spin-off was reinvested."""
    return position_rules.held_quantity(holding.shares_now, holding.reinvested_factor)


def holding_pnl_usd(holding: Holding, price: float) -> float:
    """Unrealised profit or loss of ``holding`` at ``price`` (USD, today's basis)."""
    invested_usd = holding.shares * holding.entry_price
    return rules.unrealised_pnl(
        price, held_quantity(holding), holding.cash_in_lieu_usd, invested_usd
    )


# --------------------------------------------------------------------------------------- session


def decide_session(
    session: date,
    holdings: Sequence[Holding],
    candidates: Sequence[Candidate],
    reference_prices: Mapping[str, float],
    config: LiveConfig,
    *,
    foreign: AbstractSet[str] = frozenset(),
) -> SessionDecision:
    """Everything a book wants at the open of ``session``.

    Args:
        session: the session decided for.
        holdings: the open positions, one per ticker; their ``last_close`` is the last close up to
            the previous session, so nothing of ``session`` enters the choice of the weakest.
        candidates: the session's candidates, best first.
        reference_prices: USD by ticker, for candidates and holdings alike. A ticker that is absent
            does not trade on the session.
        config: the trading parameters.
        foreign: tickers held outside all books; candidates among them are skipped.

    Returns:
        All pending exits, also of tickers that do not trade (they stay pending); the entries in
        the candidates' order; a skip with its reason for every other candidate.
    """
    ordered = sorted(holdings, key=lambda holding: holding.ticker)
    pending = [holding for holding in ordered if holding.pending_reason is not None]
    codes, shares, rotated = _entry_pass(
        session, ordered, candidates, prices=reference_prices, config=config, foreign=foreign
    )
    entries, skips, rotated_in = [], [], None
    for candidate, code, count in zip(candidates, codes, shares, strict=True):
        if code in SKIP_REASONS:
            skips.append(Skip(candidate, SKIP_REASONS[code]))
            continue
        rotates_out = ordered[rotated].ticker if code == rules.ROTATE_IN else None
        rotated_in = candidate.ticker if rotates_out else rotated_in
        price = reference_prices[candidate.ticker]
        entries.append(EntryDecision(candidate, count, price, rotates_out))
    exits = [_pending_exit(session, holding) for holding in pending]
    if rotated_in is not None:
        exits.append(ExitDecision(ordered[rotated].ticker, ROTATED_OUT, session, rotated_in))
    return SessionDecision(session, tuple(exits), tuple(entries), tuple(skips))


def _pending_exit(session: date, holding: Holding) -> ExitDecision:
    return ExitDecision(
        holding.ticker, holding.pending_reason or "", holding.pending_since or session
    )


def _entry_pass(
    session: date,
    ordered: Sequence[Holding],
    candidates: Sequence[Candidate],
    *,
    prices: Mapping[str, float],
    config: LiveConfig,
    foreign: AbstractSet[str],
) -> tuple[list[int], list[int], int]:
    """Map holdings (in ticker order) and candidates to the arrays of `rules.plan_entries`."""
    if not candidates:
        return [], [], rules.NOBODY
    place = {holding.ticker: index for index, holding in enumerate(ordered)}
    trades = _flags(holding.ticker in prices for holding in ordered)
    stays = _flags(holding.pending_reason is None for holding in ordered)
    older = _flags(holding.entry_session < session for holding in ordered)
    limit = config.daily_entry_limit
    codes, shares, rotated = rules.plan_entries(
        _numbers(candidate.score for candidate in candidates),
        _numbers(prices.get(candidate.ticker) for candidate in candidates),
        _flags(candidate.ticker in foreign for candidate in candidates),
        np.array([place.get(one.ticker, rules.NOT_HELD) for one in candidates], dtype=np.int64),
        _numbers(holding_pnl_usd(holding, holding.last_close) for holding in ordered),
        _numbers(holding.candidate.score for holding in ordered),
        np.arange(len(ordered), dtype=np.int64),
        trades & ~stays,
        trades & stays & older,
        config.max_positions,
        config.position_size,
        config.rotation,
        rules.NO_LIMIT if limit is None else limit,
    )
    return codes.tolist(), shares.tolist(), rotated


def _numbers(values: Iterable[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _flags(values: Iterable[bool]) -> rules.FlagArray:
    return np.array(list(values), dtype=np.bool_)
