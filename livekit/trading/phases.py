"""The phases of a session, each one function from a desk to an outcome.

The terminal, the notebooks and the demo all perform a phase through this module. An error of the
package's own tree becomes an outcome with its exit code; anything else is a crash and propagates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from livekit.backtest.manifest import code_version
from livekit.clock import sleep_until
from livekit.config import config_sha256
from livekit.errors import (
    BooksDiffer,
    DecisionsWithheld,
    KillSwitchOn,
    LivekitError,
    PlanRefused,
    SharesUncovered,
    VenueUnavailable,
)
from livekit.invariants import Violation
from livekit.model import Break, Order, Plan
from livekit.sessions import close_instant, next_session, open_instant
from livekit.state import EquityPoint
from livekit.trading.break_ledger import break_line
from livekit.trading.desk import Desk
from livekit.trading.doctor import diagnose
from livekit.trading.executor import ALL, PLACE, Execution, execute_plan, execution_parts
from livekit.trading.exits import EXIT_FAILED, STOP_IN_FORCE
from livekit.trading.holdings import recent_bars
from livekit.trading.lease import take_lease
from livekit.trading.living import marked_living
from livekit.trading.plans import canonical_json, plan_from_body
from livekit.trading.protector import Protection, protect
from livekit.trading.reconciliation import reconcile
from livekit.trading.settlement import TwinStep, settle_twins
from livekit.trading.signal_generator import Signals, generate_signals
from livekit.trading.upkeep import keep_up

__all__ = [
    "COMPARISON",
    "EXECUTION",
    "EXIT_PRECEDENCE",
    "PHASES",
    "PROTECT",
    "RECONCILIATION",
    "SIGNALS",
    "Curves",
    "PhaseOutcome",
    "Reconciled",
    "audit_cover",
    "due_instant",
    "joined",
    "last_instant",
    "perform",
    "wait_until_due",
    "worst_exit_code",
]

SIGNALS = "signals"
EXECUTION = "execution"
PROTECT = "protect"
RECONCILIATION = "reconciliation"
COMPARISON = "comparison"
PHASES = (SIGNALS, EXECUTION, PROTECT, RECONCILIATION, COMPARISON)

EXIT_PRECEDENCE = (7, 1, 4, 3, 6, 2, 5)

BROKER = "broker"

SIGNALS_LEAD = timedelta(minutes=40)
EXECUTION_LEAD = timedelta(minutes=15)
PROTECT_LEAD = timedelta(minutes=30)
AFTER_CLOSE = timedelta(minutes=20)


def due_instant(phase: str, session: date) -> datetime:
    """When a phase of a session becomes due (UTC)."""
    opens, closes = open_instant(session), close_instant(session)
    return {
        SIGNALS: opens - SIGNALS_LEAD,
        EXECUTION: opens - EXECUTION_LEAD,
        PROTECT: closes - PROTECT_LEAD,
        RECONCILIATION: closes + AFTER_CLOSE,
        COMPARISON: closes + AFTER_CLOSE,
    }[phase]


def wait_until_due(desk: Desk, phase: str, session: date) -> None:
    """Let time pass until a phase is due, at the simulated venue only; the real one is not awaited.

    Returns at once when the phase is due already.
    """
    if desk.profile.venue == "simulated":
        sleep_until(desk.clock, due_instant(phase, session))


def last_instant(phase: str, session: date) -> datetime:
    """From this instant on a phase of the session is missed.

    After the next open the broker's books are those of another session; the next reconciliation
    settles what this one did not.
    """
    closes, opens_next = close_instant(session), open_instant(next_session(session))
    return {
        SIGNALS: closes - PROTECT_LEAD,
        EXECUTION: closes - PROTECT_LEAD,
        PROTECT: closes,
        RECONCILIATION: opens_next,
        COMPARISON: opens_next,
    }[phase]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Reconciliation's result: open breaks, broken invariants, the twins' steps, equity."""

    breaks: tuple[Break, ...]
    violations: tuple[Violation, ...]
    protection: Protection
    twins: tuple[TwinStep, ...]
    equity_usd: Decimal


@dataclass(frozen=True, slots=True)
class Curves:
    """Daily equity of the three books, oldest first."""

    broker: tuple[EquityPoint, ...]
    primary: tuple[EquityPoint, ...]
    shadow: tuple[EquityPoint, ...]


@dataclass(frozen=True, slots=True)
class PhaseOutcome:
    """What a phase did: exit code, one line a fact, and its typed result if it got one.

    ``changes_sent`` counts the orders and cancels that left, where this process performed it.
    """

    phase: str
    session: date
    exit_code: int
    lines: tuple[str, ...]
    signals: Signals | None = None
    execution: Execution | None = None
    protection: Protection | None = None
    reconciled: Reconciled | None = None
    curves: Curves | None = None
    changes_sent: int | None = None


def worst_exit_code(codes: Sequence[int]) -> int:
    """The first of 7, 1, 4, 3, 6, 2, 5, 0 that occurred."""
    return next((code for code in EXIT_PRECEDENCE if code in codes), 0)


