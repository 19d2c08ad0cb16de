"""Values that the workbench tests show: real prices of the demo, made-up positions on them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import nbformat
import numpy as np

from livekit.model import (
    Candidate,
    DailyBars,
    FloatArray,
    Plan,
    PlannedOrder,
    Position,
    Skip,
    WeeklyBars,
)
from livekit.prices import ParquetPriceSource
from livekit.strategy.weekly_bars import (
    aggregate_daily_to_weekly,
    compute_weekly_ema,
    compute_weekly_nweek_low,
)
from livekit.workbench.archiving.page import PageHeader
from livekit.workbench.day_tables import Cover
from livekit.workbench.series import Curve
from livekit.workbench.show import PositionView

SESSION = date(2020, 1, 30)
FIRST_DAY = date(2018, 11, 26)
EVIL_NAME = '</script><img src=x onerror="alert(1)"><a href="https://evil.example">&amp;'


@cache
def _source() -> ParquetPriceSource:
    return ParquetPriceSource()


def demo_bars(count: int) -> list[DailyBars]:
    """Bars of the first ``count`` tickers of the demo up to the session."""
    tickers = _source().tickers[:count]
    return list(_source().daily_bars(tickers, FIRST_DAY, SESSION).values())


def indicators(bars: DailyBars) -> tuple[WeeklyBars, FloatArray, FloatArray]:
    weekly = aggregate_daily_to_weekly(bars)
    return weekly, compute_weekly_ema(weekly.close, 10), compute_weekly_nweek_low(weekly.low, 4)


def candidate(ticker: str, **changes: object) -> Candidate:
    fields = {
        "ticker": ticker,
        "report_date": SESSION,
        "grade": "B",
        "score": 72.5,
        "price": Decimal("100.00"),
        "gap_size": 4.2,
        "company_name": f"{ticker} Incorporated",
    }
    return Candidate(**(fields | changes))


def position(ticker: str, entry: date, price: str, shares: int, **changes: object) -> Position:
    entry_price = Decimal(price)
    fields = {
        "ticker": ticker,
        "entry_date": entry,
        "entry_price": entry_price,
        "target_shares": shares,
        "actual_shares": shares,
        "invested": entry_price * shares,
        "stop_price": (entry_price * Decimal("0.9")).quantize(Decimal("0.01")),
        "stop_order_id": "stop-1",
        "candidate": candidate(ticker),
    }
    return Position(**(fields | changes))


def position_views(count: int) -> list[PositionView]:
    """Positions entered 30 sessions ago at the open, the first of them with a hostile name."""
    views = []
    for number, bars in enumerate(demo_bars(count)):
        ticker = bars.ticker
        entry = bars.sessions[-30].item()
        price = f"{bars.open[-30]:.2f}"
        name = EVIL_NAME if number == 0 else f"{ticker} Incorporated"
        held = position(ticker, entry, price, 100, candidate=candidate(ticker, company_name=name))
        cover = Cover(ticker, 100, "stop", held.stop_price)
        views.append(PositionView(held, bars, *indicators(bars), cover))
    return views


def plan() -> Plan:
    leaving = PlannedOrder("AAL", "exit", "sell", 350, "trend_break", decided=date(2020, 1, 24))
    entering = PlannedOrder(
        "MSFT",
        "entry",
        "buy",
        58,
        "candidate",
        Decimal("172.21"),
        Decimal("154.98"),
        candidate=candidate("MSFT", company_name=EVIL_NAME),
    )
    skipped = Skip(candidate("T", score=None), "capacity_full", "weakest is AAL with -312.20 USD")
    expires = datetime(2020, 1, 30, 14, 35, tzinfo=UTC)
    return Plan("ema_p10", SESSION, (leaving, entering), (skipped,), expires, "a" * 64, "{}")


def curve(name: str, sessions: tuple[date, ...], pnl: list[float]) -> Curve:
    return Curve(name, sessions, np.array(pnl))


def header(**changes: object) -> PageHeader:
    fields = {
        "phase": "signals",
        "session": SESSION,
        "attempt": 1,
        "run_id": 17,
        "profile": "demo",
        "status": "done",
        "exit_code": 0,
        "simulated": True,
    }
    return PageHeader(**(fields | changes))


KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PARAMETERS = (
    'session: str = "2020-01-30"  # XNYS session\n'
    "positions: int = 2  # how many\n"
    "share: float = 0.5  # of one\n"
    "quick: bool = True  # or slow"
)


def notebook(*cells: str, parameters: str = PARAMETERS) -> nbformat.NotebookNode:
    """A notebook of a title, a parameter cell and code cells."""
    tagged = nbformat.v4.new_code_cell(parameters)
    tagged.metadata.tags = ["parameters"]
    made = nbformat.v4.new_notebook(metadata=KERNEL)
    made.cells = [
        nbformat.v4.new_markdown_cell("# Signals\n\nWhat the books want."),
        tagged,
        *(nbformat.v4.new_code_cell(source) for source in cells),
    ]
    return made


def written(made: nbformat.NotebookNode, path: Path) -> Path:
    nbformat.write(made, path)
    return path


def with_output(made: nbformat.NotebookNode, *bundles: dict[str, object]) -> nbformat.NotebookNode:
    """The notebook with one more cell whose outputs are the given mimebundles."""
    cell = nbformat.v4.new_code_cell("shown")
    cell.outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in bundles]
    made.cells.append(cell)
    return made
