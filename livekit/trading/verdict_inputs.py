"""What the verdict reads: the twins' record from the books, and whether it may be trusted.

Nothing here asks the broker or the market; the books, the kept inputs and the registration are
enough, so a verdict can be had years later and comes out the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from livekit.comparison.attribution import Attribution, TradeBook, attribute, modelled_trade
from livekit.comparison.decision import Verdict, decide, invalid_verdict
from livekit.comparison.fidelity import Fidelity, judge_fidelity
from livekit.comparison.replay import Replay, replay_days
from livekit.comparison.twins import TwinBook, TwinRecord, marked_trade
from livekit.config import LiveConfig
from livekit.errors import RecordUnusable
from livekit.state import StateDB
from livekit.state.verdicts import StoredVerdict
from livekit.trading.books import BASELINE_CASH, BASELINE_POSITIONS
from livekit.trading.plans import canonical_json
from livekit.trading.registration_record import PreRegistration, read_registration
from livekit.trading.replay import (
    executed_book,
    explained_absences,
    last_closes,
    recorded_days,
    require_sound,
    twin_differences,
)

__all__ = ["FullVerdict", "full_verdict", "store_verdict", "twin_record", "verdict_values"]

BROKER = "broker"


@dataclass(frozen=True, slots=True)
class FullVerdict:
    """Everything that 04_comparison and ``livekit verdict`` show.

    ``attribution`` and ``fidelity`` are None when the record is INVALID. ``settled_before`` is the
    session and state of an earlier verdict that ended the registration.
    """

    session: date
    registered: PreRegistration
    verdict: Verdict
    record: TwinRecord | None
    attribution: Attribution | None
    fidelity: Fidelity | None
    amendments: tuple[str, ...]
    cash_rest_usd: Decimal | None = None
    settled_before: tuple[date, str] | None = None


def full_verdict(db: StateDB, home: Path, config: LiveConfig, session: date) -> FullVerdict:
    """The verdict on the record up to ``session``; raises `StateUnusable` without a registration.

    Args:
        db: the profile's database.
        home: the profile's folder, where inputs are kept.
        config: the configuration in use.
        session: the last session to read.
    """
    registered = read_registration(db.registration(), db.name)
    earlier = _settled_before(db, registered, session)
    try:
        sessions, amendments = require_sound(db, home, config, registered, session)
        strategies = (config.primary_strategy, config.shadow_strategy)
        replays = replay_days(recorded_days(db, home, sessions), strategies)
        reasons = [*registered.changes(config), *_reasons(db, replays, sessions, session)]
        closes = last_closes(db, home, sessions[-1]) if sessions else {}
        live = executed_book(db, closes, session)
    except RecordUnusable as error:
        reasons = [*error.reasons, *registered.changes()]
        verdict = invalid_verdict(tuple(dict.fromkeys(reasons)))
        return FullVerdict(session, registered, verdict, None, None, None, (), None, earlier)
    record = twin_record(db, config, sessions, replays) if sessions else None
    verdict = decide(record, registered.plan, reasons)
    if verdict.state == "INVALID" or record is None:
        return FullVerdict(
            session, registered, verdict, None, None, None, amendments, None, earlier
        )
    attribution = _attribution(db, config, live, replays[0])
    return FullVerdict(
        session=session,
        registered=registered,
        verdict=verdict,
        record=record,
        attribution=attribution,
        fidelity=judge_fidelity(attribution, registered.plan, (session - sessions[0]).days),
        amendments=amendments,
        cash_rest_usd=_cash_rest(db, live, session),
        settled_before=earlier,
    )


def _attribution(db: StateDB, config: LiveConfig, live: TradeBook, replay: Replay) -> Attribution:
    book = TradeBook("primary twin", tuple(modelled_trade(trade) for trade in replay.trades))
    return attribute(live, book, causes=explained_absences(db, config, replay, live))


def _reasons(
    db: StateDB, replays: Sequence[Replay], sessions: Sequence[date], session: date
) -> list[str]:
    """Whatever else forbids a number: open breaks, a twin that its inputs do not give."""
    found = [
        f"open break since the reconciliation: {item.kind} {item.ticker or ''} {item.facts}"
        for item in db.open_breaks()
    ]
    if sessions and sessions[-1] < session:
        found.append(f"the twins are settled up to {sessions[-1]} only")
    for replay in replays:
        if replay.marks:
            found += twin_differences(db, replay)
    return found


def _settled_before(
    db: StateDB, registered: PreRegistration, session: date
) -> tuple[date, str] | None:
    ended = [
        (one.session, one.state)
        for one in db.get_verdicts()
        if one.registration_sha256 == registered.sha256
        and one.session < session
        and one.state in ("SWITCH", "KEEP")
    ]
    return min(ended, default=None)


# ----------------------------------------------------------------------------------------- record


def twin_record(
    db: StateDB, config: LiveConfig, sessions: Sequence[date], replays: Sequence[Replay]
) -> TwinRecord:
    """Both twins over ``sessions``: marks as stored, trades as they stood on the last of them.

    A session without a stored point has the mark nan. ``replays`` are those of the primary and of
    the shadow over the same sessions; they mark what was open then.
    """
    primary, shadow = (_twin(db, config, replay, sessions) for replay in replays)
    return TwinRecord(tuple(sessions), config.base_capital_usd, primary, shadow)


def _twin(db: StateDB, config: LiveConfig, replay: Replay, sessions: Sequence[date]) -> TwinBook:
    points = {point.session: point for point in db.get_equity(replay.strategy)}
    marks = []
    for session in sessions:
        point = points.get(session)
        if point is None or point.equity is None or point.cash is None:
            marks.append(float("nan"))
        else:
            exit_cost = max(float(point.equity - point.cash), 0.0) * config.slippage_pct / 100
            marks.append(float(point.realised + point.unrealised) - exit_cost)
    trades = [marked_trade(trade, config.slippage_pct) for trade in replay.trades]
    ordered = sorted(trades, key=lambda one: (one.entry_session, one.ticker))
    return TwinBook(replay.strategy, np.array(marks), tuple(ordered))


def _cash_rest(db: StateDB, live: TradeBook, session: date) -> Decimal | None:
    """What the account gained besides the trades of our book; None where it cannot be told.

    Not told when the account held positions at registration, or has no mark for the session.
    """
    points = [point for point in db.get_equity(BROKER) if point.session == session]
    baseline = db.get_config(BASELINE_CASH)
    if not points or points[0].equity is None or not baseline or db.get_config(BASELINE_POSITIONS):
        return None
    gained = points[0].equity - Decimal(baseline) - live.profit_usd
    return gained.quantize(Decimal("0.01"))


# ---------------------------------------------------------------------------------------- storing


def store_verdict(db: StateDB, found: FullVerdict, at: datetime) -> None:
    """Keep a verdict; it can be added to and never changed."""
    verdict = found.verdict
    db.add_verdict(
        StoredVerdict(
            found.session,
            found.registered.sha256,
            verdict.state,
            verdict.sentence,
            canonical_json(verdict_values(found)),
            at,
        )
    )


def verdict_values(found: FullVerdict) -> dict[str, Any]:
    """The verdict as plain values for JSON: numbers finite or null, money as text."""
    values: dict[str, Any] = json.loads(json.dumps(_plain(asdict(found.verdict))))
    fidelity, attribution = found.fidelity, found.attribution
    values |= {
        "session": found.session.isoformat(),
        "sentence": found.verdict.sentence,
        "registration": found.registered.sha256,
        "amendments": list(found.amendments),
        "fidelity": _plain(asdict(fidelity)) if fidelity else None,
        "attribution": {
            "live_usd": str(attribution.live_usd),
            "backtest_usd": str(attribution.backtest_usd),
            "difference_usd": str(attribution.difference_usd),
            "rest_usd": str(attribution.rest_usd),
            "parts": {part.cause: str(part.usd) for part in attribution.totals},
        }
        if attribution
        else None,
        "settled_before": [str(part) for part in found.settled_before]
        if found.settled_before
        else None,
    }
    return values


def _plain(value: Any) -> Any:
    """Values that JSON has: dates and money as text, what is not finite as null."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value) if isinstance(value, date | Decimal) else value
