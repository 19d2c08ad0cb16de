"""The control interface: the clock, faults, halts, corporate actions, rare statuses, blocks.

In process it is `VenueApp.control`; over HTTP the same calls are under ``/control/`` and want the
control key, which is not the account's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.interventions import (
    NO_VALUE,
    Intervention,
    parse_price,
    parse_ratio,
)
from livekit.broker.venue.engine.refusals import invalid, not_found
from livekit.broker.venue.fault_gate import FaultGate
from livekit.broker.venue.faults import MOST_RULES, FaultRule, FaultSchedule, rule_from_json
from livekit.broker.venue.shapes import clock_json
from livekit.broker.venue.wire import SYMBOL, Answer, Request, json_answer, parse_instant, stamp

__all__ = ["VenueControl"]

Handler = Callable[[Engine, Request], Answer]

LONGEST_STEP_S = Decimal(10**9)
LAST_SEED = 2**63


class VenueControl:
    """What the account's owner cannot do: time, faults, and what befalls a ticker."""

    def __init__(self, engine: Engine, gate: FaultGate) -> None:
        self._engine = engine
        self._gate = gate
        self.routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/control/clock", self._get_clock),
            ("POST", "/control/advance", self._post_advance),
            ("GET", "/control/faults", self._get_faults),
            ("POST", "/control/faults", self._post_faults),
            ("DELETE", "/control/faults", self._delete_faults),
            ("POST", "/control/halt", self._post_halt),
            ("POST", "/control/resume", self._post_resume),
            ("POST", "/control/block", self._post_block),
            ("POST", "/control/unblock", self._post_unblock),
            ("POST", "/control/split", self._post_split),
            ("POST", "/control/rename", self._post_rename),
            ("POST", "/control/delist", self._post_delist),
            ("POST", "/control/merge", self._post_merge),
            ("POST", "/control/park", self._post_park),
        )

    # ------------------------------------------------------------------------------- in process

    @property
    def gate(self) -> FaultGate:
        """The schedule of faults and what it struck."""
        return self._gate

    def inject(self, *rules: FaultRule, seed: int = 1) -> None:
        """Follow these rules from now on instead of those before; none ends all faults."""
        self._gate.install(FaultSchedule(rules, seed))

    def halt(self, ticker: str) -> None:
        """Stop trading in ``ticker``."""
        self._engine.halt(ticker)

    def resume(self, ticker: str) -> None:
        """Trade ``ticker`` again."""
        self._engine.resume(ticker)

    def block(self, *, blocked: bool = True) -> None:
        """Forbid the account to trade, or allow it again."""
        self._engine.block(blocked=blocked)

    def split(self, ticker: str, ratio: str, day: date) -> None:
        """Split ``ticker`` overnight before ``day``: ``10:1`` gives ten shares for one."""
        parse_ratio(ratio)
        self._engine.intervene(Intervention("split", ticker, day, ratio))

    def rename(self, ticker: str, new: str, day: date, *, new_asset: bool = False) -> None:
        """Trade ``ticker`` under the name ``new`` from ``day`` on.

        With ``new_asset`` the CUSIP changes too: the old asset stays behind, inactive.
        """
        self._engine.intervene(Intervention("reissue" if new_asset else "rename", ticker, day, new))

    def delist(self, ticker: str, day: date) -> None:
        """From ``day`` on nobody can trade ``ticker``; shares stay where they are."""
        self._engine.intervene(Intervention("delist", ticker, day, NO_VALUE))

    def merge(self, ticker: str, price_usd: str, day: date) -> None:
        """On ``day`` every share of ``ticker`` becomes ``price_usd`` in cash."""
        parse_price(price_usd)
        self._engine.intervene(Intervention("merger", ticker, day, price_usd))

    def park(self, order_id: str, status: str) -> None:
        """Give a working order a rare status; ``new`` lets it work again."""
        order = self._engine.state.orders.get(order_id)
        if order is None:
            raise not_found(f"order not found for {order_id}")
        self._engine.park(order, status)

    # ------------------------------------------------------------------------------- over HTTP

    def _get_clock(self, engine: Engine, _request: Request) -> Answer:
        return json_answer({"now": stamp(engine.now)} | clock_json(engine.now))

    def _post_advance(self, engine: Engine, request: Request) -> Answer:
        body = request.json()
        to, seconds = body.get("to"), body.get("seconds")
        if isinstance(to, str):
            engine.advance(parse_instant(to, "to"))
        elif isinstance(seconds, int | Decimal) and 0 <= seconds <= LONGEST_STEP_S:
            engine.advance(engine.now + timedelta(microseconds=round(seconds * 1_000_000)))
        else:
            raise invalid("either to or seconds is required")
        return self._get_clock(engine, request)

    def _get_faults(self, _engine: Engine, _request: Request) -> Answer:
        schedule = self._gate.schedule
        return json_answer(
            {
                "seed": schedule.seed,
                "rules": [asdict(rule) for rule in schedule.rules],
                "counts": self._gate.counts,
                "strikes": [strike.text for strike in self._gate.strikes],
            }
        )

    def _post_faults(self, engine: Engine, request: Request) -> Answer:
        body = request.json()
        seed, rows = body.get("seed", 1), body.get("rules")
        if not isinstance(rows, list) or len(rows) > MOST_RULES:
            raise invalid(f"rules must be a list of at most {MOST_RULES}")
        if not isinstance(seed, int) or isinstance(seed, bool) or abs(seed) > LAST_SEED:
            raise invalid("invalid seed")
        self.inject(*(rule_from_json(row) for row in rows), seed=seed)
        return self._get_faults(engine, request)

    def _delete_faults(self, engine: Engine, request: Request) -> Answer:
        self.inject()
        return self._get_faults(engine, request)

    def _post_halt(self, _engine: Engine, request: Request) -> Answer:
        self.halt(_name(request.json(), "symbol"))
        return Answer(204)

    def _post_resume(self, _engine: Engine, request: Request) -> Answer:
        self.resume(_name(request.json(), "symbol"))
        return Answer(204)

    def _post_block(self, _engine: Engine, _request: Request) -> Answer:
        self.block()
        return Answer(204)

    def _post_unblock(self, _engine: Engine, _request: Request) -> Answer:
        self.block(blocked=False)
        return Answer(204)

    def _post_split(self, _engine: Engine, request: Request) -> Answer:
        body = request.json()
        self.split(_name(body, "symbol"), str(body.get("ratio")), _day(body))
        return Answer(204)

    def _post_rename(self, _engine: Engine, request: Request) -> Answer:
        body = request.json()
        names = _name(body, "symbol"), _name(body, "to")
        self.rename(*names, _day(body), new_asset=body.get("new_asset") is True)
        return Answer(204)

    def _post_delist(self, _engine: Engine, request: Request) -> Answer:
        body = request.json()
        self.delist(_name(body, "symbol"), _day(body))
        return Answer(204)

    def _post_merge(self, _engine: Engine, request: Request) -> Answer:
        body = request.json()
        self.merge(_name(body, "symbol"), str(body.get("price")), _day(body))
        return Answer(204)

    def _post_park(self, _engine: Engine, request: Request) -> Answer:
        body = request.json()
        self.park(str(body.get("order_id")), str(body.get("status")))
        return Answer(204)


def _name(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not SYMBOL.fullmatch(value):
        raise invalid(f"invalid {field}")
    return value


def _day(body: dict[str, Any]) -> date:
    try:
        return date.fromisoformat(str(body.get("day")))
    except ValueError:
        raise invalid("invalid day") from None
