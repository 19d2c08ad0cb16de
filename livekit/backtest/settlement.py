"""One session of one book, settled on official bars, on frozen values.

The books of the paper account are settled so, session by session; `livekit.backtest.session_pass`
does the same over arrays for years at once, with the same rules.

Order within a session: decisions on what was known before the open; splits take effect; pending
exits fill at the open; candidates enter and at most one rotates a holding out; protective stops;
finished weeks; maximal holding. The reference price of a candidate is the session's open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, get_args

from livekit.backtest.market import Bar, Market
from livekit.config import LiveConfig
from livekit.errors import UnknownParameter
from livekit.model import (
    END_OF_DATA,
    MAX_HOLDING,
    PROTECTIVE_STOP,
    TREND_BREAK,
    Candidate,
    ClosedTrade,
    Holding,
    SessionDecision,
)
from livekit.strategy import position_rules, rules
from livekit.strategy.decisions import (
    Deferral,
    WeekEvaluation,
    decide_session,
    deferral,
    evaluate_view,
    held_quantity,
    holding_pnl_usd,
)

__all__ = [
    "Adjustment",
    "Book",
    "Settlement",
    "StopFill",
    "mark_out",
    "require_supported",
    "settle_session",
]

StopFill = Literal["gap_aware", "at_stop"]
Adjustment = Literal["split", "all"]
ENTRY_MODES = ("report_open",)
NEXT_OPEN = "next_open"  # an entry mode of single trades only

SPIN_OFF_REINVESTED = "spin_off_reinvested"


@dataclass(frozen=True, slots=True)
class Book:
    """The open positions of one strategy, in ticker order once settled."""

    strategy: str
    holdings: tuple[Holding, ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a session did to a book.

    ``realised_usd`` is that of the session's ``trades``, ``unrealised_usd`` that of the positions
    left, at their last closes. ``evaluations`` are the weeks that became due, ``deferrals`` those
    that are due but lack the bar that closes them.
    """

    book: Book
    decision: SessionDecision
    trades: tuple[ClosedTrade, ...]
    realised_usd: float
    unrealised_usd: float
    evaluations: tuple[WeekEvaluation, ...] = ()
    deferrals: tuple[Deferral, ...] = ()


@dataclass(frozen=True, slots=True)
class _Day:
    """The session being settled: what trades, and under which parameters."""

    session: date
    bars: Mapping[str, Bar]
    market: Market
    config: LiveConfig
    stop_fill: str
    trailing: tuple[str, int]


def require_supported(
    config: LiveConfig,
    stop_fill: str,
    adjustment: str,
    entry_modes: Sequence[str] = ENTRY_MODES,
) -> None:
    """Raise `UnknownParameter` unless a simulation with these entry modes knows all others."""
    wanted = (
        ("stop_mode", config.stop_mode, position_rules.STOP_MODES),
        ("entry_mode", config.entry_mode, entry_modes),
        ("stop_fill", stop_fill, get_args(StopFill)),
        ("adjustment", adjustment, get_args(Adjustment)),
    )
    problems = [
        f"{name} is {value!r}, known: {', '.join(known)}"
        for name, value, known in wanted
        if value not in known
    ]
    if problems:
        raise UnknownParameter("simulation", problems)


