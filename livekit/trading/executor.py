"""The executor: carries out one plan, phases A to E; it starts by recovering and reconciling.

A cancel each leaving position's stop, confirm, sell (queued for the open) · B poll the sells from
the open · C recount the slots at the venue · D buy with cover · E poll the buys, protecting each
fill, and cancel at the cut-off what is not filled. Cover is watched throughout.

The part ``place`` ends before the open and ``poll`` begins there; ``all`` is both in one run. Buys
for the opening auction belong to ``place``: they find only the slots that are free then, and no
rotation, whose buy may go only when its sell has filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from livekit.clock import sleep_until
from livekit.config import LiveConfig
from livekit.errors import (
    BooksDiffer,
    KillSwitchOn,
    PlanRefused,
    SharesUncovered,
    UsageError,
    VenueError,
)
from livekit.model import ENTRY, EXIT, ROTATED_OUT, Order, Plan, PlannedOrder
from livekit.sessions import close_instant, open_instant
from livekit.trading.approvals import AUCTION, approved_quantity, await_approval
from livekit.trading.clearance import tickers_to_avoid
from livekit.trading.desk import Desk
from livekit.trading.entries import (
    EntryReport,
    clock_is_trusted,
    orders_of_session,
    send_entry,
)
from livekit.trading.exits import STOP_IN_FORCE, ExitReport, send_exit
from livekit.trading.plans import plan_from_body
from livekit.trading.protector import (
    GRACE_S,
    LOOK_EVERY_S,
    CoverWatch,
    protect,
)
from livekit.trading.stops import ended, request_cancel
from livekit.trading.venue_look import VenueLook

__all__ = [
    "ALL",
    "PARTS",
    "PLACE",
    "POLL",
    "Execution",
    "accept_plan",
    "execute_plan",
    "execution_parts",
    "preview_plan",
]

ALL, PLACE, POLL = PARTS = ("all", "place", "poll")

SLOW_POLL_S = 5.0
CONFIRM_LOOKS = 10
CONFIRM_EVERY_S = 1.0
ENTRY_REQUESTS = 8  # an entry's own and the look after it
REPAIR_REQUESTS = 8  # to cancel the rest of a buy and place a stop for its part
MOST_REPAIR_REQUESTS = 100  # more would never be free while cover is watched
CANCEL_LEAD = timedelta(minutes=1)
SELL_POLL_LIMIT = timedelta(seconds=60)
LAST_EXIT_BEFORE_CLOSE = timedelta(minutes=30)


@dataclass(slots=True)
class Execution:
    """What a run of the executor did, in the order in which it happened."""

    plan: Plan
    exits: list[ExitReport] = field(default_factory=list)
    entries: list[EntryReport] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    unconfirmed: list[str] = field(default_factory=list)  # whose cancel the venue did not confirm
    repaired: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    avoided: frozenset[str] = frozenset()
    look: VenueLook | None = None  # the last one at the venue


def accept_plan(desk: Desk, plan: Plan) -> Plan:
    """The stored plan that ``plan`` claims to be.

    Raises `PlanRefused` unless hash, strategy, session, status, expiry and every bound hold.
    """
    name = plan.sha256[:12]
    stored = desk.db.get_plan_by_sha(plan.sha256)
    if stored is None:
        raise PlanRefused(name, "the database has no plan of this hash")
    if stored.status not in ("open", "frozen"):
        raise PlanRefused(name, f"it is {stored.status}")
    if plan.strategy != desk.config.primary_strategy:
        raise PlanRefused(name, f"strategy {plan.strategy} is not executed")
    if plan.session != desk.order_session():
        raise PlanRefused(name, f"it is for {plan.session}, now trades {desk.order_session()}")
    if desk.clock.now() >= close_instant(plan.session) - LAST_EXIT_BEFORE_CLOSE:
        raise PlanRefused(name, "less than 30 minutes of its session are left")
    for order in plan.orders:
        _require_bounds(desk, name, order)
    return plan_from_body(stored.body, status=stored.status, plan_id=stored.plan_id)


def _require_bounds(desk: Desk, name: str, order: PlannedOrder) -> None:
    if order.intent != ENTRY:
        return
    if order.reference_price is None or order.stop_price is None or order.candidate is None:
        raise PlanRefused(name, f"entry of {order.ticker} lacks its price, stop or candidate")
    bound = desk.config.position_size * (1 + desk.config.order_size_tolerance_pct / 100)
    notional = float(order.reference_price) * order.quantity
    if notional > bound:
        raise PlanRefused(name, f"{order.ticker} is {notional:.2f} USD, at most {bound:.2f}")


def preview_plan(desk: Desk, plan: Plan) -> tuple[str, ...]:
    """What an execution would send, as text; reads the books only and changes nothing."""
    return tuple(
        f"{order.side} {approved_quantity(desk, plan, order)} {order.ticker} ({order.reason})"
        for order in accept_plan(desk, plan).orders
    )


def execution_parts(config: LiveConfig) -> tuple[str, ...]:
    """The parts that make up an execution: auction orders must be with the venue before 09:28."""
    return (PLACE, POLL) if config.entry_tif == AUCTION else (ALL,)


def execute_plan(
    desk: Desk, plan: Plan, *, part: str = ALL, skip_time_check: bool = False
) -> Execution:
    """Carry a plan out. Start is recovery: what an earlier run began is taken up first.

    Raises `KillSwitchOn` after recovering and protecting when the switch is on, `BooksDiffer` when
    books and broker differ, `SharesUncovered` when cover could not be had, and whatever
    `accept_plan` raises, before anything but protection is sent.
    """
    _require_usable(desk, part, skip_time_check=skip_time_check)
    protection = protect(desk)
    if protection.uncovered:  # it has switched the kill switch on, and is graver
        raise SharesUncovered(protection.uncovered)
    if desk.db.is_kill_switch_on():
        raise KillSwitchOn(desk.db.kill_switch_reason())
    plan = accept_plan(desk, plan)
    run = Execution(plan, repaired=list(protection.repaired))
    watch = CoverWatch(desk)  # one for the whole run: the age of a gap outlives the stages
    try:
        run.avoided = tickers_to_avoid(desk, plan.session, protection)
        _carry_out(desk, run, watch, part, skip_time_check=skip_time_check)
    except (BooksDiffer, VenueError):
        _attend(desk, run, watch, part, skip_time_check=skip_time_check)
        raise
    _finish(desk, run, watch)
    return run


def _carry_out(
    desk: Desk, run: Execution, watch: CoverWatch, part: str, *, skip_time_check: bool
) -> None:
    plan = run.plan
    if plan.orders and plan.plan_id is not None:
        desk.db.set_plan_status(plan.plan_id, "frozen")
    if part != POLL or desk.config.entry_tif == AUCTION:
        _send_exits(desk, run)  # polling for the auction, those whose stop was in force by then
    if part == PLACE and desk.config.entry_tif == AUCTION:
        _send_entries(desk, run, watch, _buys(plan), skip_time_check=skip_time_check)
    if part != PLACE:
        _poll_exits(desk, run, watch)
        _send_entries(desk, run, watch, _buys(plan), skip_time_check=skip_time_check)
        _poll_entries(desk, run, watch, skip_time_check=skip_time_check)
        _send_late(desk, run, watch, skip_time_check=skip_time_check)


def _require_usable(desk: Desk, part: str, *, skip_time_check: bool) -> None:
    if skip_time_check and desk.profile.venue != "simulated":
        raise UsageError("--skip-time-check is refused at the real venue")
    if part not in PARTS:
        raise UsageError(f"{part!r} is no part of an execution, only {', '.join(PARTS)}")
    if part == ALL and desk.config.entry_tif == AUCTION:
        raise UsageError("auction entries need --phase place before 09:28, then --phase poll")


def _attend(
    desk: Desk, run: Execution, watch: CoverWatch, part: str, *, skip_time_check: bool
) -> None:
    """Nothing new is sent; what is at the venue already is followed to its end."""
    if part != PLACE:
        if desk.db.get_orders(intent=EXIT, working_only=True):
            _poll_exits(desk, run, watch)
        _poll_entries(desk, run, watch, skip_time_check=skip_time_check)
    _finish(desk, run, watch)


def _send_exits(desk: Desk, run: Execution) -> None:
    run.exits += [
        _send_one(desk, run, planned) for planned in run.plan.orders if planned.intent == EXIT
    ]
    if any(report.state not in ("sent", STOP_IN_FORCE) for report in run.exits):
        run.repaired += protect(desk).repaired


def _send_one(desk: Desk, run: Execution, planned: PlannedOrder) -> ExitReport:
    if planned.ticker in run.avoided:
        return ExitReport(planned.ticker, "books_differ", "its signals were forced")
    if planned.reason == ROTATED_OUT and not _pair_may_go(desk, run.plan, planned):
        return ExitReport(planned.ticker, "withheld", "its buy is not allowed")

    def is_approved() -> bool:
        return approved_quantity(desk, run.plan, planned) > 0

    if not is_approved():
        return ExitReport(planned.ticker, "not_approved", "no valid approval")
    return send_exit(desk, planned, is_approved=is_approved)


def _send_hindered(desk: Desk, run: Execution) -> bool:
    """Try again what could not be sold while the cancel of its stop stood out; False at the end."""
    hindered = {report.ticker for report in run.exits if report.state == STOP_IN_FORCE}
    for planned in run.plan.orders:
        if planned.intent == EXIT and planned.ticker in hindered:
            run.exits = [report for report in run.exits if report.ticker != planned.ticker]
            run.exits.append(_send_one(desk, run, planned))
    return any(report.state == STOP_IN_FORCE for report in run.exits)


def _await_cancels(desk: Desk, run: Execution) -> None:
    """Before the open a cancel may take until a minute before it; then its stop stays in force."""
    deadline = open_instant(run.plan.session) - CANCEL_LEAD
    while desk.clock.now() < deadline and _send_hindered(desk, run):
        desk.clock.sleep(SLOW_POLL_S)


def _pair_may_go(desk: Desk, plan: Plan, sell: PlannedOrder) -> bool:
    """A rotation's sell goes only if its buy could go: approved, in time, switch off."""
    buy = next(
        (order for order in plan.orders if order.intent == ENTRY and order.ticker == sell.pair),
        None,
    )
    if buy is None or desk.db.is_kill_switch_on() or desk.clock.now() >= plan.expires_at:
        return False
    if desk.config.entry_tif == AUCTION:
        return False
    return approved_quantity(desk, plan, buy) > 0 and approved_quantity(desk, plan, sell) > 0


