"""A cache of prices that knows what was known when.

Every answer of the supplier is kept as a *vintage*: one parquet file with all its bars, named by
the instant it was asked at and the window it covers. Adjusted history is restated with each split
and dividend, and rows are corrected now and then, so a ticker's bars always come from one vintage
alone; old rows are never put together with new ones.

::

    {folder}/20200130T142000.000000Z__2018-12-26__2020-01-30.parquet

Within one trading session nothing new is known, and a vintage of it is answered again. At its
close the supplier is asked anew. `PointInTimeCache.known_at` answers from the vintages up to an
instant, whatever came later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from livekit.clock import Clock
from livekit.errors import BadInput
from livekit.files import write_whole
from livekit.model import DailyBars
from livekit.prices.parquet_source import FLOAT_COLUMNS, PRICE_COLUMNS
from livekit.prices.source import PriceSource
from livekit.sessions import session_of

__all__ = ["PointInTimeCache", "Revision"]

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_ABOUT = b"livekit_vintage"
_SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("session", pa.date32()),
        *((name, pa.float64()) for name in FLOAT_COLUMNS),
    ]
)


@dataclass(frozen=True, slots=True)
class _Vintage:
    """A file of the cache by its name: when it was asked for, and the window."""

    path: Path
    asked_at: datetime
    first: date
    last: date

    def covers(self, first: date, last: date) -> bool:
        return self.first <= first and last <= self.last


@dataclass(frozen=True, slots=True)
class Revision:
    """A value that a later vintage tells otherwise; None = no bar of that session."""

    ticker: str
    session: date
    column: str
    before: float | None
    after: float | None
    known_at: datetime


class PointInTimeCache:
    """A `PriceSource` that asks ``source`` once a trading session and keeps every answer.

    Args:
        source: the supplier.
        folder: where the vintages of this supplier lie; a folder for each supplier.
        clock: says what now is.
    """

    def __init__(self, source: PriceSource, folder: Path, clock: Clock) -> None:
        self._source = source
        self._folder = folder
        self._clock = clock

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """As the supplier; tickers without bars in the window are absent.

        Raises `BadInput` when a vintage that is needed is damaged or cannot be written, and what
        the supplier raises.
        """
        now = self._clock.now()
        present = session_of(now)

        def is_fresh(vintage: _Vintage) -> bool:
            return vintage.asked_at <= now and session_of(vintage.asked_at) == present

        found = self._stored(tickers, first, last, is_fresh)
        missing = [ticker for ticker in dict.fromkeys(tickers) if ticker not in found]
        if missing:
            fetched = self._source.daily_bars(missing, first, last)
            self._keep(fetched, missing, now, first, last)
            found |= {ticker: fetched.get(ticker) for ticker in missing}
        return {ticker: bars for ticker, bars in found.items() if bars is not None}

    def known_at(self, instant: datetime) -> PriceSource:
        """What this cache had been told by ``instant`` (aware), as a source of its own."""
        return _KnownAt(self, instant)

    def revisions(self, ticker: str) -> tuple[Revision, ...]:
        """Every value of ``ticker`` that changed from one vintage to the next, oldest first.

        Only sessions in the windows of both are compared; ``adj_close`` is left out, since it is
        restated with every dividend.
        """
        found: list[Revision] = []
        before: tuple[_Vintage, DailyBars | None] | None = None
        for vintage in self._vintages():
            known = _read(vintage)
            if ticker not in known:
                continue
            after = (vintage, known[ticker])
            if before is not None:
                found += _changes(ticker, before, after)
            before = after
        return tuple(found)

    # --------------------------------------------------------------------------------- storage

    def _vintages(self) -> list[_Vintage]:
        """All vintages, oldest first; files that do not bear a vintage's name are not ours."""
        if not self._folder.is_dir():
            return []
        named = (_vintage(path) for path in sorted(self._folder.glob("*.parquet")))
        return [vintage for vintage in named if vintage is not None]

    def _stored(
        self,
        tickers: Sequence[str],
        first: date,
        last: date,
        is_wanted: Callable[[_Vintage], bool],
    ) -> dict[str, DailyBars | None]:
        """Bars by ticker from the newest wanted vintage that covers the window and knows it."""
        found: dict[str, DailyBars | None] = {}
        for vintage in reversed(self._vintages()):
            open_tickers = [ticker for ticker in tickers if ticker not in found]
            if not open_tickers:
                break
            if is_wanted(vintage) and vintage.covers(first, last):
                known = _read(vintage)
                found |= {
                    ticker: _within(known[ticker], first, last)
                    for ticker in open_tickers
                    if ticker in known
                }
        return {ticker: found[ticker] for ticker in tickers if ticker in found}

    def _keep(
        self,
        fetched: Mapping[str, DailyBars],
        asked: Sequence[str],
        now: datetime,
        first: date,
        last: date,
    ) -> None:
        table = _table(fetched[ticker] for ticker in sorted(fetched))
        about = {"asked": sorted(asked), "sha256": _digest(table)}
        table = table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_whole(self._free_path(now, first, last), sink.getvalue().to_pybytes())

    def _free_path(self, now: datetime, first: date, last: date) -> Path:
        stamp = now.astimezone(UTC).strftime(_STAMP)
        path, number = self._folder / f"{stamp}__{first}__{last}.parquet", 1
        while path.exists():
            number += 1
            path = self._folder / f"{stamp}__{first}__{last}__{number:03d}.parquet"
        return path


