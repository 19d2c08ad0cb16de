"""The market as of an instant: last trades, marks, and bars without a look ahead.

Every price is a step function of time. Before the open the last trade is stamped on the day from
08:00 New York; its price is the fill model's *indicative* price. A ticker without a bar on a day
has no trade stamped on it: its last trade stays the close before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np

from livekit.broker.venue.engine.history import DayTimes, PriceHistory, clean_ratio, day_times
from livekit.broker.venue.engine.identity import asset_id, cusip
from livekit.model import DailyBars, FloatArray
from livekit.sessions import EXCHANGE_ZONE, close_instant, exchange_time, is_session

__all__ = ["Market", "Phase", "TradeStamp", "exact"]

NIGHT, DAWN, PRE, OPEN, LOW, HIGH, CLOSE = range(7)
REGULAR = (OPEN, LOW, HIGH)

Indicative = Callable[[float | None, float], float]


def exact(price: float) -> Decimal:
    """The shortest decimal that reads back as the same float."""
    return Decimal(repr(float(price)))


def fraction_as_decimal(ratio: Fraction) -> Decimal:
    """``ratio`` to 28 digits."""
    return Decimal(ratio.numerator) / Decimal(ratio.denominator)


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time over which no price changes. ``part`` is NIGHT … CLOSE of ``day``."""

    day: date
    part: int
    start: datetime
    end: datetime
    times: DayTimes | None

    @property
    def is_open(self) -> bool:
        """Whether regular trading is on."""
        return self.part in REGULAR


@dataclass(frozen=True, slots=True)
class TradeStamp:
    """The last trade of a ticker: USD as traded, and when it happened."""

    price: float
    at: datetime
    session: date


class Market:
    """Prices of a history as seen at an instant, under one fill model's indicative price."""

    def __init__(self, history: PriceHistory, indicative: Indicative) -> None:
        self.history = history
        self._indicative = indicative
        self._asked = datetime(2000, 1, 3, tzinfo=UTC)
        self._phase = _phase_at(self._asked)
        self._marks: dict[str, Decimal | None] = {}
        self._previous: dict[str, Decimal | None] = {}
        self._traded: dict[str, bool] = {}
        self._listed: dict[str, bool] = {}

    def use(self, history: PriceHistory) -> None:
        """Read prices from ``history`` from now on."""
        self.history = history
        self._forget()

    def phase(self, now: datetime) -> Phase:
        """The stretch of the day that ``now`` lies in."""
        if now is self._asked:  # the clock stands still while a request is served
            return self._phase
        if not self._phase.start <= now < self._phase.end:
            self._phase = _phase_at(now)
            self._forget()
        self._asked = now
        return self._phase

    def _forget(self) -> None:
        """What was true of the phase before need not be true now."""
        self._marks.clear()
        self._previous.clear()
        self._traded.clear()
        self._listed.clear()

    def is_listed(self, ticker: str, now: datetime) -> bool:
        """Whether ``ticker`` is known and has begun to trade by the day of ``now``."""
        self.phase(now)
        known = self._listed.get(ticker)
        if known is None:
            known = self._listed[ticker] = self._is_listed(ticker, now)
        return known

    def _is_listed(self, ticker: str, now: datetime) -> bool:
        listing = self.history.listing(ticker)
        if listing is None or not self._has_come(listing.first, now, at_dawn=listing.from_dawn):
            return False
        return listing.stays_known or self.is_active(ticker, now)

    def is_active(self, ticker: str, now: datetime) -> bool:
        """Whether a listed ``ticker`` has not been delisted."""
        listing = self.history.listing(ticker)
        ended = listing.ended if listing is not None else None
        return ended is None or not self._has_come(ended, now, at_dawn=True)

    def _has_come(self, day: date, now: datetime, *, at_dawn: bool) -> bool:
        phase = self.phase(now)
        return day < phase.day or (day == phase.day and not (at_dawn and phase.part < DAWN))

    def asset_id(self, ticker: str) -> str:
        """The asset's id, which a change of symbol leaves as it is while the CUSIP stays."""
        listing = self.history.listing(ticker)
        return asset_id(ticker if listing is None else listing.asset)

    def ticker_of(self, name: str, now: datetime) -> str | None:
        """The listed ticker that is meant by a symbol, an asset id or a CUSIP; else None."""
        if self.is_listed(name, now):
            return name
        for ticker in self.history:
            named = name in (self.asset_id(ticker), cusip(ticker))
            if named and self.is_listed(ticker, now):
                return ticker
        return None

    def last_trade(self, ticker: str, now: datetime) -> TradeStamp | None:
        """The latest trade of ``ticker`` at ``now``, or None before its first."""
        phase = self.phase(now)
        bars = self.history.bars(ticker)
        today = bars.index_of(phase.day)
        if today >= 0 and phase.part >= PRE and phase.times is not None:
            at = {PRE: phase.times.stamped, CLOSE: phase.times.close}.get(phase.part, now)
            return TradeStamp(self._price_today(bars, today, phase.part), at, phase.day)
        before = last_index_before(bars, phase.day)
        if before < 0:
            return None
        session = bars.sessions[before].astype(object)
        return TradeStamp(float(bars.close[before]), close_instant(session), session)

    def _price_today(self, bars: DailyBars, index: int, part: int) -> float:
        if part == PRE:
            return self._indicative(_previous_close(bars, index), float(bars.open[index]))
        column = {OPEN: bars.open, LOW: bars.low, HIGH: bars.high, CLOSE: bars.close}[part]
        return float(column[index])

    def mark(self, ticker: str, now: datetime) -> Decimal | None:
        """What a share held now is worth: the last trade on the share basis of the day."""
        self.phase(now)
        if ticker not in self._marks:
            self._marks[ticker] = self._mark(ticker, now)
        return self._marks[ticker]

    def _mark(self, ticker: str, now: datetime) -> Decimal | None:
        trade = self.last_trade(ticker, now)
        if trade is None:
            return None
        phase = self.phase(now)
        ratio = self.split_on(ticker, phase.day) if phase.part == DAWN else None
        price = exact(trade.price)
        return price / fraction_as_decimal(ratio) if ratio else price

    def path(self, ticker: str, session: date) -> tuple[Decimal, ...] | None:
        """Open, low, high and close of ``session`` in the order of the path; None without a bar."""
        bars = self.history.bars(ticker)
        index = bars.index_of(session)
        if index < 0:
            return None
        columns = (bars.open, bars.low, bars.high, bars.close)
        return tuple(exact(column[index]) for column in columns)

    def split_on(self, ticker: str, day: date) -> Fraction | None:
        """The split whose ex-date is ``day``, or None."""
        bars = self.history.bars(ticker)
        index = bars.index_of(day)
        return clean_ratio(float(bars.split_ratio[index])) if index >= 0 else None

    def path_price(self, ticker: str, now: datetime) -> Decimal | None:
        """The price at which ``ticker`` trades now; None outside hours or without a bar."""
        if not self.phase(now).is_open:
            return None
        if ticker not in self._traded:
            self._traded[ticker] = self.history.bars(ticker).index_of(self._phase.day) >= 0
        return self.mark(ticker, now) if self._traded[ticker] else None

    def previous_close(self, ticker: str, now: datetime) -> Decimal | None:
        """The close before the day of ``now``, on that day's share basis once the day has begun."""
        self.phase(now)
        if ticker not in self._previous:
            self._previous[ticker] = self._previous_close(ticker, now)
        return self._previous[ticker]

    def _previous_close(self, ticker: str, now: datetime) -> Decimal | None:
        phase = self.phase(now)
        bars = self.history.bars(ticker)
        before = last_index_before(bars, phase.day)
        if before < 0:
            return None
        ratio = self.split_on(ticker, phase.day) if phase.part >= DAWN else None
        close = exact(bars.close[before])
        return close / fraction_as_decimal(ratio) if ratio else close

    def visible(self, ticker: str, now: datetime) -> DailyBars:
        """The bars of ``ticker`` that exist at ``now``; during a session the last is unfinished."""
        phase = self.phase(now)
        bars = self.history.bars(ticker)
        before = last_index_before(bars, phase.day) + 1
        today = bars.index_of(phase.day)
        if today < 0 or phase.part < OPEN:
            return bars.sliced(0, before)
        if phase.part == CLOSE or phase.times is None:
            return bars.sliced(0, today + 1)
        done = (now - phase.times.open) / (phase.times.close - phase.times.open)
        return _cut(bars, today, phase.part, done)


