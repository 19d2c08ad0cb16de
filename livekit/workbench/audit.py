"""The audit: do the venue's file and the state file tell the same story?

It opens the two SQLite files read-only, with no other part of the program in between, and compares
fills, positions and cash to the cent; cover is computed from the venue's event log at every event.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from livekit.broker.venue.ledger import LedgerFill, UncoveredInterval, read_ledger
from livekit.errors import StateUnusable

__all__ = ["Audit", "StateBook", "audit_files", "digest", "read_state_book"]

CENT = Decimal("0.01")
COVER_LIMIT_S = 10.0

_DIGESTED = (
    ("fills", "SELECT activity_id, client_order_id, ticker, side, quantity, price, at FROM fills"),
    (
        "positions",
        "SELECT ticker, entry_date, entry_price, actual_shares, sold_shares, stop_price, status,"
        " exit_date, exit_price, exit_reason, pnl FROM positions",
    ),
    ("decisions", "SELECT strategy, session, sha256 FROM plans"),
    ("equity", "SELECT session, book, cash, equity, realised, unrealised FROM equity"),
)


@dataclass(frozen=True, slots=True)
class StateFill:
    """A fill as the state database has it."""

    activity_id: str
    ticker: str
    side: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class StateBook:
    """Fills, share counts and baseline cash read from a state database."""

    fills: tuple[StateFill, ...]
    shares: dict[str, Decimal]
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


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    if not path.is_file():
        raise StateUnusable(path, "is absent")
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.Error as error:
        raise StateUnusable(path, f"cannot be read ({error})") from error
    finally:
        connection.close()


def read_state_book(path: Path) -> StateBook:
    """Read our side from the state database alone."""
    fills = tuple(
        StateFill(str(row[0]), str(row[1]), str(row[2]), Decimal(str(row[3])), Decimal(str(row[4])))
        for row in _rows(path, "SELECT activity_id, ticker, side, quantity, price FROM fills")
    )
    query = (
        "SELECT ticker, actual_shares - sold_shares, split_factor FROM positions"
        " WHERE status = 'open'"
    )
    shares = {
        str(ticker): Decimal(int(float(str(count)) * float(str(factor)) + 1e-9))
        for ticker, count, factor in _rows(path, query)
    }
    query = "SELECT value FROM system_config WHERE key = 'baseline_cash_usd'"
    cash = [Decimal(str(value)) for (value,) in _rows(path, query)]
    return StateBook(fills, shares, cash[0] if cash else Decimal(0))


def audit_files(venue_db: Path, state_db: Path) -> Audit:
    """Compare the venue's file with the state file; raises `StateUnusable` when one is unreadable."""
    ours = read_state_book(state_db)
    theirs = read_ledger(venue_db)
    booked_cash = ours.baseline_cash + sum((_cash_flow(fill) for fill in ours.fills), Decimal(0))
    differences = (
        *_fill_differences(theirs.fills, ours.fills),
        *_share_differences(theirs.positions, ours.shares, "position"),
        *_share_differences(_shares_from(ours.fills), ours.shares, "position by our own fills"),
        *_cash_differences(theirs.cash, booked_cash),
    )
    return Audit(
        fills=len(theirs.fills),
        positions=len(theirs.positions),
        cash_usd=theirs.cash,
        differences=tuple(differences),
        uncovered=theirs.uncovered,
        worst_uncovered_s=max((item.seconds for item in theirs.uncovered), default=0.0),
    )


def _cash_flow(fill: StateFill) -> Decimal:
    return fill.quantity * fill.price * (1 if fill.side == "sell" else -1)


def _shares_from(fills: Iterable[StateFill]) -> dict[str, Decimal]:
    held: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        held[fill.ticker] += fill.quantity * (1 if fill.side == "buy" else -1)
    return {ticker: count for ticker, count in held.items() if count}


def _fill_differences(theirs: Sequence[LedgerFill], ours: Sequence[StateFill]) -> list[str]:
    shown = {
        item.activity_id: (item.ticker, item.side, item.quantity, item.price) for item in theirs
    }
    booked = {
        item.activity_id: (item.ticker, item.side, item.quantity, item.price) for item in ours
    }
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


def _share_differences(
    theirs: dict[str, Decimal], ours: dict[str, Decimal], what: str
) -> list[str]:
    return [
        f"{what} {ticker}: {theirs.get(ticker, 0)} against our {ours.get(ticker, 0)}"
        for ticker in sorted(set(theirs) | set(ours))
        if theirs.get(ticker, Decimal(0)) != ours.get(ticker, Decimal(0))
    ]


def _cash_differences(theirs: Decimal, ours: Decimal) -> list[str]:
    if theirs.quantize(CENT) == ours.quantize(CENT):
        return []
    return [f"cash: the venue has {theirs:.2f} USD, our fills give {ours:.2f} USD"]


def digest(state_db: Path) -> str:
    """One hash over fills, positions, decisions and equity of a state database."""
    content = {
        name: sorted(json.dumps(row) for row in _rows(state_db, query)) for name, query in _DIGESTED
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
