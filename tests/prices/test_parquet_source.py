from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from livekit.errors import BadInput
from livekit.prices import ParquetPriceSource, PriceSource, demo_prices_path

COLUMNS: dict[str, list[Any]] = {
    "ticker": ["B", "A", "A"],
    "session": [date(2020, 1, 2), date(2020, 1, 3), date(2020, 1, 2)],
    "open": [10.0, 21.0, 20.0],
    "high": [12.0, 23.0, 22.0],
    "low": [9.0, 20.5, 19.0],
    "close": [11.0, 22.0, 21.0],
    "adj_close": [5.5, 22.0, 20.9],
    "volume": [100, 300, 200],
    "dividend_usd": [0.0, 0.1, 0.0],
    "split_ratio": [2.0, 1.0, 1.0],
}


def written(folder: Path, **changes: list[Any] | None) -> Path:
    """A price file of three rows with some columns replaced (None: left out)."""
    columns = {name: values for name, values in (COLUMNS | changes).items() if values is not None}
    path = folder / "prices.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_rows_in_any_order_come_out_oldest_first_by_ticker(tmp_path: Path) -> None:
    source: PriceSource = ParquetPriceSource(written(tmp_path))
    bars = source.daily_bars(["A", "B"], date(2020, 1, 1), date(2020, 1, 31))
    assert bars["A"].sessions.tolist() == [date(2020, 1, 2), date(2020, 1, 3)]
    assert bars["A"].close.tolist() == [21.0, 22.0]
    assert bars["A"].volume.tolist() == [200.0, 300.0]
    assert bars["B"].split_ratio.tolist() == [2.0]
    assert bars["B"].sessions.dtype == np.dtype("datetime64[D]")


def test_both_ends_of_the_range_are_included(tmp_path: Path) -> None:
    source = ParquetPriceSource(written(tmp_path))
    assert len(source.daily_bars(["A"], date(2020, 1, 2), date(2020, 1, 3))["A"]) == 2
    assert len(source.daily_bars(["A"], date(2020, 1, 3), date(2020, 1, 3))["A"]) == 1


def test_a_ticker_that_is_unknown_or_has_no_bar_in_the_range_is_absent(tmp_path: Path) -> None:
    source = ParquetPriceSource(written(tmp_path))
    assert source.daily_bars(["ZZZZ"], date(2020, 1, 1), date(2020, 1, 31)) == {}
    assert list(source.daily_bars(["A", "B"], date(2020, 1, 3), date(2020, 1, 31))) == ["A"]


def test_what_is_handed_out_cannot_be_written_to(tmp_path: Path) -> None:
    bars = ParquetPriceSource(written(tmp_path)).daily_bars(
        ["A"], date(2020, 1, 1), date(2020, 1, 31)
    )["A"]
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 1.0


def test_sessions_may_be_timestamps_and_tickers_categories(tmp_path: Path) -> None:
    path = written(tmp_path, session=[datetime(2020, 1, day) for day in (2, 3, 2)])  # noqa: DTZ001
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "ticker", table["ticker"].dictionary_encode()), path)
    bars = ParquetPriceSource(path).daily_bars(["A"], date(2020, 1, 1), date(2020, 1, 31))
    assert bars["A"].sessions.tolist() == [date(2020, 1, 2), date(2020, 1, 3)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"adj_close": None}, "lacks the columns adj_close"),
        ({"close": [11.0, None, 21.0]}, "empty cells"),
        ({"close": [11.0, float("nan"), 21.0]}, "A on 2020-01-03: a value is not finite"),
        ({"adj_close": [0.0, 22.0, 20.9]}, "B on 2020-01-02: a price is not above 0"),
        ({"open": [10.0, 19.0, 20.0]}, "A on 2020-01-03: open or close outside low to high"),
        ({"close": [11.0, 22.0, 22.5]}, "A on 2020-01-02: open or close outside low to high"),
        ({"volume": [100, -1, 200]}, "A on 2020-01-03: negative volume"),
        ({"split_ratio": [0.0, 1.0, 1.0]}, "B on 2020-01-02: split ratio not above 0"),
        ({"session": [date(2020, 1, 2)] * 3}, "A on 2020-01-02: more than one bar"),
        ({"open": ["ten", "twenty", "thirty"]}, "not usable parquet"),
    ],
)
def test_a_row_that_cannot_be_a_bar_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadInput, match=problem):
        ParquetPriceSource(written(tmp_path, **changes))


def test_a_file_that_is_absent_or_no_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        ParquetPriceSource(tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("ticker,session\n")
    with pytest.raises(BadInput, match="not usable parquet"):
        ParquetPriceSource(tmp_path / "text.parquet")


def test_without_a_path_the_packaged_file_is_read() -> None:
    source = ParquetPriceSource()
    assert source.path == demo_prices_path()
    apple = source.daily_bars(["AAPL"], date(2018, 11, 26), date(2020, 3, 31))["AAPL"]
    assert apple.sessions[0] == np.datetime64("2018-11-26")
    assert apple.close[-1] == pytest.approx(254.29)  # Apple closed at $254.29 on 2020-03-31
