"""Playing one random day: the real code against the venue, again and again until it is quiet.

A day begins on a `Dawn`. Its processes are started, crash where the script says, and are started
again; what a fault leaves behind must be healed by at most three runs after the last fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from livekit.broker.venue.faults import FaultSchedule
from livekit.clock import sleep_until
from livekit.errors import LivekitError, LockHeld
from livekit.sessions import open_instant
from livekit.trading.approvals import decide, review_items
from livekit.trading.desk import Desk
from livekit.trading.opening import sole_writer
from livekit.trading.phases import EXECUTION, PHASES, SIGNALS, current_plan, run_executor
from livekit.trading.reconciliation import reconcile
from livekit.trading.switch import kill, rearm
from livekit.workbench.daily import perform_recorded, run_daily
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.close_look import CloseLook
from livekit.workbench.simulation.incidents import NEW_NAME
from livekit.workbench.simulation.judging import judge_the_end
from livekit.workbench.simulation.market import QUIET, Walk, chance_of, history_of
from livekit.workbench.simulation.morning import Dawn, bars_of_the_day
from livekit.workbench.simulation.points import Act, Crash, Cut, Points, crash_at
from livekit.workbench.simulation.referee import Referee
from livekit.workbench.simulation.script import Script
from livekit.workbench.simulation.stage import Stage
from livekit.workbench.simulation.surroundings import Surroundings
from livekit.workbench.simulation.tampering import offer_tampered_plan

__all__ = ["DayResult", "play"]

RESTLESS = Walk(gap_pct=3.0, move_pct=3.0, crash_chance=0.12, missing_chance=0.02)
RUNS_UNDER_FAULTS = 4
RUNS_UNTIL_QUIET = 3  # after the last fault
DONE = frozenset({0, 3, 5})
BOOKS_DIFFER = 4
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class DayResult:
    """What a day was and what was found."""

    seed: int
    kind: str
    session: date
    violations: tuple[str, ...]
    faults: Counter[str]
    happenings: Counter[str]
    judged: Counter[str]
    points: tuple[str, ...]
    requests: int
    worst_uncovered_s: float
    digest: str


def play(
    dawn: Dawn, script: Script, books: MemoryBooks, folder: Path, *, every_event: bool = False
) -> DayResult:
    """Play the day of ``script`` from ``dawn`` on and judge it.

    ``every_event`` judges all invariants after every request and commit instead of at the end
    alone. ``folder`` takes the files of the day; nothing in it is needed afterwards.
    """
    day = _Day(dawn, script, books, folder, every_event=every_event)
    day.prepare()
    if script.kind == "whole":
        day.play_whole()
    else:
        day.play_executor()
    return day.judged()


class _Day:
    """One day while it is played."""

    def __init__(
        self, dawn: Dawn, script: Script, books: MemoryBooks, folder: Path, *, every_event: bool
    ) -> None:
        self.session = dawn.morning.session
        self.script, self.books, self.folder = script, books, folder
        self.happenings: Counter[str] = Counter()
        self.chance = chance_of(f"market {script.seed}")
        walk = RESTLESS if script.restless else QUIET
        self.dawn = dawn
        self.is_running = False
        falls = dawn.leaving if script.both_exits_due else None
        self.bars = bars_of_the_day(dawn.morning, self.chance, walk, dawn.split, falls=falls)
        self.points = Points()
        self.referee = Referee(self.points, lambda: self.stage.state, books.raw)
        self.stage = Stage(
            dawn.morning.profile,
            dawn.morning.settings,
            history_of(self.bars, f"day {script.seed}"),
            dawn.asleep if script.kind == "whole" else dawn.planned,
            books,
            self.referee,
            through_alpaca_py=script.through_alpaca_py,
        )
        self.surroundings = Surroundings(
            dawn, script, self.stage, self.referee, self.happenings, self.chance
        )
        self.look = CloseLook(self.stage, self.referee.broken) if every_event else None
        self.referee.after_event = self.look
        if self.look is not None:
            self.look.splitting = self.surroundings.splits_today
            self.look.excused = self.referee.is_outside

    # ------------------------------------------------------------------------------- the course

    def prepare(self) -> None:
        """What has happened before the first run of the day."""
        self.surroundings.prepare()
        if self.script.kill_at_start:
            self._kill()

    def play_executor(self) -> None:
        """The plan is there: review, perhaps an attempt with a tampered file, execution."""
        self._come_late()
        if not self.script.late_decisions or self.script.restless:
            self._review(self.script.decisions)
        self._offer_tampered()
        self._begin_trouble()
        code = self._run_under_faults((EXECUTION,))
        self._end_trouble()
        troubled = self.stage.app.faults.strikes or self.happenings["crashes"]
        if code != 0 or troubled or self.happenings["clock steps"]:
            self._run_until_quiet(self._execute)

    def play_whole(self) -> None:
        """From the report to the comparison."""
        self._come_late()
        self._begin_trouble()
        self._run_under_faults((SIGNALS,))
        self.surroundings.judge_the_page()
        self._review(self.script.decisions)
        self._offer_tampered()
        if self.script.rearm:
            self._rearm()
        self._run_under_faults(PHASES[1:3])
        self._end_trouble()
        if self.surroundings.is_renamed:
            self._require_refused()
        else:
            self._run_until_quiet(lambda: self._run(PHASES))
        if self.script.next_morning:
            self._see_the_next_morning()

    def judged(self) -> DayResult:
        """Judge the day where it has come to rest."""
        requests = self.stage.line.requests
        faults = self.stage.app.faults.counts
        if self.script.rearm:
            self._rearm()
        if self.script.twice:
            self._run_again()
        with self.stage.process() as desk:
            if self.script.kind == "executor" and (self.dawn.split or self.referee.outside):
                self._reconcile(desk)
            verdict = judge_the_end(
                self.stage,
                desk,
                self.referee,
                self.folder,
                session_over=self.script.kind == "whole",
            )
        self.referee.judged["invariants at the end"] += verdict.checks
        if self.look is not None:
            self.look.close()
            self.referee.judged += self.look.judged
        return DayResult(
            seed=self.script.seed,
            kind=self.script.kind,
            session=self.session,
            violations=tuple(self.referee.violations),
            faults=Counter({kind: count for kind, count in faults.items() if count}),
            happenings=self.happenings,
            judged=self.referee.judged,
            points=tuple(map(str, self.points.reached)),
            requests=requests,
            worst_uncovered_s=verdict.worst_uncovered_s,
            digest=verdict.digest,
        )

    # ------------------------------------------------------------------------------ what happens

    def _begin_trouble(self) -> None:
        """From here on the script's faults strike and its points are counted."""
        script = self.script
        self.stage.app.faults.install(FaultSchedule(script.rules, script.seed))
        acts: dict[Cut, Act] = {cut: crash_at(cut) for cut in script.crashes}
        acts |= dict.fromkeys(script.kills, self._kill)
        acts |= dict.fromkeys(script.locked_out, self._start_a_second)
        acts |= dict.fromkeys(script.takeovers, self._take_over)
        acts |= dict.fromkeys(script.late_decisions, self._decide_late)
        acts |= {cut: partial(self._pause, seconds) for cut, seconds in script.pauses}
        acts |= {cut: partial(self._step_clock, seconds) for cut, seconds in script.clock_steps}
        self.points.plan(acts)

    def _end_trouble(self) -> None:
        """The last fault has struck."""
        self.points.plan({})
        self.referee.before_cancel = None
        self.stage.app.faults.install(FaultSchedule())
        self.stage.clock.offset = timedelta(0)

    def _kill(self) -> None:
        """An operator in another process switches on, between two statements of the run."""
        with self.stage.process(watched=False) as desk:
            kill(desk, "drill", OPERATOR)
        self.happenings["kill switch on"] += 1

    def _rearm(self) -> None:
        """The operator lets trading go on; what was held back until then may be sent."""
        with self.stage.process() as desk:
            if not desk.db.is_kill_switch_on():
                return
            try:
                rearm(desk, "over", OPERATOR)
            except LivekitError:
                self.happenings["rearm refused"] += 1
                return
            except Crash:
                self.referee.crashed()
                self.happenings["crashes"] += 1
                return
        self.happenings["rearmed"] += 1
        if self.script.kind == "executor":
            self._run_until_quiet(self._execute)

    def _step_clock(self, seconds: float) -> None:
        self.stage.clock.offset += timedelta(seconds=seconds)
        self.happenings["clock steps"] += 1

    def _pause(self, seconds: float) -> None:
        """The machine sleeps, and the market does not."""
        since = self.stage.state.clock
        self.stage.app.pass_time(seconds)
        self.referee.idle(since, self.stage.state.clock)
        self.happenings["pauses of the machine"] += 1

    def _come_late(self) -> None:
        """Nobody was there in time."""
        if self.script.late_s is None:
            return
        opens = open_instant(self.session)
        sleep_until(self.stage.clock, opens + timedelta(seconds=self.script.late_s))
        self.referee.idle(opens, self.stage.state.clock)
        self.happenings["late starts"] += 1

    def _start_a_second(self) -> None:
        """A second executor is started while one runs: it must not ask the venue for anything."""
        if not self.is_running:
            return
        asked = self.stage.line.requests
        with self.stage.process(watched=False) as desk:
            try:
                perform_recorded(desk, EXECUTION, self.session)
            except LockHeld:
                self.happenings["second executors locked out"] += 1
            else:
                self.referee.broken("I18 single writer", "a second executor ran beside the first")
        if self.stage.line.requests != asked:
            self.referee.broken("I18 single writer", "a second executor sent requests")

    def _take_over(self) -> None:
        """While the process sleeps another one, which its lock does not hold, does its work."""
        if not self.is_running:
            return
        since = self.stage.state.clock
        with self.stage.process(watched=False) as desk:
            try:
                run_executor(desk, current_plan(desk, self.session))
            except LivekitError:
                return
        self.referee.idle(since, self.stage.state.clock)
        self.happenings["leases taken over"] += 1

    def _decide_late(self) -> None:
        """A person decides, or decides anew, while the executor is at work."""
        before = self.happenings["decisions"]
        self._review(self.script.decisions[::-1])
        self.happenings["late decisions"] += self.happenings["decisions"] - before

    def _review(self, decisions: Sequence[str]) -> None:
        """A person decides, where the profile wants it."""
        if self.stage.profile.trading.approval != "required":
            return
        with self.stage.process(watched=False) as desk:
            try:
                plan = current_plan(desk, self.session)
            except LivekitError:
                return
            items = review_items(plan, desk.config)
            for item, decision in zip(items, decisions, strict=False):
                self._decide(desk, item.name, item.shares, decision)

    def _decide(self, desk: Desk, item: str, shares: int, decision: str) -> None:
        if decision == "none":
            return
        allowed = shares // 2 if decision == "part" else shares
        try:
            decide(
                desk,
                current_plan(desk, self.session),
                item,
                "reject" if decision == "reject" else "approve",
                max_quantity=0 if decision == "reject" else allowed,
                who=OPERATOR,
                reason="seen",
            )
        except LivekitError:
            self.happenings["decisions refused"] += 1
        else:
            self.happenings["decisions"] += 1

    def _offer_tampered(self) -> None:
        if self.script.tampering is None:
            return
        with self.stage.process(watched=False) as desk:
            try:
                offer_tampered_plan(
                    desk, self.session, self.script.tampering, self.stage, self.referee
                )
            except Crash:
                self.referee.crashed()
                self.happenings["crashes"] += 1
        self.happenings[f"plans with another {self.script.tampering}"] += 1

    # -------------------------------------------------------------------------------------- runs

    def _run_under_faults(self, phases: Sequence[str]) -> int | None:
        code: int | None = None
        for _ in range(RUNS_UNDER_FAULTS):
            code = self._run(phases)
            if code in DONE:
                break
        return code

    def _run_until_quiet(self, run: Callable[[], int | None]) -> None:
        code: int | None = None
        for _ in range(RUNS_UNTIL_QUIET):
            code = run()
            if code in DONE or (code == BOOKS_DIFFER and self.surroundings.is_disturbed):
                return
        self.referee.broken("I23 liveness", f"not quiet after {RUNS_UNTIL_QUIET} runs: exit {code}")

    def _run(self, phases: Sequence[str]) -> int | None:
        """One process: its exit code, or None when it crashed."""
        with self.stage.process() as desk:
            self.is_running = True
            try:
                report = run_daily(desk, self.session, phases=phases)
            except Crash:
                self.referee.crashed()
                self.happenings["crashes"] += 1
                return None
            finally:
                self.is_running = False
        self.happenings["runs"] += 1
        return report.exit_code

    def _execute(self) -> int:
        """The executor by itself, as `python -m livekit.executor` runs it: recovery and all."""
        with sole_writer(self.stage.profile), self.stage.process() as desk:
            try:
                plan = current_plan(desk, self.session)
            except LivekitError as error:
                return error.exit_code
            return run_executor(desk, plan).exit_code

    def _require_refused(self) -> None:
        """Shares under another name are for a person to settle: nothing is bought."""
        bought = sum(order.side == "buy" for order in self.stage.state.orders.values())
        code = self._run(PHASES)
        if code not in (BOOKS_DIFFER, 7) and self.stage.state.held(NEW_NAME):
            self.referee.broken("I16 reconcile before act", f"exit {code} over a new name")
        if sum(order.side == "buy" for order in self.stage.state.orders.values()) != bought:
            self.referee.broken("I16 reconcile before act", "bought over a new name")

    def _see_the_next_morning(self) -> None:
        """The night and the next session's signals: what was left over it must hold."""
        if self.surroundings.is_renamed:
            return
        with self.stage.process() as desk:
            report = run_daily(desk, self.dawn.morning.following[0], phases=(SIGNALS,))
        if report.exit_code not in DONE:
            self.referee.broken("I23 liveness", f"the next morning: {report.trouble}")
        self.happenings["next mornings"] += 1

    def _reconcile(self, desk: Desk) -> None:
        """An early reconciliation: cash for the fraction of a split, and what others did."""
        sleep_until(self.stage.clock, open_instant(self.session) + timedelta(minutes=1))
        found = reconcile(desk, self.session)
        self.surroundings.judge_the_group({item.ticker for item in found})

    def _run_again(self) -> None:
        """The same plan executed twice more must ask for nothing the second time.

        The first one may send what was held back before; what the venue itself rejected is tried
        again each time, so such a day tells nothing.
        """
        self._execute()
        if any(order.status == "rejected" for order in self.stage.state.orders.values()):
            return
        asked = self.referee.changes
        self._execute()
        if self.referee.changes != asked:
            self.referee.broken("I21 idempotent", "a second execution sent orders or cancels")
        self.happenings["runs repeated"] += 1
