"""The notebooks' facade: open a day, perform a phase, show it, seal the run.

A notebook cell is one call of this module. ``perform`` never raises for an error of our own tree:
the outcome carries it, the showing functions show what there is, and ``seal`` writes the run
record that makes the run count.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import numpy as np

from livekit.clock import sleep_until
from livekit.errors import RunIncomplete
from livekit.model import ClosedTrade, DailyBars, Plan, PlannedOrder, Position, VenueOrder
from livekit.sessions import next_session, parse_session
from livekit.state import EquityPoint, StateDB
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator
from livekit.trading.approvals import approval_item
from livekit.trading.cover import live_cover
from livekit.trading.desk import Desk
from livekit.trading.holdings import look_back_start, recent_bars
from livekit.trading.opening import Link, desk_on, open_link, registered_profile, sole_writer
from livekit.trading.phases import (
    EXECUTION,
    PhaseOutcome,
    current_plan,
    due_instant,
    guarded,
    perform,
)
from livekit.trading.plans import plan_file_name
from livekit.trading.protector import open_orders
from livekit.trading.record import evidence_so_far
from livekit.workbench.daily import finish_record, start_record
from livekit.workbench.day_tables import Approval, Cover, Criterion
from livekit.workbench.series import Curve
from livekit.workbench.show import (
    PositionView,
    show_breaks,
    show_criteria,
    show_curves,
    show_facts,
    show_orders,
    show_plan,
    show_positions,
    show_settlement,
)

__all__ = ["Day", "open_day", "warm_up"]


def warm_up() -> None:
    """Load what every day needs, so that a kernel has it before its notebook begins."""
    next_session(date(2000, 1, 3))  # the first question makes the calendar


def open_day(state_db: str, session: str, phase: str, run_id: int = 0) -> Day:
    """Open a profile for one phase of one session.

    ``run_id`` is the run-log row that the runner opened; 0 means that a person opened the notebook,
    and then a row is opened here. Raises `StateUnusable` for an absent or damaged database and
    `NotASession` for a session that is none.
    """
    day = parse_session(session)
    profile = registered_profile(Path(state_db))
    resources = ExitStack()
    db = resources.enter_context(StateDB(profile.state_db))
    link = resources.enter_context(open_link(profile, mode="served"))
    desk = desk_on(profile, link, db, who="notebook")
    return Day(desk, link, phase, day, run_id or start_record(desk, phase, day), resources)


class Day:
    """One phase of one session, as a notebook goes through it."""

    def __init__(
        self, desk: Desk, link: Link, phase: str, session: date, run_id: int, resources: ExitStack
    ) -> None:
        self._desk = desk
        self._link = link
        self._phase = phase
        self._session = session
        self._run_id = run_id
        self._resources = resources

    # ---------------------------------------------------------------------------------- acting

    def perform(self) -> PhaseOutcome:
        """Perform the phase and show what happened, one line a fact."""
        if self._desk.profile.venue == "simulated":
            sleep_until(self._desk.clock, due_instant(self._phase, self._session))
        outcome = self._execute() if self._phase == EXECUTION else self._perform_here()
        facts = [(f"{number}", line) for number, line in enumerate(outcome.lines, start=1)]
        show_facts(f"{self._phase} of {self._session}: exit code {outcome.exit_code}", facts)
        return outcome

    def _perform_here(self) -> PhaseOutcome:
        with sole_writer(self._desk.profile):
            return perform(self._desk, self._phase, self._session)

    def _execute(self) -> PhaseOutcome:
        """Run the executor as a process of its own, so that a dying kernel does not stop it."""
        return guarded(EXECUTION, self._session, self._run_executor_process)

    def _run_executor_process(self) -> PhaseOutcome:
        profile = self._desk.profile
        plan = current_plan(self._desk, self._session)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "livekit.executor",
                "--signals-file",
                str(profile.signals_dir / plan_file_name(plan.strategy, plan.session)),
                "--state-db",
                str(profile.state_db),
                "--manifest",
                str(profile.manifest),
                "-v",
            ],
            env={**os.environ, **self._link.environment},
            start_new_session=True,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = tuple(f"{done.stdout}{done.stderr}".splitlines())
        if done.returncode == 1 and not lines:
            raise RunIncomplete(EXECUTION, self._session, "the executor ended without a word")
        return PhaseOutcome(EXECUTION, self._session, done.returncode, lines)

    def seal(self, outcome: PhaseOutcome) -> None:
        """Write the run record; without it the run does not count, whatever the notebook shows."""
        finish_record(self._desk, self._run_id, outcome)
        show_facts(
            "Run record",
            [
                ("run", str(self._run_id)),
                ("session", self._session.isoformat()),
                ("phase", self._phase),
                ("exit code", str(outcome.exit_code)),
            ],
        )
        self._resources.close()

    # --------------------------------------------------------------------------------- showing

    def show_plans(self, outcome: PhaseOutcome) -> None:
        """Show both plans with the decision on each order."""
        if outcome.signals is None:
            show_facts("Plans", [("none", "the phase did not come to a plan")])
            return
        primary, shadow = outcome.signals.primary, outcome.signals.shadow
        show_plan(
            primary, [row for order in primary.orders for row in self._approvals(primary, order)]
        )
        show_plan(shadow)

    def show_plan(self) -> None:
        """Show the stored plan that is being executed."""
        stored = self._desk.db.get_plan(self._desk.config.primary_strategy, self._session)
        if stored is None:
            show_facts("Plan", [("none", f"no plan is stored for {self._session}")])
            return
        plan = current_plan(self._desk, self._session)
        show_plan(plan, [row for order in plan.orders for row in self._approvals(plan, order)])

    def _approvals(self, plan: Plan, order: PlannedOrder) -> list[Approval]:
        return [
            Approval(
                order.ticker,
                order.intent,
                found.decision,
                min(found.max_quantity, order.quantity),
                found.who,
                found.at,
                found.reason,
            )
            for found in self._desk.db.get_approvals(plan.sha256)
            if found.item == approval_item(order)
        ]

    def show_positions(self) -> None:
        """Show every open position: candles, EMA, N-week low, stop, entry, cover."""
        positions = self._desk.db.get_open_positions()
        tickers = [item.ticker for item in positions]
        bars = recent_bars(self._desk, tickers, self._session, self._session)
        orders = open_orders(self._desk) if positions else ()
        primary, shadow = self._desk.config.primary_strategy, self._desk.config.shadow_strategy
        views = [
            self._view(item, bars.get(item.ticker), _cover(item, orders)) for item in positions
        ]
        show_positions(views, names=(_line_name(primary), _line_name(shadow)))

    def _view(self, position: Position, bars: DailyBars | None, cover: Cover) -> PositionView:
        if bars is None:
            return PositionView(position, None, cover=cover)
        weekly = aggregate_daily_to_weekly(bars, cut_at=look_back_start(self._desk, self._session))
        primary, shadow = (
            indicator(weekly, *self._desk.config.trailing(name))
            for name in (self._desk.config.primary_strategy, self._desk.config.shadow_strategy)
        )
        return PositionView(position, bars, weekly, primary, shadow, cover)

    def show_orders(self) -> None:
        """Show the session's orders and what was filled."""
        show_orders(self._desk.db.get_orders(trade_date=self._session))

    def show_breaks(self) -> None:
        """Show the open differences between the books and the broker."""
        show_breaks(self._desk.db.open_breaks())

    def show_trades(self, outcome: PhaseOutcome) -> None:
        """Show the trades that the executed book and the twins closed in the session."""
        closed = [
            item
            for item in self._desk.db.get_positions("closed")
            if item.exit_date == self._session
        ]
        show_settlement([_trade(item) for item in closed], "Closed by the broker's book")
        for step in outcome.reconciled.twins if outcome.reconciled else ():
            show_settlement(step.trades, f"Closed by the twin {step.strategy}")

    def show_curves(self, outcome: PhaseOutcome) -> None:
        """Show P&L and drawdown of the broker's book and both twins."""
        if outcome.curves is None:
            show_facts("Curves", [("none", "the phase did not come to curves")])
            return
        config = self._desk.config
        show_curves(
            _curve("broker book", outcome.curves.broker),
            _curve(f"twin {config.primary_strategy}", outcome.curves.primary),
            _curve(f"shadow {config.shadow_strategy}", outcome.curves.shadow),
            base_usd=config.base_capital_usd,
        )

    def show_evidence(self) -> None:
        """Show how far the record has come towards the first look."""
        found = evidence_so_far(self._desk.db, self._desk.config, self._session)
        show_criteria(
            [Criterion(item.name, item.value, item.needed, item.met) for item in found.conditions]
        )
        show_facts("Verdict so far", [("state", found.state), ("because", found.because)])


