"""Why the executed book earned something else than the backtest, to the cent. Pure, in `Decimal`.

The difference live − backtest is taken apart along a chain of books that differ by one thing each:
the backtest on present data, the same on the recorded data (data revision), the same under the
configuration of each day (rule change), and the executed book. The last step is split trade by
trade: missed or extra trade, size, entry price, exit price, stop fill, timing, dividends and
splits, fees. What no cause explains is the rest, and a rest is a break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from livekit.errors import RecordUnusable
from livekit.model import END_OF_DATA, PROTECTIVE_STOP, ClosedTrade
from livekit.sessions import sessions_between

__all__ = [
    "CAUSES",
    "Attribution",
    "BookTrade",
    "Part",
    "TradeAttribution",
    "TradeBook",
    "attribute",
    "match_trades",
    "modelled_trade",
]

Lot = tuple[str, date]

MISSED = "missed trade"
EXTRA = "extra trade"
TIMING = "timing"
ENTRY_PRICE = "entry price"
EXIT_PRICE = "exit price"
SIZE = "size"
STOP_FILL = "stop fill"
DATA_REVISION = "data revision"
DIVIDENDS_SPLITS = "dividends and splits"
FEES = "fees"
RULE_CHANGE = "rule change"
CAUSES = (
    MISSED,
    EXTRA,
    TIMING,
    ENTRY_PRICE,
    EXIT_PRICE,
    SIZE,
    STOP_FILL,
    DATA_REVISION,
    DIVIDENDS_SPLITS,
    FEES,
    RULE_CHANGE,
)

CENT = Decimal("0.01")
NOTHING = Decimal("0.00")
_ROUNDING = Decimal("0.02")  # two books, each rounded to the cent and from prices of $0.0001
_NEAR_SESSIONS = 5


@dataclass(frozen=True, slots=True)
class BookTrade:
    """A trade of one book in USD; prices and shares on the basis of the entry session.

    ``profit_usd`` is what the book earned with it to the cent, ``fees_usd`` and ``dividends_usd``
    included. An open trade is marked at the last close, its reason is `end_of_data`.
    ``basis_changed`` says that a split or spin-off moved the price basis while it was held.
    """

    ticker: str
    entry_session: date
    entry_price: Decimal
    shares: int
    exit_session: date
    exit_price: Decimal
    exit_reason: str
    profit_usd: Decimal
    fees_usd: Decimal = NOTHING
    dividends_usd: Decimal = NOTHING
    basis_changed: bool = False

    @property
    def lot(self) -> Lot:
        """What names a trade: ticker and entry session."""
        return self.ticker, self.entry_session

    @property
    def gross_usd(self) -> Decimal:
        """Profit by prices and shares alone."""
        return self.shares * (self.exit_price - self.entry_price)

    @property
    def beside_prices_usd(self) -> Decimal:
        """What the book earned besides prices and fees: dividends, fractions, rounding."""
        return self.profit_usd + self.fees_usd - self.gross_usd


@dataclass(frozen=True, slots=True)
class TradeBook:
    """The trades of one book; ``adjustment`` says how it carries prices through splits."""

    name: str
    trades: tuple[BookTrade, ...]
    adjustment: str = "split"

    @property
    def profit_usd(self) -> Decimal:
        """Sum over its trades."""
        return sum((trade.profit_usd for trade in self.trades), NOTHING)


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a difference: its cause, USD to the cent, and facts."""

    cause: str
    usd: Decimal
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TradeAttribution:
    """One trade of either book: live − backtest and its parts; ``rest_usd`` has no cause."""

    ticker: str
    entry_session: date
    live: BookTrade | None
    backtest: BookTrade | None
    difference_usd: Decimal
    parts: tuple[Part, ...]
    rest_usd: Decimal = NOTHING


