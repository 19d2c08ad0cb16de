"""One pass over all sessions of a book, on arrays.

The functions here only keep the books; every rule is one of `livekit.strategy`, the same function
object that settles a session of the paper account. They run as plain Python and, called from
`livekit.backtest.engine`, compiled.

Order within a session: decisions on what was known before the open; splits take effect; pending
exits fill at the open; entries; then, position by position, protective stop, finished weeks and
maximal holding.
"""

from __future__ import annotations

import math

import numpy as np

from livekit.backtest import pass_arrays as at
from livekit.backtest.pass_arrays import Book, Ledger, Marks, Prices, Reports, Settings
from livekit.model import FloatArray
from livekit.strategy import position_rules, rules
from livekit.strategy.weekly_bars import compute_weekly_ema, compute_weekly_nweek_low

__all__ = ["REASONS", "STEPS", "fill_lines", "trade_alone", "trade_book"]

REASONS = (
    "",
    "trend_break",
    "protective_stop",
    "max_holding_days",
    "rotated_out",
    "end_of_data",
)
NOT_PENDING, TREND, STOPPED, TOO_LONG, ROTATED, MARKED = range(6)

STEPS = ("open", "stop", "close", "end")
AT_OPEN, AT_STOP, AT_CLOSE, AT_END = range(4)

NO_PLACE = -1


def fill_lines(
    first_week: rules.IntArray,
    closes: FloatArray,
    lows: FloatArray,
    is_ema: bool,  # noqa: FBT001 - a compiled caller passes by position
    period: int,
) -> FloatArray:
    """The trailing stop's line over the weekly bars of all tickers, one ticker after another."""
    line = np.full(len(closes), np.nan)
    for ticker in range(len(first_week) - 1):
        begin, end = first_week[ticker], first_week[ticker + 1]
        if is_ema:
            line[begin:end] = compute_weekly_ema(closes[begin:end], period)
        else:
            line[begin:end] = compute_weekly_nweek_low(lows[begin:end], period)
    return line


def trade_book(
    prices: Prices,
    reports: Reports,
    settings: Settings,
    begin: int,
    end: int,
    book: Book,
    ledger: Ledger,
    marks: Marks,
) -> None:
    """Trade all candidates in one book from session ``begin`` to ``end`` (exclusive)."""
    size, realised_usd = 0, 0.0
    for session in range(begin, end):
        if reports.first[session + 1] > reports.first[session]:
            _plan(prices, reports, settings, session, book, size, ledger)
        for place in range(size - 1, -1, -1):
            gain = _pass_open(prices, settings, session, book, place, ledger)
            if not math.isnan(gain):
                realised_usd = rules.round_cents(realised_usd + gain)
                size = _vacate(book, place, size)
        for candidate in range(reports.first[session], reports.first[session + 1]):
            if ledger.whole[candidate, at.CODE] <= rules.ROTATE_IN:
                _enter(prices, reports, settings, session, book, size, candidate, ledger)
                size += 1
        for place in range(size - 1, -1, -1):
            gain = _pass_day(prices, settings, session, book, place, ledger)
            if not math.isnan(gain):
                realised_usd = rules.round_cents(realised_usd + gain)
                size = _vacate(book, place, size)
        marks.realised_usd[session] = realised_usd
        _mark(session, book, size, marks)
    for place in range(size):
        _mark_out(end - 1, book, place, ledger)


def trade_alone(
    prices: Prices,
    reports: Reports,
    settings: Settings,
    begin: int,
    end: int,
    book: Book,
    ledger: Ledger,
    marks: Marks,
) -> None:
    """Trade each candidate alone: no places, no rotation, no other position of its ticker."""
    for session in range(begin, end):
        if reports.first[session + 1] > reports.first[session]:
            _plan(prices, reports, settings, session, book, 0, ledger)
        for candidate in range(reports.first[session], reports.first[session + 1]):
            if ledger.whole[candidate, at.CODE] <= rules.ROTATE_IN:
                _enter(prices, reports, settings, session, book, 0, candidate, ledger)
                _follow(prices, settings, session, end, book, ledger, marks)
    for session in range(begin + 1, end):
        marks.realised_usd[session] += marks.realised_usd[session - 1]
    for session in range(begin, end):
        marks.realised_usd[session] = rules.round_cents(marks.realised_usd[session])
        marks.unrealised_usd[session] = rules.round_cents(marks.unrealised_usd[session])