def perform(desk: Desk, phase: str, session: date) -> PhaseOutcome:
    """Perform one phase under a new lease; an error of our own tree is its outcome."""
    leased = take_lease(desk)
    before = desk.client.changes_sent
    outcome = guarded(phase, session, lambda: _PERFORMERS[phase](leased, session))
    return replace(outcome, changes_sent=desk.client.changes_sent - before)


def guarded(phase: str, session: date, act: Callable[[], PhaseOutcome]) -> PhaseOutcome:
    """Run ``act`` and turn an error of our own tree into an outcome with its exit code."""
    try:
        return act()
    except LivekitError as error:
        return PhaseOutcome(phase, session, error.exit_code, (error.operator_line(),))


def _signals(desk: Desk, session: date) -> PhaseOutcome:
    result = generate_signals(desk, session)
    lines = (
        f"report: {result.intake.status}, {len(result.intake.candidates)} candidates",
        *(_plan_line(plan) for plan in (result.primary, result.shadow)),
        *(f"withheld: {reason}" for reason in result.withheld),
        *(f"cover repaired: {text}" for text in result.protection.repaired),
        *(("kill switch is on: plan blocked",) if result.blocked else ()),
    )
    return PhaseOutcome(SIGNALS, session, result.exit_code, lines, signals=result)


def _plan_line(plan: Plan) -> str:
    sides = [order.side for order in plan.orders]
    return (
        f"{plan.strategy}: {sides.count('sell')} exits, {sides.count('buy')} entries, "
        f"{len(plan.skips)} skips, plan {plan.sha256[:12]}"
    )


def audit_cover(desk: Desk, session: date) -> PhaseOutcome:
    """Cover every share where the execution itself is withheld; nothing else is sent."""
    leased = take_lease(desk)
    return guarded(EXECUTION, session, lambda: _cover_audited(leased, EXECUTION, session))


def _cover_audited(
    desk: Desk, phase: str, session: date, earlier: Sequence[str] = ()
) -> PhaseOutcome:
    result = protect(desk)
    lines = (
        *earlier,
        *(f"cover repaired: {text}" for text in result.repaired),
        *(f"UNCOVERED: {text}" for text in result.uncovered),
    )
    code = SharesUncovered.exit_code if result.uncovered else 0
    lines = lines or ("every share is covered",)
    return PhaseOutcome(phase, session, code, lines, protection=result)


def _execution(desk: Desk, session: date) -> PhaseOutcome:
    try:
        plan = current_plan(desk, session)
    except PlanRefused:
        if uncovered := protect(desk).uncovered:
            raise SharesUncovered(uncovered) from None
        raise
    parts = execution_parts(desk.config)
    return joined([run_executor(desk, plan, part=part) for part in parts])


def joined(parts: Sequence[PhaseOutcome]) -> PhaseOutcome:
    """The parts of an execution as one outcome: the worst exit code, every line once."""
    return replace(
        parts[-1],
        exit_code=worst_exit_code([item.exit_code for item in parts]),
        lines=tuple(dict.fromkeys(line for item in parts for line in item.lines)),
    )


def current_plan(desk: Desk, session: date) -> Plan:
    """The primary's stored plan of a session; raises `PlanRefused` when there is none."""
    stored = desk.db.get_plan(desk.config.primary_strategy, session)
    if stored is None:
        raise PlanRefused(session, "no plan is stored for the session; run the signals phase")
    return plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)


def run_executor(
    desk: Desk, plan: Plan, *, part: str = ALL, skip_time_check: bool = False
) -> PhaseOutcome:
    """Execute a plan under a new lease and a row of the run log that keeps what was done."""
    desk = take_lease(desk)
    run_id = desk.db.start_run(
        session=plan.session,
        phase="executor",
        at=desk.clock.now(),
        venue=desk.profile.venue,
        git=code_version(),
        config_sha256=config_sha256(desk.config),
        part=part,
    )
    with marked_living(desk.profile, run_id):
        outcome = guarded(
            EXECUTION,
            plan.session,
            lambda: _executed(
                desk, execute_plan(desk, plan, part=part, skip_time_check=skip_time_check), part
            ),
        )
        desk.db.finish_run(
            run_id,
            at=desk.clock.now(),
            status="done" if outcome.exit_code == 0 else "failed",
            exit_code=outcome.exit_code,
            message="; ".join(outcome.lines)[:2000],
            record_json=_record(outcome),
        )
    return outcome


def _executed(desk: Desk, run: Execution, part: str) -> PhaseOutcome:
    orders = desk.db.get_orders(trade_date=run.plan.session)
    lines = (
        *(_fill_line(order) for order in orders if order.intent in ("entry", "exit")),
        *(
            f"{item.ticker}: not {kind}, {item.state} {item.detail}".rstrip()
            for kind, reports in (("sold", run.exits), ("bought", run.entries))
            for item in reports
            if item.state != "sent"
        ),
        *(f"cancelled at the cut-off: {ticker}" for ticker in run.cancelled),
        *(f"NOT CONFIRMED cancelled: {ticker}" for ticker in run.unconfirmed),
        *(f"cover repaired: {text}" for text in run.repaired),
        *run.warnings,
    )
    code = _execution_code(desk, run, part)
    return PhaseOutcome(EXECUTION, run.plan.session, code, lines, execution=run)


