"""Random small worlds: exact prices with holes, late listings, splits, spin-offs and ties.

A world is plain data: prices are `Fraction`, so that a re-statement of the rules can be exact.
The calendar is read from exchange_calendars directly.
"""

from __future__ import annotations

import random
import warnings
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cache

import exchange_calendars
import numpy as np

from livekit.config import LiveConfig
from livekit.model import Candidate, DailyBars

STARTS = (
    date(2012, 10, 10),  # 2012-10-29 and 30: closed for the hurricane; a Wednesday
    date(2018, 11, 26),  # 2018-12-05: closed for mourning
    date(2019, 4, 8),  # 2019-04-19: Good Friday
    date(2014, 12, 15),  # Christmas and New Year on Thursdays
    date(2015, 12, 17),  # ISO week 53; a Thursday
    date(2020, 2, 3),
)
SPLITS = tuple(Fraction(text) for text in ("2", "3/2", "1/2", "1/3", "7.000007", "1.499999"))
SPIN_OFFS = tuple(Fraction(text) for text in ("1.062", "1.487", "0.955"))
STRATEGIES = ("ema_p2", "ema_p3", "ema_p5", "nwl_p1", "nwl_p2", "nwl_p4")


@cache
def exchange_sessions() -> tuple[date, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calendar = exchange_calendars.get_calendar("XNYS", start="2012-01-01", end="2021-12-31")
    return tuple(stamp.date() for stamp in calendar.sessions)


@dataclass(frozen=True)
class World:
    seed: int
    sessions: tuple[date, ...]
    rows: tuple[dict, ...]
    candidates: tuple[dict, ...]
    strategy: str
    stop_fill: str
    adjustment: str
    parameters: dict

    def config(self) -> LiveConfig:
        return LiveConfig(**self.parameters)

    def bars(self) -> dict[str, DailyBars]:
        found = {}
        for ticker in sorted({row["ticker"] for row in self.rows}):
            rows = [row for row in self.rows if row["ticker"] == ticker]
            columns = {
                name: np.array([float(row[name]) for row in rows])
                for name in ("open", "high", "low", "close", "adj_close", "split_ratio")
            }
            nothing = np.zeros(len(rows))
            found[ticker] = DailyBars(
                ticker,
                np.array([row["session"] for row in rows], dtype="datetime64[D]"),
                columns["open"],
                columns["high"],
                columns["low"],
                columns["close"],
                columns["adj_close"],
                nothing,
                nothing,
                columns["split_ratio"],
            )
        return found

    def reported(self) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(row["ticker"], row["report_date"], row["grade"], row["score"])
            for row in self.candidates
        )


def make_world(seed: int, adjustment: str = "split") -> World:
    chance = random.Random(seed)
    everything = exchange_sessions()
    start = bisect_left(everything, chance.choice(STARTS))
    sessions = everything[start : start + chance.randint(30, 75)]
    tickers = ["AA", "BB", "CC", "DD", "EE", "FF"][: chance.randint(2, 6)]
    tick = Fraction(chance.choice(("0.01", "0.01", "0.5")))
    rows = [row for ticker in tickers for row in _ticker_rows(chance, ticker, sessions, tick)]
    return World(
        seed=seed,
        sessions=sessions,
        rows=tuple(rows),
        candidates=tuple(_candidates(chance, [*tickers, "NONE"], sessions)),
        strategy=chance.choice(STRATEGIES),
        stop_fill=chance.choice(("gap_aware", "gap_aware", "at_stop")),
        adjustment=adjustment,
        parameters=_parameters(chance),
    )


