"""The notebooks' facade: open a day, perform a phase, show it, seal the run.

A notebook cell is one call of this module. ``perform`` never raises for an error of our own tree:
the outcome carries it, the showing functions show what there is, and ``seal`` writes the run
record that makes the run count.

A phase is done once. A person who opens the notebook of a phase that is done sees what the books
hold of it: nothing is performed, and nothing recorded, a second time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from livekit.errors import BadInput, UsageError
from livekit.model import ClosedTrade, Plan, PlannedOrder
from livekit.sessions import next_session, parse_session
from livekit.state import Run, StateDB
from livekit.trading.approvals import approval_item
from livekit.trading.desk import Desk
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
    guarded,
    perform,
    wait_until_due,
)
from livekit.trading.plans import plan_from_body
from livekit.workbench.book_view import exposure_of, profits_of, slippage_of
from livekit.workbench.changes import changes_since, changes_table
from livekit.workbench.daily import finish_record, start_record
from livekit.workbench.operator import operator_name
from livekit.workbench.plan_tables import Approval
from livekit.workbench.position_views import indicator_names, live_views, past_views
from livekit.workbench.review.board import read_board
from livekit.workbench.review.desk import Reviewer
from livekit.workbench.review.past import (
    closed_in,
    completed_run,
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
from livekit.workbench.runs.child import execute_as_child
from livekit.workbench.show import (
    show_breaks,
    show_facts,
    show_items,
    show_orders,
    show_plan,
    show_positions,
    show_settlement,
    show_style,
    show_table,
)
from livekit.workbench.verdict.view import VerdictView, read_verdict
from livekit.workbench.watching.live_view import LiveView

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
        wait_until_due(self._desk, self._phase, self._session)
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
        return guarded(EXECUTION, self._session, self._execute_as_child)

    def _execute_as_child(self) -> PhaseOutcome:
        """A dying kernel does not stop the executor; a person sees its orders move meanwhile."""
        watched = self._by_person and has_a_person()
        view = LiveView(self._desk.db, self._session, is_watched=watched, own_run=self._run_id)
        outcome = execute_as_child(
            self._desk, self._session, self._link.environment, meanwhile=view.renew
        )
        view.finish()
        return outcome

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
        if self._done is None:
            views = live_views(self._desk, self._session)
        else:
            views = past_views(self._desk, self._session, self._phase)
        show_positions(views, names=indicator_names(self._desk))

    def show_changes(self) -> None:
        """Show what the session changed in the executed book."""
        show_table(changes_table(changes_since(self._desk.db, self._session)))

    def show_orders(self) -> None:
        """Show the session's orders and what was filled."""
        show_orders(self._desk.db.get_orders(trade_date=self._session))

    def show_slippage(self) -> None:
        """Show every fill of the session against the official open."""
        show_items(slippage_of(self._desk, self._session))

    def show_exposure(self) -> None:
        """Show what part of the capital was invested, session by session."""
        show_items(exposure_of(self._desk, self._session))

    def show_profits(self) -> None:
        """Show the P&L of the closed trades by grade and by exit reason."""
        show_items(profits_of(self._desk, self._session))

    def show_breaks(self) -> None:
        """Show the open differences between the books and the broker."""
        show_breaks(self._desk.db.open_breaks(), self._desk.clock.now())

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