def _follow(
    prices: Prices,
    settings: Settings,
    session: int,
    end: int,
    book: Book,
    ledger: Ledger,
    marks: Marks,
) -> None:
    """Follow the position in the first place from its entry to its exit."""
    for today in range(session, end):
        gain = math.nan
        if today > session:
            gain = _pass_open(prices, settings, today, book, 0, ledger)
        if math.isnan(gain):
            gain = _pass_day(prices, settings, today, book, 0, ledger)
        if not math.isnan(gain):
            marks.realised_usd[today] += gain
            _vacate(book, 0, 1)
            return
        marks.unrealised_usd[today] += book.real[0, at.PNL_USD]
        marks.invested_usd[today] += book.whole[0, at.SHARES] * book.real[0, at.ENTRY_PRICE]
        marks.open_positions[today] += 1
    _mark_out(end - 1, book, 0, ledger)
    _vacate(book, 0, 1)


# ------------------------------------------------------------------------------------- decisions


def _plan(
    prices: Prices,
    reports: Reports,
    settings: Settings,
    session: int,
    book: Book,
    size: int,
    ledger: Ledger,
) -> None:
    """Decide the session's candidates; the holding that is rotated out gets a pending exit."""
    begin, end = reports.first[session], reports.first[session + 1]
    opens, held_as = np.full(end - begin, np.nan), np.full(end - begin, rules.NOT_HELD)
    for k in range(end - begin):
        ticker = reports.ticker[begin + k]
        if ticker >= 0:
            opens[k] = prices.bars[ticker, session, at.OPEN]
            held_as[k] = book.row_of[ticker]
    score = np.empty(size)
    leaves, may_rotate = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    for place in range(size):
        score[place] = reports.score[book.whole[place, at.CANDIDATE]]
        trades = not math.isnan(prices.bars[book.whole[place, at.TICKER], session, at.OPEN])
        leaves[place] = trades and book.whole[place, at.PENDING] != NOT_PENDING
        may_rotate[place] = trades and book.whole[place, at.PENDING] == NOT_PENDING
    codes, shares, rotated = rules.plan_entries(
        reports.score[begin:end],
        opens,
        np.zeros(end - begin, dtype=np.bool_),
        held_as,
        book.real[:size, at.PNL_USD],
        score,
        book.whole[:size, at.TICKER],
        leaves,
        may_rotate,
        settings.max_positions,
        settings.position_size_usd,
        settings.rotation,
        settings.daily_limit,
    )
    ledger.whole[begin:end, at.CODE] = codes
    ledger.whole[begin:end, at.BOUGHT] = shares
    if rotated != rules.NOBODY:
        book.whole[rotated, at.PENDING] = ROTATED


def _enter(
    prices: Prices,
    reports: Reports,
    settings: Settings,
    session: int,
    book: Book,
    place: int,
    candidate: int,
    ledger: Ledger,
) -> None:
    ticker, shares = reports.ticker[candidate], ledger.whole[candidate, at.BOUGHT]
    open_price = prices.bars[ticker, session, at.OPEN]
    entry_price = rules.entry_fill_price(open_price, settings.entry_slippage_pct)
    ledger.whole[candidate, at.ENTRY_SESSION] = session
    ledger.real[candidate, at.PAID_PRICE] = entry_price
    whole, real = book.whole[place], book.real[place]
    whole[at.TICKER] = ticker
    whole[at.CANDIDATE] = candidate
    whole[at.ENTERED] = session
    whole[at.PENDING] = NOT_PENDING
    whole[at.WEEKS_DONE] = prices.counts[ticker, session, at.WEEKS_ENDED_BEFORE]
    whole[at.WEEKS_BEFORE] = prices.counts[ticker, session, at.WEEKS_STARTED]
    whole[at.SHARES] = shares
    whole[at.SHARES_NOW] = shares
    whole[at.SPUN_OFF] = 0
    whole[at.ENTRY_DAY] = prices.counts[ticker, session, at.DAY]
    real[at.ENTRY_PRICE] = entry_price
    real[at.STOP_PRICE] = rules.protective_stop_price(entry_price, settings.stop_loss_pct)
    real[at.SPLIT_FACTOR] = 1.0
    real[at.REINVESTED_FACTOR] = 1.0
    real[at.CASH_USD] = 0.0
    real[at.LAST_CLOSE] = open_price
    book.row_of[ticker] = place