def _poll_exits(desk: Desk, run: Execution, watch: CoverWatch) -> None:
    """Wait for the open, then watch the sells for up to a minute; watching also books fills."""
    _await_cancels(desk, run)
    sleep_until(desk.clock, open_instant(run.plan.session))
    deadline = desk.clock.now() + SELL_POLL_LIMIT
    while _send_hindered(desk, run) or desk.db.get_orders(intent=EXIT, working_only=True):
        watch.step()
        if _sells_are_done(desk, run):
            break
        if desk.clock.now() >= deadline:
            run.warnings.append("a sell did not fill within a minute of the open")
            break
        _pause(desk)


def _sells_are_done(desk: Desk, run: Execution) -> bool:
    hindered = any(report.state == STOP_IN_FORCE for report in run.exits)
    return not hindered and not desk.db.get_orders(intent=EXIT, working_only=True)


def _send_late(desk: Desk, run: Execution, watch: CoverWatch, *, skip_time_check: bool) -> None:
    """Buy what a person approves between the open and the cut-off.

    A rotation comes too late then, since its sell goes before the open; so does an auction order.
    """
    if desk.config.approval != "required" or desk.config.entry_tif == AUCTION:
        return

    def look() -> None:
        watch.step()
        _pause(desk)

    while approved := await_approval(desk, run.plan, _waiting(run), meanwhile=look):
        late = {planned.ticker for planned in approved}
        run.entries = [report for report in run.entries if report.ticker not in late]
        _send_entries(desk, run, watch, approved, skip_time_check=skip_time_check)
        _poll_entries(desk, run, watch, skip_time_check=skip_time_check)


