"""Make the packaged demo data from the two full files: ``python -m livekit.prices.demo_data``.

The choice is made with what was known before the demo quarter began, so that it looks at no
outcome of the demo: of the tickers that have a bar on every session from 2018-11-26 to 2020-03-31
and at least one earnings filing before 2020, the 200 with the largest median dollar volume
(close × volume) over calendar 2019. That a bar exists on every session to the end of the demo is
the one thing taken from later; the full files hold only companies that were in the S&P 500 in
spring 2021, which is a bias of its own (see ``livekit/data/README.md``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from livekit.errors import BadInput
from livekit.model import DailyBars
from livekit.prices.packaged import demo_earnings_path, demo_prices_path
from livekit.prices.parquet_source import PRICE_COLUMNS, ParquetPriceSource
from livekit.sessions import sessions_between

__all__ = ["choose_tickers", "main", "make_demo_data"]

FIRST, LAST = date(2018, 11, 26), date(2020, 3, 31)
RANKED_FROM, RANKED_TO = date(2019, 1, 1), date(2019, 12, 31)
DEMO_TICKERS = 200
SOURCE_PRICES = "prices_2014_2021.parquet"
SOURCE_EARNINGS = "earnings_dates_2014_2021.csv"
ZSTD_LEVEL = 19

Filing = tuple[str, date]


def choose_tickers(
    prices: ParquetPriceSource, filings: Iterable[Filing], count: int = DEMO_TICKERS
) -> tuple[str, ...]:
    """The ``count`` most traded tickers that qualify, in alphabetical order (rule: module text)."""
    filed = {ticker for ticker, day in filings if day <= RANKED_TO}
    complete = len(sessions_between(FIRST, LAST))
    bars = prices.daily_bars(sorted(filed), FIRST, LAST)
    volumes = {
        ticker: _median_dollar_volume(history)
        for ticker, history in bars.items()
        if len(history) == complete
    }
    ranked = sorted(volumes, key=lambda ticker: (-volumes[ticker], ticker))
    return tuple(sorted(ranked[:count]))


def _median_dollar_volume(bars: DailyBars) -> float:
    ranked = (bars.sessions >= np.datetime64(RANKED_FROM)) & (
        bars.sessions <= np.datetime64(RANKED_TO)
    )
    return float(np.median(bars.close[ranked] * bars.volume[ranked]))


def make_demo_data(source: Path, into: Path) -> tuple[int, int]:
    """Write both demo files into the folder ``into``; returns the numbers (tickers, filings).

    Raises `livekit.errors.BadInput` when a full file in ``source`` is absent or malformed.
    """
    filings = _read_filings(source / SOURCE_EARNINGS)
    tickers = choose_tickers(ParquetPriceSource(source / SOURCE_PRICES), filings)
    prices = _demo_prices(source / SOURCE_PRICES, tickers)
    pq.write_table(
        prices,
        into / demo_prices_path().name,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        row_group_size=len(prices),
    )
    kept = [(name, day) for name, day in filings if name in tickers and FIRST <= day <= LAST]
    rows = "".join(f"{ticker},{day}\n" for ticker, day in sorted(kept))
    (into / demo_earnings_path().name).write_text(f"ticker,filing_date\n{rows}", encoding="utf-8")
    return len(tickers), len(kept)


def _read_filings(path: Path) -> list[Filing]:
    types = {"ticker": pa.string(), "filing_date": pa.date32()}
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))
    except (OSError, pa.ArrowException) as error:
        raise BadInput(path, f"earnings file cannot be read ({error})") from error
    if set(table.column_names) != set(types):
        raise BadInput(path, f"earnings file must have the columns {', '.join(types)}")
    return list(zip(*(table[name].to_pylist() for name in types), strict=True))


def _demo_prices(path: Path, tickers: tuple[str, ...]) -> pa.Table:
    """The chosen rows with the source's own columns and types, oldest first within a ticker."""
    table = pq.read_table(path, columns=list(PRICE_COLUMNS)).replace_schema_metadata(None)
    session = pc.cast(table["session"], pa.date32())
    chosen = pc.is_in(pc.cast(table["ticker"], pa.string()), value_set=pa.array(tickers))
    days = pc.and_(pc.greater_equal(session, pa.scalar(FIRST)), pc.less_equal(session, LAST))
    rows = table.filter(pc.and_(chosen, days))
    rows = rows.set_column(0, "ticker", pc.cast(rows["ticker"], pa.string()))
    rows = rows.sort_by([("ticker", "ascending"), ("session", "ascending")])
    category = pa.dictionary(pa.int16(), pa.string())
    return rows.set_column(0, "ticker", rows["ticker"].combine_chunks().cast(category))


def main(arguments: list[str] | None = None) -> int:
    """Entry point; prints what was written and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m livekit.prices.demo_data", description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of the two full files")
    parser.add_argument(
        "--into", type=Path, default=demo_prices_path().parent, help="output folder"
    )
    given = parser.parse_args(arguments)
    try:
        tickers, filings = make_demo_data(given.source, given.into)
    except BadInput as error:
        sys.stderr.write(f"{error.operator_line()}\n")
        return error.exit_code
    sys.stdout.write(f"{tickers} tickers and {filings} filings written to {given.into}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
