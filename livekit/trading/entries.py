"""Opening positions: each buy passes its gates, then goes out with its stop attached.

An entry is an OTO order (market buy plus GTC stop). Where the venue refuses the group, and for
the opening auction, which takes no groups, a plain buy goes out and the protector places the stop
on its fill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from livekit.errors import PlanRefused, VenueError
from livekit.model import ENTRY, Order, Plan, PlannedOrder, TradePrint, VenueClock, VenueOrder
from livekit.sessions import close_instant, exchange_time, open_instant, previous_session
from livekit.state import candidate_to_json
from livekit.trading.approvals import AUCTION, approved_quantity
from livekit.trading.books import BASELINE_POSITIONS
from livekit.trading.day_counts import count_orders
from livekit.trading.desk import Desk
from livekit.trading.gates import EntryFacts, Refusal, allowed_quantity, entry_refusal
from livekit.trading.orders import Sent, new_order, send

__all__ = [
    "EntryReport",
    "baseline_tickers",
    "clock_is_trusted",
    "orders_of_session",
    "send_entry",
]

MAX_SKEW_S = 2.0


@dataclass(frozen=True, slots=True)
class EntryReport:
    """What became of one planned entry when it was sent."""

    ticker: str
    state: str
    quantity: int
    detail: str = ""


def baseline_tickers(desk: Desk) -> frozenset[str]:
    """Tickers that the account held before the profile was registered."""
    text = desk.db.get_config(BASELINE_POSITIONS) or ""
    return frozenset(part.split(":")[0] for part in text.split(",") if part)


def clock_is_trusted(desk: Desk, session: date) -> bool:
    """Whether the venue's clock answers, agrees with ours within two seconds, and has the session.

    An exchange that closes for a day unannounced is in no calendar of ours: a buy would wait at the
    venue for the next open.
    """
    try:
        shown = desk.client.get_clock()
    except VenueError:
        return False
    agrees = abs((shown.timestamp - desk.clock.now()).total_seconds()) <= MAX_SKEW_S
    return agrees and _takes_place(shown, session)


def _takes_place(shown: VenueClock, session: date) -> bool:
    """Open, and until the close of that session; or closed, and until its open."""
    if shown.is_open:
        return exchange_time(shown.next_close).date() == session
    return shown.next_open == open_instant(session)


def _tickers_taken(desk: Desk, *, planned: str = "") -> frozenset[str]:
    """Tickers held at the venue or in our books, and those with a working buy of ours.

    An intent for ``planned`` itself that never left does not stand in its own way.
    """
    working = [
        order
        for order in desk.db.get_orders(intent=ENTRY, working_only=True)
        if order.alpaca_order_id is not None or order.ticker != planned
    ]
    return frozenset(
        {item.ticker for item in desk.client.get_positions()}
        | {item.ticker for item in desk.db.get_open_positions()}
        | {order.ticker for order in working}
    )


def _room(desk: Desk, taken: frozenset[str]) -> int:
    """Slots counted at the venue: ``max_positions`` less what is taken, foreign tickers aside.

    A ticker that is foreign counts where we hold it too.
    """
    ours = {item.ticker for item in desk.db.get_open_positions()}
    return desk.config.max_positions - len(taken - (baseline_tickers(desk) - ours))


def send_entry(
    desk: Desk,
    plan: Plan,
    planned: PlannedOrder,
    prices: Mapping[str, TradePrint],
    shown: Sequence[VenueOrder],
    *,
    clock_trusted: bool,
    past_cutoff_allowed: bool = False,
) -> EntryReport:
    """Pass one planned entry through its gates and send it.

    ``prices`` are the latest trades, read in this run; only those of the session count. ``shown``
    are the session's orders at the venue when the run began: with our rows they make the daily
    count.
    """
    facts = _facts(desk, plan, planned, prices, shown, clock_trusted=clock_trusted)
    if past_cutoff_allowed:
        facts = _without_cutoff(facts)
    until = None if past_cutoff_allowed else plan.expires_at
    refusal = entry_refusal(planned, facts, desk.config)
    if refusal is not None:
        return _withheld(planned, refusal)
    shares = allowed_quantity(planned, facts, desk.config)
    sent = _send_with_stop(desk, plan, planned, shares, until)
    state: str = "sent" if sent.venue else sent.outcome
    if state == "denied" and approved_quantity(desk, plan, planned) < shares:
        state = "not_approved"  # taken back meanwhile: it may still be given again
    return EntryReport(planned.ticker, state, sent.order.quantity, sent.message)


def _withheld(planned: PlannedOrder, refusal: Refusal) -> EntryReport:
    return EntryReport(planned.ticker, refusal.gate, 0, refusal.detail)


def _without_cutoff(facts: EntryFacts) -> EntryFacts:
    return replace(facts, cutoff=facts.now + timedelta(days=1))


def _facts(
    desk: Desk,
    plan: Plan,
    planned: PlannedOrder,
    prices: Mapping[str, TradePrint],
    shown: Sequence[VenueOrder],
    *,
    clock_trusted: bool,
) -> EntryFacts:
    taken = _tickers_taken(desk, planned=planned.ticker)
    return EntryFacts(
        now=desk.clock.now(),
        cutoff=plan.expires_at,
        clock_trusted=clock_trusted,
        kill_switch_on=desk.db.is_kill_switch_on(),
        approved_shares=approved_quantity(desk, plan, planned),
        held=taken,
        room=_room(desk, taken),
        trade_orders_today=_trade_orders_today(desk, plan, planned, shown),
        buying_power=desk.client.get_account().buying_power,
        price=_price_of_session(plan, prices.get(planned.ticker)),
    )


def _trade_orders_today(
    desk: Desk, plan: Plan, planned: PlannedOrder, shown: Sequence[VenueOrder]
) -> int:
    rows = desk.db.get_orders(trade_date=plan.session)
    return count_orders(rows, shown, plan.session, sending=planned.ticker).trades


def orders_of_session(desk: Desk, session: date) -> tuple[VenueOrder, ...]:
    """Every order at the venue since the close before ``session``, its legs nested.

    No order of the session is older, so that what is still open from before is not asked for.
    """
    since = close_instant(previous_session(session))
    return desk.client.list_orders(status="all", after=since, still_open=False)


def _price_of_session(plan: Plan, trade: TradePrint | None) -> Decimal | None:
    stamped = trade is not None and exchange_time(trade.at).date() == plan.session
    return trade.price if trade is not None and stamped else None


def _send_with_stop(
    desk: Desk, plan: Plan, planned: PlannedOrder, quantity: int, until: datetime | None
) -> Sent:
    """Send the buy with its stop, or plain where it takes none; never from ``until`` on."""

    def sent_as(time_in_force: str, submit: Callable[[Desk, Order], VenueOrder]) -> Sent:
        order = _entry_order(desk, plan, planned, quantity, time_in_force)
        return send(
            desk,
            order,
            lambda: submit(desk, order),
            approved=lambda: approved_quantity(desk, plan, planned),
            until=until,
        )

    if desk.config.entry_tif == AUCTION:
        return sent_as(AUCTION, _submit_plain)
    sent = sent_as("gtc", _submit_group)
    if sent.outcome != "refused" or not _group_was_the_cause(sent):
        return sent
    return sent_as("day", _submit_plain)


def _entry_order(
    desk: Desk, plan: Plan, planned: PlannedOrder, quantity: int, time_in_force: str
) -> Order:
    return new_order(
        desk,
        planned.ticker,
        ENTRY,
        "buy",
        quantity,
        time_in_force=time_in_force,
        reference_price=planned.reference_price,
        stop_price=planned.stop_price if time_in_force == "gtc" else None,
        plan_id=plan.plan_id,
        reason=planned.reason,
        candidate_json=candidate_to_json(planned.candidate) if planned.candidate else None,
    )


def _group_was_the_cause(sent: Sent) -> bool:
    """Whether the refusal concerns the leg or the class, so that a plain buy may pass."""
    return any(word in sent.message for word in ("stop_loss", "oto", "bracket", "complex"))


def _submit_group(desk: Desk, order: Order) -> VenueOrder:
    if order.stop_price is None:
        raise PlanRefused(order.client_order_id, "an entry without a stop price is never sent")
    return desk.client.place_bracket_order(
        order.ticker,
        order.quantity,
        stop_price=order.stop_price,
        client_order_id=order.client_order_id,
    )


def _submit_plain(desk: Desk, order: Order) -> VenueOrder:
    return desk.client.place_order(
        order.ticker,
        order.quantity,
        "buy",
        client_order_id=order.client_order_id,
        time_in_force=order.time_in_force,
    )
