"""The notebooks' facade: open a day, perform a phase, show it, seal the run.

A notebook cell is one call of this module. ``perform`` never raises for an error of our own tree:
the outcome carries it, the showing functions show what there is, and ``seal`` writes the run
record that makes the run count.

A phase is done once. A person who opens the notebook of a phase that is done sees what the books
hold of it: nothing is performed, and nothing recorded, a second time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from livekit.clock import sleep_until
from livekit.errors import BadInput, RunIncomplete, UsageError
from livekit.model import ClosedTrade, DailyBars, Plan, PlannedOrder, Position, VenueOrder
from livekit.sessions import next_session, parse_session
from livekit.state import Run, StateDB
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator
from livekit.trading.approvals import approval_item
from livekit.trading.cover import live_cover
from livekit.trading.desk import Desk
from livekit.trading.executor import execution_parts
from livekit.trading.holdings import look_back_start, recent_bars
from livekit.trading.living import marked_living
from livekit.trading.opening import (
    CONTROL_URL,
    Link,
    desk_on,
    open_desk,
    open_link,
    registered_profile,
    sole_writer,
)
from livekit.trading.phases import (
    EXECUTION,
    PhaseOutcome,
    current_plan,
    due_instant,
    guarded,
    perform,
    worst_exit_code,
)
from livekit.trading.plans import plan_file_name, plan_from_body
from livekit.trading.protector import open_orders
from livekit.workbench.daily import finish_record, start_record
from livekit.workbench.day_tables import Approval, Cover
from livekit.workbench.operator import operator_name
from livekit.workbench.review.board import read_board
from livekit.workbench.review.desk import Reviewer
from livekit.workbench.review.past import (
    as_it_was,
    closed_in,
    completed_run,
    held_after,
    known_until,
    recorded_lines,
    twin_trades,
)
from livekit.workbench.review.reports import (
    ReportView,
    doubts_table,
    report_views,
    reports_table,
    views_of_the_past,
)
from livekit.workbench.review.show import has_a_person, show_board, show_controls
from livekit.workbench.show import (
    PositionView,
    show_breaks,
    show_facts,
    show_orders,
    show_plan,
    show_positions,
    show_settlement,
    show_style,
    show_table,
)
from livekit.workbench.verdict.view import VerdictView, read_verdict
from livekit.workbench.watching.live_view import RENEWALS_A_SECOND, LiveView

__all__ = ["STATE_DB_VARIABLE", "Day", "open_day", "warm_up"]

STATE_DB_VARIABLE = "LIVEKIT_STATE_DB"  # database of the profile whose venue a kernel has joined


def warm_up() -> None:
    """Load what every day needs, so that a kernel has it before its notebook begins."""
    next_session(date(2000, 1, 3))  # the first question makes the calendar


def open_day(state_db: str, session: str, phase: str, run_id: int = 0) -> Day:
    """Open a profile for one phase of one session.

    ``run_id`` is the run-log row that the runner opened; 0 means that a person opened the notebook:
    then a row is opened when the phase is performed, unless it is done already. Raises
    `StateUnusable` for an absent or damaged database, `NotASession` for a session that is none, and
    `UsageError` for another database than that of the venue beside this kernel.
    """
    day = parse_session(session)
    beside = os.environ.get(STATE_DB_VARIABLE)
    if beside and Path(beside) != Path(state_db).resolve():
        relative = os.path.relpath(beside)
        raise UsageError(f"the venue here is another profile's: set state_db to {relative!r}")
    profile = registered_profile(Path(state_db))
    resources = ExitStack()
    db = resources.enter_context(StateDB(profile.state_db))
    link = resources.enter_context(open_link(profile, mode="served"))
    desk = desk_on(profile, link, db, who="notebook")
    by_person = not run_id
    if by_person:
        show_style()
    done = completed_run(db, day, phase) if by_person else None
    return Day(desk, link, phase, day, run_id, done, resources)


class Day:
    """One phase of one session, as a notebook goes through it; ``done`` if it is over."""

    def __init__(
        self,
        desk: Desk,
        link: Link,
        phase: str,
        session: date,
        run_id: int,
        done: Run | None,
        resources: ExitStack,
    ) -> None:
        self._desk = desk
        self._link = link
        self._phase = phase
        self._session = session
        self._run_id = run_id
        self._done = done
        self._resources = resources
        self._by_person = not run_id
        self._is_sealed = False

    # ---------------------------------------------------------------------------------- acting

    def perform(self) -> PhaseOutcome:
        """Perform the phase, unless it is done, and show what happened, one line a fact."""
        if self._done is not None:
            return self._recalled(self._done)
        if self._desk.profile.venue == "simulated":
            sleep_until(self._desk.clock, due_instant(self._phase, self._session))
        if self._by_person:
            self._run_id = start_record(self._desk, self._phase, self._session)
            self._resources.enter_context(marked_living(self._desk.profile, self._run_id))
        outcome = self._execute() if self._phase == EXECUTION else self._perform_here()
        self._show_lines(f"exit code {outcome.exit_code}", outcome.lines)
        return outcome

    def _recalled(self, run: Run) -> PhaseOutcome:
        lines = recorded_lines(run)
        self._show_lines(f"was done in run {run.run_id} and is not done again", lines)
        return PhaseOutcome(self._phase, self._session, run.exit_code or 0, lines)

    def _show_lines(self, how: str, lines: Sequence[str]) -> None:
        facts = [(f"{number}", line) for number, line in enumerate(lines, start=1)]
        show_facts(f"{self._phase} of {self._session}: {how}", facts)

    def _perform_here(self) -> PhaseOutcome:
        return guarded(self._phase, self._session, self._perform_alone)

    def _perform_alone(self) -> PhaseOutcome:
        with sole_writer(self._desk.profile):
            return perform(self._desk, self._phase, self._session)

    def _execute(self) -> PhaseOutcome:
        """Run the executor as a process of its own, so that a dying kernel does not stop it."""
        return guarded(EXECUTION, self._session, self._run_executor_process)

    def _run_executor_process(self) -> PhaseOutcome:
        plan = current_plan(self._desk, self._session)
        parts = execution_parts(self._desk.config)
        ended = [self._run_part(plan, part) for part in parts]
        return PhaseOutcome(
            EXECUTION,
            self._session,
            worst_exit_code([item.exit_code for item in ended]),
            tuple(dict.fromkeys(line for item in ended for line in item.lines)),
        )

    def _run_part(self, plan: Plan, part: str) -> PhaseOutcome:
        profile = self._desk.profile
        child = subprocess.Popen(
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
                "--phase",
                part,
                "-v",
            ],
            env={**os.environ, **self._link.environment},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = self._watched(child)
        if child.returncode == 1 and not lines:
            raise RunIncomplete(EXECUTION, self._session, "the executor ended without a word")
        return PhaseOutcome(EXECUTION, self._session, child.returncode, lines)

    def _watched(self, child: subprocess.Popen[str]) -> tuple[str, ...]:
        """What the executor said by its end; meanwhile a person sees its orders move."""
        watched = self._by_person and has_a_person()
        view = LiveView(self._desk.db, self._session, is_watched=watched)
        while True:
            try:
                out, err = child.communicate(timeout=1 / RENEWALS_A_SECOND)
            except subprocess.TimeoutExpired:
                view.renew()
            else:
                view.finish()
                return tuple(f"{out}{err}".splitlines())

    def seal(self, outcome: PhaseOutcome) -> None:
        """Write the run record; without it the run does not count, whatever the notebook shows.

        The record of a phase that was done before stands as it is.
        """
        if self._done is None:
            finish_record(self._desk, self._run_id, outcome)
        show_facts(
            "Run record" if self._done is None else "Run record, as it was written",
            [
                ("run", str(self._done.run_id if self._done else self._run_id)),
                ("session", self._session.isoformat()),
                ("phase", self._phase),
                ("exit code", str(outcome.exit_code)),
            ],
        )
        self._is_sealed = True
        self._resources.close()

    # --------------------------------------------------------------------------------- showing

    def show_plans(self, outcome: PhaseOutcome) -> None:
        """Show both plans with the decision on each order."""
        if outcome.signals is None and self._done is None:
            show_facts("Plans", [("none", "the phase did not come to a plan")])
            return
        self.show_plan()
        shadow = self._stored_plan(self._desk.config.shadow_strategy)
        if shadow is not None:
            show_plan(shadow)

    def show_plan(self) -> None:
        """Show the stored plan that is executed."""
        plan = self._stored_plan(self._desk.config.primary_strategy)
        if plan is None:
            show_facts("Plan", [("none", f"no plan is stored for {self._session}")])
            return
        show_plan(plan, [row for order in plan.orders for row in self._approvals(plan, order)])

    def show_review(self) -> None:
        """Show what is to be decided on the plan: controls for a person, else the same as text."""
        plan = self._stored_plan(self._desk.config.primary_strategy)
        if plan is None:
            show_facts("Review", [("none", f"no plan is stored for {self._session}")])
        elif self._by_person and has_a_person():
            show_controls(Reviewer(plan, self._open_books, lambda: not self._venue_has_ended()))
        else:
            show_board(read_board(self._desk, plan))

    def show_decisions(self) -> None:
        """Show every decision on the plan as it stands, as text."""
        plan = self._stored_plan(self._desk.config.primary_strategy)
        if plan is not None:
            show_board(read_board(self._desk, plan))

    @contextmanager
    def _open_books(self) -> Iterator[Desk]:
        """A desk on a connection of its own, also long after the last cell.

        A venue that this notebook ran by itself has ended with it; it is opened anew.
        """
        profile = self._desk.profile
        if self._venue_has_ended():
            with open_desk(profile, who=operator_name()) as desk:
                yield desk
        else:
            with StateDB(profile.state_db) as db:
                yield replace(self._desk, db=db, who=operator_name())

    def _venue_has_ended(self) -> bool:
        own = self._desk.profile.venue == "simulated" and CONTROL_URL not in os.environ
        return own and self._is_sealed

    def show_reports(self, outcome: PhaseOutcome) -> None:
        """Show the session's reports, and every card of them that was not understood."""
        try:
            views = self._reports(outcome)
        except BadInput as error:
            show_facts("Reports", [("unreadable", str(error))])
            return
        show_table(reports_table(views, self._session))
        if any(view.result.suspects for view in views):
            show_table(doubts_table(views))

    def _reports(self, outcome: PhaseOutcome) -> tuple[ReportView, ...]:
        intake = outcome.signals.intake if outcome.signals else None
        if intake is not None and intake.reports:
            return report_views(intake)
        return views_of_the_past(self._desk, self._session)

    def _stored_plan(self, strategy: str) -> Plan | None:
        stored = self._desk.db.get_plan(strategy, self._session)
        if stored is None:
            return None
        return plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)

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
        """Show every position: candles, EMA, N-week low, stop, entry, and cover if it is live."""
        config = self._desk.config
        names = (_line_name(config.primary_strategy), _line_name(config.shadow_strategy))
        if self._done is None:
            show_positions(self._live_views(), names=names)
        else:
            show_positions(self._past_views(), names=names)

    def _live_views(self) -> list[PositionView]:
        positions = self._desk.db.get_open_positions()
        bars = self._bars(positions, max(self._session, self._desk.order_session()))
        orders = open_orders(self._desk) if positions else ()
        return [self._view(item, bars.get(item.ticker), _cover(item, orders)) for item in positions]

    def _past_views(self) -> list[PositionView]:
        positions = held_after(self._desk.db, self._session, self._phase)
        bars = self._bars(positions, known_until(self._session, self._phase))
        held = ((item, bars.get(item.ticker)) for item in positions)
        return [
            self._view(item if known is None else as_it_was(item, known), known)
            for item, known in held
        ]

    def _bars(self, positions: Sequence[Position], last: date) -> Mapping[str, DailyBars]:
        return recent_bars(self._desk, [item.ticker for item in positions], self._session, last)

    def _view(
        self, position: Position, bars: DailyBars | None, cover: Cover | None = None
    ) -> PositionView:
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
        show_settlement(closed_in(self._desk.db, self._session), "Closed by the broker's book")
        for strategy in (self._desk.config.primary_strategy, self._desk.config.shadow_strategy):
            trades = self._twin_trades(strategy, outcome)
            show_settlement(trades, f"Closed by the twin {strategy}")

    def _twin_trades(self, strategy: str, outcome: PhaseOutcome) -> Sequence[ClosedTrade]:
        """What a twin closed just now, sessions that were made up among them, or in the past."""
        if outcome.reconciled is None:
            return twin_trades(self._desk.db, strategy, self._session)
        steps = (step for step in outcome.reconciled.twins if step.strategy == strategy)
        return [trade for step in steps for trade in step.trades]

    def verdict(self) -> VerdictView:
        """The verdict on the record up to this session; a phase done now keeps it in the books."""
        return read_verdict(self._desk, self._session, keep=self._done is None)


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
