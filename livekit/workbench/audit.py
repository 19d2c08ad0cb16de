"""The audit: do the venue's file and the state file tell the same story?

It opens the two SQLite files read-only, with no other part of the program in between, and compares
fills, positions and cash to the cent; cover is computed from the venue's event log at every event.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from livekit.broker.venue.ledger import (
    LedgerFill,
    UncoveredInterval,
    VenueLedger,
    read_ledger,
)
from livekit.errors import StateUnusable

__all__ = [
    "Audit",
    "StateBook",
    "audit_files",
    "audit_of",
    "digest",
    "digest_of",
    "read_state_book",
    "state_book_of",
]

CENT = Decimal("0.01")
COVER_LIMIT_S = 10.0

_DIGESTED = (
    (
        "fills",
        "SELECT activity_id, client_order_id, ticker, side, quantity, price, filled_at FROM fills",
    ),
    (
        "positions",
        (
            "SELECT ticker, entry_date, entry_price, actual_shares, sold_shares, stop_price,"
            " status, exit_date, exit_price, exit_reason, pnl FROM positions"
        ),
    ),
    ("decisions", "SELECT strategy, session, sha256 FROM plans"),
    ("equity", "SELECT session, book, cash, equity, realised, unrealised FROM equity"),
)


@dataclass(frozen=True, slots=True)
class StateFill:
    """A fill as the state database has it; ``of_split`` if a split changed its position's shares.

    What a split adds is told by no fill, so such fills do not sum to the shares held.
    """

    activity_id: str
    ticker: str
    side: str
    quantity: int
    price: Decimal
    of_split: bool = False


@dataclass(frozen=True, slots=True)
class StateBook:
    """Fills, share counts and baseline cash read from a state database.

    ``split`` names the open positions whose shares a split has changed since they were bought.
    """

    fills: tuple[StateFill, ...]
    shares: dict[str, int]
    split: frozenset[str]
    baseline_cash: Decimal


@dataclass(frozen=True, slots=True)
class Audit:
    """What the two files have in common and where they differ."""

    fills: int
    positions: int
    cash_usd: Decimal
    differences: tuple[str, ...]
    uncovered: tuple[UncoveredInterval, ...]
    worst_uncovered_s: float

    @property
    def exit_code(self) -> int:
        """7 when shares were uncovered for more than ten seconds, 4 on a difference, else 0."""
        if self.worst_uncovered_s > COVER_LIMIT_S:
            return 7
        return 4 if self.differences else 0


_FILLS = (
    "SELECT f.activity_id, f.ticker, f.side, f.quantity, f.price,"
    " coalesce(p.split_factor, 1.0) <> 1.0"
    " FROM fills f LEFT JOIN positions p ON p.position_id = f.position_id"
)
_HELD = (
    "SELECT ticker, actual_shares - sold_shares, split_factor, odd_shares_sold FROM positions"
    " WHERE status = 'open'"
)
_BASELINE_CASH = "SELECT value FROM system_config WHERE key = 'baseline_cash_usd'"


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StateUnusable(path, "is absent")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StateUnusable(path, f"cannot be read ({error})") from error


def read_state_book(path: Path) -> StateBook:
    """Read our side from the state database alone."""
    with _opened(path) as connection:
        return state_book_of(connection)


def state_book_of(connection: sqlite3.Connection) -> StateBook:
    """Read our side by a connection to the state database."""
    fills = tuple(
        StateFill(
            str(row[0]),
            str(row[1]),
            str(row[2]),
            int(str(row[3])),
            Decimal(str(row[4])),
            of_split=bool(row[5]),
        )
        for row in connection.execute(_FILLS)
    )
    rows = [
        (str(ticker), int(str(count)), float(str(factor)), int(str(odd)))
        for ticker, count, factor, odd in connection.execute(_HELD)
    ]
    shares = {ticker: int(count * factor + 1e-9) - odd for ticker, count, factor, odd in rows}
    split = frozenset(ticker for ticker, _, factor, _ in rows if factor != 1.0)
    cash = [Decimal(str(value)) for (value,) in connection.execute(_BASELINE_CASH)]
    return StateBook(fills, shares, split, cash[0] if cash else Decimal(0))


def audit_files(venue_db: Path, state_db: Path) -> Audit:
    """Compare the venue's file with the state file.

    Raises `BadInput` or `StateUnusable` when one cannot be read.
    """
    ours = read_state_book(state_db)
    return audit_of(read_ledger(venue_db), ours)


def audit_of(theirs: VenueLedger, ours: StateBook) -> Audit:
    """Compare what was read of the two sides."""
    booked_cash = ours.baseline_cash + sum((_cash_flow(fill) for fill in ours.fills), Decimal(0))
    uncovered = theirs.uncovered
    return Audit(
        fills=len(theirs.fills),
        positions=len(theirs.positions),
        cash_usd=theirs.cash,
        differences=(
            *_fill_differences(theirs.fills, ours.fills),
            *_share_differences(_whole(theirs.positions), ours.shares, "position"),
            *_share_differences(_shares_from(ours), ours.shares, "position by our own fills"),
            *_cash_differences(theirs.cash, booked_cash, "our fills give"),
            *_venue_differences(theirs),
        ),
        uncovered=uncovered,
        worst_uncovered_s=max((item.seconds for item in uncovered), default=0.0),
    )


def _venue_differences(theirs: VenueLedger) -> list[str]:
    """Differences inside the venue's file: its balances against its own log."""
    shares = _share_differences(
        _whole(theirs.positions), theirs.positions_from_log, "venue position against its log"
    )
    return shares + _cash_differences(theirs.cash, theirs.cash_from_log, "its own log gives")