def settle_session(
    book: Book,
    session: date,
    market: Market,
    candidates: Sequence[Candidate],
    config: LiveConfig,
    *,
    stop_fill: StopFill = "gap_aware",
    adjustment: Adjustment = "split",
    foreign: AbstractSet[str] = frozenset(),
) -> Settlement:
    """Carry ``book`` through ``session``.

    Args:
        book: the positions after the previous session.
        session: the session to settle; sessions must be settled in order, none left out.
        market: prices; read up to ``session`` only.
        candidates: the session's candidates as `rank_candidates` orders them.
        config: the trading parameters.
        stop_fill: ``gap_aware`` fills a stop at the open of a later session that opened below it,
            ``at_stop`` always at the stop.
        adjustment: ``split`` carries a position through splits as a broker does; ``all`` lets its
            price move with ``adj_close``, so that dividends count as reinvested.
        foreign: tickers held outside all books.

    Raises:
        UnknownParameter: a mode or the book's strategy is not known.
    """
    require_supported(config, stop_fill, adjustment)
    tickers = {one.ticker for one in book.holdings} | {one.ticker for one in candidates}
    found = {ticker: market.bar_on(ticker, session) for ticker in sorted(tickers)}
    bars = {ticker: bar for ticker, bar in found.items() if bar is not None}
    trailing = config.trailing(book.strategy)
    day = _Day(session, bars, market, config, stop_fill, trailing)

    # Decided on yesterday's basis: cash for fractions at today's open must not choose the weakest.
    opens = {ticker: bar.open for ticker, bar in bars.items()}
    decision = decide_session(session, book.holdings, candidates, opens, config, foreign=foreign)
    held = [_on_todays_basis(one, bars.get(one.ticker), adjustment) for one in book.holdings]
    held, left_at_open = _exit_at_open(day, held, decision)
    held = sorted(held + _enter(day, decision), key=lambda holding: holding.ticker)
    held, stopped = _stop_out(day, held)
    held, evaluations, deferrals = _evaluate_weeks(day, held)
    held, timed_out = _end_long_holdings(day, held)
    held = [_at_close(one, bars.get(one.ticker)) for one in held]
    trades = (*left_at_open, *stopped, *timed_out)
    return Settlement(
        Book(book.strategy, tuple(held)),
        decision,
        trades,
        rules.round_cents(sum(trade.pnl_usd for trade in trades)),
        rules.round_cents(sum(holding_pnl_usd(one, one.last_close) for one in held)),
        evaluations,
        deferrals,
    )


def mark_out(book: Book, session: date) -> tuple[ClosedTrade, ...]:
    """End of data: every position leaves at its last close, without slippage."""
    return tuple(
        _closed(holding, session, rules.round_fill(holding.last_close), END_OF_DATA)
        for holding in book.holdings
    )


# ---------------------------------------------------------------------------------- price basis


def _on_todays_basis(holding: Holding, bar: Bar | None, adjustment: str) -> Holding:
    """The holding at the open, after a split or whatever else moved the price basis.

    Its last close stays that of the old basis until this session's close replaces it.
    """
    adjust_all = adjustment == "all"
    if bar is None or (bar.growth if adjust_all else bar.split_ratio) == 1.0:
        return holding
    shares_now, factor, reinvested, stop, cash_usd, spun_off = position_rules.carry_basis(
        holding.shares_now,
        holding.split_factor,
        holding.reinvested_factor,
        holding.stop_price,
        holding.cash_in_lieu_usd,
        bar.split_ratio,
        bar.growth,
        bar.open,
        adjust_all,
    )
    flags = tuple(dict.fromkeys((*holding.flags, SPIN_OFF_REINVESTED)))
    return replace(
        holding,
        shares_now=shares_now,
        split_factor=factor,
        reinvested_factor=reinvested,
        stop_price=stop,
        cash_in_lieu_usd=cash_usd,
        flags=flags if spun_off else holding.flags,
    )


# ---------------------------------------------------------------------------- the session's steps


def _exit_at_open(
    day: _Day, held: Sequence[Holding], decision: SessionDecision
) -> tuple[list[Holding], list[ClosedTrade]]:
    reasons = {leaving.ticker: leaving.reason for leaving in decision.exits}

    def leaves(holding: Holding, bar: Bar) -> ClosedTrade | None:
        reason = reasons.get(holding.ticker)
        return _sold(day, holding, bar.open, reason) if reason is not None else None

    return _part(day, held, leaves)


def _enter(day: _Day, decision: SessionDecision) -> list[Holding]:
    return [
        _entered(day, entry.candidate, entry.shares, day.bars[entry.candidate.ticker].open)
        for entry in decision.entries
    ]


def _entered(day: _Day, candidate: Candidate, shares: int, open_price: float) -> Holding:
    entry_price = rules.entry_fill_price(open_price, day.config.entry_slippage_pct)
    return Holding(
        candidate=candidate,
        entry_session=day.session,
        entry_price=entry_price,
        shares=shares,
        stop_price=rules.protective_stop_price(entry_price, day.config.stop_loss_pct),
        last_close=open_price,
        shares_now=shares,
    )


