"""What the fault matrix needs: a wire that dies or answers for the venue, and short days."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import requests

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.broker.venue.ledger import read_ledger
from livekit.model import Position
from livekit.state import StateDB
from livekit.trading.desk import Desk
from livekit.trading.doctor import diagnose
from livekit.workbench.daily import DailyReport, run_daily
from tests.trading.crashing import Crash, desk_of
from tests.trading.world import Lossy, World

MONDAY, TUESDAY, WEDNESDAY = date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 8)
THURSDAY, FRIDAY = date(2020, 1, 9), date(2020, 1, 10)

Stop = Callable[[str, dict[str, Any]], bool]  # whether a request is the one, by method and body


class Wire(Lossy):
    """Carries requests, and strikes one of them once.

    ``strike`` is ``die before``, ``die after``, or a pair of status and JSON body that is answered
    in the venue's place.
    """

    def __init__(self, inner: Any, is_the_one: Stop, strike: Any) -> None:
        super().__init__(inner)
        self.is_the_one, self.strike = is_the_one, strike
        self.struck = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        body = json.loads(request.body or "{}") if request.method == "POST" else {}
        if self.struck or not self.is_the_one(str(request.method), body):
            return super().send(request, **options)
        self.struck = True
        if isinstance(self.strike, tuple):
            return _answer(request, *self.strike)
        if self.strike == "die before":
            raise Crash("before the request")
        super().send(request, **options)
        raise Crash("after the request")


def _answer(request: requests.PreparedRequest, status: int, body: dict[str, Any]) -> Any:
    response = requests.Response()
    response.status_code, response.request, response.url = status, request, str(request.url)
    response._content = json.dumps(body).encode()
    response._content_consumed = True
    return response


def posts(side: str, kind: str = "market") -> Stop:
    """The submission of an order of that side and type."""
    return lambda method, body: (
        method == "POST" and (body.get("side"), body.get("type")) == (side, kind)
    )


def deletes(method: str, body: dict[str, Any]) -> bool:
    """A cancel."""
    return method == "DELETE"


def on_wire(w: World, is_the_one: Stop, strike: Any) -> tuple[Desk, Wire]:
    """A desk of the world whose requests go over a wire that strikes once."""
    wire = Wire(w.wire.inner, is_the_one, strike)
    return desk_of(w.profile, w.venue, w.db, wire), wire


def dies(w: World, session: date, phase: str, is_the_one: Stop, strike: str) -> None:
    """Run a phase in a process that dies at a request."""
    desk, wire = on_wire(w, is_the_one, strike)
    try:
        run_daily(desk, session, phases=(phase,))
    except Crash:
        return
    raise AssertionError(f"nothing was struck: {wire.sent}")


def dies_at_commit(w: World, session: date, phase: str, number: int, position: str) -> None:
    """Run a phase in a process that dies before or after its n-th commit."""
    seen = [0]

    def strike() -> None:
        seen[0] += 1
        if seen[0] == number:
            raise Crash(f"{position} commit {number}")

    with StateDB(w.profile.state_db) as db:
        setattr(db, f"{position}_commit", strike)
        desk = desk_of(w.profile, w.venue, db, Lossy(w.wire.inner))
        try:
            run_daily(desk, session, phases=(phase,))
        except Crash:
            return
    raise AssertionError(f"the phase has fewer than {number} commits")


def inject(w: World, *rules: FaultRule) -> None:
    """Let faults strike at the venue from now on."""
    w.strike(*rules)


def struck(w: World) -> list[FaultKind]:
    """The faults that have struck, in their order."""
    return [strike.kind for strike in w.venue.clock.app.faults.strikes]  # type: ignore[attr-defined]


def venue_order(w: World, order_id: str | None) -> Any:
    """The order inside the venue, where its fate can be set."""
    return w.venue.engine.state.orders[str(order_id)]  # type: ignore[union-attr]


def touch(w: World, order_id: str | None, **facts: object) -> None:
    """Change an order inside the venue."""
    order = venue_order(w, order_id)
    for name, value in facts.items():
        setattr(order, name, value)
    w.venue.engine.state.touch(order)  # type: ignore[union-attr]


def end(w: World, order_id: str | None, status: str) -> None:
    """The venue ends an order by itself, or parks it."""
    lifecycle = w.venue.engine.orders  # type: ignore[union-attr]
    act = lifecycle.park if status == "done_for_day" else lifecycle._end
    act(venue_order(w, order_id), status)


def planned(w: World, session: date, *stocks: tuple[str, float, float]) -> None:
    """The session's signals are done, and its execution is due."""
    w.report(session, *stocks)
    assert w.phase(session, "signals").exit_code == 0
    w.go_to(session, "execution")


def holding(w: World, *stocks: tuple[str, float, float]) -> Position:
    """Bought and covered on Monday, which is over; returns the first position."""
    w.report(MONDAY, *(stocks or (("ABC", 80.0, 50.0),)))
    assert w.trade(MONDAY).exit_code == 0
    return w.db.get_open_positions()[0]


def leaving(w: World, position: Position) -> None:
    """The position has a pending exit; Tuesday's signals are done."""
    w.db.update_position(
        int(position.position_id or 0), pending_reason="trend_break", pending_since=MONDAY
    )
    assert w.phase(TUESDAY, "signals").exit_code == 0
    w.go_to(TUESDAY, "execution")


def healed(w: World, session: date) -> DailyReport:
    """Run the session again, without faults, until it is done: everything must be right then."""
    w.wire.rule = lambda method, path: None
    inject(w)
    report = w.trade(session)
    assert report.exit_code == 0, report.trouble
    assert diagnose(w.desk).violations == ()
    assert longest_uncovered_s(w) <= 10.0
    return report


def longest_uncovered_s(w: World, ticker: str | None = None) -> float:
    """The longest time in open hours in which shares (of one ticker) had no cover."""
    found = read_ledger(w.profile.venue_db).uncovered
    return max((item.seconds for item in found if ticker in (None, item.ticker)), default=0.0)


def sold(w: World, ticker: str) -> int:
    """Shares that our fills sold."""
    return sum(
        item.quantity for item in w.db.get_fills() if (item.ticker, item.side) == (ticker, "sell")
    )


class Skewed:
    """The venue's clock read with an error."""

    def __init__(self, clock: Any, off: timedelta) -> None:
        self.clock, self.off = clock, off

    def now(self) -> Any:
        return self.clock.now() + self.off

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


def on_clock(w: World, clock: Any) -> Desk:
    """The world's desk on another clock."""
    return replace(w.desk, clock=clock)


class Editing(Lossy):
    """Changes what the venue answers to reads of one path."""

    def __init__(self, inner: Any, path: str, edit: Callable[[Any], Any]) -> None:
        super().__init__(inner)
        self.path, self.edit = path, edit

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = super().send(request, **options)
        if request.method == "GET" and str(request.path_url).startswith(self.path):
            return _answer(request, response.status_code, self.edit(response.json()))
        return response


def edited(w: World, path: str, edit: Callable[[Any], Any]) -> Desk:
    """A desk of the world to which the venue tells something else."""
    return desk_of(w.profile, w.venue, w.db, Editing(w.wire.inner, path, edit))