def _waiting(run: Execution) -> list[PlannedOrder]:
    """Buys that were held back for want of an approval."""
    waiting = {report.ticker for report in run.entries if report.state == "not_approved"}
    return [item for item in _buys(run.plan) if item.ticker in waiting and item.pair is None]


def _buys(plan: Plan) -> list[PlannedOrder]:
    return [order for order in plan.orders if order.intent == ENTRY]


def _send_entries(
    desk: Desk,
    run: Execution,
    watch: CoverWatch,
    buys: Sequence[PlannedOrder],
    *,
    skip_time_check: bool,
) -> None:
    if not buys:
        return
    trusted = clock_is_trusted(desk, run.plan.session)
    prices = desk.client.latest_trades([order.ticker for order in buys])
    shown = orders_of_session(desk, run.plan.session)
    missed_auction = desk.config.entry_tif == AUCTION and _is_open(desk, run.plan)
    for planned in buys:
        if already := _entry_of_today(desk, run.plan, planned):
            run.entries.append(already)
        elif planned.ticker in run.avoided:
            run.entries.append(EntryReport(planned.ticker, "books_differ", 0))
        elif missed_auction:
            run.entries.append(EntryReport(planned.ticker, "auction_missed", 0))
        elif planned.pair is not None and _is_held(desk, planned.pair):
            run.entries.append(EntryReport(planned.ticker, "pair_not_sold", 0, planned.pair))
        else:
            _await_turn(desk, watch, run.plan.expires_at)
            report = send_entry(
                desk,
                run.plan,
                planned,
                prices,
                shown,
                clock_trusted=trusted,
                past_cutoff_allowed=skip_time_check,
            )
            run.entries.append(report)
            if report.state == "sent":
                watch.step_if_due()


