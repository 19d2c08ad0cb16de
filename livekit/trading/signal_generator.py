"""Signals: what both strategies want for a session, decided before its open.

Protect, reconcile (fail fast), evaluate the weeks that are due, take in the reports, decide, and
store two plans. The primary's plan is for the executor; the shadow's is a record only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from livekit.errors import PlanRefused, SharesUncovered
from livekit.model import (
    PRICE_CONFLICT,
    UNKNOWN_TICKER,
    Break,
    Candidate,
    DailyBars,
    Holding,
    Plan,
    SessionDecision,
    Skip,
    TradePrint,
)
from livekit.sessions import exchange_time, previous_session
from livekit.state import Evaluation, candidate_to_json
from livekit.strategy.decisions import WeekEvaluation, decide_session
from livekit.trading.approvals import approve_by_policy
from livekit.trading.clearance import note_forced
from livekit.trading.desk import Desk
from livekit.trading.entries import baseline_tickers
from livekit.trading.holdings import Evaluated, as_holdings, evaluate_positions, recent_bars
from livekit.trading.intake import Intake, take_candidates
from livekit.trading.plans import (
    PlanInputs,
    build_plan,
    canonical_json,
    export_plan,
    plan_from_body,
    sha256_text,
)
from livekit.trading.protector import Protection, protect
from livekit.trading.reconciliation import reconcile, require_clean
from livekit.trading.snapshots import store_snapshots

__all__ = ["Signals", "generate_signals"]


@dataclass(frozen=True, slots=True)
class Signals:
    """The outcome of a signals run; ``files`` are the exported plans, empty for a dry run."""

    session: date
    intake: Intake
    primary: Plan
    shadow: Plan
    evaluated: tuple[Evaluated, ...]
    bars: Mapping[str, DailyBars]
    protection: Protection
    withheld: tuple[str, ...]
    warnings: tuple[str, ...]
    blocked: bool
    files: tuple[Path, ...] = ()

    @property
    def exit_code(self) -> int:
        """7 uncovered, 3 kill switch on, 5 decisions withheld, else 0."""
        if self.protection.uncovered:
            return 7
        if self.blocked:
            return 3
        return 5 if self.withheld else 0


@dataclass(frozen=True, slots=True)
class _References:
    """Prices to decide on: tickers that trade on the session, and the candidates withheld."""

    prices: Mapping[str, float]
    withheld: tuple[Skip, ...]


def generate_signals(
    desk: Desk,
    session: date,
    *,
    reports: Sequence[Path] | None = None,
    output_dir: Path | None = None,
    force_reason: str | None = None,
    dry_run: bool = False,
) -> Signals:
    """Decide the session for both strategies.

    Args:
        desk: The profile with its books, broker, prices and clock.
        session: The session to decide, which must be the next to close.
        reports: Report files; by default those of the session in the reports folder.
        output_dir: Where plans are exported; by default the profile's signals folder.
        force_reason: Go on past known position differences, skipping the tickers concerned.
        dry_run: Decide only; nothing is sent, stored or written.

    Raises:
        BooksDiffer: Our books and the broker's differ and no reason to go on is given.
        PlanRefused: The session's plan is already being executed.
        SharesUncovered: Cover could not be had; the kill switch is on.
        BadInput: A named report is absent or cannot be read.
    """
    _require_present(desk, session)
    protection = Protection((), ()) if dry_run else protect(desk)
    if protection.uncovered:
        raise SharesUncovered(protection.uncovered)
    breaks = (
        ()
        if dry_run
        else reconcile(desk, session, repaired=protection.repaired, look=protection.look)
    )
    foreign = _foreign(desk, session, breaks, force_reason)
    intake = take_candidates(desk, session, reports)
    evaluated, bars = _evaluate(desk, session, intake)
    references = _references(desk, session, intake, [item.holding for item in evaluated])
    primary = _primary_plan(desk, session, intake, evaluated, references, foreign)
    shadow = _shadow_plan(desk, session, intake, references)
    signals = Signals(
        session=session,
        intake=intake,
        primary=primary,
        shadow=shadow,
        evaluated=evaluated,
        bars=bars,
        protection=protection,
        withheld=_withheld(intake, evaluated, references),
        warnings=intake.notes,
        blocked=desk.db.is_kill_switch_on(),
    )
    if dry_run:
        return signals
    return _store(desk, signals, output_dir or desk.profile.signals_dir)


def _require_present(desk: Desk, session: date) -> None:
    if session != desk.order_session():
        raise PlanRefused(session, f"the venue now trades {desk.order_session()}")


def _foreign(
    desk: Desk, session: date, breaks: Sequence[Break], force_reason: str | None
) -> frozenset[str]:
    """Tickers to keep away from: the baseline's, and with ``--force`` those that differ."""
    baseline = baseline_tickers(desk)
    if not breaks:
        return baseline
    forcible = all(item.kind == "position" and item.ticker for item in breaks)
    if force_reason is None or not forcible:
        require_clean(breaks)
    differing = frozenset(item.ticker for item in breaks if item.ticker)
    desk.db.add_alert(
        "forced",
        f"{session}: went on past {sorted(differing)}: {force_reason}",
        at=desk.clock.now(),
        severity="warning",
    )
    note_forced(desk, session, differing)
    return baseline | differing


