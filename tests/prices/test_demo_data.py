from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from livekit.prices import ParquetPriceSource, demo_earnings_path, demo_prices_path
from livekit.prices.demo_data import (
    FIRST,
    LAST,
    SOURCE_EARNINGS,
    SOURCE_PRICES,
    choose_tickers,
    main,
)
from livekit.sessions import sessions_between

SESSIONS = sessions_between(FIRST, LAST)


@pytest.fixture
def packaged_as_source(tmp_path: Path) -> Path:
    """The packaged files under the names of the full ones."""
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(demo_prices_path(), source / SOURCE_PRICES)
    shutil.copy(demo_earnings_path(), source / SOURCE_EARNINGS)
    return source


def test_the_packaged_prices_are_200_tickers_with_a_bar_on_every_session() -> None:
    source = ParquetPriceSource()
    bars = source.daily_bars(source.tickers, date(2000, 1, 1), date(2030, 1, 1))
    assert len(source.tickers) == 200
    assert {len(history) for history in bars.values()} == {len(SESSIONS)} == {338}
    assert {history.sessions[0] for history in bars.values()} == {np.datetime64("2018-11-26")}
    assert {history.sessions[-1] for history in bars.values()} == {np.datetime64("2020-03-31")}


def test_the_packaged_price_file_stays_below_3_mb() -> None:
    assert demo_prices_path().stat().st_size <= 3_000_000


def test_every_packaged_filing_is_of_a_packaged_ticker_and_every_ticker_has_one() -> None:
    lines = demo_earnings_path().read_text().splitlines()[1:]
    filings = [line.split(",") for line in lines]
    assert {ticker for ticker, _ in filings} == set(ParquetPriceSource().tickers)
    days = {date.fromisoformat(day) for _, day in filings}
    assert min(days) >= FIRST
    assert max(days) <= LAST


def test_making_the_demo_data_from_itself_changes_nothing(
    packaged_as_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    assert main(["--source", str(packaged_as_source), "--into", str(made)]) == 0
    assert "200 tickers and 1008 filings" in capsys.readouterr().out
    assert (made / demo_earnings_path().name).read_text() == demo_earnings_path().read_text()
    assert pq.read_table(made / demo_prices_path().name).equals(pq.read_table(demo_prices_path()))


def test_an_absent_source_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--source", str(tmp_path), "--into", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def traded(ticker: str, close: float, volume: int, missing: date | None = None) -> pa.Table:
    """Constant bars of one ticker, with at most one session left out."""
    sessions = [session for session in SESSIONS if session != missing]
    count = len(sessions)
    price = [close] * count
    return pa.table(
        {
            "ticker": [ticker] * count,
            "session": sessions,
            **dict.fromkeys(("open", "high", "low", "close", "adj_close"), price),
            "volume": [volume] * count,
            "dividend_usd": [0.0] * count,
            "split_ratio": [1.0] * count,
        }
    )


def test_the_most_traded_tickers_with_a_whole_history_and_a_filing_are_chosen(
    tmp_path: Path,
) -> None:
    path = tmp_path / "prices.parquet"
    tables = [
        traded("BIG", 100.0, 1_000),  # 100,000 USD a day
        traded("MID", 10.0, 5_000),  # 50,000
        traded("LOW", 200.0, 100),  # 20,000
        traded("HOLE", 500.0, 1_000, missing=date(2019, 7, 3)),
        traded("MUTE", 500.0, 1_000),  # files nothing
        traded("LATE", 500.0, 1_000),  # files only in the demo quarter
    ]
    pq.write_table(pa.concat_tables(tables), path)
    filed = date(2019, 5, 1)
    filings = [(ticker, filed) for ticker in ("BIG", "MID", "LOW", "HOLE")]
    filings.append(("LATE", date(2020, 1, 30)))
    assert choose_tickers(ParquetPriceSource(path), filings, count=2) == ("BIG", "MID")
