"""The vocabulary: frozen values that cross module boundaries.

A *session* is a `datetime.date`, an *instant* an aware UTC `datetime.datetime`. Money that touches
the broker or the books is `Decimal` USD; prices inside decisions and simulations are floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "Account",
    "Asset",
    "Break",
    "Candidate",
    "ClosedTrade",
    "DailyBars",
    "EntryDecision",
    "ExitDecision",
    "Fill",
    "FloatArray",
    "Holding",
    "Order",
    "Plan",
    "PlannedOrder",
    "Position",
    "ReportResult",
    "SessionArray",
    "SessionDecision",
    "Skip",
    "Split",
    "TradePrint",
    "VenueCashEntry",
    "VenueClock",
    "VenueFill",
    "VenueOrder",
    "VenuePosition",
    "WeeklyBars",
]

FloatArray = npt.NDArray[np.float64]
SessionArray = npt.NDArray[np.datetime64]  # dtype datetime64[D]

Grade = Literal["A", "B", "C", "D"]
Side = Literal["buy", "sell"]
Intent = Literal["entry", "exit", "stop"]
Outcome = Literal["intended", "confirmed", "refused", "denied", "unknown"]

ENTRY: Intent = "entry"
EXIT: Intent = "exit"
STOP: Intent = "stop"

TREND_BREAK = "trend_break"
ROTATED_OUT = "rotated_out"
PROTECTIVE_STOP = "protective_stop"
MAX_HOLDING = "max_holding_days"
END_OF_DATA = "end_of_data"
MANUAL = "manual"

DUPLICATE_TICKER = "duplicate_ticker"
EXITS_TODAY = "exits_today"
NO_PRICE_DATA = "no_price_data"
ZERO_SHARES = "zero_shares"
CAPACITY_FULL = "capacity_full"
DAILY_LIMIT = "daily_limit"
FOREIGN_HOLDING = "foreign_holding"
PRICE_CONFLICT = "price_conflict"
UNKNOWN_TICKER = "unknown_ticker"


# ---------------------------------------------------------------------------------- market data


@dataclass(frozen=True, slots=True)
class DailyBars:
    """Daily bars of one ticker, oldest first; all arrays have the same length n.

    ``open`` to ``close`` are USD as traded; ``adj_close`` is adjusted for splits and dividends;
    ``split_ratio`` is new shares per old on its ex-date (1.0 = none).
    """

    ticker: str
    sessions: SessionArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    adj_close: FloatArray
    volume: FloatArray
    dividend_usd: FloatArray
    split_ratio: FloatArray

    def __len__(self) -> int:
        return len(self.sessions)

    def until(self, last: date) -> DailyBars:
        """The bars up to and including ``last`` (views, no copy)."""
        stop = int(np.searchsorted(self.sessions, np.datetime64(last, "D"), side="right"))
        return self.sliced(0, stop)

    def sliced(self, start: int, stop: int) -> DailyBars:
        """The bars at positions ``start`` to ``stop`` (exclusive), as views."""
        part = slice(start, stop)
        return DailyBars(
            self.ticker,
            self.sessions[part],
            self.open[part],
            self.high[part],
            self.low[part],
            self.close[part],
            self.adj_close[part],
            self.volume[part],
            self.dividend_usd[part],
            self.split_ratio[part],
        )

    def index_of(self, session: date) -> int:
        """Position of the bar of ``session``, or -1 if the ticker has none."""
        stamp = np.datetime64(session, "D")
        index = int(np.searchsorted(self.sessions, stamp))
        found = index < len(self.sessions) and self.sessions[index] == stamp
        return index if found else -1


@dataclass(frozen=True, slots=True)
class WeeklyBars:
    """Adjusted weekly bars of one ticker by index, one for each week in which it traded.

    ``first_session`` and ``last_session`` are the calendar's first and last session of the week,
    ``last_bar`` is the session of the ticker's own last bar in it.
    """

    first_session: SessionArray
    last_session: SessionArray
    last_bar: SessionArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray

    def __len__(self) -> int:
        return len(self.close)


@dataclass(frozen=True, slots=True)
class TradePrint:
    """The latest trade of a ticker."""

    ticker: str
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Split:
    """A split: ``ratio`` new shares for one old from the open of ``ex_session`` on."""

    ticker: str
    ex_session: date
    ratio: float


# ------------------------------------------------------------------------------------ decisions


@dataclass(frozen=True, slots=True)
class Candidate:
    """One stock that a report grades for a session.

    ``score`` is 0 to 100 or missing, ``price`` the report's price in USD, ``gap_size`` percent.
    """

    ticker: str
    report_date: date
    grade: str
    score: float | None
    price: Decimal | None = None
    gap_size: float | None = None
    company_name: str | None = None
    grade_source: str = "html"


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What a report says: its candidates in page order and how far it was understood.

    ``suspects`` say what was not understood, ``not_candidates`` what was set aside and why;
    ``places`` name, for ticker and field, the text of the page that a value was read from.
    """

    report_date: date
    candidates: tuple[Candidate, ...]
    verdict: Literal["ok", "empty", "suspect"]
    notes: tuple[str, ...] = ()
    sha256: str = ""
    not_candidates: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    places: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """An open position as the rules see it, in whichever book it is kept.

    ``entry_price`` and ``shares`` are on the price basis of the entry session. ``split_factor`` is
    today's shares per entry share, so the shares held today are ``shares_now`` and ``stop_price``
    is the live stop on today's basis. ``last_close`` is the last close up to the previous session,
    today's basis. A pending exit is a state: its reason and the session that decided it.
    ``reinvested_factor`` is what spin-offs added in a simulation: shares per share of
    ``shares_now``.
    """

    candidate: Candidate
    entry_session: date
    entry_price: float
    shares: int
    stop_price: float
    last_close: float
    split_factor: float = 1.0
    shares_now: int = 0
    cash_in_lieu_usd: float = 0.0
    pending_reason: str | None = None
    pending_since: date | None = None
    evaluated_week: date | None = None
    flags: tuple[str, ...] = ()
    reinvested_factor: float = 1.0

    @property
    def ticker(self) -> str:
        """The candidate's ticker."""
        return self.candidate.ticker