def _evaluate(
    desk: Desk, session: date, intake: Intake
) -> tuple[tuple[Evaluated, ...], dict[str, DailyBars]]:
    through = previous_session(session)
    positions = desk.db.get_open_positions()
    tickers = [item.ticker for item in positions]
    tickers += [item.ticker for item in intake.candidates]
    bars = recent_bars(desk, tickers, session, through)
    holdings = as_holdings(desk, positions, bars)
    return evaluate_positions(desk, holdings, bars, session, through), bars


def _references(
    desk: Desk, session: date, intake: Intake, holdings: Sequence[Holding]
) -> _References:
    """Latest trades of the session; for candidates without one, the report's own price of that day.

    Two sources that differ by more than ``price_conflict_pct`` withhold the candidate.
    """
    twins = (desk.config.primary_strategy, desk.config.shadow_strategy)
    tickers = {item.ticker for item in holdings} | {item.ticker for item in intake.candidates}
    tickers |= {item.ticker for strategy in twins for item in desk.db.load_twin(strategy)}
    trades = desk.client.latest_trades(sorted(tickers)) if tickers else {}
    traded = {
        ticker: float(trade.price)
        for ticker, trade in trades.items()
        if exchange_time(trade.at).date() == session
    }
    withheld = tuple(
        skip
        for item in intake.candidates
        if (skip := _unknown(desk, item, trades) or _conflict(desk, session, item, trades, traded))
    )
    reported = {
        item.ticker: float(item.price)
        for item in intake.candidates
        if item.price is not None and item.report_date == session
    }
    return _References({**reported, **traded}, withheld)


def _unknown(desk: Desk, candidate: Candidate, trades: Mapping[str, TradePrint]) -> Skip | None:
    """Withhold a ticker that the venue has never heard of or does not let trade."""
    if candidate.ticker in trades:
        return None
    asset = desk.client.get_asset(candidate.ticker)
    if asset is not None and asset.tradable:
        return None
    return Skip(candidate, UNKNOWN_TICKER, "the venue does not trade it")


def _conflict(
    desk: Desk,
    session: date,
    candidate: Candidate,
    trades: Mapping[str, TradePrint],
    traded: Mapping[str, float],
) -> Skip | None:
    if candidate.ticker not in traded or candidate.price is None:
        return None
    if candidate.report_date != session:
        return None
    shown, reported = trades[candidate.ticker].price, candidate.price
    apart_pct = abs(shown - reported) / reported * 100
    if apart_pct <= Decimal(str(desk.config.price_conflict_pct)):
        return None
    return Skip(candidate, PRICE_CONFLICT, f"report {reported}, latest trade {shown}")


def _decide(
    desk: Desk,
    session: date,
    intake: Intake,
    holdings: Sequence[Holding],
    references: _References,
    foreign: frozenset[str],
) -> SessionDecision:
    withheld = {skip.candidate.ticker for skip in references.withheld}
    candidates = [item for item in intake.candidates if item.ticker not in withheld]
    decision = decide_session(
        session, holdings, candidates, references.prices, desk.config, foreign=foreign
    )
    return replace(decision, skips=(*decision.skips, *references.withheld))


