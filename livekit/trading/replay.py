"""Replay: the recorded days read back by their hashes, and the executed book beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from pydantic import ValidationError

from livekit.comparison.attribution import (
    Attribution,
    BookTrade,
    TradeBook,
    attribute,
    modelled_trade,
)
from livekit.comparison.replay import RecordedDay, Replay, replay_days
from livekit.config import LiveConfig, config_sha256
from livekit.errors import NotASession, RecordUnusable
from livekit.model import END_OF_DATA, ClosedTrade, DailyBars, Position
from livekit.prices.source import PriceSource
from livekit.state import StateDB
from livekit.trading.plans import plan_from_body
from livekit.trading.record_chain import check_chain, check_snapshots
from livekit.trading.registration_record import PreRegistration, read_registration
from livekit.trading.snapshots import SETTLEMENT, bars_from_bytes

__all__ = [
    "ReplayReport",
    "executed_book",
    "explained_absences",
    "last_closes",
    "recorded_days",
    "replay_record",
    "require_sound",
    "twin_differences",
]

CENT = Decimal("0.01")
PRICE_STEP = Decimal("0.00000001")
_CONFIG = "config"


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A replay beside the executed book, trade by trade.

    ``attribution`` covers the trades that either book held in the stretch asked for.
    """

    first: date
    last: date
    replay: Replay
    attribution: Attribution
    amendments: tuple[str, ...]


def replay_record(
    db: StateDB,
    home: Path,
    config: LiveConfig,
    first: date,
    last: date,
    present: PriceSource | None = None,
) -> ReplayReport:
    """Run the backtest over the recorded days up to ``last`` and match it with the executed book.

    The book starts empty at registration, so every recorded day is replayed; trades that neither
    book held between ``first`` and ``last`` are left out of the report.

    Args:
        db: the profile's database.
        home: the profile's folder.
        config: the configuration in use.
        first: first session of the report.
        last: last session of the report and of the replay.
        present: prices as they are known now, to tell what later revisions changed.

    Raises:
        RecordUnusable: the record has a hole, an input is missing or changed, or the configuration
            is not the registered one.
        NotASession: the stretch is empty or not within the record.
    """
    registered = read_registration(db.registration(), db.name)
    sessions, amendments = require_sound(db, home, config, registered, last)
    if not sessions or last < first or last not in sessions or first < sessions[0]:
        known = f"the record reaches from {sessions[0]} to {sessions[-1]}" if sessions else "empty"
        raise NotASession(f"{first} to {last}", known)
    only = (config.primary_strategy,)
    (replay,) = replay_days(recorded_days(db, home, sessions), only)
    (as_registered,) = replay_days(recorded_days(db, home, sessions), only, config)
    (revised,) = (
        replay_days(_on_present_data(recorded_days(db, home, sessions), present), only, config)
        if present
        else (as_registered,)
    )
    live = executed_book(db, last_closes(db, home, last), last)
    whole = attribute(
        live,
        _book("replay", replay.trades),
        registered=_book("replay as registered", as_registered.trades),
        revised=_book("backtest on present data", revised.trades),
        causes=explained_absences(db, config, replay, live),
    )
    return ReplayReport(first, last, replay, _within(whole, first, last), amendments)


def require_sound(
    db: StateDB, home: Path, config: LiveConfig, registered: PreRegistration, last: date
) -> tuple[tuple[date, ...], tuple[str, ...]]:
    """The recorded sessions up to ``last`` and the amendments; raises `RecordUnusable`."""
    chain = check_chain(db, registered.config_sha256, registered.first_session)
    sessions = tuple(day for day in chain.sessions if day <= last)
    problems = [*chain.problems, *check_snapshots(db, home, sessions)]
    if config_sha256(config) != registered.config_sha256:
        problems.append("the configuration is not the registered one")
    if problems:
        raise RecordUnusable(problems)
    return sessions, chain.amendments


# ---------------------------------------------------------------------------------- recorded days