def last_index_before(bars: DailyBars, day: date) -> int:
    """Position of the last bar before ``day``, or -1."""
    return int(np.searchsorted(bars.sessions, np.datetime64(day, "D"))) - 1


def _previous_close(bars: DailyBars, index: int) -> float | None:
    if index == 0:
        return None
    ratio = clean_ratio(float(bars.split_ratio[index]))
    return float(bars.close[index - 1]) / (float(ratio) if ratio else 1.0)


def _cut(bars: DailyBars, today: int, part: int, done: float) -> DailyBars:
    """The bars up to today's, which is as far as the path has come: ``done`` of the session."""
    opened = float(bars.open[today])
    low = float(bars.low[today]) if part >= LOW else opened
    high = float(bars.high[today]) if part >= HIGH else opened
    last = {OPEN: opened, LOW: low, HIGH: high}[part]
    adjustment = float(bars.adj_close[today]) / float(bars.close[today])
    kept = bars.sliced(0, today + 1)
    return replace(
        kept,
        high=_ending(kept.high, high),
        low=_ending(kept.low, low),
        close=_ending(kept.close, last),
        adj_close=_ending(kept.adj_close, last * adjustment),
        volume=_ending(kept.volume, float(int(float(bars.volume[today]) * done))),
    )


def _ending(column: FloatArray, value: float) -> FloatArray:
    copy = column.copy()
    copy[-1] = value
    return copy


def _phase_at(now: datetime) -> Phase:
    day = exchange_time(now).date()
    start = _midnight(day)
    end = _midnight(day + timedelta(days=1))
    if not is_session(day):
        return Phase(day, NIGHT, start, end, None)
    times = day_times(day)
    marks = (times.dawn, times.stamped, times.open, times.low, times.high, times.close)
    edges = (start, *marks, end)
    part = max(index for index, edge in enumerate(edges[:-1]) if edge <= now)
    return Phase(day, part, edges[part], edges[part + 1], times)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


def half_way(previous_close: float | None, opened: float) -> float:
    """The middle of the previous close and the open, to the cent; the open of a first bar."""
    if previous_close is None:
        return opened
    middle = (exact(previous_close) + exact(opened)) / 2
    return float(middle.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN))
