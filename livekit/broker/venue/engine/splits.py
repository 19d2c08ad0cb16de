"""What a split does overnight: at 04:00 New York of its ex-date, before anything is matched.

Shares held are multiplied; the fraction of a share left over is paid in cash at that day's open.
Alpaca's rules for resting GTC orders: a forward split adjusts plain sell stops and buy limits in
price and quantity, a reverse split cancels every plain GTC order, and members of a group are left
as they are (do not reduce, do not cancel). A ratio that is no clean split moves nothing.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from livekit.broker.venue.engine.lifecycle import Lifecycle
from livekit.broker.venue.engine.market import exact
from livekit.broker.venue.engine.records import Order, floor_to_tick
from livekit.strategy.rules import split_shares

__all__ = ["apply_splits", "pay_fractions"]

CENT = Decimal("0.01")


def apply_splits(orders: Lifecycle) -> None:
    """Apply the splits of the clock's day to positions and orders."""
    state = orders.state
    if not orders.settings.splits_apply:
        return
    day = orders.market.phase(state.clock).day
    for ticker in sorted({*state.positions, *state.working}):
        ratio = orders.market.split_on(ticker, day)
        if ratio is not None:
            _split_position(orders, ticker, ratio)
            _split_orders(orders, ticker, ratio)


def _split_position(orders: Lifecycle, ticker: str, ratio: Fraction) -> None:
    if ticker not in orders.state.positions:
        return
    position = orders.state.position(ticker)
    before = position.qty
    sign = -1 if before < 0 else 1
    whole, fraction = split_shares(abs(before), float(ratio))
    position.qty, position.fraction_due = sign * whole, sign * exact(fraction)
    orders.adjustment_activity("SPLIT", ticker, Decimal(position.qty - before), Decimal(0))
    orders.state.log_split(ticker, f"{ratio.numerator}:{ratio.denominator}")


def _split_orders(orders: Lifecycle, ticker: str, ratio: Fraction) -> None:
    adjusts_legs = orders.settings.splits_adjust_group_legs
    for order in orders.state.working_on(ticker):
        if order.time_in_force != "gtc" or (order.order_class != "simple" and not adjusts_legs):
            continue
        if ratio < 1:
            orders.cancel(order)
        elif (order.side, order.type) in (("sell", "stop"), ("buy", "limit")):
            _adjust(orders, order, ratio)


def _adjust(orders: Lifecycle, order: Order, ratio: Fraction) -> None:
    whole, _ = split_shares(order.remaining, float(ratio))
    order.qty = order.filled_qty + whole
    order.stop_price = _on_new_basis(order.stop_price, ratio)
    order.limit_price = _on_new_basis(order.limit_price, ratio)
    order.reserve_price = order.reserve_price * ratio.denominator / ratio.numerator
    orders.state.log("adjusted", order)


def _on_new_basis(price: Decimal | None, ratio: Fraction) -> Decimal | None:
    if price is None:
        return None
    return floor_to_tick(price * ratio.denominator / ratio.numerator)


def pay_fractions(orders: Lifecycle) -> None:
    """Pay the fractions that splits left, in whole cents, at the price of the clock's instant."""
    state = orders.state
    owed = [ticker for ticker, position in state.positions.items() if position.fraction_due]
    for ticker in sorted(owed):
        price = orders.market.path_price(ticker, state.clock)
        if price is None:
            continue
        position = state.position(ticker)
        shares = position.qty + position.fraction_due
        amount = (position.fraction_due * price).quantize(CENT, ROUND_HALF_UP)
        position.cost_usd -= position.cost_usd * position.fraction_due / shares
        position.fraction_due = Decimal(0)
        state.cash_usd += amount
        orders.adjustment_activity("CIL", ticker, Decimal(0), amount)
        state.log_payment(ticker, amount)
        state.drop_if_gone(ticker)