def _execution_code(desk: Desk, run: Execution, part: str) -> int:
    """3 when the kill switch went on meanwhile, 5 when a decided order could not be carried out.

    What hinders a sale while orders are placed is tried again when they are polled.
    """
    if desk.db.is_kill_switch_on():
        return KillSwitchOn.exit_code
    failures = EXIT_FAILED - ({STOP_IN_FORCE} if part == PLACE else frozenset())
    failed = run.unconfirmed or any(report.state in failures for report in run.exits)
    return DecisionsWithheld.exit_code if failed else 0


def _fill_line(order: Order) -> str:
    done = {"buy": "bought", "sell": "sold"}[order.side]
    price = f" at {order.filled_avg_price}" if order.filled_avg_price is not None else ""
    return f"{done} {order.filled_qty} of {order.quantity} {order.ticker}{price} ({order.reason})"


def _record(outcome: PhaseOutcome) -> str:
    run = outcome.execution
    return canonical_json(
        {
            "lines": list(outcome.lines),
            "exits": [asdict(item) for item in run.exits] if run else [],
            "entries": [asdict(item) for item in run.entries] if run else [],
        }
    )


def _protect(desk: Desk, session: date) -> PhaseOutcome:
    try:
        upkeep = keep_up(desk, session)
    except VenueUnavailable:
        protect(desk)
        raise
    lines = (
        *(f"exit not filled, put off to the next session: {item}" for item in upkeep.withdrawn),
        *(f"stop placed anew: {ticker}" for ticker in upkeep.renewed),
    )
    return _cover_audited(desk, PROTECT, session, lines)


def _reconciliation(desk: Desk, session: date) -> PhaseOutcome:
    protection = protect(desk)
    breaks = reconcile(desk, session, repaired=protection.repaired, look=protection.look)
    diagnosis = diagnose(desk, protection.look)
    twins = settle_twins(desk, session)
    equity = _save_broker_equity(desk, session)
    result = Reconciled(breaks, diagnosis.violations, protection, twins, equity)
    lines = (
        f"{len(breaks)} breaks, broker equity {equity:.2f} USD",
        *(break_line(item, desk.clock.now()) for item in breaks),
        *(f"broken: {item}" for item in diagnosis.violations),
        *(f"UNCOVERED: {text}" for text in protection.uncovered),
        *(_twin_line(step) for step in twins),
    )
    codes = [
        SharesUncovered.exit_code if protection.uncovered else 0,
        BooksDiffer.exit_code if breaks else 0,
        diagnosis.exit_code if diagnosis.violations else 0,
    ]
    return PhaseOutcome(RECONCILIATION, session, worst_exit_code(codes), lines, reconciled=result)


def _twin_line(step: TwinStep) -> str:
    return (
        f"twin {step.strategy} {step.session}: {step.positions} positions, "
        f"{len(step.trades)} closed, realised {step.realised_usd:.2f} USD"
    )


def _save_broker_equity(desk: Desk, session: date) -> Decimal:
    """Store the broker book's point: realised from closed trades, unrealised at official closes."""
    account = desk.client.get_account()
    positions = desk.db.get_positions()
    realised = sum((item.pnl for item in positions if item.pnl is not None), Decimal(0))
    held = [item for item in positions if item.status == "open"]
    bars = recent_bars(desk, [item.ticker for item in held], session, session)
    marks = [
        (Decimal(repr(float(bars[item.ticker].close[-1]))) * item.shares_now) - item.invested
        for item in held
        if item.ticker in bars
    ]
    desk.db.save_equity(
        session,
        BROKER,
        cash=account.cash,
        equity=account.equity,
        realised=realised,
        unrealised=sum(marks, Decimal(0)).quantize(Decimal("0.01")),
        positions=len(held),
    )
    return account.equity


def _comparison(desk: Desk, session: date) -> PhaseOutcome:
    curves = Curves(
        tuple(desk.db.get_equity(BROKER)),
        tuple(desk.db.get_equity(desk.config.primary_strategy)),
        tuple(desk.db.get_equity(desk.config.shadow_strategy)),
    )
    lines = tuple(
        f"{name}: {points[-1].realised + points[-1].unrealised:+.2f} USD"
        for name, points in (
            ("broker book", curves.broker),
            (f"twin {desk.config.primary_strategy}", curves.primary),
            (f"twin {desk.config.shadow_strategy}", curves.shadow),
        )
        if points
    )
    return PhaseOutcome(COMPARISON, session, 0, lines, curves=curves)


_PERFORMERS: dict[str, Callable[[Desk, date], PhaseOutcome]] = {
    SIGNALS: _signals,
    EXECUTION: _execution,
    PROTECT: _protect,
    RECONCILIATION: _reconciliation,
    COMPARISON: _comparison,
}