@dataclass(frozen=True, slots=True)
class EntryDecision:
    """Buy ``shares``; ``rotates_out`` names the holding that makes room, if any."""

    candidate: Candidate
    shares: int
    reference_price: float
    rotates_out: str | None = None


@dataclass(frozen=True, slots=True)
class ExitDecision:
    """A holding leaves at the session's open."""

    ticker: str
    reason: str
    decided: date
    rotated_in: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """A candidate that is not bought, and why."""

    candidate: Candidate
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SessionDecision:
    """Everything a book wants for one session."""

    session: date
    exits: tuple[ExitDecision, ...]
    entries: tuple[EntryDecision, ...]
    skips: tuple[Skip, ...]


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A finished trade on the price basis of its entry session; money in USD."""

    candidate: Candidate
    entry_session: date
    entry_price: float
    shares: int
    exit_session: date
    exit_price: float
    exit_reason: str
    pnl_usd: float
    return_pct: float
    hold_days: int
    flags: tuple[str, ...] = ()

    @property
    def ticker(self) -> str:
        """The candidate's ticker."""
        return self.candidate.ticker


# ---------------------------------------------------------------------------------------- plans


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One order that a plan wants. ``pair`` is the other ticker of a rotation."""

    ticker: str
    intent: Intent
    side: Side
    quantity: int
    reason: str
    reference_price: Decimal | None = None
    stop_price: Decimal | None = None
    pair: str | None = None
    candidate: Candidate | None = None
    decided: date | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The complete list of orders one strategy wants for one session.

    ``body`` is the canonical JSON text that ``sha256`` is the hash of; ``plan_id`` is the
    database row once stored.
    """

    strategy: str
    session: date
    orders: tuple[PlannedOrder, ...]
    skips: tuple[Skip, ...]
    expires_at: datetime
    sha256: str
    body: str
    status: str = "open"
    plan_id: int | None = None


# ------------------------------------------------------------------------------------- the venue


@dataclass(frozen=True, slots=True)
class Account:
    """The broker account; money in USD."""

    account_number: str
    status: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    trading_blocked: bool


@dataclass(frozen=True, slots=True)
class Asset:
    """What the venue says of a ticker."""

    ticker: str
    asset_id: str
    tradable: bool
    status: str