# ------------------------------------------------------------------------------ one position's day


def _pass_open(
    prices: Prices, settings: Settings, session: int, book: Book, place: int, ledger: Ledger
) -> float:
    """Split and pending exit at the open; the profit if the position left, else nan."""
    ticker, reason = book.whole[place, at.TICKER], book.whole[place, at.PENDING]
    open_price = prices.bars[ticker, session, at.OPEN]
    if math.isnan(open_price):
        return math.nan
    growth = prices.bars[ticker, session, at.ADJUSTED_GROWTH]
    split_ratio = prices.bars[ticker, session, at.SPLIT_RATIO]
    if (growth if settings.adjust_all else split_ratio) != 1.0:
        _carry(book, place, split_ratio, growth, open_price, settings.adjust_all)
    if reason == NOT_PENDING:
        return math.nan
    return _sell(settings, session, book, place, open_price, reason, AT_OPEN, ledger)


def _carry(
    book: Book,
    place: int,
    split_ratio: float,
    growth: float,
    open_price: float,
    adjust_all: bool,  # noqa: FBT001
) -> None:
    whole, real = book.whole[place], book.real[place]
    shares_now, factor, reinvested, stop, cash_usd, spun_off = position_rules.carry_basis(
        whole[at.SHARES_NOW],
        real[at.SPLIT_FACTOR],
        real[at.REINVESTED_FACTOR],
        real[at.STOP_PRICE],
        real[at.CASH_USD],
        split_ratio,
        growth,
        open_price,
        adjust_all,
    )
    whole[at.SHARES_NOW] = shares_now
    real[at.SPLIT_FACTOR] = factor
    real[at.REINVESTED_FACTOR] = reinvested
    real[at.STOP_PRICE] = stop
    real[at.CASH_USD] = cash_usd
    if spun_off:
        whole[at.SPUN_OFF] = 1


def _pass_day(
    prices: Prices, settings: Settings, session: int, book: Book, place: int, ledger: Ledger
) -> float:
    """Stop, finished weeks, maximal holding; the profit if the position left, else nan."""
    ticker, stop = book.whole[place, at.TICKER], book.real[place, at.STOP_PRICE]
    open_price, low = prices.bars[ticker, session, at.OPEN], prices.bars[ticker, session, at.LOW]
    close, mode = prices.bars[ticker, session, at.CLOSE], settings.stop_mode
    if math.isnan(close):
        return math.nan
    enters = book.whole[place, at.ENTERED] == session
    raw = position_rules.stop_hit_price(
        mode, open_price, low, close, stop, enters, settings.gap_aware
    )
    if not math.isnan(raw):
        return _sell(settings, session, book, place, raw, STOPPED, AT_STOP, ledger)
    if position_rules.awaits_next_open(mode, close, stop):
        _make_pending(book, place, STOPPED)
    if prices.counts[ticker, session, at.WEEKS_DUE] > book.whole[place, at.WEEKS_DONE]:
        _finish_weeks(prices, settings, session, book, place)
    days_held = prices.counts[ticker, session, at.DAY] - book.whole[place, at.ENTRY_DAY]
    if position_rules.is_held_too_long(days_held, settings.longest_days):
        return _sell(settings, session, book, place, close, TOO_LONG, AT_CLOSE, ledger)
    book.real[place, at.LAST_CLOSE] = close
    book.real[place, at.PNL_USD] = rules.unrealised_pnl(
        close,
        position_rules.held_quantity(
            book.whole[place, at.SHARES_NOW], book.real[place, at.REINVESTED_FACTOR]
        ),
        book.real[place, at.CASH_USD],
        book.whole[place, at.SHARES] * book.real[place, at.ENTRY_PRICE],
    )
    return math.nan