def _await_turn(desk: Desk, watch: CoverWatch, cutoff: datetime) -> None:
    """Let the rate budget recover before an entry, and watch cover meanwhile.

    Enough must be left to cover what every buy that works may still fill, and the last look must
    have seen whether cover is whole. At the cut-off the wait ends, and the entry is refused by its
    gate.
    """
    while desk.clock.now() < cutoff:
        busy_s = desk.client.seconds_to_wait(ENTRY_REQUESTS + _repairs_ahead(desk))
        if not busy_s and watch.unread is None:
            return
        watch.step()
        desk.clock.sleep(SLOW_POLL_S)


def _repairs_ahead(desk: Desk) -> int:
    working = desk.db.get_orders(intent=ENTRY, working_only=True)
    return min(REPAIR_REQUESTS * (len(working) + 1), MOST_REPAIR_REQUESTS)


def _pause(desk: Desk) -> None:
    """Between two looks; a longer one where the rate budget runs low."""
    is_low = desk.client.seconds_to_wait(REPAIR_REQUESTS) > 0
    desk.clock.sleep(SLOW_POLL_S if is_low else LOOK_EVERY_S)


def _is_open(desk: Desk, plan: Plan) -> bool:
    return desk.clock.now() >= open_instant(plan.session)


def _entry_of_today(desk: Desk, plan: Plan, planned: PlannedOrder) -> EntryReport | None:
    """The buy that an earlier run of this plan already has at the venue, whatever its state."""
    for order in desk.db.get_orders(trade_date=plan.session, ticker=planned.ticker, intent=ENTRY):
        if order.alpaca_order_id is not None:
            return EntryReport(planned.ticker, "sent", order.quantity, f"earlier, {order.status}")
    return None


def _is_held(desk: Desk, ticker: str) -> bool:
    return any(position.ticker == ticker for position in desk.db.get_open_positions())


def _poll_entries(desk: Desk, run: Execution, watch: CoverWatch, *, skip_time_check: bool) -> None:
    cutoff = _last_poll(desk, run, skip_time_check=skip_time_check)
    while working := _buys_at_venue(desk):
        watch.step()
        if desk.clock.now() >= cutoff:
            _cancel_rests(desk, run, watch, working)
            break
        if _buys_at_venue(desk):
            _pause(desk)


def _buys_at_venue(desk: Desk) -> list[Order]:
    """Working buys that the venue has or may have; an intent that never left is not waited for."""
    working = desk.db.get_orders(intent=ENTRY, working_only=True)
    return [order for order in working if order.outcome != "intended"]


def _last_poll(desk: Desk, run: Execution, *, skip_time_check: bool) -> datetime:
    minute_from_now = desk.clock.now() + SELL_POLL_LIMIT
    return max(run.plan.expires_at, minute_from_now) if skip_time_check else run.plan.expires_at


def _cancel_rests(desk: Desk, run: Execution, watch: CoverWatch, working: Sequence[Order]) -> None:
    """Ask for all cancels at once; watch cover until each is confirmed, ten looks at most."""
    left = {order.alpaca_order_id: order for order in working if order.alpaca_order_id is not None}
    for order_id in left:
        request_cancel(desk, order_id)
    for _ in range(CONFIRM_LOOKS):
        for order_id, order in tuple(left.items()):
            found = ended(desk, order_id)
            if found is not None:
                del left[order_id]
                run.cancelled += [order.ticker] if found.status == "canceled" else []
        if not left:
            return
        watch.step()
        desk.clock.sleep(CONFIRM_EVERY_S)
    for order in left.values():
        text = f"{order.client_order_id} is not confirmed cancelled"
        desk.db.add_alert("cancel_unconfirmed", text, at=desk.clock.now(), severity="critical")
        run.unconfirmed.append(order.ticker)


def _finish(desk: Desk, run: Execution, watch: CoverWatch) -> None:
    last = protect(desk, grace_s=GRACE_S)
    run.repaired += (*watch.repaired, *last.repaired)
    run.look = last.look
    if last.uncovered:
        raise SharesUncovered(last.uncovered)