def _primary_plan(
    desk: Desk,
    session: date,
    intake: Intake,
    evaluated: Sequence[Evaluated],
    references: _References,
    foreign: frozenset[str],
) -> Plan:
    holdings = [item.holding for item in evaluated]
    decision = _decide(desk, session, intake, holdings, references, foreign)
    return _plan(desk, desk.config.primary_strategy, decision, holdings, intake)


def _shadow_plan(desk: Desk, session: date, intake: Intake, references: _References) -> Plan:
    strategy = desk.config.shadow_strategy
    holdings = desk.db.load_twin(strategy)
    decision = _decide(desk, session, intake, holdings, references, frozenset())
    return _plan(desk, strategy, decision, holdings, intake)


def _plan(
    desk: Desk,
    strategy: str,
    decision: SessionDecision,
    holdings: Sequence[Holding],
    intake: Intake,
) -> Plan:
    shares = {item.ticker: item.shares_now for item in holdings}
    text = canonical_json([candidate_to_json(item) for item in intake.candidates])
    inputs = PlanInputs(
        report_status=intake.status if intake.status != "stored" else "ok",
        report_sha256=tuple(report.sha256 for report in intake.reports),
        candidates_sha256=sha256_text(text),
    )
    return build_plan(strategy, decision, shares, desk.config, inputs)


def _withheld(
    intake: Intake, evaluated: Sequence[Evaluated], references: _References
) -> tuple[str, ...]:
    suspect = tuple(
        f"suspect report of {report.report_date}: {text}"
        for report in intake.reports
        if report.verdict == "suspect"
        for text in report.suspects or ("not understood",)
    )
    deferred = (
        f"evaluation deferred, {item.deferral.reason}"
        for item in evaluated
        if item.deferral is not None
    )
    skips = (f"{skip.candidate.ticker}: {skip.detail}" for skip in references.withheld)
    return (*intake.unreadable, *suspect, *deferred, *skips)


def _store(desk: Desk, signals: Signals, folder: Path) -> Signals:
    """Commit evaluations, candidates and both plans together, then export the plans."""
    now = desk.clock.now()
    with desk.db.transaction():
        for item in signals.evaluated:
            _store_evaluation(desk, item)
        if signals.intake.status in ("ok", "empty"):
            desk.db.save_candidates(signals.session, signals.intake.candidates, at=now)
        if signals.intake.status == "suspect":
            text = "; ".join(signals.withheld)
            desk.db.add_alert_once("suspect_report", text, at=now, severity="critical")
        primary = _save_plan(desk, signals.primary, signals.blocked)
        shadow = _save_plan(desk, signals.shadow, blocked=False)
        desk.db.save_shadow_signal(
            shadow.strategy, shadow.session, shadow.body, shadow.sha256, at=now
        )
        approve_by_policy(desk, primary)
    store_snapshots(desk, signals.session, signals.intake.files, signals.bars)
    files = tuple(export_plan(plan, folder, generated_at=now) for plan in (primary, shadow))
    return replace(signals, primary=primary, shadow=shadow, files=files)


def _save_plan(desk: Desk, plan: Plan, blocked: bool) -> Plan:  # noqa: FBT001 - read at one place
    stored = desk.db.save_plan(plan, at=desk.clock.now())
    status = stored.status
    if blocked and status == "open":
        desk.db.set_plan_status(stored.plan_id, "blocked")
        status = "blocked"
    elif not blocked and status == "blocked":
        desk.db.set_plan_status(stored.plan_id, "open")
        status = "open"
    return plan_from_body(stored.body, status=status, plan_id=stored.plan_id)


def _evaluation_row(week: WeekEvaluation) -> Evaluation:
    return Evaluation(
        week_end=week.week_end,
        evaluated_on=week.evaluated_on,
        close=week.close,
        indicator=None if math.isnan(week.indicator) else week.indicator,
        completed_weeks=week.completed_weeks,
        transition_met=week.transition_met,
        broken=week.broken,
    )


def _store_evaluation(desk: Desk, item: Evaluated) -> None:
    book, key = desk.config.primary_strategy, str(item.position_id)
    for evaluation in item.evaluations:
        desk.db.add_evaluation(book, key, _evaluation_row(evaluation))
    if item.holding.pending_reason is not None:
        desk.db.update_position(
            item.position_id,
            pending_reason=item.holding.pending_reason,
            pending_since=item.holding.pending_since,
        )