def recorded_days(db: StateDB, home: Path, sessions: Sequence[date]) -> Iterator[RecordedDay]:
    """Each session from its stored candidates, bars and configuration; hashes are compared."""
    config: LiveConfig | None = None
    for session in sessions:
        candidates = db.get_candidates(session)
        kept = [item for item in db.get_snapshots(session) if item.kind == SETTLEMENT]
        if candidates is None or not kept:
            what = "candidates" if candidates is None else "bars"
            raise RecordUnusable([f"the record has a hole: {session} has no {what}"])
        bars: dict[str, DailyBars] = {}
        for item in kept:
            bars |= bars_from_bytes(_content(home / item.path, item.sha256))
        config = _config_of(db, home, session) or config or _registered_config(db)
        yield RecordedDay(session, candidates, _Kept(session, bars), config)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Answers with the bars of a day; a ticker that was asked for then is there or has none."""

    session: date
    bars: Mapping[str, DailyBars]

    def __call__(self, tickers: tuple[str, ...]) -> Mapping[str, DailyBars]:
        return {ticker: self.bars[ticker] for ticker in tickers if ticker in self.bars}


def _content(path: Path, sha256: str) -> bytes:
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RecordUnusable([f"snapshot {path.name} does not match its hash"])
    return content


def _config_of(db: StateDB, home: Path, session: date) -> LiveConfig | None:
    kept = [item for item in db.get_snapshots(session) if item.kind == _CONFIG]
    if not kept:
        return None
    return _parsed_config(_content(home / kept[-1].path, kept[-1].sha256).decode(), session)


def _registered_config(db: StateDB) -> LiveConfig:
    registration = db.registration()
    body = json.loads(registration.body) if registration else {}
    return _parsed_config(json.dumps(body.get("config")), "the registration")


def _parsed_config(text: str, where: object) -> LiveConfig:
    try:
        return LiveConfig(**json.loads(text))
    except (ValueError, TypeError, ValidationError) as error:
        raise RecordUnusable([f"the configuration of {where} cannot be read"]) from error


def _on_present_data(days: Iterable[RecordedDay], prices: PriceSource) -> Iterator[RecordedDay]:
    for day in days:
        yield RecordedDay(day.session, day.candidates, _Present(day, prices), day.config)


@dataclass(frozen=True, slots=True)
class _Present:
    day: RecordedDay
    prices: PriceSource

    def __call__(self, tickers: tuple[str, ...]) -> Mapping[str, DailyBars]:
        first = self.day.session - timedelta(days=self.day.config.fmp_lookback_days)
        return self.prices.daily_bars(tickers, first, self.day.session)


def last_closes(db: StateDB, home: Path, session: date) -> dict[str, float]:
    """The closes kept of a recorded session, of every share that the book has held."""
    (day,) = recorded_days(db, home, [session])
    held = tuple(sorted({item.ticker for item in db.get_positions()}))
    return {ticker: float(bars.close[-1]) for ticker, bars in day.bars(held).items()}


# ---------------------------------------------------------------------------------- executed book


def executed_book(db: StateDB, closes: Mapping[str, float], last: date) -> TradeBook:
    """The executed book as of ``last``; what was open then is marked at ``closes``."""
    trades = [
        _executed(db, position, closes, last)
        for position in db.get_positions()
        if position.entry_date <= last
    ]
    return TradeBook("executed book", tuple(trades))


def _executed(
    db: StateDB, position: Position, closes: Mapping[str, float], last: date
) -> BookTrade:
    left = position.exit_date
    if left is not None and left <= last and position.pnl is not None:
        return _trade(position, left, position.exit_price, position.exit_reason or "", position.pnl)
    close = closes.get(position.ticker)
    if close is None:
        raise RecordUnusable([f"{position.ticker} is open on {last} and has no close"])
    fills = db.get_fills(position_id=position.position_id) if position.position_id else []
    sold = [fill for fill in fills if fill.side == "sell" and fill.at.date() <= last]
    proceeds = sum((fill.quantity * fill.price for fill in sold), Decimal(0))
    held = position.shares_now if left is None else position.actual_shares
    profit = proceeds + held * Decimal(repr(close)) - position.invested
    price = Decimal(repr(close)) * Decimal(repr(position.split_factor))
    profit = profit.quantize(CENT, ROUND_HALF_EVEN)
    return _trade(position, last, None if sold else price, END_OF_DATA, profit)


def _trade(
    position: Position,
    left: date,
    price: Decimal | None,
    reason: str,
    profit: Decimal,
) -> BookTrade:
    """Without one exit price, the one that would have given the profit."""
    shares = position.actual_shares
    entry = (position.invested / shares).quantize(PRICE_STEP).normalize()
    given = (position.invested + profit) / shares if price is None else price
    leaving = given.quantize(PRICE_STEP).normalize()
    return BookTrade(
        position.ticker,
        position.entry_date,
        entry,
        shares,
        left,
        leaving,
        reason,
        profit,
        basis_changed=position.split_factor != 1.0,
    )


# ----------------------------------------------------------------------------------------- causes


def explained_absences(
    db: StateDB, config: LiveConfig, replay: Replay, live: TradeBook
) -> dict[tuple[str, date], str]:
    """Why a trade is in one book only, from plan, orders and the replay's own skips."""
    bought = {trade.lot for trade in live.trades}
    modelled = {(trade.ticker, trade.entry_session) for trade in replay.trades}
    found = {lot: _why_missed(db, config, *lot) for lot in modelled - bought}
    return found | {
        lot: f"the backtest did not enter it: {replay.skips.get(lot, 'no candidate')}"
        for lot in bought - modelled
    }


