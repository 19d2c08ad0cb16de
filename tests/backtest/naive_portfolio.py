"""The portfolio rules said a second time, naively: loops over rows, exact arithmetic, no speed.

Written from the text of the rules and not from `livekit.strategy`, which it does not import.
Prices are `Fraction`; a position and a trade are dicts.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache

from worlds import World, exchange_sessions

LETTERS = "ABCD"
CALENDAR = frozenset(exchange_sessions())


def run_naive(world: World) -> tuple[list[dict], list[tuple]]:
    """Trades, and skips as (session, ticker, reason)."""
    book = Naive(world)
    for session in world.sessions:
        if book.first_bar() <= session <= book.last_bar():
            book.settle(session)
    book.mark_out()
    return book.trades, book.skips


def exact(number: float) -> Fraction:
    return Fraction(Decimal(str(number)))


def fill(price: Fraction) -> Fraction:
    return Fraction(round(price * 10_000), 10_000)


def cents(amount: Fraction) -> Fraction:
    return Fraction(round(amount * 100), 100)


def down_to_tick(price: Fraction) -> Fraction:
    per_dollar = 100 if price >= 1 else 10_000
    return Fraction(math.floor(price * per_dollar), per_dollar)


def split_of(ratio: Fraction) -> Fraction | None:
    for n in range(1, 11):
        for m in range(1, 11):
            if abs(ratio - Fraction(n, m)) <= Fraction(1, 10_000):
                return Fraction(n, m)
    return None


@cache
def week_of(day: date) -> tuple[int, int]:
    return day.isocalendar()[:2]


@cache
def sessions_of_week(week: tuple[int, int]) -> list[date]:
    return [session for session in exchange_sessions() if week_of(session) == week]


class Naive:
    def __init__(self, world: World) -> None:
        self.world = world
        self.p = world.parameters
        self.rows: dict[str, list[dict]] = {}
        for row in world.rows:
            self.rows.setdefault(row["ticker"], []).append(row)
        self.positions: list[dict] = []
        self.trades: list[dict] = []
        self.skips: list[tuple] = []

    def first_bar(self) -> date:
        return min(row["session"] for row in self.world.rows)

    def last_bar(self) -> date:
        return max(row["session"] for row in self.world.rows)

    # --- candidates: merged, filtered, ordered

    def candidates(self, session: date) -> list[dict]:
        mine = []
        for candidate in self.world.candidates:
            day = candidate["report_date"]
            while day not in CALENDAR:
                day += timedelta(days=1)
            if day == session:
                mine.append(candidate)
        winners: list[dict] = []
        for candidate in mine:
            rivals = [other for other in mine if other["ticker"] == candidate["ticker"]]
            newest = max(other["report_date"] for other in rivals)
            if next(other for other in rivals if other["report_date"] == newest) is candidate:
                winners.append(candidate)
        wanted = LETTERS[: LETTERS.index(self.p["min_grade"]) + 1]
        winners = [candidate for candidate in winners if candidate["grade"] in wanted]
        winners.sort(key=lambda candidate: candidate["report_date"], reverse=True)
        scored = [one for one in winners if one["score"] is not None]
        scored.sort(key=lambda candidate: candidate["score"], reverse=True)
        return scored + [one for one in winners if one["score"] is None]

    # --- one session

    def settle(self, session: date) -> None:
        today = {row["ticker"]: row for row in self.world.rows if row["session"] == session}
        entering, leaving = self.decide(session, today)
        self.take_splits(today)
        for position in list(self.positions):
            row = today.get(position["ticker"])
            reason = leaving.get(position["ticker"])
            if reason is not None and row is not None:
                self.sell(position, session, row["open"], reason)
        for candidate, shares in entering:
            self.buy(candidate, shares, session, today[candidate["ticker"]]["open"])
        for position in self.trading(today):
            self.protective_stop(position, session, today[position["ticker"]])
        for position in self.trading(today):
            self.trailing_stop(position, session)
        for position in self.trading(today):
            self.maximal_holding(position, session, today[position["ticker"]]["close"])
        for position in self.trading(today):
            position["last_close"] = today[position["ticker"]]["close"]

    def trading(self, today: dict) -> list[dict]:
        return [position for position in self.positions if position["ticker"] in today]

    def decide(self, session: date, today: dict) -> tuple[list, dict]:
        leaving = {one["ticker"]: one["pending"] for one in self.positions if one["pending"]}
        slots = self.p["max_positions"] - len(self.positions)
        slots += len([ticker for ticker in leaving if ticker in today])
        gone = {ticker for ticker in leaving if ticker in today}
        entering: list = []
        rotated = False
        for candidate in self.candidates(session):
            ticker = candidate["ticker"]
            held = [one for one in self.positions if one["ticker"] == ticker]
            if held:
                self.skip(session, ticker, "exits_today" if ticker in gone else "duplicate_ticker")
                continue
            if ticker not in today:
                self.skip(session, ticker, "no_price_data")
                continue
            shares = math.floor(exact(self.p["position_size"]) / today[ticker]["open"])
            if shares == 0:
                self.skip(session, ticker, "zero_shares")
                continue
            loser = None if slots > 0 or rotated else self.loser(today, candidate)
            if slots <= 0 and loser is None:
                self.skip(session, ticker, "capacity_full")
                continue
            limit = self.p["daily_entry_limit"]
            if limit is not None and len(entering) >= limit:
                self.skip(session, ticker, "daily_limit")
                continue
            if slots > 0:
                slots -= 1
            else:
                rotated = True
                leaving[loser["ticker"]] = "rotated_out"
                gone.add(loser["ticker"])
            entering.append((candidate, shares))
        return entering, leaving

    def loser(self, today: dict, candidate: dict) -> dict | None:
        if not self.p["rotation"] or candidate["score"] is None:
            return None
        choice = []
        for position in self.positions:
            pnl = self.pnl(position, position["last_close"])
            scored = position["score"] is not None
            if scored and position["ticker"] in today and not position["pending"] and pnl < 0:
                choice.append((pnl, position["score"], position["ticker"], position))
        if not choice:
            return None
        weakest = min(choice, key=lambda entry: entry[:3])[3]
        return weakest if candidate["score"] > weakest["score"] else None

    def skip(self, session: date, ticker: str, reason: str) -> None:
        self.skips.append((session, ticker, reason))

    # --- money

    def pnl(self, position: dict, price: Fraction) -> Fraction:
        value = position["whole"] * position["extra"] * price + position["cash"]
        return cents(value - position["shares"] * position["entry_price"])

    def buy(self, candidate: dict, shares: int, session: date, price: Fraction) -> None:
        paid = fill(price * (1 + exact(self.p["entry_slippage_pct"]) / 100))
        self.positions.append(
            {
                "ticker": candidate["ticker"],
                "score": candidate["score"],
                "entry_session": session,
                "entry_price": paid,
                "shares": shares,
                "whole": shares,
                "extra": Fraction(1),
                "factor": Fraction(1),
                "cash": Fraction(0),
                "stop": down_to_tick(paid * (1 - exact(self.p["stop_loss_pct"]) / 100)),
                "pending": None,
                "weeks_done": set(),
                "last_close": price,
            }
        )

    def sell(self, position: dict, session: date, raw: Fraction, reason: str) -> None:
        self.close(position, session, fill(raw * (1 - exact(self.p["slippage_pct"]) / 100)), reason)

    def close(self, position: dict, session: date, price: Fraction, reason: str) -> None:
        self.positions.remove(position)
        self.trades.append(
            {
                "ticker": position["ticker"],
                "entry_session": position["entry_session"],
                "entry_price": float(position["entry_price"]),
                "shares": position["shares"],
                "exit_session": session,
                "exit_price": float(fill(price * position["factor"])),
                "exit_reason": reason,
                "pnl_usd": float(self.pnl(position, price)),
            }
        )

    def mark_out(self) -> None:
        for position in list(self.positions):
            self.close(position, self.last_bar(), fill(position["last_close"]), "end_of_data")

    def take_splits(self, today: dict) -> None:
        for position in self.positions:
            row = today.get(position["ticker"])
            if row is None:
                continue
            if self.world.adjustment == "all":
                self.reinvest(position, self.growth(row))
                continue
            ratio = split_of(row["split_ratio"])
            if ratio is None:
                self.reinvest(position, row["split_ratio"])
            elif ratio != 1:
                after = position["whole"] * ratio
                position["whole"] = math.floor(after)
                rest = (after - position["whole"]) * position["extra"]
                position["cash"] += rest * row["open"]
                position["factor"] *= ratio
                position["stop"] = down_to_tick(position["stop"] / ratio)
                position["last_close"] /= ratio

    def reinvest(self, position: dict, ratio: Fraction) -> None:
        position["extra"] *= ratio
        position["factor"] *= ratio
        position["stop"] /= ratio
        position["last_close"] /= ratio

    def growth(self, row: dict) -> Fraction:
        rows = self.rows[row["ticker"]]
        before = rows[rows.index(row) - 1]
        now = row["adj_close"] / row["close"]
        return now / (before["adj_close"] / before["close"])

    # --- stops

    def maximal_holding(self, position: dict, session: date, close: Fraction) -> None:
        longest = self.p["max_holding_days"]
        if longest is not None and (session - position["entry_session"]).days >= longest:
            self.sell(position, session, close, "max_holding_days")

    def protective_stop(self, position: dict, session: date, row: dict) -> None:
        mode = self.p["stop_mode"]
        stop = position["stop"]
        entered_today = position["entry_session"] == session
        if mode == "close" and row["close"] <= stop:
            self.sell(position, session, row["close"], "protective_stop")
        if mode == "close_next_open" and row["close"] <= stop and not position["pending"]:
            position["pending"] = "protective_stop"
        if mode not in ("intraday", "skip_entry_day") or row["low"] > stop:
            return
        if mode == "skip_entry_day" and entered_today:
            return
        gapped = not entered_today and row["open"] < stop
        price = row["open"] if gapped and self.world.stop_fill == "gap_aware" else stop
        self.sell(position, session, price, "protective_stop")

    def trailing_stop(self, position: dict, session: date) -> None:
        weeks = self.weeks(position["ticker"], session)
        for number, week in enumerate(weeks):
            key = week["week"]
            over = week["end"] <= session and week["end"] >= position["entry_session"]
            if not over or key in position["weeks_done"]:
                continue
            position["weeks_done"].add(key)
            started_after = [
                other for other in weeks[: number + 1] if other["start"] > position["entry_session"]
            ]
            line = self.line(weeks[: number + 1])
            ripe = week in started_after
            ripe = ripe and len(started_after) >= self.p["trailing_transition_weeks"]
            if ripe and line is not None and week["close"] < line and not position["pending"]:
                position["pending"] = "trend_break"

    def weeks(self, ticker: str, session: date) -> list[dict]:
        """Weekly bars of the rows up to the session; the week the data starts in may be cut."""
        first = self.first_bar()
        cut = week_of(first) if sessions_of_week(week_of(first))[0] < first else None
        found: list[dict] = []
        for row in self.rows[ticker]:
            if row["session"] > session:
                break
            week = week_of(row["session"])
            if week == cut:
                continue
            factor = row["adj_close"] / row["close"]
            if not found or found[-1]["week"] != week:
                calendar = sessions_of_week(week)
                found.append(
                    {"week": week, "start": calendar[0], "end": calendar[-1], "low": math.inf}
                )
            found[-1]["low"] = min(found[-1]["low"], row["low"] * factor)
            found[-1]["close"] = row["close"] * factor
        return found

    def line(self, weeks: list[dict]) -> Fraction | None:
        """The indicator of the last of these weeks."""
        kind, n = self.world.strategy.split("_p")
        n = int(n)
        if kind == "nwl":
            before = weeks[:-1]
            return min(week["low"] for week in before[-n:]) if len(before) >= n else None
        if len(weeks) < n:
            return None
        k = Fraction(2, n + 1)
        average = sum(week["close"] for week in weeks[:n]) / n
        for week in weeks[n:]:
            average = k * week["close"] + (1 - k) * average
        return average
