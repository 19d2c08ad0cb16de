"""Invariants of orders, positions, cover and money, between our books and the broker's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal

from livekit.invariants.facts import LOCALLY_OVER, Facts, cover_gaps, sum_by_ticker
from livekit.model import ENTRY, MANUAL, STOP, Order, VenueOrder

__all__ = ["ORDER_CHECKS"]

LIMBO = timedelta(minutes=10)
EXPOSED_STATUSES = frozenset(
    {"new", "accepted", "pending_new", "partially_filled", "held", "pending_cancel",
     "pending_replace"}
)  # fmt: skip
CENT = Decimal("0.01")


def _single_entry(facts: Facts) -> Iterable[str]:
    entries: dict[tuple[object, str], list[str]] = defaultdict(list)
    for order in facts.ours.orders:
        alive = order.status not in LOCALLY_OVER or order.filled_qty > 0
        if order.intent == ENTRY and alive:
            entries[order.trade_date, order.ticker].append(order.client_order_id)
    for ids in entries.values():
        if len(ids) > 1:
            yield f"{' and '.join(sorted(ids))} both live or filled"


def _intent_before_send(facts: Facts) -> Iterable[str]:
    rows = {order.alpaca_order_id: order for order in facts.ours.orders if order.alpaca_order_id}
    by_client_id = {order.client_order_id: order for order in facts.ours.orders}
    for shown in facts.theirs.orders:
        row = rows.get(shown.order_id) or by_client_id.get(shown.client_order_id)
        if row is None and facts.own_id(shown.client_order_id) is not None:
            yield f"{shown.client_order_id} is at the venue without an intent of ours"
        elif row is not None and _differs(row, shown):
            yield f"{row.client_order_id} at the venue is not what was intended"
    for position in facts.open_positions():
        stop = position.stop_order_id
        if stop is not None and stop not in rows:
            yield f"{position.ticker}: its stop {stop} has no row among our orders"
    for fill in facts.ours.fills:
        row = by_client_id.get(fill.client_order_id)
        if row is None:
            yield f"fill {fill.activity_id}: its order {fill.client_order_id} has no row"
        elif (row.ticker, row.side) != (fill.ticker, fill.side):
            told = f"{fill.side} of {fill.ticker}, its order a {row.side} of {row.ticker}"
            yield f"fill {fill.activity_id} is a {told}"


def _differs(row: Order, shown: VenueOrder) -> bool:
    stop_differs = row.order_type == "stop" and row.stop_price != shown.stop_price
    return stop_differs or (row.ticker, row.side, Decimal(row.quantity), row.time_in_force) != (
        shown.ticker,
        shown.side,
        shown.quantity,
        shown.time_in_force,
    )


def _nothing_in_limbo(facts: Facts) -> Iterable[str]:
    for order in facts.ours.orders:
        open_intent = order.alpaca_order_id is None and order.status not in LOCALLY_OVER
        old = order.created_at is not None and facts.theirs.now - order.created_at > LIMBO
        if open_intent and old:
            yield f"{order.client_order_id} is {order.status} since {order.created_at}"


def _deterministic_ids(facts: Facts) -> Iterable[str]:
    for order in facts.ours.orders:
        if order.parent_client_order_id is not None or order.reason == MANUAL:
            continue
        if facts.own_id(order.client_order_id) != (order.ticker, order.intent, order.side):
            yield f"{order.client_order_id} does not name {order.intent} {order.ticker}"


def _life_cycle(facts: Facts) -> Iterable[str]:
    rows = {order.alpaca_order_id: order for order in facts.ours.orders if order.alpaca_order_id}
    for shown in facts.theirs.orders:
        row = rows.get(shown.order_id)
        if row is None:
            continue
        if row.status in LOCALLY_OVER and not shown.is_terminal:
            yield f"{row.client_order_id} is {row.status} here and {shown.status} at the venue"
        if shown.filled_quantity < row.filled_qty:
            there = shown.filled_quantity
            yield f"{row.client_order_id}: {row.filled_qty} filled here, {there} there"


def _no_fill_lost(facts: Facts) -> Iterable[str]:
    by_position: dict[int | None, int] = defaultdict(int)
    known = {position.position_id for position in facts.ours.positions}
    for fill in facts.ours.fills:
        if fill.position_id is None or fill.position_id not in known:
            yield f"fill {fill.activity_id} of {fill.ticker} belongs to no position"
        by_position[fill.position_id] += fill.quantity if fill.side == "buy" else -fill.quantity
    for position in facts.ours.positions:
        filled = by_position[position.position_id]
        filled -= facts.ours.written_off.get(position.position_id or 0, 0)
        whole = position.split_factor == 1.0
        wanted = position.shares_now if position.status == "open" else 0
        if whole and filled != wanted:
            yield f"{position.ticker}: fills leave {filled} shares, the book says {wanted}"
    booked: dict[str, int] = defaultdict(int)
    for position in facts.open_positions():
        booked[position.ticker] += position.shares_now
    for ticker, count in booked.items():
        shown = facts.held().get(ticker, Decimal(0))
        if shown < count:
            yield f"{ticker}: we hold {count}, the broker shows {shown}"


def _never_short(facts: Facts) -> Iterable[str]:
    for ticker, shares in facts.held().items():
        if shares < 0:
            yield f"{ticker} is short {shares}"
    selling = sum_by_ticker(
        (order.ticker, order.remaining)
        for order in facts.theirs.orders
        if order.side == "sell" and order.status in EXPOSED_STATUSES and not _sleeps(order, facts)
    )
    for ticker, shares in selling.items():
        if shares > max(Decimal(0), facts.held().get(ticker, Decimal(0))):
            yield f"{ticker}: sells of {shares} shares rest on {facts.held().get(ticker, 0)} held"


def _sleeps(order: VenueOrder, facts: Facts) -> bool:
    """A leg that waits for its entry sells nothing yet."""
    return order.status == "held" and any(
        leg.order_id == order.order_id for parent in facts.theirs.orders for leg in parent.legs
    )


def _cover(facts: Facts) -> Iterable[str]:
    for position, covered, needed in cover_gaps(facts):
        yield f"{position.ticker}: {covered} of {needed} shares are covered"


def _stop_price(facts: Facts) -> Iterable[str]:
    due = {item.ticker: item for item in facts.open_positions()}
    tolerance = Decimal(str(facts.config.stop_anchor_tolerance_pct)) / 100
    for position in due.values():
        wanted = facts.due_stop(position.entry_price)
        if position.split_factor == 1.0 and position.stop_price != wanted:
            yield f"{position.ticker}: the book's stop is {position.stop_price}, due is {wanted}"
    for order in facts.theirs.orders:
        held = due.get(order.ticker)
        if held is None or order.stop_price is None or not order.is_live_cover:
            continue
        if order.order_id in facts.ours.left_alone:
            continue
        if abs(order.stop_price - held.stop_price) > held.stop_price * tolerance:
            yield f"{order.ticker}: stop at {order.stop_price}, due is {held.stop_price}"
        if order.time_in_force != "gtc":
            yield f"{order.ticker}: its stop dies with the session ({order.time_in_force})"


def _stop_rule(facts: Facts) -> Iterable[str]:
    stops = {order.parent_client_order_id for order in facts.ours.orders if order.intent == STOP}
    for order in facts.ours.orders:
        if order.intent != ENTRY or order.alpaca_order_id is None:
            continue
        grouped = order.client_order_id in stops
        if not grouped and order.reference_price is None:
            yield f"{order.client_order_id} was sent without a stop rule"


def _approval(facts: Facts) -> Iterable[str]:
    allowed = {(item.plan_id, item.ticker): item.max_shares for item in facts.ours.approved}
    for order in facts.ours.orders:
        if order.intent != ENTRY or order.filled_qty == 0 or order.plan_id is None:
            continue
        limit = allowed.get((order.plan_id, order.ticker), 0)
        if order.filled_qty > limit:
            yield f"{order.client_order_id}: {order.filled_qty} bought, {limit} approved"


def _limits(facts: Facts) -> Iterable[str]:
    taken = {item.ticker for item in facts.open_positions()}
    taken |= {
        order.ticker
        for order in facts.theirs.orders
        if order.side == "buy"
        and order.status in EXPOSED_STATUSES
        and facts.own_id(order.client_order_id) is not None
    }
    if len(taken) > facts.config.max_positions:
        yield f"{len(taken)} positions and buys, at most {facts.config.max_positions}"
    bound = Decimal(str(facts.config.position_size))
    bound *= 1 + Decimal(str(facts.config.order_size_tolerance_pct)) / 100
    for order in facts.ours.orders:
        if order.intent != ENTRY or order.alpaca_order_id is None or order.reference_price is None:
            continue
        notional = order.quantity * order.reference_price  # what it fills at is the market's
        if notional > bound:
            yield f"{order.client_order_id}: {notional} USD ordered, at most {bound}"


def _money(facts: Facts) -> Iterable[str]:
    flows: dict[int | None, Decimal] = defaultdict(Decimal)
    paid: dict[int | None, Decimal] = defaultdict(Decimal)
    for fill in facts.ours.fills:
        amount = fill.quantity * fill.price
        flows[fill.position_id] += amount if fill.side == "sell" else -amount
        paid[fill.position_id] += amount if fill.side == "buy" else 0
    for position in facts.ours.positions:
        cost = paid[position.position_id]
        if abs(cost - position.invested) >= CENT:
            yield f"{position.ticker}: {cost:.2f} USD was paid, the book says {position.invested}"
        if position.status != "closed" or position.pnl is None:
            continue
        earned = flows[position.position_id]
        if abs(earned - position.pnl) >= CENT:
            yield f"{position.ticker}: fills earned {earned:.2f} USD, the book says {position.pnl}"


ORDER_CHECKS: Mapping[str, Callable[[Facts], Iterable[str]]] = {
    "I01 single entry": _single_entry,
    "I02 intent before send": _intent_before_send,
    "I03 nothing in limbo": _nothing_in_limbo,
    "I04 deterministic ids": _deterministic_ids,
    "I05 monotone life cycle": _life_cycle,
    "I06 no fill lost": _no_fill_lost,
    "I07 never short": _never_short,
    "I08 cover": _cover,
    "I09 stop price": _stop_price,
    "I10 no exposure without a stop rule": _stop_rule,
    "I14 approval": _approval,
    "I17 limits": _limits,
    "I26 money": _money,
}