def _why_missed(db: StateDB, config: LiveConfig, ticker: str, session: date) -> str:
    orders = [
        order
        for order in db.get_orders(trade_date=session, ticker=ticker, intent="entry")
        if order.filled_qty == 0
    ]
    if orders:
        last = orders[-1]
        return f"entry order {last.outcome}, {last.status}" + (
            f": {last.reason}" if last.reason else ""
        )
    stored = db.get_plan(config.primary_strategy, session)
    if stored is None:
        return "no plan was made for the session"
    plan = plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)
    skips = [skip for skip in plan.skips if skip.candidate.ticker == ticker]
    if skips:
        return f"skipped by the plan: {skips[0].reason} {skips[0].detail}".rstrip()
    planned = any(order.ticker == ticker and order.intent == "entry" for order in plan.orders)
    return f"planned and not sent, plan {stored.status}" if planned else "not in the plan"


def _book(name: str, trades: Sequence[ClosedTrade]) -> TradeBook:
    return TradeBook(name, tuple(modelled_trade(trade) for trade in trades))


def _within(whole: Attribution, first: date, last: date) -> Attribution:
    """The part of an attribution whose trades were held in the stretch."""
    shown = tuple(
        one
        for one in whole.trades
        if one.entry_session <= last
        and max(
            (trade.exit_session for trade in (one.live, one.backtest) if trade),
            default=one.entry_session,
        )
        >= first
    )
    return Attribution(shown)


# ------------------------------------------------------------------------------------------ twins


def twin_differences(db: StateDB, replay: Replay) -> tuple[str, ...]:
    """Where the stored twin is not what its own inputs give; empty when it is."""
    stored = db.get_shadow_positions(replay.strategy, status=None)
    ours = {item.trade for item in stored if item.trade is not None}
    found = [
        f"{trade.ticker} of {trade.entry_session} differs in the twin {replay.strategy}"
        for trade in sorted(
            ours ^ set(replay.closed), key=lambda one: (one.entry_session, one.ticker)
        )
        if trade.exit_session <= replay.marks[-1].session
    ]
    points = {point.session: point for point in db.get_equity(replay.strategy)}
    for mark in replay.marks:
        point = points.get(mark.session)
        theirs = (mark.realised_usd, mark.unrealised_usd)
        if point is None or any(
            abs(float(value) - other) > 0.006
            for value, other in zip((point.realised, point.unrealised), theirs, strict=True)
        ):
            found.append(f"the mark of {mark.session} differs in the twin {replay.strategy}")
    return tuple(dict.fromkeys(found))
