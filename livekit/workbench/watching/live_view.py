"""Phases and orders of a session as they move, for a notebook or a terminal that watches.

The executor is a process of its own, so the watching side reads the database and asks nobody else.
Reading needs no lock. A run that nobody watches shows the state at the end only.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from IPython.display import publish_display_data

from livekit.errors import LivekitError
from livekit.model import ENTRY, EXIT, STOP, Order
from livekit.sessions import exchange_time
from livekit.state import Run, StateDB
from livekit.workbench.tables import NOTHING, Column, Row, Table, Tone, price, to_html, to_text

__all__ = ["LiveView", "Progress", "progress_tables", "read_progress", "terminal_view"]

RENEWALS_A_SECOND = 2
_TONES: dict[str, Tone] = {"running": "warn", "failed": "bad"}
_KINDS = ((EXIT, "sells"), (ENTRY, "buys"))


@dataclass(frozen=True, slots=True)
class Progress:
    """The runs of a session, the latest attempt of each phase, and its orders."""

    session: date
    runs: tuple[Run, ...]
    orders: tuple[Order, ...]


def read_progress(db: StateDB, session: date, *, own_run: int = 0) -> Progress:
    """What the database says of a session now, the run that asks left out."""
    runs = db.get_runs(session=session)
    latest = {run.phase: run for run in runs if run.run_id != own_run}
    return Progress(session, tuple(latest.values()), tuple(db.get_orders(trade_date=session)))


def progress_tables(progress: Progress) -> tuple[Table, Table]:
    """The phases that have begun, and the orders in the sequence in which they were intended."""
    return _phases_table(progress), _orders_table(progress)


def _phases_table(progress: Progress) -> Table:
    columns = (Column("phase"), Column("state"), Column("from"), Column("to"), Column("orders"))
    rows = tuple(_phase_row(run, progress.orders) for run in progress.runs)
    return Table(f"Progress of {progress.session}", columns, rows)


def _phase_row(run: Run, orders: Sequence[Order]) -> Row:
    state = run.status if run.exit_code in (None, 0) else f"{run.status}, exit {run.exit_code}"
    ended = f"{exchange_time(run.finished_at):%H:%M:%S}" if run.finished_at else NOTHING
    sent = _counted(orders) if run.phase == "executor" else ""
    started = f"{exchange_time(run.started_at):%H:%M:%S}"
    return Row((run.phase, state, started, ended, sent), _TONES.get(run.status, ""))


def _counted(orders: Sequence[Order]) -> str:
    """``sells 1 of 1 filled, buys 2 of 3 filled, stops at work: 2``."""
    parts = []
    for intent, name in _KINDS:
        chosen = [order for order in orders if order.intent == intent]
        filled = sum(order.filled_qty >= order.quantity for order in chosen)
        parts += [f"{name} {filled} of {len(chosen)} filled"] if chosen else []
    stops = sum(order.intent == STOP and order.status in ("new", "held") for order in orders)
    return ", ".join(parts + ([f"stops at work: {stops}"] if stops else [])) or NOTHING


def _orders_table(progress: Progress) -> Table:
    columns = (
        Column("order"),
        Column("shares", number=True),
        Column("filled", number=True),
        Column("at, USD", number=True),
        Column("state"),
        Column("why"),
    )
    rows = tuple(
        Row(
            (
                f"{order.side} {order.ticker}",
                str(order.quantity),
                str(order.filled_qty),
                price(order.filled_avg_price),
                order.status if order.outcome == "confirmed" else order.outcome,
                order.intent if order.intent == STOP else order.reason,
            ),
            "bad" if order.outcome in ("refused", "denied", "unknown") else "",
        )
        for order in progress.orders
    )
    return Table(f"Orders of {progress.session}", columns, rows)


# -------------------------------------------------------------------------------------- notebook


class LiveView:
    """A session's progress in a notebook's cell: renewed in place while ``is_watched``."""

    def __init__(self, db: StateDB, session: date, *, is_watched: bool, own_run: int = 0) -> None:
        self._db = db
        self._own_run = own_run
        self._session = session
        self._is_watched = is_watched
        self._name = secrets.token_hex(8)
        self._shown: Progress | None = None

    def renew(self) -> None:
        """Show what has changed, if somebody watches."""
        if self._is_watched:
            self._show()

    def finish(self) -> None:
        """Show the state at the end; to nobody in particular without the orders, told elsewhere."""
        self._show()

    def _show(self) -> None:
        progress = read_progress(self._db, self._session, own_run=self._own_run)
        if progress == self._shown:
            return
        phases, orders = progress_tables(progress)
        tables = (phases, orders) if self._is_watched else (phases,)
        publish_display_data(
            {
                "text/html": "".join(map(to_html, tables)),
                "text/plain": "\n".join(map(to_text, tables)),
            },
            transient={"display_id": self._name},
            update=self._shown is not None,
        )
        self._shown = progress


# -------------------------------------------------------------------------------------- terminal


@contextmanager
def terminal_view(state_db: Path, session: date | None) -> Iterator[None]:
    """Show progress in the terminal for the length of the block; nothing where there is none.

    Without a ``session`` it is that of the first run that begins meanwhile. The view vanishes at
    the end: what remains is the summary that the command prints.
    """
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.live import Live  # noqa: PLC0415

    console = Console(emoji=False, highlight=False)
    if not console.is_terminal or not state_db.exists():
        yield
        return
    with StateDB(state_db) as db:
        text = _newest_text(db, session)
        with Live(
            get_renderable=text,
            console=console,
            transient=True,
            refresh_per_second=RENEWALS_A_SECOND,
        ):
            yield


def _newest_text(db: StateDB, session: date | None) -> Callable[[], str]:
    before = len(db.get_runs())

    def text() -> str:
        try:
            begun = db.get_runs()[before:]
            day = session or (begun[-1].session if begun else None)
            if day is None:
                return "waiting for the first phase"
            return "\n\n".join(map(to_text, progress_tables(read_progress(db, day))))
        except LivekitError as error:
            return f"progress cannot be read: {error}"

    return text
