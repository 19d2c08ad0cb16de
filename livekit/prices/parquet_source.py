"""Daily bars from one parquet file, read once and checked as a whole.

Columns: ``ticker`` (text), ``session`` (date or timestamp), ``open``, ``high``, ``low``, ``close``
(USD as traded), ``adj_close`` (USD, adjusted for splits and dividends), ``volume`` (shares),
``dividend_usd`` (on the ex-date), ``split_ratio`` (new shares per old on its ex-date, 1.0 = none).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from livekit.errors import BadInput
from livekit.model import DailyBars, FloatArray, SessionArray
from livekit.prices.packaged import demo_prices_path

__all__ = ["PRICE_COLUMNS", "ParquetPriceSource"]

FLOAT_COLUMNS = (
    "open",
    "high",
    "low",
    "close",
    "adj_close",
    "volume",
    "dividend_usd",
    "split_ratio",
)
PRICE_COLUMNS = ("ticker", "session", *FLOAT_COLUMNS)

Flags = npt.NDArray[np.bool_]


class ParquetPriceSource:
    """A `PriceSource` over a file; ``path=None`` is the packaged demo file.

    The file is read and checked when the object is made; afterwards every question is answered
    with read-only views. Raises `BadInput` when the file is absent, is no parquet, lacks a column,
    or has a row that cannot be a bar (null, not finite, not positive, low above high, a session
    given twice).
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or demo_prices_path()
        self._bars = _bars_by_ticker(self.path)

    @property
    def tickers(self) -> tuple[str, ...]:
        """Every ticker of the file, in alphabetical order."""
        return tuple(self._bars)

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """Bars of ``tickers`` from ``first`` to ``last``; tickers without any are absent."""
        begin, end = np.datetime64(first, "D"), np.datetime64(last, "D")
        found: dict[str, DailyBars] = {}
        for ticker in tickers:
            bars = self._bars.get(ticker)
            if bars is None:
                continue
            start = int(np.searchsorted(bars.sessions, begin, side="left"))
            stop = int(np.searchsorted(bars.sessions, end, side="right"))
            if start < stop:
                found[ticker] = bars.sliced(start, stop)
        return found


def _bars_by_ticker(path: Path) -> dict[str, DailyBars]:
    table = _read(path)
    names = table["ticker"].combine_chunks()
    codes, tickers = names.indices.to_numpy(), names.dictionary.to_pylist()
    sessions: SessionArray = table["session"].to_numpy()
    order = np.lexsort((sessions, codes))
    codes, sessions = codes[order], sessions[order]
    floats = {name: table[name].to_numpy()[order] for name in FLOAT_COLUMNS}
    for bad, problem in _problems(codes, sessions, floats):
        if bad.any():
            row = int(np.argmax(bad))
            raise BadInput(path, f"{tickers[codes[row]]} on {sessions[row]}: {problem}")
    for values in (sessions, *floats.values()):
        values.flags.writeable = False
    bounds = np.searchsorted(codes, np.arange(len(tickers) + 1))
    return {
        ticker: _one_ticker(ticker, slice(bounds[code], bounds[code + 1]), sessions, floats)
        for ticker, code in sorted((ticker, code) for code, ticker in enumerate(tickers))
    }


def _one_ticker(
    ticker: str, rows: slice, sessions: SessionArray, floats: dict[str, FloatArray]
) -> DailyBars:
    return DailyBars(ticker, sessions[rows], *(floats[name][rows] for name in FLOAT_COLUMNS))


def _read(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in PRICE_COLUMNS if name not in file.schema_arrow.names]
            if missing:
                raise BadInput(path, f"price file lacks the columns {', '.join(missing)}")
            table = file.read(columns=list(PRICE_COLUMNS)).cast(_SCHEMA)
    except OSError as error:
        raise BadInput(path, f"price file cannot be read ({error.strerror or error})") from error
    except pa.ArrowException as error:
        raise BadInput(path, f"price file is not usable parquet ({error})") from error
    if any(column.null_count for column in table.columns):
        raise BadInput(path, "price file has empty cells")
    return table


_SCHEMA = pa.schema(
    [
        ("ticker", pa.dictionary(pa.int32(), pa.string())),
        ("session", pa.date32()),
        *((name, pa.float64()) for name in FLOAT_COLUMNS),
    ]
)


def _problems(
    codes: npt.NDArray[np.int32], sessions: SessionArray, floats: dict[str, FloatArray]
) -> list[tuple[Flags, str]]:
    """Per kind of fault: which rows have it, and what to say of the first one."""
    prices = [floats[name] for name in ("open", "high", "low", "close", "adj_close")]
    everything = np.stack(tuple(floats.values()))
    again = np.zeros(len(codes), dtype=bool)
    again[1:] = (codes[1:] == codes[:-1]) & (sessions[1:] == sessions[:-1])
    low_too_high = floats["low"] > np.minimum(floats["open"], floats["close"])
    high_too_low = floats["high"] < np.maximum(floats["open"], floats["close"])
    return [
        (again, "more than one bar"),
        (~np.isfinite(everything).all(axis=0), "a value is not finite"),
        (np.min(prices, axis=0) <= 0, "a price is not above 0"),
        (low_too_high | high_too_low, "open or close outside low to high"),
        ((floats["volume"] < 0) | (floats["dividend_usd"] < 0), "negative volume or dividend"),
        (floats["split_ratio"] <= 0, "split ratio not above 0"),
    ]
