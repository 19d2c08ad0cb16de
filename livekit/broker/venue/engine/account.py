"""Money and shares of the account: marks, margin, buying power, what open orders hold."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from livekit.broker.venue.engine.market import Market
from livekit.broker.venue.engine.records import EquityPoint, Order, Position
from livekit.broker.venue.engine.state import VenueState

__all__ = [
    "AccountView",
    "PositionView",
    "account_view",
    "held_for_orders",
    "holders",
    "position_view",
]

MULTIPLIER = 4
INITIAL_MARGIN = Decimal("0.5")  # Regulation T
MAINTENANCE_MARGIN = Decimal("0.25")  # FINRA minimum for long stock
SHORT_MAINTENANCE_MARGIN = Decimal("0.3")  # and for short stock


@dataclass(frozen=True, slots=True)
class AccountView:
    """The account at an instant, USD.

    ``buying_power_usd`` is 4 × (equity − maintenance margin) − open buys. With the margin at a
    quarter of the long market value a purchase lowers it by exactly its cost, a sale adds only
    when it fills, and a working buy counts at its reserve price.
    """

    cash_usd: Decimal
    equity_usd: Decimal
    last_equity_usd: Decimal
    long_market_value_usd: Decimal
    last_long_market_value_usd: Decimal
    open_buys_usd: Decimal
    short_market_value_usd: Decimal = Decimal(0)

    @property
    def maintenance_margin_usd(self) -> Decimal:
        """A quarter of the long market value and 30 % of the short one."""
        short = SHORT_MAINTENANCE_MARGIN * self.short_market_value_usd
        return MAINTENANCE_MARGIN * self.long_market_value_usd - short

    @property
    def initial_margin_usd(self) -> Decimal:
        """Half of the market value, long and short."""
        return INITIAL_MARGIN * (self.long_market_value_usd - self.short_market_value_usd)

    @property
    def buying_power_usd(self) -> Decimal:
        """What may still be bought."""
        free = MULTIPLIER * (self.equity_usd - self.maintenance_margin_usd)
        return max(Decimal(0), free - self.open_buys_usd)

    @property
    def regt_buying_power_usd(self) -> Decimal:
        """What may still be bought and kept overnight."""
        free = 2 * (self.equity_usd - self.initial_margin_usd)
        return max(Decimal(0), free - self.open_buys_usd)

    @property
    def non_marginable_buying_power_usd(self) -> Decimal:
        """Cash that no open buy has a claim on."""
        return max(Decimal(0), self.cash_usd - self.open_buys_usd)


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position at an instant. Prices and amounts in USD; None without a last trade."""

    position: Position
    available: int
    price: Decimal | None
    last_close: Decimal | None

    @property
    def market_value_usd(self) -> Decimal | None:
        """Shares at the last trade."""
        return None if self.price is None else self.price * self.position.qty


def held_for_orders(state: VenueState, ticker: str) -> int:
    """Shares that sell orders hold.

    A leg that still sleeps holds none, nor does an order that waits to replace another; a cancelled
    one may hold its shares for a while.
    """
    return sum(order.remaining for order in holders(state, ticker))


def holders(state: VenueState, ticker: str) -> list[Order]:
    """The sell orders that hold shares of ``ticker``."""
    working = [
        order
        for order in state.working.get(ticker, {}).values()
        if order.side == "sell"
        and (order.status != "held" or order.fate == "awake")
        and not order.is_successor
    ]
    return working + state.lingering_on(ticker) if state.lingering else working


def available(state: VenueState, ticker: str) -> int:
    """Shares that a new sell could use."""
    return max(0, state.held(ticker) - held_for_orders(state, ticker))


def position_view(state: VenueState, market: Market, ticker: str) -> PositionView | None:
    """The position of ``ticker`` now, or None if nothing is held."""
    position = state.positions.get(ticker)
    if position is None or not position.qty:
        return None
    return PositionView(
        position,
        available(state, ticker),
        market.mark(ticker, state.clock),
        market.previous_close(ticker, state.clock),
    )


def _market_values(state: VenueState, market: Market) -> tuple[Decimal, Decimal]:
    """Market value of what is held, and (not above 0) of what was sold short, USD."""
    long = short = Decimal(0)
    for ticker, position in state.positions.items():
        price = market.mark(ticker, state.clock) or position.average_entry_price
        value = (position.qty + position.fraction_due) * price
        if value < 0:
            short += value
        else:
            long += value
    return long, short


def account_view(state: VenueState, market: Market) -> AccountView:
    """The account now."""
    long, short = _market_values(state, market)
    last = state.closes[-1] if state.closes else None
    return AccountView(
        state.cash_usd,
        state.cash_usd + long + short,
        last.equity_usd if last else state.opening_cash_usd,
        long,
        last.long_market_value_usd if last else Decimal(0),
        sum(_open_buys(state), Decimal(0)),
        short,
    )


def _open_buys(state: VenueState) -> list[Decimal]:
    return [
        order.remaining * order.reserve_price
        for orders in state.working.values()
        for order in orders.values()
        if order.side == "buy"
    ]


def close_of_day(state: VenueState, market: Market) -> EquityPoint:
    """The account at the close of the clock's session."""
    long, short = _market_values(state, market)
    day = market.phase(state.clock).day
    return EquityPoint(day, state.cash_usd + long + short, state.cash_usd, long)
