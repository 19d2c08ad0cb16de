"""What was known when: vintages of prices, late bars, revisions, damage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from livekit.errors import BadInput
from livekit.model import DailyBars
from livekit.prices.point_in_time import PointInTimeCache
from livekit.prices.source import PriceSource

FIRST, LAST = date(2020, 1, 6), date(2020, 1, 9)  # Monday to Thursday
MORNING = datetime(2020, 1, 9, 14, 0, tzinfo=UTC)  # Thursday 09:00 in New York
EVENING = datetime(2020, 1, 9, 22, 0, tzinfo=UTC)
NEXT_EVENING = EVENING + timedelta(days=1)


class Clock:
    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


class Supplier:
    """Answers with what it was last given and remembers what it was asked."""

    def __init__(self) -> None:
        self.bars: dict[str, DailyBars] = {}
        self.asked: list[tuple[tuple[str, ...], date, date]] = []

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        self.asked.append((tuple(tickers), first, last))
        return {ticker: self.bars[ticker] for ticker in tickers if ticker in self.bars}


def bars(
    ticker: str, closes: dict[str, float], adjusted: float = 1.0, **splits: float
) -> DailyBars:
    days = list(closes)
    close = np.array(list(closes.values()))
    ratio = np.array([splits.get(f"on_{day.replace('-', '_')}", 1.0) for day in days])
    sessions = np.array(days, dtype="datetime64[D]")
    nothing = np.zeros(len(days))
    return DailyBars(
        ticker,
        sessions,
        close,
        close + 1,
        close - 1,
        close,
        close * adjusted,
        nothing + 500.0,
        nothing,
        ratio,
    )


WEEK = {"2020-01-06": 100.0, "2020-01-07": 101.0, "2020-01-08": 102.1}


@pytest.fixture
def supplier() -> Supplier:
    made = Supplier()
    made.bars = {"AA": bars("AA", WEEK)}
    return made


def cache_of(supplier: PriceSource, folder: Path, now: datetime) -> tuple[PointInTimeCache, Clock]:
    clock = Clock(now)
    return PointInTimeCache(supplier, folder, clock), clock


def closes(source: PriceSource, ticker: str = "AA", last: date = LAST) -> list[float]:
    return source.daily_bars([ticker], FIRST, last)[ticker].close.tolist()


def test_bars_come_back_to_the_last_digit_and_cannot_be_written_to(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache_of(supplier, tmp_path, MORNING)[0].daily_bars(["AA"], FIRST, LAST)
    again = cache_of(supplier, tmp_path, MORNING)[0].daily_bars(["AA"], FIRST, LAST)["AA"]
    original = supplier.bars["AA"]
    for name in ("open", "high", "low", "close", "adj_close", "volume", "split_ratio"):
        assert getattr(again, name).tolist() == getattr(original, name).tolist()
    assert again.sessions.tolist() == original.sessions.tolist()
    with pytest.raises(ValueError, match="read-only"):
        again.close[0] = 1.0


def test_within_a_trading_session_the_supplier_is_asked_once(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache, clock = cache_of(supplier, tmp_path, MORNING)
    cache.daily_bars(["AA", "NONE"], FIRST, LAST)
    clock.instant += timedelta(hours=1)
    assert list(cache.daily_bars(["AA", "NONE"], FIRST, LAST)) == ["AA"]
    assert list(cache.daily_bars(["AA"], date(2020, 1, 7), LAST)) == ["AA"]  # inside the window
    assert len(supplier.asked) == 1


def test_after_the_close_everything_is_asked_for_anew(supplier: Supplier, tmp_path: Path) -> None:
    cache, clock = cache_of(supplier, tmp_path, MORNING)
    cache.daily_bars(["AA"], FIRST, LAST)
    clock.instant = EVENING
    supplier.bars["AA"] = bars("AA", {**WEEK, "2020-01-09": 103.0})
    assert closes(cache) == [100.0, 101.0, 102.1, 103.0]
    assert len(supplier.asked) == 2


def test_a_wider_window_is_asked_for_whole_and_not_pieced_together(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache, _ = cache_of(supplier, tmp_path, MORNING)
    cache.daily_bars(["AA"], date(2020, 1, 7), LAST)
    cache.daily_bars(["AA"], FIRST, LAST)
    assert [asked[1] for asked in supplier.asked] == [date(2020, 1, 7), FIRST]


def test_a_split_restates_the_adjusted_past_and_no_vintage_is_mixed_with_another(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache, clock = cache_of(supplier, tmp_path, MORNING)
    cache.daily_bars(["AA"], FIRST, LAST)
    clock.instant = EVENING
    halved = bars("AA", {**WEEK, "2020-01-09": 51.0}, on_2020_01_09=2.0)
    restated = np.array([50.0, 50.5, 51.05, 51.0])  # two new shares for one old
    supplier.bars["AA"] = DailyBars(
        *(getattr(halved, name) for name in ("ticker", "sessions", "open", "high", "low", "close")),
        restated,
        *(getattr(halved, name) for name in ("volume", "dividend_usd", "split_ratio")),
    )
    assert cache.daily_bars(["AA"], FIRST, LAST)["AA"].adj_close.tolist() == restated.tolist()
    before = cache.known_at(MORNING).daily_bars(["AA"], FIRST, date(2020, 1, 8))["AA"]
    assert before.adj_close.tolist() == [100.0, 101.0, 102.1]
    assert before.split_ratio.tolist() == [1.0, 1.0, 1.0]


def test_a_bar_that_came_late_is_not_known_before_it_came(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache, clock = cache_of(supplier, tmp_path, EVENING)
    assert closes(cache) == [100.0, 101.0, 102.1]  # Thursday's bar is missing that evening
    clock.instant = NEXT_EVENING
    supplier.bars["AA"] = bars("AA", {**WEEK, "2020-01-09": 103.0})
    assert closes(cache) == [100.0, 101.0, 102.1, 103.0]
    assert closes(cache.known_at(EVENING)) == [100.0, 101.0, 102.1]
    assert closes(cache.known_at(NEXT_EVENING)) == [100.0, 101.0, 102.1, 103.0]
    late = [one for one in cache.revisions("AA") if one.column == "close"]
    assert [(str(one.session), one.before, one.after) for one in late] == [
        ("2020-01-09", None, 103.0)
    ]


def test_a_correction_is_told_with_what_stood_there_before(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache, clock = cache_of(supplier, tmp_path, EVENING)
    cache.daily_bars(["AA"], FIRST, LAST)
    clock.instant = NEXT_EVENING
    corrected = bars("AA", {**WEEK, "2020-01-07": 101.5})
    supplier.bars["AA"] = corrected
    cache.daily_bars(["AA"], FIRST, LAST)
    assert [(one.column, one.before, one.after, one.known_at) for one in cache.revisions("AA")] == [
        ("open", 101.0, 101.5, NEXT_EVENING),
        ("high", 102.0, 102.5, NEXT_EVENING),
        ("low", 100.0, 100.5, NEXT_EVENING),
        ("close", 101.0, 101.5, NEXT_EVENING),
    ]
    assert closes(cache.known_at(EVENING)) == [100.0, 101.0, 102.1]


def test_what_was_never_asked_for_is_unknown_and_not_absent(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache, _ = cache_of(supplier, tmp_path, MORNING)
    cache.daily_bars(["AA", "NONE"], FIRST, LAST)
    known = cache.known_at(MORNING)
    assert list(known.daily_bars(["AA", "NONE"], FIRST, LAST)) == ["AA"]  # asked for, no bars
    with pytest.raises(BadInput, match="BB from 2020-01-06 to 2020-01-09 was not asked for"):
        known.daily_bars(["AA", "BB"], FIRST, LAST)
    with pytest.raises(BadInput, match="was not asked for"):
        cache.known_at(MORNING - timedelta(seconds=1)).daily_bars(["AA"], FIRST, LAST)
    with pytest.raises(BadInput, match="was not asked for"):
        known.daily_bars(["AA"], date(2019, 12, 2), LAST)


def vintage_in(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("damage", ["cut", "emptied", "text", "edited", "unmarked"])
def test_a_damaged_vintage_is_refused_by_name(
    supplier: Supplier, tmp_path: Path, damage: str
) -> None:
    cache, _ = cache_of(supplier, tmp_path, MORNING)
    cache.daily_bars(["AA"], FIRST, LAST)
    path = vintage_in(tmp_path)
    content = path.read_bytes()
    if damage in {"edited", "unmarked"}:
        table = pq.read_table(path)
        marks = table.schema.metadata if damage == "edited" else None
        rows = table.slice(0, 2) if damage == "edited" else table
        pq.write_table(rows.replace_schema_metadata(marks), path)
    else:
        damaged = {"cut": content[: len(content) // 2], "emptied": b"", "text": b"no parquet"}
        path.write_bytes(damaged[damage])
    with pytest.raises(BadInput, match=path.name):
        cache.daily_bars(["AA"], FIRST, LAST)
    assert len(supplier.asked) == 1


def test_a_damaged_vintage_of_the_past_does_not_stop_today(
    supplier: Supplier, tmp_path: Path
) -> None:
    cache, clock = cache_of(supplier, tmp_path, MORNING)
    cache.daily_bars(["AA"], FIRST, LAST)
    vintage_in(tmp_path).write_bytes(b"damaged")
    clock.instant = EVENING
    assert closes(cache) == [100.0, 101.0, 102.1]


def test_files_appear_whole_and_private_and_none_is_ever_overwritten(
    supplier: Supplier, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "fmp"
    cache, _ = cache_of(supplier, folder, MORNING)
    for first in (FIRST, date(2020, 1, 3), date(2020, 1, 2)):
        cache.daily_bars(["AA"], first, LAST)
    cache.daily_bars(["BB"], FIRST, LAST)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "20200109T140000.000000Z__2020-01-02__2020-01-09.parquet",
        "20200109T140000.000000Z__2020-01-03__2020-01-09.parquet",
        "20200109T140000.000000Z__2020-01-06__2020-01-09.parquet",
        "20200109T140000.000000Z__2020-01-06__2020-01-09__002.parquet",
    ]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_written_is_told(supplier: Supplier, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    cache, _ = cache_of(supplier, tmp_path / "file", MORNING)
    with pytest.raises(BadInput, match="cannot be written"):
        cache.daily_bars(["AA"], FIRST, LAST)