@dataclass(frozen=True, slots=True)
class Attribution:
    """All trades by entry, and the totals that their parts make."""

    trades: tuple[TradeAttribution, ...]

    @property
    def live_usd(self) -> Decimal:
        """What the executed book earned with these trades."""
        return sum((one.live.profit_usd for one in self.trades if one.live), NOTHING)

    @property
    def backtest_usd(self) -> Decimal:
        """What the backtest earned with them."""
        return sum((one.backtest.profit_usd for one in self.trades if one.backtest), NOTHING)

    @property
    def difference_usd(self) -> Decimal:
        """Live − backtest."""
        return self.live_usd - self.backtest_usd

    @property
    def totals(self) -> tuple[Part, ...]:
        """The parts of the total by cause, in the order of `CAUSES`."""
        sums = dict.fromkeys(CAUSES, NOTHING)
        for part in (part for trade in self.trades for part in trade.parts):
            sums[part.cause] += part.usd
        return tuple(Part(cause, usd) for cause, usd in sums.items())

    @property
    def rest_usd(self) -> Decimal:
        """What no cause explains: 0.00, or a break."""
        return sum((trade.rest_usd for trade in self.trades), NOTHING)

    @property
    def breaks(self) -> tuple[TradeAttribution, ...]:
        """The trades with a rest; rests that cancel in the total are breaks too."""
        return tuple(trade for trade in self.trades if trade.rest_usd)


def attribute(
    live: TradeBook,
    replay: TradeBook,
    *,
    registered: TradeBook | None = None,
    revised: TradeBook | None = None,
    causes: Mapping[Lot, str] | None = None,
) -> Attribution:
    """Split live − backtest into causes; parts and rests sum to the difference to the cent.

    Args:
        live: the executed book.
        replay: the backtest on the recorded data under the recorded configurations.
        registered: the same under the registered configuration; default: as ``replay``.
        revised: that on present data, which is the backtest; default: as ``registered``.
        causes: by ticker and entry session, the guard or fault behind a missed or extra trade.

    Raises:
        RecordUnusable: the books carry prices through splits in different ways.
    """
    registered = registered or replay
    revised = revised or registered
    books = (live, replay, registered, revised)
    _require_one_basis(books)
    profits = [{trade.lot: trade.profit_usd for trade in book.trades} for book in books[1:]]
    matched = _rows(live, replay, registered, revised)
    return Attribution(tuple(_attributed(row, profits, revised, causes or {}) for row in matched))


def _require_one_basis(books: Iterable[TradeBook]) -> None:
    ways = {book.adjustment: book.name for book in books}
    if len(ways) > 1:
        raise RecordUnusable([f"{name} carries prices by {way!r}" for way, name in ways.items()])


# -------------------------------------------------------------------------------------- matching


def match_trades(
    live: Sequence[BookTrade], model: Sequence[BookTrade]
) -> tuple[tuple[BookTrade | None, BookTrade | None], ...]:
    """Pair trades one to one: by ticker and entry session, then by ticker within five sessions.

    Every trade of both sides occurs once; one without a counterpart stands beside None.
    """
    ours, theirs = {trade.lot: trade for trade in live}, {trade.lot: trade for trade in model}
    pairs: list[tuple[BookTrade | None, BookTrade | None]] = [
        (ours.pop(lot), theirs.pop(lot)) for lot in sorted(set(ours) & set(theirs))
    ]
    for lot in sorted(ours):
        near = [other for other in theirs if other[0] == lot[0] and _gap(lot, other) is not None]
        best = min(near, key=lambda other: (_gap(lot, other) or 0, other), default=None)
        pairs.append((ours[lot], theirs.pop(best) if best else None))
    pairs += [(None, theirs[lot]) for lot in sorted(theirs)]
    return tuple(pairs)


def _gap(one: Lot, other: Lot) -> int | None:
    """Sessions between two entries; None beyond what a delay explains."""
    first, last = sorted((one[1], other[1]))
    sessions = len(sessions_between(first, last)) - 1
    return sessions if sessions <= _NEAR_SESSIONS else None


@dataclass(frozen=True, slots=True)
class _Row:
    """A matched pair, or a lot that only the backtests know."""

    lot: Lot
    live: BookTrade | None
    replay: BookTrade | None


def _rows(
    live: TradeBook, replay: TradeBook, registered: TradeBook, revised: TradeBook
) -> list[_Row]:
    rows = []
    for ours, theirs in match_trades(live.trades, replay.trades):
        named = theirs or ours
        if named is not None:
            rows.append(_Row(named.lot, ours, theirs))
    known = {row.lot for row in rows}
    others = {trade.lot for book in (registered, revised) for trade in book.trades} - known
    rows += [_Row(lot, None, None) for lot in others]
    return sorted(rows, key=lambda row: (row.lot[1], row.lot[0]))


# ----------------------------------------------------------------------------------------- parts