@dataclass(frozen=True, slots=True)
class VenueClock:
    """The venue's clock (instants in UTC)."""

    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """A position at the venue; ``quantity`` may be fractional or negative there."""

    ticker: str
    quantity: Decimal
    quantity_available: Decimal
    average_entry_price: Decimal
    current_price: Decimal | None
    asset_id: str = ""


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue shows it. Unknown statuses are kept as text."""

    order_id: str
    client_order_id: str
    ticker: str
    side: Side
    order_type: str
    order_class: str
    time_in_force: str
    status: str
    quantity: Decimal
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    stop_price: Decimal | None
    limit_price: Decimal | None
    submitted_at: datetime | None
    created_at: datetime | None
    expires_at: datetime | None
    replaced_by: str | None = None
    replaces: str | None = None
    legs: tuple[VenueOrder, ...] = ()

    @property
    def remaining(self) -> Decimal:
        """Quantity that is not filled."""
        return self.quantity - self.filled_quantity

    @property
    def is_terminal(self) -> bool:
        """No further fill can follow."""
        return self.status in TERMINAL_STATUSES

    @property
    def is_live_cover(self) -> bool:
        """A sell that protects or disposes of shares now (`pending_*` and `held` do not count)."""
        return self.side == "sell" and self.status in LIVE_STATUSES

    @property
    def rests_when_closed(self) -> bool:
        """Its shares are tied up until the exchange opens, without being covered by it now."""
        over = self.status == "done_for_day" and self.time_in_force == "gtc"
        return over or self.status == "pending_cancel"


TERMINAL_STATUSES = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
LIVE_STATUSES = frozenset({"new", "accepted", "pending_new", "partially_filled"})


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One FILL activity."""

    activity_id: str
    order_id: str
    ticker: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class VenueCashEntry:
    """One activity that is no trade: ``kind`` is the venue's, such as DIV or FEE; USD, signed."""

    activity_id: str
    kind: str
    ticker: str | None
    amount: Decimal


# ------------------------------------------------------------------------------------- our books


@dataclass(frozen=True, slots=True)
class Order:
    """A row of ``orders``: an intent first, then what the venue made of it."""

    client_order_id: str
    intent: Intent
    side: Side
    ticker: str
    trade_date: date
    quantity: int
    order_type: str
    time_in_force: str
    status: str
    stop_price: Decimal | None = None
    reference_price: Decimal | None = None
    filled_qty: int = 0
    filled_avg_price: Decimal | None = None
    alpaca_order_id: str | None = None
    parent_client_order_id: str | None = None
    position_id: int | None = None
    plan_id: int | None = None
    attempt: int = 1
    fingerprint: str = ""
    reason: str = ""
    candidate_json: str | None = None
    order_id: int | None = None
    outcome: Outcome = "intended"
    sent_at: datetime | None = None
    created_at: datetime | None = None
    fencing_token: int | None = None

    @property
    def remaining_qty(self) -> int:
        """Shares that are not filled."""
        return self.quantity - self.filled_qty


@dataclass(frozen=True, slots=True)
class Fill:
    """A row of ``fills``: an activity of the venue that belongs to an order of ours."""

    activity_id: str
    client_order_id: str
    ticker: str
    side: Side
    quantity: int
    price: Decimal
    at: datetime
    position_id: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A row of ``positions``. Prices and shares are on the basis of the entry session.

    ``actual_shares`` counts what was bought, ``sold_shares`` what has left (entry basis), and
    ``odd_shares_sold`` what has left since a split without making up a share of the entry basis.
    """

    ticker: str
    entry_date: date
    entry_price: Decimal
    target_shares: int
    actual_shares: int
    invested: Decimal
    stop_price: Decimal
    stop_order_id: str | None
    candidate: Candidate
    status: Literal["open", "closed"] = "open"
    split_factor: float = 1.0
    pending_reason: str | None = None
    pending_since: date | None = None
    sold_shares: int = 0
    odd_shares_sold: int = 0
    exit_date: date | None = None
    exit_price: Decimal | None = None
    exit_reason: str | None = None
    pnl: Decimal | None = None
    return_pct: float | None = None
    position_id: int | None = None
    asset_id: str | None = None

    @property
    def shares_now(self) -> int:
        """Whole shares that the venue should hold for this position today."""
        whole = int((self.actual_shares - self.sold_shares) * self.split_factor + 1e-9)
        return whole - self.odd_shares_sold

    def after_sale(self, shares: int) -> tuple[int, int]:
        """``sold_shares`` and ``odd_shares_sold`` after a sale of ``shares`` of today."""
        odd = self.odd_shares_sold + shares
        units = int(odd / self.split_factor + 1e-9)
        rest = odd - units * self.split_factor
        if abs(rest - round(rest)) > 1e-9:
            return self.sold_shares, odd
        return self.sold_shares + units, round(rest)


@dataclass(frozen=True, slots=True)
class Break:
    """A difference between our books and the broker's.

    ``subject`` is the order or activity that it is about, empty for a state such as a position or
    the cash; kind, ticker and subject together name a break while it is open.
    """

    kind: str
    ticker: str | None
    facts: str
    proposal: str = ""
    break_id: int | None = None
    status: Literal["open", "resolved"] = "open"
    resolution: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    opened_at: datetime | None = field(default=None, compare=False)
    resolved_at: datetime | None = field(default=None, compare=False)