def _stop_out(day: _Day, held: Sequence[Holding]) -> tuple[list[Holding], list[ClosedTrade]]:
    mode = position_rules.STOP_MODES.index(day.config.stop_mode)

    def hits(holding: Holding, bar: Bar) -> ClosedTrade | None:
        raw = position_rules.stop_hit_price(
            mode,
            bar.open,
            bar.low,
            bar.close,
            holding.stop_price,
            holding.entry_session == day.session,
            day.stop_fill == "gap_aware",
        )
        return None if math.isnan(raw) else _sold(day, holding, raw, PROTECTIVE_STOP)

    stay, stopped = _part(day, held, hits)
    return [_stop_at_next_open(day, mode, holding) for holding in stay], stopped


def _stop_at_next_open(day: _Day, mode: int, holding: Holding) -> Holding:
    bar = day.bars.get(holding.ticker)
    if bar is None or not position_rules.awaits_next_open(mode, bar.close, holding.stop_price):
        return holding
    return _pending(holding, PROTECTIVE_STOP, day.session)


def _evaluate_weeks(
    day: _Day, held: Sequence[Holding]
) -> tuple[list[Holding], tuple[WeekEvaluation, ...], tuple[Deferral, ...]]:
    after: list[Holding] = []
    evaluations: list[WeekEvaluation] = []
    deferrals: list[Deferral] = []
    for holding in held:
        bar = day.bars.get(holding.ticker)
        if bar is None:
            waiting = deferral(holding, day.market.bars.get(holding.ticker), day.session)
            deferrals += [waiting] if waiting is not None else []
            after.append(holding)
            continue
        view = day.market.view(holding.ticker, *day.trailing)
        due = evaluate_view(holding, view, bar.index, day.config.trailing_transition_weeks)
        evaluations += due
        after.append(_after_weeks(holding, due))
    return after, tuple(evaluations), tuple(deferrals)


def _after_weeks(holding: Holding, due: Sequence[WeekEvaluation]) -> Holding:
    for week in due:
        holding = replace(holding, evaluated_week=week.week_end)
        if week.exits:
            holding = _pending(holding, TREND_BREAK, week.evaluated_on)
    return holding


def _end_long_holdings(
    day: _Day, held: Sequence[Holding]
) -> tuple[list[Holding], list[ClosedTrade]]:
    longest_days = day.config.max_holding_days
    if longest_days is None:
        return list(held), []

    def is_over(holding: Holding, bar: Bar) -> ClosedTrade | None:
        days = (day.session - holding.entry_session).days
        over = position_rules.is_held_too_long(days, longest_days)
        return _sold(day, holding, bar.close, MAX_HOLDING) if over else None

    return _part(day, held, is_over)


def _at_close(holding: Holding, bar: Bar | None) -> Holding:
    return holding if bar is None else replace(holding, last_close=bar.close)


# --------------------------------------------------------------------------------------- helpers


def _part(
    day: _Day,
    held: Iterable[Holding],
    leaves: Callable[[Holding, Bar], ClosedTrade | None],
) -> tuple[list[Holding], list[ClosedTrade]]:
    """Part the holdings into those that stay and the trades of those that leave."""
    stay, trades = [], []
    for holding in held:
        bar = day.bars.get(holding.ticker)
        trade = leaves(holding, bar) if bar is not None else None
        if trade is None:
            stay.append(holding)
        else:
            trades.append(trade)
    return stay, trades


def _pending(holding: Holding, reason: str, since: date) -> Holding:
    """A pending exit keeps its first reason until it fills."""
    if holding.pending_reason is not None:
        return holding
    return replace(holding, pending_reason=reason, pending_since=since)


def _sold(day: _Day, holding: Holding, raw: float, reason: str) -> ClosedTrade:
    fill = rules.exit_fill_price(raw, day.config.slippage_pct)
    return _closed(holding, day.session, fill, reason)


def _closed(holding: Holding, session: date, fill: float, reason: str) -> ClosedTrade:
    """The finished trade on the price basis of its entry session; ``fill`` is on today's."""
    exit_price, pnl_usd, return_pct = position_rules.close_out(
        fill,
        holding.entry_price,
        holding.shares,
        held_quantity(holding),
        holding.cash_in_lieu_usd,
        holding.split_factor,
    )
    return ClosedTrade(
        candidate=holding.candidate,
        entry_session=holding.entry_session,
        entry_price=holding.entry_price,
        shares=holding.shares,
        exit_session=session,
        exit_price=exit_price,
        exit_reason=reason,
        pnl_usd=pnl_usd,
        return_pct=return_pct,
        hold_days=(session - holding.entry_session).days,
        flags=holding.flags,
    )