def _whole(positions: Mapping[str, Decimal]) -> dict[str, int]:
    return {ticker: int(count) for ticker, count in positions.items() if count}


def _cash_flow(fill: StateFill) -> Decimal:
    return fill.quantity * fill.price * (1 if fill.side == "sell" else -1)


def _shares_from(ours: StateBook) -> dict[str, int]:
    """Shares as our fills leave them; a split position keeps its count, no fill tells of it."""
    held: dict[str, int] = defaultdict(int)
    for fill in ours.fills:
        if not fill.of_split:
            held[fill.ticker] += fill.quantity if fill.side == "buy" else -fill.quantity
    left = {ticker: count for ticker, count in held.items() if count}
    return left | {ticker: ours.shares[ticker] for ticker in ours.split}


def _fill_differences(theirs: Sequence[LedgerFill], ours: Sequence[StateFill]) -> list[str]:
    shown = {item.activity_id: _facts(item) for item in theirs}
    booked = {item.activity_id: _facts(item) for item in ours}
    texts = [
        f"fill {key} {shown[key]} is not in our book" for key in sorted(set(shown) - set(booked))
    ]
    texts += [
        f"fill {key} {booked[key]} is not the venue's" for key in sorted(set(booked) - set(shown))
    ]
    texts += [
        f"fill {key}: venue {shown[key]}, ours {booked[key]}"
        for key in sorted(set(shown) & set(booked))
        if shown[key] != booked[key]
    ]
    return texts


def _facts(fill: LedgerFill | StateFill) -> tuple[str, str, int, Decimal]:
    return fill.ticker, fill.side, int(fill.quantity), fill.price


def _share_differences(theirs: dict[str, int], ours: dict[str, int], what: str) -> list[str]:
    return [
        f"{what} {ticker}: {theirs.get(ticker, 0)} against our {ours.get(ticker, 0)}"
        for ticker in sorted(set(theirs) | set(ours))
        if theirs.get(ticker, 0) != ours.get(ticker, 0)
    ]


def _cash_differences(theirs: Decimal, ours: Decimal, says: str) -> list[str]:
    if theirs.quantize(CENT) == ours.quantize(CENT):
        return []
    return [f"cash: the venue has {theirs:.2f} USD, {says} {ours:.2f} USD"]


def digest(state_db: Path) -> str:
    """One hash over fills, positions, decisions and equity of a state database."""
    with _opened(state_db) as connection:
        return digest_of(connection)


def digest_of(connection: sqlite3.Connection) -> str:
    """The same by a connection to the state database."""
    content = {
        name: sorted(json.dumps(row) for row in connection.execute(query))
        for name, query in _DIGESTED
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
