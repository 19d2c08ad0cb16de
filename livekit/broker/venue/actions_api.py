"""Corporate actions as of the venue's clock: announced two weeks before their day, not earlier.

Splits are those of the prices. New names and mergers are interventions, which are known from the
moment at which they are ordered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np

from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import clean_ratio
from livekit.broker.venue.engine.identity import cusip, server_id
from livekit.broker.venue.engine.interventions import Intervention
from livekit.broker.venue.engine.refusals import invalid
from livekit.broker.venue.wire import Answer, Request, json_answer, symbols_of
from livekit.sessions import exchange_time

__all__ = ["ROUTES"]

Row = dict[str, Any]

ACTIONS_DEFAULT, ACTIONS_MOST = 100, 1000
ANNOUNCED_AHEAD = timedelta(days=14)
LONGEST_SPAN = timedelta(days=90)
TYPES = frozenset({"forward_split", "reverse_split", "name_change", "cash_merger"})
LEGACY_TYPES = ("dividend", "merger", "spinoff", "split")


@dataclass(frozen=True, slots=True)
class _Action:
    """One corporate action; ``ratio`` is new shares per old, ``cash`` USD a share."""

    kind: str
    ticker: str
    day: date
    ratio: Fraction = Fraction(1)
    new: str | None = None
    new_cusip: str | None = None
    cash: float = 0.0

    @property
    def action_id(self) -> str:
        """The same whenever and by whichever endpoint it is asked for."""
        return server_id(0, f"{self.kind} {self.ticker}", self.day)


def corporate_actions(engine: Engine, request: Request) -> Answer:
    """``GET /v1/corporate-actions`` of the data interface, paged, by type."""
    today = exchange_time(engine.now).date()
    first, last = request.day("start") or today, request.day("end") or today
    wanted = set(request.words("types")) or TYPES
    limit = request.whole("limit", ACTIONS_DEFAULT, low=1, high=ACTIONS_MOST)
    skip = request.whole("page_token", 0, low=0, high=10**8)
    tickers = symbols_of(request) if request.text("symbols") else None
    found = [one for one in _actions(engine, tickers, first, last) if one.kind in wanted]
    if request.choice("sort", ("asc", "desc"), "asc") == "desc":
        found.reverse()
    groups: dict[str, list[Row]] = {}
    for one in found[skip : skip + limit]:
        groups.setdefault(f"{one.kind}s", []).append(_row(one))
    more = str(skip + limit) if len(found) > skip + limit else None
    return json_answer({"corporate_actions": groups, "next_page_token": more})


def announcements(engine: Engine, request: Request) -> Answer:
    """``GET /v2/corporate_actions/announcements`` of the trading interface."""
    types, first, last = request.words("ca_types"), request.day("since"), request.day("until")
    if not types or first is None or last is None:
        raise invalid("ca_types, since and until are required")
    if not set(types) <= set(LEGACY_TYPES):
        raise invalid("invalid ca_types")
    if last - first > LONGEST_SPAN:
        raise invalid("date range must be at most 90 days")
    symbol = request.text("symbol")
    found = _actions(engine, [symbol] if symbol else None, first, last)
    return json_answer(
        [_announcement(one) for one in found if _legacy(one) is not None and _legacy(one) in types]
    )


def _actions(engine: Engine, tickers: list[str] | None, first: date, last: date) -> list[_Action]:
    """What happens from ``first`` to ``last``, as far as it is announced, oldest first."""
    last = min(last, exchange_time(engine.now).date() + ANNOUNCED_AHEAD)
    names = tickers if tickers is not None else list(engine.market.history)
    found = [one for name in names for one in _splits(engine, name)]
    found += [
        one
        for intervention in engine.state.interventions
        if tickers is None or {intervention.ticker, intervention.value} & set(tickers)
        for one in _ordered(engine, intervention)
    ]
    chosen = [one for one in found if first <= one.day <= last]
    return sorted(chosen, key=lambda one: (one.day, one.ticker))


def _splits(engine: Engine, ticker: str) -> Iterator[_Action]:
    listing = engine.market.history.listing(ticker)
    if listing is None:
        return
    bars = engine.market.history.bars(ticker)
    for row in np.flatnonzero(bars.split_ratio != 1.0):
        ratio = clean_ratio(float(bars.split_ratio[row]))
        day: date = bars.sessions[row].astype(object)
        if ratio is not None and day >= listing.first:
            yield _Action("forward_split" if ratio > 1 else "reverse_split", ticker, day, ratio)


def _ordered(engine: Engine, one: Intervention) -> Iterator[_Action]:
    if one.is_new_name:
        kept = one.kind == "rename"
        new_cusip = cusip(_root(engine, one.ticker) if kept else one.value)
        yield _Action("name_change", one.ticker, one.day, new=one.value, new_cusip=new_cusip)
    elif one.kind == "merger":
        yield _Action("cash_merger", one.ticker, one.day, cash=float(one.value))


def _root(engine: Engine, ticker: str) -> str:
    listing = engine.market.history.listing(ticker)
    return ticker if listing is None else listing.asset


def _row(one: _Action) -> Row:
    """The row of the data interface."""
    day, number = one.day.isoformat(), cusip(one.ticker)
    base: Row = {"id": one.action_id, "process_date": day}
    if one.kind == "name_change":
        new: Row = {"new_symbol": one.new, "new_cusip": one.new_cusip}
        return base | {"old_symbol": one.ticker, "old_cusip": number} | new
    if one.kind == "cash_merger":
        gone: Row = {"acquiree_symbol": one.ticker, "acquiree_cusip": number, "rate": one.cash}
        return base | gone | {"effective_date": day, "payable_date": day}
    forward = one.kind == "forward_split"
    ids = {"cusip": number} if forward else {"old_cusip": number, "new_cusip": number}
    rates = {"new_rate": one.ratio.numerator, "old_rate": one.ratio.denominator}
    return base | {"symbol": one.ticker, "ex_date": day, "payable_date": day} | ids | rates


def _legacy(one: _Action) -> str | None:
    """The older interface's name for the type; it has none for a new name."""
    if one.kind == "cash_merger":
        return "merger"
    return "split" if one.kind.endswith("_split") else None


def _announcement(one: _Action) -> Row:
    """The row of the trading interface."""
    day, number = one.day.isoformat(), cusip(one.ticker)
    subtypes = {
        "forward_split": "stock_split",
        "reverse_split": "reverse_split",
        "cash_merger": "merger_completion",
    }
    return {
        "id": one.action_id,
        "corporate_action_id": f"{number}_{one.day:%Y%m%d}",
        "ca_type": _legacy(one),
        "ca_sub_type": subtypes[one.kind],
        "initiating_symbol": one.ticker,
        "initiating_original_cusip": number,
        "target_symbol": one.ticker,
        "target_original_cusip": number,
        "declaration_date": (one.day - ANNOUNCED_AHEAD).isoformat(),
        "ex_date": day,
        "record_date": day,
        "payable_date": day,
        "cash": str(one.cash),
        "old_rate": str(one.ratio.denominator),
        "new_rate": str(one.ratio.numerator),
    }


ROUTES = (
    ("GET", "/v1/corporate-actions", corporate_actions),
    ("GET", "/v2/corporate_actions/announcements", announcements),
)