def _attributed(
    row: _Row,
    profits: Sequence[Mapping[Lot, Decimal]],
    revised: TradeBook,
    causes: Mapping[Lot, str],
) -> TradeAttribution:
    in_replay, in_registered, in_revised = (book.get(row.lot, NOTHING) for book in profits)
    lived = row.live.profit_usd if row.live else NOTHING
    parts = [
        Part(RULE_CHANGE, in_replay - in_registered),
        Part(DATA_REVISION, in_registered - in_revised),
    ]
    executed, rest = _execution_parts(row, lived - in_replay, causes)
    backtest = next((trade for trade in revised.trades if trade.lot == row.lot), None)
    return TradeAttribution(
        row.lot[0],
        row.lot[1],
        row.live,
        backtest,
        lived - in_revised,
        tuple(part for part in (*executed, *parts) if part.usd),
        rest,
    )


def _execution_parts(
    row: _Row, difference: Decimal, causes: Mapping[Lot, str]
) -> tuple[tuple[Part, ...], Decimal]:
    if row.live is not None and row.replay is not None:
        return _to_the_cent(_pair_parts(row.live, row.replay), difference)
    if row.live is None and row.replay is None:
        return (), NOTHING
    cause = EXTRA if row.replay is None else MISSED
    detail = causes.get(row.lot, "no guard or fault is on record")
    return (Part(cause, difference, detail),), NOTHING


def _pair_parts(live: BookTrade, model: BookTrade) -> list[Part]:
    """The exact parts: the model's trade becomes the live one, one quantity at a time."""
    size = (live.shares - model.shares) * (model.exit_price - model.entry_price)
    entry = live.shares * (model.entry_price - live.entry_price)
    leaving = live.shares * (live.exit_price - model.exit_price)
    entered_late = live.entry_session != model.entry_session
    moved = live.basis_changed or model.basis_changed
    paid = live.dividends_usd - model.dividends_usd
    beside = live.beside_prices_usd - model.beside_prices_usd if moved else paid
    return [
        Part(SIZE, size, f"{live.shares} against {model.shares} shares"),
        Part(
            TIMING if entered_late else ENTRY_PRICE,
            entry,
            f"entered {live.entry_session} at {live.entry_price.normalize():f} against "
            f"{model.entry_session} at {model.entry_price.normalize():f}",
        ),
        Part(
            _exit_cause(live, model),
            leaving,
            f"left {_exit_text(live)} against {_exit_text(model)}",
        ),
        Part(DIVIDENDS_SPLITS, beside),
        Part(FEES, model.fees_usd - live.fees_usd),
    ]


def _exit_text(trade: BookTrade) -> str:
    return f"{trade.exit_session} at {trade.exit_price.normalize():f} ({trade.exit_reason})"


def _exit_cause(live: BookTrade, model: BookTrade) -> str:
    left = (live.exit_reason == END_OF_DATA, model.exit_reason == END_OF_DATA)
    if live.exit_session != model.exit_session or left[0] != left[1]:
        return TIMING
    if PROTECTIVE_STOP in (live.exit_reason, model.exit_reason):
        return STOP_FILL
    return EXIT_PRICE


def _to_the_cent(exact: Sequence[Part], difference: Decimal) -> tuple[tuple[Part, ...], Decimal]:
    """Parts in cents with the difference as their sum; a remainder beyond rounding is the rest."""
    rounded = [part.usd.quantize(CENT, ROUND_HALF_EVEN) for part in exact]
    rest = difference - sum((part.usd for part in exact), NOTHING)
    largest = max(range(len(exact)), key=lambda at: abs(exact[at].usd))
    unexplained = NOTHING if abs(rest) < _ROUNDING else rest.quantize(CENT, ROUND_HALF_EVEN)
    rounded[largest] += difference - unexplained - sum(rounded, NOTHING)
    parts = tuple(
        Part(part.cause, usd, part.detail) for part, usd in zip(exact, rounded, strict=True)
    )
    return tuple(part for part in parts if part.usd), unexplained


# ------------------------------------------------------------------------------------ conversion


def modelled_trade(trade: ClosedTrade) -> BookTrade:
    """A simulated trade as this module reads it."""
    entry, leaving = (Decimal(repr(price)) for price in (trade.entry_price, trade.exit_price))
    profit = Decimal(repr(trade.pnl_usd)).quantize(CENT, ROUND_HALF_EVEN)
    by_prices = trade.shares * (leaving - entry)
    return BookTrade(
        trade.ticker,
        trade.entry_session,
        entry,
        trade.shares,
        trade.exit_session,
        leaving,
        trade.exit_reason,
        profit,
        basis_changed=abs(profit - by_prices) > CENT,
    )
