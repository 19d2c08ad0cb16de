"""How far the last close stands from each level that would end a position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from livekit.workbench.series import PriceView
from livekit.workbench.tables import Column, Row, Table, market_price, pct, usd

__all__ = ["DistanceRow", "distance_table", "position_distance_rows"]


@dataclass(frozen=True, slots=True)
class DistanceRow:
    """How far the last close stands above one level (below it: negative); USD and percent."""

    level: str
    price: float
    distance_usd: float
    distance_pct: float
    position_usd: float


def position_distance_rows(
    view: PriceView, *, stop_price: float, shares: int, entry_price: float | None = None
) -> tuple[DistanceRow, ...]:
    """Distance of the last close to the protective stop, both weekly indicators and the entry.

    ``stop_price`` and ``entry_price`` are on the basis of the last session, ``distance_pct`` is a
    percentage of the last close, ``position_usd`` is the distance times ``shares``. An indicator
    that is not defined yet has no row.
    """
    levels = [("protective stop", stop_price), *_indicator_levels(view)]
    if entry_price is not None:
        levels.append(("entry", entry_price))
    return tuple(_distance(view.last_close, name, level, shares) for name, level in levels)


def _indicator_levels(view: PriceView) -> list[tuple[str, float]]:
    pairs = ((view.ema_name, view.ema), (view.nwl_name, view.nwl))
    return [
        (name, float(values[-1]))
        for name, values in pairs
        if len(values) and not math.isnan(values[-1])
    ]


def _distance(close: float, name: str, level: float, shares: int) -> DistanceRow:
    gap = close - level
    return DistanceRow(name, level, gap, gap / close * 100.0, gap * shares)


def distance_table(ticker: str, rows: Sequence[DistanceRow], close: float) -> Table:
    """The distances of one position; a close below a level is named so."""
    columns = (
        Column("level"),
        Column("USD", number=True),
        Column("distance, USD", number=True),
        Column("distance", number=True),
        Column("for the position, USD", number=True),
    )
    return Table(
        f"{ticker}: last close {market_price(close)} against each level",
        columns,
        tuple(_distance_row(row) for row in rows),
    )


def _distance_row(row: DistanceRow) -> Row:
    below = row.distance_usd < 0
    name = f"{row.level} (close is below)" if below else row.level
    cells = (
        name,
        market_price(row.price),
        usd(row.distance_usd, signed=True),
        pct(row.distance_pct),
        usd(row.position_usd, signed=True),
    )
    return Row(cells, "warn" if below and row.level != "entry" else "")