def _finish_weeks(prices: Prices, settings: Settings, session: int, book: Book, place: int) -> None:
    begin, before = book.whole[place, at.WEEKS_DONE], book.whole[place, at.WEEKS_BEFORE]
    end = prices.counts[book.whole[place, at.TICKER], session, at.WEEKS_DUE]
    for week in range(begin, end):
        completed = position_rules.completed_weeks(week, before)
        broken = rules.is_below(prices.weeks[week, at.WEEK_CLOSE], prices.weeks[week, at.WEEK_LINE])
        if broken and position_rules.is_transition_over(completed, settings.transition_weeks):
            _make_pending(book, place, TREND)
    book.whole[place, at.WEEKS_DONE] = end


def _make_pending(book: Book, place: int, reason: int) -> None:
    """A pending exit keeps its first reason until it fills."""
    if book.whole[place, at.PENDING] == NOT_PENDING:
        book.whole[place, at.PENDING] = reason


# ------------------------------------------------------------------------------------------ exits


def _sell(
    settings: Settings,
    session: int,
    book: Book,
    place: int,
    raw: float,
    reason: int,
    step: int,
    ledger: Ledger,
) -> float:
    fill = rules.exit_fill_price(raw, settings.slippage_pct)
    return _record(session, book, place, fill, reason, step, ledger)


def _mark_out(session: int, book: Book, place: int, ledger: Ledger) -> None:
    """End of data: at the last close, without slippage."""
    fill = rules.round_fill(book.real[place, at.LAST_CLOSE])
    _record(session, book, place, fill, MARKED, AT_END, ledger)


def _record(
    session: int, book: Book, place: int, fill: float, reason: int, step: int, ledger: Ledger
) -> float:
    whole, real = book.whole[place], book.real[place]
    exit_price, pnl_usd, return_pct = position_rules.close_out(
        fill,
        real[at.ENTRY_PRICE],
        whole[at.SHARES],
        position_rules.held_quantity(whole[at.SHARES_NOW], real[at.REINVESTED_FACTOR]),
        real[at.CASH_USD],
        real[at.SPLIT_FACTOR],
    )
    numbers, prices = ledger.whole[whole[at.CANDIDATE]], ledger.real[whole[at.CANDIDATE]]
    numbers[at.EXIT_SESSION] = session
    numbers[at.REASON] = reason
    numbers[at.STEP] = step
    numbers[at.FLAGGED] = whole[at.SPUN_OFF]
    prices[at.EXIT_PRICE] = exit_price
    prices[at.GAIN_USD] = pnl_usd
    prices[at.RETURN_PCT] = return_pct
    return pnl_usd


def _vacate(book: Book, place: int, size: int) -> int:
    """Close the gap that a position leaves: the last one moves into its place."""
    last = size - 1
    book.row_of[book.whole[place, at.TICKER]] = NO_PLACE
    if place != last:
        book.whole[place] = book.whole[last]
        book.real[place] = book.real[last]
        book.row_of[book.whole[place, at.TICKER]] = place
    return last


# ------------------------------------------------------------------------------------------ marks


def _mark(session: int, book: Book, size: int, marks: Marks) -> None:
    unrealised_usd, invested_usd = 0.0, 0.0
    for place in range(size):
        unrealised_usd += book.real[place, at.PNL_USD]
        invested_usd += book.whole[place, at.SHARES] * book.real[place, at.ENTRY_PRICE]
    marks.unrealised_usd[session] = rules.round_cents(unrealised_usd)
    marks.invested_usd[session] = invested_usd
    marks.open_positions[session] = size