def _cover(position: Position, orders: Sequence[VenueOrder]) -> Cover:
    """The live sells at the venue that stand behind a position."""
    live = [item for item in orders if item.ticker == position.ticker and item.is_live_cover]
    stops = [item for item in live if item.stop_price is not None]
    return Cover(
        position.ticker,
        live_cover(position.ticker, live),
        "stop" if stops else "exit" if live else "none",
        stops[0].stop_price if stops else None,
        live[0].order_id if live else "",
    )


def _line_name(strategy: str) -> str:
    prefix, _, period = strategy.partition("_p")
    return f"{prefix.upper()}({period})"


def _curve(name: str, points: tuple[EquityPoint, ...]) -> Curve:
    profit = np.array([float(point.realised + point.unrealised) for point in points])
    return Curve(name, tuple(point.session for point in points), profit)


def _trade(position: Position) -> ClosedTrade:
    exit_date = position.exit_date or position.entry_date
    return ClosedTrade(
        candidate=position.candidate,
        entry_session=position.entry_date,
        entry_price=float(position.entry_price),
        shares=position.actual_shares,
        exit_session=exit_date,
        exit_price=float(position.exit_price or 0),
        exit_reason=position.exit_reason or "",
        pnl_usd=float(position.pnl or 0),
        return_pct=position.return_pct or 0.0,
        hold_days=(exit_date - position.entry_date).days,
    )