class _KnownAt:
    """The vintages up to an instant; asks nobody."""

    def __init__(self, cache: PointInTimeCache, instant: datetime) -> None:
        self._cache = cache
        self._instant = instant

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """Bars as the newest vintage up to the instant had them; tickers without any are absent.

        Raises `BadInput` for a damaged vintage, and for a ticker and window that had never been
        asked for by then: that is not known, which is not "no bars".
        """
        found = self._cache._stored(  # noqa: SLF001 - a view of the same cache
            tickers, first, last, lambda vintage: vintage.asked_at <= self._instant
        )
        unknown = [ticker for ticker in tickers if ticker not in found]
        if unknown:
            facts = f"{', '.join(unknown)} from {first} to {last} was not asked for"
            raise BadInput(self._cache._folder, f"{facts} by {self._instant.isoformat()}")  # noqa: SLF001
        return {ticker: bars for ticker, bars in found.items() if bars is not None}


# ------------------------------------------------------------------------------------------ files


def _vintage(path: Path) -> _Vintage | None:
    parts = path.stem.split("__")
    try:
        asked_at = datetime.strptime(parts[0], _STAMP).replace(tzinfo=UTC)
        return _Vintage(path, asked_at, *(date.fromisoformat(part) for part in parts[1:3]))
    except (ValueError, TypeError):
        return None


def _table(all_bars: Iterable[DailyBars]) -> pa.Table:
    parts = [
        pa.table(
            {
                "ticker": pa.array([bars.ticker] * len(bars), pa.string()),
                "session": pa.array(bars.sessions.astype("datetime64[D]"), pa.date32()),
                **{name: pa.array(getattr(bars, name), pa.float64()) for name in FLOAT_COLUMNS},
            },
            schema=_SCHEMA,
        )
        for bars in all_bars
    ]
    return pa.concat_tables(parts) if parts else _SCHEMA.empty_table()


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256()
    digest.update("\n".join(table["ticker"].to_pylist()).encode())
    digest.update(table["session"].to_numpy().astype("datetime64[D]").astype(np.int64).tobytes())
    for name in FLOAT_COLUMNS:
        digest.update(table[name].to_numpy().astype(np.float64).tobytes())
    return digest.hexdigest()


def _read(vintage: _Vintage) -> dict[str, DailyBars | None]:
    """Every ticker that was asked for, None for those without bars; raises `BadInput`."""
    path = vintage.path
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[_ABOUT])
        table = table.select(list(PRICE_COLUMNS)).cast(_SCHEMA)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise BadInput(path, f"is no vintage of prices that can be read ({error})") from error
    if _digest(table) != about.get("sha256"):
        raise BadInput(path, "prices differ from what was stored: the file is damaged")
    known: dict[str, DailyBars | None] = dict.fromkeys(about["asked"])
    return known | {bars.ticker: bars for bars in _bars(table)}


def _bars(table: pa.Table) -> Iterator[DailyBars]:
    tickers: list[str] = table["ticker"].to_pylist()
    sessions = table["session"].to_numpy().astype("datetime64[D]")
    columns = [table[name].to_numpy() for name in FLOAT_COLUMNS]
    for values in (sessions, *columns):
        values.flags.writeable = False
    changes = [at for at in range(1, len(tickers)) if tickers[at] != tickers[at - 1]]
    starts = [0, *changes] if len(tickers) else []
    for start, stop in zip(starts, [*starts[1:], len(tickers)][: len(starts)], strict=True):
        part = slice(start, stop)
        yield DailyBars(tickers[start], sessions[part], *(one[part] for one in columns))


def _within(bars: DailyBars | None, first: date, last: date) -> DailyBars | None:
    if bars is None:
        return None
    start = int(np.searchsorted(bars.sessions, np.datetime64(first, "D"), side="left"))
    stop = int(np.searchsorted(bars.sessions, np.datetime64(last, "D"), side="right"))
    return bars.sliced(start, stop) if start < stop else None


# -------------------------------------------------------------------------------------- revisions


def _changes(
    ticker: str,
    before: tuple[_Vintage, DailyBars | None],
    after: tuple[_Vintage, DailyBars | None],
) -> list[Revision]:
    first = max(before[0].first, after[0].first)
    last = min(before[0].last, after[0].last)
    old, new = (_within(bars, first, last) for _, bars in (before, after))
    known_at = after[0].asked_at
    return [
        Revision(ticker, session, name, was, now, known_at)
        for session in sorted({*_sessions(old), *_sessions(new)})
        for name in FLOAT_COLUMNS
        if name != "adj_close"
        for was, now in [(_value(old, name, session), _value(new, name, session))]
        if was != now
    ]


def _sessions(bars: DailyBars | None) -> list[date]:
    return [] if bars is None else list(bars.sessions.tolist())


def _value(bars: DailyBars | None, name: str, session: date) -> float | None:
    index = -1 if bars is None else bars.index_of(session)
    return None if bars is None or index < 0 else float(getattr(bars, name)[index])