def _parameters(chance: random.Random) -> dict:
    return {
        "max_positions": chance.randint(1, 4),
        "position_size": 1000.0,
        "stop_loss_pct": chance.choice((3.0, 5.0, 10.0, 20.0)),
        "slippage_pct": chance.choice((0.0, 0.5, 0.5)),
        "entry_slippage_pct": chance.choice((0.0, 0.0, 0.1)),
        "stop_mode": chance.choice(
            ("intraday", "intraday", "intraday", "close", "close_next_open", "skip_entry_day")
        ),
        "max_holding_days": chance.choice((None, None, None, None, 0, 12, 30)),
        "rotation": chance.random() < 0.9,
        "min_grade": chance.choice("DDDDCB"),
        "trailing_transition_weeks": chance.randint(0, 3),
        "daily_entry_limit": chance.choice((None, None, 1, 2)),
    }


def _ticker_rows(
    chance: random.Random, ticker: str, sessions: tuple[date, ...], tick: Fraction
) -> list[dict]:
    price = Fraction(chance.choice(("0.9", "8", "25", "25", "60", "180", "1100")))
    tick = Fraction("0.0001") if price < 1 else tick
    size_pct = chance.choice((1, 2, 5))
    rows: list[dict] = []
    for session in _traded(chance, sessions):
        ratio, moved = _event(chance, first=not rows)
        price = _quantised(price * moved * _move(chance, size_pct), tick)
        row = _row(chance, price, size_pct, tick)
        rows.append({"ticker": ticker, "session": session, **row, "split_ratio": ratio})
        rows[-1]["moved"] = moved
        price = row["close"]
    factor = Fraction(1)
    for row in reversed(rows):
        row["adj_close"] = row["close"] * factor
        factor *= row.pop("moved")
    return rows


def _event(chance: random.Random, *, first: bool) -> tuple[Fraction, Fraction]:
    """The ratio shown on the bar, and what it (or a dividend) multiplies the price with."""
    drawn = chance.random()
    if first or drawn > 0.06:
        return Fraction(1), Fraction(1)
    if drawn > 0.03:
        return Fraction(1), Fraction("0.99")
    ratio = chance.choice(SPLITS if drawn > 0.01 else SPIN_OFFS)
    return ratio, 1 / ratio


def _row(chance: random.Random, opened: Fraction, size_pct: int, tick: Fraction) -> dict:
    close = _quantised(opened * _move(chance, size_pct), tick)
    ends = (opened, close)
    return {
        "open": opened,
        "high": _quantised(max(ends) * (1 + abs(1 - _move(chance, size_pct))), tick),
        "low": min(*ends, _quantised(min(ends) * (1 - abs(1 - _move(chance, size_pct))), tick)),
        "close": close,
    }


def _move(chance: random.Random, size_pct: int) -> Fraction:
    return 1 + Fraction(max(-3000, min(3000, round(chance.gauss(0, 100 * size_pct)))), 10_000)


def _quantised(price: Fraction, tick: Fraction) -> Fraction:
    return max(1, round(price / tick)) * tick


def _traded(chance: random.Random, sessions: tuple[date, ...]) -> list[date]:
    """Single holes, and by chance a late listing, an early end, a halt of up to three weeks."""
    traded = [session for session in sessions if chance.random() > 0.06]
    if chance.random() < 0.3:
        traded = traded[chance.randint(0, 10) :]
    if chance.random() < 0.2:
        traded = traded[: len(traded) - chance.randint(0, 12)]
    if chance.random() < 0.5:
        at = chance.randint(3, len(traded) - 2)
        traded = traded[:at] + traded[at + chance.randint(1, 14) :]
    return traded


def _candidates(
    chance: random.Random, tickers: list[str], sessions: tuple[date, ...]
) -> list[dict]:
    often = chance.choice((0.5, 1.2, 2.5))
    rows = [
        _candidate(chance, tickers, session)
        for session in sessions
        for _ in range(min(3, int(chance.expovariate(1 / often))))
    ]
    chance.shuffle(rows)
    return rows


def _candidate(chance: random.Random, tickers: list[str], session: date) -> dict:
    return {
        "ticker": chance.choice(tickers),
        "report_date": session - timedelta(days=chance.choice((0, 0, 0, 1, 2))),
        "grade": chance.choice("ABCD"),
        "score": chance.choice((None, 40.0, 50.0, 50.0, 60.0, 85.5)),
    }
