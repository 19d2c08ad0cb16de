"""Daily bars from a parquet file, by ticker, and the day's fixed instants."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from livekit.errors import BadInput
from livekit.model import DailyBars, FloatArray
from livekit.sessions import EXCHANGE_ZONE, close_instant, open_instant
from livekit.strategy.rules import snap_split_ratio

__all__ = ["DayTimes", "Listing", "PriceHistory", "clean_ratio", "day_times"]

PRICE_COLUMNS = (
    "open",
    "high",
    "low",
    "close",
    "adj_close",
    "volume",
    "dividend_usd",
    "split_ratio",
)


def clean_ratio(ratio: float) -> Fraction | None:
    """The split that ``ratio`` (new shares per old) stands for, or None.

    1 is none, and a ratio that is no clean split is a spin-off, which moves no shares.
    """
    snapped = snap_split_ratio(ratio)
    if math.isnan(snapped) or snapped == 1.0:
        return None
    return Fraction(snapped).limit_denominator(10)


@dataclass(frozen=True, slots=True)
class DayTimes:
    """The instants of a session at which something happens (UTC).

    The path of a ticker's price is a step function: its open from ``open``, its low from ``low``
    (a third into the session), its high from ``high`` (two thirds), its close from ``close``. The
    low before the high is the pessimistic order for a holder with a stop.
    """

    session: date
    dawn: datetime
    stamped: datetime
    open: datetime
    low: datetime
    high: datetime
    close: datetime
    ageing: datetime


@cache
def day_times(session: date) -> DayTimes:
    """The instants of ``session``: 04:00, 08:00 and 16:15 in New York, the rest by the calendar."""

    def at(hour: int, minute: int = 0) -> datetime:
        local = datetime.combine(session, time(hour, minute), tzinfo=EXCHANGE_ZONE)
        return local.astimezone(opens.tzinfo)

    opens, closes = open_instant(session), close_instant(session)
    third = timedelta(seconds=(closes - opens).total_seconds() / 3)
    low, high = opens + third, opens + 2 * third
    return DayTimes(session, at(4), at(8), opens, low, high, closes, at(16, 15))


@dataclass(frozen=True, slots=True)
class Listing:
    """When a symbol exists.

    It trades from ``first`` on (``from_dawn``: from 04:00 of that day) until the dawn of ``ended``.
    After that the symbol is unknown, or, where ``stays_known``, an inactive asset. ``asset`` is the
    first symbol of the same asset.
    """

    first: date
    asset: str
    from_dawn: bool = False
    ended: date | None = None
    stays_known: bool = True


class PriceHistory:
    """The daily bars of all tickers of a venue; ``sha256`` names their content.

    ``listings`` tells of symbols that do not exist for as long as they have bars.
    """

    def __init__(
        self,
        bars: Mapping[str, DailyBars],
        sha256: str,
        listings: Mapping[str, Listing] | None = None,
    ) -> None:
        self._bars = dict(sorted(bars.items()))
        self._listings: dict[str, Listing] = {
            ticker: Listing(one.sessions[0].astype(object), ticker)
            for ticker, one in bars.items()
            if len(one)
        }
        self._listings |= listings or {}
        self.sha256 = sha256

    def __iter__(self) -> Iterator[str]:
        return iter(self._bars)

    def __contains__(self, ticker: object) -> bool:
        return ticker in self._bars

    def bars(self, ticker: str) -> DailyBars:
        """All bars of ``ticker``; the caller must not look beyond the clock."""
        return self._bars[ticker]

    def listing(self, ticker: str) -> Listing | None:
        """When ``ticker`` exists; None for a symbol that never does."""
        return self._listings.get(ticker)

    @classmethod
    def from_parquet(cls, path: Path) -> PriceHistory:
        """Read a price file; raises `BadInput` if it is absent or lacks a column."""
        try:
            content = path.read_bytes()
            table = pq.read_table(pa.BufferReader(content))
            bars = _by_ticker(table)
        except OSError as error:
            raise BadInput(path, f"price file cannot be read ({error.strerror})") from error
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise BadInput(path, f"is not a price file ({error})") from error
        return cls(bars, hashlib.sha256(content).hexdigest())


def _by_ticker(table: pa.Table) -> dict[str, DailyBars]:
    coded = table["ticker"].cast(pa.string()).combine_chunks().dictionary_encode()
    names, codes = coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False)
    sessions = table["session"].cast(pa.date32()).to_numpy().astype("datetime64[D]")
    order = np.lexsort((sessions, codes))
    codes, sessions = codes[order], sessions[order]
    columns = [_floats(table[name])[order] for name in PRICE_COLUMNS]
    if not _plausible(dict(zip(PRICE_COLUMNS, columns, strict=True))):
        raise ValueError("a price is not a number above 0, or a volume or ratio makes no sense")
    edges = np.searchsorted(codes, np.arange(len(names) + 1))
    return {
        name: DailyBars(name, *(part[start:stop] for part in (sessions, *columns)))
        for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True)
    }


def _plausible(columns: Mapping[str, FloatArray]) -> bool:
    finite = all(bool(np.isfinite(column).all()) for column in columns.values())
    above_0 = ("open", "high", "low", "close", "adj_close", "split_ratio")
    return (
        finite
        and all(bool((columns[name] > 0).all()) for name in above_0)
        and bool((columns["volume"] >= 0).all())
    )


def _floats(column: pa.ChunkedArray) -> FloatArray:
    return np.asarray(column.to_numpy(), dtype=np.float64)
